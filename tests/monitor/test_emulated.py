"""The hub in front of a whole emulated band: pair, stream, lose it to SIGKILL; and forget it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nociband.errors import PairingError
from nociband_tools.commands.monitor import band_connector
from nociband_tools.live import Live

from .test_live import until

pytestmark = pytest.mark.slow


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[dict]:
    """The ready line of `nociband emulate --band native`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nociband_tools.cli", "emulate", "--band", "native", "--source", "simulator", "--state",
         str(tmp_path / "band"), "--json"], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    try:
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "ready":
                yield event
                return
        raise AssertionError("the emulated band did not come up")
    finally:
        process.terminate()
        process.wait(timeout=20)


async def test_paired_streaming_and_killed(emulated: dict, tmp_path: Path) -> None:
    live = Live(band_connector(emulated["hci"], tmp_path / "host"))
    runner = asyncio.create_task(live.run())
    try:
        await until(lambda: live.state.needs_passkey, 15)
        live.pair(int(emulated["passkey"]))
        await until(lambda: live.state.counters.predictions >= 2, 15)
        state = live.state
        assert state.link == "connected" and state.model.of == "pain" and state.battery_percent is not None
        assert state.counters.frames_lost == 0 and 0 < state.latency_ms_p50 < 1000
        os.kill(emulated["band_pid"], signal.SIGKILL)
        await until(lambda: live.state.link == "lost", 10)
        async with asyncio.timeout(5):
            await live.stop()
            await runner
    finally:
        runner.cancel()


async def test_a_wrong_passkey_then_the_right_one_then_forgotten(emulated: dict, tmp_path: Path) -> None:
    live = Live(band_connector(emulated["hci"], tmp_path / "host"), passkey=(int(emulated["passkey"]) + 1) % 1_000_000)
    runner = asyncio.create_task(live.run())
    try:
        await until(lambda: live.state.link == "failed", 20)
        assert live.state.needs_passkey and "passkey" in live.state.message.lower()
        with pytest.raises(PairingError):
            live.pair(-1)
        live.pair(int(emulated["passkey"]))
        await until(lambda: live.state.counters.frames > 20, 20)
        await live.forget()
        await until(lambda: live.state.needs_passkey, 10)
        assert live.state.model is None and "forgotten" in live.state.message
        await live.stop()
        await asyncio.wait_for(runner, 5)
    finally:
        runner.cancel()
