"""Graphs of any number of inputs, run in LiteRT's reference kernels and in the C that the converter writes of them: natively, or
on an emulated Cortex-M4F. Many small graphs go into one C file, so that a compiler runs once for all of them.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from _clib import FIRMWARE_LIB, FLAGS, compile_libs, pointer
from _nn import LiteRt

from nociband_convert import tflite
from nociband_convert.operations import GraphWriter

HERE = Path(__file__).parent
NN = FIRMWARE_LIB / "nb_nn" / "src"
ARM = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-std=gnu11", "-Wall", "-Wextra", "-Werror",
       "-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-ffunction-sections", "-fdata-sections",
       "-Wl,--gc-sections")
QEMU = ("qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "null", "-semihosting-config",
        "enable=on,target=native", "-kernel")


class Case:
    """A .tflite with one output, and values for its inputs in their order. `what` names it when it fails."""

    def __init__(self, what: str, content: bytes, inputs: Sequence[np.ndarray]) -> None:
        self.what, self.content, self.inputs = what, content, tuple(inputs)

    def __repr__(self) -> str:
        return self.what

    @cached_property
    def expected(self) -> np.ndarray:
        """The output in LiteRT's reference kernels."""
        return LiteRt(self.content)(*self.inputs)


def c_of(cases: Sequence[Case], into: Path) -> str:
    """A C file with void run_<i>(const void *const *inputs, void *output) for each case."""
    parts = ["#include <string.h>", '#include "nb_nn.h"']
    for i, case in enumerate(cases):
        path = into / f"case{i}.tflite"
        path.write_bytes(case.content)
        graph = tflite.read(path)
        writer = GraphWriter(f"case{i}", graph, [*graph.inputs, *graph.outputs])
        given = ", ".join(f"in[{n}]" for n in range(len(graph.inputs)))
        parts += [f"static {writer.element} case{i}_arena[{max(writer.arena.size, 1)}] __attribute__((aligned(4), unused));",
                  f"#define arena case{i}_arena", *writer.constants, writer.function(), "#undef arena",
                  f"void run_{i}(const void *const *in, void *out);",
                  f"void run_{i}(const void *const *in, void *out)\n{{\n    case{i}({given}, out);\n}}"]
    return "\n".join(parts) + "\n"


class Native:
    """Runs cases on this machine; nb_nn is compiled once, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        compile_libs(("nb_nn",), folder)

    def run(self, cases: Sequence[Case]) -> list[np.ndarray]:
        """The outputs, each of the shape that LiteRT gives. Fails when a graph writes beyond its output."""
        self._count += 1
        source, target = self._folder / f"cases{self._count}.c", self._folder / f"cases{self._count}.so"
        source.write_text(c_of(cases, self._folder))
        subprocess.run(["gcc", *FLAGS, "-O1", f"-I{NN}", str(source), str(self._folder / "nb_nn.so"),
                        f"-Wl,-rpath,{self._folder}", "-o", str(target)], check=True)
        lib = ctypes.CDLL(str(target))
        outputs = []
        for i, case in enumerate(cases):
            expected = case.expected
            y = np.full(expected.size + 8, 0x5A, expected.dtype)
            inputs = [np.ascontiguousarray(x) for x in case.inputs]
            getattr(lib, f"run_{i}")((ctypes.c_void_p * len(inputs))(*(x.ctypes.data for x in inputs)), pointer(y))
            assert (y[-8:] == 0x5A).all(), f"{case.what} writes beyond its output"
            outputs.append(y[:-8].reshape(expected.shape))
        return outputs


def check_native(native: Native, cases: Sequence[Case]) -> None:
    """Fails unless every case gives LiteRT's bits."""
    for case, got in zip(cases, native.run(cases), strict=True):
        expected = case.expected
        wrong = got != expected
        assert not wrong.any(), f"{case.what}: {wrong.sum()} of {got.size} differ, first {got[wrong][0]} for {expected[wrong][0]}"


def check_m4(cases: Sequence[Case], into: Path, flags: Sequence[str] = ("-O2",)) -> None:
    """The same on an emulated Cortex-M4F; skips where there is no cross compiler or QEMU."""
    if shutil.which("arm-none-eabi-gcc") is None or shutil.which("qemu-system-arm") is None:
        pytest.skip("no cross compiler or QEMU: install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm")
    (into / "graphs.h").write_text(c_of(cases, into) + _rows(cases))
    elf = into / "graphs.elf"
    sources = [str(HERE / "_nn_graphs_m4.c"), str(HERE / "_m4_start.c"), *map(str, sorted(NN.glob("*.c")))]
    subprocess.run(["arm-none-eabi-gcc", *ARM, *flags, f"-I{NN}", f"-I{into}", f"-I{HERE}", *sources, f"-T{HERE / '_nn_m4.ld'}",
                    "-o", str(elf)], check=True)
    done = subprocess.run([*QEMU, str(elf)], capture_output=True, text=True, timeout=120, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    assert lines[-1:] == [f"{len(cases)} graphs"], lines
    assert not lines[:-1], [f"{line}: {cases[int(line.split()[1])].what}" for line in lines[:-1]]


def _rows(cases: Sequence[Case]) -> str:
    """The cases with their inputs and expected outputs, as _nn_graphs_m4.c reads them."""
    parts, rows, most = [], [], 0
    for i, case in enumerate(cases):
        expected = case.expected
        most = max(most, expected.nbytes)
        parts += [_array(f"in_{i}_{n}", x) for n, x in enumerate(case.inputs)]
        parts += [_array(f"expected_{i}", expected),
                  f"static const void *const in_{i}[] = {{{', '.join(f'in_{i}_{n}' for n in range(len(case.inputs)))}}};"]
        rows.append(f"    {{run_{i}, in_{i}, expected_{i}, sizeof expected_{i}}},")
    row = ("typedef struct {\n    void (*run)(const void *const *in, void *out);\n    const void *const *in;\n"
           "    const void *expected;\n    uint32_t bytes;\n} graph_t;")
    return "\n".join([*parts, f"#define GRAPHS {len(cases)}u", f"#define GRAPH_BYTES_MAX {most}u", row,
                      "static const graph_t graphs[GRAPHS] = {", *rows, "};"]) + "\n"


def _array(name: str, values: np.ndarray) -> str:
    flat = ",".join(map(str, values.reshape(-1).tolist()))
    return f"static const {values.dtype.name}_t {name}[] = {{{flat}}};"
