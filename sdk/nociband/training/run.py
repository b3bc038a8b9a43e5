"""One training run from recordings to the folder that nociband_convert takes: model.pt, training.json, calibration.npz.

`nociband train` calls `train`. Held-out people are looked at once, after everything has been decided, and never to decide
anything.
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nociband
from nociband.errors import ModelError
from nociband.models.s0 import S0, S0Config
from nociband.signals import Recording
from nociband.training import checkpoint, estimators, fitting, loop, metrics, windowed
from nociband.training.checkpoint import Epoch
from nociband.training.config import TrainingConfig
from nociband.training.dataset import UNIT, Draws
from nociband.training.examples import Examples, Predictor
from nociband.training.split import Split, by_subject
from nociband.training.tasks import Task

BASELINES = ("logreg", "majority")
CALIBRATION_WINDOWS = 300
VERSION = "1.0.0"
TENSORBOARD = "tensorboard"
PROTOCOL = "people held out; their figures decided nothing"
INTENDED_USE = "Research on recorded signals. Not for diagnosis, treatment or any decision about a person."


@dataclass(frozen=True, eq=False)
class Prepared:
    """Windows of each side: `train` with augmented copies, the others as they are judged."""

    split: Split
    excluded: dict[str, str]
    train: Examples
    validation: Examples
    held_out: Examples
    fitted_on: fitting.Prepared


def prepare(recordings: Sequence[Recording], task: Task, config: TrainingConfig, split_seed: int = 0,
            draws: Draws | None = None) -> Prepared:
    """Cut windows and split by person; augmented copies (`draws`, else the task's) are of training people alone.

    People without a usable window (e.g. a dead EDA channel) are excluded before the split. Raises ModelError when too few
    people are left, a class or a feature has nothing to train on, or the settings are not those of a model for the band.
    """
    cuts = windowed.cut(recordings, task, draws or task.draws)
    usable = {c.recording.subject for c in cuts if c.draw == 0}
    excluded = {r.subject: "no usable window" for r in recordings if r.subject not in usable}
    split = by_subject(usable, split_seed)
    kept = [c for c in cuts if c.recording.subject in (split.train if c.draw else usable)]
    examples = windowed.examples(kept)
    train = examples.of(split.train)
    _check(train, task)
    fitted_on = fitting.prepare(examples.of((*split.train, *split.validation)), task.info, config, split.validation)
    if config.network != "s0" or not (isinstance(fitted_on.network, S0Config) and fitted_on.network.on_band):
        raise ModelError("these settings are not of a model for the band, which is an s0 of both modalities with one block, "
                         "pooled, with attention and weighting, on every frame; `nociband evaluate` judges others")
    return Prepared(split, excluded, train, examples.of(split.validation), examples.of(split.held_out), fitted_on)


def _check(train: Examples, task: Task) -> None:
    """There is something to train on: each class, and each feature in at least half of the people."""
    if missing := sorted(set(range(len(task.labels))) - set(train.plain().target.tolist())):
        raise ModelError(f"no training window of {', '.join(task.labels[k] for k in missing)}: more people or longer recordings "
                         "are needed")
    people = [train.of([person]) for person in train.people]
    for modality, columns in windowed.BRANCHES.items():
        for k, column in enumerate(columns):
            if 2 * sum(bool(p.inputs[modality][:, :, k].any()) for p in people) < len(people):
                raise ModelError(f"the feature {windowed.NAMES[column]} never moves in most training people; check the signals")


def train(recordings: Sequence[Recording], task: Task, name: str, out: Path, config: TrainingConfig | None = None,
          split_seed: int = 0, draws: Draws | None = None, resume: bool = False, tensorboard: bool = False,
          on_epoch: Callable[[Epoch], None] = lambda epoch: None, evaluation: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Train, judge and write `out`; returns what is in training.json. `config` and `draws` replace the task's own; `evaluation`
    (nociband.training.evidence) is put beside the run's own metrics.

    Raises ModelError and DataError; EnvironmentProblem when `tensorboard` is asked for and not installed.
    """
    config, draws = config or task.hyper, draws or task.draws
    if config.refit:
        raise ModelError("refit leaves nobody to validate the conversion with; a model for the band is trained without it")
    data = prepare(recordings, task, config, split_seed, draws)
    models: dict[str, Predictor] = {n: _baseline(n, data, task, config) for n in BASELINES}
    out.mkdir(parents=True, exist_ok=True)
    with checkpoint.tensorboard(out / TENSORBOARD if tensorboard else None) as write:
        def done(epoch: Epoch) -> None:
            write(epoch)
            on_epoch(epoch)
        fitted_on = data.fitted_on
        model, history = loop.fit(fitted_on.network, config, fitted_on.train, fitted_on.validation, out, resume, done)
    assert isinstance(model, S0)
    models = {"s0": fitting.NetworkPredictor(model, fitted_on.units, task.info, history), **models}
    account = _account(task, data, config, split_seed, draws, history) | {"metrics": _judge(models, data)}
    report = {
        "name": name, "title": task.title, "version": VERSION, "of": task.of, "synthetic": task.synthetic,
        "warning": task.warning,
        "classes": [{"label": label, "value": value} for label, value in zip(task.labels, task.values, strict=True)],
        "sites": list(task.sites), "std": _by_feature(fitted_on.units.scale).tolist(),
        "training": account | ({"evaluation": dict(evaluation)} if evaluation is not None else {}),
    }
    _write(out, model, config, data, report)
    return json.loads((out / "training.json").read_text("utf-8"))


def preview(recordings: Sequence[Recording], task: Task, config: TrainingConfig | None = None, split_seed: int = 0,
            draws: Draws | None = None) -> fitting.Preview:
    """What `train` would do, without doing it; writes nothing."""
    config = config or task.hyper
    return fitting.preview(prepare(recordings, task, config, split_seed, draws).fitted_on, config)


def _baseline(name: str, data: Prepared, task: Task, config: TrainingConfig) -> Predictor:
    """What the network must beat, with its usual settings, on hand-made features of the training people's plain windows."""
    model = estimators.find(name)
    return model.fit(data.train, task.info, config.seed, model.candidates(task.info)[0])


def _by_feature(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Arrays (..., C) of each modality to one float64 (..., 6) in the order of the specification's features."""
    first = next(iter(parts.values()))
    joined = np.zeros((*first.shape[:-1], len(windowed.NAMES)))
    for modality, columns in windowed.BRANCHES.items():
        joined[..., columns] = parts[modality]
    return joined


def _account(task: Task, data: Prepared, config: TrainingConfig, split_seed: int, draws: Draws,
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


def _judge(models: Mapping[str, Predictor], data: Prepared) -> dict[str, Any]:
    """Each model on validation and held-out people, on plain windows."""
    report: dict[str, Any] = {}
    for name, side in (("validation", data.validation), ("held_out", data.held_out)):
        report[name] = {}
        for who, predict in models.items():
            probability = predict(side)
            report[name][who] = metrics.judge(side.target, probability.argmax(axis=1), side.subjects, probability.shape[1])
    return report


def _write(out: Path, model: S0, config: TrainingConfig, data: Prepared, report: dict[str, Any]) -> None:
    torch.save({"config": model.config.to_dict(), "state_dict": model.state_dict()}, out / "model.pt")
    rows = np.random.default_rng(0).permutation(len(data.train))[:CALIBRATION_WINDOWS]
    train, validation = (_by_feature(side.inputs) * UNIT for side in (data.train.where(np.sort(rows)), data.validation))
    np.savez_compressed(out / "calibration.npz", train=train, validation=validation, validation_labels=data.validation.target)
    (out / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    (out / "training.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
