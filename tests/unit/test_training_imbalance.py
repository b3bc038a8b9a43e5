"""Frequent classes are thinned evenly in time; weights in the loss undo frequency."""

import numpy as np
import pytest

from nociband.training.examples import Examples
from nociband.training.imbalance import KEPT_MIN, class_weights, jump_reduction


def examples(target, subjects=None, draw=None, elapsed=None) -> Examples:
    """Windows whose only input is their row number."""
    n = len(target)
    subjects = np.array(subjects if subjects is not None else ["a"] * n)
    rows = np.arange(n, dtype=np.float32).reshape(n, 1, 1)
    return Examples({"eda": rows}, np.zeros((n, 0)), (), np.asarray(target), subjects, subjects,
                    np.zeros(n, np.int64) if draw is None else np.array(draw), {},
                    np.full(n, np.nan) if elapsed is None else np.asarray(elapsed, float))


def kept(e: Examples) -> list[int]:
    """Row numbers that are left."""
    return e.inputs["eda"][:, 0, 0].astype(int).tolist()


def test_balanced_classes_and_scores_stay_as_they_are():
    balanced, scores = examples(np.tile([0, 1, 2], 5)), examples(np.linspace(0, 10, 7))
    assert jump_reduction(balanced, 0) is balanced and jump_reduction(scores, 0) is scores


@pytest.mark.parametrize("seed", range(5))
def test_the_frequent_class_is_jumped_over_evenly(seed):
    target = np.array(([0] * 12 + [1] * 6) * 2)
    rows = kept(jump_reduction(examples(target), seed))
    left = target[rows]
    assert np.sum(left == 1) == 12 and abs(np.sum(left == 0) - 12) <= 1
    zeros = np.searchsorted(np.flatnonzero(target == 0), [r for r in rows if target[r] == 0])
    assert set(np.diff(zeros).tolist()) == {2}


def test_each_person_is_thinned_and_no_class_below_a_quarter():
    target = np.concatenate([np.zeros(40, int), np.zeros(80, int), [1, 1, 1]])
    subjects = ["a"] * 40 + ["b"] * 80 + ["a"] * 3
    reduced = jump_reduction(examples(target, subjects), 3)
    zeros = [np.sum((reduced.subjects == s) & (reduced.target == 0)) for s in "ab"]
    assert abs(zeros[0] - 40 * KEPT_MIN) <= 1 and abs(zeros[1] - 80 * KEPT_MIN) <= 1
    assert np.sum(reduced.target == 1) == 3


def test_seeds_decide_where_the_jumps_begin():
    target = np.array([0] * 40 + [1] * 10)
    assert kept(jump_reduction(examples(target), 1)) == kept(jump_reduction(examples(target), 1))
    assert len({tuple(kept(jump_reduction(examples(target), s))) for s in range(12)}) > 1


def test_copies_of_a_window_go_with_it():
    target, n = np.array([0] * 20 + [1] * 10), 30
    reduced = jump_reduction(examples(np.tile(target, 3), draw=np.repeat([0, 1, 2], n)), 0)
    plain = [r for r in kept(reduced) if r < n]
    assert len(plain) < n and kept(reduced) == plain + [r + n for r in plain] + [r + 2 * n for r in plain]


def test_time_is_the_order_where_it_is_known():
    target, order = np.array([0] * 20 + [1] * 10), np.random.default_rng(0).permutation(30)
    in_time = kept(jump_reduction(examples(target, elapsed=np.arange(30)), 4))
    shuffled = jump_reduction(examples(target[order], elapsed=order), 4)
    assert sorted(shuffled.elapsed_s.astype(int).tolist()) == in_time


def test_class_weights_by_hand():
    assert class_weights(np.array([0, 0, 0, 2]), 3) == pytest.approx([4 / 6, 0, 2])
    target = np.array([0, 0, 0, 1, 1, 2])
    assert class_weights(target, 3)[target].mean() == pytest.approx(1)
    assert class_weights(np.tile([0, 1], 4), 2) == pytest.approx([1, 1])
