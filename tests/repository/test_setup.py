"""The set-up script on machines that lack something: it says the exact line to run, and exits with status 2."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a set-up script, but no environment, and a `bin` that goes before the system's programs."""
    (tmp_path / "host_tools").mkdir()
    for name in ("host_tools/setup.sh", "constraints.txt", "requirements-demo.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    return tmp_path


def _program(checkout: Path, name: str, script: str) -> None:
    path = checkout / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def _run(checkout: Path, what: str = "demo") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run([checkout / "host_tools/setup.sh", what], capture_output=True, text=True, env=env, timeout=60,
                          stdin=subprocess.DEVNULL)


def test_without_root_and_sudo_it_says_the_line_and_exits_2(checkout: Path) -> None:
    _program(checkout, "id", "echo 1000")
    _program(checkout, "sudo", "exit 1")
    _program(checkout, "dpkg-query", 'case "$*" in *qemu-system-arm*) exit 1;; esac; printf "install ok installed"')
    done = _run(checkout)
    assert done.returncode == 2
    assert "apt-get update && apt-get install -y --no-install-recommends qemu-system-arm" in done.stderr
    assert not (checkout / ".venv").exists()


def test_without_python_3_11_it_says_how_to_get_it(checkout: Path) -> None:
    _program(checkout, "dpkg-query", 'printf "install ok installed"')
    for name in ("python3.11", "python3"):
        _program(checkout, name, "exit 1")
    done = _run(checkout)
    assert done.returncode == 2 and "Python 3.11" in done.stderr and "apt-get install" in done.stderr


def test_wrong_use(checkout: Path) -> None:
    assert _run(checkout, "nonsense").returncode == 2


def test_a_second_run_does_nothing_and_takes_no_time() -> None:
    """The environment that these tests run in was set up by the same script, unless a developer brought their own."""
    if not (ROOT / ".venv/.installed-all").exists():
        pytest.skip("not set up by `make test`")
    begin = time.monotonic()
    done = subprocess.run([ROOT / "host_tools/setup.sh", "all"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "" and time.monotonic() - begin < 3
