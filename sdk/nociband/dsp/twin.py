"""NumPy integer twin of firmware/lib/nb_dsp: ADC counts in, feature frames out, bit for bit what the band computes.

Lanes run side by side (recordings x channels) and time runs in a loop, so that many recordings cost little more than one.
All arithmetic is int64 and exact: right shifts keep the sign and round down, as the C code's do. Change both together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from nociband.dsp.coefficients import Q, Section, filter_tables
from nociband.errors import DataError
from nociband.spec import SPEC

EMG_FRACTION_BITS = 12  # NB_DSP_EMG_FRACTION_BITS
EDA_FRACTION_BITS = 14  # NB_DSP_EDA_FRACTION_BITS
LOG2_Q = 14  # NB_DSP_LOG2_Q

_SIGNALS = SPEC.features["signals"]
_BLOCK_US: int = SPEC.features["block"]["us"]
EMG_CHANNELS = len(_SIGNALS["emg"]["channels"])
EMG_PER_BLOCK: int = _SIGNALS["emg"]["rate_hz"] * _BLOCK_US // 1_000_000
EDA_PER_BLOCK: int = _SIGNALS["eda"]["rate_hz"] * _BLOCK_US // 1_000_000
_LOG2_PER_BLOCK = round(math.log2(EMG_PER_BLOCK) * 2**LOG2_Q)
_ENVELOPE_SHIFT: int = SPEC.features["filters"]["emg_envelope"]["shift"]
_EDA_UNIT_BITS: int = _SIGNALS["eda"]["counts_per_unit"].bit_length() - 1
_FEATURE_Q = {f.name: f.q for f in SPEC.model_inputs}
_CHUNK_BLOCKS = 250  # 10 s at a time keeps the memory small and the loop's overhead low


@dataclass(frozen=True)
class Stages:
    """What each stage made of one recording: integers, int64 unless said otherwise.

    `emg_filtered` (n, 2) in counts * 2**12; `emg_power` and `emg_envelope` (frames, 2), sums of 40 squares of it;
    `eda_filtered` and `eda_tonic` (frames,) in counts * 2**14; `features` (frames, 6) int16 as in features.toml.
    """

    emg_filtered: np.ndarray
    emg_power: np.ndarray
    emg_envelope: np.ndarray
    eda_filtered: np.ndarray
    eda_tonic: np.ndarray
    features: np.ndarray


class _Section:
    """A second-order section in direct form I over many lanes, with the rounding remainder fed back (see nb_dsp.h)."""

    def __init__(self, coefficients: Section) -> None:
        self.b0, self.b1, self.b2, self.a1, self.a2 = coefficients

    def settle(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take the state that a constant input x and output y (lanes,) would have left."""
        self.x = np.stack([x, x])
        self.y = np.stack([y, y])
        self.remainder = np.zeros_like(x)

    def run(self, x: np.ndarray) -> np.ndarray:
        """(time, lanes) to (time, lanes), both int64 in the same unit."""
        xs = np.concatenate([self.x, x])
        sums = self.b0 * xs[2:] + self.b1 * xs[1:-1] + self.b2 * xs[:-2]
        ys = np.empty_like(xs)
        ys[:2] = self.y
        product, remainder, a1, a2, mask = np.empty_like(x[0]), self.remainder, self.a1, self.a2, (1 << Q) - 1
        y2, y1 = ys[0], ys[1]
        for total, y in zip(sums, ys[2:], strict=True):
            total += remainder
            total -= np.multiply(y1, a1, out=product)
            total -= np.multiply(y2, a2, out=product)
            np.right_shift(total, Q, out=y)
            np.bitwise_and(total, mask, out=remainder)
            y2, y1 = y1, y
        self.x, self.y = xs[-2:].copy(), ys[-2:].copy()
        return ys[2:]


def log2_fixed(value: np.ndarray) -> np.ndarray:
    """log2(value) * 2**14 rounded down, as nb_dsp_log2: int64 of positive int64 (at most 1.001 units below the true value).

    Each squaring of a mantissa in [1, 2) doubles its logarithm, and the carry past 2 is the next bit.
    """
    value = np.asarray(value).astype(np.uint64)
    exponent = np.zeros(value.shape, np.int64)
    top = value.copy()
    for step in (32, 16, 8, 4, 2, 1):  # count leading zeros by halving
        above = (top >> np.uint64(step)) > 0
        exponent += step * above
        top = np.where(above, top >> np.uint64(step), top)
    mantissa = (value << (63 - exponent).astype(np.uint64)) >> np.uint64(32)
    result = exponent
    for _ in range(LOG2_Q):
        square = (mantissa * mantissa) >> np.uint64(31)
        carry = square >> np.uint64(32)
        mantissa = square >> carry
        result = result * 2 + carry.astype(np.int64)
    return result


def _round_shift(value: np.ndarray, bits: int) -> np.ndarray:
    return (value + (1 << (bits - 1))) >> bits


def _saturate(value: np.ndarray) -> np.ndarray:
    return np.clip(value, -(2**15), 2**15 - 1).astype(np.int16)


def _log2_rms(sum_of_squares: np.ndarray, q: int) -> np.ndarray:
    mean = log2_fixed(np.maximum(sum_of_squares, 1)) - _LOG2_PER_BLOCK - ((2 * EMG_FRACTION_BITS) << LOG2_Q)
    rounded = _round_shift(mean, LOG2_Q + 1 - q)  # the root halves the logarithm: one more bit to drop
    return _saturate(np.where((sum_of_squares > 0) & (mean > 0), rounded, 0))


class _Bank:
    """All stages over `recordings` lanes of EDA and twice as many of EMG, a whole number of blocks at a time."""

    def __init__(self, recordings: int) -> None:
        tables = filter_tables()
        self.recordings = recordings
        self.emg_high_pass, self.emg_low_pass = _Section(tables["emg_high_pass"]), _Section(tables["emg_low_pass"])
        self.eda_low_pass, self.eda_tonic = _Section(tables["eda_low_pass"]), _Section(tables["eda_tonic"])
        self.envelope = np.zeros(0, np.int64)
        self.started = False

    def _start(self, emg: np.ndarray, eda: np.ndarray) -> None:
        zeros = np.zeros_like(emg[0])
        self.emg_high_pass.settle(emg[0], zeros)
        self.emg_low_pass.settle(zeros, zeros)
        self.eda_low_pass.settle(eda[0], eda[0])

    def run(self, emg_counts: np.ndarray, eda_counts: np.ndarray) -> list[Stages]:
        """emg (n, recordings, 2), eda (m, recordings): integer counts of the same whole blocks."""
        emg = emg_counts.astype(np.int64).reshape(len(emg_counts), -1) << EMG_FRACTION_BITS
        eda = eda_counts.astype(np.int64) << EDA_FRACTION_BITS
        if not self.started:
            self._start(emg, eda)
        filtered = self.emg_low_pass.run(self.emg_high_pass.run(emg))
        power = np.square(filtered).reshape(-1, EMG_PER_BLOCK, filtered.shape[1]).sum(1)
        if not self.started:
            self.envelope = power[0].copy()
        envelope = np.empty_like(power)
        for t, p in enumerate(power):
            self.envelope += (p - self.envelope) >> _ENVELOPE_SHIFT
            envelope[t] = self.envelope
        level = self.eda_low_pass.run(eda)[EDA_PER_BLOCK - 1 :: EDA_PER_BLOCK]
        if not self.started:
            self.eda_tonic.settle(level[0], level[0])
        self.started = True
        return self._split(filtered, power, envelope, level, self.eda_tonic.run(level))

    def _split(self, filtered: np.ndarray, power: np.ndarray, envelope: np.ndarray, level: np.ndarray,
               tonic: np.ndarray) -> list[Stages]:
        shape = (-1, self.recordings, EMG_CHANNELS)
        filtered, power, envelope = filtered.reshape(shape), power.reshape(shape), envelope.reshape(shape)
        unit = EDA_FRACTION_BITS + _EDA_UNIT_BITS
        columns = {
            "eda_tonic": _saturate(_round_shift(tonic, unit - _FEATURE_Q["eda_tonic"])),
            "eda_phasic": _saturate(_round_shift(level - tonic, unit - _FEATURE_Q["eda_phasic"])),
        }
        for c in range(EMG_CHANNELS):
            columns[f"emg{c + 1}_rms"] = _log2_rms(power[:, :, c], _FEATURE_Q[f"emg{c + 1}_rms"])
            columns[f"emg{c + 1}_env"] = _log2_rms(envelope[:, :, c], _FEATURE_Q[f"emg{c + 1}_env"])
        frames = np.stack([columns[f.name] for f in SPEC.model_inputs], axis=-1)
        return [Stages(filtered[:, r], power[:, r], envelope[:, r], level[:, r], tonic[:, r], frames[:, r])
                for r in range(self.recordings)]


def _checked(emg: np.ndarray, eda: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    emg, eda = np.asarray(emg), np.asarray(eda)
    if emg.ndim != 2 or emg.shape[1] != EMG_CHANNELS or len(emg) % EMG_PER_BLOCK:
        raise DataError(f"EMG has shape {emg.shape}; give whole blocks of counts, (40 * blocks, {EMG_CHANNELS}).")
    if eda.shape != (len(emg) // EMG_PER_BLOCK * EDA_PER_BLOCK,):
        raise DataError(f"EDA has shape {eda.shape}; {len(emg)} EMG samples go with ({len(emg) // 20},).")
    for name, array, dtype in (("EMG", emg, np.int16), ("EDA", eda, np.uint16)):
        limits = np.iinfo(dtype)
        if array.dtype.kind not in "iu" or (array.size and (array.min() < limits.min or array.max() > limits.max)):
            raise DataError(f"{name} is {array.dtype}; give counts that fit {np.dtype(dtype).name} (see signals.front_end).")
    return emg, eda


class Twin:
    """One band's nb_dsp, block by block.

    >>> frame = Twin().block(np.zeros((40, 2), np.int16), np.full(2, 1024, np.uint16))  # 2 uS, no muscle activity
    """

    def __init__(self) -> None:
        self._bank = _Bank(1)

    def reset(self) -> None:
        """Forget everything: the next block starts a new epoch."""
        self._bank = _Bank(1)

    def block(self, emg: np.ndarray, eda: np.ndarray) -> np.ndarray:
        """emg (40, 2) int16 and eda (2,) uint16 counts to one feature frame (6,) int16.

        Whole multiples of a block give (6,) frames stacked: (blocks, 6). Raises DataError for other shapes and ranges.
        """
        emg, eda = _checked(emg, eda)
        if not len(emg):
            raise DataError("An empty block has no features; give 40 EMG and 2 EDA samples.")
        frames = self._bank.run(emg[:, None], eda[:, None])[0].features
        return frames[0] if len(frames) == 1 else frames


Pair = tuple[np.ndarray, np.ndarray]


def _chunks(pairs: Sequence[Pair]) -> Iterator[list[Stages]]:
    """All recordings side by side, 10 s at a time; a recording that has ended goes on as silence, which is cut off here."""
    blocks = [len(emg) // EMG_PER_BLOCK for emg, _ in pairs]
    bank = _Bank(len(pairs))
    for start in range(0, max(blocks, default=0), _CHUNK_BLOCKS):
        length = min(_CHUNK_BLOCKS, max(blocks) - start)
        emg = np.zeros((length * EMG_PER_BLOCK, len(pairs), EMG_CHANNELS), np.int16)
        eda = np.zeros((length * EDA_PER_BLOCK, len(pairs)), np.uint16)
        for r, (own_emg, own_eda) in enumerate(pairs):
            part = own_emg[start * EMG_PER_BLOCK:][: len(emg)]
            emg[: len(part), r] = part
            part = own_eda[start * EDA_PER_BLOCK:][: len(eda)]
            eda[: len(part), r] = part
        yield [_cut(s, max(0, n - start)) for s, n in zip(bank.run(emg, eda), blocks, strict=True)]


def _cut(s: Stages, blocks: int) -> Stages:
    return Stages(s.emg_filtered[: blocks * EMG_PER_BLOCK], s.emg_power[:blocks], s.emg_envelope[:blocks],
                  s.eda_filtered[:blocks], s.eda_tonic[:blocks], s.features[:blocks])


def stages(recordings: Sequence[Pair]) -> list[Stages]:
    """Every stage of every recording, each from its own reset. `recordings`: (emg (n, 2) int16, eda (n // 20,) uint16)
    pairs of counts, n a multiple of 40 that may differ between them. Raises DataError for other shapes and ranges."""
    chunks = list(_chunks([_checked(emg, eda) for emg, eda in recordings]))
    if not chunks:
        raise DataError("There is nothing to filter: every recording is empty.")
    names = [f.name for f in fields(Stages)]
    return [Stages(*(np.concatenate([getattr(c[r], n) for c in chunks]) for n in names)) for r in range(len(recordings))]


def features_of(recordings: Sequence[Pair]) -> list[np.ndarray]:
    """As `stages`, but only the feature frames, (frames, 6) int16 of each recording, in little memory."""
    empty = np.zeros((0, len(SPEC.model_inputs)), np.int16)
    out = [[empty] for _ in recordings]
    for chunk in _chunks([_checked(emg, eda) for emg, eda in recordings]):
        for frames, s in zip(out, chunk, strict=True):
            frames.append(s.features)
    return [np.concatenate(frames) for frames in out]


def features(emg: np.ndarray, eda: np.ndarray) -> np.ndarray:
    """Feature frames (frames, 6) int16 of one recording from reset: emg (n, 2) int16, eda (n // 20,) uint16 counts."""
    return features_of([(emg, eda)])[0]
