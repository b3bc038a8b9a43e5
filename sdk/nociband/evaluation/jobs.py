"""One fit of one model on one fold with one seed, and the file that keeps what came out of it.

Takes a Context (task, windows, folds, plan), the same for all jobs of a run; `run_job` fits on the fold's training people and
answers for its test people. Engines call it, here or on another machine; results lie in RUN_FOLDER/jobs/*.npz and
nociband.evaluation.evaluate reads them. The same job gives the same bytes of output on every engine: one thread, seeded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from nociband.errors import DataError, ModelError
from nociband.evaluation.plan import Plan
from nociband.evaluation.protocols import Fold
from nociband.training.examples import Estimator, Examples, TaskInfo

SUM_TOLERANCE = 1e-4    # of the probabilities of a window: float32 networks do not sum to 1 more closely


@dataclass(frozen=True, order=True)
class Job:
    """Fit `model` on the training people of fold number `fold` with `seed`.

    `settings` is the JSON of what an earlier job of the same fold chose, or None: choose (nested tuning) within this job.
    """

    model: str
    fold: int
    seed: int
    settings: str | None = None

    @property
    def key(self) -> str:
        """Name of the job's file, without suffix."""
        return f"{quote(self.model, safe='')}-fold{self.fold:03d}-seed{self.seed}"


@dataclass(frozen=True, eq=False)
class JobResult:
    """What one job found out.

    subjects, sittings: (n,) str; target: (n,) int64 classes or float64 scores; output: float64, (n, classes) probabilities or
    (n,) scores, rows as in target. settings: what was fitted with; choice: every candidate that was tried with its score, empty
    when there was nothing to tune; fits: how many fits it took, tuning included; worker: host and process id.
    """

    job: Job
    subjects: np.ndarray
    sittings: np.ndarray
    target: np.ndarray
    output: np.ndarray
    settings: Mapping[str, Any]
    seconds: float
    identity: str
    choice: tuple[Mapping[str, Any], ...] = ()
    fits: int = 1
    worker: str = ""

    def save(self, folder: Path) -> Path:
        """Write FOLDER/KEY.npz; whoever reads sees the whole file or none."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.job.key}.npz"
        about = {"job": asdict(self.job), "settings": dict(self.settings), "seconds": self.seconds, "identity": self.identity,
                 "choice": [dict(c) for c in self.choice], "fits": self.fits, "worker": self.worker}
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with unfinished.open("wb") as file:
                np.savez_compressed(file, subjects=self.subjects.astype(str), sittings=self.sittings.astype(str),
                                    target=self.target, output=self.output, about=np.array(canonical(about)))
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: Path) -> JobResult:
        """Read a file that `save` wrote. Raises DataError when it is damaged."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                about = json.loads(str(stored["about"]))
                arrays = {name: stored[name] for name in ("subjects", "sittings", "target", "output")}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
            raise DataError(f"{path} is no readable result of a job ({e}): delete it, and the run does this job again") from e
        return cls(job=Job(**about.pop("job")), choice=tuple(about.pop("choice")), **arrays, **about)


@dataclass(frozen=True, eq=False)
class Context:
    """What all jobs of a run share. `examples` by normalisation, all with the same people; `folds` by index.

    `excluded`: people who are not judged, with the reason. `seconds`: how long loading took. `code`: hash of what computes.
    """

    task: TaskInfo
    examples: Mapping[str, Examples]
    folds: tuple[Fold, ...]
    plan: Plan
    excluded: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    code: str = field(default_factory=lambda: code_version())

    @cached_property
    def parts(self) -> dict[str, str]:
        """SHA-256 of each thing that decides the outputs of every model."""
        windows = [asdict(self.task), {name: hash_examples(e) for name, e in self.examples.items()}]
        tuning = [self.plan.tuned.inner_folds, self.plan.tuned.metric, self.plan.seeds[0]]
        return {"windows": sha256(windows), "folds": sha256([fold.to_dict() for fold in self.folds]), "tuning": sha256(tuning),
                "code": self.code}

    def identity_of(self, model: str) -> str:
        """Stands for all that decides what a model's jobs give, but for fold and seed; when equal, they need not be redone."""
        listed = self.plan.tuning.candidates
        own = [self.plan.normalisation, list(listed.get(model) or listed.get(base_of(model), ())), own_source(model)]
        return sha256([self.parts, model, own])

    def examples_for(self, model: str) -> Examples:
        """The windows as this model's normalisation makes them: `s0@none` asks for "none", a plain name for the plan's own."""
        wanted = model.partition("@")[2] or self.plan.normalisation
        if wanted not in self.examples:
            raise ModelError(f"{model}: no windows with the normalisation {wanted!r}; there are: {', '.join(self.examples)}")
        return self.examples[wanted]


def canonical(value: Any) -> str:
    """JSON with sorted keys and no blanks: the same value always gives the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(value: Any) -> str:
    """Of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def find_model(name: str) -> Estimator:
    """The estimator of a name: the laboratory's own, or yours as `package.module:ClassOrFunction`; "@..." at its end is ignored.

    Yours is called without arguments and gives an Estimator. Raises ModelError when there is none.
    """
    plain = name.partition("@")[0]
    if not _is_own(plain):
        from nociband.training import estimators

        return estimators.find(plain)
    import importlib

    module, _, attribute = plain.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as e:
        raise ModelError(f"the model {plain!r} cannot be imported ({e}): it is package.module:Class, importable from here "
                         f"(set PYTHONPATH to its folder)") from e


def _is_own(plain: str) -> bool:
    return re.fullmatch(r"\w+(\.\w+)+:\w+", plain) is not None


def base_of(name: str) -> str:
    """The model of which a name is a variant: "s0" of "s0:no_attention" and "s0@none"; yours keeps its path."""
    plain = name.partition("@")[0]
    return plain if _is_own(plain) else plain.partition(":")[0]


def own_source(name: str) -> str:
    """SHA-256 of the module of a model of your own; "" for the laboratory's, which `code_version` covers."""
    import inspect

    if not _is_own(base_of(name)):
        return ""
    return hashlib.sha256(Path(inspect.getfile(type(find_model(name)))).read_bytes()).hexdigest()


def is_seeded(estimator: Estimator) -> bool:
    """False for a model that gives the same whatever the seed is (`seeded = False`): one seed is enough."""
    return bool(getattr(estimator, "seeded", True))


def run_job(job: Job, context: Context) -> JobResult:
    """Tune where there is a choice, fit, and answer for the people who were left out.

    Targets of the test people are blanked before the model sees their windows. Raises ModelError, which names the job.
    """
    from nociband.evaluation import tuning

    fold = context.folds[job.fold]
    examples, estimator = context.examples_for(job.model), find_model(job.model)
    train, test = fold.sides(examples)
    started = time.perf_counter()
    with one_thread():
        choice = (tuning.choose(estimator, job.model, train, context.task, job.seed, context.plan.tuned)
                  if job.settings is None else tuning.Choice(json.loads(job.settings)))
        output = fit_and_answer(estimator, train, test, context.task, job.seed, choice.settings)
    return JobResult(job, test.subjects, test.sittings, test.target, output, choice.settings, time.perf_counter() - started,
                     context.identity_of(job.model), choice.scores, choice.fits + 1, f"{socket.gethostname()}:{os.getpid()}")


def fit_and_answer(estimator: Estimator, train: Examples, test: Examples, task: TaskInfo, seed: int,
                   settings: Mapping[str, Any]) -> np.ndarray:
    """Output for `test` after a fit on `train`; float64 (n, classes) or (n,). Raises ModelError for another output."""
    predictor = estimator.fit(train, task, seed, settings)
    output = np.asarray(predictor(replace(test, target=np.zeros_like(test.target))), np.float64)
    wanted = (len(test), task.classes) if task.kind == "classes" else (len(test),)
    if output.shape != wanted or not np.isfinite(output).all():
        raise ModelError(f"{estimator.name} must answer with finite numbers of shape {wanted}; shape {output.shape}, "
                         f"{int((~np.isfinite(output)).sum())} not finite")
    if task.kind == "classes" and (output.min() < -SUM_TOLERANCE or np.abs(output.sum(axis=1) - 1).max() > SUM_TOLERANCE):
        raise ModelError(f"{estimator.name} must answer with probabilities; a window's sum to "
                         f"{output.sum(axis=1)[np.abs(output.sum(axis=1) - 1).argmax()]:.4f}, the least is {output.min():.4f}")
    return output


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and torch on one thread: sums in the same order everywhere, and jobs side by side do not fight for cores."""
    import sys

    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    with threadpool_limits(limits=1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def hash_examples(examples: Examples) -> str:
    """SHA-256 over every array of the windows, names, shapes and types included."""
    digest = hashlib.sha256(canonical({"features": examples.feature_names, "attributes": dict(examples.attributes)}).encode())
    arrays = {"features": examples.features, "target": examples.target, "draw": examples.draw,
              "subjects": examples.subjects.astype(str), "sittings": examples.sittings.astype(str),
              **{f"inputs/{name}": array for name, array in examples.inputs.items()}}
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def code_version() -> str:
    """SHA-256 over the source that decides an output and the versions of the libraries beneath it."""
    from importlib.metadata import PackageNotFoundError, version

    import nociband

    root = Path(nociband.__file__).parent
    files = [*(p for room in ("models", "training") for p in sorted((root / room).rglob("*.py"))),
             *(root / "evaluation" / f"{name}.py" for name in ("jobs", "tuning", "metrics"))]
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    for package in ("numpy", "scipy", "scikit-learn", "torch"):
        try:
            digest.update(f"{package} {version(package)}".encode())
        except PackageNotFoundError:
            digest.update(f"{package} absent".encode())
    return digest.hexdigest()
