"""What `nociband convert` shows and measures: stages with their times, the gates' table, a model's cost on the emulated band.

From nociband_convert to the terminal and to --json. Cost is measured here and not in the converter, because it takes the bench's
emulator.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nociband.inference import Model
    from nociband_convert import Converted
    from nociband_convert.gates import Judged, Verdict
    from nociband_convert.parity.bits import Compared
    from nociband_convert.standalone import Standalone
    from nociband_convert.tflite.graph import Graph

_TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "gcc")


class Stages:
    """Prints each stage when it is done, with its seconds; shows the one that runs. A context: its end ends the last stage."""

    def __init__(self, console: Any) -> None:
        self._console, self._status = console, console.status("")
        self._title, self._since = "", 0.0
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Stages:
        self._status.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.begin("")
            self._console.print(f"{sum(self.seconds.values()):6.1f} s  in all")
        self._status.stop()

    def heading(self, text: str) -> None:
        """A line above the stages that follow."""
        self.begin("")
        self._console.print(text)

    def begin(self, title: str) -> None:
        """The next stage; ends the one before."""
        now = time.monotonic()
        if self._title:
            self.seconds[self._title] = round(self.seconds.get(self._title, 0.0) + now - self._since, 2)
            self._console.print(f"{now - self._since:6.1f} s  {self._title}")
        self._title, self._since = title, now
        self._status.update(title)


def cost(made: Converted) -> dict[str, Any] | str:
    """Figures of one window on the emulated Cortex-M4F, or in words which tools are not there to take them.

    With them "unlike_litert": how many of its logits LiteRT's reference kernels have otherwise, which is where the assembly is
    judged; what runs on this machine are the readable forms. Raises EnvironmentProblem when the tools are there and fail: what
    does not compile has not passed its gates.
    """
    from nociband_tools.bench import image, kernels, windows

    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"no {', '.join(missing)}"
    with TemporaryDirectory(prefix="nociband-convert-") as name:
        built = image.build_arm(made.network, made.packing, Path(name))
        window = windows.for_scheme(windows.fixed(), made.scheme)
        figures = kernels.figures(built, made.macs, window)
    expected = _reference(made).logits(window).tolist()
    return {**figures, "unlike_litert": sum(a != b for a, b in zip(figures.pop("logits"), expected, strict=False))}


def _reference(made: Converted) -> Model:
    from nociband.inference import GRAPHS, Model
    from nociband.manifest import Manifest

    return Model(Manifest.from_json(made.files["manifest.json"]), {name: made.files[f"{name}.tflite"] for name in GRAPHS})


def gates_table(verdicts: Sequence[Verdict], title: str) -> Any:
    """Gate, limit, value, verdict."""
    from rich.table import Table

    table = Table("gate", "limit", "value", "verdict", title=title)
    for v in verdicts:
        said = {True: "passed", False: "[bold red]failed[/]", None: f"not judged: {v.why_not}"}[v.passed]
        sign = "at most" if v.most else "at least"
        table.add_row(v.gate.replace("_", " "), f"{sign} {_figure(v.limit)}", "-" if v.value is None else _figure(v.value), said)
    return table


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.2%}"


def quality_table(made: Mapping[str, Converted], judged: Mapping[str, Judged]) -> Any:
    """Quality and size, a column a scheme."""
    from rich.table import Table

    name = next(iter(made.values())).name
    table = Table("", *made, title=f"{name}, on windows of people that training never saw")
    rows: dict[str, list[str]] = {}
    for scheme, m in made.items():
        for title, text in _rows(m, judged[scheme]):
            rows.setdefault(title, []).append(text)
    for title, texts in rows.items():
        table.add_row(title, *texts)
    return table


def _rows(made: Converted, judged: Judged) -> list[tuple[str, str]]:
    q = made.quality
    recall = [(f"  recall of {r.label} ({r.windows} windows)", f"{_share(r.floating)} -> {_share(r.integer)}") for r in q.recall]
    return [
        ("validation windows", f"{q.windows}"),
        ("same class as in floating point", f"{q.agreement:.2%}"),
        ("accuracy, floating point -> integers", f"{q.accuracy_float:.2%} -> {q.accuracy_integer:.2%}"), *recall,
        ("logit error, mean / largest", f"{q.logit_error_mean:.5f} / {q.logit_error_max:.5f}"),
        ("cell state, share of its range", ", ".join(f"{b} {v:.0%}" for b, v in q.cell_peak.items()) or "-"),
        ("multiply-accumulates a window", f"{made.macs:,}"),
        ("instructions a window, emulated Cortex-M4F", "-" if judged.instructions is None else f"{judged.instructions:,}"),
        ("constants / buffers on the band", f"{made.constant_bytes:,} / {made.buffer_bytes:,} bytes"),
        ("files", ", ".join(f"{n} {len(c):,}" for n, c in made.files.items())),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def judge_standalone(path: Path, graph: Graph, made: Standalone) -> dict[str, Any]:
    """What is to be known of a .tflite in C: its operations, each beside LiteRT on random tensors, sizes, and flash on a
    Cortex-M4F. What could not be measured here is None, with the reason in `not_judged`."""
    from nociband_convert.parity import bits

    reasons = []
    alone: dict[int, Compared] = {}
    whole = None
    if shutil.which("gcc"):
        whole = bits.compare_graph(path)
        alone = bits.compare_operations(path)
    else:
        reasons.append("bits: no gcc")
    flash = ram = None
    if shutil.which("arm-none-eabi-gcc"):
        flash, ram = size_of(made)
    else:
        reasons.append("flash and RAM: no arm-none-eabi-gcc")
    return {
        "name": made.name, "scheme": graph.scheme, "macs": made.macs, "arena_bytes": made.arena_bytes,
        "arena_bytes_in_use_at_most": made.live_bytes, "constant_bytes": made.constant_bytes,
        "flash_bytes": flash, "static_ram_bytes": ram,
        "parity": {"elements": whole and whole.elements, "mismatches": whole and whole.mismatches},
        "operations": [{"kind": op.kind, "output": list(graph.tensors[op.outputs[0]].shape),
                        "elements": alone[i].elements if i in alone else None,
                        "mismatches": alone[i].mismatches if i in alone else None} for i, op in enumerate(graph.ops)],
        "not_judged": reasons,
    }


def size_of(made: Standalone) -> tuple[int, int]:
    """Bytes of flash (code, kernels, weights, tables) and of static RAM that a standalone model takes on a Cortex-M4F at -O2."""
    from nociband_tools.bench import image
    from nociband_tools.bench.qemu import run
    from nociband_tools.firmware import firmware_root

    kernels = firmware_root() / "lib/nb_nn/src"
    with TemporaryDirectory(prefix="nociband-convert-") as name:
        _, source = made.write(Path(name))
        elf = Path(name) / "model.elf"
        run(["arm-none-eabi-gcc", *image.CPU, *image.FLAGS, "-O2", "-ffunction-sections", "-fdata-sections", f"-I{kernels}",
             str(source), *map(str, sorted(kernels.glob("*.c"))), "-nostartfiles", "--specs=nano.specs",
             f"-Wl,--gc-sections,-e,{made.name}_run", "-o", str(elf)])
        sizes = {line.split()[0]: int(line.split()[1]) for line in run(["arm-none-eabi-size", "-A", "-d", str(elf)]).splitlines()
                 if line.startswith(".")}
    flash, ram = ((".text", ".rodata", ".data", ".ARM.exidx"), (".data", ".bss"))
    return sum(sizes.get(section, 0) for section in flash), sum(sizes.get(section, 0) for section in ram)


def standalone_tables(graph: Graph, made: Standalone, figures: Mapping[str, Any]) -> list[Any]:
    """Operations, and the sums."""
    from rich.table import Table

    operations = Table("", "operation", "output", "elements unlike LiteRT", title=f"{made.name}, {graph.scheme}")
    for number, op in enumerate(figures["operations"]):
        unlike = "-" if op["mismatches"] is None else f"{op['mismatches']} of {op['elements']:,}"
        operations.add_row(str(number), op["kind"], " x ".join(map(str, op["output"])), unlike)
    sums = Table(show_header=False)
    whole = figures["parity"]
    for title, text in (
        ("multiply-accumulates a run", f"{made.macs:,}"),
        ("arena (in use at the worst moment)", f"{made.arena_bytes:,} ({made.live_bytes:,}) bytes"),
        ("weights and constants", f"{made.constant_bytes:,} bytes"),
        ("flash, Cortex-M4F -O2", _bytes(figures["flash_bytes"])),
        ("static RAM, Cortex-M4F", _bytes(figures["static_ram_bytes"])),
        ("outputs unlike LiteRT", "-" if whole["mismatches"] is None else f"{whole['mismatches']} of {whole['elements']:,}"),
        *(("not judged", reason) for reason in figures["not_judged"]),
    ):
        sums.add_row(title, text)
    return [operations, sums]


def _bytes(value: int | None) -> str:
    return "-" if value is None else f"{value:,} bytes"
