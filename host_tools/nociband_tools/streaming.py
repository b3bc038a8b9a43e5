"""What `nociband stream` and `nociband record` share: a band's session for so many seconds or until Ctrl-C, with a tidy end.

Records come from nociband.band; each goes to the command's function, and optionally everything to a session file.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from nociband.errors import BandDisconnected, NocibandError
from nociband.records import Record
from nociband.store import SessionWriter


@contextlib.asynccontextmanager
async def _stopping(band: Any, seconds: float | None) -> AsyncIterator[asyncio.Event]:
    """Stop the session `seconds` after the event that is given was set (by the first record), on Ctrl-C, on SIGTERM and when
    the terminal closes (not under nohup).
    """
    loop, begun, wished = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    async def stop() -> None:
        await begun.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wished.wait(), seconds)
        with contextlib.suppress(NocibandError):        # a link that is gone ends the stream by itself
            await band.stop()

    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = [signal.SIGINT, signal.SIGTERM, *([] if nohup else [signal.SIGHUP])]
    for number in numbers:
        loop.add_signal_handler(number, wished.set)
    task = asyncio.create_task(stop())
    try:
        yield begun
    finally:
        task.cancel()
        for number in numbers:
            loop.remove_signal_handler(number)


async def run_session(band: Any, take: Callable[[Record], None], seconds: float | None, *, reconnect: bool = False,
                      tap: Callable[[bytes, float], None] | None = None) -> None:
    """Stream for `seconds` (None: until Ctrl-C) and hand every record to `take`. Raises BandError."""
    async with _stopping(band, seconds) as begun, contextlib.aclosing(band.stream(reconnect=reconnect, tap=tap)) as records:
        async for record in records:
            begun.set()
            take(record)


async def record_session(band: Any, path: Path, take: Callable[[Record], None], seconds: float | None, *,
                         reconnect: bool = False) -> None:
    """As run_session, and write everything to a new session file at `path`. Raises BandError, DataError."""
    about = {"band": band.name, "address": band.address, "firmware": band.info.firmware_version, "model": band.manifest.name}
    sessions = 0
    with SessionWriter(path, band.manifest, about) as writer:
        for exchange in band.clock.log:
            writer.exchange(*exchange)

        def tap(data: bytes, received_s: float) -> None:
            nonlocal sessions
            if band.sessions != sessions:
                sessions = band.sessions
                writer.begin(band.epoch)
            writer.frame(data, received_s)

        band.clock.on_exchange = writer.exchange
        try:
            await run_session(band, take, seconds, reconnect=reconnect, tap=tap)
            writer.end(band.account, band.frames_in_all)
        except BandDisconnected:
            writer.end(band.account, None)
            raise
        finally:
            band.clock.on_exchange = None
