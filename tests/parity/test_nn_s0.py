"""The fused kernels of S0 (an LSTM step, a branch) give LiteRT's bits on any weights: in C here, in assembly on a Cortex-M4F.

Graphs have random weights and are finished by the converter's scales; what the shipped models give is in test_nn_model.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from _clib import FIRMWARE_LIB, compile_libs, pointer
from _m4 import needs_emulator, run_on_m4
from _nn import NativeModel, litert, one_op, random_windows
from _s0 import Reference, graphs, head_file, logits, lstm_step, step_file

from nociband.errors import ModelError
from nociband_convert import tflite, to_c
from nociband_convert.arithmetic import activation
from nociband_convert.graphs import lstm, scales
from nociband_convert.kernels import branch, lstm_kernel

PACKINGS = ("fast", "small")
ROWS = 40
NN = FIRMWARE_LIB / "nb_nn/src"


def states(seed: int, inputs: int, units: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of x, h, c: of all sizes, with the rails among them. h stays where a step can bring it."""
    rng = np.random.default_rng(seed)
    x = np.clip(rng.normal(0, 10.0 ** rng.uniform(1, 4.6, (ROWS, 1)), (ROWS, inputs)), -32768, 32767)
    c = np.clip(rng.normal(0, 10.0 ** rng.uniform(1, 4.6, (ROWS, 1)), (ROWS, units)), -32768, 32767)
    h = rng.uniform(-4096, 4096, (ROWS, units))
    x[0], c[0], x[1], c[1] = 32767, 32767, -32768, -32768
    return x.astype(np.int16), h.astype(np.int16), c.astype(np.int16)


def kernel_source(kernel: lstm_kernel.Kernel, packing: lstm_kernel.Packing) -> str:
    """C with `step(row)`, the step alone in its readable form."""
    tables = [kernel.gate_scale]
    return "\n".join(['#include "nb_nn_lstm.h"', *lstm_kernel.table_constants(tables),
                      *lstm_kernel.constants("one", kernel, packing, tables),
                      "void step(int16_t *row);", "void step(int16_t *row)\n{\n    nb_nn_lstm_step(&one_lstm, row);\n}\n"])


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 20))])
def test_a_step(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    inputs, units, size = int(rng.integers(1, 7)), 2 * int(rng.integers(2, 13)), rng.uniform(0.1, 6.0)
    cell, limit = rng.choice([1.0, 8.0, 16.0, 64.0]), rng.choice([1.0, 3.0, 8.0, 12.5])
    graph = step_file(tmp_path / "step.tflite", lstm_step(inputs, units, seed, size), float(cell), float(limit))
    kernel = lstm_kernel.read(lstm.find(graph))
    x, h, c = states(seed, inputs, units)
    reference = Reference(tmp_path / "step.tflite")
    expected = [reference(("h_next", "c_next"), x=a[None], h=b[None], c=d[None]) for a, b, d in zip(x, h, c, strict=True)]
    for packing in PACKINGS:
        source = tmp_path / f"{packing}.c"
        source.write_text(kernel_source(kernel, packing))
        step = compile_libs((), tmp_path, [source, NN / "nb_nn_lstm.c"], [f"-I{NN}"]).step
        for t in range(ROWS):
            row = np.zeros(2 * kernel.row, np.int16)
            at = kernel.padded_inputs
            row[:inputs], row[at:at + units], row[at + units:at + 2 * units] = x[t], h[t], c[t]
            step(pointer(row))
            after = row[kernel.row + at:]
            assert np.array_equal(after[:units], expected[t][0][0]) and np.array_equal(after[units:2 * units], expected[t][1][0])


def test_halves_of_a_gate_are_where_it_is_clamped(tmp_path: Path) -> None:
    """LiteRT rounds halves of a layer away from zero, the kernel half up: no sum may tell them apart."""
    graph = step_file(tmp_path / "step.tflite", lstm_step(4, 16, 2, size=6.0))
    kernel = lstm_kernel.read(lstm.find(graph))
    odd = 2 * np.arange(-50, 50) + 1
    assert (kernel.multipliers % 2 == 1).all()
    assert (np.abs(kernel.multipliers[..., None] * odd) // 2 >= lstm_kernel.SIGMOID_REACH + 1).all()
    even = scales.rewrite(tmp_path / "step.tflite", {}, {lstm.find(graph).gates[0].inputs[1]: (2.0**-9,) * 16}, {})
    (tmp_path / "even.tflite").write_bytes(even)
    with pytest.raises(ModelError, match="half way"):
        lstm_kernel.read(lstm.find(tflite.read(tmp_path / "even.tflite")))


@pytest.mark.parametrize(("units", "classes", "size", "limit"),
                         [(4, 2, 1.0, 8.0), (16, 3, 2.0, 3.0), (18, 8, 4.0, 8.0), (32, 5, 1.0, 8.0)])
@pytest.mark.parametrize("packing", PACKINGS)
def test_a_model_of_random_weights(units: int, classes: int, size: float, limit: float, packing: lstm_kernel.Packing,
                                   tmp_path: Path) -> None:
    made = to_c.network(graphs(tmp_path, units, classes, seed=units, size=size, input_limit=limit), packing)
    source = tmp_path / "model.c"
    source.write_text(made.text)
    windows = random_windows(6, seed=units)
    expected = [logits(tmp_path, units, w).tolist() for w in windows]
    native = NativeModel(source, tmp_path)
    assert [native.logits(w).tolist() for w in windows] == [[*e, *[0] * (8 - classes)] for e in expected]
    assert len({tuple(e) for e in expected}) > 3


@needs_emulator
@pytest.mark.parametrize("flags", [("-O2",), *(pytest.param(f, marks=pytest.mark.slow) for f in (
    ("-Os",), ("-O2", "-DNB_NN_PORTABLE")))], ids=" ".join)
@pytest.mark.parametrize("packing", PACKINGS)
def test_the_assembly_gives_the_same(packing: lstm_kernel.Packing, flags: tuple[str, ...], tmp_path: Path) -> None:
    units, classes = 18, 5  # neither a multiple of four units nor of four pairs
    made = to_c.network(graphs(tmp_path, units, classes, seed=3, size=2.0), packing)
    windows = random_windows(4, seed=8)
    rows = run_on_m4(tmp_path, made.text, windows, flags)
    assert rows == [[*logits(tmp_path, units, w).tolist(), *[0] * (8 - classes)] for w in windows]


@pytest.mark.parametrize("scale", [2.0**-15, 2.0**-12, 2.0**-6, 3 / 32767 * 128, 1e-3])
def test_the_tables_are_litert_s(scale: float) -> None:
    x = np.arange(-32768, 32768).astype(np.int16)
    step = float(np.float32(scale))
    for kind, function in (("LOGISTIC", activation.logistic), ("TANH", activation.tanh)):
        expected = litert(one_op(kind, [((1, x.size), scale)], ((1, x.size), 2.0**-15), version=3), [x[None]])[0]
        assert np.array_equal(function(x, step), expected)


def test_the_lines_of_tanh_meet_it_everywhere() -> None:
    v = np.arange(-(2**16), 2**16)
    base, slope = activation.tanh_lines(-256, 255)[(v >> 8) + 256].T
    high = ((base + slope * v) % 2**32).astype(np.uint32).view(np.int32) >> 16
    assert np.array_equal(high, activation.tanh_of_steps(v))


def test_one_table_of_the_sigmoid() -> None:
    text = (FIRMWARE_LIB / "nb_nn/src/nb_nn_table.h").read_text()
    table = re.search(r"nb_nn_sigmoid\[256\] = \{([^}]*)\}", text)
    assert table and [int(v) for v in table[1].split(",") if v.strip()] == activation.SIGMOID.tolist()


def test_gates_beyond_their_tables_are_at_their_ends() -> None:
    for x_step in (scales.input_step(limit) for limit in (0.5, 1.0, 3.0, 8.0, 100.0, 300.0)):
        step = float(np.float32(scales.gate_step(x_step)))
        far = np.array([-32768, 32767])
        assert activation.logistic(far, step).tolist() == activation.logistic(np.array([-1024, 1023]), step).tolist()
        assert activation.tanh(far, step).tolist() == activation.tanh(np.array([-512, 511]), step).tolist()


def test_a_changed_weight_is_noticed(tmp_path: Path) -> None:
    made = to_c.network(graphs(tmp_path, 16, 3, seed=1), "fast").text
    first = re.search(r"eda_stream\[\] = \{\n +(0x[0-9a-f]+u), ", made)
    assert first
    source = tmp_path / "model.c"
    source.write_text(made.replace(first[1], f"0x{(int(first[1][:-1], 16) + 2**16) & 0xFFFFFFFF:x}u", 1))
    windows = random_windows(4, seed=2)
    native = NativeModel(source, tmp_path)
    assert any(native.logits(w)[:3].tolist() != logits(tmp_path, 16, w).tolist() for w in windows)


def test_what_the_kernels_do_not_have_is_refused(tmp_path: Path) -> None:
    odd = step_file(tmp_path / "odd.tflite", lstm_step(2, 5, 1))
    with pytest.raises(ModelError, match="even number of hidden units"):
        lstm_kernel.read(lstm.find(odd))
    head = head_file(tmp_path / "head.tflite", 4, 3, 1)
    with pytest.raises(ModelError, match="no attention"):
        branch.find_attention(tflite.Graph("head", head.tensors, head.ops[1:], head.inputs, head.outputs), "hs_eda")
    path = tmp_path / "step.tflite"
    step_file(path, lstm_step(2, 4, 1))
    path.write_bytes(scales.rewrite(path, {}, {lstm.find(tflite.read(path)).kept: (2.0**-11,)}, {}))
    with pytest.raises(ModelError, match="not one power of two"):
        lstm_kernel.read(lstm.find(tflite.read(path)))
    with pytest.raises(ModelError, match="not a single LSTM step"):
        lstm.find(head_named_as_step(head))


def head_named_as_step(head: tflite.Graph) -> tflite.Graph:
    """The head under a step's input names."""
    first, second = head.inputs.values()
    return tflite.Graph("eda", head.tensors, head.ops, {"x": first, "h": second, "c": second}, head.outputs)


