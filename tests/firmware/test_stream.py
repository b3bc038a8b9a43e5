"""Samples in, records out: nothing changed, nothing lost without a trace."""

from __future__ import annotations

import asyncio
import signal

import numpy as np
import pytest

from nociband.dsp import Twin
from nociband.inference import Model
from nociband.spec import SPEC
from nociband.windows import WindowTwin
from nociband_tools.firmware import model_folder
from tests.firmware.conftest import MODEL, Bands, Counts
from tests.firmware.virtual_board import OP, Board

START, STOP = bytes([OP["start"]]), bytes([OP["stop"]])


async def running(b: Board, counts: Counts, credits: int = 60000, sites: tuple[int, int] = (1, 2), **link: int) -> asyncio.Task:
    """Boot, bond, fill the ring, start; the task that goes on feeding."""
    feeding = asyncio.create_task(b.feed(counts.messages()))
    await b.boot(sites)
    await b.bond(credits, **link)
    await until_ready(b)
    result, _ = await b.control(START)
    assert result == 0
    return feeding


async def until_ready(b: Board) -> None:
    """Until the band has enough samples to begin with."""
    ready = 1 << SPEC.flags["status_flag"]["front_end_ready"]
    async with asyncio.timeout(10):
        while not SPEC.records["status"].unpack((await b.read("status"))[1])["flags"] & ready:
            await asyncio.sleep(0.05)


async def stopped(b: Board, feeding: asyncio.Task) -> int:
    """Stop; the samples that the band says it took."""
    result, response = await b.control(STOP)
    assert result == 0
    feeding.cancel()
    return int.from_bytes(response, "little")


def assert_signals_equal(b: Board, counts: Counts, epoch: int, first_slot: int = 0) -> int:
    """The stream's counts are those that were fed, from `first_slot` on; how many EMG samples that is."""
    records = b.records("signals", epoch)
    emg = np.concatenate([r["emg_counts"] for r in records]).reshape(-1, 2)
    eda = np.concatenate([r["eda_counts"] for r in records])
    assert [r["sample_index"] for r in records] == list(range(0, len(emg), 40))
    np.testing.assert_array_equal(emg, counts.emg[20 * first_slot:][:len(emg)])
    np.testing.assert_array_equal(eda, counts.eda[first_slot:][:len(eda)])
    motion = b.records("motion", epoch)
    accel = np.concatenate([r["accel_mg"] for r in motion]).reshape(-1, 3) if motion else np.zeros((0, 3))
    np.testing.assert_array_equal(accel, counts.accel[first_slot:][:len(accel)])
    assert len(accel) == len(eda) // 25 * 25
    return len(emg)


def holes(b: Board, epoch: int) -> int:
    """Sequence numbers below the last that never came; the others must come in order."""
    seqs = [header["seq"] for header, _, _ in b.frames(epoch)]
    assert seqs == sorted(set(seqs))
    return seqs[-1] + 1 - len(seqs)


def host_predictions(counts: Counts, blocks: int) -> list[dict]:
    """What the host makes of the same counts: twin, window, LiteRT's reference kernels."""
    model, twin, window = Model.load(model_folder(MODEL)), Twin(), WindowTwin()
    out = []
    for i in range(blocks):
        emg, eda, accel = counts.emg[40 * i:40 * i + 40], counts.eda[2 * i:2 * i + 2], counts.accel[2 * i:2 * i + 2]
        window.push(emg, eda, accel, twin.block(emg, eda))
        if (i + 1) % 25 == 0:
            logits: list[int] = list(model.logits(window.input(model.manifest.input_scales))) if window.full else []
            out.append({"frame_index": i, "why": window.why, "quality_percent": window.quality_percent, "outputs": len(logits),
                        "logits": [*logits, *[0] * (8 - len(logits))]})
    return out


@pytest.mark.slow
async def test_the_same_numbers_as_on_the_host(band: Bands, counts) -> None:
    """Ten seconds: counts, features and predictions, bit for bit, without holes and without underruns."""
    fed = counts(16)
    async with band.start() as b:
        feeding = await running(b, fed)
        await asyncio.sleep(10)
        taken = await stopped(b, feeding)
    assert 9500 < taken < 12000
    assert assert_signals_equal(b, fed, epoch=1) == taken
    assert holes(b, 1) == 0
    twin = Twin()
    expected = [twin.block(fed.emg[40 * i:40 * i + 40], fed.eda[2 * i:2 * i + 2]) for i in range(taken // 40)]
    features = np.concatenate([r["features"] for r in b.records("features")]).reshape(-1, 6)
    assert len(features) == len(expected) // 5 * 5
    np.testing.assert_array_equal(features, expected[:len(features)])
    got = [{**p, "logits": list(p["logits"])} for p in b.records("prediction")]
    assert all(0 < p.pop("compute_us") < 500_000 or not p["outputs"] for p in got)
    assert got == host_predictions(fed, taken // 40)
    status = b.records("status")[-1]
    assert (status["state"], status["underruns"], status["frames_dropped"]) == (SPEC.enums["state"]["idle"], 0, 0)
    assert (status["samples_taken"], status["predictions"]) == (taken, len(got))


async def test_time_order_and_stop(band: Bands, counts) -> None:
    """Times follow from sample 0; the response to stop comes last, after a status that says idle."""
    async with band.start() as b:
        feeding = await running(b, counts(6))
        t0_us = int.from_bytes(b.notified("control")[0][3:], "little")
        await asyncio.sleep(2)
        await stopped(b, feeding)
    every_us = {"signals": 1000, "motion": 20000}
    for header, name, record in b.frames():
        if name in every_us:
            assert header["t_us"] == t0_us + record["sample_index"] * every_us[name]
        elif name != "status":
            assert header["t_us"] == t0_us + record["frame_index"] * 40000
    notifications = [m["attr"] for m in b.all("radio_notify")]
    assert notifications[-1] == SPEC.characteristics["control"].id
    assert b.frames()[-1][1] == "status" and b.frames()[-1][2]["state"] == SPEC.enums["state"]["idle"]


@pytest.mark.slow
async def test_second_epoch_goes_on_with_the_next_sample(band: Bands, counts) -> None:
    fed = counts(8)
    async with band.start() as b:
        feeding = await running(b, fed)
        assert (await b.control(START))[0] == SPEC.enums["result"]["wrong_state"]
        await asyncio.sleep(1)
        result, response = await b.control(STOP)
        first = int.from_bytes(response, "little")
        assert (await b.control(START))[0] == 0
        await asyncio.sleep(1)
        second = await stopped(b, feeding)
    assert assert_signals_equal(b, fed, 1) == first
    assert assert_signals_equal(b, fed, 2, first_slot=first // 20) == second
    assert holes(b, 2) == 0
    twin = Twin()
    features = np.concatenate([r["features"] for r in b.records("features", 2)]).reshape(-1, 6)
    for i, row in enumerate(features):  # the filters began anew
        at = first + 40 * i
        np.testing.assert_array_equal(row, twin.block(fed.emg[at:at + 40], fed.eda[at // 20:at // 20 + 2]))


@pytest.mark.slow
async def test_no_credit_is_counted_and_leaves_a_hole(band: Bands, counts) -> None:
    async with band.start() as b:
        feeding = await running(b, counts(8), credits=6)
        await asyncio.sleep(4.5)  # the frames' queue fills, then that of the blocks
        assert len(b.frames()) == 5  # one credit went to the response to start
        await b.send("radio_credit", credits=60000)
        await asyncio.sleep(1)
        await stopped(b, feeding)
    status = b.records("status")[-1]
    assert status["frames_dropped"] == holes(b, 1) > 20
    assert status["frames_sent"] == len(b.frames()) - 1  # this one was not on its way yet


@pytest.mark.slow
async def test_late_credit_costs_nothing(band: Bands, counts) -> None:
    """A radio that stalls for a second and a half delays frames; also those that wait when the session is stopped."""
    fed = counts(8)
    async with band.start() as b:
        feeding = await running(b, fed, credits=6)
        await asyncio.sleep(1.5)
        assert len(b.frames()) == 5
        stopping = asyncio.create_task(b.control(STOP))
        await asyncio.sleep(0.3)
        for _ in range(20):
            await b.send("radio_credit", credits=5)
            await asyncio.sleep(0.02)
        result, response = await stopping
        feeding.cancel()
    assert assert_signals_equal(b, fed, 1) == int.from_bytes(response, "little") > 1000
    assert b.records("status")[-1]["frames_dropped"] == holes(b, 1) == 0


@pytest.mark.slow
async def test_a_stalled_host_delays_and_loses_nothing(band: Bands, counts) -> None:
    """The whole band stands still for 1.5 s; its clock does not."""
    fed = counts(10)
    async with band.start() as b:
        feeding = await running(b, fed)
        await asyncio.sleep(1)
        b.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1.5)
        b.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(1)
        taken = await stopped(b, feeding)
    assert taken > 3200
    assert assert_signals_equal(b, fed, 1) == taken
    status = b.records("status")[-1]
    assert (status["underruns"], status["frames_dropped"], holes(b, 1)) == (0, 0, 0)


async def test_unsubscribed_is_counted(hardened: Bands, counts) -> None:
    async with hardened.start() as b:
        feeding = await running(b, counts(6))
        await asyncio.sleep(0.5)
        assert await b.subscribe("stream", on=False) == 0
        await asyncio.sleep(1)
        assert await b.subscribe("stream") == 0
        await asyncio.sleep(0.5)
        await stopped(b, feeding)
    assert b.records("status")[-1]["frames_dropped"] == holes(b, 1) > 20


async def test_link_loss_is_counted_and_the_session_goes_on(hardened: Bands, counts) -> None:
    fed = counts(8)
    async with hardened.start() as b:
        feeding = await running(b, fed)
        await asyncio.sleep(0.5)
        await b.link(connected=0)
        advertised = len(b.all("radio_advertise"))
        await b.until(lambda: len(b.all("radio_advertise")) > 1)
        assert advertised <= 2
        await asyncio.sleep(1)
        await b.link()
        for attr in ("control", "stream"):
            assert await b.subscribe(attr) == 0, "subscriptions end with the link"
        await b.send("radio_credit", credits=60000)
        await asyncio.sleep(0.5)
        taken = await stopped(b, feeding)
    assert b.records("status")[-1]["frames_dropped"] >= holes(b, 1) > 20
    for record in b.records("signals"):
        at = record["sample_index"]
        np.testing.assert_array_equal(record["emg_counts"].reshape(-1, 2), fed.emg[at:at + 40])
    assert taken > 1800


@pytest.mark.parametrize("att_mtu", [100, 23])
@pytest.mark.slow
async def test_a_narrow_link_withholds_signals(hardened: Bands, counts, att_mtu: int) -> None:
    async with hardened.start() as b:
        feeding = await running(b, counts(6), att_mtu=att_mtu)
        await asyncio.sleep(2.2)
        flags = SPEC.records["status"].unpack((await b.read("status"))[1])["flags"]
        assert "signals_withheld" in SPEC.flag_names("status_flag", flags)
        await stopped(b, feeding)
    kinds = {name for _, name, _ in b.frames()}
    assert kinds == ({"features", "prediction", "status"} if att_mtu == 100 else set())
    if kinds:
        assert holes(b, 1) == 0, "what is withheld takes no sequence number"


@pytest.mark.slow
async def test_underruns_repeat_the_last_sample_and_are_counted(band: Bands, counts) -> None:
    """One second of samples, then two seconds of nothing, then more."""
    fed = counts(8)
    messages = fed.messages()
    async with band.start() as b:
        feeding = await running(b, Counts(fed.emg[:1000], fed.eda[:50], fed.accel[:50]))
        await asyncio.sleep(2.5)
        await b.feed(messages[50:100])
        await asyncio.sleep(0.5)
        await stopped(b, feeding)
    status = b.records("status")[-1]
    emg = np.concatenate([r["emg_counts"] for r in b.records("signals")]).reshape(-1, 2)
    missed = status["underruns"]
    assert 1000 < missed < 2500
    np.testing.assert_array_equal(emg[:1000], fed.emg[:1000])
    assert (emg[1000:1000 + missed] == fed.emg[999]).all()
    rest = emg[1000 + missed:]
    np.testing.assert_array_equal(rest, fed.emg[1000:1000 + len(rest)])
    assert len(rest) > 100
    bit = 1 << SPEC.flags["no_score"]["underrun"]
    assert [bool(p["why"] & bit) for p in b.records("prediction")][:3] == [False, True, True]


async def test_electrode_site(hardened: Bands, counts) -> None:
    """A band on the forearm with a model of the face: no score, and it says why."""
    async with hardened.start() as b:
        feeding = await running(b, counts(4), sites=(4, 5))
        await b.until(lambda: b.records("prediction"))
        await stopped(b, feeding)
    assert b.records("prediction")[0]["why"] & 1 << SPEC.flags["no_score"]["electrode_site"]


@pytest.mark.slow
async def test_back_pressure(band: Bands, counts) -> None:
    """The band stops reading when its ring is full; what it then takes is still exactly what was sent."""
    fed = counts(12)
    async with band.start() as b:
        feeding = asyncio.create_task(b.feed(fed.messages()))
        await b.boot()
        await b.bond()
        await asyncio.sleep(3)  # nothing is taken yet: ring, UART and sockets fill up
        assert (await b.control(START))[0] == 0
        await asyncio.sleep(4)
        taken = await stopped(b, feeding)
    assert assert_signals_equal(b, fed, 1) == taken
    assert b.records("status")[-1]["underruns"] == 0


async def test_the_band_outlives_its_radio(band: Bands, counts) -> None:
    """QEMU's band goes on without a radio; the native one ends, and cleanly."""
    async with band.start() as b:
        feeding = await running(b, counts(12))
        b.writers["radio"].close()
        if band.kind == "qemu":
            await asyncio.sleep(1.5)
            assert b.process.returncode is None
            await asyncio.wait_for(feeding, 12)  # it still takes samples, so it still runs
        else:
            assert await asyncio.wait_for(b.process.wait(), 5) == 0
        feeding.cancel()
