"""Windows around events as Examples: what every model is given of a set of recordings with labelled stimuli.

Recordings go through the band's front end, integer DSP and trust rules (nociband.training.dataset), are normalised within the
person, and leave as feature frames, descriptor sequences and hand-made features. To nociband.training.problems.

Normalisation within a person:
    causal   minus the band's running baseline at the window's end (nociband.windows): what the band computes
    zscore   minus mean, over standard deviation of the whole recording: needs the future, for comparison only
    none     as the DSP gives it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nociband.dsp import features_of
from nociband.errors import ModelError
from nociband.signals import Recording, to_counts
from nociband.signals.front_end import BLOCKS_PER_S
from nociband.spec import SPEC
from nociband.training import descriptors
from nociband.training.dataset import PLAIN, UNIT, Draws, trusted
from nociband.training.examples import Examples
from nociband.training.tasks import Task
from nociband.windows import BASELINE_MIN, FRAMES, relative_windows

NORMALISATIONS = ("causal", "zscore", "none")
BRANCHES = {m: [k for k, f in enumerate(SPEC.model_inputs) if f.branch == m] for m in ("eda", "emg")}
NAMES = tuple(f.name for f in SPEC.model_inputs)
SEGMENTS = 11  # of half a second each: the descriptor sequence of S0's paper size
_TONIC, _PHASIC = NAMES.index("eda_tonic"), NAMES.index("eda_phasic")
_ENVELOPES = [NAMES.index("emg1_env"), NAMES.index("emg2_env")]


@dataclass(frozen=True, eq=False)
class Cut:
    """Windows of one pass over one recording: feature frames (frames, 6) int16, last frames `ends` (n,), classes (n,)."""

    recording: Recording
    frames: np.ndarray
    ends: np.ndarray
    labels: np.ndarray
    draw: int


def cut(recordings: Sequence[Recording], task: Task, draws: Draws = PLAIN) -> list[Cut]:
    """Where the windows are: one plain window an event (draw 0), and `draws.copies` for each carrier seed beside it, whose end
    is moved by up to `draws.jitter_s`.

    Left out are windows without a finished baseline, beyond the end, or without a score on the band (electrodes off,
    saturation), and events with labels that are none of the task's. Raises ModelError when nothing is left, when a class has no
    event while there are events of no class (so the two are not named alike), and for draws whose first is not the plain window.
    """
    _check(draws)
    _check_labels(recordings, task)
    rng = np.random.default_rng(draws.seed)
    cuts: list[Cut] = []
    for seed in draws.carrier_seeds:
        fronts = [to_counts(r, seed, **task.front_end) for r in recordings]
        for recording, front, frames in zip(recordings, fronts, features_of([(f.emg, f.eda) for f in fronts]), strict=True):
            for copy in range(draws.copies):
                draw = len(draws.carrier_seeds) * copy + draws.carrier_seeds.index(seed)
                ends, labels = _ends(recording, task, draws.jitter_s if draw else 0.0, rng)
                keep = (ends >= BASELINE_MIN - 1) & (ends < len(frames))
                keep[keep] = trusted(front, ends[keep])
                if keep.any():
                    cuts.append(Cut(recording, frames, ends[keep], labels[keep], draw))
    if not cuts:
        raise ModelError(f"no usable window for the classes {', '.join(task.labels)} in {len(recordings)} recordings")
    return sorted(cuts, key=lambda c: c.draw)  # stable: plain windows first, in the order of recordings and events


def _check_labels(recordings: Sequence[Recording], task: Task) -> None:
    """A few recordings may lack a class. But where labels are left over as well, task and events are not named alike."""
    there = list(dict.fromkeys(e.label for r in recordings for e in r.events))
    without = [label for label in task.labels if label not in there]
    if without and set(there) - set(task.labels):
        raise ModelError(f"no event is labelled {' or '.join(map(repr, without))}; events are labelled "
                         f"{', '.join(map(str, there))}. The labels of the task {task.name} are to be those of the events")


def _check(draws: Draws) -> None:
    """The plain window has the first carrier, which must be the one that nothing but plain windows would have."""
    seeds = draws.carrier_seeds
    if seeds[:1] != PLAIN.carrier_seeds or len(set(seeds)) < len(seeds) or draws.copies < 1 or draws.jitter_s < 0:
        raise ModelError(f"carrier_seeds {list(seeds)}, copies {draws.copies}, jitter_s {draws.jitter_s:g}: distinct "
                         "seeds of which the first is 0 (the plain window's), a copy or more, and no negative jitter belong here")


def examples(cuts: Sequence[Cut], normalisation: str = "causal") -> Examples:
    """The windows of `cut` with everything that estimators look at. Raises ModelError for an unknown normalisation."""
    if normalisation not in NORMALISATIONS:
        raise ModelError(f"unknown normalisation {normalisation!r}; known: {', '.join(NORMALISATIONS)}")
    x = np.concatenate([normalised(c.frames, c.ends, normalisation) for c in cuts])
    window, names = descriptors.statistics(x, NAMES)
    # A response is counted in uS, whatever the normalisation of the rest.
    phasic = np.concatenate([normalised(c.frames, c.ends, "none")[:, :, _PHASIC] for c in cuts])
    scr, scr_names = descriptors.responses(phasic)
    total_eda = (x[:, :, _TONIC] + x[:, :, _PHASIC])[:, :, None]
    each = [len(c.ends) for c in cuts]
    return Examples(
        inputs={
            "eda": x[:, :, BRANCHES["eda"]].astype(np.float32), "emg": x[:, :, BRANCHES["emg"]].astype(np.float32),
            "eda_descriptors": descriptors.sequence(total_eda, SEGMENTS),
            "emg_descriptors": descriptors.sequence(x[:, :, _ENVELOPES], SEGMENTS),
        },
        features=np.concatenate([window, scr], axis=1), feature_names=names + scr_names,
        target=np.concatenate([c.labels for c in cuts]),
        subjects=np.repeat([c.recording.subject for c in cuts], each),
        sittings=np.repeat([c.recording.sitting or c.recording.name for c in cuts], each),
        draw=np.repeat([c.draw for c in cuts], each), elapsed_s=np.concatenate([(c.ends + 1) / BLOCKS_PER_S for c in cuts]),
        attributes={c.recording.subject: dict(c.recording.attributes) for c in cuts},
    )


def _ends(recording: Recording, task: Task, jitter_s: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    events = [e for e in recording.events if e.label in task.labels]
    at = np.array([e.t_s for e in events]) + task.window_end_s
    if jitter_s:
        at = at + rng.uniform(-jitter_s, jitter_s, len(at))
    return np.floor(at * BLOCKS_PER_S).astype(np.int64) - 1, np.array([task.labels.index(e.label) for e in events], np.int64)


def normalised(frames: np.ndarray, ends: np.ndarray, how: str) -> np.ndarray:
    """Windows (n, 138, 6) float64 ending at `ends` of the feature frames (frames, 6) int16 of one recording.

    In feature units for causal and none, in standard deviations for zscore.
    """
    if how == "causal":
        return relative_windows(frames, ends) / UNIT
    values = frames / UNIT
    if how == "zscore":
        values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-6)
    return values[np.asarray(ends)[:, None] + np.arange(1 - FRAMES, 1)]
