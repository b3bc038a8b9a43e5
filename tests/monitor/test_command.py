"""`nociband monitor` as its user starts it: as a process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from nociband_tools.commands import monitor

COMMAND = [sys.executable, "-m", "nociband_tools.cli", "monitor"]


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            stdin=subprocess.DEVNULL)


def unused_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_band_the_page_is_served_until_a_signal(tmp_path: Path, number: int) -> None:
    process = start("--port", "0", "--json", "--state", str(tmp_path), "--radio", f"127.0.0.1:{unused_port()}")
    try:
        ready = json.loads(process.stdout.readline())
        assert ready["event"] == "ready" and ready["port"] > 0
        assert "Nociband" in httpx.get(ready["url"]).text
        time.sleep(1.0)
        assert process.poll() is None       # no band: it goes on searching
        process.send_signal(number)
        out, errors = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in errors, errors


@pytest.mark.slow
def test_for_a_tablet_it_prints_the_code_once_and_the_fingerprint(tmp_path: Path) -> None:
    printed = []
    for _ in range(2):
        process = start("--port", "0", "--listen", "127.0.0.1", "--state", str(tmp_path), "--radio", f"127.0.0.1:{unused_port()}")
        try:
            lines = [process.stdout.readline() for _ in range(4)]
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=10)
        finally:
            process.kill()
        printed.append("".join(lines))
    assert "https://127.0.0.1:" in printed[0] and "Access code, shown only now: " in printed[0]
    assert "shown only now" not in printed[1] and "--new-code" in printed[1]
    assert all(text.count(":") > 31 for text in printed)


@pytest.mark.parametrize(("arguments", "words"), [
    (["--port", "{used}"], "is in use"), (["--listen", "192.0.2.1"], "--listen"), (["--radio", "nowhere"], "HOST:PORT"),
    (["--state", "/proc/none"], "--state"),
])
def test_wrong_use_is_one_line_and_status_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        given = [a.format(used=s.getsockname()[1]) for a in arguments]
        if "--port" not in given:
            given += ["--port", "0"]
        if "--state" in given:
            given += ["--listen", "127.0.0.1"]
        done = subprocess.run([*COMMAND, *given], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and words in done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("nociband: ")


def test_behind_a_virtual_radio_nothing_passes_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hubs = []

    async def serve(live, *_: object) -> None:
        hubs.append(live)

    monkeypatch.setattr(monitor, "_serve", serve)
    monitor.command(radio="127.0.0.1:1", state=tmp_path)
    monitor.command(radio="127.0.0.1:1", state=tmp_path, simulated=["person: a recording"])
    assert [text.split(":")[0] for text in hubs[0].state.simulated] == ["signals", "band", "radio"]
    assert hubs[1].state.simulated == ("person: a recording",)
