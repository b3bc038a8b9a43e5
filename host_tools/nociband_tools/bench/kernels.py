"""What one window costs on a Cortex-M4F: executed instructions, modelled cycles, flash, RAM and stack, function by function.

For `nociband bench kernels`. The generated C runs by itself in the harness of firmware/bench, on one fixed window; what is
counted is nb_model_run and all that it calls. Two runs give the same figures.
"""

from __future__ import annotations

import struct
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from nociband_tools.bench import cycles, image, qemu, shapes, windows

ENTRY = "nb_model_run"
WORK = 0x21000000           # as in firmware/bench/harness/main.c
RESULT = np.dtype([("logits", "<i2", 8), ("states", "<u4")])


def measure(shape: str, scheme: str, packing: str) -> dict[str, Any]:
    """The figures of one build. Raises ModelError when its graphs are missing or not convertible, EnvironmentProblem when a tool
    is missing."""
    generated = shapes.generate(shapes.load(shape, scheme), packing)
    with TemporaryDirectory(prefix="nociband-bench-") as name:
        built = image.build_arm(generated.text, packing, Path(name))
        made = figures(built, generated.macs, windows.for_scheme(windows.fixed(), scheme))
        del made["logits"]  # bench parity compares them, on more windows
        return {"macs": generated.macs, **made}


def figures(built: image.Image, macs: int, window: np.ndarray) -> dict[str, Any]:
    """Counts and sizes of a linked model that runs `window` (int16 (138, 6)) once."""
    work = built.elf.parent
    counts = qemu.count(built.elf, load(window[None], work), work)
    own = {a: n for a, n in counts.executed.items() if image.MODEL_BEGINS <= a < 1 << 20}
    counts = qemu.Counts(own, counts.left)
    program = cycles.disassemble(built.elf)
    spent = {refill: cycles.model(counts, program, refill) for refill in (1, cycles.REFILL, 3)}
    instructions = sum(own.values())
    stack, outputs = results(work, 1)
    by_cycles = built.by_function(spent[cycles.REFILL], ENTRY)
    return {
        "instructions_per_window": instructions, "logits": outputs["logits"][0].tolist(),
        "instructions_per_mac": round(instructions / macs, 3),
        "modelled_cycles": sum(spent[cycles.REFILL].values()),
        "modelled_cycles_range": [sum(spent[1].values()), sum(spent[3].values())],
        "flash_bytes": built.flash, "text_bytes": built.text, "rodata_bytes": built.rodata,
        "ram_bytes": built.data + built.bss + stack, "static_ram_bytes": built.data + built.bss, "stack_bytes": stack,
        "functions": {name: {"instructions": n, "cycles": by_cycles[name]} for name, n in built.by_function(own, ENTRY).items()},
    }


def load(x: np.ndarray, folder: Path) -> list[str]:
    """QEMU's arguments that put windows int16 (n, 138, 6) where the harness looks for them."""
    file = folder / "windows.bin"
    file.write_bytes(struct.pack("<I", len(x)) + np.ascontiguousarray(x, "<i2").tobytes())
    return ["-device", f"loader,file={file},addr={WORK:#x},force-raw=on"]


def results(folder: Path, n: int) -> tuple[int, np.ndarray]:
    """Peak stack in bytes, and for each of `n` windows its logits and the hash of its hidden states, from the harness's file."""
    data = (folder / "results.bin").read_bytes()
    return struct.unpack_from("<I", data)[0], np.frombuffer(data, RESULT, n, 4)
