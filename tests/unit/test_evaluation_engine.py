"""Engines give the same bytes, and what is finished stays finished: through a kill, an interrupt, a node that is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.unit.evaluation_models import CLASSES, HERE, windows

from nociband.errors import EnvironmentProblem, ModelError
from nociband.evaluation import engine, evaluate
from nociband.evaluation.plan import Plan

ROOT = Path(__file__).resolve().parents[2]


def context(*models, people=4, seeds=(0, 1)):
    plan = Plan("made_up", "two", "loso", tuple(HERE + name for name in models), seeds)
    return evaluate.context_of(plan, CLASSES, {"causal": windows(people)})


def jobs_of(shared):
    return evaluate.work_of(shared).first


def same_bytes(one, other):
    assert list(one) == list(other)
    for job in one:
        assert one[job].output.tobytes() == other[job].output.tobytes() and one[job].settings == other[job].settings


def fits_in(path):
    """Each fit that was finished or begun: (model, seed, people) with the ids of the processes that did it."""
    lines = [line.split(maxsplit=1) for line in path.read_text().splitlines()]
    return Counter(what for _, what in lines), {int(pid) for pid, _ in lines}


@pytest.fixture
def fits(tmp_path, monkeypatch):
    monkeypatch.setenv("NOCIBAND_TEST_FITS", str(tmp_path / "fits"))
    return tmp_path / "fits"


def test_processes_give_what_one_process_gives(fits, tmp_path):
    shared = context("Centroid", "Tuned", "Prior")
    jobs, seen = jobs_of(shared), []
    alone = engine.run(jobs, shared, "serial")
    together = engine.run(jobs, shared, "local", workers=2, folder=tmp_path / "jobs",
                          on_result=lambda r, kept: seen.append((r.job, kept)))
    same_bytes(alone, together)
    assert Counter(seen) == Counter((job, False) for job in jobs)
    assert len({r.worker for r in together.values()}) == 2 and {r.worker for r in alone.values()}.isdisjoint(
        r.worker for r in together.values())


def test_finished_jobs_are_read_not_repeated(fits, tmp_path):
    shared = context("Centroid", "Tuned")
    jobs, seen = jobs_of(shared), []
    part = engine.run(jobs[:5], shared, "serial", folder=tmp_path / "jobs")
    before, _ = fits_in(fits)
    whole = engine.run(jobs, shared, "serial", folder=tmp_path / "jobs", on_result=lambda r, kept: seen.append(kept))
    same_bytes(part, {job: whole[job] for job in jobs[:5]})
    after, _ = fits_in(fits)
    assert seen == [True] * 5 + [False] * (len(jobs) - 5)
    assert all(after[what] == n for what, n in before.items() if what.startswith("centroid"))
    assert sum(after.values()) == evaluate.work_of(shared).fits - len(shared.folds)     # the second seed of "Tuned" waits
    with pytest.raises(ModelError, match="belongs to another run.*--fresh"):
        engine.run(jobs, context("Centroid", "Tuned", people=5), "serial", folder=tmp_path / "jobs")


@pytest.mark.slow
def test_a_killed_process_costs_only_its_own_job(fits, tmp_path):
    shared = context("Slow", people=6)
    jobs, killed, finished = jobs_of(shared), [], []

    def kill_one_at_the_third(result, kept):
        finished.append(result.job)
        if len(finished) == 3:
            others = {int(w.partition(":")[2]) for w in [result.worker]}
            killed.extend(others)
            os.kill(killed[0], signal.SIGKILL)

    done = engine.run(jobs, shared, "local", workers=2, folder=tmp_path / "jobs", on_result=kill_one_at_the_third)
    same_bytes(engine.run(jobs, shared, "serial"), done)
    assert len(finished) == len(set(finished)) == len(jobs)
    counts, pids = fits_in(fits)
    repeated = [n - 2 for n in counts.values()]     # once above, once by "serial"
    assert killed[0] in pids and sum(repeated) <= 1 and min(repeated) == 0
    assert all(r.worker.partition(":")[2] != str(killed[0]) for job, r in done.items() if finished.index(job) > 3)


@pytest.mark.slow
def test_a_job_that_kills_every_worker_is_named_and_the_others_are_kept(tmp_path):
    shared = context("Prior", "Deadly")
    with pytest.raises(ModelError, match=r"Deadly.*its worker died 3 times, the last with exit code 9"):
        engine.run(jobs_of(shared), shared, "local", workers=1, folder=tmp_path)
    assert len(list(tmp_path.glob("*Prior*.npz"))) == 1     # fold 0: the deadly one comes second
    with pytest.raises(ModelError, match=r"Wrong, fold 'p00', seed 0: wrong must answer with probabilities"):
        engine.run(jobs_of(context("Wrong")), context("Wrong"), "local", workers=1)


SCRIPT = """
import sys
from pathlib import Path
from tests.unit.test_evaluation_engine import context, jobs_of
from nociband.evaluation import engine
if __name__ == "__main__":
    shared = context("Slow", people=12)
    try:
        engine.run(jobs_of(shared), shared, "local", workers=2, folder=Path(sys.argv[1]),
                   on_result=lambda r, kept: print(r.worker.partition(":")[2], flush=True))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.slow
def test_an_interrupt_ends_the_children_and_keeps_what_is_finished(fits, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.Popen([sys.executable, str(script), str(tmp_path / "jobs")], cwd=ROOT, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}, start_new_session=True)
    workers = {int(run.stdout.readline()) for _ in range(4)}
    os.killpg(run.pid, signal.SIGINT)   # as a terminal does: the whole group
    printed, said = run.communicate(timeout=20)
    assert run.returncode == 130 and "Traceback" not in said
    assert len(list((tmp_path / "jobs").glob("*.npz"))) >= 4
    until = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_an_engine_that_is_not_there():
    with pytest.raises(EnvironmentProblem, match="unknown engine 'cloud'; there are: serial, local, ray"):
        engine.run([], context("Prior"), "cloud")
    with pytest.raises(EnvironmentProblem, match="no Ray cluster answers at 127.0.0.1:1 .*ray start --head"):
        engine.run(jobs_of(context("Prior")), context("Prior"), "ray", address="127.0.0.1:1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes of one core each on this machine, as `ray start` makes them; the address to join."""
    pytest.importorskip("ray")
    os.environ["NOCIBAND_TEST_FITS"] = str(tmp_path_factory.mktemp("ray") / "fits")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False,
                                                         "object_store_memory": 80_000_000})
    try:
        made.add_node(num_cpus=1, object_store_memory=80_000_000)
        yield made.address
    finally:
        made.shutdown()
        del os.environ["NOCIBAND_TEST_FITS"]


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_and_a_killed_worker_loses_no_finished_fold(cluster, tmp_path):
    fits = Path(os.environ["NOCIBAND_TEST_FITS"])
    shared = context("Slow", "Tuned", people=6)
    jobs, finished, killed = jobs_of(shared), [], []

    def kill_one_at_the_third(result, kept):
        finished.append(result.job)
        if len(finished) == 3:
            killed.append(int(result.worker.partition(":")[2]))
            threading.Timer(0.2, os.kill, (killed[0], signal.SIGKILL)).start()     # in the midst of its next job

    done = engine.run(jobs, shared, "ray", address=cluster, folder=tmp_path / "jobs", on_result=kill_one_at_the_third)
    counts, pids = fits_in(fits)
    assert killed[0] in pids and len({r.worker for r in done.values()}) >= 2
    assert len(finished) == len(set(finished)) == len(jobs)
    assert sum(n - 1 for what, n in counts.items() if what.startswith("slow")) <= 1
    same_bytes(engine.run(jobs, shared, "serial"), done)
    before, _ = fits_in(fits)
    same_bytes(done, engine.run(jobs, shared, "ray", address=cluster, folder=tmp_path / "jobs"))
    assert fits_in(fits)[0] == before
    with pytest.raises(ModelError, match=r"Wrong, fold 'p0[0-3]', seed [01]: wrong must answer with probabilities"):
        engine.run(jobs_of(context("Wrong")), context("Wrong"), "ray", address=cluster)
