"""A short seeded run of the fuzzer, so that it stays able to run and the reader able to bear it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris is not installed; make setup-all brings it")

FUZZER = Path(__file__).with_name("fuzz_tflite.py")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, FUZZER, *arguments], capture_output=True, text=True, timeout=250)


@pytest.mark.parametrize(("seed", "runs"), [(1, 300), *(pytest.param(seed, 1000, marks=pytest.mark.slow) for seed in (2, 3))])
def test_nothing_but_model_errors(tmp_path: Path, seed: int, runs: int) -> None:
    done = _run("--runs", str(runs), "--seconds", "0", "--seed", str(seed), "--findings", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "found no crash and no hang" in done.stdout
    assert not list(tmp_path.iterdir())
    for outcome in ("damaged", "refused", "written"):
        assert f"{outcome} " in done.stdout, f"no file was {outcome}: the fuzzer does not get through"


@pytest.mark.slow
def test_the_fuzzer_finds_what_is_there(tmp_path: Path) -> None:
    """A reader that raises anything else is reported, its input kept, and that input shows it again."""
    broken = tmp_path / "broken.py"
    reads = "graph = self._tflite.read(self.path)"
    text = FUZZER.read_text().replace("Path(__file__).resolve().parent", f"Path({str(FUZZER.parent)!r})")
    assert reads in text
    broken.write_text(text.replace(reads, f"{reads}\n            {{}}[len(graph.ops)]"))
    run = [sys.executable, str(broken), "--runs", "60", "--seconds", "0", "--findings", str(tmp_path / "found")]
    done = subprocess.run(run, capture_output=True, text=True, timeout=250)
    assert done.returncode == 1 and "KeyError" in done.stdout and "FOUND" in done.stdout
    [finding] = (tmp_path / "found").iterdir()
    again = subprocess.run([sys.executable, broken, "--input", finding], capture_output=True, text=True, timeout=100)
    assert again.returncode != 0 and "KeyError" in again.stderr
