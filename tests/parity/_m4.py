"""Runs a generated model on an emulated Cortex-M4F: the bare image of _nn_m4.c around it, windows compiled in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
LIB = HERE.parents[1] / "firmware" / "lib"
CPU = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-missing-braces")
LIBS = ("nb_spec", "nb_window", "nb_model", "nb_nn")


def run_on_m4(folder: Path, source: str, windows: np.ndarray, flags: Sequence[str] = ("-O2",)) -> list[list[int]]:
    """Eight logits a window, of the C that defines nb_model_run. windows: int16 (n, 138, 6). Builds in `folder`."""
    if shutil.which("arm-none-eabi-gcc") is None or shutil.which("qemu-system-arm") is None:
        pytest.skip("no cross compiler or QEMU: install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm")
    values = ",\n".join(",".join(map(str, w.reshape(-1).tolist())) for w in windows)
    (folder / "windows.h").write_text(
        f"static const int16_t windows[{len(windows)}][NB_WINDOW_FRAMES][NB_FEATURES] = {{\n{values}}};\n")
    (folder / "model_m4.c").write_text(source)
    elf = folder / "model.elf"
    sources = [HERE / "_nn_m4.c", folder / "model_m4.c", *sorted((LIB / "nb_nn/src").glob("*.c"))]
    subprocess.run(["arm-none-eabi-gcc", *CPU, "-std=gnu11", *flags, *WARNINGS, f"-I{folder}",
                    *(f"-I{LIB / lib / 'src'}" for lib in LIBS), *map(str, sources), "-nostartfiles", "--specs=nano.specs",
                    "--specs=nosys.specs", f"-T{HERE / '_nn_m4.ld'}", "-o", str(elf)], check=True)
    done = subprocess.run(["qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "null",
                           "-semihosting-config", "enable=on,target=native", "-kernel", str(elf)],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [list(map(int, line.split())) for line in (done.stdout + done.stderr).strip().splitlines()]
