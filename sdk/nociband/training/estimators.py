"""Every model by its name, as nociband.evaluation fits and judges it: S0 and its ablations, and what it must beat.

Classical models see hand-made features, networks the sequences (nociband.training.examples). Fitted on training people alone,
augmented copies left out where they add nothing (classical models learn from plain windows). To nociband.evaluation.jobs.

`clock` is no rival but a control: it knows nothing of the body, only how long the sitting has lasted. What it reaches is what a
fixed order of stimuli gives away, and a model that drifts with time may be living on it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from nociband.errors import ModelError
from nociband.training import networks
from nociband.training.examples import Estimator, Examples, Predictor, TaskInfo

Settings = Mapping[str, Any]
Builder = Callable[[TaskInfo, int, Settings, Examples], BaseEstimator]
_INVERSE_PENALTIES: tuple[Settings, ...] = ({"C": 0.1}, {"C": 0.01}, {"C": 1.0})
_CALIBRATION_FOLDS = 3


@dataclass(frozen=True)
class Classical:
    """A scikit-learn model on hand-made features (or, for `clock`, on time alone). `seeded`: whether a seed matters."""

    name: str
    build: Builder
    grid: tuple[Settings, ...]
    seeded: bool = False
    inputs: Callable[[Examples], np.ndarray] = lambda examples: examples.features

    def candidates(self, task: TaskInfo) -> tuple[Settings, ...]:
        """The grid; the first is the default."""
        return self.grid

    def fit(self, train: Examples, task: TaskInfo, seed: int, settings: Settings) -> Predictor:
        """Fit on the plain windows. Raises ModelError when a class is missing or nothing is known of any window."""
        plain, settings = train.plain(), self._settings(settings)
        if task.kind == "classes" and (seen := len(np.unique(plain.target))) < task.classes:
            raise ModelError(f"{self.name}: only {seen} of {task.classes} classes stand in the training windows")
        x = self.inputs(plain)
        if not np.isfinite(x).any():
            raise ModelError(f"{self.name}: what it looks at is not known of any training window")
        model = self.build(task, seed, settings, plain)
        with _quietly():
            model.fit(x, plain.target)
        return Fitted(model, task, self.inputs)

    def _settings(self, settings: Settings) -> Settings:
        if strange := sorted(set(settings) - set(self.grid[0])):
            raise ModelError(f"{self.name}: unknown settings {', '.join(strange)}; known: {', '.join(self.grid[0]) or 'none'}")
        return {**self.grid[0], **settings}


@dataclass(frozen=True)
class Fitted:
    """A fitted scikit-learn model as a Predictor."""

    model: BaseEstimator
    task: TaskInfo
    inputs: Callable[[Examples], np.ndarray]

    def __call__(self, examples: Examples) -> np.ndarray:
        """float64 (n, classes) probabilities or (n,) scores within the task's range."""
        x = self.inputs(examples)
        with _quietly():
            if self.task.kind == "classes":
                return np.asarray(self.model.predict_proba(x), np.float64)
            return np.clip(np.asarray(self.model.predict(x), np.float64), *self.task.score_range)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the imputer's word that it drops a feature which is nowhere known."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping features without any observed values", UserWarning)
        yield


def _prepared(model: BaseEstimator) -> BaseEstimator:
    """Unknown values by the median, then standardised: both learned from the training people."""
    return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), model)


def _majority(task: TaskInfo, seed: int, settings: Settings, train: Examples) -> BaseEstimator:
    return DummyClassifier(strategy="prior") if task.kind == "classes" else DummyRegressor(strategy="mean")


def _linear(task: TaskInfo, seed: int, settings: Settings, train: Examples) -> BaseEstimator:
    c = settings["C"]
    if task.kind == "score":
        return _prepared(Ridge(alpha=1 / c))
    return _prepared(LogisticRegression(C=c, max_iter=2000, class_weight="balanced"))


def _forest(task: TaskInfo, seed: int, settings: Settings, train: Examples) -> BaseEstimator:
    common = {"n_estimators": 200, "min_samples_leaf": settings["min_samples_leaf"], "max_features": "sqrt", "random_state": seed,
              "n_jobs": 1}
    if task.kind == "score":
        return _prepared(RandomForestRegressor(**common))
    return _prepared(RandomForestClassifier(class_weight="balanced", **common))


def _svm(task: TaskInfo, seed: int, settings: Settings, train: Examples) -> BaseEstimator:
    """RBF kernel; its probabilities come from a sigmoid fitted on inner folds of people (Platt 1999)."""
    if task.kind == "score":
        return _prepared(SVR(C=settings["C"] * (task.score_range[1] - task.score_range[0])))
    if len(train.people) < 2:
        raise ModelError("svm: its probabilities need two people or more to train on")
    by_person = GroupKFold(min(_CALIBRATION_FOLDS, len(train.people)))
    folds = list(by_person.split(train.features, train.target, train.subjects))
    machine = _prepared(SVC(C=settings["C"], class_weight="balanced"))
    return CalibratedClassifierCV(machine, method="sigmoid", cv=folds, ensemble=False)


def _clock(task: TaskInfo, seed: int, settings: Settings, train: Examples) -> BaseEstimator:
    k = min(settings["neighbours"], len(train))
    return _prepared((KNeighborsClassifier if task.kind == "classes" else KNeighborsRegressor)(n_neighbors=k))


def _elapsed(examples: Examples) -> np.ndarray:
    """Time of the sitting and the number of the window in it, (n, 2): all that a clock on the wall knows."""
    number = np.zeros(len(examples))
    for person, sitting in sorted(set(zip(examples.subjects.tolist(), examples.sittings.tolist(), strict=True))):
        mine = (examples.subjects == person) & (examples.sittings == sitting)
        rows = np.flatnonzero(mine & (examples.draw == 0))
        number[rows[np.argsort(examples.elapsed_s[rows], kind="stable")]] = np.arange(len(rows))
    return np.stack([examples.elapsed_s, np.where(np.isfinite(examples.elapsed_s), number, np.nan)], axis=1)


def _nothing(examples: Examples) -> np.ndarray:
    return np.zeros((len(examples), 1))


CLASSICAL: dict[str, Classical] = {e.name: e for e in (
    Classical("majority", _majority, ({},), inputs=_nothing),
    Classical("logreg", _linear, _INVERSE_PENALTIES),
    Classical("random_forest", _forest, ({"min_samples_leaf": 3}, {"min_samples_leaf": 10}), seeded=True),
    Classical("svm", _svm, ({"C": 1.0}, {"C": 0.1}, {"C": 10.0})),
    Classical("clock", _clock, ({"neighbours": 15},), inputs=_elapsed),
)}


def names() -> tuple[str, ...]:
    """Every name that `find` knows."""
    return (*CLASSICAL, *networks.NAMES)


def find(name: str) -> Estimator:
    """The estimator of that name. Raises ModelError naming those there are."""
    if name in CLASSICAL:
        return CLASSICAL[name]
    if name in networks.NAMES:
        return networks.find(name)
    raise ModelError(f"no model {name!r}; there are: {', '.join(names())}")
