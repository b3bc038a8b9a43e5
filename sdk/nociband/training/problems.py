"""A data set and a task, by their names on the command line, become what is asked (TaskInfo) and the windows (Examples).

Recordings come from nociband.signals, windows from windowed (around stimuli), continuous (a minute of EDA) or shocks (trials). To
nociband.evaluation. Tasks on stimuli stand in nociband.training.tasks, the others here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nociband.errors import ModelError
from nociband.signals import shock_trials, stress_predict, xite
from nociband.training import continuous, shocks, tasks, windowed
from nociband.training.dataset import Draws
from nociband.training.examples import Examples, TaskInfo


@dataclass(frozen=True)
class Loaded:
    """`examples` answer `info`'s question; `excluded`: people of the data set without a usable window, with the reason."""

    info: TaskInfo
    examples: Examples
    excluded: Mapping[str, str]


_AMPLITUDES = "One response amplitude a trial, not a recorded signal."
STRESS = TaskInfo("stress_predict", "stress", "Stress or rest, from two minutes of wrist EDA", "classes", "stress", False,
                  "stress, not pain", stress_predict.LABELS, (None, None))
HIGH_LOW = TaskInfo("shock_trials", "high_low", "A high or a low shock, from one skin conductance response", "classes", "pain",
                    False, f"{_AMPLITUDES} High and low are the shock's strength, not the pain that was felt.",
                    shock_trials.STIMULI, (0.0, 10.0))
PAIN_VAS = TaskInfo("shock_trials", "pain_vas", "Mean rated intensity of a kind of shock, from one skin conductance response",
                    "score", "pain", False, f"{_AMPLITUDES} The rating is the person's mean for that kind of shock, not that of "
                    "the trial.",
                    score_range=shock_trials.VAS, score_unit="VAS 0-100")
# What `load_examples` takes beside a normalisation, by kind of task.
_AUGMENTED = ("carrier_seeds", "copies", "jitter_s")
_OPTIONS = {"stress_predict": ("window_s", "every_s"), "shock_trials": (),
            "synthetic": (*_AUGMENTED, "people", "seconds", "seed")}
_OTHERS = {(info.dataset, info.task): info for info in (STRESS, HIGH_LOW, PAIN_VAS)}


def known() -> tuple[tuple[str, str], ...]:
    """Every (dataset, task) that `load_examples` takes."""
    return (*tasks.TASKS, *_OTHERS)


def default_normalisation(dataset: str) -> str:
    """What a task is judged with unless something else is asked for: causal wherever time is known."""
    return "zscore" if dataset == "shock_trials" else "causal"


def load_examples(dataset: str, task: str, data: Path | None = None, normalisation: str | None = None, **window: Any) -> Loaded:
    """Windows of a task. `data`: the folder of data sets; `window`: options of the kind of task -

    stimuli: carrier_seeds (list), copies, jitter_s: augmented copies; synthetic: people, seconds, seed too
    stress: window_s, every_s

    Raises ModelError for a task or an option that does not exist, DataError when the data are missing or damaged.
    """
    if (dataset, task) not in known():
        raise tasks.unknown(task, dataset, known())
    options = _OPTIONS.get(dataset, _AUGMENTED)
    if strange := sorted(set(window) - set(options)):
        raise ModelError(f"{dataset} {task}: unknown window options {', '.join(strange)}; "
                         f"there are: {', '.join(options) or 'none'}")
    how = normalisation or default_normalisation(dataset)
    load = {"stress_predict": _stress, "shock_trials": _shocks}.get(dataset, _stimuli)
    info = _OTHERS[dataset, task] if (dataset, task) in _OTHERS else tasks.find(task, dataset).info
    everyone, examples = load(info, data, how, **window)
    here = set(examples.people)
    return Loaded(info, examples, {person: reason for person, reason in everyone.items() if person not in here})


def _stimuli(info: TaskInfo, data: Path | None, normalisation: str, carrier_seeds: tuple[int, ...] = (0,), copies: int = 1,
             jitter_s: float = 0.0, **made: Any) -> tuple[dict[str, str], Examples]:
    draws = Draws(tuple(carrier_seeds), copies, jitter_s)
    # Without a folder, the environment says where the data are.
    place = data if data is not None else os.environ.get("NOCIBAND_DATA")
    everyone, cuts = _cuts(info.dataset, info.task, data, place, draws, tuple(sorted(made.items())))
    return everyone, windowed.examples(cuts, normalisation)


@lru_cache(maxsize=1)
def _cuts(dataset: str, name: str, data: Path | None, place: Path | str | None, draws: Draws,
          made: tuple[tuple[str, Any], ...]) -> tuple[dict[str, str], list[windowed.Cut]]:
    """People and windows, kept so that another normalisation of the same windows need not go through the DSP again."""
    task = tasks.find(name, dataset)
    recordings = tasks.recordings(task, data, **dict(made))
    # X-ITE is given without people who lack a sub-dataset's stimuli.
    people = xite.people(data) if dataset == "xite" else [r.subject for r in recordings]
    return dict.fromkeys(people, "no usable window"), windowed.cut(recordings, task, draws)


def _stress(info: TaskInfo, data: Path | None, normalisation: str, window_s: float = 120.0,
            every_s: float = 10.0) -> tuple[dict[str, str], Examples]:
    recordings = stress_predict.load(data)
    everyone = {r.subject: "no window with a label" if r.events else "no labels" for r in recordings}
    return everyone, continuous.examples(recordings, info.labels, normalisation, window_s, every_s)


def _shocks(info: TaskInfo, data: Path | None, normalisation: str) -> tuple[dict[str, str], Examples]:
    trials = shock_trials.load(data)
    answered = set(trials.subject[(trials.condition == "self") & np.isfinite(trials.scr)].tolist())
    everyone = {person: "no rating" if person in answered else "no usable response" for person in trials.people}
    return everyone, shocks.examples(trials, info.task, normalisation)
