"""A virtual board gone mad: seeded messages of any type, length and order at the band under the sanitizers.

Well-formed messages with likely and unlikely values, messages cut short or drawn out, types that do not exist, plain noise, all
three channels at once. The band must neither stop nor show a stranger anything, and serve an honest host afterwards.
"""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from nociband.spec import SPEC, Message
from tests.firmware.conftest import Bands
from tests.firmware.virtual_board import ATTR, CHANNELS, OP, PASSKEY, PAYLOAD_MAX, PEER, SECURE, Board, frame, message

SECONDS = 4.0
BACKLOG_BYTES = 20_000
TO_BAND = {c: [m for m in SPEC.messages.values() if m.channel == c and m.to == "band"] for c in CHANNELS}
BUTTON = frame(SPEC.messages["button"].type, b"")
PEERS = (PEER, b"\xaa\xbb\xcc\xdd\xee\xff", bytes(6))
CHOICES = {"attr": (*ATTR.values(), 0, 0x7777, 0xFFFF), "peer": PEERS, "peer_type": (0, 1, 2), "key_bytes": (0, 7, 16, 255),
           "att_mtu": (0, 1, 23, 184, 185, 247, 0xFFFF), "credits": (0, 1, 16, 0xFFFF), "on": (0, 1, 255),
           "passkey": (0, PASSKEY, 1_000_000, 0xFFFFFFFF)}
RARE = {"radio_ready": 0.002, "radio_link": 0.01, "radio_pair_request": 0.02, "radio_pair_result": 0.02, "samples": 5.0}
FLAGS = ("connected", "encrypted", "authenticated", "secure_connections", "success")


def likely(rng: random.Random, m: Message) -> bytes:
    """A payload of the right layout, with values that mean something more often than not."""
    if m.name == "radio_link" and rng.random() < 0.5:
        return m.layout.pack(**{**SECURE, "peer": rng.choice(PEERS)})
    out = b""
    for f in m.layout.fields:
        if f.name in CHOICES:
            value = rng.choice(CHOICES[f.name])
            out += value if isinstance(value, bytes) else value.to_bytes(f.dtype.itemsize, "little")
        elif f.name in FLAGS:
            out += bytes([rng.random() < 0.8])
        elif f.name == "value":
            operation = bytes(rng.choices((*OP.values(), 0, 9), (9, 3, 0.1, 0.01, 1, 1)))
            out += operation if rng.random() < 0.7 else rng.randbytes(rng.randrange(300))
        else:
            out += rng.randbytes(f.dtype.itemsize * f.count)
    return out


def something(rng: random.Random, channel: str) -> bytes:
    """Bytes for a channel: mostly a good message, else one of the ways to be wrong."""
    [m] = rng.choices(TO_BAND[channel], [RARE.get(m.name, 1.0) for m in TO_BAND[channel]])
    payload, way = likely(rng, m), rng.random()
    if way < 0.75:
        return frame(m.type, payload)
    if way < 0.85:
        wrong = payload[:rng.randrange(len(payload) + 1)] + rng.randbytes(rng.choice((0, 1, 2, 300)))
        return frame(m.type, wrong[:PAYLOAD_MAX])
    if way < 0.93:
        return frame(rng.randrange(256), rng.randbytes(rng.randrange(PAYLOAD_MAX + 1)))
    data = bytearray(frame(m.type, payload))
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data) + rng.randbytes(rng.randrange(20))


def honest() -> list[bytes]:
    """What an honest host would do on the radio channel: pair, subscribe, start."""
    open_link = {**SECURE, "encrypted": 0}
    result = {k: SECURE[k] for k in ("authenticated", "secure_connections", "key_bytes", "peer", "peer_type")}
    return [message("radio_link", **open_link), message("radio_pair_request", peer=PEER, peer_type=1),
            message("radio_pair_result", success=1, **result), message("radio_link", **SECURE),
            *(message("radio_subscribe", attr=ATTR[name], on=1) for name in ("control", "stream")),
            message("radio_credit", credits=1000), message("radio_write", attr=ATTR["control"], value=bytes([OP["start"]]))]


async def rage(b: Board, rng: random.Random, button: bool) -> int:
    """Some seconds of it, as fast as the band takes it; how many messages went out."""
    sent, until = 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        assert b.process.returncode is None, "the band ended"
        for _ in range(40):
            channel = rng.choices(CHANNELS, (6, 3, 1))[0]
            data = something(rng, channel)
            transport = b.writers[channel].transport
            if (button or BUTTON not in data) and transport.get_write_buffer_size() < BACKLOG_BYTES:
                b.writers[channel].write(data)
                sent += 1
        if button and rng.random() < 0.03:
            b.writers["board"].write(BUTTON)
            b.writers["radio"].writelines(honest())
        await asyncio.sleep(0.002)
    return sent


async def calm(b: Board) -> None:
    """Whatever was left half said is said to the end, and everything has been taken."""
    for channel in CHANNELS:
        await b.send_raw(channel, bytes(2 * PAYLOAD_MAX))
    await b.send("identity", serial=b"NB-00042", passkey=PASSKEY, sites=(1, 2))
    n = len(b.all("radio_register"))
    await b.send("radio_ready")
    await b.until(lambda: len(b.all("radio_register")) > n + len(ATTR), timeout_s=20)
    await asyncio.sleep(0.3)
    b.received.clear()


@pytest.mark.parametrize("button", [False, True], ids=["never pressed", "pressed at random"])
@pytest.mark.slow
async def test_whatever_comes_the_band_holds(hardened: Bands, button: bool) -> None:
    async with hardened.start() as b:
        await b.boot()
        assert await rage(b, random.Random(20), button) > 2000
        if not button:
            assert not b.all("radio_notify"), "nothing is notified to a host that never paired"
            assert not any(a["accept"] or a["passkey"] for a in b.all("radio_pair_answer"))
            shown = {a["attr"] for a in b.all("radio_read_answer") if not a["att_error"]}
            assert shown == {ATTR["info"]}
            assert all(a["att_error"] for a in b.all("radio_write_answer"))
        else:
            assert b.records("signals"), "sessions were among it"
        await calm(b)
        await b.bond()
        assert (await b.read("info"))[0] == (await b.read("status"))[0] == 0
        assert (await b.control(bytes([OP["get_time"]])))[0] == 0
        assert b.process.returncode is None
