"""A bare `pip install .`: what an application developer gets, without any extra."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "tensorflow", "cv2", "bumble", "mediapipe", "scipy", "fastapi")


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """A fresh environment with only `pip install .` in it; the folder of its programs."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is None:
        pytest.skip("uv is not here: `make setup` installs it")
    folder = tmp_path_factory.mktemp("bare")
    env = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    env.setdefault("SSL_CERT_FILE", env.get("PIP_CERT", "")) if env.get("PIP_CERT") else None
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder / "venv")], check=True, env=env)
    source = folder / "source"        # building in the checkout would leave its build folder there
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", "__pycache__", ".pio"))
    target = ["--python", str(folder / "venv/bin/python"), "-c", str(ROOT / "constraints.txt")]
    command = [uv, "pip", "install", "-q", *target, str(source)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return folder / "venv/bin"


@pytest.mark.slow
def test_it_imports_without_what_is_heavy(bare: Path) -> None:
    code = ("import importlib.util, nociband, nociband.records, nociband.wire, nociband.band, nociband.spec\n"
            f"print([m for m in {HEAVY!r} if importlib.util.find_spec(m)])")
    done = subprocess.run([bare / "python", "-c", code], capture_output=True, text=True, cwd="/")
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


@pytest.mark.slow
def test_its_command_says_what_is_missing(bare: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([bare / "nociband", *arguments], capture_output=True, text=True, cwd="/", timeout=60)

    assert run("--help").returncode == 0
    doctor = run("doctor")
    assert doctor.returncode == 1 and "nociband[sim]" in doctor.stdout
    trained = run("train", "--dataset", "synthetic", "--task", "pain5", "--name", "x", "--out", "/tmp/nowhere")
    assert trained.returncode == 2 and "nociband[train]" in trained.stderr and "Traceback" not in trained.stderr
