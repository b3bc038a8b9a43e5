"""nb_bridge under the sanitizers: whatever comes, it stays within its buffer and finds the next whole message."""

from __future__ import annotations

import binascii
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nociband.spec import SPEC
from nociband_tools.firmware import firmware_root
from tests.firmware.conftest import Bands
from tests.firmware.virtual_board import CHANNELS, PAYLOAD_MAX, START, frame, message

CRC_CHECK = 0x29B1  # of "123456789", from the definition of CRC-16/CCITT-FALSE


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parser as a filter, compiled with the sanitizers."""
    lib, out = firmware_root() / "lib", tmp_path_factory.mktemp("framing") / "harness"
    names = ("nb_bridge", "nb_wire", "nb_spec")
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", *(f"-I{lib / n / 'src'}" for n in names),
                    str(Path(__file__).with_name("framing_harness.c")), str(lib / "nb_bridge/src/nb_bridge.c"),
                    str(lib / "nb_wire/src/nb_crc16.c"), "-o", str(out)], check=True)
    return out


def parsed(harness: Path, data: bytes, piece: int) -> list[tuple[int, bytes]]:
    """What the firmware's parser finds in `data` that comes in pieces."""
    done = subprocess.run([harness, str(piece)], input=data, capture_output=True, check=True)
    lines = done.stdout.decode().splitlines()
    return [(int(kind), bytes.fromhex(payload)) for kind, _, payload in (line.partition(" ") for line in lines[:-1])]


def reference(data: bytes) -> list[tuple[int, bytes]]:
    """The same rules written plainly: at each byte, a whole message or one byte of garbage."""
    found, at = [], 0
    while at < len(data):
        if data[at] != START:
            at += 1
            continue
        if len(data) - at < 4:
            break  # it may yet become whole
        length = struct.unpack_from("<H", data, at + 2)[0]
        end = at + 4 + length + 2
        if length > PAYLOAD_MAX:
            at += 1
        elif end > len(data):
            break
        elif binascii.crc_hqx(data[at + 1:end - 2], 0xFFFF) == struct.unpack_from("<H", data, end - 2)[0]:
            found.append((data[at + 1], data[at + 4:end - 2]))
            at = end
        else:
            at += 1
    return found


GARBAGE = st.binary(max_size=40) | st.binary(max_size=8).map(lambda b: bytes([START]) + b)
MESSAGES = st.builds(frame, st.integers(0, 255), st.binary(max_size=PAYLOAD_MAX))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message with one bit flipped, or cut short."""
    data = bytearray(draw(MESSAGES))
    if draw(st.booleans()):
        bit = draw(st.integers(0, 8 * len(data) - 1))
        data[bit // 8] ^= 1 << bit % 8
        return bytes(data)
    return bytes(data[:draw(st.integers(0, len(data) - 1))])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(MESSAGES | damaged() | GARBAGE, max_size=8), piece=st.integers(1, 700))
def test_finds_what_the_reference_finds(harness: Path, parts: list[bytes], piece: int) -> None:
    data = b"".join(parts)
    assert parsed(harness, data, piece) == reference(data)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_every_whole_message_arrives(harness: Path, piece: int) -> None:
    rng = np.random.default_rng(1)
    sent = [(int(rng.integers(256)), rng.bytes(n)) for n in (0, 1, 88, PAYLOAD_MAX, 0, PAYLOAD_MAX - 1)]
    assert parsed(harness, b"".join(frame(kind, payload) for kind, payload in sent), piece) == sent


def test_a_false_start_does_not_swallow_what_follows(harness: Path) -> None:
    """A start byte in garbage announces 600 bytes; the messages within that reach are found once it proves false."""
    false_start = bytes([START, 0x20]) + struct.pack("<H", PAYLOAD_MAX)
    whole = message("samples", eda_counts=1, accel_mg=[0, 0, 1000], emg_counts=np.arange(40))
    assert len(parsed(harness, false_start + 8 * whole, 64)) == 8


def test_too_long_is_not_sent(harness: Path) -> None:
    assert binascii.crc_hqx(b"123456789", 0xFFFF) == CRC_CHECK
    assert subprocess.run([harness, "1", "send"], input=b"", capture_output=True).returncode == 0


async def test_the_band_survives_noise_on_every_channel(hardened: Bands) -> None:
    """Seeded noise, and messages of every type with random payloads: the band neither stops nor opens up."""
    rng = np.random.default_rng(3)
    async with hardened.start() as b:
        await b.boot()
        for _ in range(60):
            for channel in CHANNELS:
                await b.send_raw(channel, rng.bytes(int(rng.integers(200))))
                kinds = [m.type for m in SPEC.messages.values() if m.channel == channel and m.name not in ("identity", "button")]
                await b.send_raw(channel, frame(int(rng.choice(kinds)), rng.bytes(int(rng.integers(120)))))
        await b.send_raw("radio", bytes(PAYLOAD_MAX + 8))  # ends whatever message the noise began
        await b.send("radio_ready")
        await b.link()
        error, value = await b.read("status")
        assert (error, value) == (SPEC.wire["security"]["bonded"]["att_error"], b"")
        assert (await b.read("info"))[0] == 0
        assert b.process.returncode is None
