"""Puts band and face on one clock, host time in Unix seconds: records of both sides in, `FusedPrediction` out; opens nothing.

The latest value of each side holds until it is too old, and counts less the older it gets. Either side may be missing. Beside a
model that is not of pain the face's score is passed on as it is, and nothing is fused.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from typing import Any

from nociband.fusion.weigh import aged, combine, weights
from nociband.records import FaceMeasures, FusedPrediction, Prediction

BAND_LIMIT_S = 2.5  # a prediction a second: one may be lost
FACE_LIMIT_S = 1.0
TICK_S = 0.5        # how long fuse() waits for a record before it says again what still holds

NOT_OF_PAIN = "model_not_of_pain"


class Fuser:
    """Keeps the latest record of each side and fuses them for any moment.

    `of` is what the band's model is of ("pain", "emotion"); each prediction brings its own and replaces it.
    """

    def __init__(self, of: str = "pain", band_limit_s: float = BAND_LIMIT_S, face_limit_s: float = FACE_LIMIT_S) -> None:
        self.of = of
        self._band_limit_s, self._face_limit_s = band_limit_s, face_limit_s
        self._band: Prediction | None = None
        self._face: FaceMeasures | None = None

    def prediction(self, p: Prediction) -> None:
        """Takes the band's latest output."""
        self.of = p.of
        self._band = p

    def face(self, m: FaceMeasures) -> None:
        """Takes the latest frame's measures."""
        self._face = m

    def forget_band(self) -> None:
        """Drops the band's value, for when the link is lost or another session starts."""
        self._band = None

    def forget_face(self) -> None:
        """Drops the face's value, for when the camera is closed."""
        self._face = None

    def now(self, host_time_s: float) -> FusedPrediction:
        """What holds at `host_time_s` (Unix seconds).

        `why` names what each side lacks as "band:REASON" and "face:REASON" ("missing", "stale", "no_quality", or the record's own
        reasons), also when the other side alone gives a score. `quality` is the better side's.
        """
        band_score, band_quality, band_why = _side("band", self._band, host_time_s, self._band_limit_s)
        face_score, face_quality, face_why = _side("face", self._face, host_time_s, self._face_limit_s)
        if self.of != "pain":
            return FusedPrediction(host_time_s=host_time_s, score=None, band_score=None, face_score=face_score, band_weight=0.0,
                                   face_weight=0.0, quality=0.0, why=(NOT_OF_PAIN,))
        band_weight, face_weight = weights(band_quality, face_quality)
        return FusedPrediction(
            host_time_s=host_time_s, score=combine(band_score, face_score, band_weight, face_weight), band_score=band_score,
            face_score=face_score, band_weight=band_weight, face_weight=face_weight, quality=max(band_quality, face_quality),
            why=band_why + face_why,
        )


def _side(name: str, record: Prediction | FaceMeasures | None, host_time_s: float,
          limit_s: float) -> tuple[float | None, float, tuple[str, ...]]:
    """Score, quality at this moment, and what is wrong with it; a score comes only with a quality above 0."""
    if record is None:
        return None, 0.0, (f"{name}:missing",)
    if not abs(host_time_s - record.host_time_s) < limit_s:
        return None, 0.0, (f"{name}:stale",)
    if record.why or record.score is None or not math.isfinite(record.score):
        return None, 0.0, tuple(f"{name}:{reason}" for reason in record.why or ("no_score",))
    quality = aged(record.quality, host_time_s - record.host_time_s, limit_s)
    if quality <= 0:
        return None, 0.0, (f"{name}:no_quality",)
    return record.score, quality, ()


async def fuse(predictions: AsyncIterator[Prediction], faces: AsyncIterator[FaceMeasures], *,
               of: str = "pain", tick_s: float = TICK_S) -> AsyncIterator[FusedPrediction]:
    """Yields what holds after each record of either side, and every `tick_s` while both are silent; ends when both have ended.

    `predictions` may be a band's whole stream: records of other kinds are passed over. An error of either side is raised here.
    For one side alone, give an iterator that ends at once for the other. Opens nothing and closes nothing.
    """
    fuser, clock = Fuser(of), _Clock()
    inbox: asyncio.Queue[Any] = asyncio.Queue(maxsize=64)
    pumps = [asyncio.create_task(_pump(side, inbox)) for side in (predictions, faces)]
    running = len(pumps)
    try:
        while running:
            try:
                record = await asyncio.wait_for(inbox.get(), tick_s)
            except TimeoutError:
                if clock.started:
                    yield fuser.now(clock.now())
                continue
            if isinstance(record, _End):
                running -= 1
                if record.error is not None:
                    raise record.error
                continue
            if isinstance(record, Prediction):
                fuser.prediction(record)
            elif isinstance(record, FaceMeasures):
                fuser.face(record)
            else:
                continue
            yield fuser.now(clock.saw(record.host_time_s))
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


class _End:
    """A side has ended, with the error that ended it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


async def _pump(side: AsyncIterator[Any], inbox: asyncio.Queue[Any]) -> None:
    end = _End()
    try:
        async for record in side:
            await inbox.put(record)
    except Exception as e:  # handed to whoever iterates over fuse()
        end = _End(e)
    await inbox.put(end)


class _Clock:
    """Host time that never goes back: the newest record's, and the seconds that went by since it came.

    Not time.time(): records that are replayed later carry the time of their recording.
    """

    started = False
    _latest_s = _seen_at = 0.0

    def saw(self, host_time_s: float) -> float:
        """Takes a record's time; returns the time now."""
        if not self.started or host_time_s > self._latest_s:
            self._latest_s, self._seen_at, self.started = host_time_s, time.monotonic(), True
        return self._latest_s

    def now(self) -> float:
        """The newest record's time and what went by since."""
        return self._latest_s + time.monotonic() - self._seen_at
