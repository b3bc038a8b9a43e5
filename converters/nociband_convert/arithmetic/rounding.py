"""An integer multiplier that rounds as LiteRT's FULLY_CONNECTED does, for every sum that can occur.

From operations.matrix. LiteRT (ai-edge-litert 2) multiplies the sum of products by a double and rounds half away from zero; its
other operations use integer multipliers. `multiplier` finds integers m and s with floor(sum * m / 2^s + 1/2) equal to it for all
sums up to a largest one, negative ones too: m lies a hair above the true factor, so that ties fall outwards. That it is equal is
proven at every sum where the output changes, not sampled.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np

from nociband.errors import ModelError

COARSE_BITS = FINE_BITS = 31
_NEAR = 2.0**-48


@lru_cache(maxsize=4096)
def multiplier(factor: float, largest: int, outputs: int) -> tuple[int, int, int]:
    """(coarse, fine, right): the factor as (coarse + fine / 2^31) / 2^right, coarse and fine below 2^31.

    factor: positive, finite, as a double. largest: of the sums' magnitudes. outputs: of the outputs' magnitudes, before clamping.
    `fine` is 0 where 31 bits are enough. Raises ModelError when no multiplier of 62 bits does, which is bad luck beyond belief.
    """
    low, high = _interval(factor, largest, outputs)
    shift = math.frexp(factor)[1]
    for bits in (COARSE_BITS, COARSE_BITS + FINE_BITS):
        scale = Fraction(2) ** (bits - shift)
        nearest = round(Fraction(factor) * scale)
        found = nearest if low < nearest / scale < high else math.floor(low * scale) + 1
        if low < found / scale < high and found < 2**bits:
            fine = found % 2**FINE_BITS if bits > COARSE_BITS else 0
            return found >> (bits - COARSE_BITS), fine, COARSE_BITS - shift
    raise ModelError(f"no integer multiplier rounds like the factor {factor!r}; change the output's scale a little")


def _interval(factor: float, largest: int, outputs: int) -> tuple[Fraction, Fraction]:
    """Multipliers strictly between these two round alike."""
    n = np.arange(min(outputs, int(largest * factor) + 1) + 1, dtype=np.float64)
    first = _first(n, factor)
    reached, missed = first <= largest, first - 1 <= largest
    below = _extreme(n[reached], first[reached], True)
    above = _extreme(n[missed], first[missed] - 1, False)
    return below, above


def _first(n: np.ndarray, factor: float) -> np.ndarray:
    """The least sum whose output is above n, in LiteRT's arithmetic."""
    first = np.ceil((n + 0.5) / factor) + 1
    for _ in range(2):
        first = np.where(_rounded((first - 1) * factor) > n, first - 1, first)
    return first


def _rounded(v: np.ndarray) -> np.ndarray:
    whole = np.floor(v)
    return whole + (v - whole >= 0.5)


def _extreme(n: np.ndarray, sums: np.ndarray, greatest: bool) -> Fraction:
    """The greatest (or least) of (n + 1/2) / sums, exactly: doubles choose the few that come into question."""
    n, sums = n[sums > 0], sums[sums > 0]
    if not len(n):
        return Fraction(0) if greatest else Fraction(2) ** 64
    quotients = (n + 0.5) / sums
    close = quotients >= quotients.max() * (1 - _NEAR) if greatest else quotients <= quotients.min() * (1 + _NEAR)
    up, down = 2 * n[close].astype(np.int64) + 1, 2 * sums[close].astype(np.int64)
    common = np.gcd(up, down)  # ties are all the same fraction
    exact = [Fraction(int(a), int(b)) for a, b in np.unique(np.stack([up // common, down // common], 1), axis=0)]
    return max(exact) if greatest else min(exact)
