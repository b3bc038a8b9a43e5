"""The integer multiplier gives what a double and rounding half away from zero give, at every sum where the output changes."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nociband_convert.arithmetic.rounding import multiplier

LITERT = settings(max_examples=60, deadline=None)


def litert(sums: np.ndarray, factor: float) -> np.ndarray:
    """C's round() of a double."""
    v = sums.astype(np.float64) * factor
    whole = np.floor(np.abs(v))
    return (np.sign(v) * (whole + (np.abs(v) - whole >= 0.5))).astype(np.int64)


def integer(sums: np.ndarray, coarse: int, fine: int, right: int) -> np.ndarray:
    """The kernel's arithmetic."""
    wide = sums.astype(np.int64)
    return (wide * coarse + (wide * fine >> 31) + (1 << (right - 1))) >> right


def turning_points(factor: float, largest: int, outputs: int) -> np.ndarray:
    """Sums around every change of the output, of both signs."""
    near = np.rint((np.arange(outputs) + 0.5) / factor).astype(np.int64)[:, None] + np.arange(-2, 3)
    return np.clip(np.concatenate([near, -near]).reshape(-1), -largest, largest)


@LITERT
@given(x=st.floats(1e-5, 1e-1), w=st.floats(1e-4, 1e-1), y=st.floats(1e-2, 10), outputs=st.sampled_from([130, 300, 33000]))
def test_scales_of_layers(x: float, w: float, y: float, outputs: int) -> None:
    factor = float(np.float32(x)) * float(np.float32(w)) / float(np.float32(y))
    assume(factor > 2.0**-30)  # below, a shift leaves 62 bits, and the writer refuses the layer
    largest = min(2**31 - 1, int(outputs / factor) + 5)
    sums = turning_points(factor, largest, outputs)
    expected = litert(sums, factor)
    inside = np.abs(expected) <= outputs
    assert np.array_equal(integer(sums, *multiplier(factor, largest, outputs))[inside], expected[inside])


@LITERT
@given(numerator=st.integers(1, 2**15), power=st.integers(16, 28))
def test_ties(numerator: int, power: int) -> None:
    """Factors of few bits meet exact halves."""
    factor, outputs = numerator * 2.0**-power, 2000
    largest = min(2**31 - 1, int(outputs / factor) + 5)
    sums = turning_points(factor, largest, outputs)
    expected = litert(sums, factor)
    assert np.array_equal(integer(sums, *multiplier(factor, largest, outputs)), expected)


def test_rounding_half_up_would_differ() -> None:
    """What the proof is for: the nearest 31 bits, rounded half up, are wrong at a negative tie and next to some positive ones."""
    sums = np.array([-2, 2])
    assert litert(sums, 0.25).tolist() == [-1, 1]
    assert integer(sums, 2**30, 0, 32).tolist() == [0, 1]
    assert integer(sums, *multiplier(0.25, 100, 130)).tolist() == [-1, 1]


def test_eight_bits_seldom_need_more_than_31() -> None:
    rng = np.random.default_rng(3)
    fine = [multiplier(float(f), int(140 / f), 130)[1] > 0 for f in 10.0 ** rng.uniform(-4, -2, 100)]
    assert sum(fine) < 20
