"""Statistics of windows: hand-made features for the classical models, and S0's descriptor sequences for its `paper` size.

Takes windows of feature frames (nociband.training.dataset), gives arrays to Examples. NumPy alone.

S0's paper describes each modality by 12 values over time, 12 for EDA and 12 for each muscle; which 12 is not public. Ours are
below (docs/adr/0010-s0-choices.md): level, spread, shape and change, all common in pain recognition from biosignals (for example
Werner et al. 2014, ICPR, on BioVid).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DESCRIPTORS = ("mean", "median", "minimum", "maximum", "range", "standard_deviation", "interquartile_range", "root_mean_square",
               "slope", "mean_absolute_difference", "mean_absolute_second_difference", "last_minus_first")
WINDOW_STATISTICS = ("mean", "standard_deviation", "minimum", "maximum", "slope", "last_minus_first")
SCR_MIN_USIEMENS = 0.01  # least amplitude of a computed SCR (facts of the field: 0.01 uS computed, 0.05 uS by hand)


def describe(x: np.ndarray, names: Sequence[str] = DESCRIPTORS) -> np.ndarray:
    """float64 (n, T, C) to (n, C, len(names)): statistics over time. Slopes and differences are per step."""
    x = np.asarray(x, np.float64)
    low, q1, median, q3, high = np.percentile(x, [0, 25, 50, 75, 100], axis=1)
    tenth = max(1, round(x.shape[1] / 10))
    time = np.arange(x.shape[1]) - (x.shape[1] - 1) / 2
    known = {
        "mean": x.mean(axis=1), "median": median, "minimum": low, "maximum": high, "range": high - low,
        "standard_deviation": x.std(axis=1), "interquartile_range": q3 - q1, "root_mean_square": np.sqrt((x**2).mean(axis=1)),
        "slope": np.einsum("t,ntc->nc", time, x) / (float(time @ time) or 1.0),
        "mean_absolute_difference": _mean_absolute(np.diff(x, axis=1)),
        "mean_absolute_second_difference": _mean_absolute(np.diff(x, 2, axis=1)),
        "last_minus_first": x[:, -tenth:].mean(axis=1) - x[:, :tenth].mean(axis=1),
    }
    return np.stack([known[name] for name in names], axis=2)


def _mean_absolute(x: np.ndarray) -> np.ndarray:
    return np.abs(x).mean(axis=1) if x.shape[1] else np.zeros((len(x), x.shape[2]))


def sequence(x: np.ndarray, segments: int) -> np.ndarray:
    """float64 (n, T, C) to float32 (n, segments, C * 12): the descriptors of consecutive parts of the window; T parts of a
    window that is shorter than `segments`."""
    parts = np.array_split(np.asarray(x, np.float64), min(segments, x.shape[1]), axis=1)
    return np.stack([describe(p).reshape(len(p), -1) for p in parts], axis=1).astype(np.float32)


def statistics(x: np.ndarray, channels: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Hand-made features float64 (n, C * 6) of a window (n, T, C), and their names, `channel_statistic`."""
    names = tuple(f"{c}_{s}" for c in channels for s in WINDOW_STATISTICS)
    return describe(x, WINDOW_STATISTICS).reshape(len(x), -1), names


def responses(phasic: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Skin conductance responses in a window of phasic EDA (n, T) uS: how many there are, the sum of their rises and the largest.

    A response is a rise from a local minimum to the next local maximum of at least 0.01 uS. float64 (n, 3) and names.
    """
    out = np.zeros((len(phasic), 3))
    for i, row in enumerate(np.asarray(phasic, np.float64)):
        row = row[np.r_[True, np.diff(row) != 0]]  # quantised values rise in steps: a flat one on the way is no end of a rise
        turns = np.flatnonzero(np.diff(np.sign(np.diff(row))) != 0) + 1
        rises = np.diff(row[np.concatenate([[0], turns, [len(row) - 1]])])
        rises = rises[rises >= SCR_MIN_USIEMENS]
        out[i] = len(rises), rises.sum(), rises.max(initial=0.0)
    return out, ("scr_count", "scr_rise_sum", "scr_rise_max")
