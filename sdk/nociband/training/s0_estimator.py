"""S0 and its ablations as Estimators: found by name, tuned and judged like every other model.

nociband.training.estimators hands them out; fitting is nociband.training.fitting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nociband.errors import ModelError
from nociband.training.config import PAPER, TrainingConfig
from nociband.training.examples import Examples, Predictor, TaskInfo

MODELS: Mapping[str, TrainingConfig] = {"s0": TrainingConfig(), "s0_paper": PAPER}
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "no_attention": {"attention": False},
    "no_weighting": {"weighting": False},
    "cross_entropy": {"gamma": 0.0},
    "no_jump_reduction": {"jump_reduction": False},
    "eda_only": {"modalities": ("eda",)},
    "emg_only": {"modalities": ("emg",)},
    "flat": {"over_time": "flat"},
    "pooled": {"over_time": "pooled"},
}
# An ablation that a model has anyway is no name.
NAMES = (*MODELS, *(f"{model}:{ablation}" for model, config in MODELS.items() for ablation, off in ABLATIONS.items()
                    if config.with_settings(off) != config))


@dataclass(frozen=True)
class S0Estimator:
    """An S0 with settings `config`; `grid` is what nested tuning chooses between, each entry fields of TrainingConfig."""

    name: str
    config: TrainingConfig
    grid: tuple[Mapping[str, Any], ...] = ({},)

    def candidates(self, task: TaskInfo) -> tuple[Mapping[str, Any], ...]:
        """The grid; the first is the default."""
        return self.grid

    def fit(self, train: Examples, task: TaskInfo, seed: int, settings: Mapping[str, Any]) -> Predictor:
        """Fit on training people only. Raises ModelError."""
        from nociband.training import fitting

        return fitting.fit(train, task, replace(self.config.with_settings(settings), seed=seed))


def find(name: str, config: TrainingConfig | None = None, grid: Sequence[Mapping[str, Any]] = ()) -> S0Estimator:
    """The estimator of that name: a model of MODELS, alone or with ":" and an ablation.

    `config` replaces the model's own settings before the ablation, which therefore also wins over it and over `grid`. Raises
    ModelError for an unknown name or setting.
    """
    model, _, ablation = name.partition(":")
    if name not in NAMES:
        raise ModelError(f"no model {name!r}; there are: {', '.join(NAMES)}")
    off = ABLATIONS[ablation] if ablation else {}
    chosen = (config or MODELS[model]).with_settings(off)
    entries = tuple({k: v for k, v in entry.items() if k not in off} for entry in grid) or ({},)
    for entry in entries:
        chosen.with_settings(entry)
    distinct = tuple(entry for i, entry in enumerate(entries) if entry not in entries[:i])
    return S0Estimator(name, chosen, distinct)
