"""What keeps a demo from being called well, besides what the check of the session finds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from nociband.errors import BandError
from nociband_tools.demo import run as demo
from nociband_tools.demo.plan import Plan
from nociband_tools.live import LiveState

PLAN = Plan("native", "simulator", "synthetic_pain5", 60, "as asked")


def summary(seconds: float = 60.0, valid: int = 40) -> dict:
    return {"seconds": seconds, "predictions_valid": valid, "problems": []}


@pytest.mark.parametrize(("whole", "made", "state", "what"), [
    (False, summary(30, 10), None, "lost before"), (True, summary(30, 40), None, "stopped after 30 s of 60"),
    (True, summary(60, 34), None, "34 valid predictions where at least 35"),
    (True, summary(), LiveState(face="failed", face_message="No camera 3."), "No camera 3.")])
def test_a_run_that_is_not_well(whole: bool, made: dict, state: LiveState | None, what: str) -> None:
    assert what in " ".join(demo.problems_of(PLAN, made, whole, state))


@pytest.mark.parametrize("face", ["off", "running", "ended"])
def test_a_run_that_is_well(face: str) -> None:
    assert demo.problems_of(PLAN, summary(), True, LiveState(face=face)) == []


def test_what_the_emulator_said_is_a_problem() -> None:
    events = [{"event": "looped", "times": 1}, {"event": "failed", "what": "front_end", "why": "No space left on device"}]
    problems = demo._of_the_emulator(SimpleNamespace(events=events))
    assert len(problems) == 1 and "No space left on device" in problems[0]


async def test_a_session_that_does_not_begin_is_not_called_a_timeout() -> None:
    collected = demo.Collected()
    collected.take(LiveState(link="failed", message="The band speaks another wire."))
    band = SimpleNamespace(exited=asyncio.Event(), state=Path("."))
    with pytest.raises(BandError, match="did not begin. The band speaks another wire"):
        await demo._wait_first(collected, band)
