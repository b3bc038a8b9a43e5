"""The tables of LiteRT's integer SOFTMAX, to the bit.

From operations.elementwise; nb_nn_softmax reads them. int16: e^v and 1 / (1 + v), interpolated, the same for every model.
int8: e^v for each difference that two inputs can have, from the input's scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nociband.errors import ModelError
from nociband_convert.arithmetic.quantise import Scale, in_loop, quantise_multiplier

_STEPS = 512
_DIFFERENCE_BITS = 26
"""Fractional bits of a difference in int8's SOFTMAX: it goes down to -32."""
_POWERS = {-2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242}
"""2^31 e^-(2^n) by n."""
_EIGHTH, _THIRD = 1895147668, 715827883
"""2^31 e^(-1/8) and 2^31 / 3."""


def int16_scale(scale: float, beta: float) -> Scale:
    """From a difference of two inputs to steps of 10 / 65535: LiteRT multiplies in float32, then divides in double precision."""
    factor = float(np.float32(scale) * np.float32(beta)) / (10.0 / 65535.0)
    return in_loop(quantise_multiplier(factor), 65535, "SOFTMAX")


def int16_exponential() -> list[int]:
    """2^15 e^v at 513 places from v = -10 to 0."""
    return _table(math.exp, 10.0 / 65535, 32767)


def int16_reciprocal() -> list[int]:
    """2^15 / (1 + v) at 513 places from v = 0 to 1."""
    return _table(lambda v: 1.0 / (1.0 + v), 1.0 / 65535, -32768)


def _table(function: Callable[[float], float], step: float, zero_point: int) -> list[int]:
    """Values over all of int16, each moved by half of the interpolation's error in the middle to the next."""
    first, last = step * (-32768 - zero_point), step * (32767 - zero_point)
    width = (last - first) / _STEPS
    unit = 65536 / ((2.0 / 65535) * 32767 - (2.0 / 65535) * -32768)
    values = []
    for i in range(_STEPS):
        here = _round(function(first + i * width) * unit)
        middle = _round(function(first + i * width + width / 2) * unit)
        line = _round((function(first + (i + 1) * width) * unit + here) / 2)
        values.append(here - _round((line - middle) / 2))
    values.append(_round(function(last) * unit))
    return [min(max(v, -32768), 32767) for v in values]


def _round(v: float) -> int:
    return int(math.copysign(math.floor(abs(v) + 0.5), v))


def int8_exponential(scale: float, beta: float) -> list[int]:
    """2^31 e^(-n scale beta) for n = 0, 1, ... as far as LiteRT does not take it for 0."""
    factor = float(np.float32(beta)) * float(np.float32(scale)) * 2.0**_DIFFERENCE_BITS
    if not 1.0 < factor:
        raise ModelError(f"SOFTMAX of an input with steps of {scale:g} and beta {beta:g}: too fine to tell its values apart")
    multiplier, left = quantise_multiplier(min(factor, 2.0**31 - 1))
    furthest = math.floor(31 * 2.0**_DIFFERENCE_BITS / 2.0**left)
    return [_exp(_high_product(-n << left, multiplier)) for n in range(min(furthest, 255) + 1)]


def _high_product(a: int, b: int) -> int:
    return (a * b + (1 << 30)) >> 31


def _divide(v: int, bits: int) -> int:
    """v / 2^bits, half away from zero."""
    half = 1 << (bits - 1)
    return (v + half) >> bits if v >= 0 else -((-v + half) >> bits)


def _exp(v: int) -> int:
    """2^31 e^v for v <= 0 with 26 fractional bits: a polynomial for the part below 1/4, times e^-(2^n) for each bit above."""
    if v == 0:
        return 2**31 - 1
    quarter = 1 << (_DIFFERENCE_BITS - 2)
    part = (v & (quarter - 1)) - quarter
    result = _exp_of_part(part << 5)
    for bit, power in _POWERS.items():
        if (part - v) & (1 << (_DIFFERENCE_BITS + bit)):
            result = _high_product(result, power)
    return result


def _exp_of_part(v: int) -> int:
    """2^31 e^v for v from -1/4 to 0 with 31 fractional bits: a Taylor polynomial around -1/8."""
    x = v + (1 << 28)
    x2 = _high_product(x, x)
    x3, x4 = _high_product(x2, x), _high_product(x2, x2)
    tail = _divide(_high_product(_divide(x4, 2) + x3, _THIRD) + x2, 1)
    return min(_EIGHTH + _high_product(_EIGHTH, x + tail), 2**31 - 1)
