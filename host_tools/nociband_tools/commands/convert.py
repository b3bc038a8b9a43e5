"""`nociband convert`: from a trained model, a converted folder or somebody's .tflite file to what firmware and host use."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nociband.errors import EnvironmentProblem

if TYPE_CHECKING:
    from nociband_convert import Converted
    from nociband_convert.gates import Judged

_NEEDED = ("torch", "onnx", "onnx2tf", "tensorflow", "ai_edge_litert")


class Scheme(StrEnum):
    """Of a model's integers; `best` makes both and takes the better by quality at equal or lower cost."""

    INT16X8 = "int16x8"
    INT8 = "int8"
    BEST = "best"


class Packing(StrEnum):
    """How weights lie in flash: widened to int16, or as int8."""

    FAST = "fast"
    SMALL = "small"


class Target(StrEnum):
    """What is written: the C alone, or everything."""

    C = "c"
    ALL = "all"


def command(
    source: Annotated[Path, typer.Argument(help="build/models/NAME as `nociband train` left it, a converted folder, or "
                                                 "MODEL.tflite.")],
    out: Annotated[Path | None, typer.Option("--out", help="Where to write. Default: firmware/models/NAME; build/c/NAME for a "
                                                           ".tflite.")] = None,
    scheme: Annotated[Scheme | None, typer.Option(help="Of a trained model. Default: int16x8.")] = None,
    packing: Annotated[Packing | None, typer.Option(help="Weights as int16 (fast) or int8 (small). Default: fast, or as a "
                                                         "converted folder has it.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Also write figures and verdicts to this file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Convert and judge, and write no model (--fine-tune still "
                                                            "keeps its own).")] = False,
    to: Annotated[Target, typer.Option("--to", help="Write the C alone, or everything.")] = Target.ALL,
    fine_tune: Annotated[bool, typer.Option("--fine-tune", help="First let a trained model learn int8's roundings; writes "
                                                                "quantised.pt beside it, which int8 takes from then on.")
                         ] = False,
) -> None:
    """Convert a model to integers: .tflite, manifest and C. Exit status 1 and a table when it does not pass its gates.

    The gates are in nociband_convert/gates.toml: agreement with floating point, accuracy, cost on the band.
    """
    if fine_tune and (source.suffix == ".tflite" or (source / "manifest.json").is_file()):
        raise typer.BadParameter(f"{source} has been quantised; give the trained folder (build/models/NAME)",
                                 param_hint="--fine-tune")
    if fine_tune and (dry_run or scheme in (None, Scheme.INT16X8)):
        raise typer.BadParameter("it writes quantised.pt; leave --dry-run out" if dry_run else
                                 "it is for int8; add --scheme int8 (or best)", param_hint="--fine-tune")
    if source.suffix == ".tflite":
        if scheme or packing:
            raise typer.BadParameter("a .tflite file has been quantised: its scheme is the file's, its weights stay int8",
                                     param_hint="--scheme" if scheme else "--packing")
        return _standalone(source, out, as_json, dry_run)
    if (source / "manifest.json").is_file():
        if scheme is not None:
            raise typer.BadParameter(f"{source} has been converted and keeps its scheme; to convert it to another give the "
                                     "trained folder (build/models/NAME)", param_hint="--scheme")
        return _again(source, out or source, packing.value if packing else None, as_json, dry_run, to)
    _check_packages()
    if fine_tune:
        _fine_tune(source)
    schemes = ["int16x8", "int8"] if scheme is Scheme.BEST else [(scheme or Scheme.INT16X8).value]
    _trained(source, out or Path("firmware/models") / source.resolve().name, schemes, (packing or Packing.FAST).value, as_json,
             dry_run, to)


def _check_packages() -> None:
    from importlib.util import find_spec

    missing = [m for m in _NEEDED if find_spec(m) is None]
    if missing:
        raise EnvironmentProblem(f"converting needs {', '.join(missing)}: pip install 'nociband[convert]' (or `make setup-all`)")


def _fine_tune(source: Path) -> None:
    from rich.console import Console

    from nociband.training import quantised

    with Console(stderr=True).status("fine-tuning") as status:
        tuned = quantised.fine_tune(source, on_epoch=lambda number, error: status.update(f"fine-tuning, epoch {number}: "
                                                                                         f"error {error:.2%}"))
    typer.echo(f"fine-tuned for int8: error in logits on validation windows {tuned.before:.2%} of their spread before, "
               f"{min(tuned.before, *tuned.after):.2%} after epoch {tuned.epoch}")


def _trained(source: Path, out: Path, schemes: list[str], packing: str, as_json: Path | None, dry_run: bool, to: Target) -> None:
    from rich.console import Console

    from nociband_convert import gates, write
    from nociband_tools import conversion

    console = Console()
    made: dict[str, Converted] = {}
    judged: dict[str, Judged] = {}
    with conversion.Stages(console) as stages:
        for scheme in schemes:
            if len(schemes) > 1:
                stages.heading(scheme)
            made[scheme], judged[scheme] = _convert(source, scheme, packing, stages)
    console.print(conversion.quality_table(made, judged))
    for scheme in schemes:
        console.print(conversion.gates_table(judged[scheme].verdicts, f"gates, {scheme}"))
    chosen, why = gates.better(judged)
    if len(schemes) > 1:
        console.print(f"{chosen or 'neither scheme'}: {why}")
    written = chosen is not None and not dry_run
    if as_json:
        _write_json(as_json, {"chosen": chosen, "why": why, "written": str(out) if written else None, "seconds": stages.seconds,
                              "schemes": {s: _figures(made[s], judged[s]) for s in schemes}})
    if chosen is None:
        _say_what_failed(judged)
        raise typer.Exit(1)
    _say_what_was_not_judged(any(v.passed is None for j in judged.values() for v in j.verdicts))
    if dry_run:
        typer.echo("nothing was written (--dry-run)")
        return
    write(made[chosen].files, out, only_c=to is Target.C)
    typer.echo(f"written to {out}")


def _convert(source: Path, scheme: str, packing: str, stages: Any) -> tuple[Converted, Judged]:
    from nociband_convert import convert, gates
    from nociband_tools import conversion

    made = convert(source, scheme, packing, stages.begin)  # type: ignore[arg-type]
    stages.begin("cost, on the emulated Cortex-M4F")
    cost = conversion.cost(made)
    verdicts = (*made.judge(), gates.judge_emulated(cost), *gates.judge_cost(cost, made.packing))
    return made, gates.Judged(made.quality, verdicts, None if isinstance(cost, str) else cost)


def _figures(made: Converted, judged: Judged) -> dict[str, Any]:
    return {"name": made.name, "scheme": made.scheme, "packing": made.packing, "quality": made.quality.to_dict(),
            "gates": [v.to_dict() for v in judged.verdicts], "passed": judged.passed, "macs": made.macs,
            "cost": None if judged.cost is None else {k: v for k, v in judged.cost.items() if k != "functions"},
            "constant_bytes": made.constant_bytes, "buffer_bytes": made.buffer_bytes,
            "files": {name: len(content) for name, content in made.files.items()}}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    import json

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _say_what_failed(judged: dict[str, Judged]) -> None:
    for scheme, j in judged.items():
        for v in j.verdicts:
            if v.passed is False:
                typer.echo(f"nociband: {scheme} fails at {v.gate.replace('_', ' ')}. What to do: {v.advice}", err=True)
    typer.echo("nociband: nothing was written", err=True)


def _say_what_was_not_judged(there_is: bool) -> None:
    if there_is:
        typer.echo("nociband: not all was judged, for want of tools: `nociband doctor` says how to get them; then convert again",
                   err=True)


def _again(source: Path, out: Path, packing: Any, as_json: Path | None, dry_run: bool, to: Target) -> None:
    from nociband_convert import regenerate, write

    files = regenerate(source, packing)
    written = {} if dry_run else write(files, out, only_c=to is Target.C)
    for name, content in written.items():
        typer.echo(f"{out / name}: {len(content):,} bytes")
    if as_json:
        _write_json(as_json, {"written": str(out) if written else None, "files": {n: len(c) for n, c in files.items()}})
    if dry_run:
        typer.echo("nothing was written (--dry-run)")


def _standalone(source: Path, out: Path | None, as_json: Path | None, dry_run: bool) -> None:
    from rich.console import Console

    from nociband_convert import standalone, tflite
    from nociband_tools import conversion

    graph = tflite.read(source)
    made = standalone.generate(graph, source.stem)
    figures = conversion.judge_standalone(source, graph, made)
    console = Console()
    for table in conversion.standalone_tables(graph, made, figures):
        console.print(table)
    folder = out or Path("build/c") / made.name
    unlike = (figures["parity"]["mismatches"] or 0) + sum(op["mismatches"] or 0 for op in figures["operations"])
    written = not unlike and not dry_run
    if as_json:
        _write_json(as_json, figures | {"written": str(folder) if written else None})
    if unlike:
        typer.echo("nociband: the C does not give LiteRT's bits, a fault of the generator or of nb_nn: report it with the "
                   ".tflite. Nothing was written", err=True)
        raise typer.Exit(1)
    _say_what_was_not_judged(bool(figures["not_judged"]))
    if dry_run:
        typer.echo("nothing was written (--dry-run)")
        return
    header, c = made.write(folder)
    typer.echo(f"written: {header}, {c}. They need firmware/lib/nb_nn/src:\n"
               f"  gcc -std=c11 -O2 -I{folder} -Ifirmware/lib/nb_nn/src -c {c} firmware/lib/nb_nn/src/*.c")
