"""Splits keep people apart, metrics are what their names say, intervals come from people."""

import dataclasses

import numpy as np
import pytest

from nociband.errors import ModelError
from nociband.training import metrics, tasks
from nociband.training.split import Split, by_subject

PEOPLE = [f"{k:02d}" for k in range(27)]


def test_nobody_stands_on_two_sides_and_nobody_is_lost():
    for seed in range(30):
        split = by_subject(PEOPLE, seed)
        sides = [set(split.train), set(split.validation), set(split.held_out)]
        assert set.union(*sides) == set(PEOPLE) and sum(map(len, sides)) == len(PEOPLE)
        assert [len(s) for s in sides] == [15, 6, 6]


def test_the_same_people_and_seed_give_the_same_split():
    assert by_subject(reversed(PEOPLE), 3) == by_subject(PEOPLE * 4, 3) == by_subject(PEOPLE, 3)
    assert by_subject(PEOPLE, 3) != by_subject(PEOPLE, 4)


def test_a_person_on_two_sides_is_refused():
    with pytest.raises(ModelError, match="twice: b"):
        Split(("a", "b"), ("b",), ("c",))
    with pytest.raises(ModelError, match="at least one person"):
        Split(("a",), ("b",), ())
    with pytest.raises(ModelError, match="too few"):
        by_subject(["a", "b"], 0)


def test_sides():
    split = by_subject(["a", "b", "c"], 0)
    assert sorted(split.side_of(s) for s in "abc") == ["held_out", "train", "validation"]
    with pytest.raises(ModelError, match="'z' is not in this split"):
        split.side_of("z")


def test_metrics_against_numbers_worked_out_by_hand():
    truth, predicted = np.array([0, 0, 0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 1, 1, 0, 2, 2])
    counts = metrics.confusion(truth, predicted, 3)
    assert counts.tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 2]]
    assert metrics.balanced_accuracy(counts) == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert metrics.macro_f1(counts) == pytest.approx((6 / 8 + 2 / 4 + 1) / 3)


def test_always_the_same_class_is_chance():
    truth = np.repeat([0, 1, 2], 40)
    assert metrics.balanced_accuracy(metrics.confusion(truth, np.zeros(120, int), 3)) == pytest.approx(1 / 3)


def test_the_interval_widens_when_people_differ():
    """Ten people half right each, against five all right and five all wrong: the same accuracy, not the same certainty."""
    subjects = np.repeat(np.arange(10).astype(str), 20)
    truth = np.tile([0, 1], 100)
    even = np.where(np.tile(np.arange(20) < 10, 10), truth, 1 - truth)
    uneven = np.where(np.repeat(np.arange(10) < 5, 20), truth, 1 - truth)
    a, b = (metrics.judge(truth, p, subjects, 2)["balanced_accuracy"] for p in (even, uneven))
    assert a["value"] == b["value"] == 0.5
    assert a["ci95"] == [0.5, 0.5] and b["ci95"][0] <= 0.2 and b["ci95"][1] >= 0.8
    assert metrics.judge(truth, uneven, subjects, 2)["balanced_accuracy"] == b  # seeded


def test_tasks_name_what_the_manifest_needs():
    assert tasks.find("emotion3", "fmov").warning == "emotion, not pain"
    assert tasks.find("emotion3", "fmov").values == (None, None, None) and not tasks.find("emotion3", "fmov").synthetic
    pain = tasks.find("pain5", "synthetic")
    assert pain.synthetic and "synthetic" in pain.warning and pain.values == (0, 2.5, 5, 7.5, 10)
    with pytest.raises(ModelError, match="no task .emotion3. on data set .synthetic., which has: pain5"):
        tasks.find("emotion3", "synthetic")
    assert all(len(t.labels) == len(t.values) for t in tasks.TASKS.values())
    assert dataclasses.is_dataclass(pain)
