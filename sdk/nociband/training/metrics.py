"""How well classes are told apart and scores estimated: the formulas, from sums that add up over people.

Takes true and predicted classes (or scores) with their people; gives plain numbers for training.json, and to
nociband.evaluation.metrics the per-person sums from which thousands of bootstrap samples are judged without touching a window
again. A formula takes one table or a stack of them (leading axes) and gives NaN where it is not defined.
"""

from __future__ import annotations

from typing import Any

import numpy as np

RESAMPLES = 2000


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """float64 above / below; NaN where `below` is not above 0."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    there = ~np.isnan(values)
    return ratio(np.where(there, values, 0).sum(axis=-1), there.sum(axis=-1))


def _plain(value: np.ndarray) -> Any:
    return float(value) if np.ndim(value) == 0 else value


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 (classes, classes): rows are the truth, columns the prediction."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def confusion_by(person: np.ndarray, truth: np.ndarray, predicted: np.ndarray, people: int, classes: int) -> np.ndarray:
    """int64 (people, classes, classes): the confusion of each person, `person` being int64 (n,) places among them."""
    cell = (person * classes + truth) * classes + predicted
    return np.bincount(cell, minlength=people * classes * classes).reshape(people, classes, classes)


def _diagonal(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def accuracy(counts: np.ndarray) -> Any:
    """Share of windows that are right."""
    return _plain(ratio(_diagonal(counts).sum(axis=-1), counts.sum(axis=(-2, -1))))


def recalls(counts: np.ndarray) -> np.ndarray:
    """Recall of each class, (..., classes); NaN where a class does not occur."""
    return ratio(_diagonal(counts), counts.sum(axis=-1))


def specificities(counts: np.ndarray) -> np.ndarray:
    """TN / (TN + FP) of each class against the rest, (..., classes); NaN where nothing else occurs."""
    total, truth = counts.sum(axis=(-2, -1))[..., None], counts.sum(axis=-1)
    return ratio(total - truth - counts.sum(axis=-2) + _diagonal(counts), total - truth)


def balanced_accuracy(counts: np.ndarray) -> Any:
    """Mean recall over the classes that occur, of a confusion matrix; chance is 1 / classes."""
    return _plain(mean_defined(recalls(counts)))


def macro_f1(counts: np.ndarray) -> Any:
    """Mean F1 over the classes that occur or are predicted: 2 TP / (2 TP + FP + FN)."""
    return _plain(mean_defined(ratio(2 * _diagonal(counts), counts.sum(axis=-1) + counts.sum(axis=-2))))


def kappa(counts: np.ndarray) -> Any:
    """Cohen's kappa (Cohen 1960): (po - pe) / (1 - pe); NaN when truth and prediction are one class throughout (pe = 1)."""
    counts = np.asarray(counts, float)
    total = counts.sum(axis=(-2, -1))
    # In counts times the total: integers, so that 1 - pe is exactly 0 where it should be.
    agreed = total * _diagonal(counts).sum(axis=-1)
    by_chance = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1)
    return _plain(ratio(agreed - by_chance, total * total - by_chance))


def pair_wins(score: np.ndarray, positive: np.ndarray, person: np.ndarray, people: int) -> np.ndarray:
    """float64 (people, people): how often a positive window of the row's person scores above a negative of the column's.

    Ties count half. With the counts of positives and negatives a person this gives the AUROC of any sample of people: for
    people drawn w times each it is w' A w / ((w . positives) (w . negatives)), the Mann-Whitney form of the area (Hanley and
    McNeil 1982), equal to that of the windows laid end to end.
    """
    wins = np.zeros((people, people))
    order = np.argsort(score, kind="stable")
    score, positive, person = score[order], positive[order], person[order]
    above, whose = score[positive], person[positive]
    for q in range(people):
        below = score[~positive & (person == q)]
        half = np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")
        wins[:, q] = np.bincount(whose, half / 2, people)
    return wins


def pair_wins_within(score: np.ndarray, positive: np.ndarray, person: np.ndarray, stratum: np.ndarray,
                     people: int) -> tuple[np.ndarray, np.ndarray]:
    """`pair_wins` counted within strata alone, and how many pairs there are: both float64 (people, people).

    The stratified AUROC (Janes and Pepe 2008, Biometrics 64) compares like with like. A model that knows the stratum alone and
    was fitted on the judged people too gets 0.5; one that never saw them gets less, since a person's class at that place is
    rarer among the others. Only what lies above 0.5 shows more than the stratum.
    """
    wins, pairs = np.zeros((people, people)), np.zeros((people, people))
    for one in np.unique(stratum):
        rows = stratum == one
        own, score_, who = positive[rows], score[rows], person[rows]
        better = np.sign(score_[own][:, None] - score_[~own][None, :]) / 2 + 0.5
        at = (who[own][:, None], who[~own][None, :])
        np.add.at(wins, at, better)
        np.add.at(pairs, at, 1.0)
    return wins, pairs


def score_sums(estimate: np.ndarray, truth: np.ndarray, person: np.ndarray, people: int) -> np.ndarray:
    """float64 (people, 7): n, sum x, sum y, sum xx, sum yy, sum xy, sum |x - y|, with x the estimate and y the truth.

    Give both less the same constant (their grand mean): differences stay and the sums of squares keep their digits.
    """
    parts = (np.ones_like(truth), estimate, truth, estimate**2, truth**2, estimate * truth, np.abs(estimate - truth))
    return np.stack([np.bincount(person, part, people) for part in parts], axis=-1)


def of_score_sums(sums: np.ndarray, scale: float = 1.0) -> dict[str, np.ndarray]:
    """MAE, RMSE, Pearson, ICC(2,1), Bland-Altman of (..., 7) sums; `scale` is the largest magnitude (what counts as no spread).

    ICC(2,1): Shrout and Fleiss (1979), two-way random effects, single rating, with the truth and the estimate as the two
    judges and the windows as targets. Bland-Altman (1986): mean difference, and that -+ 1.96 sample standard deviations.
    """
    n, x, y, xx, yy, xy, absolute = np.moveaxis(sums, -1, 0)
    sxx, syy = np.maximum(xx - ratio(x * x, n), 0), np.maximum(yy - ratio(y * y, n), 0)
    sxy = xy - ratio(x * y, n)
    nothing = 1e-12 * n * scale**2
    bias = ratio(x - y, n)
    squares = np.maximum(xx + yy - 2 * xy, 0)
    spread = np.sqrt(ratio(np.maximum(squares - n * bias**2, 0), n - 1))
    between = ratio((sxx + syy + 2 * sxy) / 2, n - 1)  # BMS: 2 * sum (row mean - grand mean)^2 / (n - 1)
    judges = n * bias**2 / 2                           # JMS, one degree of freedom
    error = ratio(np.maximum(sxx + syy - 2 * sxy, 0) / 2, n - 1)  # EMS
    below = between + error + 2 * ratio(judges - error, n)
    vary = (sxx > nothing) & (syy > nothing)
    return {
        "mae": ratio(absolute, n), "rmse": np.sqrt(ratio(squares, n)),
        "pearson": np.where(vary, np.clip(ratio(sxy, np.sqrt(sxx * syy)), -1, 1), np.nan),
        "icc": np.where((sxx > nothing) | (syy > nothing), ratio(between - error, below), np.nan),
        "bland_altman_bias": bias, "bland_altman_lower": bias - 1.96 * spread, "bland_altman_upper": bias + 1.96 * spread,
    }


def icc_2_1(ratings: np.ndarray) -> np.ndarray:
    """ICC(2,1) of ratings (..., targets, judges), two or more of each; NaN where no rating differs.

    Shrout and Fleiss (1979): (BMS - EMS) / (BMS + (k - 1) EMS + k (JMS - EMS) / n), from the mean squares between targets,
    between judges and of the residual.
    """
    n, k = ratings.shape[-2:]
    ratings = ratings - ratings.mean(axis=(-2, -1), keepdims=True)
    targets, judges = ratings.mean(axis=-1), ratings.mean(axis=-2)
    bms, jms = k * (targets**2).sum(axis=-1) / (n - 1), n * (judges**2).sum(axis=-1) / (k - 1)
    ems = ((ratings - targets[..., None] - judges[..., None, :]) ** 2).sum(axis=(-2, -1)) / ((n - 1) * (k - 1))
    below = bms + (k - 1) * ems + k * (jms - ems) / n
    vary = (ratings**2).mean(axis=(-2, -1)) > 1e-24
    return ratio(bms - ems, np.where(vary, below, 0))


def draw_people(people: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """int64 (resamples, people): how often each person is in each bootstrap sample of as many people, drawn with replacement."""
    draws = np.random.default_rng(seed).integers(people, size=(resamples, people))
    cell = draws + people * np.arange(resamples)[:, None]
    return np.bincount(cell.ravel(), minlength=resamples * people).reshape(resamples, people)


def judge(truth: np.ndarray, predicted: np.ndarray, subjects: np.ndarray, classes: int, seed: int = 0) -> dict[str, Any]:
    """Balanced accuracy and macro-F1, each {"value", "ci95": [low, high]}, the confusion matrix and the counts.

    The interval is the percentile bootstrap over people (Efron and Tibshirani 1993, chapter 13): people are drawn with
    replacement, all their windows with them, since windows of one person are not independent.
    """
    people, person = np.unique(subjects, return_inverse=True)
    each = confusion_by(person, truth, predicted, len(people), classes)
    resampled = np.tensordot(draw_people(len(people), seed=seed), each, axes=1)
    report: dict[str, Any] = {}
    for name, metric in (("balanced_accuracy", balanced_accuracy), ("macro_f1", macro_f1)):
        low, high = np.percentile(metric(resampled), [2.5, 97.5])
        report[name] = {"value": round(metric(each.sum(axis=0)), 4), "ci95": [round(float(low), 4), round(float(high), 4)]}
    return report | {"confusion": each.sum(axis=0).tolist(), "windows": len(truth), "subjects": len(people)}
