"""What every data set becomes: a Recording of named channels with rates, units and events.

Loaders (registry names them all) and the simulator make them; front_end.to_counts turns them into the ADC counts that the band,
its emulation and the training all start from. What a loader finds wrong with a file is a Finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nociband.errors import DataError

KINDS = ("raw", "rectified_mean")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a data set's files: in which file, at which line, column or rate, and what."""

    path: Path
    what: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.path}{', ' if self.where else ''}{self.where}: {self.what}"


class DamagedFile(DataError):
    """A file of a data set is missing or damaged; `finding` says which, where and how, and is the message."""

    def __init__(self, path: Path, what: str, where: str = "") -> None:
        self.finding = Finding(path, what, where)
        super().__init__(str(self.finding))

    def __reduce__(self) -> tuple[type[DamagedFile], tuple[Path, str, str]]:
        return type(self), (self.finding.path, self.finding.what, self.finding.where)


@dataclass(frozen=True, eq=False)
class Channel:
    """One signal. `samples` float64 (n,), `rate_hz` without a default on purpose.

    `unit` is uS (skin conductance), uV or mV (EMG, ECG), g (acceleration), degC, bpm, % (oxygen saturation), or "" for what
    has none that is known (respiration belts, photoplethysmograms).

    `kind` is "raw" for a signal as measured, "rectified_mean" for an EMG that was rectified and averaged before it reached us.
    Raises DataError for an empty, non-finite or wrongly shaped signal.
    """

    samples: np.ndarray
    rate_hz: float
    unit: str
    kind: str = "raw"

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.size == 0:
            raise DataError(f"a channel needs samples in one dimension, got shape {self.samples.shape}")
        if not self.rate_hz > 0:
            raise DataError(f"a channel needs a positive sampling rate, got {self.rate_hz}")
        if self.kind not in KINDS:
            raise DataError(f"unknown kind of channel {self.kind!r}; known: {', '.join(KINDS)}")
        if not np.isfinite(self.samples).all():
            at = int(np.flatnonzero(~np.isfinite(self.samples))[0])
            raise DataError(f"sample {at} ({at / self.rate_hz:.2f} s) is not a number")

    @property
    def duration_s(self) -> float:
        """Seconds from the first sample to one period after the last."""
        return self.samples.size / self.rate_hz


@dataclass(frozen=True)
class Event:
    """Something that began `t_s` seconds into the recording and lasted `duration_s`."""

    t_s: float
    duration_s: float
    label: str


@dataclass(frozen=True, eq=False)
class Recording:
    """One sitting of one person.

    `channels` by name: "eda", EMG channels named after their sites (spec's `sites`), and optionally "accel_x", "accel_y",
    "accel_z", "ecg", "temperature", "heart_rate" and others that only some sets have. All channels begin at the same moment.
    `emg_gain` is what the front end multiplies EMG by, one number for the whole data set. `simulated` names what is not
    measured (empty: all of it was), `source` says where it comes from. `attributes` is what the set says of the person
    (sex, age, treatment, ...); `sitting` tells sittings of one person apart and is "" where each person has one.
    """

    name: str
    subject: str
    channels: Mapping[str, Channel]
    events: tuple[Event, ...]
    simulated: tuple[str, ...]
    source: str
    notes: str = ""
    emg_gain: float = 1.0
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    sitting: str = ""

    def __post_init__(self) -> None:
        if not self.channels:
            raise DataError(f"{self.name}: a recording without channels")
        object.__setattr__(self, "channels", MappingProxyType(dict(self.channels)))
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    @property
    def duration_s(self) -> float:
        """Seconds that every channel covers."""
        return min(c.duration_s for c in self.channels.values())

    def channel(self, name: str) -> Channel:
        """The channel of that name. Raises DataError naming those that are there."""
        if name not in self.channels:
            raise DataError(f"{self.name}: no channel {name!r}; there are {', '.join(sorted(self.channels))}")
        return self.channels[name]
