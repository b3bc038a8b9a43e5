"""One fit of one model on one fold with one seed, and the file that keeps what came out of it.

Takes a Context (task, windows, folds, plan), the same for all jobs of a run; `run_job` fits on the fold's training people and
answers for its test people. Engines call it, here or on another machine; results lie in RUN_FOLDER/jobs/*.npz and
nociband.evaluation.evaluate reads them. The same job gives the same bytes of output on every engine: one thread, seeded.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from nociband.errors import DataError, ModelError
from nociband.evaluation import tuning
from nociband.evaluation.models import base_of, find_model, fit_and_answer, own_source
from nociband.evaluation.plan import Plan
from nociband.evaluation.protocols import Fold
from nociband.training.examples import Examples, TaskInfo


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


_ROWS = ("subjects", "sittings", "target", "output")    # of a result: one entry a window each


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
                arrays = {name: stored[name] for name in _ROWS}
            found = cls(job=Job(**about.pop("job")), choice=tuple(about.pop("choice")), **arrays, **about)
            found._check()
        except Exception as e:  # NumPy, zlib and JSON raise whatever the damaged part gave rise to
            raise damaged(path, f"{type(e).__name__}: {e}") from e
        return found

    def _check(self) -> None:
        """Raises ValueError when parts do not fit each other, TypeError for parts of a wrong type."""
        rows = {name: len(getattr(self, name)) for name in _ROWS}
        if len(set(rows.values())) != 1:
            raise ValueError(f"its parts differ in length: {', '.join(f'{n} rows of {name}' for name, n in rows.items())}")
        wanted = {"settings": Mapping, "seconds": int | float, "identity": str, "fits": int, "worker": str}
        wrong = [name for name, kind in wanted.items() if not isinstance(getattr(self, name), kind)]
        if wrong or not all(isinstance(tried, Mapping) for tried in self.choice):
            raise TypeError(f"{', '.join(wrong) or 'choice'} of a wrong type")


def damaged(path: Path, why: str) -> DataError:
    """The error for a result's file that cannot be used."""
    return DataError(f"{path} is no readable result of a job ({why}): delete it, and the run does this job again")


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
        """SHA-256 of each thing that decides the outputs of every model; what only some models look at is in `windows`."""
        chosen_by = [self.plan.tuned.inner_folds, self.plan.tuned.metric, self.plan.seeds[0]]
        return {"task": sha256(asdict(self.task)), "folds": sha256([fold.to_dict() for fold in self.folds]),
                "tuning": sha256(chosen_by), "code": self.code}

    @cached_property
    def windows(self) -> dict[str, str]:
        """SHA-256 of the windows, by normalisation: a model's outputs depend on those of its own alone."""
        return {name: hash_examples(examples) for name, examples in self.examples.items()}

    def identity_of(self, model: str) -> str:
        """Stands for all that decides what a model's jobs give, but for fold and seed; when equal, they need not be redone."""
        listed = self.plan.tuning.candidates
        own = [list(listed.get(model) or listed.get(base_of(model), ())), own_source(model)]
        return sha256([self.parts, self.windows[self.normalisation_of(model)], model, own])

    def normalisation_of(self, model: str) -> str:
        """`s0@none` asks for "none", a plain name for the plan's own. Raises ModelError when there are no such windows."""
        wanted = model.partition("@")[2] or self.plan.normalisation
        if wanted not in self.examples:
            raise ModelError(f"{model}: no windows with the normalisation {wanted!r}; there are: {', '.join(self.examples)}")
        return wanted

    def examples_for(self, model: str) -> Examples:
        """The windows as this model's normalisation makes them. Raises ModelError when there are none."""
        return self.examples[self.normalisation_of(model)]

    def judges(self, result: JobResult) -> bool:
        """Whether a result has exactly the windows of its fold's test people, in their order."""
        examples = self.examples_for(result.job.model)
        rows = np.isin(examples.subjects, self.folds[result.job.fold].test) & (examples.draw == 0)
        return all(np.array_equal(getattr(result, name), getattr(examples, name)[rows]) for name in _ROWS[:3])


def canonical(value: Any) -> str:
    """JSON with sorted keys and no blanks: the same value always gives the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(value: Any) -> str:
    """Of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def run_job(job: Job, context: Context) -> JobResult:
    """Tune where there is a choice, fit, and answer for the people who were left out.

    Targets of the test people are blanked before the model sees their windows. Raises ModelError, which names the job.
    """
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
              "elapsed_s": examples.elapsed_s,
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
             *(root / "evaluation" / f"{name}.py" for name in ("jobs", "metrics", "models", "protocols", "tuning"))]
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    for package in ("numpy", "scipy", "scikit-learn", "torch"):
        try:
            digest.update(f"{package} {version(package)}".encode())
        except PackageNotFoundError:
            digest.update(f"{package} absent".encode())
    return digest.hexdigest()
