"""The figures of `nociband bench kernels` as tables (console, Markdown) and as the document of --json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nociband.errors import DataError
from nociband_tools.bench import cycles, plot
from nociband_tools.bench.budgets import Check, Results

FORMAT = 1
WIDTH = 112     # what the tables need, also where the output is no terminal


@dataclass(frozen=True)
class Sheet:
    """A table as text: the first column is a name, the others are figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def rich(self) -> Table:
        """For the console."""
        table = Table(title=self.title, caption=self.note)
        for i, name in enumerate(self.columns):
            table.add_column(name, justify="right" if i else "left", no_wrap=not i)
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For a document."""
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"## {self.title}\n\n{table}\n" + (f"\n{self.note}\n" if self.note else "")


def document(results: Results, others: Mapping[str, Any], checks: Sequence[Check]) -> dict[str, Any]:
    """What --json writes: figures by shape, scheme and build, how they were made, and what others need."""
    return {
        "format": FORMAT,
        "machine": "emulated Cortex-M4F (QEMU mps2-an386), executed instructions of one nb_model_run",
        "builds": {"fast": "-O2, weights widened to int16", "small": "-Os, packed int8 weights"},
        "cycle_model": list(cycles.ASSUMPTIONS),
        "shapes": results,
        "tflm": others,
        "budgets": [{"what": c.what, "key": c.key, "limit": c.limit, "measured": c.measured, "kept": c.kept} for c in checks],
    }


def read(file: Path) -> Results:
    """Figures by shape, scheme and build of a file that --json wrote. Raises DataError for another."""
    try:
        content = json.loads(file.read_text("utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        return content["shapes"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise DataError(f"{file} holds no figures of `nociband bench kernels --json` ({e}): measure again") from e


def show(document: Mapping[str, Any], functions: int) -> None:
    """Print everything, and the first so many `functions` of each build."""
    console = Console()
    console.width = max(console.width, WIDTH)
    if document["shapes"]:
        for sheet in sheets(document):
            console.print(sheet.rich())
        console.print(_assumptions(document), style="dim", highlight=False)
    if functions:
        for name, figures in _builds(document):
            rows = [(f, f"{n['instructions']:,}", f"{n['cycles']:,}") for f, n in list(figures["functions"].items())[:functions]]
            console.print(Sheet(name, ("function", "instructions", "cycles, modelled"), rows).rich())


def markdown(document: Mapping[str, Any]) -> str:
    """The tables as a document of their own."""
    head = ("# What a window costs on a Cortex-M4F\n\nWritten by `nociband bench kernels --markdown`; figures in kernels.json, "
            "what they mean in [kernels.md](../kernels.md).\n")
    return "\n".join([head, *(sheet.markdown() for sheet in sheets(document)), _assumptions(document) + "\n"])


def sheets(document: Mapping[str, Any]) -> list[Sheet]:
    """All tables that there is something to put into."""
    found = [_instructions(document), _parts(document), _bytes(document)]
    if document["budgets"]:
        rows = [(c["what"], c["key"], f"{c['limit']:,}", f"{c['measured']:,}", "kept" if c["kept"] else "EXCEEDED")
                for c in document["budgets"]]
        found.append(Sheet("Budgets (firmware/bench/budgets.toml)", ("build", "figure", "limit", "measured", ""), rows))
    return found


def _builds(document: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(f"{shape} {scheme} {build}", figures) for shape, schemes in document["shapes"].items()
            for scheme, builds in schemes.items() for build, figures in builds.items()]


def _other(document: Mapping[str, Any], build: str) -> Mapping[str, Any]:
    """What TensorFlow Lite Micro needs for the shape of a build; empty where it was not measured."""
    return document["tflm"].get(build.split()[0], {})


def _instructions(document: Mapping[str, Any]) -> Sheet:
    rows = []
    for name, f in _builds(document):
        other = _other(document, name).get("instructions_per_window")
        low, high = f["modelled_cycles_range"]
        rows.append((name, f"{f['instructions_per_window']:,}", f"{other:,}" if other else "", f"{f['macs']:,}",
                     f"{f['instructions_per_mac']:.2f}", f"{f['macs'] // 2:,}",
                     f"{f['modelled_cycles'] / 1e6:.2f} M ({low / 1e6:.2f}-{high / 1e6:.2f})"))
    columns = ("", "instructions", "TFLM", "MAC", "a MAC", "bound", "cycles, modelled")
    return Sheet("One window: executed instructions", columns, rows,
                 "Bound: two MACs an instruction (SMLAD). TFLM: TensorFlow Lite Micro with CMSIS-NN, int8, -O2 (tflm.json).")


def _parts(document: Mapping[str, Any]) -> Sheet:
    rows = [(name, *(f"{n:,}" for n in plot.parts(f["functions"]).values())) for name, f in _builds(document)]
    return Sheet("The same by part", ("", *plot.PARTS), rows)


def _bytes(document: Mapping[str, Any]) -> Sheet:
    rows = []
    for name, f in _builds(document):
        other = _other(document, name)
        flash, ram = (f"{other[key]:,}" if other else "" for key in ("flash_bytes", "ram_bytes"))
        own = {key: f"{f[f'{key}_bytes']:,}" for key in ("flash", "text", "rodata", "ram", "stack")}
        rows.append((name, own["flash"], own["text"], own["rodata"], flash, own["ram"], own["stack"], ram))
    return Sheet("Bytes", ("", "flash", "of it text", "of it rodata", "TFLM", "RAM", "of it stack", "TFLM"), rows,
                 "Flash: kernels, weights, tables. RAM: state, buffers, peak stack. TFLM: the image with interpreter, operations "
                 "and model; arena and peak stack, without the interpreter's own variables.")


def _assumptions(document: Mapping[str, Any]) -> str:
    return "Cycles are modelled, not measured: " + "; ".join(document["cycle_model"]) + "."
