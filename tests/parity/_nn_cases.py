"""Models as C beside LiteRT's reference kernels: on this machine through ctypes, and many at once on an emulated Cortex-M4F.

The C comes from nociband_convert.standalone, so that reader, writer, arena and kernels are all in what is compared.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from _clib import FIRMWARE_LIB, FLAGS, pointer
from _nn import LiteRt

from nociband_convert import standalone, tflite

HERE = Path(__file__).parent
NN = FIRMWARE_LIB / "nb_nn/src"
ARM = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-std=gnu11", "-Wall", "-Wextra", "-Werror",
       "-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-ffunction-sections", "-Wl,--gc-sections")


@dataclass(frozen=True, eq=False)
class Case:
    """A model of one input and one output, inputs for it (n, *shape), and words for when it fails."""

    what: str
    content: bytes
    inputs: np.ndarray

    @cached_property
    def expected(self) -> np.ndarray:
        """LiteRT's outputs, (n, *shape)."""
        run = LiteRt(self.content)
        return np.stack([run(x).copy() for x in self.inputs])

    def c(self, name: str, folder: Path) -> standalone.Standalone:
        """The model in C."""
        path = folder / f"{name}.tflite"
        path.write_bytes(self.content)
        return standalone.generate(tflite.read(path), name)


def library(into: Path) -> Path:
    """nb_nn compiled for this machine, warnings as errors."""
    target = into / "nb_nn.so"
    sources = [str(p) for p in sorted(NN.glob("*.c"))]
    done = subprocess.run(["gcc", *FLAGS, f"-I{NN}", *sources, "-o", str(target)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def _included(i: int) -> str:
    """Case i's file among others in one program: what is static in each gets a name of its own."""
    names = ("arena", "nb_lstm_curve_lines", "nb_lstm_curve_steps")
    return "\n".join([*(f"#define {n} {n}_{i}" for n in names), f'#include "c{i}.c"', *(f"#undef {n}" for n in names), ""])


def native(cases: Sequence[Case], nn: Path, into: Path) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Each case's C as a function. nn: what `library` made."""
    parts = []
    for i, case in enumerate(cases):
        case.c(f"c{i}", into).write(into)
        parts.append(_included(i))
    (into / "cases.c").write_text("".join(parts))
    target = into / f"cases{len(list(into.glob('*.so')))}.so"
    command = ["gcc", *(f if f != "-O2" else "-O0" for f in FLAGS), f"-I{NN}", str(into / "cases.c"), str(nn), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(target))
    return [_function(getattr(loaded, f"c{i}_run"), case) for i, case in enumerate(cases)]


def _function(run: Callable[..., None], case: Case) -> Callable[[np.ndarray], np.ndarray]:
    shape, dtype = case.expected.shape[1:], case.expected.dtype

    def call(x: np.ndarray) -> np.ndarray:
        guard = 8
        y = np.full(int(np.prod(shape)) + guard, 0x5A, dtype)
        run(pointer(np.ascontiguousarray(x)), pointer(y))
        assert (y[-guard:] == 0x5A).all(), f"{case.what} writes beyond its output"
        return y[:-guard].reshape(shape)
    return call


def assert_native(cases: Sequence[Case], nn: Path, into: Path) -> None:
    """Every case gives LiteRT's bits on this machine."""
    for case, run in zip(cases, native(cases, nn, into), strict=True):
        for x, expected in zip(case.inputs, case.expected, strict=True):
            assert np.array_equal(run(x), expected), case.what


def emulate(elf: Path) -> str:
    """What a program prints on an emulated Cortex-M4F; fails the test when its status is not 0."""
    done = subprocess.run(["qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "null",
                           "-semihosting-config", "enable=on,target=native", "-kernel", str(elf)],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def assert_emulated(cases: Sequence[Case], into: Path, flags: Sequence[str]) -> None:
    """Every case gives LiteRT's bits for its first input on an emulated Cortex-M4F."""
    (into / "cases.h").write_text(_header(cases, into))
    elf = into / "cases.elf"
    command = ["arm-none-eabi-gcc", *ARM, *flags, f"-I{into}", f"-I{NN}", f"-I{HERE}", str(HERE / "_nn_cases_m4.c"),
               str(HERE / "_m4_start.c"), *map(str, sorted(NN.glob("*.c"))), f"-T{HERE / '_nn_m4.ld'}", "-o", str(elf)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    try:
        said = emulate(elf)
    except AssertionError as e:
        raise AssertionError(f"{e}{[case.what for i, case in enumerate(cases) if f'case {i} ' in str(e)]}") from None
    assert f"{len(cases)} cases, 0 differ" in said


def assert_sanitised(cases: Sequence[Case], into: Path) -> None:
    """The same program on this machine, with the address and undefined-behaviour sanitizers."""
    (into / "cases.h").write_text(_header(cases, into))
    say = '#include <stdio.h>\n#include "_m4_start.h"\nvoid say(const char *text)\n{ fputs(text, stdout); }\n'
    (into / "say.c").write_text(say)
    flags = [*(f for f in FLAGS if f not in ("-fPIC", "-shared", "-O2")), "-O1", "-fsanitize=address,undefined"]
    sources = [HERE / "_nn_cases_m4.c", into / "say.c", *sorted(NN.glob("*.c"))]
    subprocess.run(["gcc", *flags, "-fno-sanitize-recover=all", f"-I{into}", f"-I{NN}", f"-I{HERE}", *map(str, sources),
                    "-o", str(into / "cases")], check=True)
    done = subprocess.run([str(into / "cases")], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and f"{len(cases)} cases, 0 differ" in done.stdout, done.stdout + done.stderr


needs_emulator = pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None or shutil.which("qemu-system-arm") is None, reason=(
    "no cross compiler or QEMU: install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"))


def _header(cases: Sequence[Case], into: Path) -> str:
    parts, table = [], []
    for i, case in enumerate(cases):
        case.c(f"c{i}", into).write(into)
        kind = f"{case.expected.dtype}_t"
        values = [", ".join(map(str, v[0].reshape(-1).tolist())) for v in (case.inputs, case.expected)]
        parts += [_included(i), f"static const {kind} x{i}[] = {{{values[0]}}};",
                  f"static const {kind} y{i}[] = {{{values[1]}}};",
                  f"static void run{i}(const void *x, void *y)\n{{\n    c{i}_run(x, y);\n}}"]
        table.append(f"    {{run{i}, x{i}, y{i}, sizeof y{i}}},")
    most = max(case.expected[0].nbytes for case in cases)
    struct = "struct {\n    void (*run)(const void *x, void *y);\n    const void *x;\n    const void *y;\n    uint32_t bytes;\n}"
    return "\n".join([*parts, f"#define CASES {len(cases)}u", f"#define CASE_BYTES_MAX {most}u",
                      f"static const {struct} cases[] = {{", *table, "};", ""])
