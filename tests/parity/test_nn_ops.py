"""What the converter writes of each operation gives, bit for bit, what LiteRT's reference kernel of it gives: on random shapes,
scales, zero points, options and values, in both schemes. Matrix products and the LSTM have files of their own.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import test_nn_matrix
from _clib import FIRMWARE_LIB
from _m4 import needs_emulator
from _nn import Builder, litert, one_op, schema
from _nn_cases import Case, assert_emulated, assert_native
from _nn_strategies import STRATEGIES, OneOp, chain
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nociband.errors import ModelError
from nociband_convert import tflite
from nociband_convert.arithmetic import quantise, softmax
from nociband_convert.operations import GraphWriter

FEW_OR_MANY = pytest.mark.parametrize("count", [25, pytest.param(100, marks=pytest.mark.slow)])


def drawn(strategy: st.SearchStrategy[Case], count: int, examples: int = 2) -> list[Case]:
    """The simplest case, then `count` random ones for every further example: always the same."""
    cases: list[Case] = []

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(st.lists(strategy, min_size=count, max_size=count))
    def collect(some: list[Case]) -> None:
        cases.extend(some)

    collect()
    assert len(cases) == examples * count
    return cases[count - 1:]


@pytest.mark.parametrize("kind", STRATEGIES)
@FEW_OR_MANY
def test_random_graphs(count: int, kind: str, tmp_path: Path) -> None:
    assert_native(drawn(STRATEGIES[kind], count), tmp_path)


@needs_emulator
@pytest.mark.parametrize(("count", "flags"), [(2, ("-O2",)), *(pytest.param(6, flags, marks=pytest.mark.slow) for flags in (
    ("-O2",), ("-Os",), ("-O2", "-DNB_NN_PORTABLE")))])
def test_random_graphs_on_an_emulated_cortex_m4(tmp_path: Path, count: int, flags: tuple[str, ...]) -> None:
    """A few graphs of every operation, with the DSP extension's instructions and without."""
    assert_emulated([case for strategy in STRATEGIES.values() for case in drawn(strategy, count)], tmp_path, flags)


@FEW_OR_MANY
def test_random_chains_of_operations(count: int, tmp_path: Path) -> None:
    """Operations one after another: memory is shared, and no value is overwritten while it is needed."""
    assert_native(drawn(chain(), count), tmp_path)


def test_every_operation_that_the_reader_takes_is_compared() -> None:
    lstm = (Path(__file__).parent / "test_nn_lstm_int8.py").read_text()
    elsewhere = {"UNIDIRECTIONAL_SEQUENCE_LSTM"} if "from nociband_convert.graphs.lstm_graph import" in lstm else set()
    assert {*STRATEGIES, *test_nn_matrix.KINDS, *elsewhere} == set(tflite.SUPPORTED)


# --- values that random ones may miss -------------------------------------------------------------------------------------


EVERY_SCALE = [2.0**-15, 2.0**-13, 2.0**-12, 2.0**-11, 2.0**-10, 8 / 32767, 11.3 / 32767, 3e-5, 1e-3, 2.0**-12 * 1.0004]


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
def test_curves_on_every_input(kind: str, tmp_path: Path) -> None:
    x = np.arange(-32768, 32768).astype(np.int16)
    cases = [OneOp(kind, "int16").activation(0, x.shape, scale).case(x.shape, 2.0**-15, version=3) for scale in EVERY_SCALE]
    assert_native([Case(c.what, c.content, (x[None],)) for c in cases], tmp_path)


def test_the_sigmoid_table_is_the_one_in_litert() -> None:
    step = float(np.nextafter(np.float32(2 / 12288), np.float32(1)))
    x = (np.arange(256) * 128).astype(np.int16)
    read = litert(one_op("TANH", [((1, 256), step)], ((1, 256), 2.0**-15), version=3), [x[None]])[0].astype(int) + 32768
    text = (FIRMWARE_LIB / "nb_nn/src/nb_nn_table.h").read_text()
    table = re.search(r"\{([^}]*)\}", text)
    assert table and [int(v) for v in table[1].split(",") if v.strip()] == read.tolist()


@pytest.mark.parametrize("scale", [10 / 65535, 2e-4, 1e-3])
def test_softmax_of_every_difference(scale: float, tmp_path: Path) -> None:
    """Pairs (v, most): all that e^v can be; and sums from one to a hundred times it."""
    x = np.stack([np.arange(-32768, 32768, 7), np.full(9363, 32767)], 1).astype(np.int16)
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    many = np.tile(np.arange(-40, 60).astype(np.int16) * 50, (64, 1))
    many[np.arange(64)[:, None] < np.arange(100)] = -32768
    for v in (x, many):
        case = OneOp("SOFTMAX", "int16").activation(0, v.shape, scale).case(v.shape, 2.0**-15, 0, options, 3)
        assert_native([Case(case.what, case.content, (v[None],))], tmp_path)


def test_softmax_tables_span_their_functions() -> None:
    exponential, reciprocal = softmax.int16_exponential(), softmax.int16_reciprocal()
    assert len(exponential) == len(reciprocal) == 513
    assert np.allclose(exponential, np.exp(np.linspace(-10, 0, 513)) * 32768, atol=6)
    assert np.allclose(reciprocal, 32768 / (1 + np.linspace(0, 1, 513)), atol=2)


# --- what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [
    lambda: quantise.quantise_multiplier(0.0),
    lambda: quantise.quantise_multiplier(float("inf")),
    lambda: quantise.mul(2.0**-15, 2.0**-15, 2.0**-31),
    lambda: quantise.mul(1.0, 1.0, 2.0**-15, 255**2),
    lambda: quantise.mul(1.0, 1.0, 2.0**32, 255**2),
    lambda: quantise.requantise(1.0, 2.0**-20),
    lambda: quantise.relu(1.0, 2.0**-20),
    lambda: quantise.add(1.0, 1.0, 2.0**-15),
    lambda: quantise.add(1.0, 2.0**-31, 1.0),
    lambda: quantise.table_input(10.0),
    lambda: quantise.table_input(2.0**-11 * 1.0004),
    lambda: quantise.channel(1e-4, 1e-3, 1e-4, 2**31),
    lambda: quantise.channel(1e4, 1e3, 1e-4, 1000),
    lambda: quantise.mean(1.0, 2.0**-18, 138),
    lambda: softmax.int16_scale(100.0, 1.0),
    lambda: softmax.int8_exponential(2.0**-27, 1.0),
])
def test_what_could_overflow_is_refused(make) -> None:
    with pytest.raises(ModelError):
        make()


def _old_add() -> Case:
    options = schema.AddOptionsT()
    options.potScaleInt16 = True
    return OneOp("ADD", "int16").activation(0, (4,), 2.0**-12).activation(1, (4,), 2.0**-12).case((4,), 2.0**-12, 0, options, 3)


def _joined(scales: tuple[float, float]) -> Case:
    options = schema.ConcatenationOptionsT()
    op = OneOp("CONCATENATION", "int8").activation(0, (2,), scales[0]).activation(1, (2,), scales[1])
    return op.case((4,), scales[0], 0, options, 2)


def _reduced(kind: str, axes: list[int], y: tuple[int, ...], scale: float = 1e-3) -> Case:
    return OneOp(kind, "int16").activation(0, (2, 3, 4, 5, 6), 1e-3).numbers(axes).case(y, scale, 0, schema.ReducerOptionsT(), 2)


def _softmax(step: float) -> Case:
    return OneOp("SOFTMAX", "int16").activation(0, (4,), 1e-3).case((4,), step, 0, schema.SoftmaxOptionsT(), 3)


def _strided(**options: int) -> Case:
    chosen = schema.StridedSliceOptionsT()
    for name, value in options.items():
        setattr(chosen, name, value)
    op = OneOp("STRIDED_SLICE", "int8").activation(0, (4,), 0.1)
    return op.numbers([0]).numbers([4]).numbers([1]).case((4,), 0.1, 0, chosen, 2)


def _fused(function: int) -> Case:
    options = schema.MulOptionsT()
    options.fusedActivationFunction = function
    return OneOp("MUL", "int8").activation(0, (4,), 0.1).activation(1, (4,), 0.1).case((4,), 0.1, 0, options, 2)


@pytest.mark.parametrize(("case", "words"), [
    (_old_add(), "pot_scale_int16"),
    (_joined((0.1, 0.2)), "CONCATENATION has tensors of different scales"),
    (_reduced("REDUCE_MAX", [1], (2, 4, 5, 6), 2e-3), "REDUCE_MAX has tensors of different scales"),
    (_reduced("MEAN", [0, 2, 4], (3, 5)), "too many apart"),
    (_reduced("MEAN", [1], (2, 3, 5, 6)), "an output of"),
    (_reduced("MEAN", [7], (2, 4, 5, 6)), "reduces the dimensions"),
    (_softmax(1e-3), "SOFTMAX has an output step"),
    (_strided(newAxisMask=1), "a new dimension"),
    (_strided(ellipsisMask=1), "an ellipsis"),
    (_fused(4), "fused activation"),
    (OneOp("LOGISTIC", "int16").activation(0, (4,), 1e-3).case((4,), 1e-3, version=3), "LOGISTIC has an output step"),
    (OneOp("LOGISTIC", "int8").activation(0, (4,), 1e-2).case((4,), 1e-2, version=2), "LOGISTIC .* refused by LiteRT"),
    (OneOp("RELU_N1_TO_1", "int16").activation(0, (4,), 1e-3).case((4,), 1e-3, version=1), "LiteRT does not have"),
    (OneOp("SLICE", "int8").activation(0, (4,), 0.1).numbers([2]).numbers([3]).case((3,), 0.1, version=2), "outside"),
    (OneOp("PAD", "int8").activation(0, (4,), 0.1).numbers([[1, 1]]).case((5,), 0.1, version=2), "PAD makes"),
    (OneOp("RESHAPE", "int8").activation(0, (4,), 0.1).numbers([5]).case((5,), 0.1, version=1), "not of 4 elements"),
])
def test_refusals_name_the_operation_and_the_form(tmp_path: Path, case: Case, words: str) -> None:
    (tmp_path / "model.tflite").write_bytes(case.content)
    graph = tflite.read(tmp_path / "model.tflite")
    with pytest.raises(ModelError, match=words):
        GraphWriter("model", graph, [*graph.inputs, *graph.outputs])


@pytest.mark.parametrize(("x", "y"), [("int16", "int8"), ("int8", "int16")])
def test_a_change_of_width_is_refused(tmp_path: Path, x: str, y: str) -> None:
    """One scheme a file: LiteRT has no way back from int8 to int16 either."""
    model = Builder()
    ends = [model.tensor((4,), dtype, [1e-3], name=dtype) for dtype in (x, y)]
    model.op("QUANTIZE", ends[:1], ends[1:], schema.QuantizeOptionsT(), 3)
    (tmp_path / "model.tflite").write_bytes(model.finish(ends[:1], ends[1:]))
    with pytest.raises(ModelError, match="activations are int16 and int8"):
        tflite.read(tmp_path / "model.tflite")


# --- the comparison can fail ----------------------------------------------------------------------------------------------


def test_a_slightly_different_multiplier_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A multiplier off by 2^-15 of its value shows."""
    def off(x: float, y: float, largest: int) -> quantise.Scale:
        scale = quantise.quantise_multiplier(x / y)
        return quantise.Scale(scale.multiplier + (1 << 16), scale.shift)

    case = OneOp("QUANTIZE", "int16").activation(5, (512,), 8 / 32767).case((512,), 2.07e-4, 0, schema.QuantizeOptionsT(), 3)
    assert_native([case], tmp_path)
    monkeypatch.setattr(quantise, "requantise", off)
    with pytest.raises(AssertionError, match="QUANTIZE int16 .* differ"):
        assert_native([case], tmp_path)
