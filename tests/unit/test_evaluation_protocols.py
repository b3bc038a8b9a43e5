"""Protocols divide people, never windows: nobody is judged by a model that was fitted on them."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nociband.errors import ModelError
from nociband.evaluation.protocols import Fold, each_judged_once, folds, inner_folds
from nociband.signals import datasets, fmov
from nociband.training.examples import Examples

PEOPLE = tuple(f"{k:02d}" for k in range(27))
pytest.importorskip("sklearn")
NAMES = st.sets(st.text("abcxyz0189-_", min_size=1, max_size=4), min_size=2, max_size=40)


def windows(subjects, copies: int = 2) -> Examples:
    """A window of each name in `subjects` and `copies` augmented ones, in a mixed order."""
    rows = np.random.default_rng(0).permutation(len(subjects) * (copies + 1))
    names, draw = np.tile(np.array(subjects), copies + 1)[rows], np.repeat(np.arange(copies + 1), len(subjects))[rows]
    n = len(names)
    return Examples({"eda": np.zeros((n, 3, 1), np.float32)}, np.zeros((n, 1)), ("level",), np.arange(n) % 2, names, names, draw)


def check_sides(made, examples: Examples) -> None:
    """Windows, not names: what a fold hands to the fit holds nobody of whom the judge gets a window, and the judge no copies."""
    for fold in made:
        train, test = fold.sides(examples)
        assert not set(train.subjects.tolist()) & set(test.subjects.tolist())
        assert (test.draw == 0).all() and (train.draw > 0).any()


@settings(max_examples=50, deadline=None)
@given(NAMES, st.integers(0, 2**31))
def test_loso_judges_everyone_once_on_all_others(people, seed):
    made = folds(people, "loso", seed)
    assert [fold.test for fold in made] == [(who,) for who in sorted(people)] and [f.name for f in made] == sorted(people)
    assert all(set(fold.train) == people - set(fold.test) for fold in made)
    check_sides(made, windows(sorted(people)))


@settings(max_examples=50, deadline=None)
@given(NAMES, st.data(), st.integers(0, 2**31))
def test_kfold_judges_everyone_once_in_folds_of_one_size(people, data, seed):
    k = data.draw(st.integers(2, len(people)))
    made = folds(people, f"kfold:{k}", seed)
    assert sorted(who for fold in made for who in fold.test) == sorted(people)
    assert all(set(fold.train) == people - set(fold.test) for fold in made)
    sizes = [len(fold.test) for fold in made]
    assert len(made) == k and max(sizes) - min(sizes) <= 1
    assert folds(reversed(sorted(people)), f"kfold:{k}", seed) == made
    check_sides(made, windows(sorted(people)))


@settings(max_examples=50, deadline=None)
@given(NAMES, st.floats(0.01, 0.99), st.integers(0, 2**31))
def test_holdout_takes_the_share(people, share, seed):
    (fold,) = folds(people, f"holdout:{share}", seed)
    assert set(fold.train) | set(fold.test) == people and set(fold.train) & set(fold.test) == set()
    assert abs(len(fold.test) - share * len(people)) <= 1


def test_seeds_draw_other_folds_and_defaults_are_as_documented():
    assert folds(PEOPLE, "kfold:5", 0) != folds(PEOPLE, "kfold:5", 1)
    assert folds(PEOPLE, "holdout", 0) != folds(PEOPLE, "holdout", 1)
    assert len(folds(PEOPLE, "holdout")[0].test) == 7  # a quarter of 27
    assert [f.words for f in folds(["a", "b"], "loso")] == ["fold 'a'", "fold 'b'"]
    assert {f.words == f.name for p in ("kfold:3", "holdout", "holdout:@00") for f in folds(PEOPLE, p)} == {True}
    assert [f.name for f in folds(PEOPLE, "kfold:3")] == ["fold 1 of 3", "fold 2 of 3", "fold 3 of 3"]


def test_named_people_are_held_out():
    (fold,) = folds(PEOPLE, "holdout:@03, 11")
    assert fold.test == ("03", "11") and len(fold.train) == 25
    with pytest.raises(ModelError, match="ghost cannot be held out; there are 00, 01"):
        folds(PEOPLE, "holdout:@03,ghost")
    with pytest.raises(ModelError, match="no person to train"):
        folds(("a", "b"), "holdout:@a,b")


def test_nested_folds_stay_within_the_training_people():
    for outer in folds(PEOPLE, "loso"):
        inner = inner_folds(outer.train, 3, seed=4)
        each_judged_once(inner, outer.train)
        assert all(not set(outer.test) & {*fold.train, *fold.test} for fold in inner)
    assert len(inner_folds(("a", "b"), 5)) == 2
    with pytest.raises(ModelError, match="1 people are too few"):
        inner_folds(("a",), 3)
    with pytest.raises(ModelError, match="2 or more inner folds"):
        inner_folds(PEOPLE, 1)


@pytest.fixture(scope="module")
def recorded() -> Examples:
    """A window of each clip that each of FMOV's people watched."""
    return windows([recording.subject for recording in fmov.load() for _ in recording.events])


@pytest.mark.slow
@pytest.mark.skipif("NOCIBAND_DATA" not in os.environ or not datasets.available("oxazepam_fmov"),
                    reason="set NOCIBAND_DATA to the folder of real recordings")
@pytest.mark.parametrize("protocol", ["loso", "kfold:5", "holdout:0.3", "holdout:@24"])
def test_people_of_real_recordings_stand_on_one_side(protocol, recorded):
    made = folds(recorded, protocol)
    assert len(recorded.people) == 28 and len(recorded.plain()) == 28 * 12
    check_sides(made, recorded)
    if protocol in ("loso", "kfold:5"):
        each_judged_once(made, recorded.people)
        assert sum(len(fold.sides(recorded)[1]) for fold in made) == 28 * 12


def test_a_leak_is_refused_not_reported():
    """Mutations of a sound split: each must be caught where a Fold is made, or where folds are checked together."""
    sound = folds(PEOPLE, "kfold:5")[0]
    with pytest.raises(ModelError, match=f"{sound.train[3]} would be judged by a model that was trained on them"):
        Fold(0, "leaks", sound.train, (*sound.test, sound.train[3]))
    with pytest.raises(ModelError, match="stands twice in train"):
        Fold(0, "twice", (*sound.train, sound.train[0]), sound.test)
    for train, test in (((), ("a",)), (("a",), ())):
        with pytest.raises(ModelError, match="no person to"):
            Fold(0, "empty", train, test)


def test_folds_that_miss_or_repeat_someone_are_refused():
    made = folds(PEOPLE, "loso")
    with pytest.raises(ModelError, match="not judged exactly once: 05"):
        each_judged_once(made[:5] + made[6:], PEOPLE)
    with pytest.raises(ModelError, match="not judged exactly once: 05"):
        each_judged_once((*made, made[5]), PEOPLE)
    with pytest.raises(ModelError, match="not judged exactly once: 26"):
        each_judged_once(made, PEOPLE[:26])


def test_a_fold_whose_people_have_no_window_says_so():
    with pytest.raises(ModelError, match="the people to test have no window"):
        Fold(0, "x", ("a",), ("z",)).sides(windows(["a", "b"]))


@pytest.mark.parametrize("protocol, message", [
    ("lopo", "unknown protocol 'lopo'; known are: loso"), ("kfold", "unknown protocol"), ("kfold:x", "unknown protocol"),
    ("loso:3", "unknown protocol"), ("", "unknown protocol"), ("kfold:1", "1 folds of 27 people cannot be made"),
    ("kfold:28", "give 2 to 27 folds"), ("holdout:half", "'half' is not a share"), ("holdout:1.5", "lies between 0 and 1"),
    ("holdout:nan", "lies between 0 and 1"), ("holdout:@", "names nobody to hold out"),
])
def test_what_is_no_protocol_is_said(protocol, message):
    with pytest.raises(ModelError, match=message):
        folds(PEOPLE, protocol)


def test_one_person_cannot_be_divided():
    with pytest.raises(ModelError, match="too few to train on some and judge on others"):
        folds(["a", "a"], "loso")
    assert folds([1, 2], "loso")[0].test == ("1",)
