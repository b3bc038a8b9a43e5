"""`nociband stream`: a band's records live, as a terminal view or as JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from nociband.records import Record
from nociband_tools.connect import AddressOption, PasskeyOption, RadioOption, StateOption, Target, TimeoutOption, connected

REFRESH_HZ = 8


def command(
    radio: RadioOption = None,
    address: AddressOption = None,
    passkey: PasskeyOption = None,
    timeout: TimeoutOption = 10.0,
    state: StateOption = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="How long; until Ctrl-C when left out.")] = None,
    reconnect: Annotated[bool, typer.Option(help="Reconnect when the link is lost; what is lost is told as a gap.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a record instead of the view.")] = False,
    screenshot: Annotated[Path | None, typer.Option(help="Save the last view as an SVG picture.")] = None,
) -> None:
    """Show what a band measures and what its model makes of it. Research software, not a medical device."""
    asyncio.run(_stream(Target(radio, address, passkey, timeout, state), seconds, reconnect, as_json, screenshot))


async def _stream(target: Target, seconds: float | None, reconnect: bool, as_json: bool, picture: Path | None) -> None:
    from nociband_tools.streaming import run_session
    from nociband_tools.terminal import LiveView, screenshot

    async with connected(target) as band:
        view = LiveView(band.name, band.manifest)
        if as_json:
            await run_session(band, _both(_print_json, view.feed), seconds, reconnect=reconnect)
        else:
            await _show(band, view, seconds, reconnect, run_session)
    if picture is not None:
        screenshot(view, picture)


async def _show(band: Any, view: Any, seconds: float | None, reconnect: bool, run_session: Callable[..., Any]) -> None:
    from rich.live import Live

    with Live(get_renderable=view.render, refresh_per_second=REFRESH_HZ, auto_refresh=True, redirect_stderr=False):
        await run_session(band, view.feed, seconds, reconnect=reconnect)


def _both(first: Callable[[Record], None], second: Callable[[Record], None]) -> Callable[[Record], None]:
    def take(record: Record) -> None:
        first(record)
        second(record)

    return take


def _print_json(record: Record) -> None:
    from nociband.store import record_to_dict

    sys.stdout.write(json.dumps(record_to_dict(record)) + "\n")
    sys.stdout.flush()
