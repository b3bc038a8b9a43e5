"""The live pipeline as one hub: a band's records and a camera's face measures come in, everything goes out to subscribers.

Data comes from `band.stream()` (nociband.band) and an async iterator of FaceMeasures (nociband.vision); predictions of a pain
model and face measures are fused on one clock (nociband.fusion). It goes to whoever subscribed: the monitor, the demo's
checker, a recorder. A subscriber that is slow loses its oldest records, which is counted, and never slows the band.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from nociband.errors import BandDisconnected, BandError, NocibandError, PairingError
from nociband.records import FaceMeasures, Gap, Prediction, Record, SignalBlock, Stamp, Status
from nociband_tools.live_state import Counters, LiveRecord, LiveState, ModelInfo, Subscription, model_info

__all__ = ["Counters", "Live", "LiveRecord", "LiveState", "ModelInfo", "Subscription", "model_info"]

log = logging.getLogger(__name__)

AskPasskey = Callable[[], Awaitable[int]]
Connector = Callable[[AskPasskey], AbstractAsyncContextManager[Any]]
FaceSource = Callable[[], AsyncIterator[FaceMeasures]]

PASSKEY_MAX = 999_999
CONNECT_TIMEOUT_S = 90.0      # finding, and a person typing a passkey, included
PASSKEY_WAIT_S = 25.0         # the Security Manager gives up after 30 s
RECONNECT_S = 30.0            # so long the band client tries by itself to go on with the same session
POLL_S = 0.5
SEARCHING = "Looking for a band."
CLOSE_TIMEOUT_S = 5.0         # a peer that vanished must not hold up the goodbye
LATENCIES_KEPT = 1500         # one minute of signal frames


class Live:
    """Band and face as one stream.

    `connect(ask)` returns an async context manager that finds, secures and yields a Band; it calls the coroutine function `ask`
    for the passkey only when it has to pair. `face()` returns an async iterator of FaceMeasures, or is None. `passkey` answers
    the first pairing without a person. `source` and `simulated` say in plain words what is measured and what of it is not real.
    `face_hz` bounds the fused updates that face measures cause; `stall_s` of silence counts as a lost band.
    """

    def __init__(self, connect: Connector, *, face: FaceSource | None = None, passkey: int | None = None, source: str = "",
                 simulated: tuple[str, ...] = (), face_hz: float = 4.0, stall_s: float = 10.0, retry_s: float = 1.0,
                 clock: Callable[[], float] = time.time) -> None:
        self._connect, self._face_source, self.clock = connect, face, clock
        self._stall_s, self._retry_s, self._face_interval_s = stall_s, retry_s, 1.0 / face_hz
        self._passkey = None if passkey is None else checked_passkey(passkey)
        self._base = LiveState(source=source, simulated=tuple(simulated), face="off" if face is None else "starting")
        self._state, self._counters = self._base, Counters()
        self._latency_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._subscribers: list[Subscription] = []
        self._band: Any = None
        self._fuser: Any = None
        self._face_fused_at = -1e9
        self._told = asyncio.Event()        # a person answered: a passkey, or "try again"
        self._stopping = asyncio.Event()
        self._forgotten = self._passkey_used = False

    # --- What anyone may look at ---------------------------------------------------------------------------------------

    @property
    def state(self) -> LiveState:
        """A snapshot of the hub, counters and latencies included."""
        p50, p99 = np.percentile(self._latency_ms, [50, 99]).round(2).tolist() if self._latency_ms else (None, None)
        return replace(self._state, counters=self._counters, latency_ms_p50=p50, latency_ms_p99=p99)

    def subscribe(self, limit: int | None = 1024) -> Subscription:
        """From now on every record, fused prediction and change of state. `limit=None` keeps all: for checkers of short runs."""
        subscription = Subscription(limit)
        subscription.put(self.state)
        self._subscribers.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop feeding it."""
        if subscription in self._subscribers:
            self._subscribers.remove(subscription)
        subscription.close()

    @property
    def _reachable(self) -> bool:
        return self._band is not None and self._state.link == "connected"

    # --- What a person may ask for -------------------------------------------------------------------------------------

    def pair(self, passkey: int) -> None:
        """Pair with the passkey from the band's label. Raises PairingError unless it is 0-999999, BandError when connected."""
        if self._state.link == "connected":
            raise BandError("a band is connected already: forget it first to pair again")
        self._passkey, self._passkey_used = checked_passkey(passkey), False
        self._set(needs_passkey=False, link="pairing", message="Pairing with the band.")
        self._told.set()

    def retry(self) -> None:
        """Try again after a failure."""
        self._told.set()

    async def forget(self) -> None:
        """Delete the bond on the band and here, and wait for a new pairing. Raises BandError when no band is connected."""
        if self._band is None:
            raise BandError("no band is connected: bring it into reach first, then forget it")
        self._forgotten, self._passkey = True, None
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._band.forget()
        except TimeoutError as e:
            self._forgotten = False
            raise BandError("the band did not answer: it may still know this host; bring it closer and try again") from e
        except NocibandError:
            self._forgotten = False
            raise

    async def stop(self) -> None:
        """End the band's session and then `run`. Records that are under way are still delivered."""
        self._stopping.set()
        self._told.set()
        if self._reachable:
            with contextlib.suppress(NocibandError, OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._band.stop()

    # --- Running -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until `stop`, or until cancelled. Trouble with band or camera becomes a visible state, not an exception."""
        band = asyncio.create_task(self._guarded(self._band_side(), "link"))
        face = asyncio.create_task(self._guarded(self._face_side(), "face"))
        try:
            await self._stopping.wait()
            face.cancel()
            if self._reachable:      # its last frames are under way
                await asyncio.wait({band}, timeout=CLOSE_TIMEOUT_S)
        finally:
            for task in (band, face):
                task.cancel()
            await asyncio.gather(band, face, return_exceptions=True)
            for subscription in self._subscribers:
                subscription.close()

    async def _guarded(self, side: Awaitable[None], name: str) -> None:
        """The last net: a fault of our own is shown and logged, and the other side goes on."""
        try:
            await side
        except Exception as e:
            log.error("%s side: %s: %s", name, type(e).__name__, e, exc_info=log.isEnabledFor(logging.DEBUG))
            message = "message" if name == "link" else "face_message"
            self._set(**{name: "failed", message: f"Internal error: {type(e).__name__}: {e}"})

    async def _band_side(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._session()
            except (NocibandError, OSError, TimeoutError) as e:
                await self._after(e)

    async def _after(self, error: Exception) -> None:
        """A session ended with `error`: say so, and wait for a person or a moment, whichever can help."""
        if self._forgotten:
            self._forgotten = False
            self._set(link="pairing", needs_passkey=True, battery_percent=None, band_flags=(), model=None, band="",
                      message="The band is forgotten. To use one, press its button and enter the passkey on its label.")
            await self._wait_for_passkey()
        elif isinstance(error, PairingError):
            if self._passkey_used:      # it was wrong: asking the band again would only close its pairing window
                self._passkey = None
            unanswered = self._state.needs_passkey
            self._set(link="pairing" if unanswered else "failed", message=_sentence(error), needs_passkey=True)
            await self._wait_for_passkey()
        elif isinstance(error, (BandError, OSError)) or self._state.link == "lost":
            if self._state.link in ("connected", "lost"):
                self._lose(error)
            else:
                self._set(link="searching", needs_passkey=False, message=_sentence(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._retry_s)
        else:       # another specification, a damaged manifest, something that is not installed: only a person can help
            self._set(link="failed", message=_sentence(error))
            self._told.clear()
            await self._told.wait()
            self._set(link="searching", message=SEARCHING)

    def _lose(self, error: Exception) -> None:
        """The band was there and is gone: what it said last no longer counts."""
        if self._state.link == "connected" and self._fuser is not None:
            self._fuser.forget_band()
            self._emit_fused()
        self._set(link="lost", message=f"{_sentence(error)} Trying to reconnect.")

    async def _wait_for_passkey(self) -> None:
        while self._passkey is None and not self._stopping.is_set():
            self._told.clear()
            await self._told.wait()

    async def _session(self) -> None:
        """Connect, then take records until the session or the link ends."""
        if self._state.link not in ("lost", "pairing"):
            self._set(link="searching", message=self._state.message or SEARCHING)
        stack = AsyncExitStack()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                band = await stack.enter_async_context(self._connect(self._ask_passkey))
            self._greet(band)
            await self._take_all(band)
        finally:
            self._band = None
            with contextlib.suppress(NocibandError, OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await stack.aclose()

    async def _ask_passkey(self) -> int:
        """Called by the band client when it has to pair. A person gets 25 s; after that the hub waits before it tries again."""
        if self._passkey is None:
            self._told.clear()
            self._set(link="pairing", needs_passkey=True, message="Press the band's button and enter the passkey on its label.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), PASSKEY_WAIT_S)
        if self._passkey is None:
            raise PairingError("no passkey yet: press the band's button and enter the passkey on its label")
        self._passkey_used = True
        return self._passkey

    def _greet(self, band: Any) -> None:
        from nociband.fusion import Fuser

        model = model_info(band.manifest)
        if model != self._state.model or self._fuser is None:
            self._fuser = Fuser() if model.of == "pain" else None
        self._band = band
        self._link_is_up(model=model, band=band.name)

    def _link_is_up(self, **what: Any) -> None:
        if self._state.link == "lost":
            self._counters = replace(self._counters, reconnections=self._counters.reconnections + 1)
        self._set(link="connected", message="", needs_passkey=False, **what)

    async def _take_all(self, band: Any) -> None:
        """Take records until the session ends. The band client reconnects by itself; meanwhile the state says "lost"."""
        stream = aiter(band.stream(reconnect=True, give_up_s=RECONNECT_S))
        upcoming, heard_at = None, time.monotonic()
        try:
            while True:
                upcoming = upcoming or asyncio.create_task(_next_of(stream))
                await asyncio.wait({upcoming}, timeout=POLL_S)
                if not upcoming.done():
                    self._watch(band, time.monotonic() - heard_at)
                    continue
                record, upcoming, heard_at = upcoming.result(), None, time.monotonic()
                if record is None:
                    break
                if self._state.link == "lost" and band.is_connected:
                    self._link_is_up()
                self._take(record)
        finally:
            await self._leave(stream, upcoming)
        if not self._stopping.is_set():
            raise BandDisconnected("the band ended its session")

    def _watch(self, band: Any, silent_s: float) -> None:
        """Nothing came for a moment: is the link down, or is a link that claims to be up mute?"""
        if not band.is_connected and not self._forgotten:
            if self._state.link == "connected":
                self._lose(BandDisconnected("the link to the band was lost"))
        elif silent_s > self._stall_s:
            raise BandDisconnected(f"nothing came from the band for {self._stall_s:g} s")

    async def _leave(self, stream: AsyncIterator[Record], upcoming: asyncio.Task[Record | None] | None) -> None:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.wait({upcoming}, timeout=CLOSE_TIMEOUT_S)
        if inspect.isasyncgen(stream):
            with contextlib.suppress(NocibandError, OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await stream.aclose()

    async def _face_side(self) -> None:
        if self._face_source is None:
            return
        try:
            async for measures in self._face_source():
                if self._state.face != "running":
                    self._face_begins(measures)
                self._take_face(measures)
        except (NocibandError, OSError) as e:
            self._set(face="failed", face_message=_sentence(e))
            return
        self._set(face="ended", face_message="The video has ended.")

    def _face_begins(self, first: FaceMeasures) -> None:
        label = f"face: {first.source}"
        made = first.source.startswith("synthetic") and label not in self._state.simulated
        self._set(face="running", face_message="", simulated=self._state.simulated + ((label,) if made else ()))

    # --- What happens to each record -----------------------------------------------------------------------------------

    def _take(self, record: Record) -> None:
        c = self._counters
        if isinstance(record, Stamp):
            c = replace(c, frames=c.frames + 1)
        if isinstance(record, Gap):
            c = replace(c, gaps=c.gaps + 1, frames_lost=c.frames_lost + record.lost)
        elif isinstance(record, SignalBlock):
            self._latency_ms.append((self.clock() - record.host_time_s) * 1e3)
        elif isinstance(record, Prediction):
            c = replace(c, predictions=c.predictions + 1, predictions_valid=c.predictions_valid + (not record.why))
        self._counters = c
        if isinstance(record, Status):
            self._set(battery_percent=record.battery_percent, band_flags=record.flags)
        self._emit(record)
        if isinstance(record, Prediction) and self._fuser is not None:
            self._fuser.prediction(record)
            self._emit_fused()

    def _take_face(self, measures: FaceMeasures) -> None:
        self._counters = replace(self._counters, face_updates=self._counters.face_updates + 1)
        self._emit(measures)
        if self._fuser is None:
            return
        self._fuser.face(measures)
        now = self.clock()
        if now - self._face_fused_at >= self._face_interval_s:
            self._face_fused_at = now
            self._emit_fused()

    def _emit_fused(self) -> None:
        self._counters = replace(self._counters, fused_updates=self._counters.fused_updates + 1)
        self._emit(self._fuser.now(self.clock()))

    def _emit(self, record: LiveRecord) -> None:
        for subscription in self._subscribers:
            if not subscription.put(record):
                self._counters = replace(self._counters, dropped=self._counters.dropped + 1)

    def _set(self, **changes: Any) -> None:
        """Change the state, and tell subscribers if it did change."""
        changed = replace(self._state, **changes)
        if changed != self._state:
            self._state = changed
            self._emit(self.state)


async def _next_of(stream: AsyncIterator[Record]) -> Record | None:
    """The next record, None at the end of the stream."""
    return await anext(stream, None)


def checked_passkey(value: Any) -> int:
    """The passkey as int. Raises PairingError unless it is six digits' worth."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= PASSKEY_MAX:
        raise PairingError("a passkey has six digits: read it from the band's label")
    return value


def _sentence(error: BaseException) -> str:
    text = str(error) or ("The band did not answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
