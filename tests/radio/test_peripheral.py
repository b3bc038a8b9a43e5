"""The band's end of the virtual radio against a band that a test plays: what it is told, and what becomes of its credits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner

from nociband.spec import SPEC
from nociband_tools.radio.air import Air
from nociband_tools.radio.client import virtual_backend
from nociband_tools.radio.keys import KeyFile
from nociband_tools.radio.peripheral import CREDITS, Peripheral

STREAM = SPEC.characteristics["stream"]


class PlayedBand:
    """The radio channel, with a test at its other end."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._says: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    def send(self, name: str, **values: Any) -> None:
        self.told.append((name, values))
        if name == "radio_ready":
            self.say("radio_register", attr=STREAM.id, properties=0x10, security=1, uuid=STREAM.uuid.bytes[::-1])
            self.say("radio_register", attr=0, properties=0, security=0, uuid=bytes(16))
            self.say("radio_advertise", on=1, data=b"\x02\x01\x06\x11\x07" + SPEC.service_uuid.bytes[::-1])

    def say(self, name: str, **values: Any) -> None:
        self._says.put_nowait((name, values))

    async def __aiter__(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        while True:
            yield await self._says.get()

    def all(self, name: str) -> list[dict[str, Any]]:
        return [values for n, values in self.told if n == name]


@pytest.fixture
async def played(tmp_path):
    """(band, backend of a host)"""
    band = PlayedBand()
    async with await Air.open(supervision_s=0.3) as air, virtual_backend(air.address, tmp_path / "host.json") as host:
        peripheral = asyncio.create_task(Peripheral(air, band, KeyFile(tmp_path / "band.json")).run())  # type: ignore[arg-type]
        yield band, host
        peripheral.cancel()
        await asyncio.gather(peripheral, return_exceptions=True)


async def test_a_notification_that_nobody_wants_gives_its_credit_back(played) -> None:
    band, host = played
    found = await BleakScanner.find_device_by_filter(lambda _, data: str(SPEC.service_uuid) in data.service_uuids, timeout=5,
                                                     backend=host.scanner)
    async with BleakClient(found, backend=host.client):
        assert band.all("radio_credit") == [{"credits": CREDITS}]
        for _ in range(3 * CREDITS):
            band.say("radio_notify", attr=STREAM.id, value=b"nobody has subscribed")
        async with asyncio.timeout(5):
            while sum(told["credits"] for told in band.all("radio_credit")) < 4 * CREDITS:
                await asyncio.sleep(0.01)
