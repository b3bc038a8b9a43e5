"""`nociband clip`: writes the made (synthetic) test clip to a video file, to look at or to feed to `nociband face`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Argument(help="where to write it: NAME.avi")],
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="how long; the expression comes every 12 s")] = 24,
) -> None:
    """Write the made test clip, a warped public-domain portrait. It is synthetic: nobody in it is in pain."""
    from nociband_tools.clip import write_clip

    count = write_clip(file, seconds)
    typer.echo(f"{file}: {count} frames, synthetic")
