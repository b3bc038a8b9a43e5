"""What the live hub tells its subscribers besides the band's own records: its state, and the queue that brings everything.

Made by nociband_tools.live.Live; read by the monitor, the demo and anyone else who subscribes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from nociband.records import FaceMeasures, FusedPrediction, Record


@dataclass(frozen=True)
class ModelInfo:
    """What the band's manifest says of its model. `of` is "pain" or "emotion"; a 0-10 scale belongs to "pain" only.

    `sites` are the muscles whose EMG the model needs, in channel order.
    """

    name: str
    title: str
    of: str
    warning: str
    labels: tuple[str, ...]
    synthetic: bool = False
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counters:
    """Totals since the hub began. `gaps` are holes in the sequence, `frames_lost` the frames in them."""

    frames: int = 0
    gaps: int = 0
    frames_lost: int = 0
    predictions: int = 0
    predictions_valid: int = 0
    face_updates: int = 0
    fused_updates: int = 0
    reconnections: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class LiveState:
    """What holds now. `link`: searching, pairing, connected, lost or failed; `face`: off, starting, running, ended or failed.

    `needs_passkey` is true while the hub waits for `pair`. `latency_ms_p50`/`p99`: acquisition of a signal frame's oldest sample
    to its delivery here, over the last minute; None before the first. `simulated`: plain words for all that is not real.
    """

    link: str = "searching"
    message: str = ""
    needs_passkey: bool = False
    band: str = ""
    battery_percent: int | None = None
    band_flags: tuple[str, ...] = ()
    model: ModelInfo | None = None
    source: str = ""
    simulated: tuple[str, ...] = ()
    face: str = "off"
    face_message: str = ""
    counters: Counters = field(default_factory=Counters)
    latency_ms_p50: float | None = None
    latency_ms_p99: float | None = None


LiveRecord = Record | FaceMeasures | FusedPrediction | LiveState


class Subscription:
    """A bounded queue of live records; iterate over it, or `await get()`. `dropped` counts what a slow reader lost."""

    def __init__(self, limit: int | None) -> None:
        self._items: deque[LiveRecord] = deque()
        self._limit = limit
        self._ready = asyncio.Event()
        self._ended = False
        self.dropped = 0

    def put(self, record: LiveRecord) -> bool:
        """Append; returns False when the oldest record had to make room."""
        full = self._limit is not None and len(self._items) >= self._limit
        if full:
            self._items.popleft()
            self.dropped += 1
        self._items.append(record)
        self._ready.set()
        return not full

    def close(self) -> None:
        """Nothing more will come; what is queued can still be read."""
        self._ended = True
        self._ready.set()

    async def get(self) -> LiveRecord:
        """The next record. Raises StopAsyncIteration when the hub has ended and the queue is empty."""
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> LiveRecord:
        return await self.get()


def model_info(manifest: Any) -> ModelInfo:
    """What the monitor shows of a manifest (nociband.manifest.Manifest)."""
    return ModelInfo(name=manifest.name, title=manifest.title, of=manifest.of, warning=manifest.warning,
                     labels=tuple(manifest.labels), synthetic=bool(manifest.synthetic), sites=tuple(manifest.sites))
