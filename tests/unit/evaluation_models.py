"""Small estimators and windows for the tests of nociband.evaluation, found by `tests.unit.evaluation_models:NAME`.

They are real: they learn from the windows they are given. For every fit each writes a line to the file NOCIBAND_TEST_FITS, so
that a test can count what was computed, by whom, across processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nociband.training.examples import Examples, Predictor, TaskInfo

HERE = "tests.unit.evaluation_models:"
CLASSES = TaskInfo("made_up", "two", "Two classes of a generator", "classes", "nothing", True, "no person was measured",
                   ("rest", "pain"), (None, None))
SCORE = TaskInfo("made_up", "score", "A score of a generator", "score", "nothing", True, "no person was measured")


def windows(people: int = 12, each: int = 10, kind: str = "classes", seed: int = 0, separation: float = 1.0) -> Examples:
    """`people` with `each` windows in two sittings; the first feature and the sequences carry the target, the rest is noise."""
    rng = np.random.default_rng(seed)
    n = people * each
    level = np.tile(np.arange(each) % 2, people)
    noise = rng.normal(size=(n, 4))
    noise[:, 0] += separation * level
    target = level.astype(np.int64) if kind == "classes" else np.clip(4.0 * level + rng.normal(size=n), 0, 10)
    names = np.repeat([f"p{i:02d}" for i in range(people)], each)
    eda = (noise[:, :1, None] + rng.normal(size=(n, 8, 2))).astype(np.float32)
    return Examples({"eda": eda}, noise, ("level", "a", "b", "c"), target, names,
                    np.char.add(names, np.tile(np.where(np.arange(each) < each // 2, "-1", "-2"), people)), np.zeros(n, np.int64),
                    {f"p{i:02d}": {"sex": "f" if i % 2 else "m", "age": 20 + i} for i in range(people)})


class Centroid:
    """Softmax over distances to the class means (or their mean score) of the first `columns` features, jittered by the seed."""

    name = "centroid"

    def candidates(self, task: TaskInfo) -> tuple[Mapping[str, Any], ...]:
        return ({"columns": 1},)

    def fit(self, train: Examples, task: TaskInfo, seed: int, settings: Mapping[str, Any]) -> Predictor:
        _note(f"{self.name} {seed} {'-'.join(sorted(set(train.people)))}")
        columns = settings["columns"]
        jitter = np.random.default_rng(seed).normal(scale=0.05, size=columns)
        plain = train.plain()
        x = plain.features[:, :columns]
        if task.kind == "score":
            slope = np.linalg.lstsq(np.c_[x, np.ones(len(x))], plain.target, rcond=None)[0]
            return lambda test: np.c_[test.features[:, :columns] + jitter, np.ones(len(test))] @ slope
        centres = np.stack([x[plain.target == k].mean(axis=0) for k in range(task.classes)]) + jitter

        def predict(test: Examples) -> np.ndarray:
            near = np.exp(-((test.features[:, None, :columns] - centres) ** 2).sum(axis=2))
            return near / near.sum(axis=1, keepdims=True)

        return predict


class Tuned(Centroid):
    """Chooses whether to look at noise (the last settings, worst) or at the feature that tells."""

    name = "tuned"

    def candidates(self, task: TaskInfo) -> tuple[Mapping[str, Any], ...]:
        return ({"columns": 4}, {"columns": 1})


class Prior(Centroid):
    """How often each class occurs; needs no seed."""

    name, seeded = "prior", False

    def fit(self, train: Examples, task: TaskInfo, seed: int, settings: Mapping[str, Any]) -> Predictor:
        _note(f"{self.name} {seed} {'-'.join(sorted(set(train.people)))}")
        if task.kind == "score":
            middle = train.target.mean()
            return lambda test: np.full(len(test), middle)
        share = np.bincount(train.target, minlength=task.classes) / len(train)
        return lambda test: np.tile(share, (len(test), 1))


class Slow(Centroid):
    """Takes half a second, so that a test can kill its worker in between."""

    name = "slow"

    def fit(self, train: Examples, task: TaskInfo, seed: int, settings: Mapping[str, Any]) -> Predictor:
        predictor = super().fit(train, task, seed, settings)
        time.sleep(0.5)
        return predictor


class Deadly(Centroid):
    """Its process dies in every fit that leaves p00 out."""

    name = "deadly"

    def fit(self, train: Examples, task: TaskInfo, seed: int, settings: Mapping[str, Any]) -> Predictor:
        if "p00" not in train.people:
            os._exit(9)
        return super().fit(train, task, seed, settings)


class Peeping(Centroid):
    """Answers with the test targets, if only it could see them."""

    name = "peeping"

    def fit(self, train: Examples, task: TaskInfo, seed: int, settings: Mapping[str, Any]) -> Predictor:
        return lambda test: np.eye(task.classes)[test.target]


class Wrong(Centroid):
    """Answers with what are no probabilities."""

    name = "wrong"

    def fit(self, train: Examples, task: TaskInfo, seed: int, settings: Mapping[str, Any]) -> Predictor:
        return lambda test: np.full((len(test), task.classes), 0.7)


def _note(line: str) -> None:
    path = os.environ.get("NOCIBAND_TEST_FITS")
    if path:
        with Path(path).open("a") as file:
            file.write(f"{os.getpid()} {line}\n")


class Greedy(Centroid):
    """Wants an argument that nobody gives it."""

    def __init__(self, columns: int) -> None:
        self.columns = columns


class Broken(Centroid):
    """Fails before it exists."""

    def __init__(self) -> None:
        raise OSError("weights.bin is not here")


class Unfit:
    """Says what could be chosen, and can do nothing."""

    name = "unfit"

    def candidates(self, task: TaskInfo) -> tuple[Mapping[str, Any], ...]:
        return ({},)


class Unnamed:
    """Nothing of a model."""


class Single(Centroid):
    """Offers settings where a tuple of them belongs."""

    name = "single"

    def candidates(self, task: TaskInfo) -> Any:
        return {"columns": 1}


class Clueless(Centroid):
    """Does not know its own settings."""

    name = "clueless"

    def candidates(self, task: TaskInfo) -> tuple[Mapping[str, Any], ...]:
        raise KeyError(task.task)
