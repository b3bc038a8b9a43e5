"""Shapes that more than one signal is made of: the SCR and a smooth random course."""

from __future__ import annotations

import numpy as np


def scr_shape(t_s: np.ndarray, rise_s: float, decay_s: float) -> np.ndarray:
    """Bi-exponential SCR of unit peak that begins at 0: exp(-t / decay) - exp(-t / rise), zero before (Alexander et al. 2005)."""
    peak_s = np.log(decay_s / rise_s) * rise_s * decay_s / (decay_s - rise_s)
    peak = np.exp(-peak_s / decay_s) - np.exp(-peak_s / rise_s)
    u = np.maximum(t_s, 0)
    return (np.exp(-u / decay_s) - np.exp(-u / rise_s)) / peak


def slow(n: int, rate_hz: float, period_s: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth random course, float64 (n,), unit variance in the long run: random knots every `period_s` / 2, cosine-joined."""
    at = np.arange(n) / rate_hz / (period_s / 2)
    knots = rng.standard_normal(int(at[-1]) + 2) * np.sqrt(4 / 3)  # a cosine blend of two knots has a mean square of 3/4
    index = at.astype(int)
    blend = (1 - np.cos(np.pi * (at - index))) / 2
    return knots[index] * (1 - blend) + knots[index + 1] * blend
