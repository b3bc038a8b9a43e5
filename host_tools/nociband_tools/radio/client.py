"""The host's end of the virtual radio: a Bumble device on the emulator's HCI port, offered as a bleak backend.

    async with virtual_backend("127.0.0.1:PORT", keys=path) as backend:
        found = await find_band(backend=backend)
        async with Band.connect(found, passkey=ask, backend=backend) as band: ...

`backend.scanner` and `backend.client` are classes for bleak's `backend=`; `backend.passkey` is an async function that gives the
passkey, set by whoever pairs. It has the shape of nociband.band.backend.Backend.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner
from bumble import hci
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.pairing import PairingDelegate
from bumble.transport import open_transport
from bumble.transport.common import Transport, TransportLostError

from nociband.errors import BandError, PairingError
from nociband_tools.radio.air import pass_over_late_answers
from nociband_tools.radio.bleak_backend import Passkeys, backend_classes
from nociband_tools.radio.keys import KeyFile
from nociband_tools.radio.pairing import Delegate, KeyChooser, make_strict

POWER_ON_S = 10.0


class _HostDelegate(Delegate):
    """A host with a keyboard: it asks for the passkey. It never lets a band start pairing."""

    def __init__(self, backend: VirtualBackend, connection: Connection) -> None:
        super().__init__(PairingDelegate.IoCapability.KEYBOARD_INPUT_ONLY)
        self._backend = backend
        self._connection = connection

    async def get_number(self) -> int | None:
        passkeys = self._backend.sessions.get(self._connection.handle)
        return await passkeys.get() if passkeys is not None else None


class _NoRadio:
    """Takes the place of a transport that was lost: what is sent fails at once instead of waiting for an answer for ever."""

    def on_packet(self, packet: bytes) -> None:
        raise TransportLostError("the virtual radio has gone: start it again with `nociband emulate`")


class VirtualBackend:
    """A host on the virtual radio (see the module's first lines)."""

    scanner: type[BaseBleakScanner] | None
    client: type[BaseBleakClient] | None

    def __init__(self, transport: Transport, keys: KeyFile) -> None:
        self._transport = transport
        self._keys = keys
        self.passkey: Callable[[], Awaitable[int]] | None = None
        self.sessions: dict[int, Passkeys] = {}
        config = DeviceConfiguration(name="Nociband host", address=keys.address)
        self.device = Device.from_config_with_hci(config, transport.source, transport.sink)
        pass_over_late_answers(self.device.host)
        self.scanner, self.client = backend_classes(self.device, keys, self.sessions, self._ask_passkey)

    async def _ask_passkey(self) -> int:
        if self.passkey is None:
            raise PairingError("the band asks for its passkey (six digits on its label) and none was given")
        return await self.passkey()

    async def power_on(self) -> None:
        """Start the device. Raises an error of Bumble's, or TimeoutError, when no HCI controller answers."""
        await asyncio.wait_for(self.device.power_on(), POWER_ON_S)
        KeyChooser(self.device, self._keys)
        make_strict(self.device, self._keys, lambda connection: _HostDelegate(self, connection))
        self._transport.source.terminated.add_done_callback(lambda _: self._radio_lost())

    def _radio_lost(self) -> None:
        """The emulator has gone, and with it every link: Bumble does not say so by itself."""
        self.device.host.hci_sink = _NoRadio()
        for handle in list(self.device.connections):
            self.device.host.emit("disconnection", handle, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)


@asynccontextmanager
async def virtual_backend(address: str, keys: Path) -> AsyncIterator[VirtualBackend]:
    """A bleak backend on the virtual radio that an emulator serves at `address` ("127.0.0.1:PORT").

    `keys` is the file of this host's address and bonds (made with mode 0600). Raises BandError when no radio answers there.
    """
    own = KeyFile(Path(keys))
    try:
        transport = await open_transport(f"tcp-client:{address}")
    except (OSError, ValueError) as e:
        raise BandError(f"no virtual radio at {address} ({e}): start one with `nociband emulate`, "
                        "which prints its address") from e
    try:
        backend = VirtualBackend(transport, own)
        try:
            await backend.power_on()
        except (TimeoutError, hci.HCI_Error, RuntimeError, AssertionError) as e:
            raise BandError(f"what listens at {address} is not a virtual radio ({type(e).__name__}): "
                            "use the address that `nociband emulate` prints") from e
        yield backend
    finally:
        await transport.close()
