"""How a demo ends when it is not let finish: nothing is left behind, nothing is called well, nobody sees a traceback."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from .conftest import demo_command, stream_for

SHORT = ("--band", "native", "--source", "simulator", "--face", "none", "--no-monitor", "--seconds", "40")


@pytest.fixture
def demo(tmp_path: Path):
    """A running demo whose band is on the air, and the processes below it."""
    out = tmp_path / "demo"
    process = subprocess.Popen(demo_command(out, *SHORT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process, _below(process), out
    finally:
        process.kill()
        process.wait()


def _below(process: subprocess.Popen) -> list[psutil.Process]:
    """The emulator and its firmware, once both are there and the session has begun."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        below = psutil.Process(process.pid).children(recursive=True)
        if "program" in [p.name() for p in below]:
            stream_for(1, process)
            return below
        time.sleep(0.1)
    raise AssertionError("the firmware never started")


@pytest.mark.slow
def test_killed_it_takes_its_emulator_with_it(demo) -> None:
    process, below, _ = demo
    process.kill()
    _, left = psutil.wait_procs(below, timeout=8)
    assert len(below) == 2 and not left


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ended_early_the_session_is_judged_and_said_to_be_short(demo, number: int) -> None:
    process, below, out = demo
    process.send_signal(number)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "Traceback" not in text, text
    summary = json.loads((out / "summary.json").read_text())
    assert summary["samples_sha256_equal"] and any("stopped after" in p for p in summary["problems"]), summary["problems"]
    assert not psutil.wait_procs(below, timeout=8)[1]


@pytest.mark.slow
def test_the_emulator_is_killed_in_mid_stream(demo) -> None:
    process, below, _ = demo
    next(p for p in below if p.name() != "program").kill()
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "Traceback" not in text and "lost" in text, text
    assert not psutil.wait_procs(below, timeout=8)[1]


@pytest.mark.slow
def test_two_ctrl_c_leave_nothing_behind(demo) -> None:
    process, below, _ = demo
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "Traceback" not in text, text
    assert not psutil.wait_procs(below, timeout=8)[1]
