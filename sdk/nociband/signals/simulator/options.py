"""What is to be simulated: the stimuli (Protocol), how often contact is lost (Artefacts), and which signals (Options).

The defaults are the generator of the model `synthetic_pain5`: skin conductance, two facial muscles, an accelerometer at rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from nociband.errors import DataError
from nociband.signals.recording import Event
from nociband.signals.simulator.population import LEVELS, Population

LABELS = tuple(f"pain {level}" for level in range(LEVELS))
TONIC_LABELS = tuple(f"tonic pain {level}" for level in range(LEVELS))
Range = tuple[float, float]


def level_of(event: Event) -> int:
    """Pain level 0-4 of a stimulus of this simulator. Raises DataError for an event that is none."""
    for labels in (LABELS, TONIC_LABELS):
        if event.label in labels:
            return labels.index(event.label)
    raise DataError(f"{event.label!r} is no stimulus of the simulator; those are {', '.join(LABELS + TONIC_LABELS)}")


@dataclass(frozen=True)
class Protocol:
    """Stimuli: phasic ones in shuffled rounds of `levels`, and after every `tonic_every` rounds (0: never) one tonic stimulus.

    Phasic times: some 5 s, pauses of 8-12 s (Walter et al. 2013, BioVid). Tonic ones last about 1 min (Gruss et al. 2019,
    X-ITE); their pauses are our choice. Level 0 is a stimulus of no intensity, labelled like the others. Ranges are (least,
    most) in s. The first stimulus waits for the band's baseline of 20 s. Raises DataError for what cannot be kept.
    """

    levels: tuple[int, ...] = tuple(range(LEVELS))
    first_s: float = 25.0
    phasic_s: Range = (4.5, 5.5)
    pause_s: Range = (8.0, 12.0)
    tonic_every: int = 0
    tonic_levels: tuple[int, ...] = (1, 2, 3, 4)
    tonic_s: Range = (58.0, 62.0)
    tonic_pause_s: Range = (40.0, 60.0)

    def __post_init__(self) -> None:
        for name in ("phasic_s", "pause_s", "tonic_s", "tonic_pause_s"):
            low, high = getattr(self, name)
            if not 0 < low <= high < math.inf:
                raise DataError(f"Protocol.{name} is (least, most) in seconds above 0, got ({low}, {high})")
        for name in ("levels", "tonic_levels"):
            levels = getattr(self, name)
            if not levels or not set(levels) <= set(range(LEVELS)):
                raise DataError(f"Protocol.{name} holds levels 0 to {LEVELS - 1}, got {levels}")
        if not 0 <= self.first_s < math.inf or self.tonic_every < 0:
            raise DataError(f"Protocol: first_s ({self.first_s}) and tonic_every ({self.tonic_every}) start at 0")


@dataclass(frozen=True)
class Artefacts:
    """How often each kind of artefact begins, per minute (Poisson); none by default. What each does: signals/simulator/artefacts.

    Raises DataError for a rate below 0 or above 20.
    """

    motion_per_minute: float = 0.0
    fidget_per_minute: float = 0.0
    eda_lift_per_minute: float = 0.0
    eda_pressure_per_minute: float = 0.0
    emg_lift_per_minute: float = 0.0
    emg_hum_per_minute: float = 0.0
    eda_bridge_per_minute: float = 0.0

    def __post_init__(self) -> None:
        for f in fields(self):
            if not 0 <= getattr(self, f.name) <= 20:
                raise DataError(f"Artefacts.{f.name} is a rate of 0 to 20 a minute, got {getattr(self, f.name)}")

    @classmethod
    def ambulatory(cls) -> Artefacts:
        """Rates at which about a fifth of the time lies within 5 s of a motion or a lift of the EDA electrodes: Kleckner et al.
        2018 judged 21 % of EDA worn at home so invalid (children; their margin of 5 s). How it splits into kinds is our choice.
        """
        return cls(motion_per_minute=0.6, fidget_per_minute=2.0, eda_lift_per_minute=0.25, eda_pressure_per_minute=0.3,
                   emg_lift_per_minute=0.1, emg_hum_per_minute=0.1, eda_bridge_per_minute=0.03)

    @property
    def any(self) -> bool:
        """True when some kind can occur."""
        return any(getattr(self, f.name) > 0 for f in fields(self))


@dataclass(frozen=True)
class Options:
    """Which signals and which effects. The default gives what the simulator has always given, sample for sample.

    `ecg` adds the channel "ecg" (mV, 250 Hz), `trapezius` a third muscle, `habituation` lets SCRs shrink over trials, `tonic`
    lets the skin conductance level drift and rise with pain, `raw_emg` gives EMG at 1 kHz instead of an envelope (artefacts
    do so too: a lead at the rails has no envelope).
    """

    protocol: Protocol = Protocol()
    population: Population = Population()
    artefacts: Artefacts = Artefacts()
    ecg: bool = False
    trapezius: bool = False
    habituation: bool = False
    tonic: bool = False
    raw_emg: bool = False

    @classmethod
    def full(cls) -> Options:
        """Everything that this simulator knows, tonic stimuli and ambulatory artefacts included."""
        return cls(protocol=Protocol(tonic_every=2), artefacts=Artefacts.ambulatory(), ecg=True, trapezius=True, habituation=True,
                   tonic=True, raw_emg=True)

    @property
    def emg_is_raw(self) -> bool:
        """True when EMG is rendered sample by sample at 1 kHz."""
        return self.raw_emg or self.artefacts.any
