"""What the real firmware sends arrives whole, equals what was fed, and injected faults can be seen."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from nociband.band import Band, find_band
from nociband.dsp import Twin
from nociband.errors import DataError, NocibandError
from nociband.records import FeatureBlock, Gap, SignalBlock
from nociband_tools.emulator.faults import Fault
from nociband_tools.emulator.source import SLOT_DTYPE, open_source


@dataclass
class _Session:
    """What came until the session was stopped; `frames` are (length, arrival)."""

    records: list = field(default_factory=list)
    frames: list = field(default_factory=list)
    status: object = None

    def of(self, kind) -> list:
        return [r for r in self.records if isinstance(r, kind)]

    @property
    def emg(self) -> np.ndarray:
        return np.concatenate([b.emg_counts for b in self.of(SignalBlock)])

    @property
    def eda(self) -> np.ndarray:
        return np.concatenate([b.eda_counts for b in self.of(SignalBlock)])


async def _run(bench, band, seconds: float) -> _Session:
    session = _Session()
    async with bench.host(band) as host, Band.connect(await find_band(5, host), passkey=band.ready["passkey"], backend=host) as b:
        stream = b.stream(tap=lambda data, at: session.frames.append((len(data), at)))
        end = time.monotonic() + seconds
        stopping = None
        async for record in stream:
            session.records.append(record)
            if stopping is None and time.monotonic() > end:
                stopping = asyncio.create_task(b.stop())
        session.status = await stopping
    return session


def _fed(bench, blocks: int) -> np.ndarray:
    return np.frombuffer(bench.fed, SLOT_DTYPE)[:2 * blocks]


@pytest.mark.slow
async def test_twenty_seconds_without_a_loss_and_equal_to_what_was_fed(bench) -> None:
    async with bench.band() as band:
        session = await _run(bench, band, 20)
    assert session.of(Gap) == [] and session.status.frames_dropped == 0 and session.status.underruns == 0
    seconds = session.frames[-1][1] - session.frames[0][1]
    assert seconds > 19 and len(session.frames) / seconds >= 30
    assert sum(size == 182 for size, _ in session.frames) >= 24.5 * seconds
    fed = _fed(bench, len(session.of(SignalBlock)))
    assert np.array_equal(session.eda, fed["eda_counts"])
    assert np.array_equal(session.emg, fed["emg_counts"].reshape(-1, 2))


async def test_sessions_go_on_where_the_last_one_ended_and_the_recording_begins_again(bench, recording, tmp_path) -> None:
    with np.load(recording, allow_pickle=False) as whole:
        short = {name: whole[name] for name in whole.files}
    short.update(emg=short["emg"][:1000], eda=short["eda"][:50], accel=short["accel"][:50])
    np.savez(tmp_path / "second.npz", **short)
    async with bench.band(source=str(tmp_path / "second.npz")) as band:
        first, second = await _run(bench, band, 1.5), await _run(bench, band, 1)
    emg = np.concatenate([first.emg, second.emg])
    assert len(emg) == first.status.samples_taken + second.status.samples_taken
    assert np.array_equal(emg, np.resize(short["emg"], emg.shape))
    looped = [e for e in bench.events if e["event"] == "looped"]
    assert [e["times"] for e in looped] == list(range(1, len(looped) + 1)) and len(looped) >= 2


async def test_a_dropped_frame_is_a_gap(bench) -> None:
    async with bench.band(fault="drop-frame:20") as band:
        session = await _run(bench, band, 2)
    assert [g.lost for g in session.of(Gap)] == [1]
    assert {"event": "fault", "name": "drop-frame", "n": 20} in bench.events


async def test_a_flipped_sample_is_one_bit_away_from_what_was_fed(bench) -> None:
    async with bench.band(fault="flip-sample:30") as band:
        session = await _run(bench, band, 1.5)
    fed = _fed(bench, len(session.of(SignalBlock)))["emg_counts"].reshape(-1, 2)
    assert np.flatnonzero(fed != session.emg).tolist() == [29 * 40]
    assert fed[29 * 20, 0] ^ session.emg[29 * 20, 0] == 1


async def test_a_flipped_feature_is_one_bit_away_from_the_twin(bench) -> None:
    async with bench.band(fault="flip-feature:3") as band:
        session = await _run(bench, band, 1.5)
    twin, signals = Twin(), session.of(SignalBlock)
    expected = np.stack([twin.block(b.emg_counts, b.eda_counts) for b in signals])
    got = np.concatenate([f.features for f in session.of(FeatureBlock)])
    assert np.argwhere(got != expected[:len(got)]).tolist() == [[10, 0]]
    assert got[10, 0] ^ expected[10, 0] == 1


@pytest.mark.parametrize("text", ["drop", "drop-frame:0", "drop-frame:x", "flip-sample:-1"])
def test_an_unknown_fault_is_refused(text) -> None:
    with pytest.raises(NocibandError, match="drop-frame, flip-feature, flip-sample"):
        Fault.parse(text)


def _damaged(content: dict, how: str) -> dict:
    match how:
        case "no emg":
            content.pop("emg")
        case "floats":
            content["emg"] = content["emg"].astype(float)
        case "half a block":
            content["emg"] = content["emg"][:-20]
        case "eda too short":
            content["eda"] = content["eda"][:-1]
        case "site":
            content["sites"] = np.array(["elbow", "knee"])
    return content


@pytest.mark.parametrize("how", ["no emg", "floats", "half a block", "eda too short", "site"])
def test_counts_that_do_not_fit_together_are_refused(recording, tmp_path, how) -> None:
    with np.load(recording, allow_pickle=False) as whole:
        content = _damaged({name: whole[name] for name in whole.files}, how)
    np.savez(tmp_path / "damaged.npz", **content)
    with pytest.raises(DataError, match="damaged.npz"):
        open_source(str(tmp_path / "damaged.npz"))


@pytest.mark.parametrize("source", ["nowhere.npz", "simulator:x", "cut.npz", "fmov:nobody"])
def test_sources_that_are_not_there_or_cut_short_are_refused(recording, tmp_path, monkeypatch, source) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOCIBAND_DATA", str(tmp_path))
    (tmp_path / "cut.npz").write_bytes(recording.read_bytes()[:5000])
    with pytest.raises(DataError):
        open_source(source)


def test_the_same_seed_gives_the_same_counts() -> None:
    first, again = open_source("simulator:4"), open_source("simulator:4")
    assert first.slots.tobytes() == again.slots.tobytes() != open_source("simulator:5").slots.tobytes()
    assert "simulated" in " ".join(first.simulated) and first.name == "simulator, seed 4"
