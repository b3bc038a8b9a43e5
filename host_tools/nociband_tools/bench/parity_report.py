"""`nociband bench parity` put together: which models and windows, on which targets, and the result as a table and a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from nociband_tools.bench import parity, shapes, windows

SEED = 1
FORMAT = 1
KINDS = ("real", "random")

Watch = Callable[[str], parity.Progress]    # told what begins; gives what is to be told how far it is


def scales_of(folder: Path) -> list[tuple[int, int]]:
    """Input scales (mult, shift) of the model in a folder; the device's where it has no manifest (the fixed shapes)."""
    from nociband.manifest import Manifest

    file = folder / "manifest.json"
    if not file.is_file():
        file = shapes.folder_of("device", "int16x8") / "manifest.json"
    return [(s.mult, s.shift) for s in Manifest.from_json(file.read_bytes()).input_scales]


def windows_for(folder: Path, scheme: str, real: int, random: int) -> dict[str, np.ndarray]:
    """Real and random windows of a model, int16 (n, 138, 6) in the steps of its input."""
    own = (folder / "manifest.json").is_file()
    found = windows.real_windows(real, scales_of(folder))
    return {"real": found if own else windows.for_scheme(found, scheme),
            "random": windows.random_for_scheme(random, SEED, scheme)}


def run(shape: str, scheme: str, targets: Sequence[str], counts: tuple[int, int], emulated: int,
        watch: Watch) -> dict[str, Any]:
    """Outcomes by target and build of one model. `counts`: real and random windows; on qemu at most `emulated` of each."""
    folder, graphs = shapes.folder_of(shape, scheme), shapes.load(shape, scheme)
    watch(f"{scheme}: windows")(0, 0)
    found = windows_for(folder, scheme, *counts)
    reference = {kind: parity.expected(folder, x, watch(f"{scheme}: LiteRT, {kind}")) for kind, x in found.items()}
    outcomes: dict[str, Any] = {target: {} for target in targets}
    for packing in shapes.PACKINGS:
        text = shapes.generate(graphs, packing).text
        states = parity.states_reachable(text)
        for target in targets:
            rows = {kind: np.arange(len(x)) if target == "native" else _spread(len(x), emulated) for kind, x in found.items()}
            x = np.concatenate([found[kind][rows[kind]] for kind in KINDS])
            progress = watch(f"{scheme} {packing}: {target}")
            got = parity.native(text, x, progress) if target == "native" else parity.emulated(text, packing, x, progress)
            outcomes[target][packing] = _entry(reference, got, rows, states)
    return outcomes


def _spread(n: int, most: int) -> np.ndarray:
    """At most `most` of n, evenly."""
    few = min(n, most)
    return np.arange(few) * n // max(few, 1)


def _entry(reference: Mapping[str, np.ndarray], got: np.ndarray, rows: Mapping[str, np.ndarray], states: bool) -> dict[str, Any]:
    """The outcome of one build; `got` holds the chosen rows of each kind, one kind behind the other."""
    at = len(rows["real"])
    parts = {"real": got[:at], "random": got[at:]}
    kinds = {kind: parity.compare(reference[kind][rows[kind]], parts[kind], states, rows[kind]) for kind in KINDS}
    return {"windows": sum(o.windows for o in kinds.values()), "mismatches": sum(o.mismatches for o in kinds.values()),
            **{kind: o.to_dict() for kind, o in kinds.items()},
            "compared": ["outputs", *(["hidden states (hash)"] if states else [])]}


def document(model: str, outcomes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What --json writes, from outcomes by scheme, target and build: windows and mismatches by target and scheme."""
    targets: dict[str, Any] = {}
    for scheme, of_target in outcomes.items():
        for target, builds in of_target.items():
            every = list(builds.values())
            targets.setdefault(target, {})[scheme] = {
                "windows": min(e["windows"] for e in every), "mismatches": sum(e["mismatches"] for e in every), **builds}
    return {"format": FORMAT, "model": model, "reference": "LiteRT, BUILTIN_REF", "random_seed": SEED,
            "real": "FMOV, windows that a band predicts on, spread evenly over all people", "targets": targets}


def show(result: Mapping[str, Any]) -> None:
    """Print the outcome, and the first mismatch of each build."""
    console = Console()
    table = Table("target", "scheme", "build", "real", "random", "compared", "mismatches",
                  title=f"{result['model']}: generated C beside {result['reference']}")
    for target, schemes in result["targets"].items():
        for scheme, builds in schemes.items():
            for build in shapes.PACKINGS:
                e = builds[build]
                table.add_row(target, scheme, build, *(f"{e[kind]['windows']:,}" for kind in KINDS), ", ".join(e["compared"]),
                              f"{e['mismatches']:,}")
    console.print(table)
    for target, schemes in result["targets"].items():
        for scheme, builds in schemes.items():
            for build in shapes.PACKINGS:
                for kind in KINDS:
                    if m := builds[build][kind].get("first"):
                        console.print(f"{target} {scheme} {build}, {kind} window {m['window']}, {m['what']}: expected "
                                      f"{m['expected']}, got {m['got']}", style="red", highlight=False)
