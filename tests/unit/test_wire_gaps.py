"""Sequence tracking: every frame that is missing is in exactly one gap, whatever the order, wrap or epoch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nociband.records import Gap
from nociband.wire import GapDetector, Verdict
from nociband.wire.gaps import SEQ_MODULUS


def test_a_first_frame_that_is_not_0_leaves_a_hole() -> None:
    gaps = GapDetector()
    assert gaps.push(3, 2) == (Verdict.NEXT, Gap(3, 0, 2))


def test_a_hole_a_late_frame_and_a_duplicate() -> None:
    gaps = GapDetector()
    gaps.begin(1)
    assert gaps.push(1, 0) == (Verdict.NEXT, None)
    assert gaps.push(1, 5) == (Verdict.NEXT, Gap(1, 1, 4))
    assert gaps.push(1, 3) == (Verdict.LATE, None)
    assert gaps.push(1, 3) == (Verdict.DUPLICATE, None)
    assert gaps.push(1, 5) == (Verdict.DUPLICATE, None)
    assert [gaps.push(1, s)[0] for s in (1, 2, 4)] == [Verdict.LATE] * 3
    assert gaps.push(1, 6) == (Verdict.NEXT, None)


def test_a_wrap_is_no_hole() -> None:
    gaps = GapDetector()
    gaps.begin(1)
    gaps.expected = SEQ_MODULUS - 1
    assert gaps.push(1, SEQ_MODULUS - 1) == (Verdict.NEXT, None)
    assert gaps.push(1, 0) == (Verdict.NEXT, None)
    assert gaps.push(1, SEQ_MODULUS - 1)[0] is Verdict.DUPLICATE


def test_frames_of_another_session_are_stale() -> None:
    gaps = GapDetector()
    gaps.begin(255)
    assert gaps.push(254, 7) == (Verdict.STALE, None)
    gaps.begin(0)
    assert gaps.push(255, 8) == (Verdict.STALE, None)
    assert gaps.push(0, 0) == (Verdict.NEXT, None)
    free = GapDetector()        # nobody said begin: a recording that broke off in its head
    assert free.push(4, 0)[0] is Verdict.NEXT
    assert free.push(5, 0)[0] is Verdict.NEXT
    assert free.push(4, 1)[0] is Verdict.STALE


def test_the_end_tells_what_is_missing_there() -> None:
    gaps = GapDetector()
    assert gaps.finish(5) is None
    gaps.begin(1)
    gaps.push(1, 0)
    assert gaps.finish(3) == Gap(1, 1, 2)
    assert gaps.finish(3) is None


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.integers(0, SEQ_MODULUS - 1))
def test_received_and_gaps_add_up(arrives: list[bool], start: int) -> None:
    """In order with holes: frames and gaps cover the sequence exactly once."""
    gaps = GapDetector()
    gaps.begin(9)
    gaps.expected = start
    covered: list[int] = []
    for i, there in enumerate(arrives):
        if there:
            verdict, gap = gaps.push(9, (start + i) % SEQ_MODULUS)
            assert verdict is Verdict.NEXT
            if gap:
                covered += [(gap.first_seq + k) % SEQ_MODULUS for k in range(gap.lost)]
            covered.append((start + i) % SEQ_MODULUS)
    last = gaps.finish((start + len(arrives)) % SEQ_MODULUS)
    if last:
        covered += [(last.first_seq + k) % SEQ_MODULUS for k in range(last.lost)]
    assert covered == [(start + i) % SEQ_MODULUS for i in range(len(arrives))]


@given(st.lists(st.integers(0, 60), max_size=200))
def test_in_any_order_a_frame_is_taken_at_most_once(order: list[int]) -> None:
    gaps = GapDetector()
    gaps.begin(0)
    taken: list[int] = []
    told_lost = 0
    for seq in order:
        verdict, gap = gaps.push(0, seq)
        told_lost += gap.lost if gap else 0
        if verdict in (Verdict.NEXT, Verdict.LATE):
            taken.append(seq)
        else:
            assert seq in taken
    assert len(taken) == len(set(taken)) and set(taken) == set(order)
    late = len(taken) + told_lost - (max(order) + 1 if order else 0)
    assert late >= 0
