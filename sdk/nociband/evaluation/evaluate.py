"""Runs a plan: windows -> folds by person -> fits (tuned within each fold) -> metrics, comparisons, one result.

Takes a Plan (nociband.evaluation.plan) and a folder; gives the result (a dict, as --json writes it; nociband.evaluation.result
builds it) and the predictions by model. The folder keeps run.json, jobs/*.npz, result.json and predictions.npz; started again it
goes on where it was. `nociband evaluate` and scripts call `evaluate`; the report is nociband.evaluation.report.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nociband.errors import DataError, ModelError
from nociband.evaluation import engine as engines
from nociband.evaluation import metrics, protocols, result, tuning
from nociband.evaluation.jobs import Context, Job, JobResult, canonical
from nociband.evaluation.metrics import Outcome
from nociband.evaluation.models import find_model, is_seeded
from nociband.evaluation.plan import USUAL, Plan, Source
from nociband.training.examples import Examples, TaskInfo

RUNNING_EVERY_S = 2.0   # how often the primary metric so far is worked out again


@dataclass(frozen=True)
class Progress:
    """Where a run stands: jobs `done` of `total`, `kept` of them from an earlier start; `running`: the primary metric so far.

    `running` stays empty in a run with a frozen plan: nobody is to see a figure of it before its end.
    """

    done: int
    total: int
    kept: int
    job: Job
    seconds: float
    running: Mapping[str, float | None]


@dataclass(frozen=True)
class Work:
    """What a run is going to do: `first` can start at once, `waiting` (model, fold, seed) needs the settings chosen there."""

    first: tuple[Job, ...]
    waiting: tuple[Job, ...]
    fits: int

    @property
    def jobs(self) -> int:
        """Number of jobs in all."""
        return len(self.first) + len(self.waiting)


def prepare(plan: Plan, data: Path | None = None) -> Context:
    """Load the windows of a plan and make its folds. Raises DataError and ModelError."""
    from nociband.training import problems

    for name in plan.models:    # before anything that takes long
        find_model(name)
    started = time.perf_counter()
    plan = plan if plan.normalisation else plan.with_changes(normalisation=problems.default_normalisation(plan.dataset))
    loaded = {n: problems.load_examples(plan.dataset, plan.task, data, n, **plan.window) for n in plan.normalisations}
    own = loaded[plan.normalisation]
    context = context_of(plan, own.info, {name: made.examples for name, made in loaded.items()}, own.excluded)
    return replace(context, seconds=time.perf_counter() - started)


def context_of(plan: Plan, task: TaskInfo, examples: Mapping[str, Examples],
               excluded: Mapping[str, str] | None = None) -> Context:
    """A context of windows that are at hand, by normalisation (the plan's own first); for data sets of your own.

    Raises ModelError when the normalisations give different windows (models could not be compared), when the plan names people
    who are not there, or when its metric is of the other kind of task.
    """
    plan = plan.with_changes(primary=plan.primary or USUAL[task.kind], normalisation=plan.normalisation or next(iter(examples)))
    own = examples[plan.normalisation].plain()
    for name, other in examples.items():
        same = other.plain()
        if not (np.array_equal(own.subjects, same.subjects) and np.array_equal(own.sittings, same.sittings)
                and np.array_equal(own.target, same.target)):
            raise ModelError(f"normalisation {name!r} gives {len(same)} windows that are not the {len(own)} of "
                             f"{plan.normalisation!r}: models could not be compared; judge it in a run of its own")
    strangers = sorted(set(plan.development_people) - set(own.people) - set(excluded or {}))
    if strangers:
        raise ModelError(f"development_people of the plan who are not in {plan.dataset}: {', '.join(strangers)}")
    of_kind = [name for name, metric in metrics.METRICS.items() if metric.kind == task.kind]
    for wanted in {plan.primary, plan.tuned.metric} - set(of_kind):
        raise ModelError(f"{wanted!r} is no metric of {task.dataset} {task.task} ({task.kind}); there are: {', '.join(of_kind)}")
    return Context(task, dict(examples), protocols.folds(own, plan.protocol, plan.fold_seed), plan, dict(excluded or {}))


def work_of(context: Context) -> Work:
    """The jobs of a run. A model with a choice of settings is tuned once a fold, with the first seed; the others use that choice.

    Models whose estimator says `seeded = False` get one seed. Raises ModelError for an unknown model and for settings that a
    model does not have.
    """
    plan, first, waiting, fits = context.plan, list[Job](), list[Job](), 0
    models = {name: find_model(name) for name in plan.models}
    choices = {name: tuning.candidates_of(estimator, name, context.task, plan.tuning) for name, estimator in models.items()}
    for fold in context.folds:
        for name, estimator in models.items():
            candidates = choices[name]
            seeds = plan.seeds if is_seeded(estimator) else plan.seeds[:1]
            fits += len(seeds)
            if len(candidates) == 1:
                first += [Job(name, fold.index, seed, canonical(dict(candidates[0]))) for seed in seeds]
                continue
            fits += len(candidates) * min(plan.tuning.inner_folds, len(fold.train))
            first.append(Job(name, fold.index, seeds[0]))
            waiting += [Job(name, fold.index, seed) for seed in seeds[1:]]
    return Work(tuple(first), tuple(waiting), fits)


def evaluate(plan: Plan, folder: Path, engine: str = "local", workers: int | None = None, address: str | None = None,
             data: Path | None = None, source: Source | None = None, fresh: bool = False,
             progress: Callable[[Progress], None] = lambda progress: None,
             context: Context | None = None) -> tuple[dict[str, Any], dict[str, Outcome]]:
    """Run a plan: the result (docs/evaluation.md has its table) and the predictions by model, both also written into `folder`.

    Finished jobs in `folder` are kept when the folder is of this run; `fresh` starts over. `context` replaces loading the
    windows (see `context_of`). Raises DataError, ModelError (among them: the folder is another run's) and EnvironmentProblem.
    """
    context = context or prepare(plan, data)
    plan = context.plan
    work, run, source = work_of(context), RunFolder(folder), source or Source()
    if not fresh:
        run.keep_frozen(source)
    run.claim(context, fresh)
    watch = _Watch(context, work.jobs, progress, figures=not source.frozen)
    options: dict[str, Any] = {"engine": engine, "workers": workers, "address": address, "folder": run.jobs, "on_result": watch}
    started = time.perf_counter()
    try:
        done = engines.run(work.first, context, **options)
        chosen = {(j.model, j.fold): canonical(dict(r.settings)) for j, r in done.items() if j.settings is None}
        later = [replace(job, settings=chosen[job.model, job.fold]) for job in work.waiting]
        done |= engines.run(later, context, **options)
    finally:
        seconds = run.add_seconds(context.seconds + time.perf_counter() - started)
    results = sorted(done.values(), key=lambda r: (plan.models.index(r.job.model), r.job.seed, r.job.fold))
    predictions = outcomes(results, context)
    account = result.build(context, results, predictions, source, seconds, engine, watch.kept)
    run.write(account, predictions)
    return account, predictions


def outcomes(results: list[JobResult], context: Context) -> dict[str, Outcome]:
    """Predictions by model, a run a seed; windows in the order of the folds. Raises ModelError when a seed lacks a fold."""
    made = {}
    for name in dict.fromkeys(r.job.model for r in results):
        seeds: dict[int, list[JobResult]] = {}
        for found in sorted((r for r in results if r.job.model == name), key=lambda r: (r.job.seed, r.job.fold)):
            seeds.setdefault(found.job.seed, []).append(found)
        runs = np.stack([np.concatenate([r.output for r in each]) for each in seeds.values()])
        target, subjects, sittings = _together(next(iter(seeds.values())), "target", "subjects", "sittings")
        made[name] = Outcome(runs, target, subjects, context.task.labels, sittings, _place(subjects, sittings, context))
    return made


def _place(subjects: np.ndarray, sittings: np.ndarray, context: Context) -> np.ndarray | None:
    """int64 (n,): the number of each window in its person's sitting, by time; None where time is unknown.

    Rows stand in the order of the folds. A window that could not be judged is not counted, so those after it have one less.
    """
    examples = context.examples[context.plan.normalisation]
    elapsed = np.concatenate([examples.of(fold.test).plain().elapsed_s for fold in context.folds])
    if not np.isfinite(elapsed).all():
        return None
    place = np.zeros(len(sittings), np.int64)
    for person, sitting in set(zip(subjects.tolist(), sittings.tolist(), strict=True)):
        rows = np.flatnonzero((subjects == person) & (sittings == sitting))
        place[rows[np.argsort(elapsed[rows], kind="stable")]] = np.arange(len(rows))
    return place


def _together(found: list[JobResult], *parts: str) -> tuple[np.ndarray, ...]:
    return tuple(np.concatenate([getattr(r, part) for r in found]) for part in parts)


class _Watch:
    """Counts results as they come and tells how things stand, with running `figures` only where that was asked for."""

    def __init__(self, context: Context, total: int, tell: Callable[[Progress], None], figures: bool) -> None:
        self._context, self._total, self._tell, self._figures = context, total, tell, figures
        self.done = self.kept = 0
        self._started, self._results = time.perf_counter(), dict[str, list[JobResult]]()
        self._running, self._asked = dict[str, float | None](), dict[str, float]()

    def __call__(self, found: JobResult, kept: bool) -> None:
        name, now = found.job.model, time.perf_counter()
        self.done, self.kept = self.done + 1, self.kept + kept
        if self._figures:
            self._results.setdefault(name, []).append(found)
            if not kept and now - self._asked.get(name, 0) > RUNNING_EVERY_S:
                self._asked[name], self._running[name] = now, self._so_far(self._results[name])
        self._tell(Progress(self.done, self._total, self.kept, found.job, now - self._started, dict(self._running)))

    def _so_far(self, found: list[JobResult]) -> float | None:
        """Of all windows and seeds that are there, pooled: a running figure, not the one that is reported."""
        output, target, subjects = _together(found, "output", "target", "subjects")
        return metrics.point(Outcome(output[None], target, subjects, self._context.task.labels), self._context.plan.primary)


class RunFolder:
    """RUN_FOLDER: run.json says whose it is, jobs/ keeps what is finished."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.jobs, self._about = folder, folder / "jobs", folder / "run.json"

    def read(self) -> dict[str, Any]:
        """What run.json says; {} for a new folder. Raises DataError when it is damaged."""
        if not self._about.exists():
            return {}
        try:
            about = json.loads(self._about.read_text("utf-8"))
            if not (isinstance(about["parts"], dict) and isinstance(about["windows"], dict)
                    and isinstance(about["seconds"], int | float)):
                raise ValueError("it is not of a run")
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise DataError(f"{self._about} cannot be read ({type(e).__name__}: {e}); start over with --fresh") from e
        return about

    def claim(self, context: Context, fresh: bool) -> None:
        """Make the folder this run's. Raises ModelError when it is another's."""
        if fresh:
            for path in (*self.jobs.glob("*.npz"), self._about):
                path.unlink(missing_ok=True)
        self.check(context)
        about = self.read() or {"dataset": context.plan.dataset, "task": context.plan.task, "parts": context.parts, "windows": {},
                                "seconds": 0.0}
        self._write({**about, "windows": {**about["windows"], **context.windows}})

    def keep_frozen(self, source: Source) -> None:
        """Raises ModelError when result.json is of a frozen plan and the run to come is not, DataError when it cannot be read."""
        path = self.folder / "result.json"
        if source.frozen or not path.exists():
            return
        try:
            frozen = json.loads(path.read_text("utf-8")).get("frozen")
        except (OSError, ValueError, AttributeError) as e:
            raise DataError(f"{path} cannot be read ({type(e).__name__}: {e}); start over with --fresh") from e
        if frozen:
            raise ModelError(f"{path} is the result of a frozen plan, and this run follows none: it would replace it. Give "
                             "another --out, or --fresh")

    def check(self, context: Context) -> None:
        """Raises ModelError when the folder is another run's, naming what differs. A normalisation may be new to it."""
        about = self.read()
        if not about:
            return
        other = [name for name, value in context.parts.items() if about["parts"].get(name) != value]
        if any(about["windows"].get(name, value) != value for name, value in context.windows.items()):
            other.insert(0, "windows")
        if other:
            raise ModelError(f"{self.folder} holds another run: its {', '.join(other)} differ{'s' * (len(other) == 1)}. "
                             "Give another --out, or start over with --fresh")

    def finished(self, work: Work, context: Context) -> int:
        """How many jobs of `work` are finished here. Raises ModelError as `check`."""
        self.check(context)
        return sum((self.jobs / f"{job.key}.npz").is_file() for job in (*work.first, *work.waiting))

    def add_seconds(self, seconds: float) -> float:
        """Add the time of this start to those before it; the sum."""
        about = self.read()
        about["seconds"] = round(about.get("seconds", 0.0) + seconds, 3)
        self._write(about)
        return about["seconds"]

    def _write(self, about: Mapping[str, Any]) -> None:
        write_json(self._about, about)

    def write(self, account: Mapping[str, Any], predictions: Mapping[str, Outcome]) -> None:
        """result.json and predictions.npz."""
        write_json(self.folder / "result.json", account)
        arrays = {f"{name}/{part}": getattr(outcome, part) for name, outcome in predictions.items()
                  for part in ("runs", "target", "subjects", "sittings", "place") if getattr(outcome, part) is not None}
        path = self.folder / "predictions.npz"
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with unfinished.open("wb") as file:
            np.savez_compressed(file, **{name: a.astype(str) if a.dtype.kind in "OU" else a for name, a in arrays.items()})
        unfinished.replace(path)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write strict JSON (no NaN); whoever reads sees the whole file or the one before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    unfinished.replace(path)


def load_predictions(folder: Path, labels: tuple[str, ...]) -> dict[str, Outcome]:
    """The predictions that a run left in its folder, by model; `labels` as in the result. Raises DataError."""
    path = folder / "predictions.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            kept = {key: stored[key] for key in stored.files}
        names = dict.fromkeys(key.rpartition("/")[0] for key in kept)
        parts = {name: {part: kept[f"{name}/{part}"] for part in ("runs", "target", "subjects")} for name in names}
    except Exception as e:  # NumPy raises whatever the damaged part gave rise to
        raise DataError(f"{path} cannot be read ({e}); run `nociband evaluate` again, finished jobs are kept") from e
    return {name: Outcome(**part, labels=labels, sittings=kept.get(f"{name}/sittings"), place=kept.get(f"{name}/place"))
            for name, part in parts.items()}
