"""Bare programs on an emulated Cortex-M4F (QEMU mps2-an386): built with nb_nn behind the start of _m4_start.c, and run.

`run_on_m4` is that for a generated model, with its windows compiled in.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from _clib import INCLUDES, compile_c, objects

HERE = Path(__file__).parent
GCC = "arm-none-eabi-gcc"
FLAGS = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-std=gnu11", "-Wall", "-Wextra", "-Werror",
         "-Wno-missing-braces", "-ffunction-sections", "-fdata-sections")
LINK = ("-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-Wl,--gc-sections", f"-T{HERE / '_nn_m4.ld'}")
QEMU = ("qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "null", "-semihosting-config",
        "enable=on,target=native", "-kernel")
needs_emulator = pytest.mark.skipif(shutil.which(GCC) is None or shutil.which(QEMU[0]) is None, reason=(
    "no cross compiler or QEMU: install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"))


def build(sources: Sequence[Path | str], into: Path, flags: Sequence[str] = ("-O2",)) -> Path:
    """The program of `sources`, whose generated headers are in `into`; nb_nn is compiled with the same flags, once."""
    elf, start = into / "program.elf", str(HERE / "_m4_start.c")
    compile_c([GCC, *FLAGS, *flags, f"-I{into}", f"-I{HERE}", *INCLUDES, *map(str, sources), start,
               *objects("nb_nn", (*FLAGS, *flags), GCC), *LINK, "-o", str(elf)])
    return elf


def emulate(elf: Path) -> str:
    """What a program prints; files that it writes are beside it. Fails the test when its status is not 0."""
    done = subprocess.run([*QEMU, str(elf)], cwd=elf.parent, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run_on_m4(folder: Path, source: str, windows: np.ndarray, flags: Sequence[str] = ("-O2",)) -> list[list[int]]:
    """Eight logits a window, of the C that defines nb_model_run. windows: int16 (n, 138, 6). Builds in `folder`."""
    values = ",\n".join(",".join(map(str, w.reshape(-1).tolist())) for w in windows)
    (folder / "windows.h").write_text(
        f"static const int16_t windows[{len(windows)}][NB_WINDOW_FRAMES][NB_FEATURES] = {{\n{values}}};\n")
    (folder / "model_m4.c").write_text(source)
    said = emulate(build([HERE / "_nn_model_m4.c", folder / "model_m4.c"], folder, flags))
    return [list(map(int, line.split())) for line in said.strip().splitlines()]
