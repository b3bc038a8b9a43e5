"""Finding a band on a machine without Bluetooth: the message names the cause."""

from __future__ import annotations

import pytest

from nociband.band import discovery, find_band
from nociband.errors import BandError


async def test_without_a_system_message_bus_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoBus:
        def __init__(self, *_: object, **__: object) -> None: ...

        async def start(self) -> None:
            raise FileNotFoundError(2, "No such file or directory")     # what bleak lets through on Linux without D-Bus

    monkeypatch.setattr(discovery, "BleakScanner", NoBus)
    with pytest.raises(BandError, match="no system message bus, so no BlueZ.*virtual radio"):
        await find_band(0.1)
