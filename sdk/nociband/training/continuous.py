"""A minute or two of wrist EDA as Examples: stress or rest, asked every ten seconds. EDA alone, far slower than a pain stimulus.

Takes recordings whose events are spans (nociband.signals.stress_predict), gives Examples to nociband.training.problems. The EDA
goes through the band's filters in floating point (nociband.dsp.reference: the recorder's 4 Hz hold nothing that the band's 25 Hz
would add), and is described every two seconds.

Normalisation within a person, of each described value:
    causal   minus the mean, over the standard deviation, of all that the sitting has shown so far (Welford 1962: two numbers a
             value, which a band can keep)
    zscore   the same of the whole recording: needs the future, for comparison only
    none     as it is
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nociband.dsp.reference import eda_levels
from nociband.errors import ModelError
from nociband.signals import Recording
from nociband.signals.front_end import BLOCKS_PER_S, EDA_RATE_HZ
from nociband.spec import SPEC
from nociband.training import descriptors
from nociband.training.examples import Examples

STEP_S = 2
WARM_UP_S = 60          # no window before so much is known of the person
LIMIT = 8.0             # standard deviations
CHANNELS = ("log_tonic", "phasic", "log_phasic_size", "log_rise")
_FLOOR_USIEMENS = 0.01  # the least SCR; below it a logarithm would only show noise
_COUNTS = SPEC.features["signals"]["eda"]["counts_per_unit"]
NORMALISATIONS = ("causal", "zscore", "none")


def examples(recordings: Sequence[Recording], labels: Sequence[str], normalisation: str = "causal", window_s: float = 120.0,
             every_s: float = 10.0) -> Examples:
    """Windows of `window_s` that end every `every_s`; the label is what held for more than half of the window.

    Windows beyond the labelled part or without such a label are left out, as are recordings without labels. Raises ModelError
    when nothing is left.
    """
    if not (window_s >= STEP_S and every_s >= STEP_S):
        raise ModelError(f"windows of {window_s:g} s every {every_s:g} s: both are of {STEP_S} s or more")
    if normalisation not in NORMALISATIONS:
        raise ModelError(f"unknown normalisation {normalisation!r}; known: {', '.join(NORMALISATIONS)}")
    parts = [p for r in recordings if r.events and (p := _windows(r, labels, normalisation, window_s, every_s)) is not None]
    if not parts:
        raise ModelError(f"no window of {window_s:g} s with a label in {len(recordings)} recordings")
    x, target, elapsed, who = (np.concatenate(column) for column in zip(*parts, strict=True))
    subjects, sittings = who[:, 0], who[:, 1]
    features, names = descriptors.statistics(x, CHANNELS)
    return Examples(
        inputs={"eda": x.astype(np.float32), "eda_descriptors": descriptors.sequence(x[:, :, :1] + x[:, :, 1:2], 12)},
        features=features, feature_names=names, target=target, subjects=subjects, sittings=sittings,
        draw=np.zeros(len(target), np.int64), elapsed_s=elapsed,
        attributes={r.subject: dict(r.attributes) for r in recordings},
    )


def _windows(recording: Recording, labels: Sequence[str], normalisation: str, window_s: float, every_s: float,
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """x (n, T, 4), target (n,), elapsed_s (n,), subject and sitting (n, 2) of one recording."""
    steps = normalised(described(recording), normalisation)
    state = _state(recording, labels, len(steps))
    size, stride = round(window_s / STEP_S), max(1, round(every_s / STEP_S))
    ends = np.arange(size + WARM_UP_S // STEP_S, len(steps) + 1, stride)
    held = state[ends[:, None] + np.arange(-size, 0)]
    shares = np.stack([(held == k).mean(axis=1) for k in range(len(labels))], axis=1)
    kept = (held >= 0).all(axis=1) & (shares.max(axis=1) > 0.5)
    ends, shares = ends[kept], shares[kept]
    if not len(ends):
        return None
    at = ends[:, None] + np.arange(-size, 0)
    who = np.tile([recording.subject, recording.sitting or recording.name], (len(ends), 1))
    return steps[at], shares.argmax(axis=1).astype(np.int64), ends * float(STEP_S), who


def described(recording: Recording) -> np.ndarray:
    """float64 (steps, 4), one row every two seconds: log10 tonic level, mean phasic EDA (uS), log10 of its mean size and rise."""
    eda = recording.channel("eda")
    n = int(eda.duration_s * EDA_RATE_HZ) // EDA_RATE_HZ * EDA_RATE_HZ
    at_rate = np.interp(np.arange(n) / EDA_RATE_HZ, np.arange(eda.samples.size) / eda.rate_hz, eda.samples)
    filtered, tonic = (v / _COUNTS for v in eda_levels(np.maximum(at_rate, 0) * _COUNTS))
    per_step = STEP_S * BLOCKS_PER_S
    whole = len(tonic) // per_step * per_step
    phasic = (filtered - tonic)[:whole].reshape(-1, per_step)
    rise = np.maximum(np.diff(phasic, axis=1), 0).sum(axis=1)
    level = tonic[:whole].reshape(-1, per_step).mean(axis=1)
    return np.stack([_log(level), phasic.mean(axis=1), _log(np.abs(phasic).mean(axis=1)), _log(rise)], axis=1)


def _log(usiemens: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(usiemens, 0) + _FLOOR_USIEMENS)


def normalised(steps: np.ndarray, how: str) -> np.ndarray:
    """`steps` (n, C) within the person, in standard deviations, within +-LIMIT; as they are for "none"."""
    if how == "none":
        return steps
    if how == "zscore":
        mean, variance = steps.mean(axis=0), steps.var(axis=0)
    else:
        count = np.arange(1, len(steps) + 1)[:, None]
        mean = np.cumsum(steps, axis=0) / count
        variance = np.maximum(np.cumsum(steps**2, axis=0) / count - mean**2, 0)
    return np.clip((steps - mean) / np.sqrt(variance + 1e-4), -LIMIT, LIMIT)


def _state(recording: Recording, labels: Sequence[str], steps: int) -> np.ndarray:
    """int64 (steps,): which label holds in each step, -1 for none."""
    state = np.full(steps, -1, np.int64)
    for event in recording.events:
        if event.label in labels:
            first, last = (round(t / STEP_S) for t in (event.t_s, event.t_s + event.duration_s))
            state[first:last] = labels.index(event.label)
    return state
