"""The stimuli of the X-ITE Pain Database and its 11 sub-datasets, as Othman et al. name them; xite.load makes the events.

Stimuli: Gruss et al. 2019 (JoVE 146:e59057): heat and electrical, phasic (5 s) and tonic (1 min), low, medium and high; the
codes are those that public code of the full set uses. Sub-datasets: Othman et al. 2022 (Sensors 22:4992; J Vis Commun Image
Represent, doi 10.1016/j.jvcir.2022.103743) judge on 11: P phasic, T tonic, H heat, E electrical (without either: both), R
reduced. That phasic pain of both kinds makes seven classes is in Othman et al. 2021 (Sensors 21:3273). How the reduced ones
are drawn was not found: the rule here is this project's own, and every reduced one says confirmed=False.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import overload

import numpy as np

from nociband.errors import DataError
from nociband.signals.recording import Event, Recording

NO_PAIN = "no pain"
INVALID_CODES = (-10, -11)
LEVELS = ("low", "medium", "high")
MODALITIES = ("heat", "electrical")
PHASIC_S, TONIC_S = 5.0, 60.0


@dataclass(frozen=True)
class Stimulus:
    """One kind of stimulus: its code in the full set's `stimuli`, what it was, for how long, and the label of its events."""

    code: int
    phasic: bool
    modality: str
    level: str
    seconds: float

    @property
    def label(self) -> str:
        """As events carry it, e.g. "phasic heat low"."""
        return f"{'phasic' if self.phasic else 'tonic'} {self.modality} {self.level}"


# heat 1..3 phasic, 4..6 tonic; electrical the same with a minus
STIMULI = tuple(
    Stimulus(sign * (offset + level), phasic, modality, name, PHASIC_S if phasic else TONIC_S)
    for modality, sign in zip(MODALITIES, (1, -1), strict=True)
    for phasic, offset in ((True, 1), (False, 4))
    for level, name in enumerate(LEVELS)
)
BY_CODE = MappingProxyType({s.code: s for s in STIMULI})


@dataclass(frozen=True)
class SubDataset:
    """A named selection of X-ITE: `classes` in the order of a model's outputs, and whether its making is confirmed."""

    name: str
    phasic: bool
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    reduced: bool
    confirmed: bool
    note: str


_KNOWN = "which stimuli belong to it follows from its name in Othman et al. 2022"
_REDUCED = (
    "UNCONFIRMED: how the published set is reduced was not found. Here its painless times are thinned, evenly in time and for "
    "each recording, to the number of the most frequent pain class"
)


def _make(name: str) -> SubDataset:
    reduced = name.startswith("R")
    rest = name.removeprefix("R")
    modalities = {"H": ("heat",), "E": ("electrical",)}.get(rest[0], MODALITIES)
    phasic = "P" in rest
    classes = (NO_PAIN, *(s.label for s in STIMULI if s.phasic == phasic and s.modality in modalities))
    return SubDataset(name, phasic, modalities, classes, reduced, not reduced, _REDUCED if reduced else _KNOWN)


SUB_DATASETS = MappingProxyType(
    {name: _make(name) for name in ("PD", "HPD", "EPD", "HTD", "ETD", "RPD", "RHPD", "REPD", "RTD", "RHTD", "RETD")}
)


def find(name: str) -> SubDataset:
    """The sub-dataset of that name. Raises DataError naming those there are."""
    if name not in SUB_DATASETS:
        raise DataError(f"X-ITE has no sub-dataset {name!r}; there are {', '.join(SUB_DATASETS)}")
    return SUB_DATASETS[name]


def describe(name: str | None = None) -> str:
    """A line or three about one sub-dataset, or about all: what it holds, its classes, and what is not confirmed."""
    if name is None:
        return "\n".join(describe(n) for n in SUB_DATASETS)
    s = find(name)
    kind = f"{'phasic (5 s)' if s.phasic else 'tonic (1 min)'} {' and '.join(s.modalities)}{', reduced' if s.reduced else ''}"
    return f"{s.name}: {kind}, {len(s.classes)} classes: {', '.join(s.classes)}.\n  {s.note}."


@overload
def select(source: Recording, name: str) -> Recording: ...
@overload
def select(source: Sequence[Recording], name: str) -> list[Recording]: ...


def select(source: Recording | Sequence[Recording], name: str) -> Recording | list[Recording]:
    """Recordings of the full set with the events of one sub-dataset only; people without any of its pain classes are left out.

    The signals stay whole, so that baselines see what was there. Raises DataError for an unknown name, and for recordings of
    the challenge, whose labels do not say heat or electrical.
    """
    if isinstance(source, Recording):
        return _selected(source, find(name))
    chosen = [_selected(recording, find(name)) for recording in source]
    return [recording for recording in chosen if any(e.label != NO_PAIN for e in recording.events)]


def _selected(recording: Recording, sub: SubDataset) -> Recording:
    known = {NO_PAIN, *(s.label for s in STIMULI)}
    if other := sorted({e.label for e in recording.events} - known):
        raise DataError(
            f"{recording.name}: events labelled {', '.join(other)} do not say phasic or tonic, heat or electrical; "
            f"{sub.name} needs the full X-ITE (xite.load(layout='full'))"
        )
    events = select_events(recording.events, sub)
    made = f"{sub.name} reduced by a rule of our own, the published one is not known"
    return replace(
        recording,
        events=events,
        notes=f"{recording.notes} {sub.name}: {sub.note}.",
        simulated=(*recording.simulated, made) if sub.reduced else recording.simulated,
    )


def select_events(events: Sequence[Event], sub: SubDataset) -> tuple[Event, ...]:
    """The events of a sub-dataset's classes, in time. A painless time belongs to it when the stimulus before it does."""
    kept, before = [], ""
    for event in sorted(events, key=lambda e: e.t_s):
        if event.label == NO_PAIN:
            if before in sub.classes:
                kept.append(event)
            continue
        before = event.label
        if event.label in sub.classes:
            kept.append(event)
    return _thinned(kept) if sub.reduced else tuple(kept)


def _thinned(events: Sequence[Event]) -> tuple[Event, ...]:
    """Painless events thinned, evenly in time, to the number of the most frequent other class."""
    counts = Counter(e.label for e in events)
    painless = [e for e in events if e.label == NO_PAIN]
    target = max((n for label, n in counts.items() if label != NO_PAIN), default=0)
    if len(painless) <= target:
        return tuple(events)
    keep = {painless[i] for i in np.linspace(0, len(painless) - 1, target).round().astype(int)}
    return tuple(e for e in events if e.label != NO_PAIN or e in keep)
