"""Frames of the virtual board: every message there and back, damage, portions of any size."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nociband.errors import WireError
from nociband.spec import SPEC
from nociband_tools.radio import bridge


def _values(message) -> dict:
    """Some values that fit the layout."""
    return {f.name: bytes(range(7)) if f.count == 0 else 5 if f.count == 1 else np.arange(f.count)
            for f in message.layout.fields}


def test_crc_is_the_published_check_value() -> None:
    assert bridge.crc16(b"123456789") == 0x29B1  # CRC-16/CCITT-FALSE in the catalogue of parametrised CRC algorithms


@pytest.mark.parametrize("message", SPEC.messages.values(), ids=lambda m: m.name)
def test_every_message_there_and_back(message) -> None:
    [(message_type, payload)] = bridge.Decoder().feed(bridge.encode(message.name, **_values(message)))
    found, values = bridge.decode(message_type, payload)
    assert found is message
    for name, value in _values(message).items():
        assert np.array_equal(values[name], value)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=bridge.PAYLOAD_MAX)), max_size=4), st.integers(1, 50))
def test_frames_are_found_in_portions_of_any_size(frames, portion) -> None:
    data = b"".join(bridge.frame(t, p) for t, p in frames)
    decoder = bridge.Decoder()
    found = [f for at in range(0, len(data), portion) for f in decoder.feed(data[at:at + portion])]
    assert found == frames and decoder.damaged == 0


@given(st.binary(max_size=80), st.integers(0, 7))
def test_after_any_garbage_a_later_frame_is_found(garbage, bit) -> None:
    decoder = bridge.Decoder()
    good = bridge.frame(0x20, bytes(20))
    broken = bytearray(good)
    broken[9] ^= 1 << bit
    found = decoder.feed(garbage + bytes(broken))
    # A start byte in the garbage may announce a long frame: it takes as many bytes to see through it.
    for _ in range(bridge.PAYLOAD_MAX // len(good) + 2):
        found += decoder.feed(good)
    assert (0x20, bytes(20)) in found and decoder.damaged >= 1


def test_too_long_unknown_and_short_messages_are_refused() -> None:
    with pytest.raises(WireError, match="601 bytes"):
        bridge.frame(1, bytes(601))
    with pytest.raises(WireError, match="unknown"):
        bridge.decode(0xEE, b"")
    with pytest.raises(WireError, match="radio_read"):
        bridge.decode(SPEC.messages["radio_read"].type, b"\x01")


async def test_a_channel_skips_what_does_not_belong_to_it_and_ends_with_the_stream(tmp_path) -> None:
    async def band(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bridge.encode("boot", board=b"native\0\0", ring_ms=1))  # another channel's
        writer.write(bridge.encode("radio_credit", credits=1))  # the wrong way
        writer.write(bridge.frame(0xEE, b"") + bridge.encode("radio_disconnect"))
        writer.close()

    server = await asyncio.start_unix_server(band, tmp_path / "socket")
    channel = bridge.Channel("radio", *await asyncio.open_unix_connection(tmp_path / "socket"))
    assert [name async for name, _ in channel] == ["radio_disconnect"]
    with pytest.raises(WireError, match="does not go to the band"):
        channel.send("radio_disconnect")
    await channel.close()
    server.close()
