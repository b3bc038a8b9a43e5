"""The emulated band as a child process: `nociband emulate`, started, watched and stopped. It may not outlive us."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nociband.errors import BandError
from nociband_tools.emulator.process import die_with_parent

START_TIMEOUT_S = 180.0     # the first start compiles the firmware
STOP_TIMEOUT_S = 10.0


@dataclass
class EmulatedBand:
    """A running emulator. `ready` is its ready event; `events` what it said since; `exited` is set when it ends."""

    process: asyncio.subprocess.Process
    state: Path
    ready: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    exited: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def fed(self) -> Path:
        """What was handed to the band, slot after slot."""
        return self.state / "fed.bin"


async def _ready_line(process: asyncio.subprocess.Process, said: list[str]) -> dict[str, Any] | None:
    assert process.stdout
    while line := await process.stdout.readline():
        try:
            event = json.loads(line)
        except ValueError:
            said.append(line.decode(errors="replace").strip())
            continue
        if event.get("event") == "ready":
            return event
    return None


async def _errors(process: asyncio.subprocess.Process, said: list[str]) -> None:
    assert process.stderr
    while line := await process.stderr.readline():
        said.append(line.decode(errors="replace").strip())


async def _watch(band: EmulatedBand) -> None:
    assert band.process.stdout
    while line := await band.process.stdout.readline():
        try:
            band.events.append(json.loads(line))
        except ValueError:
            continue
    await band.process.wait()
    band.exited.set()


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def emulated_band(band: str, source: str, model: str, state: Path, *, fault: str | None = None):
    """Start the emulator and yield it once the band's radio is up; stop it on the way out.

    Raises BandError with the emulator's own words when it ends or does not come up in time.
    """
    command = [sys.executable, "-m", "nociband_tools.cli", "emulate", "--band", band, "--source", source, "--model", model,
               "--state", str(state), "--json", *(["--fault", fault] if fault else [])]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                                                   stderr=asyncio.subprocess.PIPE, start_new_session=True,
                                                   preexec_fn=die_with_parent(signal.SIGTERM))
    said: list[str] = []
    tasks = [asyncio.create_task(_errors(process, said))]
    try:
        try:
            ready = await asyncio.wait_for(_ready_line(process, said), START_TIMEOUT_S)
        except TimeoutError:
            raise BandError(f"the emulated band did not come up in {START_TIMEOUT_S:g} s: {' '.join(said[-3:])}") from None
        if ready is None:
            await process.wait()
            await asyncio.wait(tasks, timeout=1)
            raise BandError("\n".join(line.removeprefix("nociband: ") for line in said[-5:]) or "the emulator ended at once")
        running = EmulatedBand(process, state, ready)
        tasks.append(asyncio.create_task(_watch(running)))
        yield running
    finally:
        await _stop(process)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
