"""What every data set becomes: a Recording of named channels with rates, units and events.

Loaders (fmov, simulator) make them; front_end.to_counts turns them into the ADC counts that the band, its emulation and the
training all start from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from nociband.errors import DataError

KINDS = ("raw", "rectified_mean")


@dataclass(frozen=True, eq=False)
class Channel:
    """One signal. `samples` float64 (n,), `rate_hz` without a default on purpose, `unit` uS, uV, mV or g.

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

    `channels` by name: "eda", two EMG channels named after their sites (spec's `sites`), and optionally "accel_x", "accel_y",
    "accel_z". `emg_gain` is what the front end multiplies EMG by, one number for the whole data set. `simulated` names what
    is not measured (empty: all of it was), `source` says where it comes from.
    """

    name: str
    subject: str
    channels: Mapping[str, Channel]
    events: tuple[Event, ...]
    simulated: tuple[str, ...]
    source: str
    notes: str = ""
    emg_gain: float = 1.0

    def __post_init__(self) -> None:
        if not self.channels:
            raise DataError(f"{self.name}: a recording without channels")
        object.__setattr__(self, "channels", MappingProxyType(dict(self.channels)))

    @property
    def duration_s(self) -> float:
        """Seconds that every channel covers."""
        return min(c.duration_s for c in self.channels.values())

    def channel(self, name: str) -> Channel:
        """The channel of that name. Raises DataError naming those that are there."""
        if name not in self.channels:
            raise DataError(f"{self.name}: no channel {name!r}; there are {', '.join(sorted(self.channels))}")
        return self.channels[name]
