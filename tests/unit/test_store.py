"""Session files: what was recorded reads back as it was live, and a file that broke off says what is missing."""

from __future__ import annotations

import json
import stat
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from tests.sdk.fake_band import FakeBand, manifest_dict

from nociband.band import Band, client, find_band
from nociband.errors import BandDisconnected, DataError, SpecError
from nociband.manifest import Manifest
from nociband.records import Gap, Prediction, SignalBlock
from nociband.store import SessionWriter, open_session, record_to_dict, to_arrays, to_npz
from nociband.store.entries import HEAD, MAGIC, pack_entry, read_entries
from nociband_tools.streaming import record_session

MANIFEST = Manifest.from_json(json.dumps(manifest_dict()).encode())


async def record(fake: FakeBand, path: Path, seconds: float = 0.4, at: dict | None = None, **options) -> list:
    """Record a session of `fake`; `at[n]()` is called after the n-th record."""
    live: list = []

    def take(item) -> None:
        live.append(item)
        if at and len(live) in at:
            at[len(live)]()

    async with Band.connect(await find_band(1, backend=fake.backend())) as band:
        await record_session(band, path, take, seconds, **options)
    return live


def same(a: list, b: list) -> bool:
    return [record_to_dict(x) for x in a] == [record_to_dict(y) for y in b]


async def test_a_session_reads_back_as_it_was_live(tmp_path: Path) -> None:
    path = tmp_path / "a.nbs"
    fake = FakeBand()
    fake.lose = lambda seq: seq in (7, 8)
    fake.damage = lambda seq: seq == 20
    live = await record(fake, path)
    session = open_session(path)
    assert same(list(session.records()), live)
    complete = session.completeness()
    assert complete.ended and not complete.whole and (complete.lost, complete.gaps) == (3, 2)
    assert complete.frames == sum(not isinstance(r, Gap) for r in live)
    assert session.about["band"] == "NbTEST" and session.manifest.hash == MANIFEST.hash
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_whole_session_is_called_whole(tmp_path: Path) -> None:
    await record(FakeBand(), tmp_path / "a.nbs")
    complete = open_session(tmp_path / "a.nbs").completeness()
    assert complete.whole and not complete.problems and complete.frames > 20


async def test_a_lost_link_leaves_a_readable_file(tmp_path: Path) -> None:
    fake = FakeBand()
    with pytest.raises(BandDisconnected):
        await record(fake, tmp_path / "a.nbs", at={12: fake.drop_link})
    complete = open_session(tmp_path / "a.nbs").completeness()
    assert complete.frames >= 12 and not complete.ended and "broke off" in complete.problems[0]


async def test_sessions_across_a_restart_read_back(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(client, "RECONNECT_PAUSE_S", 0.05)
    fake = FakeBand()
    live = await record(fake, tmp_path / "a.nbs", seconds=0.8, at={15: fake.restart}, reconnect=True)
    assert [r.why for r in live if isinstance(r, Gap)] == ["band_restarted"]
    assert same(list(open_session(tmp_path / "a.nbs").records()), live)


async def test_cut_anywhere_the_whole_part_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.nbs"
    live = await record(FakeBand(), path, seconds=0.2)
    data, cut = path.read_bytes(), tmp_path / "cut.nbs"
    ends = [len(MAGIC)]
    while ends[-1] < len(data):
        ends.append(ends[-1] + HEAD.size + HEAD.unpack_from(data, ends[-1])[0])
    for at in [*range(ends[2], ends[2] + 400, 7), *ends[3:-1], len(data) - 1]:
        cut.write_bytes(data[:at])
        session = open_session(cut)
        records = list(session.records())
        assert same(records, live[:len(records)])
        assert not session.completeness().ended
    for at in (ends[2] - 1, ends[1], len(MAGIC), 3):
        cut.write_bytes(data[:at])
        with pytest.raises(DataError):
            open_session(cut)


async def test_a_flipped_bit_costs_one_entry_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.nbs"
    await record(FakeBand(), path)
    data = bytearray(path.read_bytes())
    at = len(MAGIC)
    for _ in range(30):
        at += HEAD.size + HEAD.unpack_from(data, at)[0]
    data[at + HEAD.size + 30] ^= 4
    path.write_bytes(data)
    complete = open_session(path).completeness()
    assert complete.ended and complete.lost == 1 and any("checksum" in p for p in complete.problems)
    assert [(g.lost, g.why) for g in open_session(path).records() if isinstance(g, Gap)] == [(1, "not_received")]


def test_nothing_is_overwritten_and_errors_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.nbs"
    SessionWriter(path, MANIFEST, {}).close()
    with pytest.raises(DataError, match="another name"):
        SessionWriter(path, MANIFEST, {})
    with pytest.raises(DataError, match="another folder"):
        SessionWriter(tmp_path / "no" / "a.nbs", MANIFEST, {})
    with pytest.raises(DataError, match="nociband record"):
        open_session(tmp_path / "none.nbs")
    (tmp_path / "other").write_bytes(b"PNG....." * 10)
    with pytest.raises(DataError, match="not a session file"):
        open_session(tmp_path / "other")


def test_another_specification_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nbs"
    header = json.dumps({"spec_hash": "1234"}).encode()
    path.write_bytes(MAGIC + pack_entry("H", header) + pack_entry("M", MANIFEST.json_bytes))
    with pytest.raises(SpecError, match="1234"):
        open_session(path)


def test_entries_that_are_none_end_the_reading() -> None:
    good = pack_entry("F", b"x" * 20)
    assert [e.kind for e in read_entries(MAGIC + good + b"\xff" * 50)] == ["F", ""]
    assert [e.kind for e in read_entries(MAGIC + good + good[:5])] == ["F", ""]


async def test_exports(tmp_path: Path) -> None:
    path = tmp_path / "a.nbs"
    fake = FakeBand()
    fake.lose = lambda seq: seq == 4
    live = await record(fake, path)
    session = open_session(path)
    to_npz(session.records(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        signals = [r for r in live if isinstance(r, SignalBlock)]
        assert arrays["emg_counts"].shape == (len(signals), 40, 2) and arrays["emg_counts"].dtype == np.int16
        assert np.array_equal(arrays["eda_counts"], [r.eda_counts for r in signals])
        assert arrays["prediction_logits"].shape == (sum(isinstance(r, Prediction) for r in live), 8)
        assert arrays["gaps"].tolist() == [[1, 4, 1]]
    for one in live:
        assert json.loads(json.dumps(record_to_dict(one)))["type"] in ("signals", "motion", "features", "prediction", "status",
                                                                       "gap")
    assert to_arrays([])["emg_counts"].shape == (0, 40, 2)


async def test_the_tap_is_closed_with_the_stream(tmp_path: Path) -> None:
    fake = FakeBand()
    async with Band.connect(await find_band(1, backend=fake.backend())) as band:
        async with aclosing(band.stream()) as records:
            async for _ in records:
                break
        assert band.clock.on_exchange is None and not fake.running
