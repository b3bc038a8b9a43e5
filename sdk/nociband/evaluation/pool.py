"""A few worker processes on this machine that outlive the death of one of them.

Takes a context, sent once to each worker, and jobs; gives results as they come. When a process dies, concurrent.futures gives up
the whole pool with every job under way; here the dead one's job alone is queued again, and a fresh process takes its place.
Used by nociband.evaluation.engine.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from nociband.errors import EnvironmentProblem, ModelError, NocibandError

# What a worker's environment holds before anything is imported. One thread each, so that sums are taken in one order. And glibc
# keeps large blocks, which it would give back to the system at every step of a training loop and take again page by page: a
# fit takes a third less time.
ENVIRONMENT = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")} | {
    name: str(1 << 32) for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")}
RETRIES = 2             # of a job whose worker died
PATIENCE_S = 2.0        # for a worker to end when asked to


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: Any = None


class Pool:
    """`with Pool(work, context, workers) as pool: for job, result in pool.run(jobs)`.

    `work(job, context)` must be a function of a module, since workers are spawned. Ctrl-C reaches the caller alone, and leaving
    the `with` ends every worker.
    """

    def __init__(self, work: Callable[[Any, Any], Any], context: Any, workers: int) -> None:
        self._spawn = multiprocessing.get_context("spawn")
        self._work, self._context, self._wanted = work, context, workers
        self._workers: list[_Worker] = []
        self._idle_deaths = 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            if worker.process.is_alive():
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(PATIENCE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that there are now."""
        return [w.process.pid for w in self._workers if w.process.pid is not None]

    def run(self, jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """Jobs with their results as they finish.

        Raises the job's own error, or ModelError when its worker died RETRIES + 1 times.
        """
        queue, deaths = deque(jobs), dict.fromkeys(jobs, 0)
        under_way = 0
        while queue or under_way:
            while queue and len(self._workers) < min(self._wanted, len(queue) + under_way):
                self._workers.append(self._start())
            for worker in self._workers:
                if worker.job is None and queue:
                    under_way += self._hand_out(worker, queue)
            for worker in self._ready():
                job, worker.job = worker.job, None
                under_way -= job is not None
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    self._bury(worker, job, queue, deaths)
                    continue
                if isinstance(answer, BaseException):
                    raise answer
                yield job, answer

    def _start(self) -> _Worker:
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=_serve, args=(theirs, self._work, self._context), daemon=True)
        with _environment(ENVIRONMENT):
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _hand_out(self, worker: _Worker, queue: deque[Any]) -> int:
        """1 when the worker has a job now, 0 when it is dead already (the next wait says so)."""
        job = queue.popleft()
        try:
            worker.pipe.send(job)
        except OSError:
            queue.appendleft(job)
            return 0
        worker.job = job
        return 1

    def _ready(self) -> list[_Worker]:
        handles: dict[Any, _Worker] = {w.pipe: w for w in self._workers}
        return [handles[h] for h in wait(list(handles))]

    def _bury(self, worker: _Worker, job: Any, queue: deque[Any], deaths: dict[Any, int]) -> None:
        """A worker died: its job goes to the front of the queue, unless it killed too many."""
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join(PATIENCE_S)
        code = worker.process.exitcode
        if job is None:
            self._idle_deaths += 1
            if self._idle_deaths > RETRIES:
                raise EnvironmentProblem(f"worker processes end before they are given a job (exit code {code}); what they said "
                                         "is above. Is there enough memory for this many --workers?")
            return
        deaths[job] += 1
        if deaths[job] > RETRIES:
            raise ModelError(f"{job}: its worker died {deaths[job]} times, the last with exit code {code} "
                             "(-9: killed, often for want of memory; try fewer --workers)")
        queue.appendleft(job)


def _serve(pipe: Connection, work: Callable[[Any, Any], Any], context: Any) -> None:
    """In the worker: jobs in, results or errors out, until the driver hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = work(job, context)
        except NocibandError as e:
            answer = e
        except Exception as e:
            traceback.print_exc(file=sys.stderr)
            answer = ModelError(f"{job}: {type(e).__name__}: {e} (traceback above)")
        try:
            pipe.send(answer)
        except OSError:
            return


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables that a child inherits: libraries read them when they are imported."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
