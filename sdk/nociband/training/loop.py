"""The training loop: Adam on focal loss, early stopping on other people's windows, a checkpoint and a log line an epoch.

Arrays come from nociband.training.dataset (already scaled), the fitted network goes to nociband.training.run. One thread, seeded,
deterministic: an epoch's randomness depends on the seed and its number only, so that a resumed run equals an unbroken one.
"""

from __future__ import annotations

import copy
import csv
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nociband.errors import ModelError
from nociband.models.s0 import INPUT_LIMIT, S0, S0Config
from nociband.training.losses import focal_loss
from nociband.training.metrics import balanced_accuracy, confusion
from nociband.training.tasks import Hyper

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"
EDA_INPUTS = S0Config().eda_inputs


@dataclass(frozen=True)
class Epoch:
    """One line of the log."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_balanced_accuracy: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Examples:
    """`x` float32 (n, T, inputs), EDA inputs first; `y` int64 (n,)."""

    x: np.ndarray
    y: np.ndarray


@dataclass(eq=False)
class _State:
    """Everything a checkpoint holds."""

    model: S0
    optimiser: torch.optim.Optimizer
    best: dict[str, Tensor]
    history: list[Epoch]

    @property
    def best_epoch(self) -> int:
        """Index of the epoch with the lowest validation loss."""
        return int(np.argmin([e.validation_loss for e in self.history]))


def fit(config: S0Config, hyper: Hyper, train: Examples, validation: Examples, folder: Path, resume: bool = False,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None) -> tuple[S0, list[Epoch]]:
    """Train an S0 and return it as it was after its best epoch, in evaluation mode, with the history.

    Writes checkpoint.pt and log.csv into `folder` after each epoch; `resume` goes on from there. Raises ModelError when the
    checkpoint belongs to other data or settings, or the loss is no longer a number.
    """
    with deterministic(hyper.seed):
        model = S0(config)
        optimiser = torch.optim.Adam(model.parameters(), lr=hyper.learning_rate, weight_decay=hyper.weight_decay)
        state = _State(model, optimiser, copy.deepcopy(model.state_dict()), [])
        identity = _identity(config, hyper, train, validation)
        if resume:
            _restore(state, folder / CHECKPOINT, identity)
        while len(state.history) < hyper.epochs and not _out_of_patience(state, hyper):
            epoch = _epoch(state, hyper, train, validation)
            state.history.append(epoch)
            if state.best_epoch == epoch.epoch:
                state.best = copy.deepcopy(model.state_dict())
            _save(state, folder, identity)
            on_epoch(epoch)
        model.load_state_dict(state.best)
        return model.eval(), state.history


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """One thread, deterministic algorithms and a seed inside; as before outside."""
    threads, strict, generator = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_rng_state()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
        torch.set_rng_state(generator)


def predict(model: S0, x: np.ndarray, batch: int = 256) -> np.ndarray:
    """Logits float32 (n, classes) of `x` float32 (n, T, inputs)."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(*_branches(torch.from_numpy(x[i:i + batch]))) for i in range(0, len(x), batch)]).numpy()


def _branches(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[:, :, :EDA_INPUTS], x[:, :, EDA_INPUTS:]


def _epoch(state: _State, hyper: Hyper, train: Examples, validation: Examples) -> Epoch:
    number, began = len(state.history), time.monotonic()
    torch.manual_seed(hyper.seed * 10_007 + number + 1)
    x, y = torch.from_numpy(train.x), torch.from_numpy(train.y)
    state.model.train()
    total = 0.0
    for rows in torch.randperm(len(y)).split(hyper.batch):
        noisy = torch.clamp(x[rows] + hyper.noise * torch.randn_like(x[rows]), -INPUT_LIMIT, INPUT_LIMIT)
        loss = focal_loss(state.model(*_branches(noisy)), y[rows], hyper.gamma)
        state.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), hyper.clip_norm)
        state.optimiser.step()
        total += loss.item() * len(rows)
    logits = predict(state.model, validation.x)
    validation_loss = focal_loss(torch.from_numpy(logits), torch.from_numpy(validation.y), hyper.gamma).item()
    if not np.isfinite([total, validation_loss]).all():
        raise ModelError(f"epoch {number}: the loss is no longer a number; use a smaller learning rate")
    counts = confusion(validation.y, logits.argmax(axis=1), logits.shape[1])
    return Epoch(number, total / len(y), validation_loss, balanced_accuracy(counts), time.monotonic() - began)


def _out_of_patience(state: _State, hyper: Hyper) -> bool:
    return bool(state.history) and len(state.history) - 1 - state.best_epoch >= hyper.patience


def _identity(config: S0Config, hyper: Hyper, train: Examples, validation: Examples) -> str:
    """Changes with anything that makes a checkpoint another run's; the number of epochs may be raised."""
    digest = hashlib.sha256(repr((config, {**asdict(hyper), "epochs": 0, "patience": 0})).encode())
    for array in (train.x, train.y, validation.x, validation.y):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _save(state: _State, folder: Path, identity: str) -> None:
    """Written beside and moved into place: an interrupted write leaves the previous checkpoint whole."""
    data: dict[str, Any] = {
        "identity": identity, "model": state.model.state_dict(), "optimiser": state.optimiser.state_dict(), "best": state.best,
        "history": [asdict(e) for e in state.history],
    }
    torch.save(data, folder / f"{CHECKPOINT}.new")
    (folder / f"{CHECKPOINT}.new").replace(folder / CHECKPOINT)
    with open(folder / LOG, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, fieldnames=list(asdict(state.history[0])))
        writer.writeheader()
        writer.writerows(asdict(e) for e in state.history)


def _restore(state: _State, path: Path, identity: str) -> None:
    if not path.exists():
        raise ModelError(f"{path}: no checkpoint to resume from; train without --resume")
    try:
        data = torch.load(path, weights_only=True)
    except Exception as e:  # torch raises whatever the damaged part gave rise to
        raise ModelError(f"{path}: the checkpoint cannot be read ({e}); train without --resume") from e
    if not isinstance(data, dict) or data.get("identity") != identity:
        raise ModelError(f"{path}: the checkpoint is of other data or settings; train without --resume")
    state.model.load_state_dict(data["model"])
    state.optimiser.load_state_dict(data["optimiser"])
    state.best, state.history = data["best"], [Epoch(**e) for e in data["history"]]
