"""Faults on purpose, so that checks can be seen to fail: a man in the middle between the firmware and the virtual board.

Nothing of this is in a firmware image. `NAME[:N]`, N counted from 1:
- drop-frame: the Nth signals notification never reaches the radio;
- flip-feature: one bit of the Nth features record is flipped on its way to the radio;
- flip-sample: one bit of the Nth 20 ms slot is flipped on its way to the band, after it was written to fed.bin.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from nociband.errors import NocibandError
from nociband.spec import SPEC
from nociband_tools.radio.bridge import Channel

_STREAM = SPEC.characteristics["stream"].id
_DEFAULT_N = {"drop-frame": 50, "flip-feature": 15, "flip-sample": 150}
_KIND = {"drop-frame": SPEC.records["signals"].kind, "flip-feature": SPEC.records["features"].kind}
_FLIP_AT = {"flip-feature": SPEC.records["frame_header"].size + 4, "flip-sample": SPEC.messages["samples"].layout.size - 80}


@dataclass
class Fault:
    """One fault, done once. `said` is told when it happens."""

    name: str
    n: int
    said: Callable[[str, int], None] = lambda name, n: None
    _seen: int = 0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """From `NAME[:N]`. Raises NocibandError for anything else."""
        name, _, count = text.partition(":")
        if name not in _DEFAULT_N or (count and not (count.isdigit() and int(count) > 0)):
            raise NocibandError(f"unknown fault {text!r}: one of {', '.join(_DEFAULT_N)}, with :N (from 1) to say which")
        return cls(name, int(count) if count else _DEFAULT_N[name])

    def slot(self, payload: bytes) -> bytes:
        """A slot on its way to the band."""
        return _flipped(payload, _FLIP_AT[self.name]) if self.name == "flip-sample" and self._due() else payload

    def notification(self, value: bytes) -> bytes | None:
        """A frame of the stream on its way to the radio; None when it is lost."""
        if value[:1] != bytes([_KIND.get(self.name) or 0]) or not self._due():
            return value
        return None if self.name == "drop-frame" else _flipped(value, _FLIP_AT[self.name])

    def _due(self) -> bool:
        self._seen += 1
        if self._seen == self.n:
            self.said(self.name, self.n)
        return self._seen == self.n


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


class FaultyRadioChannel(Channel):
    """The radio channel with a fault in it. A swallowed notification gives its credit back, as if it had been sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault) -> None:
        super().__init__("radio", reader, writer)
        self._fault = fault

    async def __aiter__(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """As Channel's, through the fault."""
        async for name, values in super().__aiter__():
            if name == "radio_notify" and values["attr"] == _STREAM:
                value = self._fault.notification(values["value"])
                if value is None:
                    self.send("radio_credit", credits=1)
                    continue
                values = {**values, "value": value}
            yield name, values
