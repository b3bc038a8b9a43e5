"""`nociband bench`: counts on the emulated Cortex-M4F, flash and RAM. Counts, not seconds: two runs agree.

Alone: the band with its model. `kernels`: the network alone, by shape, scheme and build. `parity`: the generated C against
LiteRT's reference kernels, bit for bit. Guide: docs/kernels.md. `quantisation` is about quality: integer forms of trained models
against floating point, docs/results/quantisation.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Counts on the emulated Cortex-M4F: without a command the band with its model, `kernels` the network "
                       "alone; `parity` with LiteRT; `quantisation`: quality.")
Json = Annotated[Path | None, typer.Option("--json", help="write the figures to this file")]


@app.callback(invoke_without_command=True)
def band(
    context: typer.Context,
    model: Annotated[list[str] | None, typer.Option(help="model name or folder; may be repeated; default: all that ship")] = None,
    as_json: Json = None,
) -> None:
    """Count what a block and a prediction cost on the band."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table

    from nociband_tools.bench import measure, models

    results = {name: measure(name) for name in (model or models())}
    table = Table("", *results, title="Emulated Cortex-M4F (-O2): executed instructions, not cycles")
    rows = {"DSP, a 40 ms block": "instructions_per_block_dsp", "window, a 40 ms block": "instructions_per_block_window",
            "model, a prediction": "instructions_per_prediction_model", "all, a second": "instructions_per_second"}
    for title, key in rows.items():
        table.add_row(title, *(f"{r[key]:,}" for r in results.values()))
    for title, key in (("flash, bytes (budget)", "flash"), ("RAM, bytes (budget)", "ram")):
        table.add_row(title, *(f"{r['size'][key + '_bytes']:,} ({r['size'][key + '_budget_bytes']:,})" for r in results.values()))
    Console().print(table)
    _write(as_json, results)


@app.command()
def kernels(
    shape: Annotated[list[str] | None, typer.Option(help="h32, h64, device, or a folder with eda, emg and head.tflite; "
                                                         "may be repeated; default: the three")] = None,
    scheme: Annotated[list[str] | None, typer.Option(help="int16x8 or int8; may be repeated; default: both")] = None,
    packing: Annotated[list[str] | None, typer.Option(help="fast or small; may be repeated; default: both")] = None,
    functions: Annotated[int, typer.Option(help="show so many functions of each build")] = 0,
    as_json: Json = None,
    measured: Annotated[Path | None, typer.Option("--from", help="figures that --json wrote, instead of measuring")] = None,
    markdown: Annotated[Path | None, typer.Option(help="write the tables to this file")] = None,
    plot: Annotated[Path | None, typer.Option(help="draw the figures into this .png or .svg")] = None,
) -> None:
    """Count what one window costs in the kernels alone. Exit status 1: over a budget, or a build could not be measured."""
    from nociband_tools.bench import budgets, kernels_report, shapes

    if plot and plot.suffix not in (".png", ".svg"):
        raise typer.BadParameter(f"{plot} ends neither in .png nor in .svg", param_hint="--plot")
    _known("scheme", scheme, shapes.SCHEMES)
    _known("packing", packing, shapes.PACKINGS)
    failures: dict[str, str] = {}
    if measured:
        results = kernels_report.read(measured)
    else:
        picked = [(s, q, p) for s in shape or shapes.SHAPES for q in scheme or _schemes(s) for p in packing or shapes.PACKINGS]
        results, failures = _measure(picked)
    checks = budgets.check(results, budgets.limits())
    document = kernels_report.document(results, budgets.others(), checks)
    kernels_report.show(document, functions)
    for what, why in failures.items():
        typer.echo(f"nociband: {what} could not be measured: {why}", err=True)
    _write(as_json, document)
    if markdown:
        markdown.write_text(kernels_report.markdown(document), "utf-8")
    if plot:
        from nociband_tools.bench import plot as drawing

        drawing.draw(document, plot)
    raise typer.Exit(bool(failures) or any(not c.kept for c in checks))


@app.command()
def parity(
    windows: Annotated[int, typer.Option(min=0, help="real windows (FMOV, as a band predicts on them)")] = 1000,
    random: Annotated[int, typer.Option(min=0, help="random windows")] = 10_000,
    emulated: Annotated[int, typer.Option("--qemu-windows", min=1, help="at most so many of each on qemu")] = 200,
    target: Annotated[list[str] | None, typer.Option(help="native or qemu; may be repeated; default: both")] = None,
    scheme: Annotated[list[str] | None, typer.Option(help="int16x8 or int8; may be repeated; default: both")] = None,
    shape: Annotated[str, typer.Option(help="device, h32, h64, or a folder with eda, emg and head.tflite")] = "device",
    as_json: Json = None,
) -> None:
    """Compare the generated C with LiteRT's reference kernels, bit for bit, in both builds. Exit status 1: something differs."""
    from nociband_tools.bench import parity as comparing
    from nociband_tools.bench import parity_report, shapes

    if windows + random == 0:
        raise typer.BadParameter("give --windows or --random, or there is nothing to compare")
    _known("target", target, comparing.TARGETS)
    _known("scheme", scheme, shapes.SCHEMES)
    with _Bars() as bars:
        outcomes = {s: parity_report.run(shape, s, target or comparing.TARGETS, (windows, random), emulated, bars.watch)
                    for s in scheme or _schemes(shape)}
    result = parity_report.document(shapes.name_of(shape), outcomes)
    parity_report.show(result)
    _write(as_json, result)
    raise typer.Exit(any(e["mismatches"] for schemes in result["targets"].values() for e in schemes.values()))


@app.command()
def quantisation(
    model: Annotated[list[Path] | None, typer.Argument(help="folders as `nociband train` leaves them; default: those of the "
                                                            "shipped models in build/models")] = None,
    per_person: Annotated[int, typer.Option(min=1, help="windows of a person's whole recording, beside the labelled ones")] = 120,
    as_json: Json = None,
    markdown: Annotated[Path | None, typer.Option(help="write the tables to this file")] = None,
) -> None:
    """Judge integer forms of trained models against floating point: ablation on validation people, the finished on held-out."""
    from rich.console import Console

    from nociband_tools.bench import models, quantisation

    judged: dict[str, Any] = {}
    for folder in model or [Path("build/models") / name for name in models()]:
        with Console(stderr=True).status(folder.name) as status:
            judged[folder.name] = quantisation.measure(folder, per_person, status.update)
        _write(as_json, quantisation.document(judged, per_person))  # each takes minutes: what is there is kept
    tables = quantisation.markdown(quantisation.document(judged, per_person))
    typer.echo(tables)
    if markdown:
        markdown.write_text(tables, "utf-8")


class _Bars:
    """Progress on standard error: a bar for each thing that is under way, with the time that it still needs."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                              console=Console(stderr=True), transient=True)

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._bars.stop()

    def watch(self, what: str) -> Callable[[int, int], None]:
        """A new bar; what it gives is told how many windows are done, of how many."""
        for task in self._bars.tasks:
            self._bars.remove_task(task.id)
        task_id = self._bars.add_task(what, total=None)
        return lambda done, of: self._bars.update(task_id, completed=done, total=of or None)


def _known(what: str, given: list[str] | None, known: Sequence[str]) -> None:
    for name in given or ():
        if name not in known:
            raise typer.BadParameter(f"{what} {name!r}: known are {', '.join(known)}")


def _schemes(shape: str) -> tuple[str, ...]:
    from nociband_tools.bench import shapes

    return shapes.SCHEMES if shape in shapes.SHAPES else (shapes.scheme_of(Path(shape)),)


def _measure(picked: list[tuple[str, str, str]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Figures by shape, scheme and build; and why some could not be had."""
    from rich.console import Console

    from nociband.errors import ModelError
    from nociband_tools.bench.kernels import measure
    from nociband_tools.bench.shapes import name_of

    results: dict[str, Any] = {}
    failures: dict[str, str] = {}
    with Console(stderr=True).status("measuring") as status:
        for number, (shape, scheme, packing) in enumerate(picked, 1):
            status.update(f"{number} of {len(picked)}: {shape} {scheme} {packing}")
            try:
                figures = measure(shape, scheme, packing)
                results.setdefault(name_of(shape), {}).setdefault(scheme, {})[packing] = figures
            except ModelError as e:
                failures[f"{shape} {scheme} {packing}"] = str(e)
    return results, failures


def _write(file: Path | None, content: Any) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
