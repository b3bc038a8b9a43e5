"""Runs jobs: one after the other, in processes on this machine, or on a Ray cluster; what is finished is kept and never repeated.

Takes jobs and a Context, gives a result for each; RUN_FOLDER/jobs/*.npz are written by this process as results come in, so a
killed worker, a lost node or Ctrl-C costs what was under way and nothing else. nociband.evaluation.evaluate calls it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nociband.errors import EnvironmentProblem, ModelError, NocibandError
from nociband.evaluation.jobs import Context, Job, JobResult, code_version, damaged, run_job
from nociband.evaluation.pool import ENVIRONMENT, RETRIES, Pool

ENGINES = ("serial", "local", "ray")
CONNECT_S = 5.0
POLL_S = 1.0    # how often a wait for Ray lets Ctrl-C through

OnResult = Callable[[JobResult, bool], None]


def run(jobs: Sequence[Job], context: Context, engine: str = "local", workers: int | None = None, address: str | None = None,
        folder: Path | None = None, on_result: OnResult = lambda result, kept: None) -> dict[Job, JobResult]:
    """A result for every job, in the order of `jobs`, whatever order they finish in.

    workers: processes of `local` (this machine's cores when None) or the cores of a Ray started here. address: of a Ray cluster
    ("HOST:6379", "auto"), or "local" or None to start one on this machine. folder: where finished jobs are kept; those there with
    this context's identity are read, not done again. `on_result(result, kept)` is called for each, `kept` for one that was there.
    Raises EnvironmentProblem for an engine that cannot run here, and the error of a job that cannot be done.
    """
    check(engine, address)
    done = finished(jobs, context, folder)
    for job in jobs:
        if job in done:
            on_result(done[job], True)
    waiting = [job for job in jobs if job not in done]
    if waiting:
        for result in _ENGINES[engine](waiting, context, workers, address):
            if folder is not None:
                result.save(folder)
            done[result.job] = result
            on_result(result, False)
    return {job: done[job] for job in jobs}


def check(engine: str, address: str | None = None) -> None:
    """Raises EnvironmentProblem for an unknown engine, an address without Ray, and where no cluster listens.

    Ray itself would try for minutes.
    """
    if engine not in ENGINES:
        raise EnvironmentProblem(f"unknown engine {engine!r}; there are: {', '.join(ENGINES)}")
    if address and engine != "ray":
        raise EnvironmentProblem(f"--address {address} is of a Ray cluster, and --engine {engine} uses none: give --engine ray, "
                                 "or leave --address out")
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if engine != "ray" or not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except OSError as e:
        raise EnvironmentProblem(f"no Ray cluster answers at {address} ({e}); `ray start --head --port={port}` there starts one, "
                                 "--address local needs none") from e


def finished(jobs: Sequence[Job], context: Context, folder: Path | None) -> dict[Job, JobResult]:
    """The jobs whose results lie in `folder` already.

    A job without settings of its own takes whatever was chosen; one with settings only a result of the same ones. Raises
    DataError for a damaged file, ModelError for one of another run.
    """
    found: dict[Job, JobResult] = {}
    for job in jobs:
        path = folder / f"{job.key}.npz" if folder else None
        if path is None or not path.is_file():
            continue
        result = JobResult.load(path)
        if result.identity != context.identity_of(job.model):
            raise ModelError(f"{path} belongs to another run, with other windows, settings or code; choose another folder, or "
                             "start over with --fresh")
        if not context.judges(result):
            raise damaged(path, "its windows are not those of the fold's test people")
        if result.job == job:
            found[job] = result
    return found


def _serial(jobs: Sequence[Job], context: Context, workers: int | None, address: str | None) -> Iterator[JobResult]:
    for job in jobs:
        yield _named(job, context)


def _local(jobs: Sequence[Job], context: Context, workers: int | None, address: str | None) -> Iterator[JobResult]:
    with Pool(_named, context, workers or os.cpu_count() or 1) as pool:
        for _, result in pool.run(jobs):
            yield result


def _named(job: Job, context: Context) -> JobResult:
    """`run_job` whose errors say which job it was."""
    try:
        return run_job(job, context)
    except NocibandError as e:
        raise type(e)(f"{job.model}, {context.folds[job.fold].words}, seed {job.seed}: {e}") from e


def _on_ray(job: Job, context: Context) -> JobResult:
    """In a Ray worker: the same code must stand on every node, or outputs could differ."""
    if code_version() != context.code:
        raise EnvironmentProblem(f"node {socket.gethostname()} has another version of nociband or of its libraries than this "
                                 "machine; install the same on every node")
    return _named(job, context)


def _ray(jobs: Sequence[Job], context: Context, workers: int | None, address: str | None) -> Iterator[JobResult]:
    """Windows are put into the cluster once; Ray starts a job again when its worker dies (`max_retries`)."""
    try:
        import ray
    except ModuleNotFoundError as e:
        raise EnvironmentProblem("--engine ray needs the package ray: pip install 'nociband[ray]'; local needs none") from e
    with _cluster(ray, workers, address):
        shared = ray.put(context)
        remote = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(_on_ray)
        pending = {remote.options(name=job.key).remote(job, shared): job for job in jobs}
        try:
            while pending:
                ready, _ = ray.wait(list(pending), num_returns=1, timeout=POLL_S)
                for handle in ready:
                    yield _take(ray, handle, pending.pop(handle))
        finally:
            for handle in pending:
                ray.cancel(handle, force=True)


def _take(ray: Any, handle: Any, job: Job) -> JobResult:
    try:
        return ray.get(handle)
    except ray.exceptions.RayTaskError as e:
        if isinstance(e.cause, NocibandError):
            raise e.cause from None
        raise ModelError(f"{job}: {e}") from e
    except ray.exceptions.RayError as e:
        raise ModelError(f"{job}: its worker died {RETRIES + 1} times ({type(e).__name__}); finished jobs are kept: start "
                         "the same command again") from e


@contextmanager
def _cluster(ray: Any, workers: int | None, address: str | None) -> Iterator[None]:
    """Joined to a cluster, or with one of our own on this machine, until the end; one that was joined before stays joined."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local = address in (None, "", "local")
    ours = {"address": "local", "num_cpus": workers or os.cpu_count(), "include_dashboard": False}
    where: dict[str, Any] = ours if local else {"address": address}
    try:
        ray.init(**where, log_to_driver=False, logging_level="error", runtime_env={"env_vars": ENVIRONMENT})
    except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as e:
        raise EnvironmentProblem(f"no Ray cluster at {address or 'local'}: {str(e).rstrip('.')}; `ray status` says more, "
                                 "one that asks for a token wants RAY_AUTH_MODE=token here, --engine local needs none") from e
    try:
        yield
    finally:
        ray.shutdown()


_ENGINES: dict[str, Callable[[Sequence[Job], Context, int | None, str | None], Iterator[JobResult]]] = {
    "serial": _serial, "local": _local, "ray": _ray,
}
