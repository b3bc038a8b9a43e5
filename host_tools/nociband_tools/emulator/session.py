"""Runs an emulated band from start to end: what `nociband emulate` does.

Comes from: Options. Goes to: events (dicts) for the terminal or as JSON lines; hosts connect to the HCI port that `ready` names.
On SIGINT and SIGTERM everything is stopped and the status is 0; when the firmware dies it is 1, after the host's link has timed
out as it would on the air.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nociband.errors import BandError
from nociband_tools.emulator.board import BATTERY_PERCENT, Identity, StateFolder, introduce
from nociband_tools.emulator.faults import Fault, FaultyRadioChannel
from nociband_tools.emulator.process import BandProcess
from nociband_tools.emulator.replayer import replay
from nociband_tools.emulator.source import Source, open_source
from nociband_tools.radio.air import Air
from nociband_tools.radio.bridge import Channel
from nociband_tools.radio.keys import KeyFile
from nociband_tools.radio.peripheral import Peripheral

Say = Callable[[dict[str, Any]], None]

UP_S = 20.0
CANCEL_AGAIN_S = 0.3
SIMULATED_BAND = {"qemu": "band: Cortex-M4F emulated by QEMU, not cycle-accurate",
                  "native": "band: its firmware as a process of this machine"}
SIMULATED_RADIO = "radio: software (Bumble), no air time, no interference; link encryption is negotiated, not performed"
SIMULATED_BATTERY = f"battery: always {BATTERY_PERCENT} %"


@dataclass(frozen=True)
class Options:
    """What to run. `model` is the one that `firmware` carries. `second_lock` False leaves every refusal to the band (tests)."""

    band: str
    source: str
    model: str
    state: Path
    firmware: Path
    port: int = 0
    press: bool = True
    fault: str | None = None
    second_lock: bool = True


class EmulatedBand:
    """A band that is up: `ready` is its event, `air` what hosts reach it over."""

    def __init__(self, options: Options, air: Air, source: Source, identity: Identity, process: BandProcess,
                 board: Channel, peripheral: Peripheral) -> None:
        self.air = air
        self.state = process.log.parent
        self.process = process
        self.peripheral = peripheral
        self._board = board
        self.gone = asyncio.Event()
        self.ready = {
            "event": "ready", "hci": air.address, "serial": identity.serial, "passkey": identity.label, "band": options.band,
            "model": options.model, "source": source.name, "sites": list(source.sites), "pid": os.getpid(),
            "band_pid": process.pid,
            "simulated": [*source.simulated, SIMULATED_BAND[options.band], SIMULATED_RADIO, SIMULATED_BATTERY],
        }

    def press(self) -> None:
        """Press the band's button: it lets a host pair for a while."""
        self._board.send("button")


@asynccontextmanager
async def emulated_band(options: Options, say: Say) -> AsyncIterator[EmulatedBand]:
    """Start band, front end, board and radio; stop all of them on the way out.

    Raises DataError for the source, EnvironmentProblem for what is missing or in use, BandError when the firmware fails.
    """
    fault = Fault.parse(options.fault) if options.fault else None
    if fault:
        fault.said = lambda name, n: say({"event": "fault", "name": name, "n": n})
    source = open_source(options.source)
    async with AsyncExitStack() as stack:
        folder = StateFolder(options.state)
        stack.callback(folder.close)
        identity = folder.identity()
        air = await stack.enter_async_context(await Air.open(options.port))
        process = await BandProcess.start(options.band, options.firmware, folder.path)
        stack.push_async_callback(process.stop)
        board = Channel("board", *process.streams["board"])
        front_end = Channel("front_end", *process.streams["front_end"])
        radio = FaultyRadioChannel(*process.streams["radio"], fault) if fault else Channel("radio", *process.streams["radio"])
        peripheral = Peripheral(air, radio, KeyFile(folder.path / "radio_keys.json"), second_lock=options.second_lock)
        band = EmulatedBand(options, air, source, identity, process, board, peripheral)
        tasks = [asyncio.create_task(job) for job in (
            peripheral.run(), _listen(board, say),
            replay(source, front_end, folder.path / "fed.bin", fault=fault,
                   looped=lambda times: say({"event": "looped", "times": times, "source": source.name})),
            _watch(band, say))]
        for what, task in zip(("radio", "board", "front_end"), tasks, strict=False):
            task.add_done_callback(partial(_ended, band, say, what))
        stack.push_async_callback(cancel_all, tasks)
        introduce(board, identity, source.sites)
        await _until_up(band, tasks)
        yield band


async def cancel_all(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel until they have ended: Python 3.11's wait_for, which Bumble awaits its commands with, can swallow a cancellation
    that comes with the result."""
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)  # what they ended with was said, or does not matter any more


async def _listen(board: Channel, say: Say) -> None:
    async for name, values in board:
        if name == "boot":
            say({"event": "boot", "board": bytes(values["board"]).rstrip(b"\0 ").decode("ascii", "replace"),
                 "ring_ms": int(values["ring_ms"])})


async def _watch(band: EmulatedBand, say: Say) -> None:
    """The firmware does not end by itself: when it does, say so and let the links time out."""
    status = await band.process.wait()
    why = signal.Signals(-status).name if status < 0 else f"status {status}"
    say({"event": "band_exit", "status": status, "why": why, "log": str(band.process.log)})
    await asyncio.sleep(band.air.supervision_s + 0.3)
    band.gone.set()


def _ended(band: EmulatedBand, say: Say, what: str, task: asyncio.Task[None]) -> None:
    """With the band all else ends in silence; a failure of its own (a disk that is full) ends the emulator."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        why = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
        say({"event": "failed", "what": what, "why": why})
        band.gone.set()


async def _until_up(band: EmulatedBand, tasks: list[asyncio.Task[None]]) -> None:
    up = asyncio.create_task(band.peripheral.advertising.wait())
    radio, watch = tasks[0], tasks[-1]
    await asyncio.wait({up, radio, watch}, timeout=UP_S, return_when=asyncio.FIRST_COMPLETED)
    if up.done():
        return
    up.cancel()
    if radio.done() and radio.exception() is not None:
        raise BandError(f"the virtual radio failed: {radio.exception()!r}. {band.process.last_words()}")
    late = "ended before it came on the air" if radio.done() or watch.done() else f"did not come on the air within {UP_S:g} s"
    raise BandError(f"the band {late}. {band.process.last_words()}")


async def run(options: Options, say: Say) -> int:
    """`nociband emulate`: until Ctrl-C (0) or the band's end (1)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    starting = asyncio.current_task()
    assert starting is not None
    interrupted = asyncio.create_task(_interrupt(stop, starting))
    try:
        async with emulated_band(options, say) as band:
            interrupted.cancel()
            loop.add_signal_handler(signal.SIGUSR1, band.press)
            _press_on_stdin(band.press)
            if options.press:
                band.press()
            say(band.ready)
            waits = [asyncio.create_task(e.wait()) for e in (stop, band.gone)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            status = 0 if stop.is_set() else 1
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
        status = 0
    finally:
        interrupted.cancel()
    say({"event": "stopped", "status": status})
    return status


async def _interrupt(stop: asyncio.Event, starting: asyncio.Task[Any]) -> None:
    """Ctrl-C while the band is still coming up."""
    await stop.wait()
    starting.cancel()


def _press_on_stdin(press: Callable[[], None]) -> None:
    """A line `b` presses the button. Not when stdin is a file or this is a background job."""
    loop = asyncio.get_running_loop()
    try:
        if sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
            return

        def readable() -> None:
            data = os.read(sys.stdin.fileno(), 1024)
            if not data:
                loop.remove_reader(sys.stdin.fileno())
            elif b"b" in data.split():
                press()

        loop.add_reader(sys.stdin.fileno(), readable)
    except (OSError, ValueError, AttributeError):  # closed, /dev/null or a file: there is nobody to press
        return
