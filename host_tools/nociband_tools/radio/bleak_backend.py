"""bleak's scanner and client over a Bumble device: what makes the virtual radio an ordinary Bluetooth adapter to bleak 3.1.

`backend_classes(device, ...)` binds the two classes to one device, since bleak's `backend=` takes classes. Bumble's HCI, SMP and
ATT errors come out as BleakError and its kind; a link that is lost ends every wait with BleakError.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_str
from bumble import att, core, hci
from bumble.core import AdvertisingData
from bumble.device import Advertisement, Connection, Device, Peer
from bumble.gatt import GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR as CCCD
from bumble.gatt import Characteristic

from nociband.errors import PairingError
from nociband.spec import SPEC
from nociband_tools.radio.keys import KeyFile

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Kind = AdvertisingData.Type
_UUID_LISTS = (_Kind.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, _Kind.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
               _Kind.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, _Kind.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS)
_PROPERTIES = {
    Characteristic.Properties.BROADCAST: "broadcast", Characteristic.Properties.READ: "read",
    Characteristic.Properties.WRITE_WITHOUT_RESPONSE: "write-without-response", Characteristic.Properties.WRITE: "write",
    Characteristic.Properties.NOTIFY: "notify", Characteristic.Properties.INDICATE: "indicate",
    Characteristic.Properties.AUTHENTICATED_SIGNED_WRITES: "authenticated-signed-writes",
    Characteristic.Properties.EXTENDED_PROPERTIES: "extended-properties",
}
_KEY_MISSING = hci.HCI_ErrorCode.PIN_OR_KEY_MISSING_ERROR


class Passkeys:
    """Hands the question for a passkey from Bumble to whoever asked to pair, and an error of his back."""

    def __init__(self, ask: Callable[[], Awaitable[int]]) -> None:
        self._ask = ask
        self.error: Exception | None = None

    async def get(self) -> int | None:
        """The passkey; None, with `error` set, when there is none."""
        try:
            passkey = await self._ask()
            if passkey == 0:  # Bumble 0.0.236 takes it for "not entered yet" and waits for ever
                raise PairingError("the virtual radio cannot pair with the passkey 000000")
            return passkey
        except Exception as e:  # whatever the application's function raises belongs to the one who called pair()
            self.error = e
            return None


def _uuid(uuid: core.UUID) -> str:
    return normalize_uuid_str(uuid.to_hex_str("-").lower())


async def _mapped(what: str, wait: Awaitable[_T]) -> _T:
    """Await; Bumble's errors come out as bleak's. Bumble cancels what waits on a link that is lost: that is told apart from
    a cancellation of this task."""
    try:
        return await wait
    except att.ATT_Error as e:
        raise BleakGATTProtocolError(e.error_code) from e
    except (core.BaseBumbleError, hci.HCI_Error, TimeoutError) as e:
        raise BleakError(f"{what}: {str(e) or type(e).__name__}") from e
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BleakError(f"{what}: the link was lost") from None


class VirtualScanner(BaseBleakScanner):
    """Advertisements as the virtual radio's controller reports them."""

    device: Device

    def __init__(self, detection_callback: Any, service_uuids: list[str] | None, scanning_mode: str, **_: Any) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        """Begin to scan. Raises BleakError when the radio has gone."""
        self.seen_devices = {}
        self.device.on(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        await _mapped("scanning", self.device.start_scanning(active=self._active, filter_duplicates=False))

    async def stop(self) -> None:
        """End the scan; a radio that has gone has stopped already."""
        self.device.remove_listener(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        try:
            await _mapped("scanning", self.device.stop_scanning())
        except BleakError as e:
            log.debug("stop: %s", e)

    def _on_advertisement(self, seen: Advertisement) -> None:
        data = seen.data
        uuids = [_uuid(u) for kind in _UUID_LISTS for u in cast(list[core.UUID], data.get(kind) or [])]
        advertised = AdvertisementData(
            local_name=data.get(_Kind.COMPLETE_LOCAL_NAME) or data.get(_Kind.SHORTENED_LOCAL_NAME),
            manufacturer_data={c: bytes(v) for c, v in data.get_all(_Kind.MANUFACTURER_SPECIFIC_DATA)},
            service_data={_uuid(u): bytes(v) for u, v in data.get_all(_Kind.SERVICE_DATA_128_BIT_UUID)},
            service_uuids=uuids, tx_power=data.get(_Kind.TX_POWER_LEVEL), rssi=seen.rssi, platform_data=(seen,))
        key = seen.address.to_string(False)
        found = self.create_or_update_device(key, key, advertised.local_name, seen.address, advertised)
        if self.is_allowed_uuid(uuids):
            self.call_detection_callbacks(found, advertised)


class VirtualClient(BaseBleakClient):
    """A GATT client over the virtual radio.

    A host that is bonded encrypts as it connects; when the band no longer has the key, the link stays open and unencrypted (the
    band then refuses with 0x05), so that pairing anew is possible.
    """

    device: Device
    keys: KeyFile
    ask_passkey: Callable[[], Awaitable[int]]
    sessions: dict[int, Passkeys]

    def __init__(self, address_or_ble_device: BLEDevice | str, *, disconnected_callback: Callable[[], None] | None = None,
                 services: set[str] | None = None, timeout: float = 30.0, **kwargs: Any) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._target: hci.Address = hci.Address(self.address)
        self._name = self.address
        if isinstance(address_or_ble_device, BLEDevice):
            self._target = address_or_ble_device.details
            self._name = address_or_ble_device.name or self.address
        self._wanted_services = services
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._closing = False

    @property
    def name(self) -> str:
        """Name from the advertisement, else the address."""
        return self._name

    @property
    def mtu_size(self) -> int:
        """ATT MTU in bytes; 23 before it is negotiated."""
        return self._connection.att_mtu if self._connection else 23

    @property
    def is_connected(self) -> bool:
        """True from connect to disconnect."""
        return self._connection is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        """Connect, encrypt with the bond's key or pair if asked to, agree on the MTU, discover services.

        Raises BleakDeviceNotFoundError when nothing answers within the timeout, BleakError and PairingError otherwise.
        """
        try:
            connection = await _mapped(f"connecting to {self.address}", self.device.connect(
                self._target, core.PhysicalTransport.LE, timeout=self._timeout))
        except BleakError as e:
            if isinstance(e.__cause__, (core.TimeoutError, TimeoutError)):
                raise BleakDeviceNotFoundError(self.address, f"{self.address} did not answer within {self._timeout:g} s") from e
            raise
        assert isinstance(connection, Connection)
        self._connection, self._peer = connection, Peer(connection)
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnection)
        try:
            bonded = await self._encrypt_with_bond(connection)
            await _mapped("MTU exchange", self._peer.request_mtu(SPEC.wire["wire"]["att_mtu"]))
            if pair and not bonded:
                await self.pair()
            await self._discover(self._peer)
        except BaseException:
            await self.disconnect()
            raise

    async def _encrypt_with_bond(self, connection: Connection) -> bool:
        if self.keys.peek(str(connection.peer_address)) is None:
            return False
        try:
            await _mapped("encryption", connection.encrypt())
        except BleakError as e:
            if not (isinstance(e.__cause__, hci.HCI_Error) and e.__cause__.error_code == _KEY_MISSING):
                raise
            log.info("%s has no key for this host any more", self.address)
            return False
        return True

    def _on_disconnection(self, reason: int) -> None:
        log.debug("%s: disconnected (0x%02x)", self.address, reason)
        self._connection = self._peer = None
        self.services = None
        if self._disconnected_callback and not self._closing:
            self._disconnected_callback()

    async def _discover(self, peer: Peer) -> None:
        await _mapped("service discovery", peer.discover_all())
        services = BleakGATTServiceCollection()
        for found in peer.services:
            if self._wanted_services and _uuid(found.uuid) not in self._wanted_services:
                continue
            service = BleakGATTService(found, found.handle, _uuid(found.uuid))
            services.add_service(service)
            for c in found.characteristics:
                names = [name for bit, name in _PROPERTIES.items() if c.properties & bit]
                characteristic = BleakGATTCharacteristic(c, c.handle, _uuid(c.uuid), names,  # type: ignore[arg-type]
                                                         lambda: self.mtu_size - 3, service)
                services.add_characteristic(characteristic)
                for d in c.descriptors:
                    services.add_descriptor(BleakGATTDescriptor(d, d.handle, _uuid(d.type), characteristic))
        self.services = services

    async def disconnect(self) -> None:
        """End the link; none is no error, and neither is a band that was faster."""
        if self._connection is None:
            return
        self._closing = True
        try:
            await _mapped("disconnecting", self._connection.disconnect())
        except BleakError as e:
            log.debug("%s", e)
        finally:
            self._closing = False

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        """Pair with the passkey that the backend's `passkey` gives; a bond that there was is replaced.

        Raises PairingError with what to do next, or what `passkey` raised.
        """
        connection = self._linked()
        passkeys = self.sessions[connection.handle] = Passkeys(self.ask_passkey)
        try:
            await _mapped("pairing", connection.pair())
        except BleakError as e:
            if passkeys.error is not None:
                raise passkeys.error from e
            raise PairingError(_why_pairing_failed(e)) from e
        finally:
            self.sessions.pop(connection.handle, None)

    async def unpair(self) -> None:
        """Forget this host's key of the band; the band keeps its own."""
        for name, _ in await self.keys.get_all():
            if name.split("/")[0] == self.address:
                await self.keys.delete(name)

    def _linked(self) -> Connection:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection

    async def _request(self, what: str, request: Callable[[Any], Awaitable[_T]]) -> _T:
        self._linked()
        assert self._peer is not None
        return await _mapped(what, request(self._peer.gatt_client))

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False,
                             **kwargs: Any) -> bytearray:
        """The whole value, however many parts it comes in."""
        return bytearray(await self._request("reading", lambda c: c.read_value(characteristic.handle)))

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False,
                                   **kwargs: Any) -> bytearray:
        """The descriptor's value."""
        return bytearray(await self._request("reading", lambda c: c.read_value(descriptor.handle)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: Any, response: bool) -> None:
        """Write, with or without waiting for the band's answer."""
        await self._request("writing", lambda c: c.write_value(characteristic.handle, bytes(data), response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: Any) -> None:
        """Write and wait for the answer."""
        await self._request("writing", lambda c: c.write_value(descriptor.handle, bytes(data), True))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any) -> None:
        """Subscribe; the callback is in place before the band may send. Raises BleakGATTProtocolError when it refuses."""
        handle, cccd = characteristic.handle, self._cccd(characteristic)
        self._linked()
        assert self._peer is not None
        subscribers = self._peer.gatt_client.notification_subscribers
        subscribers[handle] = {lambda value: callback(bytearray(value))}
        try:
            await self._request("subscribing", lambda c: c.write_value(cccd, b"\1\0", True))
        except BaseException:
            subscribers.pop(handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe."""
        cccd = self._cccd(characteristic)
        await self._request("unsubscribing", lambda c: c.write_value(cccd, b"\0\0", True))
        if self._peer is not None:
            self._peer.gatt_client.notification_subscribers.pop(characteristic.handle, None)

    @staticmethod
    def _cccd(characteristic: BleakGATTCharacteristic) -> int:
        for descriptor in characteristic.descriptors:
            if descriptor.uuid == _uuid(CCCD):
                return descriptor.handle
        raise BleakError(f"{characteristic.uuid} does not notify")


def _why_pairing_failed(error: BleakError) -> str:
    code = getattr(error.__cause__, "error_code", None)
    match code:
        case 0x04 | 0x0B:
            return "the passkey is not the band's: read it again from the band's label (three failures close the pairing window)"
        case 0x05:
            return "the band does not pair now: press its button, which lets it pair for {} s, and try again".format(
                SPEC.wire["pairing"]["window_s"])
        case 0x03 | 0x06:
            return "the band and this host do not agree on LE Secure Connections with a passkey and a 16-byte key: not paired"
    return f"pairing failed ({error}): press the band's button and try again"


def backend_classes(device: Device, keys: KeyFile, sessions: dict[int, Passkeys],
                    ask_passkey: Callable[[], Awaitable[int]]) -> tuple[type[VirtualScanner], type[VirtualClient]]:
    """The scanner and client classes of `device`."""
    scanner = type("VirtualScanner", (VirtualScanner,), {"device": device})
    client = type("VirtualClient", (VirtualClient,), {
        "device": device, "keys": keys, "sessions": sessions, "ask_passkey": staticmethod(ask_passkey)})
    return scanner, client
