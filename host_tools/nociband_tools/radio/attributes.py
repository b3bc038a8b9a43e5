"""The band's attribute table as a Bumble GATT service: every read, write and CCCD write is put to the band, which decides.

Comes from: radio_register messages. Goes to: the ATT client, through Bumble. A second lock stands in front: an attribute that
the table calls bonded is refused (0x05) on a link that is not encrypted with an authenticated Secure Connections key of 16
bytes, so that a mistake in either place shows nothing to a stranger.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bumble import att, core
from bumble.device import Connection, Device
from bumble.gatt import GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR as CCCD
from bumble.gatt import Characteristic, Descriptor, Service

from nociband.spec import SPEC
from nociband_tools.radio.bridge import Channel
from nociband_tools.radio.pairing import KEY_BYTES, KeyInUse

log = logging.getLogger(__name__)

ANSWER_S = 5.0  # a band that takes longer over a request is hung; ATT itself gives up after 30 s
READ, WRITE, NOTIFY = 0x02, 0x08, 0x10
_READ_NOT_PERMITTED, _WRITE_NOT_PERMITTED, _BAD_LENGTH, _UNLIKELY, _CCCD_IMPROPER = 0x02, 0x03, 0x0D, 0x0E, 0xFD
_BONDED_ERROR = SPEC.wire["security"]["bonded"]["att_error"]
_ANYONE = Characteristic.Permissions.READABLE | Characteristic.Permissions.WRITEABLE


@dataclass(frozen=True)
class Row:
    """One radio_register message."""

    attr: int
    properties: int
    bonded: bool
    uuid: core.UUID

    @classmethod
    def from_message(cls, values: dict[str, Any]) -> Row:
        """From the message's values; the UUID comes in the order on the air."""
        return cls(values["attr"], values["properties"], values["security"] != 0,
                   core.UUID.from_bytes(bytes(values["uuid"])))


class Questions:
    """Requests to the band and their answers, which come back in the order of the requests."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: dict[str, deque[tuple[asyncio.Future[dict[str, Any]], asyncio.Task[Any] | None]]] = {}
        self._finishing: set[asyncio.Task[Any]] = set()

    async def ask(self, name: str, answer: str, **values: Any) -> dict[str, Any]:
        """Send `name`, wait for `answer`. Raises ATT_Error 0x0E when the band does not answer in time."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._channel.send(name, **values)  # first: a question that cannot be asked must not wait for the next one's answer
        self._waiting.setdefault(answer, deque()).append((future, asyncio.current_task()))
        # `wait` leaves the future as it is when the time is over: a late answer must find its own place in the queue.
        done, _ = await asyncio.wait({future}, timeout=ANSWER_S)
        if not done:
            log.warning("the band did not answer %s within %g s", name, ANSWER_S)
            raise att.ATT_Error(_UNLIKELY)
        return future.result()

    def answered(self, name: str, values: dict[str, Any]) -> None:
        """Hand an answer to the request that is longest without one."""
        waiting = self._waiting.get(name)
        if not waiting:
            log.warning("the band sent %s unasked", name)
            return
        future, task = waiting.popleft()
        future.set_result(values)
        if task is not None and not task.done():
            self._finishing.add(task)
            task.add_done_callback(self._finishing.discard)

    async def passed_on(self) -> None:
        """Wait until the host has been sent every answer that the band gave."""
        if self._finishing:
            await asyncio.wait(set(self._finishing), timeout=ANSWER_S)


class AttributeTable:
    """Builds the service and answers for it. `key_of(connection)` tells which key encrypts a link, None for an open one."""

    def __init__(self, device: Device, questions: Questions, key_of: Callable[[Connection], KeyInUse | None],
                 second_lock: bool) -> None:
        self._device = device
        self._questions = questions
        self._key_of = key_of
        self._second_lock = second_lock
        self._rows: dict[int, Row] = {}
        self._characteristics: dict[int, Characteristic[bytes]] = {}
        self._subscribed: set[int] = set()
        self._last_value: dict[int, bytes] = {}  # by handle, for reads at an offset
        self._at_offset: set[int] = set()
        device.gatt_server.max_mtu = SPEC.wire["wire"]["att_mtu"]
        self._catch_reads_at_offset()

    def add(self, row: Row) -> None:
        """One more attribute, in the order of the table."""
        self._rows[row.attr] = row

    def publish(self) -> None:
        """The table is whole: make the service of it."""
        for row in self._rows.values():
            self._characteristics[row.attr] = self._characteristic(row)
        self._device.add_service(Service(core.UUID(str(SPEC.service_uuid)), list(self._characteristics.values())))

    def notify(self, connection: Connection, attr: int, value: bytes) -> bool:
        """Queue a notification on the link; False when this link's host has not subscribed to it."""
        characteristic = self._characteristics.get(attr)
        if characteristic is None or attr not in self._subscribed:
            return False
        if len(value) > connection.att_mtu - 3:
            log.warning("a notification of %d bytes does not fit an ATT MTU of %d", len(value), connection.att_mtu)
            return False
        connection.send_l2cap_pdu(att.ATT_CID, bytes(att.ATT_Handle_Value_Notification(
            attribute_handle=characteristic.handle, attribute_value=value)))
        return True

    def link_lost(self) -> None:
        """Subscriptions and half-read values end with the link."""
        self._subscribed.clear()
        self._last_value.clear()
        self._at_offset.clear()

    def _characteristic(self, row: Row) -> Characteristic[bytes]:
        # Bumble's own permission flags are not used: they answer 0x0F where the contract says 0x05, and hold any encrypted
        # link for authenticated. `_check` knows how the key was made.
        value = att.AttributeValue(read=lambda connection: self._read(connection, row),
                                   write=lambda connection, data: self._write(connection, row, data))
        descriptors = []
        if row.properties & NOTIFY:
            descriptors.append(Descriptor(CCCD, _ANYONE, att.AttributeValue(
                read=lambda connection: self._read_cccd(connection, row),
                write=lambda connection, data: self._write_cccd(connection, row, data))))
        return Characteristic(row.uuid, Characteristic.Properties(row.properties), _ANYONE, value, descriptors)

    def _check(self, connection: Connection, row: Row) -> None:
        key = self._key_of(connection)
        good = key is not None and key.authenticated and key.secure_connections and key.key_bytes >= KEY_BYTES
        if row.bonded and self._second_lock and not good:
            raise att.ATT_Error(_BONDED_ERROR)

    async def _read(self, connection: Connection, row: Row) -> bytes:
        handle = self._characteristics[row.attr].handle
        at_offset = handle in self._at_offset
        self._at_offset.discard(handle)
        if not row.properties & READ:
            raise att.ATT_Error(_READ_NOT_PERMITTED)
        self._check(connection, row)
        if at_offset and handle in self._last_value:
            return self._last_value[handle]
        answer = await self._questions.ask("radio_read", "radio_read_answer", attr=row.attr)
        if answer["att_error"]:
            raise att.ATT_Error(answer["att_error"])
        self._last_value[handle] = answer["value"]
        return answer["value"]

    async def _write(self, connection: Connection, row: Row, data: bytes) -> None:
        if not row.properties & WRITE:
            raise att.ATT_Error(_WRITE_NOT_PERMITTED)
        self._check(connection, row)
        answer = await self._questions.ask("radio_write", "radio_write_answer", attr=row.attr, value=bytes(data))
        if answer["att_error"]:
            raise att.ATT_Error(answer["att_error"])

    def _read_cccd(self, connection: Connection, row: Row) -> bytes:
        self._check(connection, row)
        return bytes([row.attr in self._subscribed, 0])

    async def _write_cccd(self, connection: Connection, row: Row, data: bytes) -> None:
        if len(data) != 2:
            raise att.ATT_Error(_BAD_LENGTH)
        if bytes(data) not in (b"\0\0", b"\1\0"):
            raise att.ATT_Error(_CCCD_IMPROPER)
        self._check(connection, row)
        before = set(self._subscribed)
        if data[0]:
            self._subscribed.add(row.attr)  # before the answer: the first notification may come right behind it
        answer = await self._questions.ask("radio_subscribe", "radio_write_answer", attr=row.attr, on=data[0])
        if answer["att_error"]:
            self._subscribed.intersection_update(before)
            raise att.ATT_Error(answer["att_error"])
        if not data[0]:
            self._subscribed.discard(row.attr)

    def _catch_reads_at_offset(self) -> None:
        """Bumble reads the whole value again for each part of a long one; parts of two values must not be mixed."""
        server = self._device.gatt_server
        original = server.on_att_read_blob_request

        def on_read_blob(bearer: Any, request: att.ATT_Read_Blob_Request) -> Any:
            self._at_offset.add(request.attribute_handle)
            return original(bearer, request)

        server.on_att_read_blob_request = on_read_blob
