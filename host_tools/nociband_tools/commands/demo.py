"""`nociband demo`: the main job. Replays a person (or the simulator) through the whole path and checks every byte."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    seconds: Annotated[float, typer.Option(envvar="DEMO_SECONDS", min=0, help="how long; 0 = until Ctrl-C")] = 60,
    band: Annotated[str, typer.Option(help="qemu (the Cortex-M4F image) or native")] = "qemu",
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

    from nociband_tools.demo.plan import make_plan
    from nociband_tools.demo.run import run

    plan = make_plan(band, source, model, seconds)
    if dry_run:
        typer.echo(f"band {plan.band}, source {plan.source}, model {plan.model}, {plan.seconds:g} s: {plan.why}")
        return
    try:
        status = asyncio.run(run(plan, out, face=face, port=port, monitor=monitor, fault=fault))
    except KeyboardInterrupt:
        typer.echo("stopped before the first sample", err=True)
        status = 1
    raise typer.Exit(status)
