"""State of a training run, kept in a folder: checkpoint.pt to go on from, log.csv to look at, TensorBoard events if wanted.

Written and read by nociband.training.loop after each epoch.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nociband.errors import EnvironmentProblem, ModelError
from nociband.training.config import TrainingConfig

if TYPE_CHECKING:
    from nociband.training.loop import Arrays

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"


@dataclass(frozen=True)
class Epoch:
    """One line of the log. `validation_score` is the balanced accuracy of classes, the mean absolute error of scores (in standard
    deviations of the training scores); both validation figures are NaN where nobody validates."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_score: float
    seconds: float


@dataclass(eq=False)
class State:
    """Everything a checkpoint holds. `best`: the weights to return; `average`: their moving average, kept where `ema` is on."""

    model: Any
    optimiser: torch.optim.Optimizer
    best: dict[str, Tensor]
    average: dict[str, Tensor]
    history: list[Epoch]

    @property
    def best_epoch(self) -> int:
        """Number of the epoch whose weights count."""
        return best_epoch(self.history)

    def out_of_patience(self, patience: int) -> bool:
        """Whether `patience` epochs have gone by without a better validation loss."""
        return bool(self.history) and len(self.history) - 1 - self.best_epoch >= patience


def best_epoch(history: list[Epoch]) -> int:
    """Number of the epoch with the lowest validation loss; the last one where nobody validates."""
    losses = [e.validation_loss for e in history]
    return len(history) - 1 if any(map(math.isnan, losses)) else int(np.argmin(losses))


def identity(network: Any, config: TrainingConfig, train: Arrays, validation: Arrays | None) -> str:
    """Changes with anything that makes a checkpoint another run's. The number of epochs may be raised, unless the learning rate
    depends on it; patience may change."""
    free = TrainingConfig()
    same = replace(config, patience=free.patience, epochs=config.epochs if config.schedule == "cosine" else free.epochs)
    digest = hashlib.sha256(repr((network, same)).encode())
    for arrays in (train, validation) if validation is not None else (train,):
        for array in (*arrays.inputs, arrays.target):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def save(state: State, folder: Path, run: str) -> None:
    """Written beside and moved into place: an interrupted write leaves the previous checkpoint whole."""
    folder.mkdir(parents=True, exist_ok=True)
    data: dict[str, Any] = {
        "identity": run, "model": state.model.state_dict(), "optimiser": state.optimiser.state_dict(), "best": state.best,
        "average": state.average, "history": [asdict(e) for e in state.history],
    }
    torch.save(data, folder / f"{CHECKPOINT}.new")
    (folder / f"{CHECKPOINT}.new").replace(folder / CHECKPOINT)
    with open(folder / LOG, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, fieldnames=list(asdict(state.history[0])))
        writer.writeheader()
        writer.writerows(asdict(e) for e in state.history)


def restore(state: State, folder: Path, run: str) -> None:
    """Bring `state` to where the checkpoint stands. Raises ModelError when there is none, or it is damaged or another run's."""
    path = folder / CHECKPOINT
    if not path.exists():
        raise ModelError(f"{path}: no checkpoint to resume from; train without --resume")
    device = next(state.model.parameters()).device
    try:
        data = torch.load(path, weights_only=True, map_location=device)
    except Exception as e:  # torch raises whatever the damaged part gave rise to
        raise ModelError(f"{path}: the checkpoint cannot be read ({e}); train without --resume") from e
    if not isinstance(data, dict) or data.get("identity") != run:
        raise ModelError(f"{path}: the checkpoint is of other data or settings; train without --resume")
    state.model.load_state_dict(data["model"])
    state.optimiser.load_state_dict(data["optimiser"])
    state.best, state.average, state.history = data["best"], data["average"], [Epoch(**e) for e in data["history"]]


@contextmanager
def tensorboard(folder: Path | None) -> Iterator[Callable[[Epoch], None]]:
    """Something to call with each epoch, which writes its figures as TensorBoard events into `folder`; None: nowhere.

    Raises EnvironmentProblem when TensorBoard is not installed.
    """
    if folder is None:
        yield lambda epoch: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as e:
        raise EnvironmentProblem(f"TensorBoard is not installed ({e}): pip install 'nociband[train]', or leave it off") from e
    with SummaryWriter(str(folder)) as writer:
        def write(epoch: Epoch) -> None:
            for name in ("train_loss", "validation_loss", "validation_score", "seconds"):
                if not math.isnan(value := getattr(epoch, name)):
                    writer.add_scalar(name, value, epoch.epoch)
        yield write
