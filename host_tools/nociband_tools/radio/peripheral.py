"""The band's Bluetooth stack: a Bumble peripheral that does on the air what the band says on the bridge, and tells it the truth.

Comes from: the radio channel (attribute table, advertising, notifications, answers). Goes to: the air, through a controller; and
back to the band (links, pairing, requests, credits). The band decides; this end only adds a second lock (see `attributes`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any

from bumble import hci
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.pairing import PairingDelegate

from nociband.spec import SPEC
from nociband_tools.radio.air import Air, pass_over_late_answers
from nociband_tools.radio.attributes import AttributeTable, Questions, Row
from nociband_tools.radio.bridge import Channel
from nociband_tools.radio.keys import KeyFile
from nociband_tools.radio.pairing import Delegate, KeyChooser, KeyInUse, make_strict

log = logging.getLogger(__name__)

DRAIN_S = 2.0
CREDITS = 16  # notifications that may be between the band and the link layer; some 0.5 s of the stream
_NO_KEY = KeyInUse(False, False, 0)


class _BandDelegate(Delegate):
    """Asks the band whether a host may pair, and shows the band's passkey."""

    def __init__(self, peripheral: Peripheral, connection: Connection) -> None:
        super().__init__(PairingDelegate.IoCapability.DISPLAY_OUTPUT_ONLY)
        self._peripheral = peripheral
        self._connection = connection
        self._passkey = 0

    async def permit(self) -> bool:
        answer = await self._peripheral.ask_to_pair(self._connection)
        self._passkey = answer["passkey"]
        return bool(answer["accept"])

    async def generate_passkey(self) -> int:
        return self._passkey


class Peripheral:
    """One band on the air. `run` serves it until the band goes away.

    `second_lock=False` leaves every refusal to the band: for tests that must see the band itself refuse.
    """

    def __init__(self, air: Air, channel: Channel, keys: KeyFile, *, second_lock: bool = True) -> None:
        self._air = air
        self._controller = air.controller("band")
        self._channel = channel
        self._keys = keys
        config = DeviceConfiguration(name=SPEC.wire["advertising"]["name_prefix"], address=keys.address)
        self._device = Device.from_config_with_hci(config, self._controller, self._controller)
        pass_over_late_answers(self._device.host)
        self._questions = Questions(channel)
        self._table = AttributeTable(self._device, self._questions, self.key_of, second_lock)
        self._connection: Connection | None = None
        self._advertise: bytes | None = None
        self._completions: deque[int] = deque()
        self.registered = asyncio.Event()
        self.advertising = asyncio.Event()

    async def run(self) -> None:
        """Power on, then do what the band says until its channel ends (or this is cancelled); then vanish from the air."""
        try:
            await self._device.power_on()
            self._chooser = KeyChooser(self._device, self._keys)
            make_strict(self._device, self._keys, lambda connection: _BandDelegate(self, connection))
            self._device.on(Device.EVENT_CONNECTION, self._on_connection)
            self._channel.send("radio_ready")
            async for name, values in self._channel:
                await self._do(name, values)
        finally:
            self._air.vanish(self._controller)

    async def _do(self, name: str, values: dict[str, Any]) -> None:
        match name:
            case "radio_register":
                self._register(values)
            case "radio_advertise":
                self._advertise = values["data"] if values["on"] else None
                await self._apply_advertising()
            case "radio_notify":
                self._notify(values["attr"], values["value"])
            case "radio_disconnect":
                await self._disconnect()
            case "radio_forget":
                await self._keys.delete_all()
            case _:
                self._questions.answered(name, values)

    def _register(self, values: dict[str, Any]) -> None:
        if self.registered.is_set():
            log.warning("the band registered its attributes twice: ignored")
        elif values["attr"]:
            self._table.add(Row.from_message(values))
        else:
            self._table.publish()
            self.registered.set()

    async def _apply_advertising(self) -> None:
        """Bring the controller to what the band wants; a connected band does not advertise, as on a real stack."""
        if self._advertise is None or self._connection is not None:
            await self._device.stop_advertising()
            self.advertising.clear()
            return
        interval_ms = SPEC.wire["advertising"]["interval_ms"]
        await self._device.start_advertising(advertising_data=self._advertise, advertising_interval_min=interval_ms,
                                             advertising_interval_max=interval_ms)
        self.advertising.set()

    def key_of(self, connection: Connection) -> KeyInUse | None:
        """The key that encrypts this link, None while it is open."""
        return self._chooser.in_use.get(connection.handle, _NO_KEY) if connection.is_encrypted else None

    # --- link ---

    def _on_connection(self, connection: Connection) -> None:
        self._connection = connection
        self.advertising.clear()
        connection.on(Connection.EVENT_DISCONNECTION, lambda _reason: self._on_disconnection(connection))
        connection.on(Connection.EVENT_CONNECTION_ENCRYPTION_CHANGE, self._report_link)
        connection.on(Connection.EVENT_CONNECTION_ATT_MTU_UPDATE, self._report_link)
        connection.on(Connection.EVENT_PAIRING, lambda keys: self._report_pairing(True))
        connection.on(Connection.EVENT_PAIRING_FAILURE, lambda reason: self._report_pairing(False))
        queue = connection.data_packet_queue
        assert queue is not None
        queue.on("flow", self._return_credits)
        self._queue = queue
        self._report_link()
        self._channel.send("radio_credit", credits=CREDITS)

    def _on_disconnection(self, connection: Connection) -> None:
        if connection is not self._connection:
            return
        self._queue.remove_listener("flow", self._return_credits)
        self._completions.clear()
        self._table.link_lost()
        self._report_link(connected=False)
        self._chooser.in_use.pop(connection.handle, None)
        self._connection = None

    def _report_link(self, connected: bool = True) -> None:
        connection = self._connection
        if connection is None:
            return
        key = self.key_of(connection) if connected else None
        self._channel.send(
            "radio_link", connected=connected, encrypted=key is not None, authenticated=bool(key and key.authenticated),
            secure_connections=bool(key and key.secure_connections), key_bytes=key.key_bytes if key else 0,
            peer=bytes(connection.peer_address), peer_type=connection.peer_address.address_type,
            att_mtu=connection.att_mtu)

    async def _disconnect(self) -> None:
        """End the link behind what the band said before: the response to `forget` must still arrive."""
        await self._questions.passed_on()
        connection = self._connection
        if connection is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):  # a host that does not read is not waited for longer
                await connection.drain()
        if connection is self._connection:
            try:
                await connection.disconnect()
            except hci.HCI_Error as e:
                log.debug("disconnect: %s", e)  # the host was faster

    # --- pairing ---

    async def ask_to_pair(self, connection: Connection) -> dict[str, Any]:
        """The band's radio_pair_answer for this host."""
        return await self._questions.ask("radio_pair_request", "radio_pair_answer", peer=bytes(connection.peer_address),
                                         peer_type=connection.peer_address.address_type)

    def _report_pairing(self, success: bool) -> None:
        connection = self._connection
        if connection is None:
            return
        bond = self._keys.peek(str(connection.peer_address)) if success else None
        key = self.key_of(connection) if success else None
        authenticated = bool(bond and bond.ltk and bond.ltk.authenticated and key and key.authenticated)
        self._channel.send("radio_pair_result", success=bond is not None, authenticated=authenticated,
                           secure_connections=bool(key and key.secure_connections), key_bytes=key.key_bytes if key else 0,
                           peer=bytes(connection.peer_address), peer_type=connection.peer_address.address_type)
        self._report_link()

    # --- notifications ---

    def _notify(self, attr: int, value: bytes) -> None:
        connection = self._connection
        if connection is None:
            return  # meant for a link that has gone: its credits are void
        if not self._table.notify(connection, attr, value):
            self._channel.send("radio_credit", credits=1)  # it goes nowhere, so that nothing else would give it back
            return
        self._completions.append(self._queue.queued)

    def _return_credits(self) -> None:
        """A notification whose packet the link layer has delivered gives its credit back."""
        credits = 0
        while self._completions and self._queue.completed >= self._completions[0]:
            self._completions.popleft()
            credits += 1
        if credits:
            self._channel.send("radio_credit", credits=credits)

