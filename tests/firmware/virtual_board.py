"""A bare virtual board: plays radio, front end and label straight to a band's three channels, without Bluetooth.

Tests use it to see exactly what the firmware says and does. It starts the native band or QEMU, and keeps everything that the band
sent in lists that a test can look at.
"""

from __future__ import annotations

import asyncio
import binascii
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nociband.spec import SPEC

START = SPEC.bridge["framing"]["start_of_frame"]
PAYLOAD_MAX = SPEC.bridge["framing"]["payload_max"]
CHANNELS = ("radio", "front_end", "board")
BY_TYPE = {m.type: m for m in SPEC.messages.values()}
ATTR = {name: c.id for name, c in SPEC.characteristics.items()}
OP = {name: c.op for name, c in SPEC.control.items()}
PEER = b"\x01\x02\x03\x04\x05\xc6"
PASSKEY = 314159
SECURE = {"connected": 1, "encrypted": 1, "authenticated": 1, "secure_connections": 1, "key_bytes": 16, "peer": PEER,
          "peer_type": 1, "att_mtu": 247}


def message(name: str, **values: Any) -> bytes:
    """One framed message of bridge.toml."""
    return frame(SPEC.messages[name].type, SPEC.messages[name].layout.pack(**values))


def frame(kind: int, payload: bytes) -> bytes:
    """Start byte, type, length, payload, CRC-16/CCITT-FALSE."""
    body = struct.pack("<BH", kind, len(payload)) + payload
    return bytes([START]) + body + struct.pack("<H", binascii.crc_hqx(body, 0xFFFF))


def slots(emg: np.ndarray, eda: np.ndarray, accel: np.ndarray) -> list[bytes]:
    """`samples` messages of 20 ms each: emg int16 (20 n, 2), eda uint16 (n,), accel int16 (n, 3)."""
    return [message("samples", eda_counts=int(e), accel_mg=a, emg_counts=block)
            for e, a, block in zip(eda, accel, emg.reshape(-1, 40), strict=True)]


@dataclass
class Board:
    """The other end of a band's channels."""

    process: asyncio.subprocess.Process
    writers: dict[str, asyncio.StreamWriter]
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    responses_read: int = 0

    async def send(self, name: str, **values: Any) -> None:
        """Send a message on its channel."""
        await self.send_raw(SPEC.messages[name].channel, message(name, **values))

    async def send_raw(self, channel: str, data: bytes) -> None:
        """Send bytes as they are."""
        self.writers[channel].write(data)
        await self.writers[channel].drain()

    async def listen(self, channel: str, reader: asyncio.StreamReader) -> None:
        """Take the band's messages apart into `received`; the band must never send a bad one."""
        try:
            while True:
                head = await reader.readexactly(4)
                start, kind, length = struct.unpack("<BBH", head)
                assert start == START and length <= PAYLOAD_MAX, head.hex()
                rest = await reader.readexactly(length + 2)
                assert binascii.crc_hqx(head[1:] + rest[:-2], 0xFFFF) == struct.unpack("<H", rest[-2:])[0]
                m = BY_TYPE[kind]
                assert m.channel == channel
                self.received.append((m.name, m.layout.unpack(rest[:-2])))
                self.news.set()
        except (asyncio.IncompleteReadError, ConnectionResetError):
            self.news.set()

    async def until(self, condition: Callable[[], Any], timeout_s: float = 10) -> Any:
        """Wait until `condition()` is true of what has been received; its value."""
        async with asyncio.timeout(timeout_s):
            while not (value := condition()):
                self.news.clear()
                await self.news.wait()
        return value

    def all(self, name: str) -> list[dict[str, Any]]:
        """Every message of this name so far."""
        return [values for n, values in self.received if n == name]

    async def answer(self, name: str, count: int) -> dict[str, Any]:
        """The count-th message of this name."""
        await self.until(lambda: len(self.all(name)) >= count)
        return self.all(name)[count - 1]

    # --- what a radio would do ---

    async def read(self, attr: str) -> tuple[int, bytes]:
        """(ATT error, value)."""
        n = len(self.all("radio_read_answer")) + 1
        await self.send("radio_read", attr=ATTR[attr])
        values = await self.answer("radio_read_answer", n)
        assert values["attr"] == ATTR[attr]
        return values["att_error"], values["value"]

    async def write(self, attr: str, value: bytes) -> int:
        """ATT error."""
        return await self._write_answer(attr, "radio_write", value=value)

    async def subscribe(self, attr: str, on: bool = True) -> int:
        """ATT error."""
        return await self._write_answer(attr, "radio_subscribe", on=on)

    async def _write_answer(self, attr: str, name: str, **values: Any) -> int:
        n = len(self.all("radio_write_answer")) + 1
        await self.send(name, attr=ATTR[attr], **values)
        answer = await self.answer("radio_write_answer", n)
        assert answer["attr"] == ATTR[attr]
        return answer["att_error"]

    async def link(self, **changes: Any) -> None:
        """Tell the state of the link: secured unless changed."""
        await self.send("radio_link", **{**SECURE, **changes})

    async def pair(self, peer: bytes = PEER, **changes: Any) -> dict[str, Any]:
        """A pairing that goes well unless changed; the band's answer to the request."""
        n = len(self.all("radio_pair_answer")) + 1
        await self.send("radio_pair_request", peer=peer, peer_type=1)
        answer = await self.answer("radio_pair_answer", n)
        if answer["accept"]:
            await self.send("radio_pair_result", **{"success": 1, "authenticated": 1, "secure_connections": 1, "key_bytes": 16,
                                                    "peer": peer, "peer_type": 1, **changes})
        return answer

    async def control(self, request: bytes) -> tuple[int, bytes]:
        """(result, the response's fields)."""
        seen = len(self.notified("control"))
        assert await self.write("control", request) == 0
        await self.until(lambda: len(self.notified("control")) > seen)
        response = self.notified("control")[seen]
        assert response[0] == request[0]
        return response[1], response[2:]

    def notified(self, attr: str) -> list[bytes]:
        """Notifications of a characteristic so far."""
        return [m["value"] for m in self.all("radio_notify") if m["attr"] == ATTR[attr]]

    def frames(self, epoch: int | None = None) -> list[tuple[dict[str, Any], str, dict[str, Any]]]:
        """(header, record name, record) of every frame on the stream."""
        head = SPEC.records["frame_header"]
        out = []
        for value in self.notified("stream"):
            header = head.unpack(value[:head.size])
            layout = SPEC.record_of_kind(header["kind"])
            if epoch is None or header["epoch"] == epoch:
                out.append((header, layout.name, layout.unpack(value[head.size:])))
        return out

    def records(self, name: str, epoch: int | None = None) -> list[dict[str, Any]]:
        """Records of one kind."""
        return [record for _, n, record in self.frames(epoch) if n == name]

    async def feed(self, messages: Iterable[bytes]) -> None:
        """Hand over samples as fast as the band takes them."""
        for data in messages:
            await self.send_raw("front_end", data)

    async def boot(self, sites: tuple[int, int] = (1, 2)) -> None:
        """Label, radio up, first credits; returns once the band advertises."""
        await self.send("identity", serial=b"NB-00042", passkey=PASSKEY, sites=sites)
        await self.send("radio_ready")
        await self.until(lambda: self.all("radio_advertise"))

    async def bond(self, credits: int = 60000, **link: Any) -> None:
        """Button, pairing, secured link, both characteristics subscribed."""
        await self.send("button")
        await asyncio.sleep(0.05)  # another channel than the radio's: nothing orders the two
        await self.link(encrypted=0, authenticated=0, secure_connections=0, key_bytes=0, **link)
        assert (await self.pair())["accept"]
        await self.link(**link)
        assert await self.subscribe("control") == 0
        assert await self.subscribe("stream") == 0
        await self.send("radio_credit", credits=credits)


Launch = Callable[[dict[str, int]], Awaitable[asyncio.subprocess.Process]]


def native(program: Path, nvm: Path) -> Launch:
    """How to start the native band."""
    async def launch(ports: dict[str, int]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(str(program), "--radio", str(ports["radio"]), "--front-end",
                                                    str(ports["front_end"]), "--board", str(ports["board"]), "--nvm", str(nvm))
    return launch


def qemu(elf: Path, nvm: Path) -> Launch:
    """How to start the band in QEMU: UART0 the log, UART1-3 radio, front end, board."""
    async def launch(ports: dict[str, int]) -> asyncio.subprocess.Process:
        serial = ["-serial", f"file:{nvm}.log"]
        for name in CHANNELS:
            serial += ["-chardev", f"socket,id={name},host=127.0.0.1,port={ports[name]},nodelay=on", "-serial", f"chardev:{name}"]
        return await asyncio.create_subprocess_exec(
            "qemu-system-arm", "-display", "none", "-monitor", "none", "-nodefaults", "-no-reboot",
            "-object", f"memory-backend-file,id=nvm,size=16M,mem-path={nvm},share=on",
            "-machine", "mps2-an386,memory-backend=nvm", *serial, "-kernel", str(elf))
    return launch


@asynccontextmanager
async def board(launch: Launch) -> AsyncIterator[Board]:
    """Listen on three ports, start the band, wait until it has connected all three; ends the band afterwards."""
    loop = asyncio.get_running_loop()
    arrived = {name: loop.create_future() for name in CHANNELS}

    def acceptor(name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        return lambda reader, writer: arrived[name].set_result((reader, writer))

    servers = {name: await asyncio.start_server(acceptor(name), "127.0.0.1", 0) for name in CHANNELS}
    process = await launch({name: s.sockets[0].getsockname()[1] for name, s in servers.items()})
    listeners: list[asyncio.Task[None]] = []
    try:
        async with asyncio.timeout(20):
            streams = {name: await future for name, future in arrived.items()}
        b = Board(process, {name: writer for name, (_, writer) in streams.items()})
        listeners = [asyncio.create_task(b.listen(name, reader)) for name, (reader, _) in streams.items()]
        yield b
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await asyncio.gather(*listeners)
        for server in servers.values():
            server.close()
