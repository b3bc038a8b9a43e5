"""Quantisation-aware fine-tuning: a trained S0 learns to give its own floating-point logits through int8's roundings.

Takes a model folder that `nociband train` left (model.pt, training.json's std, calibration.npz) and writes quantised.pt beside
them, which nociband_convert.graphs.int8 takes in place of model.pt's weights. The floating-point model stays the reference: its
logits are the targets (distillation), so no labels are used. Training people's windows alone teach, validation people choose
the epoch, and held-out people are not looked at. What it is worth: docs/results/quantisation.md.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nociband.errors import ModelError
from nociband.models import s0_int8
from nociband.models.s0 import S0, S0Config
from nociband.training import loop
from nociband.training.dataset import UNIT

TUNED_NAME = "quantised.pt"
_UNROUNDED = ("logits", "cell")  # logits: steps of an output cannot be learned away; cell: 16 bits


@dataclass(frozen=True)
class TuningConfig:
    """Settings; the defaults were chosen on validation people of both shipped models. `spread`: channels are scaled at random
    by 1 +- this; half of the windows are mixed with another's."""

    epochs: int = 20
    batch: int = 50
    learning_rate: float = 1e-4
    clip_norm: float = 0.1
    spread: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Tuned:
    """Error in logits through int8's roundings (all but the output's), rms on validation windows as a share of the spread of
    the floating-point logits: before, and after each epoch. `epoch`: the one kept, 0 for the trained weights as they were."""

    before: float
    after: tuple[float, ...]
    epoch: int


def fine_tune(folder: Path, config: TuningConfig = TuningConfig(),
              on_epoch: Callable[[int, float], None] = lambda number, error: None) -> Tuned:
    """Fine-tune the model in `folder` and write quantised.pt; takes about half a minute for 16 hidden units on one core.

    on_epoch: told each epoch's number, from 1, and its error. Raises ModelError for a folder without a model of the band's size.
    """
    network, train, validation = _load(folder)
    with loop.deterministic(config.seed):
        best, tuned = _tune(network, train, validation, config, on_epoch)
    of = hashlib.sha256((folder / "model.pt").read_bytes()).hexdigest()  # so that it is not taken for another training's
    torch.save({"of": of, "config": network.config.to_dict(), "state_dict": best}, folder / TUNED_NAME)
    return tuned


def _tune(network: S0, train: Tensor, validation: Tensor, config: TuningConfig,
          on_epoch: Callable[[int, float], None]) -> tuple[dict[str, Tensor], Tuned]:
    student, generator = copy.deepcopy(network), torch.Generator().manual_seed(config.seed)
    spread, reference = _logits(network, train).std(), _logits(network, validation)
    optimiser = torch.optim.Adam(student.parameters(), config.learning_rate)
    batches = max(1, len(train) // config.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs * batches)

    def error() -> float:
        with torch.no_grad():
            return float(((_rounded(student, train)(validation) - reference) / spread).square().mean().sqrt())

    before, errors, best = error(), [], copy.deepcopy(student.state_dict())
    for epoch in range(1, config.epochs + 1):
        rounded, order = _rounded(student, train), torch.randperm(len(train), generator=generator)
        for k in range(batches):
            x = _varied(train, order[k * config.batch:(k + 1) * config.batch], config.spread, generator)
            x = x.clamp(-network.config.input_limit, network.config.input_limit)
            loss = ((rounded(x) - _logits(network, x)) / spread).square().mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), config.clip_norm)
            optimiser.step()
            schedule.step()
        errors.append(error())
        if errors[-1] < min([before, *errors[:-1]]):
            best = copy.deepcopy(student.state_dict())
        on_epoch(epoch, errors[-1])
    everything = [before, *errors]
    return best, Tuned(before, tuple(errors), everything.index(min(everything)))


def _rounded(network: S0, train: Tensor) -> s0_int8.RoundedS0:
    """With ranges of the weights as they are now: those that the converter will find."""
    return s0_int8.RoundedS0(network, s0_int8.calibrate(network, train), _UNROUNDED)


def _logits(network: S0, x: Tensor) -> Tensor:
    with torch.no_grad():
        return network(*(x[:, :, columns] for columns in s0_int8.BRANCHES.values()))


def _varied(train: Tensor, rows: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """Windows like those of training: the teacher knows what belongs to them."""
    x, others = train[rows], train[torch.randint(len(train), (len(rows),), generator=generator)]
    share, mixed = (torch.rand(len(rows), 1, 1, generator=generator) for _ in range(2))
    share = share * (mixed < 0.5)
    scale = 1 + spread * (2 * torch.rand(len(rows), 1, x.shape[2], generator=generator) - 1)
    return ((1 - share) * x + share * others) * scale


def _load(folder: Path) -> tuple[S0, Tensor, Tensor]:
    """The network, training and validation windows as it takes them."""
    try:
        saved = torch.load(folder / "model.pt", weights_only=True)
        network = S0(S0Config(**saved["config"]))
        network.load_state_dict(saved["state_dict"])
        std = np.array(json.loads((folder / "training.json").read_text("utf-8"))["std"], np.float64)
        with np.load(folder / "calibration.npz") as arrays:
            windows = [np.asarray(arrays[k], np.float64) for k in ("train", "validation")]
    except Exception as e:  # torch and NumPy raise whatever their readers meet
        raise ModelError(f"{folder} is not a trained model that can be fine-tuned ({type(e).__name__}); train it with "
                         "`nociband train`") from e
    if not network.config.on_band:
        raise ModelError(f"{folder} is not a model of the band's size; only those have an int8 form")
    limit = network.config.input_limit
    train, validation = (torch.from_numpy(np.clip(w / UNIT / std, -limit, limit).astype(np.float32)) for w in windows)
    return network.eval(), train, validation
