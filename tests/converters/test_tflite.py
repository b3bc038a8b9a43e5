"""Reading a .tflite: good files of each operation in both schemes, and what the band cannot run, refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _nn import Builder, LiteRt, one_op, schema
from _tflite_files import GOOD, PLAIN, add, changed, packed, refused, without_options
from _tflite_seeds import BRANCH_HIDDEN, BRANCH_INPUTS, BRANCH_STEPS, branch, options, singles

from nociband.errors import ModelError
from nociband_convert import tflite
from nociband_convert.operations import GraphWriter, writer
from nociband_convert.tflite.rules import FORMS

# --- good files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_good_files_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "good.tflite"
    path.write_bytes(GOOD[name])
    graph = tflite.read(path)
    kind, _, scheme = name.partition(" ")
    assert graph.scheme == (scheme or "int16x8")
    assert kind in [op.kind for op in graph.ops] or kind == "chain" or not scheme
    for op in graph.ops:
        assert type(op.options).__name__ == (FORMS[op.kind].options + "T" if FORMS[op.kind].options else "NoneType")


def test_every_supported_operation_has_a_good_file_and_is_written() -> None:
    """The generator writes what the reader lets through; an LSTM over a window has a generator of its own (lstm_int8)."""
    assert {name.split()[0] for name in singles()} == set(tflite.SUPPORTED)
    assert set(tflite.SUPPORTED) == {*writer._WRITERS, "UNIDIRECTIONAL_SEQUENCE_LSTM"}


@pytest.mark.parametrize("name", sorted(singles()))
def test_litert_takes_the_good_files_too(name: str) -> None:
    LiteRt(GOOD[name])


def test_what_is_read_of_an_lstm(tmp_path: Path) -> None:
    path = tmp_path / "lstm.tflite"
    path.write_bytes(branch())
    graph = tflite.read(path)
    [op] = graph.ops
    assert graph.scheme == "int8" and [graph.tensors[t].name for t in graph.activations] == ["x", "hs"]
    assert graph.tensors[graph.inputs["x"]].shape == (1, BRANCH_STEPS, BRANCH_INPUTS)
    h, c = (graph.tensors[t] for t in op.inputs[18:20])
    assert (h.variable, h.dtype, h.shape) == (True, "int8", (1, BRANCH_HIDDEN)) and not graph.tensors[op.inputs[0]].variable
    assert (c.variable, c.dtype, c.scale) == (True, "int16", 2.0**-12)
    assert len(op.intermediates) == 5 and graph.tensors[op.intermediates[4]].scale == h.scale
    weights = graph.tensors[op.inputs[1]]
    assert weights.data is not None and weights.data.shape == (BRANCH_HIDDEN, BRANCH_INPUTS) and weights.data.dtype == np.int8


def test_what_is_read_of_a_layer(tmp_path: Path) -> None:
    path = tmp_path / "layer.tflite"
    path.write_bytes(singles()["DEPTHWISE_CONV_2D int8"])
    graph = tflite.read(path)
    weights, bias = (graph.tensors[t] for t in graph.ops[0].inputs[1:])
    assert weights.scales == (2.0**-9, 2.0**-9 * 1.125) and weights.zero_points == (0, 0) and weights.axis == 3
    assert weights.data is not None and bias.data is not None
    assert np.array_equal(weights.data, np.random.default_rng(3).integers(-127, 128, (1, 1, 3, 2)))
    assert bias.data.dtype == np.int32 and graph.ops[0].options.depthMultiplier == 1


def test_a_bias_may_do_without_scales(tmp_path: Path) -> None:
    def bare(model: Any) -> None:
        model.subgraphs[0].tensors[2].quantization = None

    path = tmp_path / "layer.tflite"
    path.write_bytes(changed(GOOD["FULLY_CONNECTED int16x8"], bare))
    graph = tflite.read(path)
    assert graph.tensors[graph.ops[0].inputs[2]].scales == ()


@pytest.mark.parametrize("zero_point", [-128, -11, 0, 127])
def test_int8_activations_have_any_zero_point(tmp_path: Path, zero_point: int) -> None:
    path = tmp_path / "add.tflite"
    path.write_bytes(one_op("ADD", [((1, 4), 0.1, zero_point)] * 2, ((1, 4), 0.1, -5), options=options("Add"), dtype="int8"))
    graph = tflite.read(path)
    assert graph.tensors[graph.inputs["x1"]].zero_points == (zero_point,)
    assert graph.tensors[graph.outputs["y"]].zero_points == (-5,)


def test_options_left_out_where_nothing_is_in_them_are_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "reshape.tflite"
    path.write_bytes(changed(singles()["SQUEEZE int8"], without_options))
    assert tflite.read(path).ops[0].options.squeezeDims is None


# --- what the band cannot run ---------------------------------------------------------------------------------------------


def custom(name: bytes) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        code = model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = name
        without_options(model)
    return change


def loop(kind: str) -> bytes:
    """A WHILE or IF with two subgraphs of its own, as TensorFlow writes them."""
    chosen = options("While", condSubgraphIndex=1, bodySubgraphIndex=2) if kind == "WHILE" else options(
        "If", thenSubgraphIndex=1, elseSubgraphIndex=2)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(one_op(kind, PLAIN[:1], ((1, 4), 1e-4), options=chosen), 0))
    inner = schema.ModelT.InitFromObj(schema.Model.GetRootAs(add(), 0))
    model.operatorCodes += inner.operatorCodes
    inner.subgraphs[0].operators[0].opcodeIndex = 1
    model.subgraphs += inner.subgraphs * 2
    return packed(model)


def float_inside() -> bytes:
    """int16 -> DEQUANTIZE -> float EXP -> QUANTIZE -> int16: what a converter makes where an operation has no integer form."""
    model = Builder()
    x, y = (model.tensor((1, 4), "int16", [1e-4], name=n) for n in ("x", "y"))
    inside, after = model.tensor((1, 4), "float32"), model.tensor((1, 4), "float32")
    model.op("DEQUANTIZE", [x], [inside], options("Dequantize"))
    model.op("EXP", [inside], [after], options("Exp"))
    model.op("QUANTIZE", [after], [y], options("Quantize"))
    return model.finish([x], [y])


def layer_of(activation: str, stored: np.ndarray, scales: list[float]) -> bytes:
    """A dense layer as float and dynamic-range models have it."""
    model = Builder()
    x = model.tensor((1, 4), activation, name="x")
    w = model.constant(stored, scales)
    y = model.tensor((1, 2), activation, name="y")
    model.op("FULLY_CONNECTED", [x, w, -1], [y], options("FullyConnected"))
    return model.finish([x], [y])


def mixed() -> bytes:
    model = Builder()
    x, y = model.tensor((1, 4), "int16", [1e-3], name="x"), model.tensor((1, 4), "int8", [1e-2], name="y")
    model.op("QUANTIZE", [x], [y], options("Quantize"))
    return model.finish([x], [y])


def dynamic(model: Any) -> None:
    model.subgraphs[0].tensors[0].shapeSignature = [-1, 4]


def twice(model: Any) -> None:
    model.subgraphs.append(model.subgraphs[0])


@pytest.mark.parametrize(("content", "words"), [
    (changed(add(), custom(b"FlexSplit")), "FlexSplit needs TensorFlow.*write the model without it"),
    (changed(add(), custom(b"Mine")), "CUSTOM Mine is not supported; supported are ADD"),
    (loop("WHILE"), "WHILE cannot run on the band; export one time step"),
    (loop("IF"), "IF cannot run on the band; export one time step"),
    (float_inside(), "is not fully quantised: DEQUANTIZE, so float inside; quantise all"),
    (layer_of("float32", np.ones((2, 4), np.float32), []), "not fully quantised: the constant t1 is float32"),
    (layer_of("float32", np.ones((2, 4), np.int8), [0.1]), "not fully quantised: x is float32, so float inside"),
    (mixed(), "int16 and int8; quantise all of them"),
    (one_op("COS", PLAIN[:1], ((1, 4), 1e-4)), "COS is not supported; supported are ADD"),
    (one_op("ADD", PLAIN, ((1, 4), 1e-4), options=options("Add"), dtype="uint8"), "activations are uint8; quantise"),
    (changed(add(), dynamic), r"shape of x0 is dynamic \(\[1, 4, -1, 4\]\); export it with fixed sizes"),
    (changed(add(), twice), "2 subgraphs"),
    (one_op("ADD", [((1, 4), 1e-4, 3)] * 2, ((1, 4), 1e-4), options=options("Add")), "a zero point of 0 to 0 belongs, not 3"),
    (one_op("ADD", [((1, 4), 1e-4, 200)] * 2, ((1, 4), 1e-4), options=options("Add"), dtype="int8"), "zero point of -128 to 127"),
    (one_op("ADD", [((1, 4), 1e-13)] * 2, ((1, 4), 1e-4), options=options("Add")), "1e-12 to .* are possible, not 1e-13"),
    (one_op("RELU", [((3000, 3000), 1e-4)], ((3000, 3000), 1e-4)), "18000000 elements; .* make the model smaller"),
    (one_op("RELU", [((1,) * 7, 1e-4)], ((1,), 1e-4)), "7 dimensions"),
])
def test_refusals(tmp_path: Path, content: bytes, words: str) -> None:
    refused(tmp_path / "model.tflite", content, words)


def test_a_form_that_the_kernels_lack(tmp_path: Path) -> None:
    path = tmp_path / "add.tflite"
    old = options("Add", potScaleInt16=True)
    path.write_bytes(one_op("ADD", [((1, 4), 2.0**-12)] * 2, ((1, 4), 2.0**-12), options=old))
    with pytest.raises(ModelError, match="powers of two only"):
        GraphWriter("f", tflite.read(path), ("x0", "x1", "y"))


def test_other_inputs_than_expected(tmp_path: Path) -> None:
    path = tmp_path / "add.tflite"
    path.write_bytes(add())
    with pytest.raises(ModelError, match="inputs and outputs"):
        GraphWriter("f", tflite.read(path), ("x", "y"))
