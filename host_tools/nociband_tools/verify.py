"""Holds a session against the truth: what was fed, what the integer twin makes of it, what the reference kernels predict.

In: what the host received (records), what the emulator handed to the band (fed.bin), the model's folder. Out: an Account.
Nothing here is told what the answer should be: every figure is computed from the bytes on both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nociband.dsp import features as dsp_features
from nociband.inference import Model
from nociband.records import FeatureBlock, Gap, MotionBlock, Prediction, Record, SignalBlock, Stamp, Status
from nociband.spec import SPEC
from nociband.windows import WindowTwin

_SLOT = SPEC.messages["samples"].layout
_SLOT_DTYPE = np.dtype([(f.name, f.dtype, (f.count,) if f.count > 1 else ()) for f in _SLOT.fields])
_BLOCK_US = SPEC.features["block"]["us"]
_BLOCK = SPEC.features["signals"]["emg"]["rate_hz"] * _BLOCK_US // 1_000_000
_MOTION_SAMPLES, _FEATURE_FRAMES = 25, 5    # of one record: what is left over at the end of a session is not sent
_EVERY = SPEC.features["window"]["predict_every_frames"]


@dataclass
class Received:
    """What one epoch brought to the host, in order of arrival."""

    signals: list[SignalBlock] = field(default_factory=list)
    motion: list[MotionBlock] = field(default_factory=list)
    features: list[FeatureBlock] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    status: Status | None = None
    frames: list[tuple[int, int]] = field(default_factory=list)     # (epoch, seq) of every frame

    def add(self, record: Record) -> None:
        """File a record under its kind."""
        if isinstance(record, Stamp):
            self.frames.append((record.epoch, record.seq))
        match record:
            case SignalBlock():
                self.signals.append(record)
            case MotionBlock():
                self.motion.append(record)
            case FeatureBlock():
                self.features.append(record)
            case Prediction():
                self.predictions.append(record)
            case Gap():
                self.gaps.append(record)
            case Status():
                self.status = record

    def emg(self) -> np.ndarray:
        """int16 (n, 2), as received."""
        return np.concatenate([b.emg_counts for b in self.signals]) if self.signals else np.zeros((0, 2), np.int16)

    def eda(self) -> np.ndarray:
        """uint16 (n / 20,), as received."""
        return np.concatenate([b.eda_counts for b in self.signals]) if self.signals else np.zeros(0, np.uint16)

    def accel(self) -> np.ndarray:
        """int16 (m, 3), as received."""
        return np.concatenate([b.accel_mg for b in self.motion]) if self.motion else np.zeros((0, 3), np.int16)


@dataclass(frozen=True)
class Account:
    """What holds and what does not. `problems` says in words what differs, empty when all is well."""

    samples_fed: int
    samples_received: int
    samples_sha256_fed: str
    samples_sha256_received: str
    features_compared: int
    features_differing: int
    predictions: int
    predictions_valid: int
    predictions_compared: int
    predictions_differing: int
    underruns: int
    frames_lost: int
    problems: tuple[str, ...]

    @property
    def samples_sha256_equal(self) -> bool:
        """The same counts in the same order on both sides, and some at all."""
        return self.samples_received > 0 and self.samples_sha256_fed == self.samples_sha256_received

    @property
    def features_equal_host(self) -> bool:
        """Every feature of the band is the twin's."""
        return self.features_compared > 0 and self.features_differing == 0

    @property
    def predictions_equal_host(self) -> bool:
        """Every prediction of the band is the reference kernels' on the twin's features."""
        return self.predictions_compared > 0 and self.predictions_differing == 0

    @property
    def whole(self) -> bool:
        """All equal, nothing lost, no underrun."""
        return not self.problems


def fed_slots(path: Path, emg_samples: int) -> np.ndarray:
    """The slots of the first `emg_samples` EMG samples that the emulator handed over, fewer when there are no more."""
    return np.fromfile(path, _SLOT_DTYPE)[:emg_samples // (_BLOCK // 2)]


def sha256_of_counts(emg: np.ndarray, eda: np.ndarray) -> str:
    """Hex digest over the EMG counts, then the EDA counts, little-endian."""
    return hashlib.sha256(emg.astype("<i2").tobytes() + eda.astype("<u2").tobytes()).hexdigest()


def twin_features(emg: np.ndarray, eda: np.ndarray) -> np.ndarray:
    """Features of whole blocks by the integer twin from a fresh reset: int16 (blocks, 6)."""
    if len(emg) < _BLOCK:
        return np.zeros((0, len(SPEC.model_inputs)), np.int16)
    return dsp_features(emg, eda)


def _differing_features(received: Received, expected: np.ndarray) -> tuple[int, int]:
    compared = differing = 0
    for block in received.features:
        for offset, row in enumerate(block.features):
            at = block.frame_index + offset
            compared += 1
            differing += at >= len(expected) or not np.array_equal(row, expected[at])
    return compared, differing


def _site_mismatch(model: Model, sites: Sequence[str]) -> tuple[str, ...]:
    """The reason that the band must give when its electrodes are not where the model needs them."""
    fits = all(needed in ("unspecified", site) for needed, site in zip(model.manifest.sites, sites, strict=True))
    return () if fits else ("electrode_site",)


def _differing_predictions(received: Received, accel: np.ndarray, features: np.ndarray, model: Model,
                           sites: Sequence[str]) -> tuple[int, int]:
    """Replays the window stage and the model on the twin's features and compares logits, reasons and quality.

    accel: int16 (n / 20, 3) as fed: the band has sent no motion record of the last half second yet when it judges it.
    """
    of_sites = _site_mismatch(model, sites)
    emg, eda = received.emg(), received.eda()
    by_frame = {p.frame_index: p for p in received.predictions}
    window, scales = WindowTwin(), model.manifest.input_scales
    compared = differing = 0
    for i in range(min(len(features), len(accel) // 2)):
        window.push(emg[i * _BLOCK:(i + 1) * _BLOCK], eda[2 * i:2 * i + 2], accel[2 * i:2 * i + 2], features[i], False)
        if (i + 1) % _EVERY:
            continue
        compared += 1
        said = by_frame.get(i)
        expected = tuple(int(v) for v in model.logits(window.input(scales))) if window.full else ()
        names = (*SPEC.flag_names("no_score", window.why), *of_sites)
        same = said is not None and tuple(said.logits) == expected and set(said.why) == set(names) \
            and round(said.quality * 100) == window.quality_percent
        differing += not same
    return compared, differing


def _order(received: Received, taken: int) -> list[str]:
    """What is wrong with the records' numbers: each kind whole, once and in order from the session's first sample to its last."""
    blocks = taken // _BLOCK
    wanted = {
        "signals": ([b.sample_index for b in received.signals], _BLOCK, blocks),
        "motion": ([b.sample_index for b in received.motion], _MOTION_SAMPLES, 2 * blocks // _MOTION_SAMPLES),
        "features": ([b.frame_index for b in received.features], _FEATURE_FRAMES, blocks // _FEATURE_FRAMES),
        "predictions": ([p.frame_index - _EVERY + 1 for p in received.predictions], _EVERY, blocks // _EVERY),
    }
    problems = [f"the {len(numbers)} {kind} records are not the {count} of the session, each once and in order"
                for kind, (numbers, step, count) in wanted.items() if numbers != [i * step for i in range(count)]]
    first_us = received.signals[0].t_us if received.signals else 0
    if any(b.t_us - first_us != b.sample_index // _BLOCK * _BLOCK_US for b in received.signals):
        problems.append("the device times of the samples are not those of an even clock")
    return problems


def _frames(received: Received) -> list[str]:
    """What is wrong with the frames and the band's own account of them, which ends the session."""
    last = received.status
    if last is None or last.state == "running":
        return ["the band never sent its final status"]
    problems = []
    if received.frames != [(last.epoch, seq) for seq in range(last.seq + 1)]:
        problems.append(f"the {len(received.frames)} frames are not 0 to {last.seq} of one session, each once and in order")
    if last.frames_dropped:
        problems.append(f"the band dropped {last.frames_dropped} frames")
    if last.predictions != len(received.predictions):
        problems.append(f"the band made {last.predictions} predictions, {len(received.predictions)} arrived")
    return problems


def verify(received: Received, fed: Path, model_dir: Path, sites: Sequence[str]) -> Account:
    """Compare one whole epoch. A difference raises nothing: that is what the Account says. Raises OSError without `fed`.

    sites: where the electrodes of the two EMG channels were, as the band's label has it.
    """
    emg, eda, accel = received.emg(), received.eda(), received.accel()
    taken = received.status.samples_taken if received.status else 0
    slots = fed_slots(fed, taken)
    fed_emg, fed_eda, fed_accel = slots["emg_counts"].reshape(-1, 2), slots["eda_counts"], slots["accel_mg"]
    features = twin_features(emg, eda)
    compared, differing = _differing_features(received, features)
    p_compared, p_differing = _differing_predictions(received, fed_accel, features, Model.load(model_dir), sites)
    lost = sum(g.lost for g in received.gaps)
    underruns = received.status.underruns if received.status else 0
    hashes = sha256_of_counts(fed_emg, fed_eda), sha256_of_counts(emg, eda)
    problems = [*_frames(received), *_order(received, taken)]
    if not len(emg) or hashes[0] != hashes[1]:
        problems.append(f"samples received ({len(emg)}) are not the samples fed ({len(fed_emg)})")
    if not np.array_equal(accel, fed_accel[:len(accel)]):
        problems.append(f"accelerometer samples received ({len(accel)}) are not those fed")
    if differing or not compared:
        problems.append(f"{differing} of {compared} feature frames differ from the integer twin" if compared
                        else "no feature frame to compare with the integer twin")
    if p_differing or not p_compared:
        problems.append(f"{p_differing} of {p_compared} predictions differ from LiteRT's reference kernels" if p_compared
                        else "no prediction to compare with LiteRT's reference kernels: the session was too short")
    if lost:
        problems.append(f"{lost} frames were lost")
    if underruns:
        problems.append(f"{underruns} underruns")
    return Account(len(fed_emg), len(emg), *hashes, compared, differing, len(received.predictions),
                   sum(1 for p in received.predictions if not p.why), p_compared, p_differing, underruns, lost, tuple(problems))
