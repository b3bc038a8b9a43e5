"""Models as C beside LiteRT's reference kernels: on this machine through ctypes, and many at once on an emulated Cortex-M4F.

The C comes from nociband_convert.standalone, so that reader, writer, arena and kernels are all in what is compared. Many small
models go into one C file, so that a compiler runs once for all of them.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from _clib import FIRMWARE_LIB, FLAGS, INCLUDES, compile_c, objects, pointer
from _m4 import HERE, build, emulate
from _nn import LiteRt

from nociband_convert import standalone, tflite

NN = FIRMWARE_LIB / "nb_nn/src"
GUARD = 8


@dataclass(frozen=True, eq=False)
class Case:
    """A model of one output, values for each of its inputs in their order (n, *shape), and words for when it fails."""

    what: str
    content: bytes
    inputs: tuple[np.ndarray, ...]

    def __repr__(self) -> str:
        return self.what

    @property
    def runs(self) -> list[tuple[np.ndarray, ...]]:
        """The inputs run by run."""
        return list(zip(*self.inputs, strict=True))

    @cached_property
    def expected(self) -> np.ndarray:
        """LiteRT's outputs, (n, *shape)."""
        run = LiteRt(self.content)
        return np.stack([run(*x).copy() for x in self.runs])

    def c(self, name: str, folder: Path) -> standalone.Standalone:
        """The model in C."""
        path = folder / f"{name}.tflite"
        path.write_bytes(self.content)
        return standalone.generate(tflite.read(path), name)


Run = Callable[..., np.ndarray]


def native(cases: Sequence[Case], into: Path) -> list[Run]:
    """Each case's C as a function of its inputs."""
    parts = [_included(case, i, into) for i, case in enumerate(cases)]
    source, target = into / "cases.c", into / f"cases{len(list(into.glob('*.so')))}.so"
    source.write_text("".join(parts))
    compile_c(["gcc", *FLAGS, "-O0", "-shared", *INCLUDES, str(source), *objects("nb_nn"), "-o", str(target)], into)
    loaded = ctypes.CDLL(str(target))
    return [_function(getattr(loaded, f"c{i}_run"), case) for i, case in enumerate(cases)]


def _function(run: Callable[..., None], case: Case) -> Run:
    shape, dtype = case.expected.shape[1:], case.expected.dtype

    def call(*inputs: np.ndarray) -> np.ndarray:
        y = np.full(int(np.prod(shape)) + GUARD, 0x5A, dtype)
        given = [np.ascontiguousarray(x) for x in inputs]
        run(*map(pointer, given), pointer(y))
        assert (y[-GUARD:] == 0x5A).all(), f"{case.what} writes beyond its output"
        return y[:-GUARD].reshape(shape)
    return call


def assert_native(cases: Sequence[Case], into: Path) -> None:
    """Every case gives LiteRT's bits on this machine."""
    for case, run in zip(cases, native(cases, into), strict=True):
        for inputs, expected in zip(case.runs, case.expected, strict=True):
            got = run(*inputs)
            wrong = got != expected
            assert not wrong.any(), (f"{case.what}: {wrong.sum()} of {got.size} differ, first {got[wrong][0]} for "
                                     f"{expected[wrong][0]}")


def assert_emulated(cases: Sequence[Case], into: Path, flags: Sequence[str] = ("-O2",)) -> Path:
    """Every case gives LiteRT's bits for its first inputs on an emulated Cortex-M4F. The program."""
    (into / "cases.h").write_text(_header(cases, into))
    elf = build([HERE / "_nn_cases_m4.c"], into, flags)
    _assert_equal(emulate(elf), cases)
    return elf


def assert_sanitised(cases: Sequence[Case], into: Path) -> None:
    """The same program on this machine, with the address and undefined-behaviour sanitizers."""
    (into / "cases.h").write_text(_header(cases, into))
    say = '#include <stdio.h>\n#include "_m4_start.h"\nvoid say(const char *text)\n{ fputs(text, stdout); }\n'
    (into / "say.c").write_text(say)
    flags = [*(f for f in FLAGS if f not in ("-fPIC", "-O2")), "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    compile_c(["gcc", *flags, f"-I{into}", f"-I{HERE}", *INCLUDES, str(HERE / "_nn_cases_m4.c"), str(into / "say.c"),
               *map(str, sorted(NN.glob("*.c"))), "-o", str(into / "cases")])
    done = subprocess.run([str(into / "cases")], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    _assert_equal(done.stdout, cases)


def _assert_equal(said: str, cases: Sequence[Case]) -> None:
    *wrong, end = said.strip().splitlines()
    assert end == f"{len(cases)} cases", said
    assert not wrong, [f"{line}: {cases[int(line.split()[1])].what}" for line in wrong]


def _included(case: Case, i: int, into: Path) -> str:
    """Case i's file among others in one program: what is static in each gets a name of its own."""
    case.c(f"c{i}", into).write(into)
    names = ("arena", "nb_lstm_curve_lines", "nb_lstm_curve_steps")
    return "\n".join([*(f"#define {n} {n}_{i}" for n in names), f'#include "c{i}.c"', *(f"#undef {n}" for n in names), ""])


def _header(cases: Sequence[Case], into: Path) -> str:
    """cases.h, as _nn_cases_m4.c reads it."""
    parts, table = [], []
    for i, case in enumerate(cases):
        given = [f"x{i}_{n}" for n in range(len(case.inputs))]
        parts += [_included(case, i, into), *map(_array, given, case.runs[0]), _array(f"y{i}", case.expected[0]),
                  f"static void run{i}(void *y)\n{{\n    c{i}_run({', '.join(given)}, y);\n}}"]
        table.append(f"    {{run{i}, y{i}, sizeof y{i}}},")
    most = max(case.expected[0].nbytes for case in cases)
    struct = "struct {\n    void (*run)(void *y);\n    const void *expected;\n    uint32_t bytes;\n}"
    return "\n".join([*parts, f"#define CASES {len(cases)}u", f"#define CASE_BYTES_MAX {most}u",
                      f"static const {struct} cases[] = {{", *table, "};", ""])


def _array(name: str, values: np.ndarray) -> str:
    return f"static const {values.dtype}_t {name}[] = {{{', '.join(map(str, values.reshape(-1).tolist()))}}};"
