"""Compiles firmware libraries for this machine and loads them with ctypes, for the parity tests.

Sources come from firmware/lib/<lib>/src; the shared object goes to a temporary folder that the caller owns. Warnings are
errors, as in the firmware's own builds.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

FIRMWARE_LIB = Path(__file__).resolve().parents[2] / "firmware" / "lib"
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")


def compile_libs(libs: Sequence[str], into: Path, extra_sources: Sequence[Path] = (), flags: Sequence[str] = ()) -> ctypes.CDLL:
    """Compile firmware/lib/<each of libs>/src/*.c and `extra_sources` into one shared object in `into`, and load it.

    Libraries without C files (nb_spec) only add their headers. Fails the test with the compiler's words if it does not build.
    """
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("no gcc on PATH: install build-essential to compare the firmware's C with the twin")
    folders = [FIRMWARE_LIB / lib / "src" for lib in dict.fromkeys(("nb_spec", *libs))]
    sources = [str(p) for folder in folders for p in sorted(folder.glob("*.c"))] + [str(p) for p in extra_sources]
    target = into / f"{'_'.join(libs)}.so"
    command = [gcc, *FLAGS, *flags, *(f"-I{f}" for f in folders), *sources, "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stderr}")
    return ctypes.CDLL(str(target))


def state_buffer(size: int) -> ctypes.Array[ctypes.c_uint64]:
    """Room for a C state struct of `size` bytes, aligned for its 64-bit members and filled with rubbish, as a stack would be."""
    words = (size + 7) // 8
    return (ctypes.c_uint64 * words)(*[0xA5A5_A5A5_A5A5_A5A5] * words)


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    """Address of a C-contiguous array; keep the array alive for the call."""
    assert array.flags.c_contiguous
    return array.ctypes.data_as(ctypes.c_void_p)
