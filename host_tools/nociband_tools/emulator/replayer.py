"""The virtual front end: hands slots of 20 ms to the band as fast as it takes them, and writes down what it handed over.

The band buffers some seconds and then stops reading; that back-pressure, not a clock here, sets the pace. STATE/fed.bin holds
exactly the slots that were handed over, in order, so that a checker can compare them with what a host received.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

from nociband.spec import SPEC
from nociband_tools.emulator.faults import Fault
from nociband_tools.emulator.source import SLOT_DTYPE, Source
from nociband_tools.radio.bridge import Channel, frame

_TYPE = SPEC.messages["samples"].type
_TOGETHER = 5  # slots between two looks at the back-pressure: 0.1 s


async def replay(source: Source, channel: Channel, fed: Path, *, fault: Fault | None = None,
                 looped: Callable[[int], None] = lambda times: None) -> None:
    """Hand over `source`, again from its beginning when it ends (`looped` is told), until the band goes away."""
    data = source.slots.tobytes()
    size = SLOT_DTYPE.itemsize
    times = 0
    with open(fed, "wb", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600)) as log:  # it may be a person's
        while True:
            for at in range(0, len(data), _TOGETHER * size):
                chunk = data[at:at + _TOGETHER * size]
                log.write(chunk)
                channel.write(_frames(chunk, size, fault))
                try:
                    await channel.drain()
                except ConnectionError:
                    return
            times += 1
            looped(times)


def _frames(chunk: bytes, size: int, fault: Fault | None) -> bytes:
    out = io.BytesIO()
    for at in range(0, len(chunk), size):
        slot = chunk[at:at + size]
        out.write(frame(_TYPE, fault.slot(slot) if fault else slot))
    return out.getvalue()
