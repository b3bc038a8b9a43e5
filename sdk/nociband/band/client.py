"""The band as an application sees it: connect, check, pair, stream records, stop.

    async with Band.connect(await find_band(timeout_s=10), passkey=ask) as band:
        async for record in band.stream():
            ...

Frames come from band.link through a bounded band.inbox; wire.reader makes records of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from nociband.band.backend import Backend, Passkey, passkey_function
from nociband.band.discovery import Found, find_band
from nociband.band.inbox import FRAMES_MAX, Inbox
from nociband.band.link import Link, NotSecure, Refused
from nociband.band.session import BandInfo, TimeSync, exchange_time, read_info, read_manifest
from nociband.errors import BandDisconnected, BandError, NocibandError, PairingError, SpecError, WireError
from nociband.manifest import Manifest
from nociband.records import Record, Status
from nociband.wire import Account, ClockFit, StreamReader, decode_frame, peek_epoch, peek_kind
from nociband.wire.reader import status_record

Tap = Callable[[bytes, float], None]

SILENCE_S = 4.0             # a running band sends 25 frames a second, and at the least 6
READY_TIMEOUT_S, READY_RETRY_S = 10.0, 0.25
FINAL_STATUS_TIMEOUT_S = 1.0
EXCHANGES_AT_FIRST, EXCHANGE_EVERY_S = 8, 10.0
RECONNECT_PAUSE_S = 1.0
CLOSE_TIMEOUT_S = 3.0


class Band:
    """A connected, checked and paired band. Made by `Band.connect`; `manifest` and `info` are what it states of itself."""

    info: BandInfo
    manifest: Manifest

    def __init__(self, found: Found, frames_max: int = FRAMES_MAX) -> None:
        self.name, self.address = found.name, found.address
        self.clock = ClockFit()
        self._found = found
        self._inbox = Inbox(frames_max)
        self._link: Link = self._new_link()
        self._reader: StreamReader | None = None
        self._streaming = self._running = self._stopping = self._rejoined = False
        self.sessions = 0       # begun on this connection
        self._epoch: int | None = None
        self._heard_s = 0.0
        self._final: asyncio.Future[Status] | None = None
        self._frames_in_all: int | None = None
        self._keeping_time: asyncio.Task[None] | None = None

    # --- Connection ----------------------------------------------------------------------------------------------------

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, found: Found, *, passkey: Passkey = None, backend: Backend | None = None,
                      frames_max: int = FRAMES_MAX) -> AsyncIterator[Band]:
        """Connect to a band that was found; pair when it asks for it; disconnect at the end of the `async with`.

        passkey: the six digits on the band's label, as int or str, or a function (async or not) that asks for them; it is
        called only when pairing is needed, and never where the operating system asks by itself. backend: found.backend when
        None. frames_max: how many frames wait for a slow application before some are thrown away and told as a Gap.
        Raises SpecError (another wire or specification, or a manifest that does not hold together), PairingError, BandError.
        """
        if backend is not None and backend is not found.backend:
            found = Found(found.name, found.address, found.rssi_dbm, found.device, backend)
        band = cls(found, frames_max)
        try:
            await band._open(passkey)
            await exchange_time(band._link, band.clock, EXCHANGES_AT_FIRST)
            yield band
        finally:
            await band._close()

    @property
    def is_connected(self) -> bool:
        """True while the link is up."""
        return self._link.is_up

    def _new_link(self) -> Link:
        return Link(self._found, self._on_frame, self._on_lost)

    async def _open(self, passkey: Passkey) -> None:
        """Link, info, security, manifest, subscriptions, in the order in which each may refuse the next."""
        await self._link.open()
        self.info = await read_info(self._link)
        await self._secure(passkey)
        known = getattr(self, "manifest", None)
        if known is None or not known.hash.startswith(self.info.model_hash.hex()):
            self.manifest = await read_manifest(self._link, self.info.model_hash)
        await self._link.subscribe()

    async def _secure(self, passkey: Passkey) -> None:
        """Pair if the band does not let us read its status."""
        backend = self._found.backend
        backend.passkey = passkey_function(passkey)
        try:
            await self._link.read("status")
        except NotSecure:
            await self._link.pair()
            await self._link.read("status")
        finally:
            backend.passkey = None

    async def _close(self) -> None:
        self._stop_keeping_time()
        if self._running and self._link.is_up:
            with contextlib.suppress(NocibandError, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._link.control("stop")
        self._running = False
        await self._link.close()

    # --- The stream ----------------------------------------------------------------------------------------------------

    async def stream(self, *, reconnect: bool = False, give_up_s: float = 300.0,
                     tap: Tap | None = None) -> AsyncIterator[Record]:
        """Start a session and yield its records in order until `stop` was called and the last one is out.

        Frames that are missing are told as a Gap before the record that follows them. When the link is lost:
        BandDisconnected, or with reconnect=True up to give_up_s seconds of reconnecting with the bond that there is; the same
        session then goes on after a Gap (or a new one begins, should the band have restarted). `tap(data, received_s)` is
        given every notification as it came, before it is decoded: for recorders.
        """
        if self._streaming:
            raise BandError("this band is being streamed already: use one `async for` and hand its records on")
        self._streaming = True
        try:
            await self._start(fresh=True)
            while True:
                records = await self._next_records(reconnect, give_up_s, tap)
                if records is None:
                    break
                for record in records:
                    yield record
            for record in self._missing_at_the_end():
                yield record
        finally:
            self._streaming = False
            self._stop_keeping_time()
            await self._end_quietly()

    async def stop(self) -> Status:
        """End the session; the band's last status. `stream` then yields what is still on its way, and ends.

        May be called from within the `async for` or from another task. Raises BandError when the band does not answer.
        """
        if not self._running:
            return await self.status()
        self._stopping = True
        self._final = asyncio.get_running_loop().create_future()
        try:
            await self._link.control("stop")
            status = await asyncio.wait_for(asyncio.shield(self._final), FINAL_STATUS_TIMEOUT_S)
        except (TimeoutError, Refused):     # the last status was lost on its way, or the session had ended by itself
            status = await self.status()
            self._frames_in_all = status.frames_sent + status.frames_dropped
        finally:
            self._final = None
            if not self._link.is_up:
                self._on_lost()
        self._running = False
        self._inbox.end()
        return status

    @property
    def epoch(self) -> int | None:
        """Number of the current or last session, None before the first."""
        return self._epoch

    @property
    def frames_in_all(self) -> int | None:
        """How many frames the last session had, once it ended as it should."""
        return self._frames_in_all

    @property
    def account(self) -> Account:
        """What came and what did not in the current or last session."""
        return self._reader.account if self._reader else Account()

    async def _start(self, fresh: bool) -> None:
        """Begin a session on the band and follow it. A session that a former host left running is ended first."""
        self._stopping = False
        self._frames_in_all = None
        self._rejoined = False
        self._inbox.reset()
        answer = await self._ask_to_start()
        self._epoch, self.sessions = answer, self.sessions + 1
        self._running, self._heard_s = True, time.monotonic()
        if fresh or self._reader is None:
            self._reader = StreamReader(self.manifest, self.clock)
        self._reader.begin(answer)
        self._stop_keeping_time()
        self._keeping_time = asyncio.create_task(self._keep_time())

    async def _ask_to_start(self) -> int:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                return (await self._link.control("start")).values["epoch"]
            except Refused as e:
                if e.result == "wrong_state":
                    with contextlib.suppress(Refused):
                        await self._link.control("stop")
                elif e.result != "not_ready":
                    raise
                if time.monotonic() > deadline:
                    raise BandError(f"the band does not start a session ({e.result.replace('_', ' ')}): see that its electrodes' "
                                    "front end is connected, then switch it off and on") from e
                await asyncio.sleep(READY_RETRY_S)

    async def _next_records(self, reconnect: bool, give_up_s: float, tap: Tap | None) -> list[Record] | None:
        """What the next frame tells; None at the end of the session."""
        assert self._reader is not None
        try:
            frame = await self._inbox.get(SILENCE_S)
        except BandDisconnected:
            silent_s = time.monotonic() - self._heard_s
            if self._stopping or not reconnect or not self._running or silent_s > give_up_s + SILENCE_S:
                raise
            if await self._reconnect(give_up_s):
                return []
            gone = self._reader.abandon()       # the band restarted: what was begun cannot be finished
            await self._start(fresh=False)
            return gone
        if frame is None:
            return None
        self._heard_s = time.monotonic()
        if self._rejoined and peek_epoch(frame[0]) not in (None, self._epoch):      # another host began one of its own
            gone = self._reader.abandon()
            await self._start(fresh=False)
            return gone
        if tap is not None:
            tap(*frame)
        self._reader.overflowed(self._inbox.take_overflow())
        return self._reader.feed(*frame)

    def _missing_at_the_end(self) -> list[Record]:
        if self._reader is None or self._frames_in_all is None:
            return []
        return self._reader.finish(self._frames_in_all)

    async def _reconnect(self, give_up_s: float) -> bool:
        """Back to the same band; True when its session goes on, False when it has none. Raises BandDisconnected, PairingError."""
        deadline, model, clock_steps = time.monotonic() + give_up_s, self.info.model_hash, self.clock.steps
        while not self._stopping:
            try:
                await self._link.close()
                self._found = await find_band(5.0, self._found.backend, self.address)
                self._link = self._new_link()
                await self._open(None)
                if self.info.model_hash != model:
                    raise SpecError("the band came back with another model: connect to it again")
                await exchange_time(self._link, self.clock, EXCHANGES_AT_FIRST // 2)
                self._inbox.resume()
                self._rejoined = True
                # With a clock that began anew it has restarted, and what runs on it is another host's session.
                return (await self.status()).state == "running" and self.clock.steps == clock_steps
            except (PairingError, SpecError):
                raise
            except BandError as e:
                if time.monotonic() + RECONNECT_PAUSE_S > deadline:
                    raise BandDisconnected(f"the link was lost and did not come back within {give_up_s:g} s ({e})") from e
                await asyncio.sleep(RECONNECT_PAUSE_S)
        raise BandDisconnected("the link was lost before the session could be ended: the band ends it when a host connects again")

    async def _keep_time(self) -> None:
        """An exchange every now and then; one that fails is the stream's business, not the clock's."""
        while True:
            await asyncio.sleep(EXCHANGE_EVERY_S)
            with contextlib.suppress(NocibandError):
                await exchange_time(self._link, self.clock, 1)

    def _stop_keeping_time(self) -> None:
        if self._keeping_time is not None:
            self._keeping_time.cancel()
            self._keeping_time = None

    async def _end_quietly(self) -> None:
        """The application left the loop: do not leave the band running for nobody."""
        if self._running and self._link.is_up:
            self._running = False
            with contextlib.suppress(NocibandError, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._link.control("stop")
        self._running = False

    # --- What the radio tells (called by it, so: quick) ----------------------------------------------------------------

    def _on_frame(self, data: bytes, received_s: float) -> None:
        self._inbox.put(data, received_s)
        if self._final is not None and not self._final.done() and peek_kind(data) == "status":
            with contextlib.suppress(WireError):
                frame = decode_frame(data)
                status = self._status(frame.values, frame.epoch, frame.seq, frame.t_us)
                if frame.epoch == self._epoch and status.state != "running":
                    self._frames_in_all = frame.seq + 1
                    self._final.set_result(status)

    def _on_lost(self) -> None:
        self._inbox.fail(BandDisconnected(f"the link to {self.name} was lost: bring the band into reach and connect again"))

    # --- Other questions -----------------------------------------------------------------------------------------------

    def _status(self, values: Mapping[str, Any], epoch: int, seq: int, t_us: int) -> Status:
        host_s, uncertainty_s = self.clock.to_host(t_us)
        return status_record(values, epoch=epoch, seq=seq, t_us=t_us, host_s=host_s, uncertainty_s=uncertainty_s)

    async def status(self) -> Status:
        """The band's state now (its `seq` is that of the next frame). Raises BandError."""
        values = await self._link.read("status")
        seq = self._reader.next_seq if self._reader else 0
        return self._status(values, self._epoch or 0, seq, self.clock.to_device_us(time.time()))

    async def time_sync(self, rounds: int = EXCHANGES_AT_FIRST) -> TimeSync:
        """Exchange times now, `rounds` times; how well the band's clock is known. Raises BandError."""
        await exchange_time(self._link, self.clock, rounds)
        now_us = self.clock.to_device_us(time.time())
        return TimeSync(self.clock.to_host(now_us)[1], self.clock.drift * 1e6, self.clock.drift_uncertainty * 1e6,
                        self.clock.exchanges)

    async def forget(self) -> None:
        """Delete every bond on the band, and this host's key of it. The band then closes the link. Raises BandError."""
        await self._link.last_wish("forget")
        self._running = False
        await self._link.unpair()
        await self._link.close()
        self._inbox.fail(BandDisconnected(f"{self.name} was told to forget its hosts: press its button and pair to use it again"))
