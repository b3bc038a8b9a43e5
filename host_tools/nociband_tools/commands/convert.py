"""`nociband convert`: from a trained model (build/models/NAME) to what firmware and host use (firmware/models/NAME)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nociband.errors import EnvironmentProblem

if TYPE_CHECKING:
    from nociband_convert import Report

_NEEDED = ("torch", "onnx", "onnx2tf", "tensorflow", "ai_edge_litert")


def command(
    source: Annotated[Path, typer.Argument(help="build/models/NAME as `nociband train` left it, or a converted folder.")],
    out: Annotated[Path | None, typer.Option("--out", help="Where to write; default firmware/models/NAME.")] = None,
) -> None:
    """Convert a trained model to integers: .tflite, manifest and C. Exit status 1 when it agrees too rarely with training."""
    from importlib.util import find_spec

    if (source / "manifest.json").is_file():
        return _again(source, out or source)
    missing = [m for m in _NEEDED if find_spec(m) is None]
    if missing:
        raise EnvironmentProblem(f"converting needs {', '.join(missing)}: pip install 'nociband[convert]' (or `make setup`)")
    from nociband_convert import convert

    target = out or Path("firmware/models") / source.resolve().name
    report = convert(source, target)
    _show(report)
    if not report.parity.passed:
        from nociband_convert.parity import AGREEMENT_MIN

        typer.echo(f"nociband: the integer model agrees with training in {report.parity.agreement:.2%} of windows, less than "
                   f"{AGREEMENT_MIN:.0%}; nothing was written. Train with more regularisation or calibration windows.", err=True)
        raise typer.Exit(1)
    typer.echo(f"written to {target}")


def _again(source: Path, out: Path) -> None:
    from nociband_convert import regenerate

    for name, content in regenerate(source, out).items():
        typer.echo(f"{out / name}: {len(content):,} bytes")


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    p = report.parity
    rows = [
        ("validation windows", f"{p.windows}"),
        ("same class as in floating point", f"{p.agreement:.2%}"),
        ("accuracy, floating point", f"{p.accuracy_float:.2%}"),
        ("accuracy, integer", f"{p.accuracy_integer:.2%}"),
        ("logit error, mean / largest", f"{p.logit_error_mean:.5f} / {p.logit_error_max:.5f}"),
        ("cell state, share of its range", ", ".join(f"{b} {v:.0%}" for b, v in p.cell_peak.items())),
        ("multiply-accumulates a window", f"{report.macs:,}"),
        ("constants / buffers on the band", f"{report.constant_bytes:,} / {report.buffer_bytes:,} bytes"),
        *((name, f"{size:,} bytes") for name, size in report.sizes.items()),
    ]
    table = Table(title=report.name, show_header=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
