"""`nociband bench`: instruction counts on the emulated Cortex-M4F, flash and RAM. Counts, not seconds: two runs agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[list[str] | None, typer.Option(help="model name or folder; may be repeated; default: all that ship")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="write the figures to this file")] = None,
) -> None:
    """Count what a block and a prediction cost on the band."""
    import json

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
    if as_json:
        as_json.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
