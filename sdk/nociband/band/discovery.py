"""Finding bands in reach: `find_band` for the first (or a certain) one, `find_bands` for all that advertise.

Advertisements come from bleak's scanner, the system's or a backend's; Found objects go to Band.connect.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from nociband.band.backend import Backend, SystemBackend
from nociband.errors import BandError, BandNotFound
from nociband.spec import SPEC


@dataclass(frozen=True)
class Found:
    """A band that advertises. `address` is the Bluetooth address (on macOS the system's own identifier)."""

    name: str
    address: str
    rssi_dbm: int
    device: BLEDevice = field(repr=False, compare=False)
    backend: Backend = field(repr=False, compare=False)


@contextlib.asynccontextmanager
async def _scanning(backend: Backend, seen: Callable[[Found], None]) -> AsyncIterator[None]:
    service = str(SPEC.service_uuid)

    def on_advertisement(device: BLEDevice, data: AdvertisementData) -> None:
        if service in data.service_uuids:
            name = data.local_name or device.name or device.address
            seen(Found(name, device.address, data.rssi, device, backend))

    try:
        scanner = BleakScanner(on_advertisement, [service], backend=backend.scanner)
        await scanner.start()
    except (BleakError, OSError, EOFError) as e:
        raise BandError(f"Bluetooth is not available ({_reason(e)}): switch it on and allow this program to use it, or use the "
                        "virtual radio of an emulated band (`nociband emulate`, then --radio)") from e
    try:
        yield
    finally:
        with contextlib.suppress(BleakError, OSError, EOFError):
            await scanner.stop()


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):        # bleak on Linux, without D-Bus: "[Errno 2] No such file or directory"
        return "no system message bus, so no BlueZ"
    return str(error.args[0]) if error.args and isinstance(error.args[0], str) else str(error) or type(error).__name__


async def find_band(timeout_s: float = 10, backend: Backend | None = None, address: str | None = None) -> Found:
    """The first band that is heard, or the one with this address (or advertised name).

    Raises BandNotFound after timeout_s, BandError when there is no Bluetooth.
    """
    wanted = address.casefold() if address else None
    loop = asyncio.get_running_loop()
    first: asyncio.Future[Found] = loop.create_future()

    def seen(found: Found) -> None:
        if not first.done() and (wanted is None or wanted in (found.address.casefold(), found.name.casefold())):
            first.set_result(found)

    async with _scanning(backend or SystemBackend(), seen):
        try:
            return await asyncio.wait_for(first, timeout_s)
        except TimeoutError:
            which = f"the band {address}" if address else "a band"
            raise BandNotFound(f"{which} was not heard within {timeout_s:g} s: switch it on, bring it within a few metres, and "
                               "disconnect it from other hosts (a connected band does not advertise)") from None


async def find_bands(timeout_s: float = 5, backend: Backend | None = None) -> list[Found]:
    """All bands heard in timeout_s, the strongest first. Raises BandError when there is no Bluetooth."""
    heard: dict[str, Found] = {}

    def seen(found: Found) -> None:
        heard[found.address] = found

    async with _scanning(backend or SystemBackend(), seen):
        await asyncio.sleep(timeout_s)
    return sorted(heard.values(), key=lambda f: -f.rssi_dbm)


def service_of(client: Any) -> bool:
    """Does a connected bleak client have the band service?"""
    return client.services is not None and client.services.get_service(str(SPEC.service_uuid)) is not None
