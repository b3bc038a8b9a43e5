"""LiteRT's int16 LOGISTIC and TANH in NumPy, to the bit: what the tables in generated code are made of.

From a tensor's scale to the values of its activation, in steps of 2^-15. The same table and interpolation as nb_nn's.
"""

from __future__ import annotations

import numpy as np

from nociband_convert.arithmetic.quantise import table_input

# 65536 * sigmoid(i / 24) as LiteRT has it; tests/parity/test_nn_ops.py reads it out of its TANH.
SIGMOID = np.array([
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794, 41432, 42064, 42688, 43304,
    43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443, 48964, 49475, 49975, 50464, 50942, 51409, 51865, 52311,
    52745, 53169, 53581, 53983, 54374, 54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433, 57724, 58007, 58280,
    58544, 58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110, 61279, 61441, 61599, 61750,
    61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990, 63090, 63186, 63279, 63368, 63454, 63536, 63615,
    63691, 63765, 63835, 63903, 63968, 64030, 64090, 64148, 64204, 64257, 64308, 64357, 64405, 64450, 64494, 64536, 64576,
    64614, 64652, 64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900, 64926, 64950, 64974, 64997, 65019, 65039, 65060,
    65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208, 65221, 65234, 65246, 65258, 65269, 65280, 65291, 65301,
    65310, 65319, 65328, 65337, 65345, 65352, 65360, 65367, 65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420,
    65425, 65429, 65433, 65438, 65442, 65445, 65449, 65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476, 65479,
    65481, 65483, 65485, 65488, 65489, 65491, 65493, 65495, 65497, 65498, 65500, 65501, 65503, 65504, 65505, 65507, 65508,
    65509, 65510, 65511, 65512, 65513, 65514, 65515, 65516, 65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522,
    65523, 65523, 65524, 65524, 65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529,
    65529, 65530, 65530, 65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532, 65532, 65532, 65532, 65533,
    65533, 65533, 65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534,
    65535,
], np.int64)
_LAST = len(SIGMOID) - 1


def _interpolated(magnitude: np.ndarray, bits: int) -> np.ndarray:
    """The table at magnitude / 2^bits, times 2^bits."""
    index = magnitude >> bits
    inside = np.minimum(index, _LAST - 1)
    line = (SIGMOID[inside] << bits) + (magnitude & ((1 << bits) - 1)) * (SIGMOID[inside + 1] - SIGMOID[inside])
    return np.where(index < _LAST, line, 0xFFFF << bits)


def _steps(x: np.ndarray, scale: float) -> np.ndarray:
    """x in steps of 1/12288, rounded as LiteRT does."""
    multiplier, right = table_input(scale)
    return (x.astype(np.int64) * multiplier + ((1 << right) >> 1)) >> right


def logistic(x: np.ndarray, scale: float) -> np.ndarray:
    """Integers in steps of `scale` -> sigmoid as int16 in steps of 2^-15."""
    v = _steps(x, scale)
    # Beyond the table LiteRT takes 32767 << 10, which is a little less than the interpolation's 65535 << 9.
    r = np.where(np.abs(v) >> 9 < _LAST, _interpolated(np.abs(v), 9), 32767 << 10)
    return (np.where(v >= 0, r + (1 << 9), (1 << 25) - r + (1 << 9) - 1) >> 10).astype(np.int16)


def tanh(x: np.ndarray, scale: float) -> np.ndarray:
    """Integers in steps of `scale` -> tanh as int16 in steps of 2^-15."""
    return tanh_of_steps(_steps(x, scale))


def tanh_of_steps(v: np.ndarray) -> np.ndarray:
    """The same for integers in steps of 1/12288."""
    r = _interpolated(np.abs(v), 8)
    return (np.where(v >= 0, r - (1 << 23) + (1 << 7), -r + (1 << 23) + (1 << 7) - 1) >> 8).astype(np.int16)


def tanh_lines(first: int, last: int) -> np.ndarray:
    """tanh as lines: rows {base, slope} for v >> 8 from `first` to `last`, 2^16 tanh(v) = (base + slope v) mod 2^32, int64.

    v is in steps of 1/12288; the high half, arithmetically shifted, is the int16 that `tanh_of_steps` gives.
    """
    rows = []
    for segment in range(first, last + 1):
        near = segment if segment >= 0 else -segment - 1
        rise = int(SIGMOID[near + 1] - SIGMOID[near]) if near < _LAST else 0
        level = int(SIGMOID[min(near, _LAST)]) << 8
        if segment >= 0:
            base = level - rise * (near << 8) - (1 << 23) + (1 << 7)
        else:
            base = -(level - rise * (near << 8)) + (1 << 23) + (1 << 7) - 1
        rows.append((base << 8, rise << 8))
    return np.array(rows, np.int64)
