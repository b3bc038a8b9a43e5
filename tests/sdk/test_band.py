"""The band client against a band in memory: what it yields, and what it refuses, when everything or something is as it should."""

from __future__ import annotations

import asyncio
import inspect
import json

import numpy as np
import pytest

from nociband.band import Band, client, find_band, find_bands
from nociband.errors import BandDisconnected, BandError, BandNotFound, PairingError, SpecError
from nociband.records import FeatureBlock, Gap, MotionBlock, Prediction, SignalBlock, Stamp, Status
from tests.sdk.fake_band import FakeBand, manifest_dict


async def connected(stack, fake: FakeBand, **options):
    """A Band on `fake`, closed with `stack`."""
    found = await find_band(1, backend=fake.backend())
    return await stack.enter_async_context(Band.connect(found, **options))


@pytest.fixture
async def stack():
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as s:
        yield s


async def take(band: Band, count: int, **options):
    """The first `count` records, then a stop, then the rest."""
    records, final = [], None
    async for record in band.stream(**options):
        records.append(record)
        if len(records) == count:
            final = await band.stop()
    return records, final


async def test_finds_and_lists(stack) -> None:
    fake = FakeBand()
    found = await find_band(1, backend=fake.backend(), address="f0:00:00:00:00:01")
    assert (found.name, found.rssi_dbm) == ("NbTEST", -50)
    assert [f.address for f in await find_bands(0.1, backend=fake.backend())] == ["F0:00:00:00:00:01"]
    with pytest.raises(BandNotFound, match="other hosts"):
        await find_band(0.1, backend=fake.backend(), address="NbNONE")


async def test_streams_every_frame_and_ends_after_the_last_record(stack) -> None:
    fake = FakeBand()
    band = await connected(stack, fake)
    records, final = await take(band, 80)
    assert [r.seq for r in records] == list(range(fake.seq)) and len(records) == len(fake.sent)
    assert {type(r) for r in records} == {SignalBlock, FeatureBlock, MotionBlock, Prediction, Status}
    assert isinstance(records[-1], Status) and records[-1] == final and final.state == "idle"
    assert band.account.lost == 0 and band.account.received == len(records)
    first = next(r for r in records if isinstance(r, SignalBlock))
    assert first.emg_counts.shape == (40, 2) and np.allclose(first.eda_usiemens, 500 / 512)
    assert 0 <= first.received_s - first.host_time_s < 1 and first.host_uncertainty_s < 0.1


async def test_the_example_of_the_guide_reads_as_it_stands(stack) -> None:
    fake = FakeBand()
    fake.lose = lambda seq: seq == 3
    seen = []
    async with Band.connect(await find_band(timeout_s=10, backend=fake.backend()), passkey=lambda: 1) as band:
        async for record in band.stream():
            match record:
                case SignalBlock(t_us=t, eda_usiemens=eda):
                    seen.append(("signal", t, eda))
                case Prediction(score=s, probabilities=p, quality=q, why=why):
                    seen.append(("prediction", s, p, q, why))
                    await band.stop()
                case Gap(lost=n):
                    seen.append(("gap", n))
    assert {s[0] for s in seen} == {"signal", "prediction", "gap"} and ("gap", 1) in seen


async def test_a_score_only_for_pain_and_only_with_trust(stack) -> None:
    for of, why, score in (("pain", 0, True), ("pain", 0b10000001, False), ("pain", 1 << 13, False), ("emotion", 0, False)):
        fake = FakeBand(of)
        fake.why = why
        band = await connected(stack, fake)
        records, _ = await take(band, 40)
        prediction = next(r for r in records if isinstance(r, Prediction))
        assert (prediction.score is not None) == score and prediction.of == of
        assert np.isclose(prediction.probabilities.sum(), 1)
        assert bool(prediction.why) == bool(why) and (prediction.label is None) == bool(why)
        if score:
            assert 0 <= prediction.score <= 10


async def test_lost_damaged_and_misplaced_frames_become_gaps(stack) -> None:
    fake = FakeBand()
    fake.lose = lambda seq: seq in (2, 3)
    fake.damage = lambda seq: seq == 10
    band = await connected(stack, fake)
    records, _ = await take(band, 40)
    assert [(g.first_seq, g.lost, g.why) for g in records if isinstance(g, Gap)] == [(2, 2, "not_received"), (10, 1, "damaged")]
    assert band.account.lost == 3 and band.account.damaged == 1 and "bytes" in band.account.last_damage
    after = records[records.index(next(r for r in records if isinstance(r, Gap))) + 1]
    assert after.seq == 4


async def test_a_lost_last_status_is_asked_for_and_its_hole_told(stack) -> None:
    fake = FakeBand(blocks=10)
    band = await connected(stack, fake)
    fake.lose = lambda seq: seq >= 12
    records, final = await take(band, 12)
    assert final is not None and final.samples_taken == 400
    assert records[-1] == Gap(fake.epoch, 12, 1)


async def test_predictions_that_do_not_fit_the_manifest_are_not_shown(stack) -> None:
    fake = FakeBand()
    fake.outputs = 3
    band = await connected(stack, fake)
    records, _ = await take(band, 80)
    assert not any(isinstance(r, Prediction) for r in records) and band.account.damaged >= 1


async def test_pairs_only_when_it_must(stack) -> None:
    asked = []

    def ask() -> str:
        asked.append(1)
        return "123 456".replace(" ", "")

    fake = FakeBand()
    await connected(stack, fake, passkey=ask)
    assert not asked
    for passkey in (ask, 123456, "123456"):
        fake = FakeBand()
        fake.bonded = False
        await connected(stack, fake, passkey=passkey)
        assert fake.pairings == 1
    assert len(asked) == 1


@pytest.mark.parametrize("passkey,message", [(None, "none was given"), ("12x", "six digits"), (1_000_000, "six digits"),
                                             (111111, "not the band's")])
async def test_a_wrong_or_missing_passkey_is_a_pairing_error(stack, passkey, message) -> None:
    fake = FakeBand()
    fake.bonded = False
    with pytest.raises(PairingError, match=message):
        await connected(stack, fake, passkey=passkey)


async def test_another_wire_or_specification_is_refused_before_pairing(stack) -> None:
    fake = FakeBand()
    fake.bonded, fake.wire_major = False, 9
    with pytest.raises(SpecError, match=r"wire 9\.0, this SDK 1\."):
        await connected(stack, fake, passkey=1)
    fake = FakeBand()
    fake.bonded, fake.spec_hash = False, bytes(8)
    with pytest.raises(SpecError, match="0000000000000000"):
        await connected(stack, fake, passkey=1)


@pytest.mark.parametrize("change", [{"spec_hash": "0" * 64}, {"classes": []}, {"window_frames": 1}, {"features": []}])
async def test_a_manifest_that_does_not_hold_together_is_refused(stack, change) -> None:
    fake = FakeBand()
    fake.manifest = json.dumps(manifest_dict(**change)).encode()
    with pytest.raises(SpecError, match="manifest"):
        await connected(stack, fake)


async def test_a_model_never_seen_is_welcome(stack) -> None:
    fake = FakeBand()
    classes = [{"label": f"level {i}", "value": i * 10 / 7} for i in range(8)]
    fake.manifest = json.dumps(manifest_dict(name="brand_new", classes=classes)).encode()
    band = await connected(stack, fake)
    records, _ = await take(band, 40)
    assert band.manifest.name == "brand_new"
    assert len(next(r for r in records if isinstance(r, Prediction)).labels) == 8


async def test_a_lost_link_is_told(stack) -> None:
    fake = FakeBand()
    band = await connected(stack, fake)
    count = 0
    with pytest.raises(BandDisconnected, match="lost"):
        async for _ in band.stream():
            count += 1
            if count == 10:
                fake.drop_link()
    assert count >= 10
    with pytest.raises(BandDisconnected):
        await band.status()


async def test_a_silent_band_is_a_lost_one(stack, monkeypatch) -> None:
    monkeypatch.setattr(client, "SILENCE_S", 0.2)
    fake = FakeBand()
    band = await connected(stack, fake)
    with pytest.raises(BandDisconnected, match="nothing came"):
        async for record in band.stream():
            fake.mute = isinstance(record, Stamp) and record.seq > 5


async def test_reconnects_and_goes_on_with_the_gap(stack, monkeypatch) -> None:
    monkeypatch.setattr(client, "RECONNECT_PAUSE_S", 0.05)
    fake = FakeBand()
    band = await connected(stack, fake)
    records = []
    async for record in band.stream(reconnect=True, give_up_s=5):
        records.append(record)
        if len(records) == 10:
            fake.drop_link()
        if len(records) == 60:
            await band.stop()
    gaps = [r for r in records if isinstance(r, Gap)]
    assert len(gaps) == 1 and gaps[0].lost > 0
    assert sum(isinstance(r, Stamp) for r in records) + gaps[0].lost == fake.seq
    assert {r.epoch for r in records} == {1}


async def test_a_band_that_restarted_begins_a_new_session(stack, monkeypatch) -> None:
    monkeypatch.setattr(client, "RECONNECT_PAUSE_S", 0.05)
    fake = FakeBand()
    band = await connected(stack, fake)
    records = []
    async for record in band.stream(reconnect=True, give_up_s=5):
        records.append(record)
        if len(records) == 10:
            fake.restart()
        if len(records) == 60:
            await band.stop()
    gaps = [r for r in records if isinstance(r, Gap)]
    assert [g.why for g in gaps] == ["band_restarted"]
    after = records[records.index(gaps[0]) + 1:]
    assert [r.seq for r in after] == list(range(len(after)))
    assert abs(after[0].host_time_s - after[0].received_s) < 1 and band.clock.steps == 1


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_session_that_another_host_began_meanwhile_is_not_taken_for_our_own(stack, monkeypatch, restarted) -> None:
    """Also when the band restarted in between, and the other session happens to have the same number."""
    monkeypatch.setattr(client, "RECONNECT_PAUSE_S", 0.05)
    fake = FakeBand()
    band = await connected(stack, fake)
    records, epochs = [], []
    async with asyncio.timeout(20):
        async for record in band.stream(reconnect=True, give_up_s=5):
            records.append(record)
            if len(records) == 10:
                fake.restart() if restarted else fake.drop_link()
                fake.end()
                fake._obey("start")
                epochs.append(fake.epoch)
            if len(records) == 60:
                await band.stop()
    assert epochs == [1 if restarted else 2]
    gaps = [r for r in records if isinstance(r, Gap)]
    assert [(g.epoch, g.why) for g in gaps] == [(1, "band_restarted")]
    after = records[records.index(gaps[0]) + 1:]
    assert {r.epoch for r in after} == {epochs[0] + 1} and [r.seq for r in after] == list(range(len(after)))


async def test_reconnecting_ends_when_the_band_stays_away(stack, monkeypatch) -> None:
    monkeypatch.setattr(client, "RECONNECT_PAUSE_S", 0.05)
    fake = FakeBand()
    band = await connected(stack, fake)
    with pytest.raises(BandDisconnected, match="did not come back"):
        async for record in band.stream(reconnect=True, give_up_s=0.2):
            if isinstance(record, Stamp) and record.seq == 10:
                fake.off = True
                monkeypatch.setattr(client, "find_band", lambda *_: find_band(0.1, fake.backend()))
                fake.drop_link()


async def test_a_slow_application_gets_a_gap_and_memory_stays_bounded(stack) -> None:
    fake = FakeBand(block_s=0.0005)
    band = await connected(stack, fake, frames_max=64)
    records = []
    async for record in band.stream():
        records.append(record)
        if len(records) == 5:
            await asyncio.sleep(0.3)
            assert len(band._inbox._frames) <= 64
        if len(records) == 50:
            await band.stop()
    gaps = [r for r in records if isinstance(r, Gap)]
    assert gaps and gaps[0].why == "slow_consumer"
    assert sum(isinstance(r, Stamp) for r in records) + sum(g.lost for g in gaps) == fake.seq


async def test_a_session_left_running_is_ended_and_a_slow_front_end_awaited(stack) -> None:
    fake = FakeBand()
    fake._start()
    fake.not_ready_times = 2
    band = await connected(stack, fake)
    records, _ = await take(band, 20)
    assert records[0].epoch == 2 and records[0].seq == 0


async def test_leaving_the_loop_stops_the_band(stack) -> None:
    fake = FakeBand()
    band = await connected(stack, fake)
    stream = band.stream()
    async for _ in stream:
        break
    with pytest.raises(BandError, match="already"):
        async for _ in band.stream():
            pass
    await stream.aclose()
    assert not fake.running
    records, _ = await take(band, 10)
    assert records[0].seq == 0 and records[0].epoch == 2


async def test_leaving_the_connection_stops_the_band() -> None:
    fake = FakeBand()
    async with Band.connect(await find_band(1, backend=fake.backend())) as band:
        async for _ in band.stream():
            break
    assert not fake.running and not band.is_connected


async def test_status_time_and_forgetting(stack) -> None:
    fake = FakeBand()
    band = await connected(stack, fake)
    status = await band.status()
    assert (status.state, status.battery_percent, status.flags) == ("idle", 77, ("bonded", "front_end_ready"))
    assert abs(status.t_us - fake.now_us) < 1e6
    sync = await band.time_sync(3)
    assert sync.exchanges == 11 and sync.uncertainty_s < 0.05
    await band.forget()
    assert not fake.bonded and not band.is_connected


async def test_the_link_ends_before_the_response_to_forget(stack) -> None:
    """The band closes the link itself: what it said last may be lost with it, what it was told was done."""
    fake = FakeBand()
    fake.answers_forget = False
    band = await connected(stack, fake)
    await band.forget()
    assert not fake.bonded and not band.is_connected


async def test_the_link_was_lost_before_the_band_was_told_to_forget(stack) -> None:
    fake = FakeBand()
    band = await connected(stack, fake)
    fake.drop_link()
    with pytest.raises(BandDisconnected):
        await band.forget()
    assert fake.bonded


async def test_the_tap_sees_every_notification(stack) -> None:
    fake = FakeBand()
    band = await connected(stack, fake)
    raw: list[bytes] = []
    await take(band, 30, tap=lambda data, received_s: raw.append(data))
    assert raw == fake.sent


def test_the_public_interface_reads_aloud() -> None:
    assert list(inspect.signature(find_band).parameters) == ["timeout_s", "backend", "address"]


async def test_what_the_passkey_function_raises_reaches_the_caller(stack) -> None:
    def gone() -> int:
        raise EOFError

    def broken() -> int:
        raise KeyError("no label")

    async def later() -> str:
        await asyncio.sleep(0.01)
        return "123456"

    for ask, error in ((gone, PairingError), (broken, KeyError)):
        fake = FakeBand()
        fake.bonded = False
        with pytest.raises(error):
            await connected(stack, fake, passkey=ask)
    fake = FakeBand()
    fake.bonded = False
    await connected(stack, fake, passkey=later)
    assert fake.pairings == 1


async def test_a_stop_while_the_link_is_away_ends_the_stream(stack, monkeypatch) -> None:
    monkeypatch.setattr(client, "RECONNECT_PAUSE_S", 0.05)
    fake = FakeBand()
    band = await connected(stack, fake)
    monkeypatch.setattr(client, "find_band", lambda *_: find_band(0.1, fake.backend()))

    async def stop_later() -> None:
        await asyncio.sleep(0.3)
        with pytest.raises(BandDisconnected):
            await band.stop()

    task = None
    async with asyncio.timeout(5):
        with pytest.raises(BandDisconnected, match="before the session could be ended"):
            async for record in band.stream(reconnect=True):
                if isinstance(record, Stamp) and record.seq == 10:
                    fake.off, task = True, asyncio.create_task(stop_later())
                    fake.drop_link()
    assert task is not None
    await task
