"""Notifications in, typed records out: decoding, sequence, clock and manifest put together, still without any I/O.

Bytes come from a band's link (nociband.band) or a session file (nociband.store) with the host time at which they arrived;
records go to the application. A bad frame never raises: it is counted, and the hole that it leaves is told as a Gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nociband.errors import SpecError, WireError
from nociband.manifest import Manifest
from nociband.records import FeatureBlock, Gap, MotionBlock, Prediction, Record, SignalBlock, Status
from nociband.spec import SPEC
from nociband.wire.clock import ClockFit
from nociband.wire.codec import Frame, decode_frame
from nociband.wire.gaps import GapDetector, Verdict

_EMG = SPEC.features["signals"]["emg"]
_EMG_CHANNELS, _ACCEL_CHANNELS = len(_EMG["channels"]), len(SPEC.features["signals"]["accel"]["channels"])
_EMG_PER_BLOCK = SPEC.features["block"]["us"] * _EMG["rate_hz"] // 1_000_000
_SIGNALS_SPAN_US = (_EMG_PER_BLOCK - 1) * 1_000_000 // _EMG["rate_hz"]     # oldest to newest sample of a signals frame
_STATES = {number: name for name, number in SPEC.enums["state"].items()}


@dataclass
class Account:
    """What came and what did not, in frames. `damaged` did not decode; `late`, `duplicates` and `stale` were left out.

    `lost` is the sum of all gaps; `damaged` frames are in it as well, because their numbers are not known.
    """

    received: int = 0
    damaged: int = 0
    duplicates: int = 0
    late: int = 0
    stale: int = 0
    gaps: int = 0
    lost: int = 0
    last_damage: str = ""


class StreamReader:
    """Turns the frames of one band into records. `manifest` gives predictions their meaning, `clock` the host times."""

    def __init__(self, manifest: Manifest, clock: ClockFit) -> None:
        self.account = Account()
        self._manifest, self.clock = manifest, clock
        self._gaps = GapDetector()
        self._damaged_since = self._overflowed_since = 0

    @property
    def epoch(self) -> int | None:
        """The session that is followed."""
        return self._gaps.epoch

    @property
    def next_seq(self) -> int:
        """The frame number that comes next."""
        return self._gaps.expected

    def begin(self, epoch: int) -> None:
        """A session was started: follow its frames and no others."""
        self._gaps.begin(epoch)
        self._damaged_since = self._overflowed_since = 0

    def overflowed(self, frames: int) -> None:
        """So many frames were thrown away unread because the application was too slow; names the reason of the coming gap."""
        self._overflowed_since += frames

    def feed(self, data: bytes | bytearray, received_s: float) -> list[Record]:
        """The records of one notification: at most a Gap and what follows it. Raises WireError only before a time exchange."""
        if not self.clock.ready:
            raise WireError("frames have no host time yet: exchange times (get_time) before the first")
        try:
            frame = decode_frame(data)
            record = _BUILDERS[frame.name](frame.values, self._stamp(frame), received_s, self._manifest)
        except WireError as e:
            self.account.damaged += 1
            self.account.last_damage = str(e)
            self._damaged_since += 1
            return []
        verdict, gap = self._gaps.push(frame.epoch, frame.seq)
        if verdict is not Verdict.NEXT:
            self._leave_out(verdict)
            return []
        self.account.received += 1
        self._learn_time(frame, received_s)
        return [*self._told(gap), record]

    def finish(self, frames: int) -> list[Record]:
        """The session had so many frames in all: the Gap of those missing at its end, if any."""
        return [*self._told(self._gaps.finish(frames))]

    def abandon(self) -> list[Record]:
        """The session ended without a word (the band restarted): at least the frame that was due is gone."""
        gap = self._gaps.finish(self._gaps.expected + 1)
        return [replace(g, why="band_restarted") for g in self._told(gap)]

    def _stamp(self, frame: Frame) -> dict[str, Any]:
        host_s, uncertainty_s = self.clock.to_host(frame.t_us)
        return {"epoch": frame.epoch, "seq": frame.seq, "t_us": frame.t_us, "host_time_s": host_s,
                "host_uncertainty_s": uncertainty_s}

    def _told(self, gap: Gap | None) -> list[Gap]:
        if gap is None:
            return []
        why = gap.why
        if self._overflowed_since:
            why = "slow_consumer"
        elif self._damaged_since >= gap.lost:
            why = "damaged"
        self._damaged_since = self._overflowed_since = 0
        self.account.gaps += 1
        self.account.lost += gap.lost
        return [replace(gap, why=why)]

    def _leave_out(self, verdict: Verdict) -> None:
        self.account.late += verdict is Verdict.LATE
        self.account.duplicates += verdict is Verdict.DUPLICATE
        self.account.stale += verdict is Verdict.STALE

    def _learn_time(self, frame: Frame, received_s: float) -> None:
        if frame.name == "signals":
            self.clock.arrival(frame.t_us + _SIGNALS_SPAN_US, received_s)
        elif frame.name == "status":
            self.clock.arrival(frame.t_us, received_s)


def _signals(v: Mapping[str, Any], stamp: dict[str, Any], received_s: float, _: Manifest) -> SignalBlock:
    return SignalBlock(**stamp, sample_index=v["sample_index"], emg_counts=v["emg_counts"].reshape(-1, _EMG_CHANNELS),
                       eda_counts=v["eda_counts"], received_s=received_s)


def _motion(v: Mapping[str, Any], stamp: dict[str, Any], _received_s: float, _: Manifest) -> MotionBlock:
    return MotionBlock(**stamp, sample_index=v["sample_index"], accel_mg=v["accel_mg"].reshape(-1, _ACCEL_CHANNELS))


def _features(v: Mapping[str, Any], stamp: dict[str, Any], _received_s: float, _: Manifest) -> FeatureBlock:
    return FeatureBlock(**stamp, frame_index=v["frame_index"], features=v["features"].reshape(-1, len(SPEC.model_inputs)))


def _prediction(v: Mapping[str, Any], stamp: dict[str, Any], _received_s: float, manifest: Manifest) -> Prediction:
    """Raises WireError when the outputs are not the manifest's classes, or the quality is no percentage."""
    outputs, why = v["outputs"], reasons(v["why"])
    if outputs not in (0, len(manifest.classes)) or v["quality_percent"] > 100:
        raise WireError(f"prediction: {outputs} outputs and quality {v['quality_percent']} %, but the manifest has "
                        f"{len(manifest.classes)} classes")
    if not outputs and not why:
        raise WireError("prediction: neither an output nor a reason why there is none")
    logits = tuple(int(x) for x in v["logits"][:outputs])
    try:
        probabilities = manifest.probabilities(logits) if outputs else np.zeros(0)
    except SpecError as e:
        raise WireError(f"prediction: {e}") from e
    return Prediction(
        **stamp, frame_index=v["frame_index"], score=None if why else manifest.score(probabilities),
        labels=manifest.labels if outputs else (), probabilities=probabilities, quality=v["quality_percent"] / 100, why=why,
        logits=logits, compute_us=v["compute_us"], of=manifest.of,
    )


def _status(v: Mapping[str, Any], stamp: dict[str, Any], _received_s: float, _: Manifest) -> Status:
    return status_record(v, epoch=stamp["epoch"], seq=stamp["seq"], t_us=stamp["t_us"], host_s=stamp["host_time_s"],
                         uncertainty_s=stamp["host_uncertainty_s"])


_BUILDERS: Mapping[str, Callable[[Mapping[str, Any], dict[str, Any], float, Manifest], Record]] = {
    "signals": _signals, "motion": _motion, "features": _features, "prediction": _prediction, "status": _status,
}


def reasons(bits: int) -> tuple[str, ...]:
    """Names of the no-score bits. One that this SDK does not know still means "no score", so it is named too, not dropped."""
    known = SPEC.flags["no_score"]
    unknown = [f"unknown_reason_{bit}" for bit in range(16) if bits >> bit & 1 and bit not in known.values()]
    return (*SPEC.flag_names("no_score", bits), *unknown)


def status_record(values: Mapping[str, Any], *, epoch: int, seq: int, t_us: int, host_s: float, uncertainty_s: float) -> Status:
    """A Status from the fields of wire.toml's record, read or streamed."""
    fields = dict(values)
    state, flags = fields.pop("state"), fields.pop("flags")
    return Status(epoch, seq, t_us, host_s, uncertainty_s, state=_STATES.get(state, "unknown"),
                  flags=SPEC.flag_names("status_flag", flags), **fields)
