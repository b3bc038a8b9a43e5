"""Twin of firmware/lib/nb_window: the model's window, its running baseline, and whether a score may be trusted.

Feature frames come from nociband.dsp; the model's int16 input goes to nociband.inference and to training. WindowTwin follows a
band frame by frame and bit for bit; the functions below it do the same for whole recordings. Rules: features.toml, docs/dsp.md.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from nociband.dsp import log2_fixed
from nociband.dsp.twin import LOG2_Q
from nociband.errors import ModelError
from nociband.manifest import SHIFT_MAX, InputScale
from nociband.spec import SPEC

BASELINE_Q = 15  # NB_WINDOW_BASELINE_Q
FRAMES: int = SPEC.features["window"]["frames"]
PREDICT_EVERY: int = SPEC.features["window"]["predict_every_frames"]
BASELINE_MIN: int = SPEC.features["baseline"]["min_frames"]
BASELINE_MEMORY: int = SPEC.features["baseline"]["memory_frames"]

_TRUST = SPEC.features["trust"]
_SIGNALS = SPEC.features["signals"]
_NAMES = [f.name for f in SPEC.model_inputs]
_USES_BASELINE = np.array([f.baseline for f in SPEC.model_inputs])
_BLOCK_US: int = SPEC.features["block"]["us"]
_SECOND = 1_000_000 // _BLOCK_US  # frames
_EDA_SECONDS = 60
_ONE_G_MG = 1000
_WHY = {name: 1 << bit for name, bit in SPEC.flags["no_score"].items()}
_EMG = [_NAMES.index("emg1_rms"), _NAMES.index("emg2_rms")]
_FLAT = int(log2_fixed(np.array(_TRUST["emg_off_below_rms_counts"]))) >> (LOG2_Q - SPEC.model_inputs[_EMG[0]].q)

# Trouble of a single frame, as in nb_window.c.
_EDA_OFF, _EMG1_FLAT, _EMG2_FLAT, _SATURATED, _MOTION, _UNDERRUN = (1 << i for i in range(6))


def input_scale(factor: float) -> InputScale:
    """The closest InputScale to a positive factor, 30 bits of it. Raises ModelError when it cannot be expressed."""
    if not (math.isfinite(factor) and 2.0**-16 <= factor < 2.0**30):
        raise ModelError(f"An input scale of {factor} cannot be expressed; check the feature's standard deviation.")
    shift = min(29 - math.frexp(factor)[1] + 1, SHIFT_MAX)
    mult = round(math.ldexp(factor, shift))
    return InputScale(mult, shift) if mult < 2**30 or not shift else InputScale(mult >> 1, shift - 1)


def _scale_arrays(scales: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    mult, shift = (np.array(v, np.int64) for v in zip(*scales, strict=True))
    if mult.shape != (len(_NAMES),) or np.any(np.abs(mult) >= 2**31) or np.any((shift < 0) | (shift > SHIFT_MAX)):
        raise ModelError(f"Give {len(_NAMES)} input scales, mult an int32 and shift 0 to {SHIFT_MAX}; got {list(scales)}.")
    return mult, shift


def _scaled(frames: np.ndarray, baseline: np.ndarray, scales: Sequence[tuple[int, int]]) -> np.ndarray:
    """(..., 6) frames and Q15 baselines that broadcast with them to int16: halves away from zero, saturated."""
    mult, shift = _scale_arrays(scales)
    difference = (frames.astype(np.int64) << BASELINE_Q) - np.where(_USES_BASELINE, baseline, 0)
    product = difference * mult
    bits = shift + BASELINE_Q
    size = (np.abs(product) + (np.int64(1) << (bits - 1))) >> bits
    return np.clip(np.where(product < 0, -size, size), -(2**15), 2**15 - 1).astype(np.int16)


def _truncated(a: np.ndarray, n: int) -> np.ndarray:
    """a / n rounded towards zero, as C divides."""
    return np.sign(a) * (np.abs(a) // n)


class WindowTwin:
    """One band's nb_window, frame by frame: push, then ask for `why`, `quality_percent` and `input`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame starts a new epoch."""
        self.frames = 0
        self.baseline = np.zeros(len(_NAMES), np.int64)  # Q15
        self._features: deque[np.ndarray] = deque(maxlen=FRAMES)
        self._trouble: deque[int] = deque(maxlen=FRAMES)
        self._saturated: deque[int] = deque(maxlen=FRAMES)
        self._motion: deque[int] = deque(maxlen=_SECOND)
        self._eda_seconds: deque[int] = deque(maxlen=_EDA_SECONDS)
        self._eda_sum = 0

    def push(self, emg: np.ndarray, eda: np.ndarray, accel: np.ndarray, features: np.ndarray, underrun: bool = False) -> None:
        """One block: emg (40, 2) int16, eda (2,) uint16, accel (2, 3) int16 counts, and its features (6,) int16."""
        emg, features = np.asarray(emg, np.int64), np.asarray(features, np.int64)
        eda_counts = [int(v) for v in eda]
        rails = int(np.count_nonzero(np.abs(emg) >= _SIGNALS["emg"]["saturation_counts"]))
        rails += sum(v >= _SIGNALS["eda"]["saturation_counts"] for v in eda_counts)
        trouble = _EDA_OFF if min(eda_counts) < _TRUST["eda_off_below_counts"] else 0
        trouble |= _EMG1_FLAT if features[_EMG[0]] <= _FLAT else 0
        trouble |= _EMG2_FLAT if features[_EMG[1]] <= _FLAT else 0
        trouble |= _SATURATED if rails else 0
        trouble |= _MOTION if self._push_motion(accel) else 0
        trouble |= _UNDERRUN if underrun else 0
        self._trouble.append(trouble)
        self._saturated.append(rails)
        self._features.append(features.astype(np.int16))
        self.frames += 1
        self._push_eda_second(eda_counts)
        n = min(self.frames, BASELINE_MEMORY)
        self.baseline = self.baseline + _truncated((features << BASELINE_Q) - self.baseline, n)

    def _push_motion(self, accel: np.ndarray) -> bool:
        axes = [[int(v) for v in sample] for sample in accel]
        self._motion.append(sum(abs(math.isqrt(x * x + y * y + z * z) - _ONE_G_MG) for x, y, z in axes))
        return sum(self._motion) > _TRUST["motion_deviation_mg"] * _SECOND * len(axes)

    def _push_eda_second(self, eda: list[int]) -> None:
        self._eda_sum += sum(eda)
        if self.frames % _SECOND == 0:
            self._eda_seconds.append(self._eda_sum)
            self._eda_sum = 0

    @property
    def full(self) -> bool:
        """True when the window has all its frames."""
        return self.frames >= FRAMES

    def _eda_not_responding(self) -> bool:
        if self.frames < BASELINE_MIN:
            return False
        samples = _SIGNALS["eda"]["rate_hz"]
        return max(self._eda_seconds) - min(self._eda_seconds) < _TRUST["eda_not_responding_counts"] * samples

    @property
    def why(self) -> int:
        """Bits of wire.toml's no_score: every reason not to show a score; 0 when there is none."""
        seen, throughout = 0, _EMG1_FLAT | _EMG2_FLAT
        for t in self._trouble:
            seen |= t
            throughout &= t
        reasons = {
            "baseline_unfinished": self.frames < BASELINE_MIN,
            "window_incomplete": not self.full,
            "eda_electrode_off": seen & _EDA_OFF,
            "emg_electrode_off": self.frames and throughout,
            "saturation": sum(self._saturated) > _TRUST["saturated_samples_max"],
            "motion": seen & _MOTION,
            "eda_not_responding": self._eda_not_responding(),
            "underrun": seen & _UNDERRUN,
        }
        return sum(_WHY[name] for name, holds in reasons.items() if holds)

    @property
    def quality_percent(self) -> int:
        """Share of the window's frames without trouble, 0-100; halved while the EDA does not respond."""
        good = sum(t == 0 for t in self._trouble)
        return 100 * good // FRAMES // (2 if self._eda_not_responding() else 1)

    def input(self, scales: Sequence[tuple[int, int]]) -> np.ndarray:
        """The model's input (138, 6) int16, oldest frame first; before the window is full, zeros at the end."""
        x = np.zeros((FRAMES, len(_NAMES)), np.int16)
        if self._features:
            x[: len(self._features)] = _scaled(np.stack(self._features), self.baseline, scales)
        return x


def prediction_ends(frames: int, first: int = BASELINE_MIN) -> np.ndarray:
    """Indices of the last feature frames of the windows that the band predicts on, of a recording of so many frames.

    From the first window with a finished baseline by default; `first=FRAMES` gives every whole window.
    """
    last = np.arange(PREDICT_EVERY - 1, frames, PREDICT_EVERY)
    return last[last >= max(first, FRAMES) - 1]


def baselines(features: np.ndarray) -> np.ndarray:
    """The running baseline after each frame: (frames, 6) int16 to (frames, 6) int64 in Q15."""
    values = np.asarray(features).astype(np.int64) << BASELINE_Q
    out = np.empty_like(values)
    base = [0] * values.shape[1]
    for t, frame in enumerate(values.tolist()):  # plain integers: quicker than arrays of six
        n = min(t + 1, BASELINE_MEMORY)
        base = [b + ((v - b) // n if v >= b else -((b - v) // n)) for b, v in zip(base, frame, strict=True)]
        out[t] = base
    return out


def _windows(features: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ends = np.asarray(ends, np.int64)
    if ends.size and (ends.min() < FRAMES - 1 or ends.max() >= len(features)):
        raise ModelError(f"Windows must end at frames {FRAMES - 1} to {len(features) - 1}; got {ends.min()} to {ends.max()}.")
    at = ends[:, None] + np.arange(1 - FRAMES, 1)
    return np.asarray(features)[at], baselines(features)[ends][:, None]


def relative_windows(features: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Windows before they are scaled, for the statistics of a training set: (windows, 138, 6) float64 in feature units.

    `features` (frames, 6) int16 of one recording, `ends` the windows' last frames. Each is relative to the baseline at its end.
    """
    frames, baseline = _windows(features, ends)
    return frames - np.where(_USES_BASELINE, baseline, 0) / 2**BASELINE_Q


def model_inputs(features: np.ndarray, ends: np.ndarray, scales: Sequence[tuple[int, int]]) -> np.ndarray:
    """What the band's model is given at each of `ends`: (windows, 138, 6) int16, as nb_window_input.

    `features` (frames, 6) int16 of one recording from its reset, `ends` the windows' last frames, `scales` the manifest's
    (mult, shift) of each feature. Raises ModelError for a window that is not whole and for scales out of range.
    """
    frames, baseline = _windows(features, ends)
    return _scaled(frames, baseline, scales)
