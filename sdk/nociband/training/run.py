"""One training run from recordings to the folder that nociband_convert takes: model.pt, training.json, calibration.npz.

`nociband train` calls `train`. Held-out people are looked at once, after everything has been decided, and never to decide
anything.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nociband
from nociband.errors import ModelError
from nociband.models.s0 import S0, S0Config
from nociband.signals import Recording
from nociband.training import baselines, dataset, metrics
from nociband.training.dataset import AUGMENTED, PLAIN, WindowSet
from nociband.training.loop import Epoch, Examples, deterministic, fit, predict
from nociband.training.split import Split, by_subject
from nociband.training.tasks import Hyper, Task

CALIBRATION_WINDOWS = 300
VERSION = "1.0.0"


@dataclass(frozen=True, eq=False)
class Prepared:
    """Windows of each side and the scale of the model's input (from training people alone)."""

    split: Split
    excluded: dict[str, str]
    train: WindowSet
    validation: WindowSet
    held_out: WindowSet
    std: np.ndarray

    def examples(self, side: WindowSet) -> Examples:
        """Scaled inputs and labels of one side."""
        return Examples(side.scaled(self.std), side.labels)


def prepare(recordings: Sequence[Recording], task: Task, split_seed: int = 0, draws: dataset.Draws = AUGMENTED) -> Prepared:
    """Split by person and cut windows; training windows only are multiplied by `draws`.

    People without a usable window (e.g. a dead EDA channel) are excluded before the split. Raises ModelError when too few
    people are left.
    """
    plain = dataset.build(recordings, task, PLAIN)
    usable = set(plain.subjects.tolist())
    excluded = {r.subject: "no usable window" for r in recordings if r.subject not in usable}
    split = by_subject(usable, split_seed)
    train = dataset.build([r for r in recordings if r.subject in split.train], task, draws)
    if set(train.subjects.tolist()) - set(split.train):
        raise ModelError("a window of someone who is not in training stands among the training windows")
    return Prepared(split, excluded, train, plain.of(split.validation), plain.of(split.held_out), dataset.input_std(train))


def train(recordings: Sequence[Recording], task: Task, name: str, out: Path, hyper: Hyper | None = None, split_seed: int = 0,
          draws: dataset.Draws = AUGMENTED, resume: bool = False,
          on_epoch: Callable[[Epoch], None] = lambda epoch: None) -> dict[str, Any]:
    """Train, judge and write `out`; returns what is in training.json. `hyper` replaces the task's own.

    Raises ModelError and DataError.
    """
    hyper = hyper or task.hyper
    out.mkdir(parents=True, exist_ok=True)
    data = prepare(recordings, task, split_seed, draws)
    config = S0Config(hidden=hyper.hidden, classes=len(task.labels), dropout=hyper.dropout)
    fit_on, stop_on = data.examples(data.train), data.examples(data.validation)
    model, history = fit(config, hyper, fit_on, stop_on, out, resume, on_epoch)
    report = {
        "name": name, "title": task.title, "version": VERSION, "of": task.of, "synthetic": task.synthetic,
        "warning": task.warning,
        "classes": [{"label": label, "value": value} for label, value in zip(task.labels, task.values, strict=True)],
        "sites": list(task.sites), "std": data.std.tolist(),
        "training": _account(task, data, hyper, split_seed, draws, history) | {"metrics": _judge(model, task, data, hyper)},
    }
    _write(out, model, config, data, report)
    return json.loads((out / "training.json").read_text("utf-8"))


def _account(task: Task, data: Prepared, hyper: Hyper, split_seed: int, draws: dataset.Draws,
             history: list[Epoch]) -> dict[str, Any]:
    best = min(history, key=lambda e: e.validation_loss)
    return {
        "dataset": task.dataset, "task": task.name, "subjects": data.split.to_dict(), "excluded": data.excluded,
        "split_seed": split_seed, "window_end_s": task.window_end_s, "draws": asdict(draws), "hyper": asdict(hyper),
        "epochs_run": len(history), "best_epoch": best.epoch, "seconds": round(sum(e.seconds for e in history), 1),
        "versions": {"nociband": nociband.__version__, "python": platform.python_version(), "numpy": np.__version__,
                     "torch": torch.__version__},
    }


def _judge(model: S0, task: Task, data: Prepared, hyper: Hyper) -> dict[str, Any]:
    """The network and both baselines on validation and held-out people."""
    classes, fit_on, report = len(task.labels), data.examples(data.train), {}
    for name, side in (("validation", data.validation), ("held_out", data.held_out)):
        x = side.scaled(data.std)
        with deterministic(hyper.seed):
            predictions = {
                "s0": predict(model, x).argmax(axis=1),
                "logistic_regression": baselines.logistic_regression(fit_on.x, fit_on.y, x, classes),
                "majority": baselines.majority(fit_on.y, len(x)),
            }
        report[name] = {who: metrics.judge(side.labels, p, side.subjects, classes) for who, p in predictions.items()}
    return report


def _write(out: Path, model: S0, config: S0Config, data: Prepared, report: dict[str, Any]) -> None:
    torch.save({"config": config.to_dict(), "state_dict": model.state_dict()}, out / "model.pt")
    rows = np.random.default_rng(0).permutation(len(data.train))[:CALIBRATION_WINDOWS]
    np.savez_compressed(out / "calibration.npz", train=data.train.relative[np.sort(rows)], validation=data.validation.relative,
                        validation_labels=data.validation.labels)
    (out / "training.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
