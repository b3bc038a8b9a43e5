"""`nociband data list | get NAME | check NAME`: which data sets there are, fetch an open one, look for damage.

What each is stands in nociband.signals.registry, fetching in nociband.signals.datasets; here are the table, the progress bar and
the words. Guide: docs/data.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nociband.signals import Finding
    from nociband.signals.registry import DatasetInfo

app = typer.Typer(no_args_is_help=True, help="Data sets: list them, fetch an open one, look for damage.")
Folder = Annotated[Path | None, typer.Option("--data", help="Folder of data sets; else $NOCIBAND_DATA, else the download cache.")]
Json = Annotated[bool, typer.Option("--json", help="for machines")]
Name = Annotated[str, typer.Argument(help="As `nociband data list` names it.")]


@app.command("list")
def list_(data: Folder = None, as_json: Json = False) -> None:
    """Every data set: what it holds, under which terms, where it is here or how to get it."""
    from nociband.signals import registry

    rows = [_row(info, data) for info in registry.ALL]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0))
    for row in rows:
        how = f"`nociband data get {row['name']}` says how" if row["access"] == "registered" else row["how_to_obtain"]
        where = f"here: {row['folder']}" if row["folder"] else f"not here: {how}" if row["access"] != "synthetic" else how
        tasks = f"tasks: {', '.join(row['tasks'])}" if row["tasks"] else "no task is built on it"
        table.add_row(Text(row["name"], "bold"), Text("\n".join([
            row["title"], f"{_people(row)}{row['signals']}", f"{tasks}; {row['access']}, {row['licence']}", where])))
    Console().print(table)


@app.command()
def get(name: Name, data: Folder = None, as_json: Json = False) -> None:
    """Fetch an open data set, checked against known checksums; a broken transfer goes on. Exit status 2: cannot be fetched."""
    import os

    from nociband.errors import DataError, EnvironmentProblem
    from nociband.signals import datasets, registry

    info = registry.find(name)
    if info.access == "registered":
        raise EnvironmentProblem(f"{info.name} cannot be downloaded. {info.how_to_obtain}")
    if info.access == "synthetic":
        raise EnvironmentProblem(f"{info.name} has no files: its recordings are made when asked for")
    about = datasets.describe(name)
    if data is None and (named := os.environ.get("NOCIBAND_DATA")):
        if not datasets.available(name):
            raise DataError(f"NOCIBAND_DATA ({named}) holds no {info.folder}, and while it is set nothing is fetched elsewhere. "
                            f"Unset it, or fetch into it: nociband data get {info.name} --data {named}")
        folder, fetched = datasets.locate(name), False
    else:
        folder, fetched = _fetch(info, data, quiet=as_json), True
    findings = datasets.verify(name, folder)
    size = about["bytes"]
    if as_json:
        typer.echo(json.dumps({"name": info.name, "folder": str(folder), "fetched": fetched, "files": len(about["sha256"]),
                               "bytes": size, "findings": _plain(findings)}, indent=1))
    else:
        typer.echo(f"{info.name} ({info.licence}): {len(about['sha256'])} files, {size / 1e6:.1f} MB, "
                   f"{'in' if fetched else 'already here, nothing fetched:'} {folder}")
        _say(findings)
    raise typer.Exit(bool(findings))


@app.command()
def check(name: Name, data: Folder = None, as_json: Json = False) -> None:
    """Read all of a data set and say what is wrong: which file, line, column, rate. Exit status 1 when something is."""
    from nociband.errors import EnvironmentProblem
    from nociband.signals import datasets, registry

    info = registry.find(name)
    if info.access == "synthetic":
        raise EnvironmentProblem(f"{info.name} has no files that could be damaged")
    findings = info.check(data)
    if info.access == "open":
        named = {_stem(finding.path) for finding in findings}
        findings = findings + [f for f in datasets.verify(name, data) if _stem(f.path) not in named]
    if as_json:
        typer.echo(json.dumps({"name": info.name, "sound": not findings, "findings": _plain(findings)}, indent=1))
    else:
        _say(findings)
        typer.echo(f"{info.name}: {len(findings)} finding{'s' * (len(findings) > 1)}" if findings else f"{info.name}: sound")
    raise typer.Exit(bool(findings))


def _people(row: dict[str, Any]) -> str:
    """How many people, of those how many are here: "28 of 37 people; "."""
    if row["access"] == "synthetic":
        return ""
    here = f"{row['people_here']} of " if row["people_here"] not in (None, row["people"]) else ""
    return f"{here}{row['people']} {'person' if row['people'] == 1 else 'people'}; "


def _row(info: DatasetInfo, data: Path | None) -> dict[str, Any]:
    from nociband.errors import DataError
    from nociband.signals import datasets

    folder, here = None, None
    if info.access != "synthetic" and datasets.available(info.name, data):
        folder = str(datasets.locate(info.name, data))
        try:
            here = info.people_here(data)
        except DataError:       # damaged: `check` says how
            here = None
    return {"name": info.name, "title": info.title, "access": info.access, "licence": info.licence, "people": info.people,
            "people_here": here, "signals": info.signals, "tasks": list(info.tasks), "holds": info.holds, "folder": folder,
            "how_to_obtain": info.how_to_obtain, "citation": info.citation}


def _fetch(info: DatasetInfo, data: Path | None, quiet: bool) -> Path:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from nociband.signals import datasets

    about = datasets.describe(info.name)
    target = Path(data or datasets.cache_folder()) / info.folder
    come = {file: (target / file).stat().st_size for file in about["sha256"] if (target / file).is_file()}
    unknown = {file: size for file, size in come.items() if about["sha256"][file] is None}
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(info.name, total=about["bytes"] + sum(unknown.values()), completed=sum(come.values()))

        def progress(file: str, done: int, size: int | None) -> None:
            come[file] = done
            if about["sha256"][file] is None:      # its size is not part of the manifest's sum either
                unknown[file] = size or done
            bar.update(task, description=file.rsplit("/", 1)[-1], completed=sum(come.values()),
                       total=about["bytes"] + sum(unknown.values()))

        return datasets.download(info.name, progress=progress, into=data)


def _plain(findings: list[Finding]) -> list[dict[str, str]]:
    return [{"path": str(f.path), "where": f.where, "what": f.what} for f in findings]


def _say(findings: list[Finding]) -> None:
    for finding in findings:
        typer.echo(str(finding))


def _stem(path: Path) -> str:
    return str(path).removesuffix(".gz")
