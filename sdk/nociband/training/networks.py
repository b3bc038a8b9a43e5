"""S0, its ablations and a convolutional baseline as Estimators: found by name, tuned and judged like every other model.

nociband.training.estimators hands them out; fitting is nociband.training.fitting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nociband.errors import ModelError
from nociband.training.config import PAPER, TrainingConfig
from nociband.training.examples import Examples, Predictor, TaskInfo

MODELS: Mapping[str, TrainingConfig] = {
    "s0": TrainingConfig(), "s0_paper": PAPER, "cnn1d": TrainingConfig(network="cnn1d", dropout=0.3, conv_kernel=7),
}
# What can be switched off; a network that lacks the part has no such name.
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
# An ablation that a model has anyway is no name, nor is a part of S0 for another network.
NAMES = (*MODELS, *(f"{model}:{ablation}" for model, config in MODELS.items() for ablation, off in ABLATIONS.items()
                    if config.with_settings(off) != config and model != "cnn1d"))


@dataclass(frozen=True)
class NetworkEstimator:
    """A network with settings `config`; `grid` is what nested tuning chooses between, each entry fields of TrainingConfig. `off`
    is what the ablation sets, whatever config, grid or a plan's candidates say."""

    name: str
    config: TrainingConfig
    grid: tuple[Mapping[str, Any], ...] = ({},)
    off: Mapping[str, Any] = field(default_factory=dict)

    def candidates(self, task: TaskInfo) -> tuple[Mapping[str, Any], ...]:
        """The grid; the first is the default."""
        return self.grid

    def fit(self, train: Examples, task: TaskInfo, seed: int, settings: Mapping[str, Any]) -> Predictor:
        """Fit on training people only. Raises ModelError."""
        from nociband.training import fitting

        return fitting.fit(train, task, self.config.with_settings({**settings, **self.off, "seed": seed}))


def find(name: str, config: TrainingConfig | None = None, grid: Sequence[Mapping[str, Any]] = ()) -> NetworkEstimator:
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
    return NetworkEstimator(name, chosen, distinct, off)
