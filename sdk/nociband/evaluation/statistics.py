"""Is one model better than another, on these people? Paired tests, effect sizes, correction, non-inferiority.

Takes Outcomes of models on the same windows (nociband.evaluation.metrics), gives plain dicts for the report and its JSON. People
are the units throughout: tests are on one value a person, intervals on people drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nociband.errors import ModelError
from nociband.evaluation.breakdowns import FEW, groups
from nociband.evaluation.metrics import METRICS, Outcome, rounded, summarise, undefined_reason, values
from nociband.training.metrics import RESAMPLES, draw_people

LEAST_DIFFERENCES = 6   # non-zero ones; with 5 the smallest two-sided p of the signed-rank test is 0.0625
DIGITS = 12             # differences that are equal but for rounding of sums are ties


def wilcoxon(differences: np.ndarray) -> dict[str, Any]:
    """Wilcoxon signed-rank test of one difference a person, two-sided (Wilcoxon 1945), zeros left out.

    {"p", "statistic", "n" (people), "n_nonzero", "rank_biserial", "median_difference"}. rank_biserial: matched-pairs
    rank-biserial correlation (Kerby 2014), (sum of positive ranks - sum of negative) / sum of all, 1 when all are positive. NaN
    differences (undefined for a person) are left out. Fewer than 6 non-zero ones: p None and a "reason".
    """
    from scipy import stats

    there = np.round(differences[~np.isnan(differences)], DIGITS)
    some = there[there != 0]
    found: dict[str, Any] = {"p": None, "statistic": None, "n": len(there), "n_nonzero": len(some), "rank_biserial": None,
                             "median_difference": rounded(np.median(there)) if len(there) else None}
    if len(some):
        ranks = stats.rankdata(np.abs(some))
        found["rank_biserial"] = rounded((ranks * np.sign(some)).sum() / ranks.sum())
    if len(some) < LEAST_DIFFERENCES:
        return found | {"reason": f"{len(some)} people differ; the test needs {LEAST_DIFFERENCES}"}
    result = stats.wilcoxon(some)
    return found | {"p": float(result.pvalue), "statistic": float(result.statistic)}


def mann_whitney(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """Mann-Whitney U test of two groups of people, one value each, two-sided (Mann and Whitney 1947).

    {"p", "u", "n": [n_a, n_b], "cliffs_delta", "common_language", "medians"}. common_language: the chance that one of `a` is
    above one of `b`, ties half (McGraw and Wong 1992); cliffs_delta = 2 * that - 1 (Cliff 1993). NaN are left out. Fewer than
    5 in a group: p None and a "reason".
    """
    from scipy import stats

    a, b = (np.round(v[~np.isnan(v)], DIGITS) for v in (a, b))
    found: dict[str, Any] = {"p": None, "u": None, "n": [len(a), len(b)], "cliffs_delta": None, "common_language": None,
                             "medians": [rounded(np.median(v)) if len(v) else None for v in (a, b)]}
    if len(a) and len(b):
        result = stats.mannwhitneyu(a, b, alternative="two-sided")
        chance = result.statistic / (len(a) * len(b))
        found |= {"u": float(result.statistic), "common_language": rounded(chance), "cliffs_delta": rounded(2 * chance - 1)}
    if min(len(a), len(b)) < FEW:
        return found | {"reason": f"groups of {len(a)} and {len(b)} people; the test needs {FEW} in each"}
    return found | {"p": float(result.pvalue)}


def holm(p: Mapping[str, float | None]) -> dict[str, Any]:
    """Adjust p values for their number by Holm's step-down procedure (Holm 1979): {"method", "m", "p": {name: adjusted}}.

    m counts every planned comparison, also those whose p is None: it was meant to be tested, and leaving it out would make the
    others look better.
    """
    m, reached = len(p), 0.0
    adjusted: dict[str, float | None] = dict.fromkeys(p)
    for place, (name, value) in enumerate(sorted(((n, v) for n, v in p.items() if v is not None), key=lambda item: item[1])):
        reached = max(reached, min(1.0, (m - place) * value))
        adjusted[name] = reached
    return {"method": "holm", "m": m, "p": adjusted}


def paired(a: Outcome, b: Outcome, metric: str, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """Model a against model b on the same windows: a minus b.

    {"metric", "better", "subjects", "difference": {"mean", "low", "high", "per_seed", ...}, "excludes_zero", "wilcoxon"}.
    difference: of the pooled metric, mean over seeds of each model, with the percentile bootstrap over people; both models are
    judged on the same draws. wilcoxon: on the metric of each person, mean over seeds. The two may disagree: the first weighs
    windows, the second people. Raises ModelError when the windows are not the same.
    """
    _same_windows(a, b)
    everyone = np.ones((1, len(a.people)), int)
    weights = np.concatenate([everyone, draw_people(len(a.people), resamples, seed)])
    both = [values(model, metric, weights) for model in (a, b)]
    drawn = both[0].mean(axis=0) - both[1].mean(axis=0)
    same_seeds = len(both[0]) == len(both[1])
    per_seed = both[0][:, 0] - both[1][:, 0] if same_seeds else drawn[:1]
    broken = next((model for model, v in zip((a, b), both, strict=True) if np.isnan(v[:, 0]).any()), a)
    difference = summarise(per_seed, drawn[1:], len(a.people), undefined_reason(broken, metric))
    if not same_seeds:  # one model needs no seeds: there is no difference a seed
        difference |= {"per_seed": None, "sd_seeds": None}
    low, high = difference["low"], difference["high"]
    return {"metric": metric, "better": METRICS[metric].better, "subjects": len(a.people), "difference": difference,
            "excludes_zero": None if low is None else bool(low > 0 or high < 0),
            "wilcoxon": wilcoxon(_each(a, metric) - _each(b, metric))}


def _each(outcome: Outcome, metric: str) -> np.ndarray:
    return values(outcome, metric, np.eye(len(outcome.people), dtype=int)).mean(axis=0)


def _same_windows(a: Outcome, b: Outcome) -> None:
    same = a.labels == b.labels and np.array_equal(a.subjects, b.subjects) and np.array_equal(a.target, b.target)
    if not same:
        raise ModelError("models are compared on the same windows in the same order only: judge both on the same folds")


def compare(outcomes: Mapping[str, Outcome], reference: str, metric: str, resamples: int = RESAMPLES,
            seed: int = 0) -> dict[str, Any]:
    """`reference` against every other model: {"metric", "reference", "correction", "m", "pairs": {other: paired(...)}}.

    Each pair's "wilcoxon" gains "p_holm", adjusted for all of them. Raises ModelError for an unknown reference.
    """
    if reference not in outcomes:
        raise ModelError(f"no outcome of {reference!r}; there are: {', '.join(outcomes)}")
    pairs = {name: paired(outcomes[reference], other, metric, resamples, seed)
             for name, other in outcomes.items() if name != reference}
    adjusted = holm({name: pair["wilcoxon"]["p"] for name, pair in pairs.items()})
    for name, pair in pairs.items():
        pair["wilcoxon"]["p_holm"] = adjusted["p"][name]
    return {"metric": metric, "reference": reference, "correction": adjusted["method"], "m": adjusted["m"], "pairs": pairs}


def best(judged: Mapping[str, Mapping[str, Any]], metric: str, among: Sequence[str]) -> str:
    """The model of `among` whose metric (of metrics.judge) is best. Raises ModelError when none has a value."""
    known = [(judged[name][metric]["mean"], name) for name in among if judged[name][metric]["mean"] is not None]
    if not known:
        raise ModelError(f"no model among {', '.join(among) or 'none'} has a value of {metric}")
    pick = max if METRICS[metric].better == "higher" else min
    extreme = pick(value for value, _ in known)
    return next(name for value, name in known if value == extreme)


def non_inferiority(pair: Mapping[str, Any], margin: float, model: str = "the model",
                    against: str = "the other") -> dict[str, Any]:
    """Verdicts on "not worse by more than `margin`" and on "better", from the result of `paired`.

    {"metric", "model", "against", "margin", "difference", "gain", "point", "interval", "better", "statement"}. gain: the
    difference with its sign turned so that more is better. point: the estimate itself is within the margin; interval: the whole
    95% interval is, which is what "shown to be non-inferior" means; better: the interval lies above 0. None where there is no
    interval. Naming the best of several as `against` favours it by chance, so the verdict is hard on `model`, not soft. Raises
    ModelError for a margin that is none and a metric without a direction.
    """
    if not margin > 0 or pair["better"] not in ("higher", "lower"):
        raise ModelError("non-inferiority needs a margin above 0 and a metric in which higher or lower is better")
    found, sign = pair["difference"], 1 if pair["better"] == "higher" else -1
    gain = {key: None if found[key] is None else sign * found[key] for key in ("mean", "low", "high")}
    if sign < 0:
        gain["low"], gain["high"] = gain["high"], gain["low"]
    mean, low = gain["mean"], gain["low"]
    verdict = {"point": None if mean is None else bool(mean >= -margin),
               "interval": None if low is None else bool(low >= -margin), "better": None if low is None else bool(low > 0)}
    return {"metric": pair["metric"], "model": model, "against": against, "margin": margin, "difference": dict(found),
            "gain": gain, **verdict, "statement": _statement(pair["metric"], model, against, margin, gain, verdict)}


def _statement(metric: str, model: str, against: str, margin: float, gain: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    if gain["mean"] is None:
        return f"{METRICS[metric].title} of {model} against {against} is undefined."
    span = "no interval" if gain["low"] is None else f"95% interval {gain['low']:+.3f} to {gain['high']:+.3f}"
    if verdict["better"]:
        words = "better, and the interval excludes 0"
    elif verdict["interval"]:
        words = f"not worse by more than {margin:g}, the whole interval included"
    elif verdict["point"]:
        words = f"not worse by more than {margin:g} as estimated, but the interval does not exclude it"
    else:
        words = f"worse by more than {margin:g} as estimated"
    return f"{METRICS[metric].title}: {model} gains {gain['mean']:+.3f} on {against} ({span}): {words}."


def between_groups(outcome: Outcome, attributes: Mapping[str, Mapping[str, Any]], attribute: str, metric: str) -> dict[str, Any]:
    """Does the model do better for some people than for others? Mann-Whitney of each two groups, one value a person, Holm.

    {"attribute", "metric", "correction", "m", "pairs": {"A | B": mann_whitney(...) with "p_holm"}}; exploratory.
    """
    each = dict(zip(outcome.people, _each(outcome, metric), strict=True))
    parts = {name: np.array([each[who] for who in members])
             for name, members in groups(outcome.people, attributes, attribute).items()}
    names = list(parts)
    pairs = {f"{x} | {y}": mann_whitney(parts[x], parts[y]) for i, x in enumerate(names) for y in names[i + 1:]}
    adjusted = holm({name: pair["p"] for name, pair in pairs.items()})
    for name, pair in pairs.items():
        pair["p_holm"] = adjusted["p"][name]
    return {"attribute": attribute, "metric": metric, "correction": adjusted["method"], "m": adjusted["m"], "pairs": pairs}
