"""Every switch of a training run in one frozen value: the network's shape, loss, handling of the data, optimisation.

Comes from a task, a plan or a TOML file (`nociband train --config`), goes to nociband.training.fitting and loop. Needs no torch,
so that a command can read and print it quickly. Reasons for the defaults: docs/adr/0010-s0-choices.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from math import inf
from pathlib import Path
from typing import Any

from nociband.errors import ModelError

NETWORKS = ("s0", "s0_paper", "cnn1d")
MODALITIES = ("eda", "emg")
_CHOICES = {"network": NETWORKS, "over_time": ("pooled", "flat"), "score_loss": ("smooth_l1", "mse"),
            "schedule": ("constant", "cosine"), "device": ("auto", "cpu", "cuda")}
_SHARES = ("dropout", "label_smoothing", "modality_dropout", "ema", "validation_share")
_AT_LEAST = {"hidden": 1, "conv_kernel": 1, "blocks": 1, "dense": 0, "stride": 1, "epochs": 1, "batch": 1, "patience": 1,
             "seed": 0, "gamma": 0.0, "noise": 0.0, "time_jitter": 0.0, "mixup": 0.0, "weight_decay": 0.0}


@dataclass(frozen=True)
class TrainingConfig:
    """What is decided before training. Raises ModelError for a value that makes no sense.

    Network: `network` "s0" takes the band's feature frames, "s0_paper" the descriptor sequences (both nociband.models.s0);
    "cnn1d" is a baseline on the frames (nociband.models.cnn1d), of which `hidden`, `conv_kernel` and `dropout` hold. `hidden`
    units an LSTM; `blocks` of LSTM and attention a branch; `dense` units a branch after them (0: none); `over_time` "pooled"
    (mean and maximum) or "flat"; `stride` frames averaged into one step (the band takes 1); `attention`, `weighting` and
    `modalities` switch parts off.
    Loss: `gamma` of the focal loss (0: cross-entropy), `class_weights` by inverse frequency, `label_smoothing`; `score_loss`
    for scores.
    Data: inputs are clamped to +-`input_limit` standard deviations, on the band too; `jump_reduction` thins frequent classes
    (nociband.training.imbalance); `noise` is Gaussian, in the inputs' standard deviations; `time_jitter` shifts a window by up
    to this share of its length; `modality_dropout` is the probability that one of two modalities is blanked; `mixup` the alpha
    of Beta(alpha, alpha), 0: off.
    Optimisation: `schedule` of the learning rate over `epochs`; `ema` decay a step of averaged weights, 0: off; `patience`
    epochs without a better validation loss end the training; `validation_share` of the training people validate, 0: none, all
    `epochs` are run; `refit` trains on all training people for as many epochs as were best. `device` "auto" is a GPU if there
    is one.
    """

    network: str = "s0"
    hidden: int = 16
    dropout: float = 0.3
    conv_kernel: int = 7
    blocks: int = 1
    dense: int = 0
    over_time: str = "pooled"
    stride: int = 1
    attention: bool = True
    weighting: bool = True
    modalities: tuple[str, ...] = MODALITIES
    gamma: float = 2.0
    class_weights: bool = False
    label_smoothing: float = 0.0
    score_loss: str = "smooth_l1"
    input_limit: float = 8.0
    jump_reduction: bool = True
    noise: float = 0.1
    time_jitter: float = 0.0
    modality_dropout: float = 0.0
    mixup: float = 0.0
    epochs: int = 60
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    schedule: str = "constant"
    clip_norm: float = 1.0
    ema: float = 0.0
    patience: int = 12
    validation_share: float = 0.22
    refit: bool = False
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ModelError(f"{name} is {' or '.join(choices)}, not {getattr(self, name)!r}")
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise ModelError(f"{name} is a share from 0 to below 1, not {getattr(self, name)}")
        for name, least in _AT_LEAST.items():
            if not getattr(self, name) >= least:
                raise ModelError(f"{name} is at least {least:g}, not {getattr(self, name)}")
        if not self.learning_rate > 0 or not self.clip_norm > 0:
            raise ModelError("learning_rate and clip_norm are above 0")
        if not 0 < self.input_limit < inf:
            raise ModelError(f"input_limit is above 0 and finite, not {self.input_limit}")
        if self.conv_kernel % 2 == 0:
            raise ModelError(f"conv_kernel is odd, not {self.conv_kernel}: the attention must not shift in time")
        if not self.modalities or not set(self.modalities) <= set(MODALITIES):
            raise ModelError(f"modalities are one or both of {', '.join(MODALITIES)}, not {self.modalities}")
        if self.time_jitter > 0.5:
            raise ModelError(f"time_jitter is at most half a window (0.5), not {self.time_jitter}")
        if self.refit and not self.validation_share:
            raise ModelError("refit takes the number of epochs from validation people: set validation_share above 0")

    def inputs(self, modality: str) -> str:
        """Name of the modality's sequences in Examples.inputs."""
        return modality if self.network != "s0_paper" else f"{modality}_descriptors"

    def changed(self) -> dict[str, Any]:
        """The fields that differ from the defaults, as plain values: what a report needs to make the run again."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default}

    def with_settings(self, settings: Mapping[str, Any]) -> TrainingConfig:
        """With some fields replaced. Raises ModelError for a field that does not exist or a value of the wrong type."""
        known = {f.name: f.default for f in fields(self)}
        strange = sorted(set(settings) - set(known))
        if strange:
            raise ModelError(f"unknown training settings {', '.join(strange)}; there are: {', '.join(known)}")
        return replace(self, **{name: _typed(name, value, known[name]) for name, value in settings.items()})

    def to_toml(self) -> str:
        """As a TOML file that `load` takes."""
        lines = [f"{name} = {_toml(value)}" for name, value in asdict(self).items()]
        return "# Settings of a training run; what is left out keeps its default.\n" + "\n".join(lines) + "\n"


# As the authors' figure draws it, in sizes that our data can bear; what is not public is argued in the ADR.
PAPER = TrainingConfig(network="s0_paper", hidden=32, blocks=2, dense=32, over_time="flat", conv_kernel=3)


def load(path: Path, base: TrainingConfig = TrainingConfig()) -> TrainingConfig:
    """Read a TOML file over `base`. Raises ModelError naming the file and what is wrong with it."""
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise ModelError(f"{path} cannot be read as TOML ({e}); `nociband train --print-config` shows the form") from e
    try:
        return base.with_settings(settings)
    except ModelError as e:
        raise ModelError(f"{path}: {e}") from e


def _typed(name: str, value: Any, default: Any) -> Any:
    """`value` as the type that the field has; an integer is a float too, a bool neither."""
    if isinstance(default, tuple) and isinstance(value, (list, tuple)):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if default is MISSING or type(value) is not type(default):
        raise ModelError(f"{name} is of type {type(default).__name__}, not {value!r}")
    return value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return "[" + ", ".join(_toml(v) for v in value) + "]" if isinstance(value, tuple) else repr(value)
