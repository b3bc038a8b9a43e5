"""nb_dsp and nb_window on the emulated Cortex-M4F (QEMU mps2-an386) against the twins: the same bits as natively.

Compiled by the firmware's cross compiler with the firmware's linker script, fed the vectors' and BioSPPy's counts.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from _clib import FIRMWARE_LIB
from _dsp_cases import CASES

from nociband import dsp, windows

BLOCKS = 700  # 28 s: past the baseline, and well within the part's flash
SCALES = [windows.input_scale(f) for f in (30, 0.7, 2.5, 1 / 3, 5, 0.01)]
FLAGS = ("-std=gnu11", "-O2", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-Wall", "-Wextra",
         "-Werror", "-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs")
LINKER_SCRIPT = FIRMWARE_LIB.parent / "ld" / "mps2_an386.ld"


def _initialiser(values: np.ndarray) -> str:
    return "{" + ",".join(map(_initialiser, values)) + "}" if np.ndim(values) else str(int(values))


def _header(emg: np.ndarray, eda: np.ndarray) -> str:
    return (f"#include <stdint.h>\n#define BLOCKS {len(eda) // 2}u\n#define SCALES {_initialiser(np.array(SCALES))}\n"
            f"static const int16_t EMG_COUNTS[BLOCKS][40][2] = {_initialiser(emg.reshape(-1, 40, 2))};\n"
            f"static const uint16_t EDA_COUNTS[BLOCKS][2] = {_initialiser(eda.reshape(-1, 2))};\n")


def _run_on_m4(folder: Path, emg: np.ndarray, eda: np.ndarray) -> bytes:
    """What the emulated part wrote. Skips where the cross compiler or QEMU is missing."""
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm")
    (folder / "counts.h").write_text(_header(emg, eda))
    libs = [FIRMWARE_LIB / lib / "src" for lib in ("nb_spec", "nb_dsp", "nb_window")]
    sources = [Path(__file__).with_name("_dsp_m4.c"), libs[1] / "nb_dsp.c", libs[2] / "nb_window.c"]
    command = ["arm-none-eabi-gcc", *FLAGS, f"-I{folder}", *(f"-I{p}" for p in libs), *map(str, sources),
               "-T", str(LINKER_SCRIPT), "-o", "dsp.elf"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    machine = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none", "-semihosting", "-kernel", "dsp.elf"]
    subprocess.run(machine, cwd=folder, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return (folder / "results.bin").read_bytes()


@pytest.mark.parametrize("case", ["recorded", "random", "steps", "quiet"])
def test_the_cortex_m4_gives_the_twins_bits(case: str, tmp_path: Path) -> None:
    emg, eda = (a[: BLOCKS * size] for a, size in zip(CASES[case](), (40, 2), strict=True))
    blocks = len(eda) // 2
    data = _run_on_m4(tmp_path, emg, eda)
    got = np.frombuffer(data, np.int16)
    features, why, quality, x = np.split(got, np.cumsum([blocks * 6, blocks, blocks]))
    expected = dsp.features(emg, eda)
    assert np.array_equal(features.reshape(-1, 6), expected)
    window = windows.WindowTwin()
    still = np.tile(np.array([0, 0, 1000], np.int16), (2, 1))
    for i, frame in enumerate(expected):
        window.push(emg[i * 40 : i * 40 + 40], eda[2 * i : 2 * i + 2], still, frame)
        assert (int(why[i]), int(quality[i])) == (window.why, window.quality_percent), f"frame {i}"
    assert np.array_equal(x.reshape(-1, 6), window.input(SCALES))
