"""Nothing is shown to strangers: the real firmware on the virtual radio, against hosts that do not deserve it."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakGATTProtocolError
from bumble import hci, smp
from bumble.core import UUID, ProtocolError
from bumble.device import Device, DeviceConfiguration, Peer
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport

from nociband.band import Band, find_band
from nociband.errors import PairingError
from nociband.spec import SPEC
from nociband_tools.emulator.process import CHANNELS, qemu_command
from nociband_tools.radio.keys import KeyFile

REFUSED = SPEC.wire["security"]["bonded"]["att_error"]


def _uuid(name: str) -> str:
    return str(SPEC.characteristics[name].uuid)


def _protected(client: BleakClient) -> dict:
    """Every way to what only a bonded host may have."""
    ways = {}
    for c in SPEC.characteristics.values():
        if c.security != "bonded":
            continue
        if "read" in c.properties:
            ways[f"read {c.name}"] = lambda u=str(c.uuid): client.read_gatt_char(u)
        if "write" in c.properties:
            ways[f"write {c.name}"] = lambda u=str(c.uuid): client.write_gatt_char(u, b"\1\0", response=True)
        if "notify" in c.properties:
            ways[f"subscribe to {c.name}"] = lambda u=str(c.uuid): client.start_notify(u, lambda *_: None)
    return ways


async def _assert_all_refused(client: BleakClient) -> None:
    ways = _protected(client)
    assert len(ways) >= 6
    for name, way in ways.items():
        with pytest.raises(BleakGATTProtocolError) as refused:
            await way()
        assert refused.value.code == REFUSED, name


@contextlib.asynccontextmanager
async def _client(backend) -> AsyncIterator[BleakClient]:
    found = await BleakScanner.find_device_by_filter(
        lambda _, data: str(SPEC.service_uuid) in data.service_uuids, timeout=5, backend=backend.scanner)
    assert found is not None, "the band does not advertise"
    async with BleakClient(found, backend=backend.client) as client:
        yield client


class _Stranger(PairingDelegate):
    """Plain Bumble's way to pair, with whatever capability the attack needs."""

    def __init__(self, io, passkey: int, key_bytes: int) -> None:
        super().__init__(io, maximum_encryption_key_size=key_bytes)
        self.passkey = passkey

    async def get_number(self) -> int:
        return self.passkey


@contextlib.asynccontextmanager
async def _stranger(band, *, sc: bool = True, mitm: bool = True, io=PairingDelegate.KEYBOARD_INPUT_ONLY, passkey: int = 1,
                    key_bytes: int = 16):
    """A host with Bumble's own, lenient security, connected to the band; yields (device, connection, read status)."""
    async with await open_transport(f"tcp-client:{band.air.address}") as transport:
        config = DeviceConfiguration(name="stranger", address=hci.Address("F5:00:00:00:00:01"))
        device = Device.from_config_with_hci(config, transport.source, transport.sink)
        await device.power_on()
        device.keystore = MemoryKeyStore()
        device.pairing_config_factory = lambda _: PairingConfig(sc=sc, mitm=mitm, bonding=True,
                                                                delegate=_Stranger(io, passkey, key_bytes))
        address = KeyFile(band.state / "radio_keys.json").address
        connection = await device.connect(address, timeout=5)
        peer = Peer(connection)
        await peer.discover_all()
        [status] = peer.get_characteristics_by_uuid(UUID(_uuid("status")))
        yield device, connection, status


@pytest.mark.parametrize("second_lock", [True, False], ids=["radio and band", "the band alone"])
async def test_an_open_link_gets_info_and_nothing_else(bench, second_lock) -> None:
    async with bench.band(second_lock=second_lock) as band, bench.host(band) as host, _client(host) as client:
        assert len(await client.read_gatt_char(_uuid("info"))) == SPEC.records["info"].size
        await _assert_all_refused(client)
        with pytest.raises(BleakGATTProtocolError):  # not readable, whoever asks
            await client.read_gatt_char(_uuid("stream"))


@pytest.mark.parametrize("weak", [
    {"mitm": False, "io": PairingDelegate.NO_OUTPUT_NO_INPUT},
    {"mitm": True, "io": PairingDelegate.NO_OUTPUT_NO_INPUT},
    {"mitm": True, "io": PairingDelegate.DISPLAY_OUTPUT_ONLY},
    {"sc": False},
    {"sc": False, "mitm": False, "io": PairingDelegate.NO_OUTPUT_NO_INPUT},
    {"key_bytes": 7},
], ids=["just works", "just works, asking for more", "no keyboard", "legacy with the right passkey", "legacy just works",
        "7-byte key"])
async def test_weak_pairing_is_refused_even_with_the_window_open(bench, weak) -> None:
    async with bench.band(second_lock=False) as band:
        weak = {"passkey": int(band.ready["passkey"]), **weak}
        async with _stranger(band, **weak) as (_, connection, status):
            with pytest.raises(ProtocolError):
                await asyncio.wait_for(connection.pair(), 5)
            assert not connection.is_encrypted
            with pytest.raises(Exception, match="AUTHENTICATION"):
                await status.read_value()
        assert await KeyFile(band.state / "radio_keys.json").get_all() == []


async def test_pairing_steps_that_no_request_began_lead_nowhere(bench) -> None:
    """Bumble takes a public key first, goes through with Just Works and encrypts with that key: closed here."""
    async with bench.band(second_lock=False) as band, _stranger(band) as (device, connection, _):
        answers: list = []
        device.smp_manager.on_smp_pdu = lambda _, pdu: answers.append(smp.SMP_Command.from_bytes(pdu))
        for _ in range(4):
            device.smp_manager.send_command(connection, smp.SMP_Pairing_Public_Key_Command(
                public_key_x=device.smp_manager.ecc_key.x[::-1], public_key_y=device.smp_manager.ecc_key.y[::-1]))
        await asyncio.sleep(0.3)
        assert [type(a) for a in answers] == [smp.SMP_Pairing_Failed_Command] * 4
        await device.send_async_command(hci.HCI_LE_Enable_Encryption_Command(
            connection_handle=connection.handle, random_number=bytes(8), encrypted_diversifier=0, long_term_key=bytes(16)))
        await asyncio.sleep(0.3)
        assert not connection.is_encrypted


async def test_three_wrong_passkeys_close_the_window_until_the_button_is_pressed(bench) -> None:
    async with bench.band() as band, bench.host(band) as host:
        right = int(band.ready["passkey"])

        async def answer() -> int:
            return passkey

        host.passkey = answer
        for n in range(3):
            passkey = right % 999_999 + 1 + n
            async with _client(host) as client:
                with pytest.raises(PairingError, match="passkey is not the band's"):
                    await asyncio.wait_for(client.pair(), 5)
                await _assert_all_refused(client)
        passkey = right
        async with _client(host) as client:
            with pytest.raises(PairingError, match="press its button"):
                await asyncio.wait_for(client.pair(), 5)
            band.press()
            await asyncio.sleep(0.1)
            await asyncio.wait_for(client.pair(), 5)  # on the same link
            await client.read_gatt_char(_uuid("status"))


async def test_hanging_up_before_the_verdict_counts_as_a_failure(bench) -> None:
    async with bench.band() as band:
        for _ in range(3):
            async with _stranger(band, passkey=1) as (_, connection, _status):
                connection.device.smp_manager.on_smp_pdu = lambda *_: None  # begin, and say no more
                pairing = asyncio.create_task(connection.pair())
                await asyncio.sleep(0.1)
                await connection.disconnect()
                await asyncio.wait({pairing}, timeout=1)
            await asyncio.sleep(0.1)
        async with bench.host(band) as host, _client(host) as client:
            host.passkey = lambda: asyncio.sleep(0, int(band.ready["passkey"]))
            with pytest.raises(PairingError, match="press its button"):
                await client.pair()


async def test_without_a_press_nobody_pairs(bench) -> None:
    async with bench.band(press=False) as band, bench.host(band) as host:
        with pytest.raises(PairingError, match="press its button"):
            async with Band.connect(await find_band(5, host), passkey=band.ready["passkey"], backend=host):
                pass


async def test_a_passkey_that_the_application_cannot_give_is_its_own_error(bench) -> None:
    async with bench.band() as band, bench.host(band) as host, _client(host) as client:
        with pytest.raises(PairingError, match="none was given"):
            await client.pair()


async def test_a_bonded_host_comes_back_without_a_passkey_also_after_a_restart(bench) -> None:
    async with bench.band() as band, bench.host(band) as host:
        async with Band.connect(await find_band(5, host), passkey=band.ready["passkey"], backend=host):
            pass
        async with Band.connect(await find_band(5, host), backend=host) as again:
            assert (await again.status()).state == "idle"
    async with bench.band(press=False) as band, bench.host(band) as host:
        async with Band.connect(await find_band(5, host), backend=host) as again:
            assert "bonded" in (await again.status()).flags


async def test_another_host_is_a_stranger_though_one_is_bonded(bench) -> None:
    async with bench.band(second_lock=False) as band:
        async with bench.host(band) as host, Band.connect(await find_band(5, host), passkey=band.ready["passkey"], backend=host):
            pass
        async with bench.host(band, "other") as other, _client(other) as client:
            await _assert_all_refused(client)


async def test_a_bond_that_the_band_lost_opens_nothing_though_the_radio_still_has_the_key(bench) -> None:
    async with bench.band() as band, bench.host(band) as host:
        async with Band.connect(await find_band(5, host), passkey=band.ready["passkey"], backend=host):
            pass
    (bench.options.state / "nvm.bin").unlink()
    async with bench.band() as band, bench.host(band) as host, _client(host) as client:
        [connection] = host.device.connections.values()
        assert connection.is_encrypted
        await _assert_all_refused(client)


async def test_forget_deletes_the_radio_s_keys_and_a_host_with_the_old_key_pairs_anew(bench) -> None:
    async with bench.band() as band, bench.host(band) as host:
        passkey = band.ready["passkey"]
        async with Band.connect(await find_band(5, host), passkey=passkey, backend=host):
            old_keys = (bench.folder / "host.json").read_text()
        async with Band.connect(await find_band(5, host), backend=host) as again:
            await again.forget()
        await asyncio.sleep(0.2)
        assert await KeyFile(band.state / "radio_keys.json").get_all() == []
        (bench.folder / "host.json").write_text(old_keys)  # a host that was not there when the band forgot
        async with _client(host) as client:
            await _assert_all_refused(client)
        band.press()
        async with Band.connect(await find_band(5, host), passkey=passkey, backend=host) as again:
            assert (await again.status()).state == "idle"


async def test_what_a_band_keeps_is_its_owners_alone(bench) -> None:
    """Also in a state folder that everyone may look into."""
    bench.options.state.mkdir(mode=0o755)
    async with bench.band() as band:
        qemu_command(bench.options.firmware, dict.fromkeys(CHANNELS, 1), band.state)
        for name in ("identity.json", "radio_keys.json", "nvm.bin", "nvm_qemu.bin", "fed.bin"):
            assert stat.S_IMODE((band.state / name).stat().st_mode) == 0o600, name
