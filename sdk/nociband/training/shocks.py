"""Trials of the shock study as Examples: one skin conductance response each, no signal.

Takes nociband.signals.shock_trials, gives Examples to nociband.training.problems. Shocks to oneself alone. A trial is one
number, so a network's sequence is one step long, and nothing can be asked of time: the files do not say in which order the trials
of different cells came. That is why nothing here is causal.

Normalisation within a person:
    zscore   against all of the person's own trials, high and low, without their labels; needs the whole sitting
    none     the amplitude as it is
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from nociband.errors import ModelError
from nociband.signals.shock_trials import STIMULI, Trials
from nociband.training.examples import Examples

NORMALISATIONS = ("zscore", "none")


def examples(trials: Trials, target: str, normalisation: str = "zscore") -> Examples:
    """One example a shock to oneself with a usable amplitude. `target`: "high_low" (1 is high), or "pain_vas": the person's mean
    rating of that shock, 0-100 (the ratings cannot be paired trial by trial, see nociband.signals.shock_trials).

    Raises ModelError for a normalisation that these trials cannot have.
    """
    if normalisation not in NORMALISATIONS:
        raise ModelError(f"the shock trials come without their order in time, so {normalisation!r} cannot be computed; "
                         f"there are: {', '.join(NORMALISATIONS)}")
    goal = _goal(trials, target)
    usable = (trials.condition == "self") & np.isfinite(trials.scr)
    rated = np.isfinite(goal[usable])  # a trial without a rating is not asked about, but the person's scale knows it
    subjects, goal = trials.subject[usable], goal[usable][rated]
    size = np.sqrt(trials.scr[usable])  # amplitudes are skewed; the root is the field's usual transform (Dawson et al. 2007)
    own = np.zeros(len(size))
    rank = np.zeros(len(size))
    for person in np.unique(subjects):
        mine = subjects == person
        own[mine] = (size[mine] - size[mine].mean()) / max(float(size[mine].std()), 1e-3)
        rank[mine] = (rankdata(size[mine]) - 0.5) / mine.sum() - 0.5
    subjects, size, own, rank = subjects[rated], size[rated], own[rated], rank[rated]
    x = np.stack([size, np.zeros(len(size))] if normalisation == "none" else [own, 4 * rank], axis=1)
    columns = [size] if normalisation == "none" else [size, own, rank]
    return Examples(
        inputs={"eda": x[:, None].astype(np.float32)}, features=np.stack(columns, axis=1),
        feature_names=("sqrt_scr",) if normalisation == "none" else ("sqrt_scr", "within_person_z", "within_person_rank"),
        target=goal.astype(np.int64) if target == "high_low" else goal, subjects=subjects.astype(str),
        sittings=subjects.astype(str), draw=np.zeros(len(goal), np.int64),
        attributes={s: dict(trials.attributes.get(s, {})) for s in np.unique(subjects).tolist()},
    )


def _goal(trials: Trials, target: str) -> np.ndarray:
    """float64 (n,): 0 or 1 for low or high, or the mean intensity rating of the trial's cell, NaN where nobody rated."""
    if target == "high_low":
        return (trials.stimulus == STIMULI[1]).astype(np.float64)
    if target != "pain_vas":
        raise ModelError(f"the shock trials know the tasks high_low and pain_vas, not {target!r}")
    return trials.cell_means()
