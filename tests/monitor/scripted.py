"""A band and a camera that play a script of real records: what the monitor's tests put in front of the Live hub.

The script's first part is played at once on a clock of its own, so that a page has minutes of history; the rest in real time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from nociband.records import FaceMeasures, FeatureBlock, Prediction, Status
from nociband_tools.live import Live

FRAME_S = 0.04
PAIN = SimpleNamespace(
    name="synthetic_pain5", title="S0 on simulated pain, 5 levels", of="pain", synthetic=True,
    sites=("corrugator", "zygomaticus"), warning="Trained on simulated signals only: says nothing about a person",
    labels=("none", "low", "mid", "high", "severe"))
EMOTION = SimpleNamespace(
    name="fmov_emotion3", title="S0 on FMOV, 3 emotions", of="emotion", synthetic=False, sites=("corrugator", "zygomaticus"),
    warning="Emotion, not pain: this model says nothing about pain", labels=("angry", "happy", "neutral"))


class ScriptClock:
    """Unix seconds; stands where the script is while history is played, then runs."""

    def __init__(self, history_s: float) -> None:
        self._t: float | None = time.time() - history_s if history_s else None

    def __call__(self) -> float:
        return time.time() if self._t is None else self._t

    def at(self, t: float | None) -> None:
        self._t = t


def pain_level(t: float) -> float:
    """A made course of pain, 0-10."""
    return 1.2 + 5.6 * math.exp(-(((t % 60) - 22) / 9) ** 2) + 3.2 * math.exp(-(((t % 47) - 38) / 4) ** 2)


def status(t: float, battery: int = 83, flags: tuple[str, ...] = ("bonded",)) -> Status:
    return Status(0, 0, 0, t, 0.001, "running", battery, flags, 0, 0, 0, 0, 0)


def features(t: float, index: int, level: float, rng: np.random.Generator) -> FeatureBlock:
    """Five frames whose EDA and EMG follow `level`."""
    frame = np.zeros((5, 6), np.int16)
    for i in range(5):
        s = t + i * FRAME_S
        tonic = 4.1 + 0.25 * math.sin(s / 19) + 0.05 * level
        phasic = 0.07 * level * (1 + math.sin(s * 0.9)) ** 2 / 4 + 0.004 * rng.standard_normal()
        emg = [(3.5 + 2.4 * level * (0.7 + 0.5 * math.sin(s * 1.7 + k)) ** 2 + 0.5 * rng.random()) * 16 for k in (0.0, 1.4)]
        logs = [round(math.log2(max(v, 1.0)) * 2048) for v in (emg[0], emg[0], emg[1], emg[1])]
        frame[i] = (round(tonic * 256), round(phasic * 4096), *logs)
    return FeatureBlock(0, index, 0, t, 0.001, index, frame)


def prediction(t: float, model: Any, index: int, level: float, why: tuple[str, ...] = (), quality: float = 0.9) -> Prediction:
    """What a band with `model` says at `t`."""
    n = len(model.labels)
    centre = level / 10 * (n - 1) if model.of == "pain" else (level * 0.31) % (n - 1)
    p = np.exp(-((np.arange(n) - centre) ** 2) / 0.5)
    score = round(level, 3) if model.of == "pain" and not why else None
    return Prediction(0, index, 0, t, 0.001, index, score, model.labels, p / p.sum(), quality, why, (0,) * n, 21000, model.of)


def face(t: float, level: float | None) -> FaceMeasures:
    """A made face in pain of `level`; None: no face in the picture."""
    if level is None:
        return FaceMeasures(t, None, None, None, None, None, None, 0.0, ("no_face",), "synthetic clip")
    a = level / 10
    score = min(10.0, level * 1.08 + 0.4)
    return FaceMeasures(t, a * 0.9, a * 0.7, a * 0.5, a * 0.6, a * 0.25, score, 0.78, (), "synthetic clip")


def course(model: Any, start: float, seconds: float, *, with_face: bool = True, baseline_s: float = 20.0,
           motion: tuple[float, float] = (0, 0), face_lost: tuple[float, float] = (0, 0),
           why: tuple[str, ...] = (), seed: int = 1) -> Iterator[tuple[float, Any]]:
    """(time, record) of a whole session, `start` in Unix seconds."""
    rng = np.random.default_rng(seed)
    yield start, status(start)
    for k in range(int(seconds * 5)):
        t = start + k * 0.2
        rel, level = t - start, pain_level(t - start)
        yield t, features(t, 5 * k, level, rng)
        if with_face and k % 2 == 0:
            yield t, face(t, None if face_lost[0] <= rel < face_lost[1] else level)
        if k % 5 == 4:
            moving = motion[0] <= rel < motion[1]
            reasons = why or (("baseline_unfinished",) if rel < baseline_s else ("motion",) if moving else ())
            dip = max(0.0, 1 - abs(rel - sum(motion) / 2) / 12) if motion[1] else 0.0
            yield t, prediction(t, model, 5 * k + 4, level, reasons, 0.3 if moving else 0.95 - 0.6 * dip)
        if k % 25 == 0:
            yield t, status(t, 83 - k // 400)


class ScriptedBand:
    """What Band offers to the hub. `calls` notes what was asked of it."""

    def __init__(self, model: Any, records: asyncio.Queue[Any], name: str = "Nb0042") -> None:
        self.manifest, self.name, self.is_connected = model, name, True
        self.calls: list[str] = []
        self._records = records

    async def stream(self, *, reconnect: bool, give_up_s: float) -> AsyncIterator[Any]:
        """Records until the script says None; an exception in the script is raised."""
        while (record := await self._records.get()) is not None:
            if isinstance(record, Exception):
                raise record
            yield record

    async def stop(self) -> None:
        self.calls.append("stop")
        self._records.put_nowait(None)

    async def forget(self) -> None:
        self.calls.append("forget")
        self._records.put_nowait(None)


class Stage:
    """A hub in front of a scripted band and camera."""

    def __init__(self, model: Any = PAIN, *, history_s: float = 0.0, camera: bool = True, asks: bool = False,
                 **options: Any) -> None:
        self.model, self.clock = model, ScriptClock(history_s)
        self.band_records: asyncio.Queue[Any] = asyncio.Queue()
        self.face_records: asyncio.Queue[Any] = asyncio.Queue()
        self.band = ScriptedBand(model, self.band_records)
        self.connect_errors: list[Exception] = []
        self.passkeys: list[int] = []
        self.asks = asks
        self.asks_then_fails: Exception | None = None
        self.live = Live(self._connect, face=self._faces if camera else None, clock=self.clock, retry_s=0.1, **options)
        self._tasks: list[asyncio.Task[Any]] = []

    @contextlib.asynccontextmanager
    async def _connect(self, ask) -> AsyncIterator[ScriptedBand]:
        if self.connect_errors:
            raise self.connect_errors.pop(0)
        if self.asks:
            self.passkeys.append(await ask())
            if self.asks_then_fails:
                raise self.asks_then_fails
        yield self.band

    async def _faces(self) -> AsyncIterator[FaceMeasures]:
        while (measures := await self.face_records.get()) is not None:
            yield measures

    def put(self, record: Any) -> None:
        """Hand one record to its side."""
        (self.face_records if isinstance(record, FaceMeasures) else self.band_records).put_nowait(record)

    async def play(self, script: Iterator[tuple[float, Any]]) -> None:
        """Play what lies in the past at once, what is to come at its time."""
        for t, record in script:
            wait = t - time.time()
            if wait > 0:
                self.clock.at(None)
                await asyncio.sleep(wait)
            else:
                self.clock.at(t)
            self.put(record)
            while wait <= 0 and not (self.band_records.empty() and self.face_records.empty()):
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)       # the hub takes the last ones
        self.clock.at(None)

    async def __aenter__(self) -> Stage:
        self._tasks.append(asyncio.create_task(self.live.run()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, script: Iterator[tuple[float, Any]]) -> asyncio.Task[Any]:
        """Play in the background."""
        task = asyncio.create_task(self.play(script))
        self._tasks.append(task)
        return task
