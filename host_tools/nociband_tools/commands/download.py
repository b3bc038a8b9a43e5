"""`nociband download`: fetch an open data set into the cache, checked against known checksums."""

from __future__ import annotations

from typing import Annotated

import typer


def command(name: Annotated[str, typer.Argument(help="oxazepam_fmov (17 MB, CC0): EDA and facial EMG of 28 people.")]) -> None:
    """Fetch an open data set into the cache."""
    from nociband.signals import datasets

    about = datasets.describe(name)
    typer.echo(f"{name}: {len(about['sha256'])} files from {about['repository']} ({about['licence']})")
    typer.echo(f"in {datasets.download(name, progress=True)}")
