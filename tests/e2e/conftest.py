"""Runs the demo as its user does: as a process, with a bounded time, and reads its summary."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ran:
    """One finished demo."""

    status: int
    summary: dict
    text: str


def demo_command(out: Path, *arguments: str) -> list[str]:
    """The command line of a short demo without a fixed port."""
    return [sys.executable, "-m", "nociband_tools.cli", "demo", "--out", str(out), "--port", "0", *arguments]


def stream_for(seconds: float, demo: subprocess.Popen) -> None:
    """Let a demo (stdout piped, as text) stream for some seconds, counted from its first sample."""
    assert demo.stdout
    said = []
    while line := demo.stdout.readline():
        said.append(line)
        if "first sample" in line:
            time.sleep(seconds)
            return
    raise AssertionError("the demo ended without a sample: " + "".join(said))


@pytest.fixture
def run_demo(tmp_path: Path):
    """run_demo("--band", "native", ..., env={...}) -> Ran."""

    def run(*arguments: str, env: dict[str, str] | None = None, timeout: float = 240) -> Ran:
        out = tmp_path / "demo"
        merged = {**os.environ, "COLUMNS": "200", **(env or {})}
        merged = {k: v for k, v in merged.items() if v != ""}
        done = subprocess.run(demo_command(out, *arguments), capture_output=True, text=True, timeout=timeout, env=merged,
                              stdin=subprocess.DEVNULL)
        text = done.stdout + done.stderr
        assert "Traceback" not in text, text
        summary = out / "summary.json"
        return Ran(done.returncode, json.loads(summary.read_text()) if summary.exists() else {}, text)

    return run


@pytest.fixture
def real_data() -> str:
    """NOCIBAND_DATA, or skip: the data is not part of the repository."""
    folder = os.environ.get("NOCIBAND_DATA")
    if not folder:
        pytest.skip("set NOCIBAND_DATA to the folder of real recordings")
    return folder
