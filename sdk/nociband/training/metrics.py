"""How well classes are told apart, with honest intervals: people, not windows, are what was sampled.

Takes true and predicted classes with their people, gives plain numbers for training.json and the report.
"""

from __future__ import annotations

from typing import Any

import numpy as np

RESAMPLES = 2000


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 (classes, classes): rows are the truth, columns the prediction."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def balanced_accuracy(counts: np.ndarray) -> float:
    """Mean recall over the classes that occur, of a confusion matrix; chance is 1 / classes."""
    there = counts.sum(axis=1) > 0
    return float(np.mean(np.diag(counts)[there] / counts.sum(axis=1)[there]))


def macro_f1(counts: np.ndarray) -> float:
    """Mean F1 over the classes that occur or are predicted: 2 TP / (2 TP + FP + FN)."""
    both = counts.sum(axis=0) + counts.sum(axis=1)
    return float(np.mean(2 * np.diag(counts)[both > 0] / both[both > 0]))


def judge(truth: np.ndarray, predicted: np.ndarray, subjects: np.ndarray, classes: int, seed: int = 0) -> dict[str, Any]:
    """Balanced accuracy and macro-F1, each {"value", "ci95": [low, high]}, the confusion matrix and the counts.

    The interval is the percentile bootstrap over people (Efron and Tibshirani 1993, chapter 13): people are drawn with
    replacement, all their windows with them, since windows of one person are not independent.
    """
    people = np.unique(subjects)
    each = np.stack([confusion(truth[subjects == p], predicted[subjects == p], classes) for p in people])
    draws = np.random.default_rng(seed).integers(len(people), size=(RESAMPLES, len(people)))
    resampled = [each[d].sum(axis=0) for d in draws]
    report: dict[str, Any] = {}
    for name, metric in (("balanced_accuracy", balanced_accuracy), ("macro_f1", macro_f1)):
        low, high = np.percentile([metric(c) for c in resampled], [2.5, 97.5])
        report[name] = {"value": round(metric(each.sum(axis=0)), 4), "ci95": [round(float(low), 4), round(float(high), 4)]}
    return report | {"confusion": each.sum(axis=0).tolist(), "windows": len(truth), "subjects": len(people)}
