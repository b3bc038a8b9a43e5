"""`nociband demo`: the main job. Replays a person (or the simulator) through the whole path and checks every byte."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nociband_tools.commands.emulate import Board


def command(
    seconds: Annotated[float, typer.Option(envvar="DEMO_SECONDS", min=0, help="how long; 0 = until Ctrl-C")] = 60,
    band: Annotated[Board, typer.Option(help="qemu: Cortex-M4F; native: a process of this machine")] = Board.qemu,
    source: Annotated[str | None, typer.Option(help="fmov[:SUBJECT], simulator[:SEED] or a file; default: what is there")] = None,
    model: Annotated[str | None, typer.Option(help="name under firmware/models, or a model's folder")] = None,
    face: Annotated[str, typer.Option(help="clip (synthetic), a camera's number, a video file or none")] = "clip",
    port: Annotated[int, typer.Option(help="the monitor's port on 127.0.0.1; 0 = a free one")] = 8600,
    monitor: Annotated[bool, typer.Option(help="serve the monitor's page")] = True,
    out: Annotated[Path, typer.Option(help="where summary.json goes")] = Path("build/demo"),
    fault: Annotated[str | None, typer.Option(help="inject a fault and see the check fail (as in `nociband emulate`)")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would run, and stop")] = False,
) -> None:
    """Emulated band, radio, SDK, face, fusion and monitor on one recording; 0 only if all is equal."""
    import asyncio
    import math

    from nociband_tools.demo.plan import make_plan
    from nociband_tools.demo.run import run

    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} s: give a number of seconds, or 0 for until Ctrl-C", param_hint="--seconds")
    plan = make_plan(band.value, source, model, seconds)
    if dry_run:
        typer.echo(f"band {plan.band}, source {plan.source}, model {plan.model}, {plan.seconds:g} s: {plan.why}")
        return
    try:
        status = asyncio.run(run(plan, out, face=face, port=port, monitor=monitor, fault=fault))
    except (KeyboardInterrupt, asyncio.CancelledError, ImportError) as e:   # before there was a session, or a second time
        # A C extension that is just being imported turns Ctrl-C into an ImportError.
        if isinstance(e, ImportError) and not isinstance(e.__cause__, KeyboardInterrupt):
            raise
        typer.echo("stopped: nothing was checked", err=True)
        status = 1
    raise typer.Exit(status)
