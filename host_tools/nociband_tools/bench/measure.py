"""Performance as counts: instructions a block and a window on the emulated Cortex-M4F, flash and RAM against their budgets.

Instructions are executed instructions counted by a QEMU plugin, repeatable to the last one. They are not cycles.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from nociband_tools.bench import qemu
from nociband_tools.firmware import build, firmware_root

BLOCKS = 150            # as in firmware/src/bench/main.c
_PARTS = {"nb_dsp": "dsp", "nb_window": "window", "nb_nn": "model", "nb_model": "model"}


def count_by_function(elf: Path) -> dict[str, int]:
    """Executed instructions of each function of the bench image. Raises EnvironmentProblem when QEMU is missing or fails."""
    return qemu.Program(elf).by_function(qemu.count(elf).executed)


def library_of_function(map_file: Path) -> dict[str, str]:
    """Function -> firmware library, from the linker's map (one section a function)."""
    owners = {}
    for match in re.finditer(r"^ \.text\.(\S+)\n? +0x[0-9a-f]+ +0x[0-9a-f]+ +(\S+)$", map_file.read_text(), re.M):
        library = re.search(r"lib(nb_\w+)\.a", match[2]) or re.search(r"[/\\](nb_\w+?)(?:_data)?[/\\.]", match[2])
        if library:
            owners[qemu.plain_name(match[1])] = library[1].removesuffix("_data")
    return owners


def measure(model: str | Path) -> dict[str, Any]:
    """Counts and sizes of one model: instructions a 40 ms block (dsp, window) and a prediction (model), flash, RAM."""
    elf = build("qemu_bench", model)
    counts, owners = count_by_function(elf), library_of_function(elf.with_suffix(".map"))
    parts = {"dsp": 0, "window": 0, "model": 0, "other": 0}
    functions: dict[str, int] = {}
    for name, count in counts.items():
        part = _PARTS.get(owners.get(name, ""), "other")
        parts[part] += count
        if part != "other":
            functions[name] = count
    return {
        "instructions_per_block_dsp": round(parts["dsp"] / BLOCKS),
        "instructions_per_block_window": round(parts["window"] / BLOCKS),
        "instructions_per_prediction_model": parts["model"],
        "instructions_per_second": round((parts["dsp"] + parts["window"]) / BLOCKS * 25 + parts["model"]),
        "instructions_other": parts["other"],
        "functions": dict(sorted(functions.items(), key=lambda kv: -kv[1])),
        "size": sizes(build("qemu", model)),
    }


def sizes(elf: Path) -> dict[str, int]:
    """Flash and RAM of the band's image in bytes, and their budgets from firmware/size_budgets.json."""
    out = subprocess.run(["arm-none-eabi-size", "-A", "-d", str(elf)], capture_output=True, text=True, check=True).stdout
    section = {m[1]: int(m[2]) for m in re.finditer(r"^(\.\S+)\s+(\d+)", out, re.M)}
    flash = sum(section.get(s, 0) for s in (".vectors", ".text", ".data", ".ARM.exidx"))
    ram = sum(section.get(s, 0) for s in (".data", ".bss", ".stack"))
    budget = json.loads((firmware_root() / "size_budgets.json").read_text())["qemu"]
    return {"flash_bytes": flash, "flash_budget_bytes": budget["flash"], "ram_bytes": ram, "ram_budget_bytes": budget["ram"]}


def models() -> list[str]:
    """Names of the models that ship."""
    return sorted(p.parent.name for p in (firmware_root() / "models").glob("*/manifest.json"))
