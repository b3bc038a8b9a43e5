"""The training loop of every network: Adam, focal or score loss, early stopping on other people's windows, seeded, resumable.

Arrays come scaled from nociband.training.fitting, the fitted network goes back there. One thread, deterministic: an epoch's
randomness depends on the seed and its number only, so that a resumed run equals an unbroken one.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nociband.errors import ModelError
from nociband.training import augment, checkpoint
from nociband.training.checkpoint import Epoch, State
from nociband.training.config import TrainingConfig
from nociband.training.imbalance import class_weights
from nociband.training.losses import focal_loss, score_loss
from nociband.training.metrics import balanced_accuracy, confusion

Loss = Callable[[Tensor, Tensor], Tensor]


class Network(Protocol):
    """The shape of a network: `classes` (0 for a score) and `outputs` of what `build` makes, which keeps it as `config`."""

    @property
    def classes(self) -> int: ...

    @property
    def outputs(self) -> int: ...

    def build(self) -> nn.Module:
        """A network with fresh weights, called with one (B, T, channels) a branch -> (B, outputs)."""
        ...


@dataclass(frozen=True, eq=False)
class Arrays:
    """What the network is fed: `inputs` float32 (n, T, C) a branch, scaled and clamped, in the network's order; `target` int64
    classes (n,), or float32 scores (n,) in standard deviations."""

    inputs: tuple[np.ndarray, ...]
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.target)


def fit(network: Network, config: TrainingConfig, train: Arrays, validation: Arrays | None = None, folder: Path | None = None,
        resume: bool = False, on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        epochs: int | None = None) -> tuple[nn.Module, list[Epoch]]:
    """Train a network and return it as it was after its best epoch, in evaluation mode on the CPU, with the history.

    Without `validation` there is no early stopping and the last epoch counts; `epochs` ends such a run before `config.epochs`
    without changing its learning rates. With `folder`, checkpoint.pt and log.csv are written after each epoch; `resume` goes
    on from there. Raises ModelError when the checkpoint belongs to other data or settings, the loss is no longer a number, or
    there is no GPU where one is asked for.
    """
    if len(train) == 0 or (validation is not None and len(validation) == 0):
        raise ModelError("nothing to train on" if len(train) == 0 else "no window to validate on")
    device = find_device(config.device)
    with deterministic(config.seed, device):
        model = network.build().to(device)
        adam = torch.optim.Adam(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
        state = State(model, adam, _weights(model), _weights(model), [])
        run = checkpoint.identity(network, config, train, validation)
        if resume:
            if folder is None:
                raise ModelError("resuming needs the folder of the run")
            checkpoint.restore(state, folder, run)
        def done(epoch: Epoch) -> None:
            if folder is not None:
                checkpoint.save(state, folder, run)
            on_epoch(epoch)
        _epochs(state, config, train, validation, epochs or config.epochs, done)
        model.load_state_dict(state.best)
        return model.to("cpu").eval(), state.history


def _epochs(state: State, config: TrainingConfig, train: Arrays, validation: Arrays | None, epochs: int,
            done: Callable[[Epoch], None]) -> None:
    """Run what is left of the epochs."""
    device = next(state.model.parameters()).device
    inputs, target = [torch.from_numpy(x).to(device) for x in train.inputs], torch.from_numpy(train.target).to(device)
    loss = loss_of(config, train.target, state.model.config.classes, device)
    while len(state.history) < epochs and (validation is None or not state.out_of_patience(config.patience)):
        number, began = len(state.history), time.monotonic()
        torch.manual_seed(config.seed * 10_007 + number + 1)
        train_loss = _pass(state, config, inputs, target, loss, _learning_rate(config, number))
        validation_loss, validation_score = _judge(state, config, validation)
        if not math.isfinite(train_loss) or (validation is not None and not math.isfinite(validation_loss)):
            raise ModelError(f"epoch {number}: the loss is no longer a number; use a smaller learning rate")
        epoch = Epoch(number, train_loss, validation_loss, validation_score, time.monotonic() - began)
        state.history.append(epoch)
        if validation is None or state.best_epoch == number:
            state.best = copy.deepcopy(state.average if config.ema else _weights(state.model))
        done(epoch)


def _pass(state: State, config: TrainingConfig, inputs: list[Tensor], target: Tensor, loss_of_batch: Loss, rate: float) -> float:
    """One pass over the training windows; its mean loss."""
    state.model.train()
    state.optimiser.param_groups[0]["lr"] = rate
    parameters, total = list(state.model.parameters()), 0.0
    averaged = [state.average[name] for name, _ in state.model.named_parameters()]
    for rows in torch.randperm(len(target)).split(config.batch):
        rows = rows.to(target.device)
        batch = augment.batch([x[rows] for x in inputs], target[rows], config)
        output = state.model(*batch.inputs)
        loss = loss_of_batch(output, batch.target)
        if batch.other is not None:
            loss = batch.share * loss + (1 - batch.share) * loss_of_batch(output, batch.other)
        state.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        state.optimiser.step()
        if config.ema:
            torch._foreach_lerp_(averaged, [p.detach() for p in parameters], 1 - config.ema)
        total += loss.item() * len(rows)
    return total / len(target)


def _judge(state: State, config: TrainingConfig, validation: Arrays | None) -> tuple[float, float]:
    """Loss, and balanced accuracy or (for scores) mean absolute error, of the weights that would be kept; or NaN."""
    if validation is None:
        return math.nan, math.nan
    model: Any = state.model
    if config.ema:
        model = model.config.build().to(next(model.parameters()).device)
        model.load_state_dict(state.average)
    output, classes = torch.from_numpy(predict(model, validation.inputs)), model.config.classes
    target = torch.from_numpy(validation.target)
    loss = loss_of(config, None, classes, output.device)(output, target).item()
    if not classes:
        return loss, float(torch.mean(torch.abs(output[:, 0] - target)))
    return loss, balanced_accuracy(confusion(validation.target, output.argmax(dim=1).numpy(), classes))


def loss_of(config: TrainingConfig, train_target: np.ndarray | None, classes: int, device: torch.device) -> Loss:
    """The loss of outputs and targets. `train_target` gives the class weights; None judges: no weights, no smoothing."""
    if not classes:
        return lambda output, target: score_loss(output[:, 0], target, config.score_loss)
    if train_target is None:
        return lambda output, target: focal_loss(output, target, config.gamma)
    weight = None
    if config.class_weights:
        weight = torch.from_numpy(class_weights(train_target, classes)).float().to(device)
    return lambda output, target: focal_loss(output, target, config.gamma, weight, config.label_smoothing)


def predict(model: Any, inputs: tuple[np.ndarray, ...], batch: int = 512) -> np.ndarray:
    """Outputs float32 (n, outputs) of float32 (n, T, C) a branch."""
    model.eval()
    device, n = next(model.parameters()).device, len(inputs[0])
    with torch.no_grad():
        parts = [model(*(torch.from_numpy(x[i:i + batch]).to(device) for x in inputs)).cpu() for i in range(0, n, batch)]
    return torch.cat(parts).numpy() if parts else np.zeros((0, model.config.outputs), np.float32)


def find_device(name: str) -> torch.device:
    """"auto": a GPU where there is one. Raises ModelError when "cuda" is asked for and there is none."""
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ModelError("device is cuda, but torch finds no GPU here; use auto or cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


@contextmanager
def deterministic(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """One thread, deterministic algorithms and a seed inside; as before outside."""
    if device is not None and device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add in another order each time
    threads, strict, generator = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_rng_state()
    guard: Any = torch.utils.deterministic
    filled = guard.fill_uninitialized_memory
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    guard.fill_uninitialized_memory = False  # a guard against reading memory too early: a fifth of the time
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
        guard.fill_uninitialized_memory = filled
        torch.set_rng_state(generator)


def _learning_rate(config: TrainingConfig, epoch: int) -> float:
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))  # Loshchilov and Hutter 2017, no restart


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
