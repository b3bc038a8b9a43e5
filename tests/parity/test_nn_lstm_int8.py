"""The int8 scheme's LSTM gives the bits of LiteRT's integer UNIDIRECTIONAL_SEQUENCE_LSTM: its curves for every input, whole runs
for random weights, scales and windows, natively and on the emulated Cortex-M4F. The files that lstm_graph builds are what they
claim to be."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _clib import pointer
from _m4 import needs_emulator
from _nn import ROOT, Builder, LiteRt
from _nn_lstm import NN, PACKINGS, Cells, compiled, expected, native, on_m4, random_weights, source, window, window_header
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st

from nociband.errors import ModelError
from nociband_convert import tflite
from nociband_convert.arithmetic import lstm_curves, quantise
from nociband_convert.graphs.lstm_graph import CELL_EXPONENTS, LstmWeights, build, merge

EVERY = np.arange(-32768, 32768)
RUNNING_EXPONENTS = [bits - 15 for bits in lstm_curves.TANH_INTEGER_BITS]
FROZEN = sorted((ROOT / "firmware/bench").glob("*/int8/e??.tflite"))
CURVES_SHIM = """
#include "nb_nn_lstm_int8.c"
void curves(const int16_t *z, int16_t *y);
void curves(const int16_t *z, int16_t *y)
{
    for (uint32_t n = 0; n < 65536; n++) {
        y[n] = (int16_t)sigmoid(&lstm_lstm, z[n]);
        for (uint32_t left = 0; left < 5; left++) {
            y[(left + 1) * 65536 + n] = (int16_t)hyperbolic_tangent(&lstm_lstm, z[n], left);
        }
    }
}
"""


# --- the files ---------------------------------------------------------------------------------------------------------


def floating(w: LstmWeights, x: np.ndarray) -> np.ndarray:
    """Hidden states (T, H) of the same LSTM in floating point for x (T, n)."""
    h = c = np.zeros(w.bias.shape[1])
    out = []
    for row in x:
        z = w.inputs @ row + w.recurrent @ h + w.bias
        i, f, o = (1 / (1 + np.exp(-z[k])) for k in (0, 1, 3))
        c = f * c + i * np.tanh(z[2])
        h = o * np.tanh(c)
        out.append(h)
    return np.array(out)


def test_built_file_is_close_to_floating_point() -> None:
    weights, x = random_weights(4, 32, 1), np.random.default_rng(2).normal(0, 40, (138, 4))
    x = np.clip(np.rint(x), -127, 127).astype(np.int16)
    got = expected(build("emg", weights, 1 / 40, 1 / 128, -11, 138), x) / 128
    error = got - floating(weights, x / 40)
    assert np.abs(got).max() > 0.7
    assert np.sqrt((error**2).mean()) < 0.008 and np.abs(error).max() < 0.06


def test_all_of_litert_runs_it_alike_and_from_zero_state() -> None:
    content = build("eda", random_weights(2, 16, 3), 1 / 40, 1 / 128, -12, 20)
    x = np.clip(window(20, 2, 4), -128, 127).astype(np.int8)[None]
    runs = []
    for resolver in (OpResolverType.BUILTIN_REF, OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver, num_threads=1)
        interpreter.allocate_tensors()
        for _ in range(2):
            interpreter.reset_all_variables()
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
            interpreter.invoke()
            runs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy())
    assert all(np.array_equal(runs[0], other) for other in runs[1:]) and runs[0].any()


@pytest.mark.parametrize(("change", "words"), [
    (dict(inputs=np.zeros((3, 4, 2))), "gates in the order i, f, g, o"),
    (dict(recurrent=np.zeros((4, 4, 5))), r"must be \(4, 4, 4\)"),
    (dict(bias=np.full((4, 4), np.nan)), "not all finite"),
    (dict(input_scales=[1.0, 1.0, 0.0, 1.0]), "step of the cell gate's weights"),
])
def test_weights_that_do_not_fit_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        build("eda", replace(random_weights(2, 4, 0), **change), 0.1, 0.1, -12, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("scales", "words"), [
    ((0.0, 0.1, -12), "must be positive"), ((0.1, float("nan"), -12), "must be positive"), ((0.1, 0.1, -8), "2\\^-15 to 2\\^-9")])
def test_scales_that_do_not_fit_are_refused(scales: tuple[float, float, int], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        build("eda", random_weights(2, 4, 0), *scales, 5)


def head(steps: int, hidden: tuple[int, int], scales: tuple[float, float]) -> bytes:
    """An int8 head: each branch's mean over time, then a dense layer of both, to three logits."""
    model, rng = Builder(), np.random.default_rng(0)
    inputs = [model.tensor((1, steps, h), "int8", [s], name=f"hs_{b}") for b, h, s in
              zip(("eda", "emg"), hidden, scales, strict=True)]
    axis = model.constant(np.array([1], np.int32))
    means = [model.tensor((1, h), "int8", [1 / 128]) for h in hidden]
    for x, y in zip(inputs, means, strict=True):
        model.op("MEAN", [x, axis], [y], schema.ReducerOptionsT(), 2)
    both = model.tensor((1, sum(hidden)), "int8", [1 / 128])
    options = schema.ConcatenationOptionsT()
    options.axis = 1
    model.op("CONCATENATION", means, [both], options, 2)
    dense = model.constant(rng.integers(-127, 128, (3, sum(hidden))).astype(np.int8), [0.01])
    y = model.tensor((1, 3), "int8", [0.02], name="logits")
    model.op("FULLY_CONNECTED", [both, dense, -1], [y], schema.FullyConnectedOptionsT())
    return model.finish(inputs, [y])


def test_merged_graph_gives_what_the_three_files_give() -> None:
    eda, emg = (build(b, random_weights(n, h, n), 1 / 40, s, -12, 138) for b, n, h, s in
                (("eda", 2, 8, 1 / 128), ("emg", 4, 12, 1 / 100)))
    top = head(138, (8, 12), (1 / 128, 1 / 100))
    whole = LiteRt(merge(eda, emg, top))
    seen = set()
    for seed in range(8):
        x = [np.clip(window(138, n, seed + n), -128, 127).astype(np.int8)[None] for n in (2, 4)]
        logits = LiteRt(merge(eda, emg, top))(*x)
        assert np.array_equal(logits, LiteRt(top)(LiteRt(eda)(x[0]), LiteRt(emg)(x[1])))
        seen.add(logits.tobytes())
    assert len(seen) > 4
    assert [d["name"] for d in whole._interpreter.get_input_details()] == ["eda", "emg"]


def test_merge_refuses_a_head_for_other_scales_and_files_in_the_wrong_place() -> None:
    eda, emg = (build(b, random_weights(2, 4, 0), 0.1, 1 / 128, -12, 9) for b in ("eda", "emg"))
    with pytest.raises(ModelError, match="the head takes hs_emg .* convert the three graphs together"):
        merge(eda, emg, head(9, (4, 4), (1 / 128, 1 / 100)))
    with pytest.raises(ModelError, match="emg.tflite has the inputs and outputs"):
        merge(eda, head(9, (4, 4), (1 / 128, 1 / 128)), emg)
    with pytest.raises(ModelError, match="not a .tflite file"):
        merge(eda, emg, b"nothing at all")


# --- the curves, for every input ---------------------------------------------------------------------------------------


def rounded(x: np.ndarray, right: int) -> np.ndarray:
    """x / 2^right, half away from zero."""
    return (x + (1 << (right - 1)) - (x < 0)) >> right


def test_sigmoid_and_the_gates_tanh_are_litert_s_for_every_input() -> None:
    sigmoid, tanh = lstm_curves.sigmoid(EVERY), lstm_curves.tanh(EVERY, 3)
    cells = Cells(len(EVERY), -15, 1 / 128)
    # Of the cell i * g / 2^15 is left. Almost 1 times i shows it but for two values next to the middle; 0.5 times i those.
    for g in (32767, int(np.abs(tanh - 16384).argmin()) - 32768):
        assert np.array_equal(cells(EVERY, 0, g, 0, 0)[0], rounded(sigmoid * tanh[g + 32768], 15))
    for i in (32767, 0):
        assert np.array_equal(cells(i, 0, EVERY, 0, 0)[0], rounded(sigmoid[i + 32768] * tanh, 15))
    # The same for f, and for o with a hidden state in steps of which each is one of o's.
    assert np.array_equal(cells(0, EVERY, 0, 0, 32767)[0], rounded(sigmoid * 32767, 15))


@pytest.mark.parametrize("exponent", [pytest.param(e, marks=() if e == -12 else pytest.mark.slow) for e in RUNNING_EXPONENTS])
def test_the_cell_s_tanh_is_litert_s_for_every_input(exponent: int) -> None:
    """h is int8, tanh int16: for each cell a value of o is found such that h differs from what the next lower tanh would give,
    and another one for the next higher."""
    tanh, cell = lstm_curves.tanh(EVERY, 15 + exponent), reach(exponent)
    for beside in (-1, 1):
        o, scale = telling(tanh, beside)
        level = lstm_curves.sigmoid(o)
        for number, h_scale in enumerate(H_SCALES):
            mine = scale == number
            if mine.any():
                got_cell, h = Cells(len(EVERY), exponent, h_scale)(32767, 32767, cell[1], o, cell[0])
                assert np.array_equal(got_cell, EVERY)
                assert np.array_equal(h[mine], hidden(level * tanh, h_scale)[mine])
                assert (h[mine] != hidden(level * (tanh + beside), h_scale)[mine]).all()
        assert (scale >= 0).all()


H_SCALES = tuple(2.0**k * more for k in (-8, -11, -14, -17) for more in (1.0, 1.9, 1.3))
"""Steps of h that show tanh of all sizes."""


def hidden(o_tanh: np.ndarray, h_scale: float) -> np.ndarray:
    """o * tanh as int8 in steps of h_scale."""
    factor = quantise.quantise_multiplier(float(np.float32(2.0**-30) / np.float32(h_scale)))
    return np.clip(rounded((o_tanh * factor.multiplier + (1 << 30)) >> 31, -factor.shift), -128, 127)


def telling(tanh: np.ndarray, beside: int) -> tuple[np.ndarray, np.ndarray]:
    """Gates o (before sigmoid) with which h tells tanh from tanh + beside, and the number of h's step (-1: none found)."""
    gate_of = np.full(1 << 15, -40000)
    gate_of[lstm_curves.sigmoid(EVERY)] = EVERY
    values, places = np.unique(tanh, return_inverse=True)
    gates, scales = np.zeros(len(values), int), np.full(len(values), -1)
    for number, h_scale in enumerate(H_SCALES):
        for step, border in product(range(-2, 4), np.arange(127) + 0.5):
            open_ = np.flatnonzero(scales < 0)
            value = values[open_]
            level = np.clip(border * h_scale * 2.0**30 / np.maximum(np.abs(value), 1) + step, 0, 32767).astype(int)
            found = (gate_of[level] > -40000) & (hidden(level * value, h_scale) != hidden(level * (value + beside), h_scale))
            gates[open_[found]], scales[open_[found]] = gate_of[level[found]], number
    return gates[places], scales[places]


def reach(exponent: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells before the step, and gates g, with which every int16 is the cell after it, i and f being at their largest."""
    most, tanh = int(lstm_curves.sigmoid(np.array([32767]))[0]), lstm_curves.tanh(EVERY, 3)
    before = dict(zip(rounded(most * EVERY, 15).tolist(), EVERY.tolist(), strict=True))
    adding = dict(zip(rounded(most * tanh, 30 + exponent).tolist(), EVERY.tolist(), strict=True))
    # f is not quite 1: the last few cells are out of its reach without something added.
    additions = [a for a in (0, *range(9, 40), *range(-9, -40, -1)) if a in adding]
    ways = [next((before[c - a], adding[a]) for a in additions if c - a in before) for c in EVERY.tolist()]
    return np.array([w[0] for w in ways]), np.array([w[1] for w in ways])


@pytest.mark.parametrize("exponent", CELL_EXPONENTS)
def test_a_cell_s_step_is_litert_s(exponent: int) -> None:
    """All of a cell's arithmetic behind the sums, on random gates and states with the rails among them."""
    rng = np.random.default_rng(exponent + 100)
    z, c = rng.integers(-32768, 32768, (4, len(EVERY))), rng.integers(-32768, 32768, len(EVERY))
    z[:, ::7], c[::5] = rng.choice([-32768, 32767, 0, 1, -1], z[:, ::7].shape), EVERY[::5]
    got_cell, got = Cells(len(EVERY), exponent, 2.0**-7)(*z, c)
    i, f, o = (lstm_curves.sigmoid(z[k]) for k in (0, 1, 3))
    g = lstm_curves.tanh(z[2], 3)
    cell = np.clip(rounded(f * c, 15) + rounded(i * g, 30 + exponent), -32768, 32767)
    assert np.array_equal(got_cell, cell)
    assert np.array_equal(got, hidden(o * lstm_curves.tanh(cell, 15 + exponent), 2.0**-7))


@pytest.mark.parametrize("packing", PACKINGS)
def test_curves_in_c_for_every_input(packing: str, tmp_path: Path) -> None:
    text = source(build("eda", random_weights(1, 1, 0), 0.1, 0.1, -12, 1), packing, tmp_path)
    z, y = EVERY.astype(np.int16), np.zeros((6, len(EVERY)), np.int16)
    compiled(text + CURVES_SHIM, tmp_path, []).curves(pointer(z), pointer(y))
    assert np.array_equal(y[0], lstm_curves.sigmoid(EVERY))
    for bits in lstm_curves.TANH_INTEGER_BITS:
        assert np.array_equal(y[bits - 1], lstm_curves.tanh(EVERY, bits)), bits


# --- whole runs --------------------------------------------------------------------------------------------------------


Scales = tuple[float, float, int]  # of x, of h, the cell's exponent


def check_a_run(folder: Path, inputs: int, units: int, seed: int, size: float, scales: Scales, clip: float) -> None:
    content = build("eda", random_weights(inputs, units, seed, size), *scales, 40, clip)
    x = window(40, inputs, seed)
    want = expected(content, x)
    for packing in PACKINGS:
        (folder / packing).mkdir()
        assert np.array_equal(native(source(content, packing, folder), x, units, folder / packing), want), packing


@pytest.mark.parametrize(("inputs", "units", "size", "scales", "clip"), [
    (4, 32, 1.0, (1 / 40, 1 / 128, -11), 0.0), (2, 33, 4.0, (0.2, 1 / 127, -9), 10.0), (1, 1, 1.0, (0.01, 0.02, -13), 0.0),
    (3, 2, 8.0, (0.4, 0.004, -12), 1.5)])
def test_some_runs_natively(inputs: int, units: int, size: float, scales: Scales, clip: float, tmp_path: Path) -> None:
    check_a_run(tmp_path, inputs, units, 1, size, scales, clip)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(inputs=st.integers(1, 6), units=st.integers(1, 40), seed=st.integers(0, 2**16), size=st.floats(0.05, 8.0),
       exponent=st.sampled_from(RUNNING_EXPONENTS), x_scale=st.floats(0.002, 0.4), h_scale=st.floats(0.004, 0.02),
       clip=st.sampled_from([0.0, 0.0, 1.5, 10.0, 1000.0]))
def test_any_run_natively(tmp_path_factory: pytest.TempPathFactory, inputs: int, units: int, seed: int, size: float,
                          exponent: int, x_scale: float, h_scale: float, clip: float) -> None:
    check_a_run(tmp_path_factory.mktemp("run"), inputs, units, seed, size, (x_scale, h_scale, exponent), clip)


@pytest.mark.parametrize("path", FROZEN, ids=lambda p: f"{p.parts[-3]}-{p.stem}")
@pytest.mark.parametrize("packing", ["fast", pytest.param("small", marks=pytest.mark.slow)])
def test_frozen_shapes_natively(path: Path, packing: str, tmp_path: Path) -> None:
    content, graph = path.read_bytes(), tflite.read(path)
    steps, inputs = graph.tensors[graph.inputs["x"]].shape[1:]
    units = graph.tensors[graph.outputs["hs"]].shape[2]
    x = window(steps, inputs, units)
    assert np.array_equal(native(source(content, packing, tmp_path), x, units, tmp_path), expected(content, x))


@needs_emulator
@pytest.mark.parametrize("flags", [("-O2",), *(pytest.param(f, marks=pytest.mark.slow) for f in (
    ("-Os",), ("-O2", "-DNB_NN_PORTABLE")))], ids=" ".join)
@pytest.mark.parametrize(("inputs", "units", "exponent", "packing", "clip"), [
    (4, 32, -11, "fast", 0.0), (2, 32, -12, "small", 0.0), (5, 33, -9, "fast", 9.0), (3, 7, -13, "small", 2.0),
    (1, 1, -10, "fast", 0.0), (6, 160, -12, "fast", 0.0)])
def test_runs_on_the_cortex_m4(inputs: int, units: int, exponent: int, packing: str, clip: float, flags: tuple[str, ...],
                               tmp_path: Path) -> None:
    content = build("eda", random_weights(inputs, units, units, 2.0), 1 / 40, 1 / 127, exponent, 30, clip)
    x = window(30, inputs, units)
    assert np.array_equal(on_m4(source(content, packing, tmp_path), x, units, tmp_path, flags), expected(content, x))


@pytest.mark.parametrize("packing", ["fast", pytest.param("small", marks=pytest.mark.slow)])
def test_sanitizers_find_nothing(packing: str, tmp_path: Path) -> None:
    content = build("eda", random_weights(5, 11, 1, 6.0), 0.3, 1 / 127, -13, 60, 2.0)
    x = window(60, 5, 1)
    (tmp_path / "window.h").write_text(window_header(x, 11))
    (tmp_path / "lstm.c").write_text(source(content, packing, tmp_path))
    (tmp_path / "main.c").write_text("""#include <stdint.h>
#include <stdio.h>
#include "window.h"
void lstm_run(const int16_t *x, int8_t *hs);
int main(void)
{
    static int8_t hs[STEPS * HIDDEN];
    lstm_run(&window[0][0], hs);
    return fwrite(hs, sizeof hs, 1, stdout) != 1;
}
""")
    program = str(tmp_path / "lstm")
    subprocess.run(["gcc", "-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{NN}",
                    str(tmp_path / "main.c"), str(tmp_path / "lstm.c"), str(NN / "nb_nn_lstm_int8.c"), "-o", program], check=True)
    done = subprocess.run([program], capture_output=True, check=True)
    assert np.array_equal(np.frombuffer(done.stdout, np.int8).reshape(60, 11), expected(content, x))


@pytest.mark.parametrize("packing", ["fast", pytest.param("small", marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", ["weights", "curve_steps", "curve_lines", "multiplier"])
def test_one_wrong_bit_is_noticed(packing: str, what: str, tmp_path: Path) -> None:
    content = build("eda", random_weights(4, 16, 5), 1 / 40, 1 / 127, -12, 138)
    x = window(138, 4, 5)
    text = source(content, packing, tmp_path)
    # A bit of a weight; all steps of the curve one place further; a bit of its first line, and of a factor.
    pattern, place = {
        "weights": (r"(lstm_stream\[\] = {\s+(?:0x\w+,\s+){9}0x)(\w+)", lambda old: f"{int(old, 16) ^ 1 << 18:08X}"),
        "curve_steps": (r"(\.curve_steps = )(\w+)", lambda old: f"{old} + 1"),
        "curve_lines": (r"(curve_lines\[\] = {\s+)(-?\d+)", lambda old: str(int(old) ^ 8)),
        "multiplier": (r"(\.input = {{)(\d+)", lambda old: str(int(old) ^ 1 << 29)),
    }[what]
    changed = re.sub(pattern, lambda m: m[1] + place(m[2]), text)
    assert changed != text
    assert np.array_equal(native(text, x, 16, tmp_path), expected(content, x))
    other = tmp_path / "changed"
    other.mkdir()
    assert not np.array_equal(native(changed, x, 16, other), expected(content, x))


def changed_graph(content: bytes, change: Callable[[Any, Any], None]) -> bytes:
    """The file with `change(graph, its LSTM)` applied to the schema's objects."""
    model = tflite.opened(content)
    change(model.subgraphs[0], model.subgraphs[0].operators[0])
    return tflite.packed(model)


def set_zero_point(graph: Any, op: Any) -> None:
    graph.tensors[int(op.inputs[0])].quantization.zeroPoint = [3]


def set_time_major(graph: Any, op: Any) -> None:
    op.builtinOptions.timeMajor = True


def couple_gates(graph: Any, op: Any) -> None:
    op.inputs = [-1 if i in (1, 5, 12) else int(t) for i, t in enumerate(op.inputs)]


def set_cell_scale(graph: Any, op: Any) -> None:
    graph.tensors[int(op.inputs[19])].quantization.scale = [2.0**-14]


def set_hidden_scale(graph: Any, op: Any) -> None:
    graph.tensors[int(op.intermediates[4])].quantization.scale = [1 / 100]


@pytest.mark.parametrize(("change", "words"), [
    (set_zero_point, "zero point"), (set_time_major, "time-major"), (couple_gates, "lacks its input 1|leaves out"),
    (set_cell_scale, "2\\^-13 to 2\\^-9"), (set_hidden_scale, "hidden state has several scales")])
def test_other_forms_are_refused(change: Callable[[Any, Any], None], words: str, tmp_path: Path) -> None:
    content = build("eda", random_weights(2, 4, 0), 0.1, 1 / 128, -12, 5)
    with pytest.raises(ModelError, match=words):
        source(changed_graph(content, change), "fast", tmp_path)


def test_sums_that_could_overflow_sizes_and_unknown_packings_are_refused(tmp_path: Path) -> None:
    large = LstmWeights(*(np.ones((4, 2, n)) for n in (1, 2)), np.full((4, 2), 900.0), [1e-6] * 4)
    with pytest.raises(ModelError, match="sums of the input gate"):
        source(build("eda", large, 1e-3, 1 / 128, -12, 5), "fast", tmp_path)
    with pytest.raises(ModelError, match="more than 512 inputs or hidden units"):
        source(build("eda", random_weights(1, 513, 0), 0.1, 1 / 128, -12, 5), "fast", tmp_path)
    with pytest.raises(ModelError, match="choose one of fast, small"):
        source(build("eda", random_weights(2, 4, 0), 0.1, 1 / 128, -12, 5), "medium", tmp_path)
