"""Sigmoid and tanh of LiteRT's integer LSTM, to the bit, and the table that gives both in C.

Its arithmetic is int16 fixed point: a polynomial for exp(-x) within a quarter, products for the rest of x, then three steps of
Newton's division for 1 / (1 + exp(-x)). The last step moves by fours, which makes the lowest bits of the results noisy. But both
functions are one curve: sigmoid(x) is 16384 + 2 curve(x), tanh(x) is 4 curve(2x), with curve(x) = 4096 tanh(x / 2) and x in steps
of 2^-12. lstm_int8 writes the curve into the model's C; tests compare with LiteRT for all 65,536 inputs.
"""

from __future__ import annotations

from functools import cache

import numpy as np

SIGMOID_INTEGER_BITS = 3
TANH_INTEGER_BITS = range(2, 7)
"""Formats of tanh's input that the curve serves: steps of 2^-13 to 2^-9."""

BLOCK_BITS = 7
ROWS = 293 << BLOCK_BITS
"""Of the curve's table, in whole blocks: in the last of them the curve comes to its end, 8192, and stays there."""

SLOPE_BITS = 14
_ONE = 32767
# Constants of the polynomial and of the division in int16: exp(-1/8), 1/3 (both / 2^-15), 48/17 and -32/17 (/ 2^-13).
_EXP_EIGHTH, _THIRD, _NEWTON_START, _NEWTON_SLOPE = 28918, 10923, 23130, -15420
# exp(-2^k) for k = -2 to 4, / 2^-15.
_EXP_POWERS = {-2: 25520, -1: 19875, 0: 12055, 1: 4435, 2: 600, 3: 11, 4: 0}


def _wrap(x: np.ndarray) -> np.ndarray:
    return ((x + 32768) & 0xFFFF) - 32768


def _times(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """Product of fractions / 2^15, half up."""
    return (a * b + (1 << 14)) >> 15


def _halve(x: np.ndarray, times: int) -> np.ndarray:
    """x / 2^times, half away from zero."""
    return (x + (1 << (times - 1)) - (x < 0)) >> times


def _double(x: np.ndarray, times: int) -> np.ndarray:
    """x * 2^times within int16."""
    return np.clip(x << times, -32768, 32767)


def _exp(x: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp(-x) / 2^-15 for x >= 0 in steps of 2^(integer_bits - 15)."""
    quarter = 1 << (13 - integer_bits)
    within = (-x & (quarter - 1)) - quarter
    t = _double(within, integer_bits) + (1 << 12)
    t2 = _times(t, t)
    t3, t4 = _times(t2, t), _times(t2, t2)
    tail = _halve(_times(_halve(t4, 2) + t3, _THIRD) + t2, 1)
    result = np.minimum(_EXP_EIGHTH + _times(t + tail, _EXP_EIGHTH), _ONE)
    rest = within + x
    for power, factor in _EXP_POWERS.items():
        if power < integer_bits:
            result = np.where(rest & (1 << (15 - integer_bits + power)), _times(result, factor), result)
    if integer_bits > 5:
        result = np.where(x > 32 << (15 - integer_bits), 0, result)
    return np.where(x == 0, _ONE, result)


def _over_one_plus(e: np.ndarray) -> np.ndarray:
    """2 / (1 + e) / 2^-13 for e / 2^-15 between 0 and 1."""
    denominator = (e + _ONE + 1) >> 1
    y = _NEWTON_START + _times(denominator, _NEWTON_SLOPE)
    for _ in range(3):
        y = y + _double(_times(y, 8192 - _times(denominator, y)), 2)
    return y


def sigmoid(x: np.ndarray) -> np.ndarray:
    """int (n,) in steps of 2^-12 -> steps of 2^-15, as LiteRT's integer LSTM has it."""
    x = np.asarray(x, np.int64)
    size = _double(_over_one_plus(_exp(np.abs(x), SIGMOID_INTEGER_BITS)), 1)
    return np.where(x == 0, 1 << 14, np.where(x > 0, size, _ONE - size))


def tanh(x: np.ndarray, integer_bits: int) -> np.ndarray:
    """int (n,) in steps of 2^(integer_bits - 15) -> steps of 2^-15, likewise."""
    x = np.asarray(x, np.int64)
    size = _double(_over_one_plus(_exp(np.abs(x), integer_bits + 1)) - 8192, 2)
    return np.where(x == 0, 0, np.sign(x) * size)


@cache
def curve() -> np.ndarray:
    """4096 tanh(x / 2) in steps of 2^-12 of x, as both functions have it: int64 (ROWS,)."""
    low = np.arange(1 << 15)
    # Beyond sigmoid's inputs only tanh's even places are needed; 8192 is where its 32767 saturates.
    high = (tanh(np.arange(1 << 14, ROWS // 2), 3) + 1) // 4
    return np.concatenate([(sigmoid(low) - (1 << 14)) // 2, np.repeat(high, 2)])


@cache
def byte_table() -> tuple[np.ndarray, np.ndarray]:
    """(start of each block, a byte a step to add): the curve in two loads."""
    blocks = _blocks()
    starts = blocks.min(1)
    return starts, (blocks - starts[:, None]).reshape(-1)


@cache
def nibble_table() -> tuple[np.ndarray, np.ndarray]:
    """(start and slope / 2^-14 of each block (blocks, 2), two steps' additions a byte): half the bytes, a line to compute."""
    lines, steps = [], []
    within = np.arange(1 << BLOCK_BITS)
    for block in _blocks():
        slope = int((block[-1] - block[0]) * (1 << SLOPE_BITS) // ((1 << BLOCK_BITS) - 1))
        rest = block - (slope * within >> SLOPE_BITS)
        lines.append((int(rest.min()), slope))
        steps.append(rest - rest.min())
    nibbles = np.concatenate(steps)
    assert nibbles.max() < 16
    return np.array(lines), nibbles[::2] | nibbles[1::2] << 4


def _blocks() -> np.ndarray:
    return curve().reshape(-1, 1 << BLOCK_BITS)
