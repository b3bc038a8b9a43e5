"""Where a model is right and where not: by person, by group of people, along thresholds and confidences, from sitting to sitting.

Takes an Outcome (nociband.evaluation.metrics), gives plain dicts for the report's plots and tables and for its JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nociband.evaluation.metrics import BINS, Outcome, bin_of, judge, rounded, summarise, undefined_reason, values
from nociband.training import metrics as formulas
from nociband.training.metrics import RESAMPLES, ratio

FEW = 5             # people; below it a group is counted but not judged
MANY_VALUES = 5     # distinct numbers; above it a numeric attribute is cut at its median
NOT_RECORDED = "not recorded"
_NOT_BY_PERSON = ("auroc_within_subject", "pearson_within_subject")


def per_subject(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """By subject: "windows" and each metric of that person's windows, mean over seeds; None where one is undefined."""
    one_each = np.eye(len(outcome.people), dtype=int)
    names = [name for name in outcome.metrics if name not in _NOT_BY_PERSON]
    found = {name: values(outcome, name, one_each).mean(axis=0) for name in names}
    return {who: {"windows": int(outcome.windows[i])} | {name: rounded(found[name][i]) for name in names}
            for i, who in enumerate(outcome.people)}


def roc(outcome: Outcome, points: int = 101) -> dict[str, dict[str, Any]]:
    """By label: ROC of that class against the rest as {"fpr", "tpr"}, all windows pooled, or a "reason" and no curve.

    `points` even steps of the false positive rate; the true positive rate is the mean over seeds at each (vertical averaging,
    Fawcett 2006). Of two classes the last, positive one alone. The curves are for the eye: the AUROC comes from the windows.
    """
    names = outcome.labels if len(outcome.labels) > 2 else outcome.labels[1:]
    grid, found = np.linspace(0, 1, points), dict[str, dict[str, Any]]()
    for k, label in enumerate(outcome.labels):
        positive = outcome.target == k
        if label not in names:
            continue
        if positive.all() or not positive.any() or not np.isfinite(outcome.runs).all():
            found[label] = {"fpr": None, "tpr": None, "reason": undefined_reason(outcome, "auroc")}
            continue
        heights = np.mean([_roc_at(grid, run[:, k], positive) for run in outcome.runs], axis=0)
        found[label] = {"fpr": [0.0, *map(rounded, grid)], "tpr": [0.0, *map(rounded, heights)]}
    return found


def _roc_at(grid: np.ndarray, score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(positive, score)
    return np.interp(grid, fpr, tpr)  # at a vertical step: its upper end


def calibration(outcome: Outcome) -> list[dict[str, Any]]:
    """The 15 bins of the calibration error: {"from", "to", "windows", "confidence", "accuracy"}.

    Top-class confidence against the share that is right, windows of all seeds pooled; "windows" is the mean a seed. Empty bins
    have None. A list of no bins for scores or outputs that are not finite.
    """
    if not outcome.labels or not np.isfinite(outcome.runs).all():
        return []
    top = outcome.runs.max(axis=2).ravel()
    right = (outcome.runs.argmax(axis=2) == outcome.target).ravel()
    number = bin_of(top)
    there, confidence, hits = (np.bincount(number, part, BINS) for part in (np.ones_like(top), top, right))
    confidence, share = ratio(confidence, there), ratio(hits, there)
    return [{"from": round(m / BINS, 4), "to": round((m + 1) / BINS, 4), "windows": round(there[m] / len(outcome.runs), 1),
             "confidence": rounded(confidence[m]), "accuracy": rounded(share[m])} for m in range(BINS)]


def bland_altman(outcome: Outcome) -> list[dict[str, Any]]:
    """A point a window: {"subject", "mean", "difference"} of the estimate (mean over seeds) and the score; [] for classes."""
    if outcome.labels or not np.isfinite(outcome.runs).all():
        return []
    estimate = outcome.runs.mean(axis=0)
    return [{"subject": str(who), "mean": rounded((x + y) / 2), "difference": rounded(x - y)}
            for who, x, y in zip(outcome.subjects, estimate, outcome.target, strict=True)]


def groups(people: tuple[str, ...], attributes: Mapping[str, Mapping[str, Any]], attribute: str) -> dict[str, tuple[str, ...]]:
    """People by the value of an attribute; numbers with more than 5 distinct values are cut at their median.

    Who has none (missing, None, NaN or empty) comes last, as "not recorded".
    """
    given = {who: attributes.get(who, {}).get(attribute) for who in people}
    known = {who: v for who, v in given.items() if v not in (None, "") and v == v}
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in known.values())
    if numeric and len(set(known.values())) > MANY_VALUES:
        middle = float(np.median(list(known.values())))
        named = {who: (f"up to {middle:g}" if v <= middle else f"above {middle:g}") for who, v in known.items()}
        order = [f"up to {middle:g}", f"above {middle:g}"]
    else:
        named = {who: str(v) for who, v in known.items()}
        order = [str(v) for v in (sorted(set(known.values())) if numeric else sorted(set(known.values()), key=str))]
    named |= {who: NOT_RECORDED for who in people if who not in known}
    found = {name: tuple(w for w in people if named[w] == name) for name in dict.fromkeys([*order, NOT_RECORDED])}
    return {name: members for name, members in found.items() if members}


def by_group(outcome: Outcome, attributes: Mapping[str, Mapping[str, Any]], attribute: str, resamples: int = RESAMPLES,
             seed: int = 0) -> list[dict[str, Any]]:
    """Each group judged on its own: {"attribute", "group", "subjects", "windows", "metrics"}.

    Below 5 people "metrics" is None and "reason" says so. Groups are described, not compared: see statistics.between_groups.
    """
    table = []
    for name, members in groups(outcome.people, attributes, attribute).items():
        part = outcome.where(np.isin(outcome.subjects, members))
        row: dict[str, Any] = {"attribute": attribute, "group": name, "subjects": len(members), "windows": len(part.target)}
        if len(members) < FEW:
            row |= {"metrics": None, "reason": f"too few: {len(members)} of the {FEW} people that an interval takes"}
        else:
            row["metrics"] = judge(part, resamples, seed)
        table.append(row)
    return table


def attribute_names(attributes: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Attributes that differ between people, in the order of their first mention: those worth a subgroup table.

    Not those that begin with "included": whom a study took in is its administration, and nothing of the person.
    """
    names = dict.fromkeys(name for of_one in attributes.values() for name in of_one if not name.startswith("included"))
    return tuple(n for n in names if len({str(of_one.get(n)) for of_one in attributes.values()} - {"None", "nan", ""}) > 1)


def retest(outcome: Outcome, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """ICC(2,1) of a person's mean output from sitting to sitting, over people who have two or more.

    {"subjects", "sittings", "icc": {label or "score": {"mean", "low", "high", ...}}}, or "icc" None and a "reason". The first
    sittings by name, as many as all these people have. Of classes the mean probability of each (of two: of the positive one).
    It takes what was felt as equal in all sittings: where it was not, the ICC is too low.
    """
    sittings = outcome.sittings
    if sittings is None:
        return {"subjects": 0, "sittings": 0, "icc": None, "reason": "the data set names no sittings"}
    of = {who: np.unique(sittings[outcome.subjects == who]).tolist() for who in outcome.people}
    of = {who: names for who, names in of.items() if len(names) > 1}
    found: dict[str, Any] = {"subjects": len(of), "sittings": min(map(len, of.values()), default=0), "icc": None}
    if len(of) < FEW:
        return found | {"reason": f"{len(of)} people have two sittings or more; {FEW} are needed"}
    if not np.isfinite(outcome.runs).all():
        return found | {"reason": undefined_reason(outcome, "icc")}
    rows = [[(outcome.subjects == who) & (sittings == name) for name in names[:found["sittings"]]] for who, names in of.items()]
    means = np.array([[[run[mask].mean(axis=0) for mask in masks] for masks in rows] for run in outcome.runs])
    draws = np.random.default_rng(seed).integers(len(of), size=(resamples, len(of)))
    if not outcome.labels:
        return found | {"icc": {"score": _icc_with_interval(means, draws)}}
    which = range(len(outcome.labels)) if len(outcome.labels) > 2 else (1,)
    return found | {"icc": {outcome.labels[k]: _icc_with_interval(means[..., k], draws) for k in which}}


def _icc_with_interval(means: np.ndarray, draws: np.ndarray) -> dict[str, Any]:
    """Of means (seeds, people, sittings) and indices of people (resamples, people)."""
    drawn = np.mean([formulas.icc_2_1(run[draws]) for run in means], axis=0)
    return summarise(formulas.icc_2_1(means), drawn, means.shape[1], "the outputs do not vary")
