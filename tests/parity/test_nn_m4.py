"""The generated model on an emulated Cortex-M4F gives the logits of LiteRT's reference kernels: same C, another processor."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from _nn import MODELS, random_windows

from nociband.inference import Model

HERE = Path(__file__).parent
LIB = HERE.parents[1] / "firmware" / "lib"
CPU = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-missing-braces")
LIBS = ("nb_spec", "nb_window", "nb_model", "nb_nn")
WINDOWS = 12


def _header(windows: np.ndarray) -> str:
    values = ",\n".join(",".join(map(str, w.reshape(-1).tolist())) for w in windows)
    return f"static const int16_t windows[{len(windows)}][NB_WINDOW_FRAMES][NB_FEATURES] = {{\n{values}}};\n"


@pytest.mark.parametrize("folder", MODELS, ids=lambda p: p.name)
def test_emulated_cortex_m4_gives_the_same_logits(folder: Path, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None or shutil.which("qemu-system-arm") is None:
        pytest.skip("no cross compiler or QEMU: install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm")
    model, windows = Model.load(folder), random_windows(WINDOWS, seed=4)
    (tmp_path / "windows.h").write_text(_header(windows))
    elf = tmp_path / "model.elf"
    sources = [HERE / "_nn_m4.c", folder / "nb_model_data.c", *sorted((LIB / "nb_nn/src").glob("*.c"))]
    subprocess.run(["arm-none-eabi-gcc", *CPU, "-std=gnu11", "-O2", *WARNINGS, f"-I{tmp_path}",
                    *(f"-I{LIB / lib / 'src'}" for lib in LIBS), *map(str, sources), "-nostartfiles", "--specs=nano.specs",
                    "--specs=nosys.specs", f"-T{HERE / '_nn_m4.ld'}", "-o", str(elf)], check=True)
    done = subprocess.run(["qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "null",
                           "-semihosting-config", "enable=on,target=native", "-kernel", str(elf)],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (done.stdout + done.stderr).strip().splitlines()
    classes = len(model.manifest.classes)
    expected = [[*model.logits(w).tolist(), *[0] * (8 - classes)] for w in windows]
    assert [list(map(int, line.split())) for line in lines] == expected
