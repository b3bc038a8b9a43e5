"""Labelled windows exactly as the band would hand them to its model: recordings -> counts -> features -> running baseline.

Takes Recordings (nociband.signals), goes through the same front end, integer DSP and baseline as the band (nociband.dsp,
nociband.windows), gives WindowSets to nociband.training.run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nociband.dsp import features_of
from nociband.errors import ModelError
from nociband.signals import FrontEnd, Recording, to_counts
from nociband.signals.front_end import BLOCKS_PER_S
from nociband.spec import SPEC
from nociband.training.tasks import Task
from nociband.windows import BASELINE_MIN, FRAMES, relative_windows

FEATURES = tuple(f.name for f in SPEC.model_inputs)
UNIT = 2.0 ** np.array([f.q for f in SPEC.model_inputs])  # integers of a feature in one of its units
INPUT_LIMIT = 8.0  # as nociband.models.s0.INPUT_LIMIT, which needs torch
_TRUST, _SIGNALS = SPEC.features["trust"], SPEC.features["signals"]


@dataclass(frozen=True, eq=False)
class WindowSet:
    """`relative` float64 (n, 138, 6): feature minus baseline as nociband.windows.relative_windows gives it, 2^q to the unit;
    `labels` int64 (n,); `subjects` (n,) str."""

    relative: np.ndarray
    labels: np.ndarray
    subjects: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, subjects: Iterable[str]) -> WindowSet:
        """The windows of these people."""
        mine = np.isin(self.subjects, list(subjects))
        return WindowSet(self.relative[mine], self.labels[mine], self.subjects[mine])

    def scaled(self, std: np.ndarray) -> np.ndarray:
        """float32 (n, 138, 6): relative / (std * 2^q), within +-8, as the band's integer input. `std` (6,) in feature units."""
        return np.clip(self.relative / (std * UNIT), -INPUT_LIMIT, INPUT_LIMIT).astype(np.float32)


@dataclass(frozen=True)
class Draws:
    """How many windows are cut from an event: one for each carrier seed and copy, its end moved by up to `jitter_s`."""

    carrier_seeds: tuple[int, ...] = (0,)
    copies: int = 1
    jitter_s: float = 0.0
    seed: int = 0


PLAIN = Draws()  # what validation and held-out people are judged on
AUGMENTED = Draws(carrier_seeds=(0, 1, 2, 3), copies=2, jitter_s=0.6)


def build(recordings: Sequence[Recording], task: Task, draws: Draws = PLAIN) -> WindowSet:
    """Cut labelled windows. Left out: windows that end before the baseline is finished, run past the end of the recording, or
    would give no score on the band for electrodes off or saturation. Raises ModelError when nothing is left."""
    rng = np.random.default_rng(draws.seed)
    fronts = [to_counts(r, seed, **task.front_end) for r in recordings for seed in draws.carrier_seeds]
    owners = [r for r in recordings for _ in draws.carrier_seeds]
    parts, labels, subjects = [np.zeros((0, FRAMES, len(FEATURES)))], [], []
    for recording, front, features in zip(owners, fronts, features_of([(f.emg, f.eda) for f in fronts]), strict=True):
        ends, own = _ends(recording, task, draws, rng)
        keep = (ends >= BASELINE_MIN - 1) & (ends < len(features))
        keep[keep] = trusted(front, ends[keep])
        if keep.any():
            parts.append(relative_windows(features, ends[keep]))
            labels += own[keep].tolist()
            subjects += [recording.subject] * int(keep.sum())
    if not labels:
        raise ModelError(f"no usable window for the classes {', '.join(task.labels)} in {len(recordings)} recordings")
    return WindowSet(np.concatenate(parts), np.array(labels, np.int64), np.array(subjects))


def _ends(recording: Recording, task: Task, draws: Draws, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Last frame and class of each window of one pass over a recording."""
    events = [e for e in recording.events if e.label in task.labels for _ in range(draws.copies)]
    at = np.array([e.t_s for e in events]) + task.window_end_s + rng.uniform(-draws.jitter_s, draws.jitter_s, len(events))
    # Frame i is complete at (i + 1) / 25 s: the last frame within the time.
    return np.floor(at * BLOCKS_PER_S).astype(np.int64) - 1, np.array([task.labels.index(e.label) for e in events], np.int64)


def trusted(front: FrontEnd, ends: np.ndarray) -> np.ndarray:
    """bool (len(ends),): no EDA electrode off, no saturation in the window, by the limits of features.toml."""
    frames = len(front.emg) * BLOCKS_PER_S // _SIGNALS["emg"]["rate_hz"]
    eda = front.eda.reshape(frames, -1)
    off = (eda < _TRUST["eda_off_below_counts"]).any(axis=1)
    rails = (np.abs(front.emg.astype(np.int32)) >= _SIGNALS["emg"]["saturation_counts"]).reshape(frames, -1).sum(axis=1)
    rails += (eda >= _SIGNALS["eda"]["saturation_counts"]).sum(axis=1)
    ok = [not off[e - FRAMES + 1:e + 1].any() and rails[e - FRAMES + 1:e + 1].sum() <= _TRUST["saturated_samples_max"]
          for e in ends]
    return np.array(ok, bool)


def input_std(windows: WindowSet) -> np.ndarray:
    """float64 (6,) in feature units: what the model's input is divided by; to be taken from training people alone.

    The median over people of each one's root mean square about zero, so that one restless person does not set the scale.
    Raises ModelError for a feature that never moves.
    """
    rms = [np.sqrt(np.mean(np.square(windows.relative[windows.subjects == s] / UNIT), axis=(0, 1)))
           for s in np.unique(windows.subjects)]
    std = np.median(rms, axis=0)
    if not np.all(std > 0):
        raise ModelError(f"the feature {FEATURES[int(np.argmin(std))]} never moves in the training windows; check the recordings")
    return std
