"""By person, by group, along thresholds and from sitting to sitting."""

import numpy as np
import pytest
from tests.unit.test_evaluation_metrics import class_outcome, score_outcome

from nociband.evaluation import breakdowns
from nociband.evaluation.metrics import Outcome, judge, point
from nociband.training.metrics import icc_2_1

sk = pytest.importorskip("sklearn.metrics")


def test_each_person_is_judged_on_their_own_windows():
    outcome = class_outcome(seeds=3)
    each = breakdowns.per_subject(outcome)
    for who in outcome.people:
        alone = outcome.where(outcome.subjects == who)
        assert each[who]["windows"] == len(alone.target)
        assert each[who]["accuracy"] == pytest.approx(point(alone, "accuracy"), abs=1e-4)
    scores = breakdowns.per_subject(score_outcome())
    assert set(scores["00"]) == {"windows", "mae", "rmse", "pearson", "icc", "bland_altman_bias", "bland_altman_lower",
                                 "bland_altman_upper"}


@pytest.mark.parametrize("classes, curves", [(2, ["b"]), (3, ["a", "b", "c"])])
def test_the_roc_holds_the_area_that_is_reported(classes, curves):
    outcome = class_outcome(people=20, windows=40, classes=classes, seeds=2)
    found = breakdowns.roc(outcome, points=1001)
    assert list(found) == curves
    areas = []
    for curve in found.values():
        fpr, tpr = np.array(curve["fpr"]), np.array(curve["tpr"])
        assert (np.diff(fpr) >= 0).all() and (np.diff(tpr) >= 0).all() and (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
        areas.append(np.trapezoid(tpr, fpr) if hasattr(np, "trapezoid") else np.trapz(tpr, fpr))
    assert np.mean(areas) == pytest.approx(point(outcome, "auroc"), abs=0.005)


def test_a_class_that_never_comes_has_no_curve():
    outcome = class_outcome(classes=2)
    outcome = outcome.where(outcome.target == 0)
    assert breakdowns.roc(outcome) == {"b": {"fpr": None, "tpr": None, "reason": "needs windows of two classes"}}


def test_calibration_bins_hold_the_error_that_is_reported():
    outcome = class_outcome(people=20, windows=40, seeds=1)
    bins = [b for b in breakdowns.calibration(outcome) if b["windows"]]
    error = sum(b["windows"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / sum(b["windows"] for b in bins)
    assert error == pytest.approx(point(outcome, "ece"), abs=1e-4)
    assert breakdowns.calibration(score_outcome()) == []


def test_bland_altman_points_hold_the_bias():
    outcome = score_outcome()
    points = breakdowns.bland_altman(outcome)
    assert len(points) == len(outcome.target)
    assert np.mean([p["difference"] for p in points]) == pytest.approx(point(outcome, "bland_altman_bias"), abs=1e-3)
    assert breakdowns.bland_altman(class_outcome()) == []


ATTRIBUTES = {f"{k:02d}": {"treatment": "oxazepam" if k < 7 else "placebo", "age": 20 + k, "sex": "f" if k < 2 else "m"}
              for k in range(11)}  # nothing is known of the twelfth


def test_groups_are_judged_on_their_own_people_or_only_counted():
    outcome = class_outcome()
    drug, placebo, unknown = breakdowns.by_group(outcome, ATTRIBUTES, "treatment", 200)
    assert [(g["group"], g["subjects"]) for g in (drug, placebo, unknown)] == \
        [("oxazepam", 7), ("placebo", 4), ("not recorded", 1)]
    assert drug["metrics"] == judge(outcome.where(np.isin(outcome.subjects, outcome.people[:7])), 200)
    assert placebo["metrics"] is None and placebo["reason"] == "too few: 4 of the 5 people that an interval takes"
    assert sum(g["windows"] for g in (drug, placebo, unknown)) == len(outcome.target)


def test_numbers_are_cut_at_their_median_when_they_are_many():
    people = tuple(f"{k:02d}" for k in range(12))
    assert {g: len(who) for g, who in breakdowns.groups(people, ATTRIBUTES, "age").items()} == \
        {"up to 25": 6, "above 25": 5, "not recorded": 1}
    wave = {who: {"wave": 10 if k % 2 else 9} for k, who in enumerate(people)}
    assert list(breakdowns.groups(people, wave, "wave")) == ["9", "10"]  # few numbers: each is a group, in their order
    missing = {who: {"age": float("nan")} for who in people}
    assert breakdowns.groups(people, missing, "age") == {"not recorded": people}


def test_attributes_that_tell_people_apart():
    same = {who: of | {"country": "SE"} for who, of in ATTRIBUTES.items()}
    assert breakdowns.attribute_names(same) == ("treatment", "age", "sex")
    administered = {who: {"included_ep": "yes" if k % 2 else "no"} | of for k, (who, of) in enumerate(same.items())}
    assert breakdowns.attribute_names(administered) == ("treatment", "age", "sex")


def sittings_of(noise: float, classes: int = 0, sittings: int = 2, people: int = 60) -> Outcome:
    """Six windows a sitting; a person's level (variance 0.03 between people) is the same in all of them, but for noise."""
    rng = np.random.default_rng(1)
    subjects = np.repeat([f"{k:02d}" for k in range(people)], 6 * sittings)
    names = np.tile(np.repeat([f"s{k}" for k in range(sittings)], 6), people)
    level = np.repeat(rng.uniform(0.2, 0.8, people), 6 * sittings) + noise * np.repeat(rng.normal(size=people * sittings), 6)
    if not classes:
        return Outcome(level[None], level, subjects, (), names)
    level = np.clip(level, 0, 1)
    return Outcome(np.stack([1 - level, level], axis=1)[None], np.arange(len(level)) % 2, subjects, ("no", "yes"), names)


def test_retest_is_the_icc_of_the_sittings_means():
    steady, shaky = (breakdowns.retest(sittings_of(noise), 500) for noise in (0.02, np.sqrt(0.03)))
    assert (steady["subjects"], steady["sittings"]) == (60, 2) and steady["icc"]["score"]["mean"] > 0.95
    assert shaky["icc"]["score"]["low"] < 0.5 < shaky["icc"]["score"]["high"] < 0.8  # as much noise as there is between people
    outcome = sittings_of(0.1, classes=2, sittings=3)
    means = np.array([[outcome.runs[0, (outcome.subjects == who) & (outcome.sittings == s), 1].mean() for s in ("s0", "s1", "s2")]
                      for who in outcome.people])
    found = breakdowns.retest(outcome, 100)
    assert found["sittings"] == 3 and found["icc"]["yes"]["mean"] == pytest.approx(icc_2_1(means), abs=1e-4)


def test_retest_takes_the_sittings_that_all_returning_people_have():
    outcome = sittings_of(0.1, sittings=3, people=10)
    once, twice = (outcome.subjects == "00") & (outcome.sittings != "s0"), (outcome.subjects == "01") & (outcome.sittings == "s1")
    found = breakdowns.retest(outcome.where(~(once | twice)), 100)
    assert (found["subjects"], found["sittings"]) == (9, 2) and found["icc"]["score"]["mean"] is not None


def test_without_a_second_sitting_there_is_no_retest():
    once = class_outcome()
    assert breakdowns.retest(once) == \
        {"subjects": 0, "sittings": 0, "icc": None, "reason": "the data set names no sittings"}
    named = Outcome(once.runs, once.target, once.subjects, once.labels, once.subjects)
    assert breakdowns.retest(named)["reason"] == "0 people have two sittings or more; 5 are needed"
