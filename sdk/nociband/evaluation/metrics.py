"""How good a model is on people it never saw, with intervals over people.

Takes the out-of-fold outputs of one model (an Outcome: one run a seed, on the same windows), gives plain dicts for the report and
its JSON. Formulas are those of nociband.training.metrics, worked out from sums a person, so that 2000 bootstrap samples of people
cost one matrix product. Definitions in words: docs/evaluation.md. Curves and subgroups: breakdowns; comparisons: statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nociband.errors import ModelError
from nociband.training import metrics as formulas
from nociband.training.examples import KINDS
from nociband.training.metrics import RESAMPLES, draw_people, mean_defined, ratio

BINS = 15           # of the calibration error, as in Guo et al. 2017
SUM_TOLERANCE = 1e-3
DEFINED_SHARE = 0.9  # of the bootstrap samples in which a metric must be defined for an interval to be given
NO_INTERVAL_ONE = "no interval: it is over people, and there is only one"
NO_INTERVAL_RARE = "no interval: undefined in more than 10% of the bootstrap samples"
NOTE_BIASED = "the interval leaves the estimate out: drawing people twice adds to the bias of this metric"


@dataclass(frozen=True)
class Metric:
    """What a metric is called, for which kind of task, and in which direction it is better ("higher", "lower", "zero", "")."""

    kind: str
    title: str
    better: str
    undefined: str


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric("classes", "Accuracy", "higher", "no windows"),
    "balanced_accuracy": Metric("classes", "Balanced accuracy", "higher", "no windows"),
    "macro_f1": Metric("classes", "Macro-F1", "higher", "no windows"),
    "sensitivity": Metric("classes", "Sensitivity", "higher", "no window of the positive class"),
    "specificity": Metric("classes", "Specificity", "higher", "no window of another class"),
    "auroc": Metric("classes", "AUROC", "higher", "needs windows of two classes"),
    "auroc_within_subject": Metric("classes", "AUROC within subjects", "higher", "no person has windows of two classes"),
    "auroc_same_time": Metric("classes", "AUROC at the same time", "higher",
                              "the time in the sitting is not known, or no two people differ in class at the same time"),
    "kappa": Metric("classes", "Cohen's kappa", "higher", "truth and prediction are one class throughout"),
    "ece": Metric("classes", "Expected calibration error", "lower", "no windows"),
    "brier": Metric("classes", "Brier score", "lower", "no windows"),
    "mae": Metric("score", "Mean absolute error", "lower", "no windows"),
    "rmse": Metric("score", "Root mean squared error", "lower", "no windows"),
    "pearson": Metric("score", "Pearson correlation", "higher", "the estimates or the scores do not vary"),
    "pearson_within_subject": Metric("score", "Pearson correlation within subjects", "higher",
                                     "within no person do both estimates and scores vary"),
    "icc": Metric("score", "ICC(2,1)", "higher", "neither estimates nor scores vary, or fewer than two windows"),
    "bland_altman_bias": Metric("score", "Bland-Altman bias", "zero", "no windows"),
    "bland_altman_lower": Metric("score", "Bland-Altman lower limit", "", "needs two windows"),
    "bland_altman_upper": Metric("score", "Bland-Altman upper limit", "", "needs two windows"),
}


@dataclass(frozen=True, eq=False)
class Outcome:
    """Out-of-fold outputs of one model: runs float64 (seeds, n, classes) probabilities or (seeds, n) scores, rows as in target.

    target: int64 classes or float64 scores (n,); subjects, sittings: str (n,); place: int64 (n,), the number of the window in its
    sitting, None where time is not known. `labels` empty: a score; of two classes the last is the positive one. A run that is
    not finite makes every metric None with a reason. Raises ModelError when parts do not fit each other, when probabilities are
    none, or when a target is not finite.
    """

    runs: np.ndarray
    target: np.ndarray
    subjects: np.ndarray
    labels: tuple[str, ...] = ()
    sittings: np.ndarray | None = None
    place: np.ndarray | None = None

    def __post_init__(self) -> None:
        target, n = np.asarray(self.target), len(self.target)
        shapes = {np.shape(run) for run in self.runs}
        if len(shapes) > 1:
            raise ModelError(f"runs of shapes {sorted(shapes)} cannot be judged together: give the same windows for each seed")
        runs = np.asarray(self.runs, float)
        shape = (n, len(self.labels)) if self.labels else (n,)
        if runs.ndim != len(shape) + 1 or runs.shape[1:] != shape or not len(runs) or not n:
            raise ModelError(f"outputs of shape {runs.shape} where (seeds, {', '.join(map(str, shape))}) with one seed and one "
                             "window or more belongs")
        if len(self.subjects) != n or any(part is not None and len(part) != n for part in (self.sittings, self.place)):
            raise ModelError(f"{n} targets need as many subjects, sittings and places")
        if not np.isfinite(target).all():
            raise ModelError(f"{int((~np.isfinite(target)).sum())} targets are not finite: leave those windows out")
        if self.labels:
            _check_classes(runs, target, len(self.labels))
            target = target.astype(np.int64)
        object.__setattr__(self, "runs", runs)
        object.__setattr__(self, "target", target)

    @property
    def kind(self) -> str:
        """"classes" or "score", as in TaskInfo."""
        return KINDS[0] if self.labels else KINDS[1]

    @cached_property
    def people(self) -> tuple[str, ...]:
        """The distinct subjects, sorted."""
        return tuple(np.unique(self.subjects).tolist())

    @cached_property
    def person(self) -> np.ndarray:
        """int64 (n,): each window's place in `people`."""
        return np.unique(self.subjects, return_inverse=True)[1]

    @cached_property
    def windows(self) -> np.ndarray:
        """int64 (people,): windows of each person."""
        return np.bincount(self.person, minlength=len(self.people))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics of this kind of task."""
        return tuple(name for name, metric in METRICS.items() if metric.kind == self.kind)

    def where(self, rows: np.ndarray) -> Outcome:
        """The windows of a mask or an index array."""
        sittings, place = (None if part is None else part[rows] for part in (self.sittings, self.place))
        return Outcome(self.runs[:, rows], self.target[rows], self.subjects[rows], self.labels, sittings, place)

    @cached_property
    def sums(self) -> tuple[ClassSums | ScoreSums | None, ...]:
        """Sums a person, of each run; None for a run that is not finite."""
        people = len(self.people)
        return tuple(None if not np.isfinite(run).all() else ClassSums(run, self.target, self.person, people, self.place)
                     if self.labels else ScoreSums(run, self.target, self.person, people) for run in self.runs)


def _check_classes(runs: np.ndarray, target: np.ndarray, classes: int) -> None:
    if classes < 2:
        raise ModelError("classes: two or more labels belong here")
    if (target != np.floor(target)).any() or target.min() < 0 or target.max() >= classes:
        raise ModelError(f"targets must be classes 0 to {classes - 1}")
    finite = runs[np.isfinite(runs).all(axis=2)]
    off = np.abs(finite.sum(axis=1) - 1)
    if len(finite) and (finite.min() < -SUM_TOLERANCE or off.max() > SUM_TOLERANCE):
        raise ModelError(f"outputs are no probabilities: the least is {finite.min():.4f}, the sum of a window is off 1 by "
                         f"{off.max():.4f}")


class ClassSums:
    """What the metrics of classes need of each person, for one run."""

    def __init__(self, run: np.ndarray, target: np.ndarray, person: np.ndarray, people: int,
                 place: np.ndarray | None = None) -> None:
        classes, self._place = run.shape[1], place
        predicted, top = run.argmax(axis=1), run.max(axis=1)
        self._scores, self._target, self._person, self.classes = run, target, person, classes
        self.counts = formulas.confusion_by(person, target, predicted, people, classes)
        self.windows = np.bincount(person, minlength=people)
        self.positives = self.counts.sum(axis=2)
        squares = ((run - np.eye(classes)[target]) ** 2).sum(axis=1)
        self.squares = np.bincount(person, squares, people)
        bins = bin_of(top)
        kept = (np.ones_like(top), top, predicted == target)
        self.bins = np.stack([np.bincount(person * BINS + bins, part, people * BINS).reshape(people, BINS) for part in kept])

    @property
    def _against_the_rest(self) -> range:
        """The classes whose areas are averaged; of two classes, the last alone."""
        return range(self.classes) if self.classes > 2 else range(1, 2)

    @cached_property
    def wins(self) -> tuple[np.ndarray, ...]:
        """(people, people) pair wins of each class against the rest."""
        people = len(self.windows)
        return tuple(formulas.pair_wins(self._scores[:, k], self._target == k, self._person, people)
                     for k in self._against_the_rest)

    @cached_property
    def wins_at_same_time(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """(people, people) pair wins, and pairs, of each class against the rest among windows of the same place."""
        people, place = len(self.windows), self._place
        return () if place is None else tuple(
            formulas.pair_wins_within(self._scores[:, k], self._target == k, self._person, place, people)
            for k in self._against_the_rest)

    def at(self, weights: np.ndarray, name: str) -> np.ndarray:
        """float64 (samples,): the metric when each person is there `weights` (samples, people) times; NaN where undefined."""
        if name.startswith("auroc"):
            return {"auroc": self._auroc, "auroc_within_subject": self._within, "auroc_same_time": self._same_time}[name](weights)
        if name == "brier":
            return ratio(weights @ self.squares, weights @ self.windows)
        if name == "ece":
            there, confidence, right = np.tensordot(weights, self.bins, axes=(1, 1)).transpose(1, 0, 2)
            return ratio(np.abs(right - confidence).sum(axis=1), there.sum(axis=1))
        counts = np.tensordot(weights, self.counts, axes=1)
        if name in ("sensitivity", "specificity"):
            each = formulas.recalls(counts) if name == "sensitivity" else formulas.specificities(counts)
            return each[:, 1] if self.classes == 2 else mean_defined(each)
        return np.asarray(getattr(formulas, name)(counts))

    def _auroc(self, weights: np.ndarray) -> np.ndarray:
        weights = weights.astype(float)
        positive = weights @ self.positives
        negative = (weights @ self.windows)[:, None] - positive
        areas = [ratio(((weights @ wins) * weights).sum(axis=1), positive[:, k] * negative[:, k])
                 for k, wins in zip(self._against_the_rest, self.wins, strict=True)]
        return mean_defined(np.stack(areas, axis=1))

    def _same_time(self, weights: np.ndarray) -> np.ndarray:
        weights = weights.astype(float)
        areas = [ratio(((weights @ wins) * weights).sum(axis=1), ((weights @ pairs) * weights).sum(axis=1))
                 for wins, pairs in self.wins_at_same_time]
        return mean_defined(np.stack(areas, axis=1)) if areas else np.full(len(weights), np.nan)

    def _within(self, weights: np.ndarray) -> np.ndarray:
        return _mean_over_people(self._auroc(np.eye(len(self.windows))), weights)


class ScoreSums:
    """What the metrics of scores need of each person, for one run."""

    def __init__(self, run: np.ndarray, target: np.ndarray, person: np.ndarray, people: int) -> None:
        middle = (run.mean() + target.mean()) / 2
        self.scale = max(np.abs(run).max(), np.abs(target).max(), 1e-12)
        self.sums = formulas.score_sums(run - middle, target - middle, person, people)

    def at(self, weights: np.ndarray, name: str) -> np.ndarray:
        """float64 (samples,): the metric when each person is there `weights` (samples, people) times; NaN where undefined."""
        if name == "pearson_within_subject":
            return _mean_over_people(formulas.of_score_sums(self.sums, self.scale)["pearson"], weights)
        return formulas.of_score_sums(weights @ self.sums, self.scale)[name]


def _mean_over_people(each: np.ndarray, weights: np.ndarray) -> np.ndarray:
    there = ~np.isnan(each)
    return ratio(weights @ np.where(there, each, 0), weights @ there)


def bin_of(confidence: np.ndarray) -> np.ndarray:
    """int64: number of the bin ((m - 1) / 15, m / 15] (Guo et al. 2017, eq. 2) in which a confidence lies; 0 is in the first."""
    return np.clip(np.searchsorted(np.arange(BINS + 1) / BINS, confidence, "left") - 1, 0, BINS - 1)


def values(outcome: Outcome, metric: str, weights: np.ndarray) -> np.ndarray:
    """float64 (seeds, samples): the metric of each run when each person counts `weights` (samples, people) times.

    Raises ModelError for a metric that is not of this kind of task.
    """
    if metric not in outcome.metrics:
        raise ModelError(f"{metric!r} is no metric of {outcome.kind}; there are: {', '.join(outcome.metrics)}")
    undefined = np.full(len(weights), np.nan)
    return np.stack([undefined if sums is None else sums.at(weights, metric) for sums in outcome.sums])


def point(outcome: Outcome, metric: str) -> float | None:
    """The metric alone, mean over seeds; None when undefined. For nested tuning."""
    value = values(outcome, metric, np.ones((1, len(outcome.people)), int)).mean()
    return None if np.isnan(value) else float(value)


def judge(outcome: Outcome, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Every metric with its 95% interval, by name, and "confusion".

    Each {"mean", "low", "high", "per_seed", "sd_seeds"}, rounded to 4 digits. mean: over seeds, of the metric of all windows
    pooled; low, high: percentiles 2.5 and 97.5 of that same mean over `resamples` samples of people drawn with replacement
    (Efron and Tibshirani 1993, chapter 13), seeded. What is undefined is None and a "reason" stands beside it.
    """
    weights = draw_people(len(outcome.people), resamples, seed)
    people = len(outcome.people)
    found = {name: summarise(*_both(outcome, name, weights), people, undefined_reason(outcome, name)) for name in outcome.metrics}
    return found | ({"confusion": _confusion(outcome, weights)} if outcome.labels else {})


def _both(outcome: Outcome, name: str, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    everyone = np.ones((1, weights.shape[1]), weights.dtype)
    together = values(outcome, name, np.concatenate([everyone, weights]))
    return together[:, 0], together[:, 1:].mean(axis=0)


def undefined_reason(outcome: Outcome, name: str) -> str:
    """Why the metric would be undefined for this outcome."""
    broken = [str(i) for i, sums in enumerate(outcome.sums) if sums is None]
    return f"outputs of run {', '.join(broken)} are not finite" if broken else METRICS[name].undefined


def summarise(per_seed: np.ndarray, resampled: np.ndarray, people: int, undefined: str = "undefined") -> dict[str, Any]:
    """The JSON form of one metric from its values a seed (seeds,) and those of the seed-mean in the bootstrap samples.

    One person alone gets no interval: how people differ cannot be known from one.
    """
    mean, (low, high), reason = float(np.mean(per_seed)), interval(resampled), ""
    if np.isnan(mean):
        low, high, reason = None, None, undefined
    elif people < 2:
        low, high, reason = None, None, NO_INTERVAL_ONE
    elif low is None:
        reason = NO_INTERVAL_RARE
    form: dict[str, Any] = {"mean": rounded(mean), "low": low, "high": high, "per_seed": [rounded(v) for v in per_seed],
            "sd_seeds": rounded(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None}
    if low is not None and high is not None and not low <= form["mean"] <= high:
        form["note"] = NOTE_BIASED
    return form | ({"reason": reason} if reason else {})


def interval(resampled: np.ndarray) -> tuple[float | None, float | None]:
    """Percentiles 2.5 and 97.5 of the defined values; None, None when fewer than 90% are defined."""
    there = resampled[~np.isnan(resampled)]
    if len(there) < max(1, DEFINED_SHARE * len(resampled)):
        return None, None
    low, high = np.percentile(there, [2.5, 97.5])
    return rounded(low), rounded(high)


def rounded(value: float) -> float | None:
    """To 4 digits; None for NaN (JSON has none)."""
    return None if np.isnan(value) else round(float(value), 4) + 0.0


def _confusion(outcome: Outcome, weights: np.ndarray) -> dict[str, Any]:
    """Rows (truth) as shares: mean over seeds and interval of each cell; the counts of each seed."""
    runs = [sums.counts for sums in outcome.sums if isinstance(sums, ClassSums)]
    if len(runs) < len(outcome.runs):
        return {"labels": list(outcome.labels), "mean": None, "low": None, "high": None, "per_seed": None,
                "reason": undefined_reason(outcome, "accuracy")}
    total = np.stack([counts.sum(axis=0) for counts in runs])
    shares = _shares(total).mean(axis=0)
    drawn = np.mean([_shares(np.tensordot(weights, counts, axes=1)) for counts in runs], axis=0)
    k = len(outcome.labels)
    alone = len(outcome.people) < 2
    ends = [[(None, None) if alone else interval(drawn[:, i, j]) for j in range(k)] for i in range(k)]
    return {"labels": list(outcome.labels), "mean": _table(shares), "low": [[low for low, _ in row] for row in ends],
            "high": [[high for _, high in row] for row in ends], "per_seed": total.tolist()}


def _shares(counts: np.ndarray) -> np.ndarray:
    return ratio(counts, counts.sum(axis=2, keepdims=True))


def _table(values: np.ndarray) -> list[list[float | None]]:
    return [[rounded(v) for v in row] for row in values]
