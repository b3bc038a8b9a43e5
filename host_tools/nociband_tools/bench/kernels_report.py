"""The figures of `nociband bench kernels` as tables on the console, as the document of --json, and as a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from nociband_tools.bench import cycles
from nociband_tools.bench.budgets import Check, Results

FORMAT = 1
WIDTH = 112     # what the tables need, also where the output is no terminal


def document(results: Results, reference: Mapping[str, Any], checks: Sequence[Check]) -> dict[str, Any]:
    """What --json writes: figures by shape, scheme and build, how they were made, and what others need."""
    return {
        "format": FORMAT,
        "machine": "emulated Cortex-M4F (QEMU mps2-an386), executed instructions of one nb_model_run",
        "builds": {"fast": "-O2, weights widened to int16", "small": "-Os, packed int8 weights"},
        "cycle_model": list(cycles.ASSUMPTIONS),
        "shapes": results,
        "reference": reference,
        "budgets": [{"what": c.what, "key": c.key, "limit": c.limit, "measured": c.measured, "kept": c.kept} for c in checks],
    }


def show(results: Results, reference: Mapping[str, Any], checks: Sequence[Check], functions: int) -> None:
    """Print everything."""
    console = Console()
    console.width = max(console.width, WIDTH)
    if results:
        console.print(_instructions(results, reference), _bytes(results, reference))
    console.print("Cycles are modelled, not measured: " + "; ".join(cycles.ASSUMPTIONS) + ".", style="dim", highlight=False)
    if functions:
        for shape, scheme, build, figures in _rows(results):
            console.print(_functions(f"{shape} {scheme} {build}", figures, functions))
    if checks:
        table = Table("budget", "", "limit", "measured", "", title="firmware/bench/budgets.toml")
        for c in checks:
            table.add_row(c.what, c.key, f"{c.limit:,}", f"{c.measured:,}", "kept" if c.kept else "EXCEEDED")
        console.print(table)


def _rows(results: Results) -> list[tuple[str, str, str, Mapping[str, Any]]]:
    return [(shape, scheme, build, figures) for shape, schemes in results.items() for scheme, builds in schemes.items()
            for build, figures in builds.items()]


def _instructions(results: Results, reference: Mapping[str, Any]) -> Table:
    table = Table(title="One window on the emulated Cortex-M4F: executed instructions")
    for name in ("", "instructions", "TFLM's", "MAC", "a MAC", "bound", "cycles, modelled"):
        table.add_column(name, justify="right" if name else "left", no_wrap=not name)
    for shape, scheme, build, f in _rows(results):
        other = reference["tflm"].get(shape)
        low, high = f["modelled_cycles_range"]
        share = f"{other['instructions_per_window'] / 1e6:.2f} M" if other else ""
        table.add_row(f"{shape} {scheme} {build}", f"{f['instructions_per_window']:,}", share, f"{f['macs']:,}",
                      f"{f['instructions_per_mac']:.2f}", f"{f['macs'] // 2:,}",
                      f"{f['modelled_cycles'] / 1e6:.2f} M ({low / 1e6:.2f} to {high / 1e6:.2f})")
    table.caption = "bound: two MACs an instruction (SMLAD). TFLM: " + reference["tflm"]["name"]
    return table


def _bytes(results: Results, reference: Mapping[str, Any]) -> Table:
    table = Table(title="Bytes: flash is kernels, weights and tables; RAM is state and stack")
    for name in ("", "flash", "text", "rodata", "TFLM's", "RAM", "stack", "TFLM's"):
        table.add_column(name, justify="right" if name else "left", no_wrap=not name)
    for shape, scheme, build, f in _rows(results):
        other = reference["tflm"].get(shape)
        flash, text, rodata, ram, stack = (f"{f[f'{k}_bytes']:,}" for k in ("flash", "text", "rodata", "ram", "stack"))
        theirs = [f"{other[key]:,}" if other else "" for key in ("flash_bytes", "ram_bytes")]
        table.add_row(f"{shape} {scheme} {build}", flash, text, rodata, theirs[0], ram, stack, theirs[1])
    table.caption = "TFLM: " + reference["tflm"]["note"]
    return table


def _functions(title: str, figures: Mapping[str, Any], most: int) -> Table:
    table = Table("function", "instructions", "modelled cycles", title=title)
    for name, f in list(figures["functions"].items())[:most]:
        table.add_row(name, f"{f['instructions']:,}", f"{f['cycles']:,}")
    return table
