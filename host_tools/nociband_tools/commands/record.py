"""`nociband record FILE`: keep everything that a band sends, as it came, with an account of what is missing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from nociband.errors import BandDisconnected
from nociband.records import Gap, Prediction, Record
from nociband_tools.connect import AddressOption, PasskeyOption, RadioOption, StateOption, Target, TimeoutOption, connected


def command(
    file: Annotated[Path, typer.Argument(help="New session file (.nbs); one that is there is never overwritten.")],
    radio: RadioOption = None,
    address: AddressOption = None,
    passkey: PasskeyOption = None,
    timeout: TimeoutOption = 10.0,
    state: StateOption = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="How long; until Ctrl-C when left out.")] = None,
    reconnect: Annotated[bool, typer.Option(help="Reconnect when the link is lost; what is lost is told as a gap.")] = True,
    npz: Annotated[Path | None, typer.Option("--npz", help="Also export to a NumPy archive at the end.")] = None,
) -> None:
    """Record a session to FILE until Ctrl-C; nociband.store.open_session reads it. Exit status 1 when frames are missing."""
    target = Target(radio, address, passkey, timeout, state)
    try:
        asyncio.run(_record(file, target, seconds, reconnect))
    except BandDisconnected as e:
        print(f"nociband: {e}", file=sys.stderr)
    raise typer.Exit(0 if _account(file, npz) else 1)


async def _record(file: Path, target: Target, seconds: float | None, reconnect: bool) -> None:
    from nociband_tools.streaming import record_session

    async with connected(target) as band:
        manifest = band.manifest
        print(f"Recording {band.name} ({manifest.title}) to {file}. Ctrl-C ends it.", file=sys.stderr)
        if manifest.warning:
            print(f"Note: {manifest.warning}", file=sys.stderr)
        await record_session(band, file, _tell, seconds, reconnect=reconnect)


def _tell(record: Record) -> None:
    """Only what a person should know at once."""
    if isinstance(record, Gap):
        print(f"{record.lost} frames are missing ({record.why.replace('_', ' ')})", file=sys.stderr)
    elif isinstance(record, Prediction) and record.frame_index % 1500 < 25:      # about once a minute
        print(f"{(record.frame_index + 1) / 25:6.0f} s recorded", file=sys.stderr)


def _account(file: Path, npz: Path | None) -> bool:
    from nociband.store import open_session, to_npz

    if not file.exists():
        return False
    session = open_session(file)
    complete = session.completeness()
    print(f"{file}: {complete.frames} frames, {complete.lost} missing in {complete.gaps} gaps, {file.stat().st_size} bytes")
    for problem in complete.problems:
        print(f"  {problem}")
    if npz is not None:
        to_npz(session.records(), npz)
        print(f"{npz}: exported")
    return complete.whole
