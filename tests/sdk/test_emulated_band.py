"""The band client and the commands against the real firmware, as a process of this machine behind the virtual radio."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nociband.band import Band, find_band
from nociband.dsp import Twin
from nociband.errors import BandDisconnected, BandError, PairingError
from nociband.records import FeatureBlock, Gap, Prediction, SignalBlock, Stamp, Status
from nociband.store import open_session
from nociband_tools.demo.band_process import emulated_band
from nociband_tools.radio.client import virtual_backend

pytestmark = pytest.mark.slow
CLI = [sys.executable, "-m", "nociband_tools.cli"]


@pytest.fixture
async def emulated(tmp_path: Path):
    """An emulated band that replays the simulator; its ready event says where."""
    async with emulated_band("native", "simulator", "synthetic_pain5", tmp_path / "band") as band:
        yield band


@pytest.fixture
async def backend(emulated, tmp_path: Path):
    """A host on its radio."""
    async with virtual_backend(emulated.ready["hci"], keys=tmp_path / "keys.json") as b:
        yield b


def passkey(emulated) -> int:
    return int(emulated.ready["passkey"])


async def take(band: Band, seconds: float, **options) -> list:
    """All records of a session of about so many seconds."""
    records = []
    async for record in band.stream(**options):
        records.append(record)
        if isinstance(record, SignalBlock) and record.sample_index == int(seconds * 1000) // 40 * 40:
            await band.stop()
    return records


async def test_streams_pairs_once_and_keeps_time(emulated, backend) -> None:
    found = await find_band(5, backend=backend)
    async with Band.connect(found, passkey=passkey(emulated)) as band:
        records = await take(band, 3.0)
        assert band.manifest.name == "synthetic_pain5" and band.info.firmware_version
        assert (await band.time_sync()).uncertainty_s < 0.05
    assert [r.seq for r in records] == list(range(len(records))) and not any(isinstance(r, Gap) for r in records)
    final = records[-1]
    assert isinstance(final, Status) and final.state == "idle" and final.frames_dropped == 0
    signals = [r for r in records if isinstance(r, SignalBlock)]
    assert final.samples_taken == 40 * len(signals) and final.underruns == 0
    assert sum(isinstance(r, Prediction) for r in records) == final.predictions >= 3
    twin = Twin()
    expected = np.array([twin.block(s.emg_counts, s.eda_counts) for s in signals]).reshape(-1, 6)
    features = np.concatenate([r.features for r in records if isinstance(r, FeatureBlock)])
    assert np.array_equal(features, expected[:len(features)]) and len(features) >= len(expected) - 5
    latency_s = [s.received_s - s.host_time_s for s in signals]
    assert 0.03 < np.median(latency_s) < 0.5
    async with Band.connect(await find_band(5, backend=backend)) as band:      # bonded: no passkey any more
        assert (await take(band, 0.5))[0].seq == 0


async def test_without_or_with_a_wrong_passkey_nothing_is_shown(emulated, backend) -> None:
    wrong = (passkey(emulated) + 1) % 1_000_000 or 1
    for given in (None, wrong):
        with pytest.raises(PairingError, match="label"):
            async with Band.connect(await find_band(5, backend=backend), passkey=given):
                pass
    async with Band.connect(await find_band(5, backend=backend), passkey=lambda: passkey(emulated)) as band:
        assert (await band.status()).state == "idle"


async def test_a_link_that_breaks_comes_back_and_every_frame_is_accounted_for(emulated, backend) -> None:
    async with Band.connect(await find_band(5, backend=backend), passkey=passkey(emulated)) as band:
        records = []
        async for record in band.stream(reconnect=True, give_up_s=20):
            records.append(record)
            if len(records) == 30:
                for connection in list(backend.device.connections.values()):
                    await connection.disconnect()
            if len(records) == 120:
                await band.stop()
    gaps = [r for r in records if isinstance(r, Gap)]
    assert len(gaps) == 1 and gaps[0].lost > 0
    final = records[-1]
    assert isinstance(final, Status)
    assert sum(isinstance(r, Stamp) for r in records) + gaps[0].lost == final.seq + 1
    assert final.frames_dropped <= gaps[0].lost       # some were on their way when the link broke


async def test_a_killed_band_is_told_within_seconds(emulated, backend) -> None:
    async with asyncio.timeout(20):
        with pytest.raises((BandDisconnected, BandError)) as caught:
            async with Band.connect(await find_band(5, backend=backend), passkey=passkey(emulated)) as band:
                async for record in band.stream():
                    if isinstance(record, Stamp) and record.seq == 30:
                        os.kill(emulated.ready["band_pid"], signal.SIGKILL)
    assert isinstance(caught.value, BandDisconnected)


async def test_forgetting_needs_a_new_pairing(emulated, backend) -> None:
    async with Band.connect(await find_band(5, backend=backend), passkey=passkey(emulated)) as band:
        await band.forget()
    with pytest.raises(PairingError):
        async with Band.connect(await find_band(5, backend=backend)):
            pass


def cli(emulated, tmp_path: Path, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "COLUMNS": "100"}
    done = subprocess.run([*CLI, *arguments, "--radio", emulated.ready["hci"]], capture_output=True, text=True, timeout=timeout,
                          env=env, stdin=subprocess.DEVNULL)
    assert "Traceback" not in done.stderr, done.stderr
    return done


async def test_the_commands(emulated, tmp_path: Path) -> None:
    run = asyncio.to_thread
    scanned = await run(cli, emulated, tmp_path, "scan", "--seconds", "1", "--json")
    assert scanned.returncode == 0 and json.loads(scanned.stdout)["name"].startswith("Nb")
    unpaired = await run(cli, emulated, tmp_path, "stream", "--seconds", "1")
    assert unpaired.returncode == 1 and "--passkey" in unpaired.stderr
    code = emulated.ready["passkey"]
    streamed = await run(cli, emulated, tmp_path, "stream", "--seconds", "2", "--json", "--passkey", code)
    lines = [json.loads(line) for line in streamed.stdout.splitlines()]
    assert streamed.returncode == 0 and lines[-1]["type"] == "status" and not [x for x in lines if x["type"] == "gap"]
    picture = tmp_path / "t.svg"
    shown = await run(cli, emulated, tmp_path, "stream", "--seconds", "2", "--screenshot", str(picture))
    assert shown.returncode == 0 and "synthetic" in shown.stdout and "EMG" in shown.stdout and picture.stat().st_size > 1000
    file = tmp_path / "a.nbs"
    recorded = await run(cli, emulated, tmp_path, "record", str(file), "--seconds", "2", "--npz", str(tmp_path / "a.npz"))
    assert recorded.returncode == 0 and "0 missing" in recorded.stdout
    assert open_session(file).completeness().whole
    again = await run(cli, emulated, tmp_path, "record", str(file), "--seconds", "2")
    assert again.returncode == 1 and "another name" in again.stderr


async def test_ctrl_c_ends_a_command_tidily(emulated, tmp_path: Path) -> None:
    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")}
    process = await asyncio.create_subprocess_exec(
        *CLI, "stream", "--json", "--radio", emulated.ready["hci"], "--passkey", emulated.ready["passkey"],
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env)
    assert process.stdout
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 0 and not err
    assert json.loads(out.splitlines()[-1])["state"] == "idle"


def test_a_radio_that_is_none(tmp_path: Path) -> None:
    for where, status, says in (("nowhere", 2, "HOST:PORT"), ("127.0.0.1:1", 1, "nociband emulate")):
        done = subprocess.run([*CLI, "scan", "--radio", where], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "XDG_DATA_HOME": str(tmp_path)})
        assert done.returncode == status and says in done.stderr and "Traceback" not in done.stderr
