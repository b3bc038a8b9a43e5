"""Who may read what: the firmware's own decision, whatever the radio says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nociband.spec import SPEC
from tests.firmware.conftest import Bands
from tests.firmware.virtual_board import ATTR, OP, PASSKEY, PEER, Board, frame

REFUSED = SPEC.wire["security"]["bonded"]["att_error"]
STRANGER = b"\xaa\xbb\xcc\xdd\xee\xff"


async def assert_locked(b: Board) -> None:
    """Every bonded attribute refuses reads, writes and subscriptions; info stays open."""
    for attr in ("manifest", "status"):
        assert await b.read(attr) == (REFUSED, b"")
    assert await b.write("manifest", b"\0\0") == REFUSED
    assert await b.write("control", bytes([OP["start"]])) == REFUSED
    for attr in ("stream", "control"):
        assert await b.subscribe(attr) == REFUSED
    assert (await b.read("info"))[0] == 0


async def test_boot_register_advertise(band: Bands) -> None:
    async with band.start() as b:
        await b.until(lambda: b.all("boot"))
        boot = b.all("boot")[0]
        assert bytes(boot["board"]).rstrip(b"\0").decode() == band.kind and boot["ring_ms"] >= 2000
        await b.send("radio_ready")
        table = [await b.answer("radio_register", n + 1) for n in range(len(SPEC.characteristics) + 1)]
        assert not b.all("radio_advertise"), "the band must not advertise before it knows who it is"
        for row, c in zip(table, SPEC.characteristics.values(), strict=False):
            assert row["attr"] == c.id and bytes(row["uuid"]) == c.uuid.bytes[::-1]
            assert row["security"] == (c.security == "bonded")
        assert table[-1]["attr"] == 0
        await b.boot()
        advertising = b.all("radio_advertise")[0]["data"]
        assert len(advertising) <= 31
        assert SPEC.service_uuid.bytes[::-1] in advertising and b"Nb0042" in advertising


@pytest.mark.parametrize("weakness", [{"connected": 0}, {"encrypted": 0}, {"authenticated": 0}, {"secure_connections": 0},
                                      {"key_bytes": 15}, {"peer": STRANGER}, {"peer_type": 0}], ids=lambda w: "-".join(w))
async def test_each_weak_link_is_refused(hardened: Bands, weakness: dict) -> None:
    async with hardened.start() as b:
        await b.boot()
        await b.bond()
        assert (await b.read("status"))[0] == 0
        await b.link(**weakness)
        await assert_locked(b)


async def test_no_bond_no_access(band: Bands) -> None:
    async with band.start() as b:
        await b.boot()
        await assert_locked(b)
        await b.link()  # the stack claims a perfect link with a host that never paired
        await assert_locked(b)


async def test_pairing_needs_the_button(band: Bands) -> None:
    async with band.start() as b:
        await b.boot()
        await b.link(encrypted=0)
        answer = await b.pair()
        assert answer == {"accept": 0, "passkey": 0}
        await b.send("button")
        await asyncio.sleep(0.05)
        assert await b.pair() == {"accept": 1, "passkey": PASSKEY}
        await b.link()
        error, status = await b.read("status")
        flags = SPEC.flag_names("status_flag", SPEC.records["status"].unpack(status)["flags"])
        assert error == 0 and "bonded" in flags and "pairing_open" not in flags, "a bond closes the window"
        await b.send("radio_pair_result", success=1, authenticated=1, secure_connections=1, key_bytes=16, peer=STRANGER,
                     peer_type=1)
        await b.link(peer=STRANGER)
        assert (await b.read("status"))[0] == REFUSED, "a result that the band never agreed to makes no bond"


@pytest.mark.parametrize("how", ["result", "hang_up", "ask_again"])
async def test_three_failures_close_the_window(hardened: Bands, how: str) -> None:
    async with hardened.start() as b:
        await b.boot()
        await b.send("button")
        await asyncio.sleep(0.05)
        await b.link(encrypted=0)
        for _ in range(SPEC.wire["pairing"]["failures_max"]):
            assert (await b.pair(success=0) if how == "result" else await ask(b))["accept"] == 1
            if how == "hang_up":
                await b.link(connected=0)
                await b.link(encrypted=0)
        assert (await ask(b))["accept"] == 0
        await b.send("button")
        await asyncio.sleep(0.05)
        assert (await b.pair())["accept"] == 1


async def ask(b: Board) -> dict:
    """A request to pair, without a result."""
    n = len(b.all("radio_pair_answer"))
    await b.send("radio_pair_request", peer=PEER, peer_type=1)
    return await b.answer("radio_pair_answer", n + 1)


@pytest.mark.parametrize("weakness", [{"authenticated": 0}, {"secure_connections": 0}, {"key_bytes": 7}],
                         ids=lambda w: "-".join(w))
async def test_weak_pairing_makes_no_bond(hardened: Bands, weakness: dict) -> None:
    async with hardened.start() as b:
        await b.boot()
        await b.send("button")
        await asyncio.sleep(0.05)
        await b.link(encrypted=0)
        assert (await b.pair(**weakness))["accept"] == 1
        await b.until(lambda: b.all("radio_disconnect"))
        await b.link()
        await assert_locked(b)


async def test_bond_outlives_reset_and_a_torn_write(band: Bands) -> None:
    async with band.start() as b:
        await b.boot()
        await b.bond()
    async with band.start() as b:
        await b.boot()
        await b.link()
        assert (await b.read("status"))[0] == 0
        await b.link(connected=0)
        await b.send("button")
        await asyncio.sleep(0.05)
        await b.link(encrypted=0)
        await b.pair(peer=STRANGER)
        await b.link(peer=STRANGER)
        assert (await b.read("status"))[0] == 0
    tear_newest(band.nvm)
    async with band.start() as b:
        await b.boot()
        await b.link()
        assert (await b.read("status"))[0] == 0, "the copy before the torn one counts"
        await b.link(peer=STRANGER)
        assert (await b.read("status"))[0] == REFUSED


def tear_newest(nvm: Path) -> None:
    """Damage the second copy of the bonds, as a power cut in the middle of writing it would."""
    with nvm.open("r+b") as f:  # the first bond went to slot 1, the second to slot 0
        f.seek(12)
        f.write(b"\x5a\x5a")


async def test_forget(band: Bands) -> None:
    async with band.start() as b:
        await b.boot()
        await b.bond()
        assert await b.control(bytes([OP["forget"]])) == (0, b"")
        await b.until(lambda: b.all("radio_disconnect"))
        order = [name for name, _ in b.received if name in ("radio_notify", "radio_forget", "radio_disconnect")]
        assert order == ["radio_notify", "radio_forget", "radio_disconnect"]
        await assert_locked(b)
        await b.link(connected=0)
        await b.link()
        await assert_locked(b)
    async with band.start() as b:
        await b.boot()
        await b.link()
        await assert_locked(b)


async def test_nothing_is_notified_to_a_host_that_lost_its_security(band: Bands, counts) -> None:
    async with band.start() as b:
        feeding = asyncio.create_task(b.feed(counts(4).messages()))
        await b.boot()
        await b.bond()
        await asyncio.sleep(0.7)
        assert (await b.control(bytes([OP["start"]])))[0] == 0
        await b.until(lambda: len(b.records("signals")) > 5)
        await b.link(encrypted=0)
        assert (await b.read("status"))[0] == REFUSED  # by now the band knows
        seen = len(b.all("radio_notify"))
        await asyncio.sleep(0.5)
        assert len(b.all("radio_notify")) == seen
        feeding.cancel()


async def test_bad_requests(hardened: Bands) -> None:
    result = SPEC.enums["result"]
    async with hardened.start() as b:
        await b.boot()
        await b.bond()
        assert await b.control(bytes([OP["get_time"], 0])) == (result["bad_length"], b"")
        assert await b.control(b"\xee") == (result["unknown_op"], b"")
        assert await b.control(b"\xee\0\0") == (result["unknown_op"], b"")
        assert await b.control(bytes([OP["stop"]])) == (result["wrong_state"], b"")
        assert await b.control(bytes([OP["start"]])) == (result["not_ready"], b"")
        assert await b.write("control", b"") == 0x0D
        assert await b.write("manifest", b"\0") == 0x0D
        assert await b.write("manifest", b"\xff\xff") == 0x13
        assert (await b.read("stream"))[0] == 0x02
        assert await b.write("status", b"\0") == 0x03
        assert await b.subscribe("status") == 0x06
        await b.send("radio_read", attr=0x7777)
        await b.until(lambda: any(a["attr"] == 0x7777 and a["att_error"] == 0x0A for a in b.all("radio_read_answer")))
        assert await b.subscribe("control", on=False) == 0
        assert await b.write("control", bytes([OP["get_time"]])) == 0xFD
        for name in ("radio_link", "radio_read", "radio_write", "radio_credit", "radio_pair_result", "radio_subscribe"):
            await b.send_raw("radio", frame(SPEC.messages[name].type, b"\x04"))  # too short: ignored
        await b.send_raw("radio", frame(SPEC.messages["radio_read"].type, ATTR["info"].to_bytes(2, "little") + b"\0"))
        assert (await b.read("info"))[0] == 0


async def test_info_and_manifest_pages(band: Bands) -> None:
    import hashlib
    manifest = (band.elf.parents[4] / "firmware" / "models" / "fmov_emotion3" / "manifest.json").read_bytes()
    async with band.start() as b:
        await b.boot()
        await b.bond()
        info = SPEC.records["info"].unpack((await b.read("info"))[1])
        assert (info["wire_major"], info["wire_minor"]) == (SPEC.major, SPEC.minor)
        assert bytes(info["spec_hash"]).hex() == SPEC.hash[:16]
        assert bytes(info["model_hash"]) == hashlib.sha256(manifest).digest()[:8]
        data, pages, page = b"", 1, 0
        while page < pages:
            assert await b.write("manifest", page.to_bytes(2, "little")) == 0
            error, value = await b.read("manifest")
            part = SPEC.records["manifest_page"].unpack(value)
            assert error == 0 and len(value) <= 512 and part["page"] == page and part["bytes_total"] == len(manifest)
            data, pages, page = data + part["data"], part["pages"], page + 1
        assert data == manifest
