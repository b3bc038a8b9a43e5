"""Frames between an emulated band's UARTs and the emulator, as bridge.toml lays them out.

A frame is 0xA5, type u8, length u16, payload, CRC-16/CCITT-FALSE over type, length and payload. `encode` makes one, `Decoder`
finds them in a stream of bytes, `Channel` is one of the band's three channels as asyncio streams.
"""

from __future__ import annotations

import asyncio
import binascii
import logging
import struct
from collections.abc import AsyncIterator
from typing import Any

from nociband.errors import WireError
from nociband.spec import SPEC, Message

log = logging.getLogger(__name__)

START = SPEC.bridge["framing"]["start_of_frame"]
PAYLOAD_MAX = SPEC.bridge["framing"]["payload_max"]
_HEAD = struct.Struct("<BBH")
_CRC_BYTES = 2
_BY_TYPE = {m.type: m for m in SPEC.messages.values()}


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, not reflected, no final XOR."""
    return binascii.crc_hqx(data, 0xFFFF)


def frame(message_type: int, payload: bytes) -> bytes:
    """One frame. Raises WireError when the payload is longer than the contract allows."""
    if len(payload) > PAYLOAD_MAX:
        raise WireError(f"bridge message 0x{message_type:02x}: {len(payload)} bytes where at most {PAYLOAD_MAX} belong")
    head = _HEAD.pack(START, message_type, len(payload))
    return head + payload + struct.pack("<H", crc16(head[1:] + payload))


def encode(name: str, **values: Any) -> bytes:
    """The frame of the message `name`. Raises WireError for values that are not the layout's."""
    message = SPEC.messages[name]
    return frame(message.type, message.layout.pack(**values))


def decode(message_type: int, payload: bytes) -> tuple[Message, dict[str, Any]]:
    """Which message it is and its values. Raises WireError for an unknown type or a wrong length."""
    message = _BY_TYPE.get(message_type)
    if message is None:
        raise WireError(f"unknown bridge message 0x{message_type:02x}")
    return message, message.layout.unpack(payload)


class Decoder:
    """Finds whole frames in bytes that arrive in any portions; after damage it looks for the next start of frame.

    `damaged` counts the times that it had to.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lost = False
        self.damaged = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Add `data`; returns the (type, payload) of each frame that is complete."""
        self._buffer += data
        frames = []
        while (found := self._next()) is not None:
            if found:
                frames.append(found)
        return frames

    def _next(self) -> tuple[int, bytes] | tuple[()] | None:
        """A frame, () after a damaged byte was skipped, None when more bytes are needed."""
        at = self._buffer.find(START)
        if at != 0:
            self._skip(len(self._buffer) if at < 0 else at)
        if len(self._buffer) < _HEAD.size:
            return None
        _, message_type, length = _HEAD.unpack_from(self._buffer)
        if length > PAYLOAD_MAX:
            return self._skip(1)
        end = _HEAD.size + length
        if len(self._buffer) < end + _CRC_BYTES:
            return None
        if crc16(bytes(self._buffer[1:end])) != struct.unpack_from("<H", self._buffer, end)[0]:
            return self._skip(1)
        payload = bytes(self._buffer[_HEAD.size:end])
        del self._buffer[:end + _CRC_BYTES]
        self._lost = False
        return message_type, payload

    def _skip(self, count: int) -> tuple[()]:
        if count and not self._lost:
            self._lost = True
            self.damaged += 1
        del self._buffer[:count]
        return ()


class Channel:
    """One channel of the band: messages out with `send`, messages in by iterating; ends when the band goes away."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self.decoder = Decoder()
        self._reader = reader
        self._writer = writer

    def send(self, name: str, **values: Any) -> None:
        """Queue a message to the band; it is dropped when the band has gone (the iterator then says so)."""
        if SPEC.messages[name].channel != self.name or SPEC.messages[name].to != "band":
            raise WireError(f"{name} does not go to the band on the channel {self.name}")
        self.write(encode(name, **values))

    def write(self, data: bytes) -> None:
        """Queue bytes that are framed already."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the band has taken enough. Raises ConnectionError when it has gone."""
        await self._writer.drain()

    async def __aiter__(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """(message name, values) as they come. Messages that do not decode or do not belong here are logged and skipped."""
        while data := await self._read():
            for message_type, payload in self.decoder.feed(data):
                try:
                    message, values = decode(message_type, payload)
                except WireError as e:
                    log.warning("channel %s: %s", self.name, e)
                    continue
                if message.channel != self.name or message.to == "band":
                    log.warning("channel %s: %s does not belong here", self.name, message.name)
                    continue
                yield message.name, values

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(4096)
        except ConnectionError:
            return b""

    async def close(self) -> None:
        """Close the stream; a band that has gone already is no error."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass
