"""The constants of integer arithmetic: multipliers and shifts as LiteRT's reference kernels compute them from float32 scales.

From to_c. What nb_nn relies on (no overflow) is proven here for each constant; ModelError where it cannot be. Formulas:
LiteRT's QuantizeMultiplier and the Prepare functions of each kernel (double precision where those use it, float32 for MUL).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nociband.errors import ModelError

INT16_MAX_MAGNITUDE = 2**15
INT32_MAX = 2**31 - 1
LARGEST = {"int8": 255, "int16": INT16_MAX_MAGNITUDE}
"""An activation's magnitude at most, without its zero point."""
ADD_LEFT = {"int8": 20, "int16": 15}
"""How far ADD and SUB shift their inputs to the left."""


class Scale(NamedTuple):
    """A factor as multiplier / 2^31 * 2^shift, the multiplier in [2^30, 2^31); nb_nn_scale_t."""

    multiplier: int
    shift: int


class Channel(NamedTuple):
    """A factor as multiplier / 2^right; nb_nn_channel_t."""

    multiplier: int
    right: int


def quantise_multiplier(factor: float) -> Scale:
    """A positive factor as LiteRT's QuantizeMultiplier has it. Raises ModelError when it has no such form."""
    if not (math.isfinite(factor) and factor > 0):
        raise ModelError(f"a scale factor of {factor} cannot be quantised: a tensor's scale is 0 or not finite")
    fraction, shift = math.frexp(factor)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    if not -31 <= shift <= 30:
        raise ModelError(f"a scale factor of {factor} is out of range (2^-31 to 2^30): check the calibration windows")
    return Scale(multiplier, shift)


def bounded(scale: Scale, largest: int, what: str) -> Scale:
    """`scale`, once it is proven that values up to `largest` in magnitude do not overflow 32 bits with it."""
    if largest << max(scale.shift, 0) > INT32_MAX:
        raise ModelError(f"{what}: values up to {largest} overflow 32 bits at a shift of {scale.shift}; its scales do not fit")
    return scale


def in_loop(scale: Scale, largest: int, what: str, more: int = 1) -> Scale:
    """`scale`, once it is proven that values from -largest to largest - 1 can be shifted by `more` bits more (nb_nn_ready_t)."""
    if scale.shift < -30:
        raise ModelError(f"{what}: a factor below 2^-30 makes all values 0; its scales do not fit")
    return bounded(scale, (largest << more) - more, what)


def requantise(x: float, y: float, largest: int = INT16_MAX_MAGNITUDE) -> Scale:
    """QUANTIZE from step x to step y."""
    return in_loop(quantise_multiplier(x / y), largest, "QUANTIZE")


def relu(x: float, y: float, largest: int = INT16_MAX_MAGNITUDE) -> Scale:
    """RELU and its like from step x to step y: LiteRT computes this factor in float32."""
    return in_loop(quantise_multiplier(float(np.float32(x) / np.float32(y))), largest, "RELU")


def mul(a: float, b: float, y: float, largest: int = INT16_MAX_MAGNITUDE**2) -> Scale:
    """MUL: LiteRT computes this factor in float32. `largest`: the products' magnitude at most."""
    factor = np.float32(a) * np.float32(b) / np.float32(y)
    # Two int16 at -32768 have a product of 2^30: no shift at all is safe, and the kernel multiplies in 64 bits.
    return in_loop(quantise_multiplier(float(factor)), largest, "MUL", more=0 if largest == INT16_MAX_MAGNITUDE**2 else 1)


def add(a: float, b: float, y: float, left: int = 15) -> tuple[Scale, Scale, Scale]:
    """ADD and SUB: each input's and the sum's factor; inputs enter shifted left. The sum's is below 1, as LiteRT demands."""
    twice = 2.0 * max(a, b)
    parts = [in_loop(quantise_multiplier(v / twice), 2**30, "ADD") for v in (a, b)]
    return parts[0], parts[1], in_loop(quantise_multiplier(twice / (2.0**left * y)), 2**30, "ADD")


def near_power_of_two(scale: float) -> bool:
    """Whether LiteRT may take a scale for a power of two, and shift: it allows for 1e-3 in the logarithm."""
    power = math.log2(scale)
    return abs(power - round(power)) < 1.01e-3


def mean(x: float, y: float, count: int, largest: int = INT16_MAX_MAGNITUDE) -> Scale:
    """MEAN over `count` elements: 1 / count is folded into the multiplier, truncated, as LiteRT does."""
    scale = quantise_multiplier(x / y)
    fold = min(count.bit_length() - 1, 32, 31 + scale.shift)
    folded = Scale((scale.multiplier << fold) // count, scale.shift - fold)
    if folded.shift < -31:
        raise ModelError(f"MEAN over {count} elements: its factor is too small; check the calibration windows")
    return bounded(folded, largest * count, "MEAN")


def table_input(scale: float) -> tuple[int, int]:
    """LOGISTIC and TANH: (multiplier, right shift) that take the input to steps of 1/12288."""
    power = round(math.log2(scale))
    if power in (-12, -11) and near_power_of_two(scale):
        # LiteRT then shifts as if the scale were the power; only at 2^-12 LOGISTIC and TANH agree, and some way inside the limit.
        if scale != 2.0**power and (power == -11 or abs(math.log2(scale) - power) > 0.99e-3):
            raise ModelError(f"LOGISTIC or TANH of an input with steps of {scale}, nearly 2^{power}: choose another scale")
        scale = 2.0**power
    factor, right = scale * 4096.0 * 3.0, 0
    while factor <= 32767.0 / 2.0 and right <= 30:
        right, factor = right + 1, factor * 2.0
    if not 1 <= int(factor) <= 32767:
        raise ModelError(f"LOGISTIC or TANH of an input with steps of {scale}: out of the table's reach")
    return int(factor), right


def channel(x: float, weight: float, y: float, acc_max: int) -> Channel:
    """One output channel of FULLY_CONNECTED: the full 31-bit multiplier, one rounding."""
    multiplier, shift = quantise_multiplier(x * weight / y)
    return _channel(multiplier, 31 - shift, acc_max)


def conv_channel(x: float, weight: float, y: float, acc_max: int) -> Channel:
    """One output channel of CONV_2D: LiteRT reduces the multiplier to 16 bits there."""
    multiplier, shift = quantise_multiplier(x * weight / y)
    reduced = (multiplier + 2**15) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
    return _channel(reduced, 15 - shift, acc_max)


def _channel(multiplier: int, right: int, acc_max: int) -> Channel:
    if acc_max > INT32_MAX:
        raise ModelError(f"a sum of products can reach {acc_max}, beyond 32 bits; the layer is too wide for the band")
    if not 1 <= right <= 62:
        raise ModelError(f"a layer's output scale needs a shift of {right}, outside 1 to 62; check the calibration windows")
    return Channel(multiplier, right)
