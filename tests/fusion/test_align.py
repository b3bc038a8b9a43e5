"""Fuser and fuse(): staleness, missing sides, models that are not of pain, ends and errors."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nociband.errors import DataError
from nociband.fusion import Fuser, align, fuse, weigh
from nociband.records import FaceMeasures, FusedPrediction, Gap, Prediction

NOW = 1_800_000_000.0


def band(score: float | None = 4.0, at: float = NOW, quality: float = 0.8, why: tuple[str, ...] = (),
         of: str = "pain") -> Prediction:
    return Prediction(epoch=1, seq=1, t_us=0, host_time_s=at, host_uncertainty_s=0.001, frame_index=499, score=score,
                      labels=("none", "severe"), probabilities=np.array([0.5, 0.5]), quality=quality, why=why, logits=(0, 0),
                      compute_us=1, of=of)


def face(score: float | None = 6.0, at: float = NOW, quality: float = 0.8, why: tuple[str, ...] = ()) -> FaceMeasures:
    return FaceMeasures(host_time_s=at, brow_lowering=0.1, eye_closing=0.1, nose_wrinkling=0.1, upper_lip_raising=0.1,
                        mouth_opening=0.1, score=score, quality=quality, why=why, source="synthetic")


def fused(p: Prediction | None, m: FaceMeasures | None, now: float = NOW) -> FusedPrediction:
    fuser = Fuser()
    if p is not None:
        fuser.prediction(p)
    if m is not None:
        fuser.face(m)
    return fuser.now(now)


def test_both_sides_count_by_their_quality() -> None:
    result = fused(band(4.0, quality=0.6), face(8.0, quality=0.2))
    assert result.score == pytest.approx(5.0)
    assert (result.band_weight, result.face_weight) == pytest.approx((0.75, 0.25))
    assert (result.band_score, result.face_score, result.why) == (4.0, 8.0, ())


@pytest.mark.parametrize("p, m, score, why", [
    (None, None, None, ("band:missing", "face:missing")),
    (band(), None, 4.0, ("face:missing",)),
    (None, face(), 6.0, ("band:missing",)),
    (band(), face(None, why=("no_face",), quality=0.0), 4.0, ("face:no_face",)),
    (band(None, why=("motion", "saturation")), face(), 6.0, ("band:motion", "band:saturation")),
    (band(at=NOW - 2.6), face(), 6.0, ("band:stale",)),
    (band(), face(at=NOW - 1.1), 4.0, ("face:stale",)),
    (band(at=NOW - 9), face(at=NOW - 9), None, ("band:stale", "face:stale")),
    (band(at=NOW + 9), face(), 6.0, ("band:stale",)),
    (band(quality=0.0), face(), 6.0, ("band:no_quality",)),
    (band(float("nan")), face(), 6.0, ("band:no_score",)),
])
def test_a_side_that_is_missing_has_no_weight_and_is_named(p: Any, m: Any, score: float | None, why: tuple[str, ...]) -> None:
    result = fused(p, m)
    assert (result.score, result.why) == (score, why)
    assert result.band_weight + result.face_weight == (0.0 if score is None else 1.0)
    assert not any(w.startswith("band") for w in why) or result.band_weight == 0 and result.band_score is None
    assert not any(w.startswith("face") for w in why) or result.face_weight == 0 and result.face_score is None


def test_the_older_a_value_the_less_it_weighs() -> None:
    face_weights = [fused(band(), face(at=NOW - age)).face_weight for age in (0.0, 0.3, 0.6, 0.9)]
    assert face_weights == sorted(face_weights, reverse=True) and face_weights[0] == pytest.approx(0.5)
    assert face_weights[-1] < 0.2


def test_beside_a_model_of_something_else_the_face_is_shown_and_not_fused() -> None:
    result = fused(band(None, of="emotion"), face(6.0))
    assert result.why == ("model_not_of_pain",)
    assert (result.score, result.band_score, result.face_score) == (None, None, 6.0)
    assert (result.band_weight, result.face_weight) == (0.0, 0.0)
    assert Fuser(of="emotion").now(NOW).why == ("model_not_of_pain",)


def test_what_is_forgotten_is_missing() -> None:
    fuser = Fuser()
    fuser.prediction(band())
    fuser.face(face())
    fuser.forget_band()
    assert fuser.now(NOW).why == ("band:missing",)
    fuser.forget_face()
    assert fuser.now(NOW).why == ("band:missing", "face:missing")


ages, qualities, scores = st.floats(-4, 4), st.floats(0, 1), st.none() | st.floats(0, 10)


@given(scores, ages, qualities, scores, ages, qualities)
def test_promises_hold_for_any_two_sides(s: float | None, a: float, q: float, s2: float | None, a2: float, q2: float) -> None:
    result = fused(band(s, at=NOW - a, quality=q), face(s2, at=NOW - a2, quality=q2))
    total = result.band_weight + result.face_weight
    assert total == pytest.approx(1.0) or total == 0.0
    assert 0 <= result.band_weight <= 1 and 0 <= result.face_weight <= 1 and 0 <= result.quality <= 1
    sides = [x for x in (result.band_score, result.face_score) if x is not None]
    assert (result.score is None) == (not sides)
    if result.score is not None:
        assert min(sides) <= result.score <= max(sides)
    assert (len(sides) < 2) == bool(result.why)


# --- The stream ----------------------------------------------------------------------------------------------------------

async def given_later(*records: Any, gap_s: float = 0.0, error: Exception | None = None) -> AsyncIterator[Any]:
    for record in records:
        await asyncio.sleep(gap_s)
        yield record
    if error is not None:
        raise error


async def test_each_record_of_either_side_gives_a_result() -> None:
    predictions = given_later(band(4.0, at=NOW), band(5.0, at=NOW + 1))
    faces = given_later(*(face(6.0, at=NOW + i / 8) for i in range(8)))
    results = [r async for r in fuse(predictions, faces)]
    assert len(results) == 10
    assert all(r.score is not None for r in results)
    times = [r.host_time_s for r in results]
    assert times == sorted(times), "time never goes back, in whatever order records arrive"


async def test_a_bands_whole_stream_may_be_given() -> None:
    results = [r async for r in fuse(given_later(Gap(1, 2, 3), band(4.0)), given_later())]
    assert [r.score for r in results] == [4.0]


async def test_silence_of_both_sides_shows_as_staleness() -> None:
    async def silent_after_one() -> AsyncIterator[FaceMeasures]:
        yield face(at=NOW)
        await asyncio.sleep(30)

    stream = fuse(given_later(), silent_after_one(), tick_s=0.05)
    seen: list[FusedPrediction] = []
    async for result in stream:
        seen.append(result)
        if result.score is None:
            break
    await stream.aclose()
    assert seen[0].score == 6.0 and seen[-1].why == ("band:missing", "face:stale")
    assert seen[-1].host_time_s - NOW == pytest.approx(1.0, abs=0.5)


async def test_an_error_of_a_side_reaches_who_iterates() -> None:
    with pytest.raises(DataError, match="camera gone"):
        async for _ in fuse(given_later(band()), given_later(face(), error=DataError("camera gone"))):
            pass


async def test_leaving_early_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    stream = fuse(given_later(band(), gap_s=0.001), given_later(face(), face(), face(), gap_s=10))
    await anext(stream)
    await stream.aclose()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("module", [align, weigh])
def test_fusion_opens_nothing(module: Any) -> None:
    source = inspect.getsource(module)
    assert not any(word in source for word in ("open(", "import os", "socket", "pathlib", "nociband.band", "nociband.vision"))
