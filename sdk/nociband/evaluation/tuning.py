"""Nested tuning: a model's settings chosen on the training people of a fold alone.

Takes the training windows of one outer fold; runs an inner k-fold by person over them, fits each candidate on the inner training
people, and scores what it says of the inner test people, pooled. The people of the outer test fold are never seen here. Called by
nociband.evaluation.jobs; what was tried ends in the result (`tuning`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nociband.errors import ModelError, NocibandError
from nociband.evaluation import metrics, protocols
from nociband.evaluation.models import base_of, check_settings, fit_and_answer
from nociband.evaluation.plan import COMPARABLE, Tuning
from nociband.training.examples import Estimator, Examples, TaskInfo


@dataclass(frozen=True)
class Choice:
    """The chosen settings; `scores`: every candidate as {"settings", "score"}, in order; `fits`: how many it took."""

    settings: Mapping[str, Any]
    scores: tuple[Mapping[str, Any], ...] = ()
    fits: int = 0


def candidates_of(estimator: Estimator, name: str, task: TaskInfo, tuning: Tuning) -> tuple[Mapping[str, Any], ...]:
    """The settings to choose between: the plan's for this name, or for the model that the name is a variant of, else the model's
    own. What an ablation switches off stays off whatever is listed. Raises ModelError for none and for what the model lacks."""
    listed = tuning.candidates.get(name) or tuning.candidates.get(base_of(name)) or _own(estimator, name, task)
    if not listed:
        raise ModelError(f"{name} offers no settings for {task.dataset} {task.task}: one set, {{}}, is the least")
    for settings in listed:
        check_settings(estimator, name, settings)
    return tuple(listed)


def _own(estimator: Estimator, name: str, task: TaskInfo) -> tuple[Mapping[str, Any], ...]:
    """What the model itself offers; one of yours may raise or give anything."""
    try:
        offered = estimator.candidates(task)
    except NocibandError:
        raise
    except Exception as e:
        raise ModelError(f"{name}: candidates(task) raises {type(e).__name__}: {e}") from e
    if not isinstance(offered, list | tuple) or not all(isinstance(settings, Mapping) for settings in offered):
        raise ModelError(f"{name}: candidates(task) gives a tuple of dicts, as ({{}},), not {offered!r}")
    return tuple(offered)


def choose(estimator: Estimator, name: str, train: Examples, task: TaskInfo, seed: int, tuning: Tuning) -> Choice:
    """The candidate with the best score over the inner folds; the first of equals, so that the default wins a tie.

    The score is the tuning metric on the pooled answers for people whom the fit had not seen (one fold's score alone would rest
    on a handful of people). One candidate: nothing is fitted. Raises ModelError when no candidate can be scored.
    """
    listed = candidates_of(estimator, name, task, tuning)
    if len(listed) == 1:
        return Choice(listed[0])
    inner = protocols.inner_folds(train.people, tuning.inner_folds, seed)
    sides = [fold.sides(train) for fold in inner]
    tests = [test for _, test in sides]
    target, subjects = (np.concatenate([getattr(t, name) for t in tests]) for name in ("target", "subjects"))
    scores: list[float | None] = []
    for settings in listed:
        answers = [fit_and_answer(estimator, part, test, task, seed, settings) for part, test in sides]
        scores.append(metrics.point(metrics.Outcome(np.concatenate(answers)[None], target, subjects, task.labels), tuning.metric))
    sign = 1 if COMPARABLE[tuning.metric] == "higher" else -1
    comparable = [-np.inf if s is None else sign * s for s in scores]
    if max(comparable) == -np.inf:
        raise ModelError(f"{name}: {tuning.metric} is not defined on the inner folds; choose another tuning.metric")
    best = int(np.argmax(comparable))
    tried = tuple({"settings": dict(s), "score": None if v is None else round(v, 6)} for s, v in zip(listed, scores, strict=True))
    return Choice(listed[best], tried, len(listed) * len(inner))
