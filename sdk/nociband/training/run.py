"""One training run from recordings to the folder that nociband_convert takes: model.pt, training.json, calibration.npz.

`nociband train` calls `train`. Held-out people are looked at once, after everything has been decided, and never to decide
anything.
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nociband
from nociband.errors import ModelError
from nociband.models.s0 import S0
from nociband.signals import Recording
from nociband.spec import SPEC
from nociband.training import baselines, checkpoint, dataset, fitting, loop, metrics
from nociband.training.checkpoint import Epoch
from nociband.training.config import TrainingConfig
from nociband.training.dataset import AUGMENTED, PLAIN, WindowSet
from nociband.training.examples import Examples
from nociband.training.split import Split, by_subject
from nociband.training.tasks import Task

CALIBRATION_WINDOWS = 300
VERSION = "1.0.0"
TENSORBOARD = "tensorboard"
PROTOCOL = "people held out, seen once"
INTENDED_USE = "Research on recorded signals. Not for diagnosis, treatment or any decision about a person."
_BRANCHES = {m: [k for k, f in enumerate(SPEC.model_inputs) if f.branch == m] for m in ("eda", "emg")}


@dataclass(frozen=True, eq=False)
class Prepared:
    """Windows of each side and the scale of the model's input (from training people alone)."""

    split: Split
    excluded: dict[str, str]
    train: WindowSet
    validation: WindowSet
    held_out: WindowSet
    std: np.ndarray

    def examples(self) -> Examples:
        """Training windows and, as plain ones, those of validation people."""
        draw = np.repeat([1, 0], [len(self.train), len(self.validation)])
        return _examples([self.train, self.validation], draw)

    def scale(self) -> dict[str, np.ndarray]:
        """`std` by modality."""
        return {m: self.std[columns] for m, columns in _BRANCHES.items()}


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


def train(recordings: Sequence[Recording], task: Task, name: str, out: Path, config: TrainingConfig | None = None,
          split_seed: int = 0, draws: dataset.Draws = AUGMENTED, resume: bool = False, tensorboard: bool = False,
          on_epoch: Callable[[Epoch], None] = lambda epoch: None) -> dict[str, Any]:
    """Train, judge and write `out`; returns what is in training.json. `config` replaces the task's own settings.

    Raises ModelError and DataError; EnvironmentProblem when `tensorboard` is asked for and not installed.
    """
    config = config or task.hyper
    if config.refit:
        raise ModelError("refit leaves nobody to validate the conversion with; a model for the band is trained without it")
    out.mkdir(parents=True, exist_ok=True)
    data = prepare(recordings, task, split_seed, draws)
    fitted_on = _fitted_on(data, task, config)
    with checkpoint.tensorboard(out / TENSORBOARD if tensorboard else None) as write:
        def done(epoch: Epoch) -> None:
            write(epoch)
            on_epoch(epoch)
        model, history = loop.fit(fitted_on.network, config, fitted_on.train, fitted_on.validation, out, resume, done)
    if not isinstance(model, S0):
        raise ModelError(f"a model for the band is an s0, not a {config.network}")
    judged = _judge(model, fitted_on, task, data, config)
    report = {
        "name": name, "title": task.title, "version": VERSION, "of": task.of, "synthetic": task.synthetic,
        "warning": task.warning,
        "classes": [{"label": label, "value": value} for label, value in zip(task.labels, task.values, strict=True)],
        "sites": list(task.sites), "std": data.std.tolist(),
        "training": _account(task, data, config, split_seed, draws, history) | {"metrics": judged},
    }
    _write(out, model, config, data, report)
    return json.loads((out / "training.json").read_text("utf-8"))


def preview(recordings: Sequence[Recording], task: Task, config: TrainingConfig | None = None, split_seed: int = 0,
            draws: dataset.Draws = AUGMENTED) -> fitting.Preview:
    """What `train` would do, without doing it; writes nothing."""
    config = config or task.hyper
    return fitting.preview(_fitted_on(prepare(recordings, task, split_seed, draws), task, config), config)


def _fitted_on(data: Prepared, task: Task, config: TrainingConfig) -> fitting.Prepared:
    return fitting.prepare(data.examples(), task.info, config, data.split.validation, data.scale())


def _examples(sides: Sequence[WindowSet], draw: np.ndarray) -> Examples:
    """Windows in the features' units, by modality. Each person has one recording."""
    relative = np.concatenate([s.relative for s in sides]) / dataset.UNIT
    subjects = np.concatenate([s.subjects for s in sides])
    return Examples({m: relative[:, :, columns].astype(np.float32) for m, columns in _BRANCHES.items()},
                    np.zeros((len(subjects), 0)), (), np.concatenate([s.labels for s in sides]), subjects, subjects, draw)


def _account(task: Task, data: Prepared, config: TrainingConfig, split_seed: int, draws: dataset.Draws,
             history: list[Epoch]) -> dict[str, Any]:
    """What the manifest says of the training; short, since the band serves it. OUT/config.toml has every setting."""
    return {
        "dataset": task.dataset, "task": task.name, "protocol": PROTOCOL, "intended_use": INTENDED_USE, "seed": config.seed,
        "split_seed": split_seed, "commit": commit(), "subjects": data.split.to_dict(), "excluded": data.excluded,
        "window_end_s": task.window_end_s, "draws": asdict(draws), "config": config.changed(), "epochs_run": len(history),
        "best_epoch": checkpoint.best_epoch(history), "seconds": round(sum(e.seconds for e in history), 1),
        "versions": {"nociband": nociband.__version__, "python": platform.python_version(), "numpy": np.__version__,
                     "torch": torch.__version__},
    }


def commit() -> str | None:
    """The commit that this package stands at, with "-dirty" after changes; None when it is not run from its own checkout."""
    package = Path(nociband.__file__).resolve().parent
    try:
        if _git(package, "rev-parse", "--show-prefix") != "sdk/nociband/":
            return None
        return _git(package, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _judge(model: S0, fitted_on: fitting.Prepared, task: Task, data: Prepared, config: TrainingConfig) -> dict[str, Any]:
    """The network and both baselines on validation and held-out people."""
    classes, report = len(task.labels), {}
    fit_x, fit_labels = np.concatenate(fitted_on.train.inputs, axis=2), fitted_on.train.target
    for name, side in (("validation", data.validation), ("held_out", data.held_out)):
        inputs = fitted_on.units.inputs(_examples([side], np.zeros(len(side), np.int64)))
        with loop.deterministic(config.seed):
            predictions = {
                "s0": loop.predict(model, inputs).argmax(axis=1),
                "logistic_regression": baselines.logistic_regression(fit_x, fit_labels, np.concatenate(inputs, axis=2), classes),
                "majority": baselines.majority(fit_labels, len(side)),
            }
        report[name] = {who: metrics.judge(side.labels, p, side.subjects, classes) for who, p in predictions.items()}
    return report


def _write(out: Path, model: S0, config: TrainingConfig, data: Prepared, report: dict[str, Any]) -> None:
    torch.save({"config": model.config.to_dict(), "state_dict": model.state_dict()}, out / "model.pt")
    rows = np.random.default_rng(0).permutation(len(data.train))[:CALIBRATION_WINDOWS]
    np.savez_compressed(out / "calibration.npz", train=data.train.relative[np.sort(rows)], validation=data.validation.relative,
                        validation_labels=data.validation.labels)
    (out / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    (out / "training.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
