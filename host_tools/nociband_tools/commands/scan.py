"""`nociband scan`: which bands are in reach."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated, Any

import typer

from nociband.errors import BandNotFound
from nociband_tools.connect import RadioOption, Target, backend_of


def command(
    radio: RadioOption = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to listen.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a band.")] = False,
) -> None:
    """List the bands that advertise, the nearest first. Exit status 1 when there is none."""
    if sys.stderr.isatty():
        print(f"Listening for {seconds:g} s ...", file=sys.stderr)
    found = asyncio.run(_scan(radio, seconds))
    for band in found:
        if as_json:
            print(json.dumps({"name": band.name, "address": band.address, "rssi_dbm": band.rssi_dbm}))
        else:
            print(f"{band.name:12} {band.address:20} {band.rssi_dbm:4d} dBm")
    if not found:
        raise BandNotFound(f"no band was heard within {seconds:g} s: switch it on, bring it within a few metres, and disconnect "
                           "it from other hosts (a connected band does not advertise)")


async def _scan(radio: str | None, seconds: float) -> list[Any]:
    from nociband.band import find_bands

    async with backend_of(Target(radio)) as backend:
        return await find_bands(seconds, backend=backend)
