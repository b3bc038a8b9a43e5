"""How a command reaches a band: the shared options, the backend that they choose, and asking a person for the passkey.

`--radio HOST:PORT` is an emulated band's virtual radio (nociband_tools.radio.client); without it the system's Bluetooth is used
through bleak. Commands get a connected nociband.band.Band.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nociband.errors import EnvironmentProblem, PairingError

RadioOption = Annotated[str | None, typer.Option(
    "--radio", metavar="HOST:PORT", help="An emulated band's virtual radio, as `nociband emulate` prints it; without it "
                                         "the system's Bluetooth is used.")]
AddressOption = Annotated[str | None, typer.Option(
    "--address", help="Address or advertised name of the band, when there are several; else the first one heard.")]
PasskeyOption = Annotated[str | None, typer.Option(
    "--passkey", help="Six digits from the band's label, for the first connection; asked for when left out.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to look for a band.")]
StateOption = Annotated[Path | None, typer.Option(
    "--state", help="Folder for the virtual radio's bonds (default: the monitor's).")]


@dataclass(frozen=True)
class Target:
    """Which band, over which radio."""

    radio: str | None = None
    address: str | None = None
    passkey: str | None = None
    timeout_s: float = 10.0
    state: Path | None = None


def check_radio(radio: str | None) -> None:
    """Raises EnvironmentProblem unless --radio is HOST:PORT, or was left out."""
    host, _, port = (radio or "").rpartition(":")
    if radio is not None and not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise EnvironmentProblem(f"--radio {radio}: give HOST:PORT as `nociband emulate` prints it")


@contextlib.asynccontextmanager
async def backend_of(target: Target) -> AsyncIterator[Any]:
    """The backend for nociband.band: the virtual radio's, or None for the system's.

    Raises EnvironmentProblem when --radio is not HOST:PORT, BandError when no radio answers there.
    """
    check_radio(target.radio)
    if target.radio is None:
        yield None
        return
    from nociband_tools.monitor.access import default_state_dir, prepare_state_dir
    from nociband_tools.radio.client import virtual_backend

    keys = prepare_state_dir(target.state or default_state_dir()) / "bonds.json"
    async with virtual_backend(target.radio, keys=keys) as backend:
        yield backend


@contextlib.asynccontextmanager
async def connected(target: Target) -> AsyncIterator[Any]:
    """A Band: found, connected, paired when needed. Raises BandError, PairingError, SpecError."""
    from nociband.band import Band, find_band

    async with backend_of(target) as backend:
        found = await find_band(timeout_s=target.timeout_s, backend=backend, address=target.address)
        async with Band.connect(found, passkey=target.passkey or ask_passkey) as band:
            yield band


def ask_passkey() -> str:
    """Ask on the terminal. Raises PairingError when nobody can answer."""
    if not sys.stdin.isatty():
        raise PairingError("this host is not paired with the band: press the band's button and give --passkey with the six "
                           "digits on its label")
    print("Press the band's button, then type the six digits on its label: ", end="", file=sys.stderr, flush=True)
    return input()
