"""The hub: what becomes of links, records, subscribers and commands. No browser."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from nociband.errors import BandDisconnected, BandError, BandNotFound, PairingError, SpecError
from nociband.records import FusedPrediction, Gap, Prediction
from nociband_tools.live import Live, LiveState

from .scripted import EMOTION, PAIN, Stage, course, face, features, prediction


async def until(condition, timeout_s: float = 3.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_predictions_and_faces_are_fused_and_counted() -> None:
    async with Stage(PAIN, history_s=30) as stage:
        seen = stage.live.subscribe(limit=None)
        await stage.play(course(PAIN, time.time() - 30, 30))
        await until(lambda: stage.live.state.counters.predictions == 30)
        counters = stage.live.state.counters
        assert counters.predictions_valid == 10 and counters.face_updates == 75 and counters.dropped == 0
        stage.live.unsubscribe(seen)
        fused = [r async for r in seen if isinstance(r, FusedPrediction)]
        assert len(fused) == counters.fused_updates
        both = [f for f in fused if f.band_weight > 0 and f.face_weight > 0]
        assert both and all(min(f.band_score, f.face_score) <= f.score <= max(f.band_score, f.face_score) for f in both)
        by_face = counters.fused_updates - counters.predictions
        assert 0 < by_face <= 30 * 4
        assert "face: synthetic clip" in stage.live.state.simulated


async def test_nothing_is_fused_beside_a_model_of_emotion() -> None:
    async with Stage(EMOTION, history_s=30) as stage:
        await stage.play(course(EMOTION, time.time() - 30, 30))
        assert stage.live.state.counters.fused_updates == 0 and stage.live.state.counters.face_updates == 75


async def test_a_slow_subscriber_loses_its_oldest_records_and_is_counted() -> None:
    async with Stage(PAIN, history_s=30, camera=False) as stage:
        slow, fast = stage.live.subscribe(limit=10), stage.live.subscribe(limit=None)
        await stage.play(course(PAIN, time.time() - 30, 30, with_face=False))
        assert slow.dropped > 100 and fast.dropped == 0
        assert stage.live.state.counters.dropped == slow.dropped
        stage.live.unsubscribe(slow)
        kept = [r async for r in slow]
        assert len(kept) == 10 and any(isinstance(r, Prediction) and r.frame_index == 749 for r in kept)


async def test_a_gap_is_counted() -> None:
    async with Stage(PAIN, camera=False) as stage:
        stage.put(Gap(0, 10, 7))
        await until(lambda: stage.live.state.counters.gaps == 1)
        assert stage.live.state.counters.frames_lost == 7


async def test_no_band_is_searching_and_goes_on() -> None:
    stage = Stage(PAIN, camera=False)
    stage.connect_errors = [BandNotFound("a band was not heard within 10 s"), OSError("no route"), TimeoutError()]
    async with stage:
        await until(lambda: "not heard" in stage.live.state.message)
        assert stage.live.state.link == "searching"
        await until(lambda: stage.live.state.link == "connected")


@pytest.mark.parametrize("how", ["error", "end", "silence"])
async def test_a_lost_band_is_a_state_and_is_reached_again(how: str) -> None:
    async with Stage(PAIN, camera=False, stall_s=0.5) as stage:
        states = stage.live.subscribe(limit=None)
        stage.put(prediction(time.time(), PAIN, 600, 3.0))
        await until(lambda: stage.live.state.counters.predictions == 1)
        if how != "silence":
            stage.put(BandDisconnected("the link was lost") if how == "error" else None)
        await until(lambda: stage.live.state.counters.reconnections == 1)
        assert stage.live.state.link == "connected"
        stage.live.unsubscribe(states)
        seen = [r async for r in states]
        lost = next(r for r in seen if isinstance(r, LiveState) and r.link == "lost")
        assert "Trying to reconnect" in lost.message
        assert [r.band_score for r in seen if isinstance(r, FusedPrediction)][-1] is None


async def test_a_link_that_is_down_while_the_client_reconnects_is_lost() -> None:
    async with Stage(PAIN, camera=False) as stage:
        await until(lambda: stage.live.state.link == "connected")
        stage.band.is_connected = False
        await until(lambda: stage.live.state.link == "lost")
        stage.band.is_connected = True
        stage.put(features(time.time(), 0, 1.0, np.random.default_rng(0)))
        await until(lambda: stage.live.state.link == "connected")
        assert stage.live.state.counters.reconnections == 1


async def test_an_incompatible_band_fails_until_a_person_tries_again() -> None:
    stage = Stage(PAIN, camera=False)
    stage.connect_errors = [SpecError("the band speaks wire version 2: update this software")]
    async with stage:
        await until(lambda: stage.live.state.link == "failed")
        assert "wire version 2" in stage.live.state.message
        await asyncio.sleep(0.3)
        assert stage.live.state.link == "failed"
        stage.live.retry()
        await until(lambda: stage.live.state.link == "connected")


async def test_an_unexpected_fault_is_shown_not_raised() -> None:
    stage = Stage(PAIN, camera=False)
    stage.connect_errors = [KeyError("x")]
    async with stage:
        await until(lambda: stage.live.state.link == "failed")
        assert "Internal error: KeyError" in stage.live.state.message


async def test_pairing_asks_and_a_wrong_passkey_is_asked_again() -> None:
    async with Stage(PAIN, asks=True) as stage:
        await until(lambda: stage.live.state.needs_passkey)
        assert stage.live.state.link == "pairing"
        with pytest.raises(PairingError, match="six digits"):
            stage.live.pair(1_000_000)
        stage.asks_then_fails = PairingError("wrong passkey")
        stage.live.pair(111111)
        await until(lambda: stage.live.state.link == "failed")
        assert stage.live.state.needs_passkey and stage.passkeys == [111111]
        await asyncio.sleep(0.3)
        assert stage.passkeys == [111111]       # not tried again without a person
        stage.asks_then_fails = None
        stage.live.pair(222222)
        await until(lambda: stage.live.state.link == "connected")
        with pytest.raises(BandError, match="forget it first"):
            stage.live.pair(1)
        await stage.live.forget()
        await until(lambda: stage.live.state.needs_passkey)
        with pytest.raises(BandError, match="no band is connected"):
            await stage.live.forget()


async def test_a_passkey_given_beforehand_needs_no_person() -> None:
    async with Stage(PAIN, asks=True, passkey=123456) as stage:
        await until(lambda: stage.live.state.link == "connected")
        assert stage.passkeys == [123456]


async def test_stop_delivers_what_is_under_way_and_ends_everything() -> None:
    stage = Stage(PAIN, camera=False)
    seen = stage.live.subscribe(limit=None)
    runner = asyncio.create_task(stage.live.run())
    await until(lambda: stage.live.state.link == "connected")
    stage.put(prediction(time.time(), PAIN, 600, 3.0))
    await stage.live.stop()
    async with asyncio.timeout(2):
        await runner
        records = [r async for r in seen]
    assert stage.band.calls == ["stop"] and any(isinstance(r, Prediction) for r in records)


async def test_stop_while_searching_is_quick() -> None:
    stage = Stage(PAIN, camera=False)
    stage.connect_errors = [BandNotFound("none")] * 100
    runner = asyncio.create_task(stage.live.run())
    await asyncio.sleep(0.2)
    begin = time.monotonic()
    await stage.live.stop()
    await runner
    assert time.monotonic() - begin < 1


async def test_a_camera_that_fails_is_a_state_and_the_band_goes_on() -> None:
    async def broken():
        raise OSError("camera 0 cannot be opened")
        yield

    stage = Stage(PAIN, camera=False)
    stage.live = Live(stage._connect, face=broken)
    async with stage:
        await until(lambda: stage.live.state.face == "failed")
        assert stage.live.state.face_message == "Camera 0 cannot be opened."
        stage.put(prediction(time.time(), PAIN, 600, 3.0))
        await until(lambda: stage.live.state.counters.fused_updates == 1)


async def test_faces_alone_are_fused_at_most_four_times_a_second() -> None:
    async with Stage(PAIN) as stage:
        await until(lambda: stage.live.state.link == "connected")
        for _ in range(60):
            stage.put(face(time.time(), 4.0))
            await asyncio.sleep(1 / 60)
        assert 3 <= stage.live.state.counters.fused_updates <= 6
