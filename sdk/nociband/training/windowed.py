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

import numpy as np

from nociband.dsp import features_of
from nociband.errors import ModelError
from nociband.signals import Recording, to_counts
from nociband.signals.front_end import BLOCKS_PER_S
from nociband.spec import SPEC
from nociband.training import descriptors
from nociband.training.dataset import UNIT, Draws, trusted
from nociband.training.examples import Examples
from nociband.training.tasks import Task
from nociband.windows import BASELINE_MIN, FRAMES, relative_windows

NORMALISATIONS = ("causal", "zscore", "none")
BRANCHES = {m: [k for k, f in enumerate(SPEC.model_inputs) if f.branch == m] for m in ("eda", "emg")}
NAMES = tuple(f.name for f in SPEC.model_inputs)
SEGMENTS = 11  # of half a second each: the descriptor sequence of S0's paper size
_TONIC, _PHASIC = NAMES.index("eda_tonic"), NAMES.index("eda_phasic")
_ENVELOPES = [NAMES.index("emg1_env"), NAMES.index("emg2_env")]


def examples(recordings: Sequence[Recording], task: Task, normalisation: str = "causal",
             draws: Draws = Draws(carrier_seeds=(0,), copies=1)) -> Examples:
    """One plain window an event, and augmented copies: `draws.copies` for each carrier seed, their end moved by up to
    `draws.jitter_s`; one plain copy alone when there is no jitter.

    Left out are windows without a finished baseline, beyond the end, or without a score on the band (electrodes off,
    saturation). Raises ModelError when nothing is left.
    """
    if normalisation not in NORMALISATIONS:
        raise ModelError(f"unknown normalisation {normalisation!r}; known: {', '.join(NORMALISATIONS)}")
    rng = np.random.default_rng(draws.seed)
    parts: list[tuple[np.ndarray, ...]] = []
    for seed in draws.carrier_seeds:
        fronts = [to_counts(r, seed) for r in recordings]
        copies = range(draws.copies if draws.jitter_s else 1)
        for recording, front, frames in zip(recordings, fronts, features_of([(f.emg, f.eda) for f in fronts]), strict=True):
            for copy in copies:
                plain = seed == draws.carrier_seeds[0] and copy == 0
                ends, labels = _ends(recording, task, 0.0 if plain else draws.jitter_s, rng)
                keep = (ends >= BASELINE_MIN - 1) & (ends < len(frames))
                keep[keep] = trusted(front, ends[keep])
                if keep.any():
                    draw = 0 if plain else 1 + len(copies) * draws.carrier_seeds.index(seed) + copy
                    parts.append(_rows(recording, frames, ends[keep], labels[keep], normalisation, draw))
    if not parts:
        raise ModelError(f"no usable window for the classes {', '.join(task.labels)} in {len(recordings)} recordings")
    x, labels, subjects, sittings, draw, elapsed = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((np.arange(len(draw)), draw))  # plain windows first, each in the order of recordings and events
    return assemble(x[order], labels[order], subjects[order], sittings[order], draw[order], elapsed[order], recordings)


def _rows(recording: Recording, frames: np.ndarray, ends: np.ndarray, labels: np.ndarray, normalisation: str,
          draw: int) -> tuple[np.ndarray, ...]:
    x = normalised(frames, ends, normalisation)
    n = len(ends)
    return (x, labels, np.full(n, recording.subject, object), np.full(n, recording.sitting or recording.name, object),
            np.full(n, draw, np.int64), (ends + 1) / BLOCKS_PER_S)


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


def assemble(x: np.ndarray, target: np.ndarray, subjects: np.ndarray, sittings: np.ndarray, draw: np.ndarray, elapsed_s: np.ndarray,
             recordings: Sequence[Recording]) -> Examples:
    """Examples of windows x (n, T, 6) with everything that estimators look at."""
    window, names = descriptors.statistics(x, NAMES)
    scr, scr_names = descriptors.responses(x[:, :, _PHASIC])
    total_eda = (x[:, :, _TONIC] + x[:, :, _PHASIC])[:, :, None]
    return Examples(
        inputs={
            "eda": x[:, :, BRANCHES["eda"]].astype(np.float32), "emg": x[:, :, BRANCHES["emg"]].astype(np.float32),
            "eda_descriptors": descriptors.sequence(total_eda, SEGMENTS),
            "emg_descriptors": descriptors.sequence(x[:, :, _ENVELOPES], SEGMENTS),
        },
        features=np.concatenate([window, scr], axis=1), feature_names=names + scr_names, target=target,
        subjects=subjects.astype(str), sittings=sittings.astype(str), draw=draw, elapsed_s=elapsed_s,
        attributes={r.subject: dict(r.attributes) for r in recordings},
    )
