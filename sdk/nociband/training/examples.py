"""What every estimator is given and judged on: windows of one task with their people, and what the task asks.

Made by nociband.training.tasks from data sets, split by nociband.evaluation.protocols, taken by nociband.training.estimators.
Needs NumPy alone, so that it travels between processes and machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from nociband.errors import ModelError

KINDS = ("classes", "score")


@dataclass(frozen=True)
class TaskInfo:
    """What is asked of a window.

    `kind` "classes": one of `labels`, whose `values` lie on the 0-10 scale for pain and are None otherwise. `kind` "score": a
    number within `score_range` in `score_unit`; labels are empty. `of` is "pain", "emotion" or "stress"; `warning` is shown
    wherever a figure or a prediction of it is.
    """

    dataset: str
    task: str
    title: str
    kind: str
    of: str
    synthetic: bool
    warning: str
    labels: tuple[str, ...] = ()
    values: tuple[float | None, ...] = ()
    score_range: tuple[float, float] = (0.0, 10.0)
    score_unit: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ModelError(f"a task is of {' or '.join(KINDS)}, not {self.kind!r}")
        if self.kind == "classes" and (len(self.labels) < 2 or len(self.labels) != len(self.values)):
            raise ModelError(f"{self.dataset} {self.task}: two or more classes with a value (or None) each belong here")

    @property
    def classes(self) -> int:
        """Number of classes; 0 for a score."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Examples:
    """`n` windows of one task.

    inputs: sequences by modality ("eda", "emg", and "eda_descriptors", "emg_descriptors" where a model asks for them), float32
    (n, T, C), normalised within a person but not yet scaled across people; T may differ between modalities. features: float64
    (n, F) hand-made statistics named by `feature_names`, NaN where one cannot be computed. target: int64 (n,) classes or
    float64 (n,) scores. subjects, sittings: (n,) str; a sitting is one recording of a person. draw: int64 (n,), 0 for the plain
    window that is judged, above for augmented copies that are only ever trained on. attributes: by subject, what the data set
    says of a person (sex, age, ...). elapsed_s: float64 (n,) seconds from the beginning of the sitting to the end of the window,
    NaN where the set does not say; never an input of a model, only of the control that asks what the clock alone would give.

    Raises ModelError when the parts do not fit each other.
    """

    inputs: Mapping[str, np.ndarray]
    features: np.ndarray
    feature_names: tuple[str, ...]
    target: np.ndarray
    subjects: np.ndarray
    sittings: np.ndarray
    draw: np.ndarray
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    elapsed_s: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        n = len(self.target)
        if not len(self.elapsed_s):
            object.__setattr__(self, "elapsed_s", np.full(n, np.nan))
        arrays = {"features": self.features, "subjects": self.subjects, "sittings": self.sittings, "draw": self.draw,
                  "elapsed_s": self.elapsed_s, **self.inputs}
        for name, array in arrays.items():
            if len(array) != n:
                raise ModelError(f"{n} targets but {len(array)} rows of {name}")
        if self.features.ndim != 2 or self.features.shape[1] != len(self.feature_names):
            raise ModelError(f"features of shape {self.features.shape} with {len(self.feature_names)} names")
        for name, array in self.inputs.items():
            if array.ndim != 3 or not np.isfinite(array).all():
                raise ModelError(f"the input {name!r} must be finite and of shape (n, T, C); it is of shape {array.shape}")

    def __len__(self) -> int:
        return len(self.target)

    @property
    def people(self) -> tuple[str, ...]:
        """The distinct subjects, sorted."""
        return tuple(sorted(set(self.subjects.tolist())))

    def where(self, rows: np.ndarray) -> Examples:
        """The rows of a mask or an index array."""
        return replace(self, inputs={k: v[rows] for k, v in self.inputs.items()}, features=self.features[rows],
                       target=self.target[rows], subjects=self.subjects[rows], sittings=self.sittings[rows], draw=self.draw[rows],
                       elapsed_s=self.elapsed_s[rows])

    def of(self, subjects: Iterable[str]) -> Examples:
        """The windows of these people, augmented copies included."""
        return self.where(np.isin(self.subjects, list(subjects)))

    def plain(self) -> Examples:
        """Without the augmented copies: what is judged."""
        return self.where(self.draw == 0)


class Predictor(Protocol):
    """A fitted model: float64 (n, classes) probabilities for classes, (n,) for a score."""

    def __call__(self, examples: Examples) -> np.ndarray: ...


class Estimator(Protocol):
    """Something that can be fitted. `fit` sees training people only and is reproducible from `seed`."""

    @property
    def name(self) -> str: ...

    def candidates(self, task: TaskInfo) -> tuple[Mapping[str, Any], ...]:
        """Settings to choose between by nested tuning; the first is the default. One candidate: nothing is tuned."""
        ...

    def fit(self, train: Examples, task: TaskInfo, seed: int, settings: Mapping[str, Any]) -> Predictor:
        """Fit on `train`. Raises ModelError when it cannot be fitted."""
        ...
