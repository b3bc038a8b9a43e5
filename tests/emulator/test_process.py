"""`nociband emulate` as its own process: it ends cleanly whatever happens, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nociband.band import Band, find_band
from nociband.errors import BandDisconnected
from nociband_tools.emulator.session import cancel_all
from nociband_tools.firmware import build
from nociband_tools.radio.client import virtual_backend

EMULATE = [sys.executable, "-m", "nociband_tools.cli", "emulate"]


def _arguments(recording: Path, state: Path, firmware: Path, *more: str, band: str = "native") -> list[str]:
    return [*EMULATE, "--band", band, "--source", str(recording), "--model", "synthetic_pain5", "--state", str(state),
            "--firmware", str(firmware), "--json", *more]


class _Emulator:
    """A running `nociband emulate --json`."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def event(self, name: str) -> dict:
        for line in self.process.stdout:
            if (event := json.loads(line))["event"] == name:
                return event
        raise AssertionError(f"no {name}: {self.process.stderr.read()}")

    def end(self) -> int:
        return self.process.wait(10)


@pytest.fixture
def start(recording, tmp_path, native_firmware):
    """Starts an emulator; whatever is left at the end is killed."""
    started: list[_Emulator] = []

    def start(*more: str, band: str = "native", firmware: Path = native_firmware) -> _Emulator:
        started.append(_Emulator(_arguments(recording, tmp_path / "band", firmware, *more, band=band)))
        return started[-1]

    yield start
    for emulator in started:
        if emulator.process.poll() is None:
            emulator.process.kill()
        emulator.process.communicate()


def _runs(pid: int) -> bool:
    """Is there such a process (one that ended and waits for its parent does not count)?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _ends(pid: int, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while _runs(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not _runs(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_stop_everything(start, number) -> None:
    emulator = start()
    ready = emulator.event("ready")
    assert ready["pid"] == emulator.process.pid and _runs(ready["band_pid"])
    assert len(ready["passkey"]) == 6 and len(ready["serial"]) == 8 and ready["simulated"]
    emulator.process.send_signal(number)
    assert emulator.end() == 0
    assert not _runs(ready["band_pid"])


async def test_sigterm_just_as_a_host_leaves_stops_everything(start, tmp_path) -> None:
    emulator = start()
    ready = await asyncio.to_thread(emulator.event, "ready")
    async with virtual_backend(ready["hci"], tmp_path / "host.json") as host:
        async with Band.connect(await find_band(5, host), passkey=ready["passkey"], backend=host):
            pass
    emulator.process.terminate()
    assert await asyncio.to_thread(emulator.end) == 0
    assert not _runs(ready["band_pid"])


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(cancel_all([task]), 5)
    assert task.cancelled()


def test_sigkill_of_the_emulator_leaves_no_band(start) -> None:
    emulator = start()
    band = emulator.event("ready")["band_pid"]
    emulator.process.kill()
    assert _ends(band, 2)


@pytest.mark.parametrize("band", ["native", pytest.param("qemu", marks=pytest.mark.slow)])
async def test_a_band_that_is_killed_is_a_lost_link_within_3_s_and_status_1(start, tmp_path, band) -> None:
    emulator = start(band=band, firmware=build(band, "synthetic_pain5"))
    ready = await asyncio.to_thread(emulator.event, "ready")
    killed = 0.0
    async with virtual_backend(ready["hci"], tmp_path / "host.json") as host:
        with pytest.raises(BandDisconnected):
            async with Band.connect(await find_band(5, host), passkey=ready["passkey"], backend=host) as b:
                records = 0
                async for _ in b.stream():
                    records += 1
                    if records == 20:
                        os.kill(ready["band_pid"], signal.SIGKILL)
                        killed = time.monotonic()
    assert killed and time.monotonic() - killed < 3
    exited = await asyncio.to_thread(emulator.event, "band_exit")
    assert exited["why"] == "SIGKILL" and exited["status"] == -signal.SIGKILL
    assert await asyncio.to_thread(emulator.end) == 1


async def test_the_button_is_pressed_by_a_signal_and_by_a_line(start, tmp_path) -> None:
    emulator = start("--no-press")
    ready = await asyncio.to_thread(emulator.event, "ready")
    async with virtual_backend(ready["hci"], tmp_path / "host.json") as host:
        for press in (lambda: emulator.process.send_signal(signal.SIGUSR1),
                      lambda: (emulator.process.stdin.write("b\n"), emulator.process.stdin.flush())):
            press()
            await asyncio.sleep(0.2)
            async with Band.connect(await find_band(5, host), passkey=ready["passkey"], backend=host) as band:
                await band.forget()


@pytest.mark.slow
async def test_the_emulated_cortex_m4f_pairs_and_streams(start, tmp_path) -> None:
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("no qemu-system-arm")
    ready = await asyncio.to_thread(start(band="qemu", firmware=build("qemu", "synthetic_pain5")).event, "ready")
    async with virtual_backend(ready["hci"], tmp_path / "host.json") as host:
        async with Band.connect(await find_band(5, host), passkey=ready["passkey"], backend=host) as band:
            async with asyncio.timeout(10):
                async for _ in band.stream():
                    if band.account and (await band.status()).samples_taken >= 2000:
                        break
            status = await band.status()
    assert status.underruns == 0 and status.frames_dropped == 0
    assert any("QEMU" in what for what in ready["simulated"])


def _fails(command: list[str], **environment: str) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_port_in_use_is_said_and_status_2(recording, tmp_path, native_firmware) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        status, said = _fails(_arguments(recording, tmp_path, native_firmware, "--port", port))
    assert status == 2 and port in said and "--port" in said


def test_a_state_folder_in_use_is_said_and_status_2(start, recording, tmp_path, native_firmware) -> None:
    start().event("ready")
    status, said = _fails(_arguments(recording, tmp_path / "band", native_firmware))
    assert status == 2 and "another emulated band" in said


def test_without_qemu_the_line_that_installs_it_is_said(recording, tmp_path, native_firmware) -> None:
    status, said = _fails(_arguments(recording, tmp_path, native_firmware, band="qemu"), PATH=str(tmp_path))
    assert status == 2 and "apt-get install -y qemu-system-arm" in said


def test_a_recording_that_is_not_there_is_said_and_status_1(tmp_path, native_firmware) -> None:
    status, said = _fails(_arguments(tmp_path / "none.npz", tmp_path, native_firmware))
    assert status == 1 and "none.npz" in said


def test_firmware_that_ends_at_once_is_said_with_its_last_words(recording, tmp_path) -> None:
    firmware = tmp_path / "firmware"
    firmware.write_text("#!/bin/sh\necho out of luck >&2\nexit 3\n")
    firmware.chmod(0o755)
    status, said = _fails(_arguments(recording, tmp_path / "band", firmware))
    assert status == 1 and "status 3" in said and "out of luck" in said


def test_a_damaged_identity_is_said(recording, tmp_path, native_firmware) -> None:
    (tmp_path / "identity.json").write_text('{"serial": "EM1"}')
    status, said = _fails(_arguments(recording, tmp_path, native_firmware))
    assert status == 1 and "identity.json" in said


def test_what_was_fed_cannot_be_written_down(recording, tmp_path, native_firmware) -> None:
    """A full disk: said, and the emulator ends; the band is not left to run dry without a word."""
    state = tmp_path / "band"
    state.mkdir()
    (state / "fed.bin").symlink_to("/dev/full")
    done = subprocess.run(_arguments(recording, state, native_firmware), capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert {"event": "failed", "what": "front_end", "why": "No space left on device"} in events
