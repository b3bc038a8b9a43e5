"""One Bluetooth link to a band: reads, writes, the control point and notifications, with this project's errors.

Works on a bleak client (the system's or a backend's); band.client decides what to say over it. Everything that bleak raises
comes out as BandError, BandDisconnected or PairingError with what to do next.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from bleak import BleakClient
from bleak.exc import BleakDBusError, BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError

from nociband.band.discovery import Found, service_of
from nociband.errors import BandDisconnected, BandError, NocibandError, PairingError
from nociband.spec import SPEC

CONNECT_TIMEOUT_S = 15.0
IO_TIMEOUT_S = 8.0
PAIRING_TIMEOUT_S = 45.0        # the Security Manager gives up after 30 s without a step
# ATT errors for "pair first": insufficient authentication, authorization, key size, encryption.
_INSECURE = (0x05, 0x08, 0x0C, 0x0F)
_ATT_BUSY = 0xFE                # procedure already in progress: the band's queue is full, ask again
_BUSY_RETRIES, _BUSY_WAIT_S = 20, 0.05
LOST = "the link to the band was lost: bring it into reach and connect again"
_RESULTS = {number: name for name, number in SPEC.enums["result"].items()}


class NotSecure(PairingError):
    """The band wants an encrypted, authenticated link for what was asked."""


class Refused(BandError):
    """The band answered a control operation with a result other than ok; `result` is its name in wire.toml."""

    def __init__(self, operation: str, result: str) -> None:
        super().__init__(f"the band refused {operation!r}: {result.replace('_', ' ')}")
        self.result = result


@dataclass(frozen=True)
class Answer:
    """Response of the control point, and host times (Unix seconds) before the request and at the response's arrival."""

    values: dict[str, Any]
    sent_s: float
    received_s: float


def _uuid(name: str) -> str:
    return str(SPEC.characteristics[name].uuid)


class Link:
    """A link to `found`. `on_frame(data, received_s)` gets stream notifications, `on_lost()` is told of an unwished end."""

    def __init__(self, found: Found, on_frame: Callable[[bytes, float], None], on_lost: Callable[[], None],
                 clock: Callable[[], float] = time.time) -> None:
        self._on_frame, self._on_lost, self._clock = on_frame, on_lost, clock
        self._answer: tuple[int, asyncio.Future[tuple[bytes, float]]] | None = None
        self._control_lock = asyncio.Lock()
        self._closing = False
        self._taken = False     # the band has confirmed the last request's write
        self._client = BleakClient(found.device, self._lost, timeout=CONNECT_TIMEOUT_S, backend=found.backend.client)

    @property
    def is_up(self) -> bool:
        """True while the link is connected."""
        return self._client.is_connected

    async def open(self) -> None:
        """Connect and find the band's service. Raises BandError."""
        async with self._errors("connecting", CONNECT_TIMEOUT_S + IO_TIMEOUT_S):
            await self._client.connect()
        if not service_of(self._client):
            await self.close()
            raise BandError("this device has no band service: it is not a Nociband, or its Bluetooth stack shows an old list "
                            "of services (forget it in the system's Bluetooth settings, then try again)")

    async def close(self) -> None:
        """End the link; errors on the way out do not matter any more."""
        self._closing = True
        with contextlib.suppress(NocibandError):
            async with self._errors("disconnecting", IO_TIMEOUT_S):
                await self._client.disconnect()

    async def pair(self) -> None:
        """Pair; the backend asks for the passkey. Raises PairingError."""
        try:
            async with self._errors("pairing", PAIRING_TIMEOUT_S):
                await self._client.pair()
        except NotImplementedError:
            return      # macOS pairs by itself on the first access that needs it
        except PairingError:
            raise
        except BandError as e:
            raise PairingError(f"pairing failed ({e}): press the band's button, which lets it pair for "
                               f"{SPEC.wire['pairing']['window_s']} s, and try again with the passkey on its label") from e

    async def unpair(self) -> None:
        """Delete this host's key, where the system lets a program do so."""
        with contextlib.suppress(NotImplementedError, NocibandError):
            async with self._errors("forgetting", IO_TIMEOUT_S):
                await self._client.unpair()

    async def read(self, name: str) -> dict[str, Any]:
        """Fields of a characteristic's record. Raises NotSecure, BandError, WireError."""
        record = SPEC.characteristics[name].record
        assert record is not None
        async with self._errors(f"reading {name}", IO_TIMEOUT_S):
            return SPEC.records[record].unpack(bytes(await self._client.read_gatt_char(_uuid(name))))

    async def write(self, name: str, data: bytes) -> None:
        """Write a characteristic with response. Raises NotSecure, BandError."""
        async with self._errors(f"writing {name}", IO_TIMEOUT_S):
            await self._client.write_gatt_char(_uuid(name), data, response=True)

    async def subscribe(self) -> None:
        """Take the control point's answers and the stream's frames."""
        async with self._errors("subscribing", IO_TIMEOUT_S):
            # BlueZ: AcquireNotify; the default StartNotify goes through D-Bus signals and loses bursts.
            bluez: Any = {"use_start_notify": False}
            client, clock = self._client, self._clock
            await client.start_notify(_uuid("control"), lambda _, data: self._take_answer(bytes(data)), bluez=bluez)
            await client.start_notify(_uuid("stream"), lambda _, data: self._on_frame(bytes(data), clock()), bluez=bluez)

    async def control(self, name: str) -> Answer:
        """One operation of the control point. Raises Refused, BandError (no answer), BandDisconnected, WireError."""
        operation = SPEC.control[name]
        async with self._control_lock:
            waiting: asyncio.Future[tuple[bytes, float]] = asyncio.get_running_loop().create_future()
            self._answer, self._taken = (operation.op, waiting), False
            try:
                async with self._errors(name, IO_TIMEOUT_S):
                    sent_s = await self._write_request(bytes([operation.op]) + operation.request.pack())
                    data, received_s = await waiting
            finally:
                self._answer = None
                if waiting.done() and not waiting.cancelled():
                    waiting.exception()     # seen: the write may have failed first, for the same reason
        result = _RESULTS.get(data[1], f"result {data[1]}")
        if result != "ok":
            raise Refused(name, result)
        return Answer(operation.response.unpack(data[2:]), sent_s, received_s)

    async def last_wish(self, name: str) -> None:
        """An operation after which the band closes the link. Taken is done: the response may be lost with the link.

        Raises Refused, BandError (the band did not take it), BandDisconnected (nor can it be known), WireError.
        """
        try:
            await self.control(name)
        except BandDisconnected:
            if not self._taken:
                raise

    async def _write_request(self, request: bytes) -> float:
        for _ in range(_BUSY_RETRIES):
            sent_s = self._clock()
            try:
                await self._client.write_gatt_char(_uuid("control"), request, response=True)
                self._taken = True
                return sent_s
            except BleakGATTProtocolError as e:
                if e.code != _ATT_BUSY:
                    raise
                await asyncio.sleep(_BUSY_WAIT_S)
        raise BandError("the band is busy and takes no request: bring it closer, and try again")

    def _take_answer(self, data: bytes) -> None:
        """Only the answer to what is being asked counts; a late one to an older question is passed over."""
        if len(data) >= 2 and self._answer and self._answer[0] == data[0] and not self._answer[1].done():
            self._answer[1].set_result((data, self._clock()))

    def _lost(self, _client: BleakClient) -> None:
        if self._answer and not self._answer[1].done():
            self._answer[1].set_exception(BandDisconnected(LOST))
        if not self._closing:
            self._on_lost()

    @contextlib.asynccontextmanager
    async def _errors(self, what: str, timeout_s: float) -> AsyncIterator[None]:
        """A time limit, and bleak's errors as this project's."""
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except NocibandError:
            raise
        except TimeoutError as e:
            raise self._gone(what, f"the band did not answer within {timeout_s:g} s") from e
        except BleakDeviceNotFoundError as e:
            raise BandDisconnected(f"{what}: the band does not answer; bring it into reach and try again") from e
        except BleakGATTProtocolError as e:
            if e.code in _INSECURE:
                raise NotSecure(f"{what}: the band asks for a paired, encrypted link; press its button and pair with the passkey "
                                "on its label") from e
            raise BandError(f"{what}: the band answered with ATT error 0x{e.code:02x}") from e
        except (BleakError, OSError, EOFError) as e:
            if isinstance(e, BleakDBusError) and "Auth" in e.dbus_error:
                raise PairingError(f"{what}: {e}; press the band's button and pair with the passkey on its label") from e
            raise self._gone(what, str(e) or type(e).__name__) from e

    def _gone(self, what: str, why: str) -> BandError:
        if self._client.is_connected:
            return BandError(f"{what}: {why}; if it does not pass, switch the band off and on")
        return BandDisconnected(f"{what}: {why}; the link was lost, bring the band into reach and connect again")
