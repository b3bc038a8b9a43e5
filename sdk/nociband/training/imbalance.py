"""Two answers to classes of unequal size: thinning the frequent ones, and weights in the loss. Training rows only.

Takes Examples, gives Examples or weights to nociband.training.fitting.
"""

from __future__ import annotations

import numpy as np

from nociband.training.examples import Examples

KEPT_MIN = 0.25  # of a class: one very rare class must not cost nearly all the data


def jump_reduction(train: Examples, seed: int) -> Examples:
    """Frequent classes thinned to the size of the rarest one by jumping over windows at even distances in time.

    Neighbouring windows of a recording say nearly the same, so even jumps cost less than a random draw. A class c with n_c
    windows keeps the share f = max(n_rarest / n_c, 0.25). Within each sitting and class (and augmented copy), in the order of
    `elapsed_s` (of the rows where that is not known), window i stays where floor((i + 1) f + phase) > floor(i f + phase), with
    a seeded phase a sitting and class; the copies of a window share it. Balanced classes and scores stay as they are.
    """
    if len(train) == 0 or not np.issubdtype(train.target.dtype, np.integer):
        return train
    classes, counts = np.unique(train.target[train.draw == 0] if (train.draw == 0).any() else train.target, return_counts=True)
    share = dict(zip(classes.tolist(), np.maximum(counts.min() / counts, KEPT_MIN).tolist(), strict=True))
    keep = np.ones(len(train), bool)
    rng = np.random.default_rng(seed)
    for subject, sitting in sorted(set(zip(train.subjects.tolist(), train.sittings.tolist(), strict=True))):
        mine = (train.subjects == subject) & (train.sittings == sitting)
        for label in classes.tolist():
            phase = rng.random()
            for draw in np.unique(train.draw[mine]):
                rows = np.flatnonzero(mine & (train.target == label) & (train.draw == draw))
                rows = rows[np.argsort(train.elapsed_s[rows], kind="stable")]
                keep[rows] = _kept(len(rows), share[label], phase)
    return train if keep.all() else train.where(keep)


def _kept(n: int, share: float, phase: float) -> np.ndarray:
    """bool (n,), n * share of them true within one, evenly spaced."""
    if share >= 1:
        return np.ones(n, bool)
    steps = np.floor(np.arange(n + 1) * share + phase)
    return np.diff(steps) > 0


def class_weights(target: np.ndarray, classes: int) -> np.ndarray:
    """float64 (classes,): inverse frequency, scaled so that the mean over the rows is 1; 0 for a class that does not occur.

    target int64 (n,) not empty.
    """
    counts = np.bincount(target, minlength=classes)
    there = counts > 0
    weights = np.zeros(classes)
    weights[there] = len(target) / (there.sum() * counts[there])
    return weights
