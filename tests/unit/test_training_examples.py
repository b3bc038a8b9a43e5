"""Examples and what is asked of them: parts that do not fit each other never come together."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from nociband.errors import ModelError
from nociband.training.examples import Examples, TaskInfo

TWO = {"dataset": "made", "task": "two", "title": "Made", "of": "pain", "synthetic": True, "warning": "made"}


def made() -> Examples:
    """Three people; the second half of the rows are copies of the first."""
    row = np.arange(6)
    return Examples({"eda": np.repeat(row, 8).reshape(6, 4, 2).astype(np.float32)}, row[:, None] * 10.0, ("ten",), row % 2,
                    np.array(["c", "a", "b"] * 2), np.array(["c1", "a1", "b1"] * 2), np.repeat([0, 1], 3), {"a": {"age": 30.0}},
                    row + 0.5)


def test_rows_stay_together_whatever_is_picked():
    whole = made()
    assert whole.people == ("a", "b", "c") and len(whole) == 6
    for part, rows in ((whole.of(["b", "c"]), [0, 2, 3, 5]), (whole.plain(), [0, 1, 2]), (whole.where(np.array([4, 1])), [4, 1]),
                       (whole.of(["a"]).plain(), [1]), (whole.of([]), [])):
        assert part.inputs["eda"][:, 0, 0].tolist() == rows and (part.features[:, 0] / 10).tolist() == rows
        assert (part.elapsed_s - 0.5).tolist() == rows and part.target.tolist() == [r % 2 for r in rows]
        assert part.subjects.tolist() == [s[0] for s in part.sittings] == ["cab"[r % 3] for r in rows]
        assert part.draw.tolist() == [r // 3 for r in rows] and part.attributes == whole.attributes


def test_a_whole_person_comes_not_one_whose_name_begins_alike():
    names = np.array(["P1", "P10", "P1", "P100", "P2", "P20"])
    assert replace(made(), subjects=names).of(["P1"]).inputs["eda"][:, 0, 0].tolist() == [0, 2]


def test_time_is_unknown_unless_it_is_said():
    assert np.isnan(replace(made(), elapsed_s=np.zeros(0)).elapsed_s).all()


def test_they_travel_between_processes():
    there = pickle.loads(pickle.dumps(made()))
    assert np.array_equal(there.inputs["eda"], made().inputs["eda"]) and there.people == made().people


@pytest.mark.parametrize(("change", "message"), [
    ({"features": np.zeros((5, 1))}, "6 targets but 5 rows of features"),
    ({"subjects": np.array(["a"])}, "6 targets but 1 rows of subjects"),
    ({"sittings": np.array(["a"])}, "6 targets but 1 rows of sittings"),
    ({"draw": np.zeros(7)}, "6 targets but 7 rows of draw"),
    ({"elapsed_s": np.zeros(2)}, "6 targets but 2 rows of elapsed_s"),
    ({"inputs": {"emg": np.zeros((4, 3, 2))}}, "6 targets but 4 rows of emg"),
    ({"feature_names": ("one", "two")}, r"features of shape \(6, 1\) with 2 names"),
    ({"features": np.zeros(6)}, r"features of shape \(6,\) with 1 names"),
    ({"inputs": {"eda": np.zeros((6, 4))}}, r"'eda' must be finite and of shape \(n, T, C\); it is of shape \(6, 4\)"),
    ({"inputs": {"eda": np.full((6, 4, 1), np.nan)}}, "'eda' must be finite"),
])
def test_parts_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        replace(made(), **change)


@pytest.mark.parametrize("more", [{"kind": "rank"}, {"kind": "classes"}, {"kind": "classes", "labels": ("a",), "values": (0.0,)},
                                  {"kind": "classes", "labels": ("a", "b"), "values": (0.0,)}])
def test_a_question_that_makes_no_sense_is_refused(more):
    with pytest.raises(ModelError, match="a task is of classes or score, not 'rank'|two or more classes with a value"):
        TaskInfo(**TWO, **more)


def test_a_score_has_no_classes():
    assert TaskInfo(**TWO, kind="score").classes == 0
    assert TaskInfo(**TWO, kind="classes", labels=("a", "b"), values=(None, None)).classes == 2
