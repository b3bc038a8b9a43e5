"""`nociband face`: the face side alone. A video source's measures, live in the terminal or as JSON lines.

Data comes from nociband.vision.FaceStream and goes to the terminal; no frame is shown or kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nociband.records import FaceMeasures

MEASURES = ("brow_lowering", "eye_closing", "nose_wrinkling", "upper_lip_raising", "mouth_opening")
_NOTE = "geometric estimate, not validated"


def command(
    source: Annotated[str, typer.Argument(help="a camera's number, a video file, or clip (synthetic)")],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a frame")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="start a file again at its end")] = False,
    seconds: Annotated[float, typer.Option(min=0, help="stop after this long; 0 = at the end or at Ctrl-C")] = 0,
    fps: Annotated[float, typer.Option(min=0.5, max=60, help="at most so many frames a second")] = 8,
) -> None:
    """Show pain-related face measures live. Frames stay in memory."""
    import asyncio

    try:
        asyncio.run(_run(source, as_json, loop, seconds, fps))
    except KeyboardInterrupt:
        pass


async def _run(source: str, as_json: bool, loop: bool, seconds: float, fps: float) -> None:
    from nociband.vision import FaceStream

    async with FaceStream(source, loop=loop, fps=fps) as faces:
        limited = _limited(faces, seconds)
        await (_print_json(limited) if as_json else _show(limited))


async def _limited(faces: AsyncIterator[FaceMeasures], seconds: float) -> AsyncIterator[FaceMeasures]:
    start = None
    async for measures in faces:
        start = measures.host_time_s if start is None else start
        if seconds and measures.host_time_s - start > seconds:
            return
        yield measures


async def _print_json(faces: AsyncIterator[FaceMeasures]) -> None:
    import json
    from dataclasses import asdict

    async for measures in faces:
        print(json.dumps(asdict(measures)), flush=True)


async def _show(faces: AsyncIterator[FaceMeasures]) -> None:
    """A view that redraws itself on a terminal; elsewhere a line a second."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if not console.is_terminal:
        await _print_lines(faces)
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        async for measures in faces:
            live.update(_view(measures), refresh=True)


async def _print_lines(faces: AsyncIterator[FaceMeasures]) -> None:
    next_s = 0.0
    async for measures in faces:
        if measures.host_time_s >= next_s:
            next_s = measures.host_time_s + 1.0
            parts = [f"{name} {_number(getattr(measures, name), 2)}" for name in MEASURES]
            parts += [f"quality {measures.quality:.2f}", f"score {_score(measures)}", f"[{measures.source}]"]
            print("  ".join(parts), flush=True)


def _view(measures: FaceMeasures) -> RenderableType:
    from rich.panel import Panel
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name in MEASURES:
        value = getattr(measures, name)
        table.add_row(name.replace("_", " "), ProgressBar(total=1.0, completed=value or 0.0, width=30), _number(value, 2))
    table.add_row("quality", ProgressBar(total=1.0, completed=measures.quality, width=30), _number(measures.quality, 2))
    table.add_row("score 0-10", ProgressBar(total=10.0, completed=measures.score or 0.0, width=30), _score(measures))
    return Panel.fit(table, title=measures.source, subtitle=_NOTE)


def _score(measures: FaceMeasures) -> str:
    if measures.score is None:
        return "no score: " + ", ".join(why.replace("_", " ") for why in measures.why)
    return _number(measures.score, 1)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
