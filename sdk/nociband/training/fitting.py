"""From Examples to a fitted network: people set aside to validate, classes evened out, inputs scaled, the network trained.

Takes training Examples (nociband.training.examples), uses nociband.training.loop, gives a NetworkPredictor to networks and to
nociband.training.run. Scale and target units come from training people alone and travel inside the predictor.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nociband.errors import ModelError
from nociband.models.cnn1d import Cnn1dConfig
from nociband.models.s0 import S0Config, multiply_accumulates, parameters
from nociband.training import checkpoint, loop
from nociband.training.checkpoint import Epoch
from nociband.training.config import TrainingConfig
from nociband.training.examples import Examples, TaskInfo
from nociband.training.imbalance import jump_reduction
from nociband.training.loop import Arrays, Network
from nociband.training.split import validation_people


@dataclass(frozen=True, eq=False)
class Units:
    """How Examples become a network's arrays. `scale` float64 (C,) by input, which is divided by it and clamped to
    +-`limit`; a score is taken as (score - `centre`) / `spread`."""

    modalities: tuple[str, ...]
    scale: Mapping[str, np.ndarray]
    limit: float
    centre: float = 0.0
    spread: float = 1.0

    def inputs(self, examples: Examples) -> tuple[np.ndarray, ...]:
        """float32 (n, T, C) a branch, within +-`limit`."""
        return tuple(np.clip(_sequences(examples, m) / self.scale[m], -self.limit, self.limit).astype(np.float32)
                     for m in self.modalities)

    def arrays(self, examples: Examples, task: TaskInfo) -> Arrays:
        """Inputs and targets."""
        if task.kind == "classes":
            return Arrays(self.inputs(examples), np.ascontiguousarray(examples.target, np.int64))
        return Arrays(self.inputs(examples), ((examples.target - self.centre) / self.spread).astype(np.float32))


@dataclass(frozen=True, eq=False)
class NetworkPredictor:
    """A fitted network with everything it needs to judge windows of other people; `history` of the fit that counted."""

    model: nn.Module
    units: Units
    task: TaskInfo
    history: list[Epoch]

    def __call__(self, examples: Examples) -> np.ndarray:
        """float64 (n, classes) probabilities, or (n,) scores within the task's range."""
        with loop.deterministic(0):  # the same bits however many threads the caller has
            output = loop.predict(self.model, self.units.inputs(examples)).astype(np.float64)
        if self.task.kind == "classes":
            return np.asarray(torch.softmax(torch.from_numpy(output), dim=1).numpy())
        return np.clip(output[:, 0] * self.units.spread + self.units.centre, *self.task.score_range)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run would be fitted on. `people` names who trains and who validates."""

    network: Network
    units: Units
    train: Arrays
    validation: Arrays | None
    people: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Preview:
    """What a run would do; `seconds` estimates the longest it can take, one pass of one batch measured."""

    windows: int
    validation_windows: int
    people: Mapping[str, tuple[str, ...]]
    parameters: int
    multiply_accumulates: int
    seconds: float


def fit(train: Examples, task: TaskInfo, config: TrainingConfig, folder: Path | None = None) -> NetworkPredictor:
    """Fit on training people only; some of them validate, as `config` says. `folder` keeps checkpoint and log.

    Raises ModelError when it cannot be fitted.
    """
    fitted_on = prepare(train, task, config)
    model, history = loop.fit(fitted_on.network, config, fitted_on.train, fitted_on.validation, folder)
    if config.refit:
        everyone = prepare(train, task, config, validate=())
        epochs = checkpoint.best_epoch(history) + 1
        model, history = loop.fit(everyone.network, config, everyone.train, None, epochs=epochs)
        fitted_on = everyone
    return NetworkPredictor(model, fitted_on.units, task, history)


def prepare(train: Examples, task: TaskInfo, config: TrainingConfig, validate: tuple[str, ...] | None = None) -> Prepared:
    """Split by person, even out the classes of those who train, take units from them.

    `validate` names the validation people, () for none; None draws `config.validation_share` of the people by the seed.
    Raises ModelError.
    """
    if validate is None:
        validate = validation_people(train.people, config.seed, config.validation_share) if config.validation_share else ()
    fitted, judged = train.of(set(train.people) - set(validate)), train.of(validate).plain()
    if len(fitted) == 0 or (validate and len(judged) == 0):
        raise ModelError(f"{len(fitted)} windows to train on and {len(judged)} to validate with: there must be some of both")
    if config.jump_reduction:
        fitted = jump_reduction(fitted, config.seed)
    units = _units(fitted, task, config)
    people = {"train": fitted.people, "validation": judged.people}
    if set(people["train"]) & set(validate):
        raise ModelError("a person who validates stands among those who train")
    return Prepared(network_of(config, fitted, task), units, units.arrays(fitted, task),
                    units.arrays(judged, task) if validate else None, people)


def network_of(config: TrainingConfig, examples: Examples, task: TaskInfo) -> Network:
    """The network's shape for these examples: a modality that they lack has no branch. Raises ModelError."""
    shapes = {m: examples.inputs[config.inputs(m)].shape for m in _modalities(config, examples)}
    if config.network == "cnn1d":
        return Cnn1dConfig(tuple(s[2] for s in shapes.values()), config.hidden, task.classes, config.conv_kernel, config.dropout)
    return S0Config(
        eda_inputs=shapes["eda"][2] if "eda" in shapes else 0, emg_inputs=shapes["emg"][2] if "emg" in shapes else 0,
        eda_steps=shapes["eda"][1] if "eda" in shapes and config.over_time == "flat" else 0,
        emg_steps=shapes["emg"][1] if "emg" in shapes and config.over_time == "flat" else 0,
        hidden=config.hidden, classes=task.classes, conv_kernel=config.conv_kernel, dropout=config.dropout, blocks=config.blocks,
        dense=config.dense, over_time=config.over_time, stride=config.stride, attention=config.attention,
        weighting=config.weighting, input_limit=config.input_limit,
    )


def preview(prepared: Prepared, config: TrainingConfig) -> Preview:
    """What fitting `prepared` would mean, without doing it. Raises ModelError for a network other than S0."""
    network, data = prepared.network, prepared.train
    if not isinstance(network, S0Config):
        raise ModelError(f"a preview is of an S0, not of {config.network}")
    rows = min(config.batch, len(data))
    one = Arrays(tuple(x[:rows] for x in data.inputs), data.target[:rows])
    quick = config.with_settings({"epochs": 1, "schedule": "constant"})
    loop.fit(network, quick, one)  # the first pass sets things up
    began = time.monotonic()
    loop.fit(network, quick, one)
    seconds = (time.monotonic() - began) * len(data) / rows * config.epochs * (2 if config.refit else 1)
    steps = {m: x.shape[1] for m, x in zip(network.modalities, data.inputs, strict=True)}
    return Preview(len(data), len(prepared.validation) if prepared.validation else 0, prepared.people, parameters(network),
                   multiply_accumulates(network, steps.get("eda", 0), steps.get("emg", 0)), seconds)


def _units(fitted: Examples, task: TaskInfo, config: TrainingConfig) -> Units:
    keys = tuple(config.inputs(m) for m in _modalities(config, fitted))
    scale = {key: input_scale(fitted, key) for key in keys}
    if task.kind == "classes":
        return Units(keys, scale, config.input_limit)
    spread = float(np.std(fitted.target))
    return Units(keys, scale, config.input_limit, float(np.mean(fitted.target)), spread if spread > 0 else 1.0)


def input_scale(examples: Examples, key: str) -> np.ndarray:
    """float64 (C,): the median over people of each one's root mean square about zero, so that one restless person does not set
    the scale; 1 for a channel that never moves."""
    sequences = _sequences(examples, key)
    rms = [np.sqrt(np.mean(np.square(sequences[examples.subjects == s], dtype=np.float64), axis=(0, 1))) for s in examples.people]
    median = np.median(rms, axis=0)
    return np.where(median > 0, median, 1.0)


def _modalities(config: TrainingConfig, examples: Examples) -> tuple[str, ...]:
    """Those that the settings ask for and the examples have. Raises ModelError when none is left."""
    there = tuple(m for m in ("eda", "emg") if m in config.modalities and config.inputs(m) in examples.inputs)
    if not there:
        wanted = ", ".join(config.inputs(m) for m in config.modalities)
        raise ModelError(f"{config.network} needs {wanted}; these examples have {', '.join(examples.inputs) or 'none'}")
    return there


def _sequences(examples: Examples, key: str) -> np.ndarray:
    if key not in examples.inputs:
        raise ModelError(f"this model was fitted on {key}, which these examples lack; they have {', '.join(examples.inputs)}")
    return examples.inputs[key]
