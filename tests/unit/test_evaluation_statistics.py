"""Comparisons of models and groups: SciPy's p values, the papers' effect sizes, and no p from too few people."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.unit.test_evaluation_metrics import class_outcome, score_outcome

from nociband.errors import ModelError
from nociband.evaluation import statistics
from nociband.evaluation.metrics import Outcome, judge, point

pytest.importorskip("sklearn")


def better_and_worse(people=20, windows=12, gain=0.15, seeds=3):
    """Two models on the same windows, the first right more often by `gain`."""
    rng = np.random.default_rng(2)
    subjects, truth = np.repeat([f"{k:02d}" for k in range(people)], windows), np.tile([0, 1, 2], people * windows // 3)
    made = []
    for rate in (0.5 + gain, 0.5):
        right = rng.random((seeds, len(truth))) < rate
        made.append(Outcome(np.eye(3)[np.where(right, truth, (truth + 1) % 3)], truth, subjects, ("a", "b", "c")))
    return made


def test_the_difference_is_that_of_the_pooled_metric_on_the_same_draws():
    a, b = better_and_worse()
    found = statistics.paired(a, b, "accuracy")
    difference = found["difference"]
    assert difference["mean"] == pytest.approx(point(a, "accuracy") - point(b, "accuracy"), abs=1e-4)
    assert len(difference["per_seed"]) == 3 and found["excludes_zero"] is True and 0 < difference["low"] < difference["high"]
    same = statistics.paired(a, a, "accuracy")
    assert same["difference"]["low"] == same["difference"]["high"] == 0.0 and same["excludes_zero"] is False
    back = statistics.paired(b, a, "accuracy")
    assert back["difference"]["low"] == -difference["high"] and back["wilcoxon"]["p"] == found["wilcoxon"]["p"]
    assert back["wilcoxon"]["rank_biserial"] == -found["wilcoxon"]["rank_biserial"]


def test_pairing_narrows_the_interval_where_people_differ():
    """Both models find the same people hard: the difference is known far better than either figure."""
    rng = np.random.default_rng(0)
    subjects, truth = np.repeat([f"{k:02d}" for k in range(20)], 50), np.tile([0, 1], 500)
    level = np.repeat(rng.uniform(0.3, 0.95, 20), 50)
    draw = rng.random(1000)
    a, b = (Outcome(np.eye(2)[np.where(draw < level + more, truth, 1 - truth)][None], truth, subjects, ("a", "b"))
            for more in (0.05, 0))
    found, own = statistics.paired(a, b, "accuracy")["difference"], judge(a)["accuracy"]
    assert found["high"] - found["low"] < 0.3 * (own["high"] - own["low"]) and found["low"] > 0


def test_models_with_other_numbers_of_seeds_are_compared_by_their_means():
    a, b = better_and_worse()
    once = Outcome(b.runs[:1], b.target, b.subjects, b.labels)
    found = statistics.paired(a, once, "macro_f1")["difference"]
    assert found["per_seed"] is None and found["mean"] == pytest.approx(point(a, "macro_f1") - point(once, "macro_f1"), abs=1e-4)


def test_other_windows_are_not_compared():
    a, b = better_and_worse()
    with pytest.raises(ModelError, match="the same windows in the same order"):
        statistics.paired(a, b.where(np.arange(len(b.target))[::-1]), "accuracy")


def test_signed_ranks_agree_with_scipy_and_the_effect_with_its_definition():
    d = np.random.default_rng(3).normal(0.4, 1, 25)
    found = statistics.wilcoxon(np.append(d, [0.0, np.nan]))
    expected = stats.wilcoxon(np.round(d, 12))
    assert (found["p"], found["statistic"]) == (expected.pvalue, expected.statistic)
    assert (found["n"], found["n_nonzero"]) == (26, 25)
    ranks = stats.rankdata(np.abs(d))
    assert found["rank_biserial"] == pytest.approx((ranks[d > 0].sum() - ranks[d < 0].sum()) / ranks.sum(), abs=1e-4)
    assert statistics.wilcoxon(np.abs(d))["rank_biserial"] == 1.0


def test_rounding_noise_is_no_difference():
    """0.1 + 0.2 against 0.3: people for whom two models are equal must not be ranked by the last bit."""
    noise = np.array([0.1 + 0.2 - 0.3] * 10)
    assert (noise != 0).all()
    assert statistics.wilcoxon(noise)["n_nonzero"] == 0


@pytest.mark.parametrize("differing, tested", [(0, False), (5, False), (6, True)])
def test_too_few_differing_people_give_no_p(differing, tested):
    found = statistics.wilcoxon(np.concatenate([np.arange(1, differing + 1.0), np.zeros(4)]))
    assert (found["p"] is not None) == tested
    assert ("reason" in found) != tested and found["n"] == differing + 4
    if not tested:
        assert found["reason"] == f"{differing} people differ; the test needs 6"
    assert statistics.wilcoxon(np.full(3, np.nan))["median_difference"] is None


def test_mann_whitney_agrees_with_scipy_and_pairs_counted_by_hand():
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 12, 9) / 12, rng.integers(3, 13, 14) / 12
    found, expected = statistics.mann_whitney(a, b), stats.mannwhitneyu(a, b)
    assert found["u"] == expected.statistic and found["p"] == expected.pvalue and found["n"] == [9, 14]
    above, below = (a[:, None] > b).mean(), (a[:, None] < b).mean()
    assert found["cliffs_delta"] == pytest.approx(above - below, abs=1e-4)
    assert found["common_language"] == pytest.approx(above + (a[:, None] == b).mean() / 2, abs=1e-4)
    few = statistics.mann_whitney(a[:4], b)
    assert few["p"] is None and few["reason"] == "groups of 4 and 14 people; the test needs 5 in each" and few["u"] is not None
    assert statistics.mann_whitney(np.array([]), b)["medians"][0] is None


def test_holm_by_hand():
    """Four p values (Holm 1979): times 4, 3, 2, 1 in their order, never less than the one before."""
    found = statistics.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found["m"] == 4 and found["p"] == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert statistics.holm({"a": 0.01, "b": None})["p"] == {"a": 0.02, "b": None}  # what was planned counts
    assert statistics.holm({}) == {"method": "holm", "m": 0, "p": {}}


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_none_and_bonferroni_and_keeps_the_order(p):
    found = statistics.holm({str(i): v for i, v in enumerate(p)})["p"]
    adjusted = [found[str(i)] for i in range(len(p))]
    assert all(v <= a <= min(1, len(p) * v) + 1e-12 for v, a in zip(p, adjusted, strict=True))
    assert all(x <= y for _, x, _, y in [(p[i], adjusted[i], p[j], adjusted[j]) for i in range(len(p)) for j in range(len(p))
                                         if p[i] < p[j]])


def test_one_model_against_all_others():
    a, b = better_and_worse()
    c = better_and_worse(gain=0.0)[0]
    found = statistics.compare({"s0": a, "logreg": b, "svm": c}, "s0", "balanced_accuracy", 500)
    assert found["m"] == 2 and found["correction"] == "holm" and set(found["pairs"]) == {"logreg", "svm"}
    p = [pair["wilcoxon"]["p"] for pair in found["pairs"].values()]
    adjusted = [pair["wilcoxon"]["p_holm"] for pair in found["pairs"].values()]
    assert sorted(adjusted)[0] == pytest.approx(2 * min(p)) and sorted(adjusted)[1] == pytest.approx(max(2 * min(p), max(p)))
    json.dumps(found, allow_nan=False)
    with pytest.raises(ModelError, match="no outcome of 's1'; there are: s0"):
        statistics.compare({"s0": a}, "s1", "accuracy")


def verdict(mean, low, high, better="higher", metric="auroc"):
    pair = {"metric": metric, "better": better, "difference": {"mean": mean, "low": low, "high": high}}
    return statistics.non_inferiority(pair, 0.03, "s0", "svm")


@pytest.mark.parametrize("mean, low, high, expected, words", [
    (0.05, 0.01, 0.09, (True, True, True), "better, and the interval excludes 0"),
    (0.01, -0.02, 0.04, (True, True, False), "not worse by more than 0.03, the whole interval included"),
    (-0.03, -0.08, 0.02, (True, False, False), "as estimated, but the interval does not exclude it"),
    (-0.031, -0.08, 0.02, (False, False, False), "worse by more than 0.03 as estimated"),
    (0.02, None, None, (True, None, None), "no interval"), (None, None, None, (None, None, None), "is undefined"),
])
def test_not_worse_by_more_than_a_margin(mean, low, high, expected, words):
    found = verdict(mean, low, high)
    assert (found["point"], found["interval"], found["better"]) == expected and words in found["statement"]
    if mean is not None:  # of a metric in which less is better the same holds with the signs turned
        turned = verdict(-mean, None if high is None else -high, None if low is None else -low, "lower", "mae")
        assert (turned["point"], turned["interval"], turned["better"]) == expected and turned["gain"] == found["gain"]


def test_a_margin_and_a_direction_are_needed():
    pair = {"metric": "bland_altman_bias", "better": "zero", "difference": {"mean": 0, "low": 0, "high": 0}}
    with pytest.raises(ModelError, match="higher or lower is better"):
        statistics.non_inferiority(pair, 0.03)
    with pytest.raises(ModelError, match="margin above 0"):
        statistics.non_inferiority(pair | {"better": "higher"}, 0)


def test_the_best_baseline_by_the_metrics_direction():
    a, b = better_and_worse()
    judged = {"x": judge(a, 50), "y": judge(b, 50)}
    assert statistics.best(judged, "accuracy", ("x", "y")) == "x" and statistics.best(judged, "brier", ("y", "x")) == "x"
    undefined = {"x": {"auroc": {"mean": None}}}
    with pytest.raises(ModelError, match="no model among x has a value of auroc"):
        statistics.best(undefined, "auroc", ("x",))


def test_a_model_that_fails_one_group_of_people_is_found_out():
    outcome = score_outcome(people=20)
    worse = outcome.runs + 5.0 * np.isin(outcome.subjects, [f"{k:02d}" for k in range(8)])
    attributes = {f"{k:02d}": {"treatment": "drug" if k < 8 else "placebo"} for k in range(20)}
    found = statistics.between_groups(Outcome(worse, outcome.target, outcome.subjects), attributes, "treatment", "mae")
    pair = found["pairs"]["drug | placebo"]
    assert pair["cliffs_delta"] == 1.0 and pair["p_holm"] < 0.001 and found["m"] == 1
    fair = statistics.between_groups(outcome, attributes, "treatment", "mae")["pairs"]["drug | placebo"]
    assert fair["p"] > 0.05


def test_people_for_whom_a_metric_is_undefined_are_left_out_of_the_test():
    outcome = class_outcome(people=10, classes=2)
    one_class = outcome.where((outcome.subjects != "03") | (outcome.target == 0))
    other = Outcome(one_class.runs[:, :, ::-1], one_class.target, one_class.subjects, one_class.labels)
    found = statistics.paired(one_class, other, "auroc", 200)
    assert found["subjects"] == 10 and found["wilcoxon"]["n"] == 9
