"""The air and the host's end of it: hosts come, connect, read, vanish; nothing hangs. The peripheral here is plain Bumble."""

from __future__ import annotations

import asyncio
import struct
import time

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDeviceNotFoundError, BleakError
from bumble import hci
from bumble.core import AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service

from nociband.errors import BandError, EnvironmentProblem
from nociband_tools.radio.air import Air, pass_over_late_answers
from nociband_tools.radio.client import virtual_backend

NAME = "Stranger"
READ, SLOW, SEND = (f"a5e5000{n}-7a1d-4b6e-9c3f-3b1f0c2d7e10" for n in (2, 3, 4))


class Stranger:
    """A Bumble peripheral: one value to read, one that never answers, one that notifies."""

    def __init__(self, air: Air) -> None:
        self.controller = air.controller("stranger")
        config = DeviceConfiguration(name=NAME, address=hci.Address("F0:F1:F2:F3:F4:F5"))
        self.device = Device.from_config_with_hci(config, self.controller, self.controller)
        self.disconnections: list[int] = []

        async def never(_connection: Connection) -> bytes:
            await asyncio.sleep(3600)
            return b""

        permissions = Characteristic.Permissions.READABLE
        properties = Characteristic.Properties
        self.send = Characteristic(SEND, properties.NOTIFY, permissions)
        self.device.add_service(Service("a5e50001-7a1d-4b6e-9c3f-3b1f0c2d7e10", [
            Characteristic(READ, properties.READ, permissions, bytes(300)),
            Characteristic(SLOW, properties.READ, permissions, CharacteristicValue(read=never)), self.send]))
        self.device.on(Device.EVENT_CONNECTION, lambda c: c.on(Connection.EVENT_DISCONNECTION, self.disconnections.append))

    async def start(self) -> Stranger:
        await self.device.power_on()
        data = bytes(AdvertisingData([(AdvertisingData.Type.COMPLETE_LOCAL_NAME, NAME.encode())]))
        await self.device.start_advertising(advertising_data=data, auto_restart=True, advertising_interval_min=50,
                                            advertising_interval_max=50)
        return self


@pytest.fixture
async def air():
    async with await Air.open(supervision_s=0.3) as air:
        yield air


@pytest.fixture
async def host(air, tmp_path):
    async with virtual_backend(air.address, tmp_path / "keys.json") as backend:
        yield backend


async def _find(backend):
    found = await BleakScanner.find_device_by_name(NAME, timeout=5, backend=backend.scanner)
    assert found is not None
    return found


async def test_found_connected_read_and_left(air, host) -> None:
    stranger = await Stranger(air).start()
    async with BleakClient(await _find(host), backend=host.client) as client:
        assert client.mtu_size == 247
        assert len(await client.read_gatt_char(READ)) == 300  # longer than the MTU
    await asyncio.sleep(0.1)
    assert stranger.disconnections == [hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR]


async def test_thousands_of_notifications_in_a_burst_all_arrive_in_order(air, host) -> None:
    stranger = await Stranger(air).start()
    got: list[int] = []
    async with BleakClient(await _find(host), backend=host.client) as client:
        await client.start_notify(SEND, lambda _, data: got.append(struct.unpack_from("<I", data)[0]))
        for n in range(3000):
            await stranger.device.notify_subscribers(stranger.send, struct.pack("<I", n) + bytes(178))
        deadline = time.monotonic() + 10
        while len(got) < 3000 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
    assert got == list(range(3000))


async def test_a_host_that_vanishes_times_out_at_the_peripheral_which_can_be_found_again(air, host, tmp_path) -> None:
    stranger = await Stranger(air).start()
    other = virtual_backend(air.address, tmp_path / "other.json")
    backend = await other.__aenter__()
    await BleakClient(await _find(backend), backend=backend.client).connect()
    began = time.monotonic()
    await other.__aexit__(None, None, None)
    while not stranger.disconnections and time.monotonic() - began < 3:
        await asyncio.sleep(0.01)
    assert stranger.disconnections == [hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR]
    assert 0.2 < time.monotonic() - began < 1
    await _find(host)


async def test_a_peripheral_that_vanishes_ends_the_wait_for_its_answer(air, host) -> None:
    stranger = await Stranger(air).start()
    gone = asyncio.Event()
    client = BleakClient(await _find(host), lambda _: gone.set(), backend=host.client)
    await client.connect()
    waiting = asyncio.create_task(client.read_gatt_char(SLOW))
    await asyncio.sleep(0.1)
    air.vanish(stranger.controller)
    with pytest.raises(BleakError, match="link was lost"):
        await asyncio.wait_for(waiting, 3)
    await asyncio.wait_for(gone.wait(), 1)
    assert not client.is_connected
    with pytest.raises(BleakError):
        await client.read_gatt_char(READ)


async def test_a_radio_that_goes_away_is_a_lost_link_and_later_an_error(tmp_path) -> None:
    air = await Air.open()
    await Stranger(air).start()
    async with virtual_backend(air.address, tmp_path / "keys.json") as host:
        gone = asyncio.Event()
        client = BleakClient(await _find(host), lambda _: gone.set(), backend=host.client)
        await client.connect()
        await air.close()
        await asyncio.wait_for(gone.wait(), 2)
        with pytest.raises(BleakError):
            await asyncio.wait_for(BleakScanner.discover(0.1, backend=host.scanner), 2)


async def test_an_answer_to_a_command_that_was_cancelled_is_passed_over(air) -> None:
    """Its wait is cancelled, and the answer comes before the waiting task has run: seen at every shutdown now and then."""
    stranger = await Stranger(air).start()
    pass_over_late_answers(stranger.device.host)
    errors: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    waiting = asyncio.create_task(stranger.device.host.send_sync_command(hci.HCI_Read_BD_ADDR_Command()))
    while stranger.device.host.pending_response is None:
        await asyncio.sleep(0)
    stranger.device.host.pending_response.cancel()
    await asyncio.wait({waiting})
    await asyncio.sleep(0.05)
    assert not errors
    assert await stranger.device.host.send_sync_command(hci.HCI_Read_BD_ADDR_Command())


async def test_connecting_to_nobody_ends_after_the_timeout_and_can_be_tried_again(air, host) -> None:
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(BleakDeviceNotFoundError, match="did not answer"):
            await BleakClient("C0:00:00:00:00:01", timeout=0.3, backend=host.client).connect()
        assert time.monotonic() - began < 2


async def test_of_two_hosts_at_once_one_gets_the_link_and_the_other_is_told(air, host, tmp_path) -> None:
    await Stranger(air).start()
    async with virtual_backend(air.address, tmp_path / "other.json") as other:
        clients = [BleakClient(await _find(b), timeout=2, backend=b.client) for b in (host, other)]
        results = await asyncio.wait_for(asyncio.gather(*(c.connect() for c in clients), return_exceptions=True), 10)
        assert sorted(c.is_connected for c in clients) == [False, True]
        assert sum(isinstance(r, BleakError) for r in results) == 1


async def test_a_port_in_use_is_said(air) -> None:
    with pytest.raises(EnvironmentProblem, match="--port"):
        await Air.open(int(air.address.split(":")[1]))


async def test_no_radio_and_something_else_at_the_address(tmp_path, monkeypatch) -> None:
    with pytest.raises(BandError, match="nociband emulate"):
        async with virtual_backend("127.0.0.1:1", tmp_path / "keys.json"):
            pass
    monkeypatch.setattr("nociband_tools.radio.client.POWER_ON_S", 0.3)
    server = await asyncio.start_server(lambda r, w: w.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "127.0.0.1", 0)
    with pytest.raises(BandError, match="not a virtual radio"):
        async with virtual_backend(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", tmp_path / "keys.json"):
            pass
    server.close()
