"""Compiles firmware libraries for this machine and loads them with ctypes, for the parity tests.

Sources come from firmware/lib/<lib>/src; the shared object goes to a temporary folder that the caller owns. A library is compiled
once for all tests of a process that ask for the same flags. Warnings are errors, as in the firmware's own builds.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

FIRMWARE_LIB = Path(__file__).resolve().parents[2] / "firmware" / "lib"
INCLUDES = tuple(f"-I{p}" for p in sorted(FIRMWARE_LIB.glob("*/src")))
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC")
_BUILT = tempfile.TemporaryDirectory(prefix="nociband-objects-")


def compile_c(command: Sequence[str], into: Path | str = ".") -> None:
    """Run a compiler in a folder; fails the test with the compiler's words."""
    done = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stderr}")


@cache
def objects(lib: str, flags: tuple[str, ...] = FLAGS, compiler: str = "gcc") -> tuple[str, ...]:
    """The object files of firmware/lib/<lib>; none for a library of headers."""
    sources = [str(p) for p in sorted((FIRMWARE_LIB / lib / "src").glob("*.c"))]
    into = Path(tempfile.mkdtemp(dir=_BUILT.name))
    if sources:
        compile_c([compiler, *flags, *INCLUDES, "-c", *sources], into)
    return tuple(str(p) for p in sorted(into.glob("*.o")))


def compile_libs(libs: Sequence[str], into: Path, extra_sources: Sequence[Path] = (), flags: Sequence[str] = ()) -> ctypes.CDLL:
    """Compile firmware/lib/<each of libs>/src/*.c and `extra_sources` into one shared object in `into`, and load it.

    Libraries without C files (nb_spec) only add their headers. Fails the test with the compiler's words if it does not build.
    """
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on PATH: install build-essential to compare the firmware's C with the twin")
    target = into / f"{'_'.join(libs)}.so"
    compiled = [o for lib in libs for o in objects(lib, (*FLAGS, *flags))]
    compile_c(["gcc", *FLAGS, *flags, "-shared", *INCLUDES, *map(str, extra_sources), *compiled, "-o", str(target)])
    return ctypes.CDLL(str(target))


def state_buffer(size: int) -> ctypes.Array[ctypes.c_uint64]:
    """Room for a C state struct of `size` bytes, aligned for its 64-bit members and filled with rubbish, as a stack would be."""
    words = (size + 7) // 8
    return (ctypes.c_uint64 * words)(*[0xA5A5_A5A5_A5A5_A5A5] * words)


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    """Address of a C-contiguous array; keep the array alive for the call."""
    assert array.flags.c_contiguous
    return array.ctypes.data_as(ctypes.c_void_p)
