"""A damaged or hostile .tflite is refused with a reason, quickly and in little memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _nn import MODELS, Builder, schema
from _s0 import lstm_step, step_file
from _tflite_files import GOOD, SECONDS_MAX, add, changed, packed, refused, without_options
from _tflite_seeds import BRANCH_HIDDEN, branch, options
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nociband.errors import ModelError
from nociband_convert import tflite
from nociband_convert.graphs import lstm
from nociband_convert.operations import GraphWriter

BYTES_MAX = 300e6


def graph_of(model: Any) -> Any:
    return model.subgraphs[0]


def put(path: str, value: object) -> Callable[[Any], None]:
    """Sets a field named like "tensors.1.quantization.scale" of the first subgraph (or, from "/", of the model)."""
    def change(model: Any) -> None:
        target, names = (model, path[1:].split(".")) if path.startswith("/") else (graph_of(model), path.split("."))
        for name in names[:-1]:
            target = target[int(name)] if name.isdigit() else getattr(target, name)
        setattr(target, names[-1], value)
    return change


def another_output(model: Any) -> None:
    graph_of(model).operators.append(graph_of(model).operators[0])


def no_operations(model: Any) -> None:
    graph_of(model).operators = []


def sparse(model: Any) -> None:
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder = [0, 1]
    graph_of(model).tensors[1].sparsity = sparsity


def own_quantisation(model: Any) -> None:
    quantization = graph_of(model).tensors[0].quantization
    quantization.detailsType, quantization.details = schema.QuantizationDetails.CustomQuantization, schema.CustomQuantizationT()


ADD, DENSE, DEPTHWISE = "ADD int16x8", "FULLY_CONNECTED int8", "DEPTHWISE_CONV_2D int8"
LSTM, MEAN = "UNIDIRECTIONAL_SEQUENCE_LSTM int8", "MEAN int8"


@pytest.mark.parametrize(("seed", "change", "words"), [
    (ADD, put("tensors.0.quantization.scale", [0.0]), "damaged .a scale of x0 is not a positive number"),
    (ADD, put("tensors.0.quantization.scale", [float("nan")]), "damaged .a scale of x0 is not a positive"),
    (ADD, put("tensors.0.quantization.scale", [-1.0]), "damaged .a scale of x0 is not a positive"),
    (ADD, put("tensors.0.quantization.scale", None), "x0 has 0 scales and 1 zero points"),
    (ADD, put("tensors.0.quantization.zeroPoint", [0, 0]), "x0 has 1 scales and 2 zero points"),
    (ADD, put("tensors.0.quantization", None), "one scale belongs, not 0"),
    (ADD, own_quantisation, "x0 is quantised in a way of its own"),
    (ADD, put("tensors.0.name", b"\xff\xfe"), "damaged .UnicodeDecodeError"),
    (ADD, put("tensors.0.name", b"a\nb"), "not printable"),
    (ADD, put("tensors.0.name", b"n" * 5000), "not printable"),
    (ADD, put("tensors.0.name", b"y"), "two of its inputs and outputs have the same name"),
    (ADD, put("tensors.0.type", 99), "its activations are int16 and type 99"),
    (ADD, put("tensors.0.buffer", 5), "x0 lies in a buffer that is not there"),
    (ADD, put("tensors.0.shape", [1, -4]), "dynamic"),
    (ADD, put("tensors.0.isVariable", True), "x0 is a constant or a state"),
    (ADD, put("operators.0.opcodeIndex", 7), "no operation code 7"),
    (ADD, put("operators.0.inputs", [0, 9]), "a tensor beyond the 3"),
    (ADD, put("operators.0.inputs", [0, -2]), "a tensor beyond the 3"),
    (ADD, put("operators.0.inputs", [0, -1]), "ADD lacks its input 1"),
    (ADD, put("operators.0.inputs", [0]), "ADD lacks its input 1"),
    (ADD, put("operators.0.inputs", [0, 1, 0]), "ADD has 3 inputs"),
    (ADD, put("operators.0.inputs", None), "ADD has 0 inputs"),
    (ADD, put("operators.0.inputs", [0, 2]), "ADD takes y before it is there"),
    (ADD, put("operators.0.outputs", [0]), "ADD writes x0, which is there already"),
    (ADD, put("operators.0.outputs", [1, 2]), "ADD has 2 outputs"),
    (ADD, put("operators.0.outputs", [-1]), "a tensor beyond"),
    (ADD, put("operators.0.intermediates", [9]), "a tensor beyond"),
    (ADD, put("operators.0.builtinOptions", schema.MulOptionsT()), None),
    (ADD, put("operators.0.builtinOptionsType", schema.BuiltinOptions.MulOptions), "options of another operation .MulOptions"),
    (ADD, put("operators.0.builtinOptionsType", 200), "options of another operation .None"),
    (ADD, without_options, "ADD lacks its AddOptions"),
    (ADD, put("inputs", [0, 9]), "a tensor beyond"),
    (ADD, put("inputs", None), "ADD takes x0 before it is there"),
    (ADD, put("inputs", [0, 0, 1]), "same name"),
    (ADD, put("outputs", [1]), "same name"),
    (ADD, put("outputs", None), "an output that no operation makes"),
    (ADD, another_output, "ADD writes y, which is there already"),
    (ADD, no_operations, "no operations, so there is nothing to run"),
    (ADD, put("/version", 2), "the format's version 2; only 3"),
    (ADD, put("/subgraphs", []), "it holds no graph"),
    (ADD, put("/operatorCodes.0.builtinCode", 250), "the operation number 250 is not supported"),
    (DENSE, put("tensors.1.quantization.scale", [0.1, 0.1]), "2 scales"),
    (DENSE, put("tensors.1.quantization.quantizedDimension", 1), "scales along dimension 1, 3 of them; its shape is .3, 4."),
    (DENSE, put("tensors.1.quantization.quantizedDimension", -1), "scales along dimension -1"),
    (ADD, put("tensors.0.quantization.quantizedDimension", 2), "x0 has scales along dimension 2, 1 of them; its shape"),
    (ADD, put("tensors.0.quantization.zeroPoint", None), "x0 has 1 scales and 0 zero points"),
    (DENSE, put("tensors.1.quantization.zeroPoint", [0, 1, 0]), "where weights stored in int8 with zero points 0 belong"),
    (DENSE, put("tensors.1.quantization", None), "where weights stored in int8"),
    (DENSE, put("tensors.1.type", schema.TensorType.INT16), "t1 has 12 bytes for the shape .3, 4. in int16"),
    (DENSE, put("tensors.1.shape", [3, 5]), "t1 has 12 bytes for the shape .3, 5. in int8"),
    (DENSE, put("tensors.1.shape", [1 << 30, 1 << 30, 1 << 30]), "damaged"),
    (DENSE, put("tensors.1.isVariable", True), "both a state and a constant"),
    (DENSE, sparse, "stored sparse"),
    (DENSE, put("tensors.1.externalBuffer", 3), "outside the tables"),
    (DENSE, put("/buffers.1.size", 100), "outside the tables"),
    (DENSE, put("/buffers.1.data", None), "takes t1 before it is there"),
    (DENSE, put("tensors.2.type", schema.TensorType.UINT32), "the constant t2 is uint32"),
    (DENSE, put("tensors.2.quantization.zeroPoint", [0, 0, 4]), "a bias stored in int32 with zero point 0"),
    (DENSE, put("tensors.2.quantization.scale", [1e-2, 1e-2, 1e-2]), "t2, the bias of FULLY_CONNECTED, is not in steps of input"),
    (DENSE, put("operators.0.inputs", [0, 2, 1]), "takes t2 .int32. where weights stored in int8"),
    (DENSE, put("inputs", [0, 1]), "the input t1 is a constant or a state"),
    (DENSE, put("operators.0.outputs", [1]), "writes t1, which is there already"),
    ("FULLY_CONNECTED int16x8", put("operators.0.inputs", [1, 1, 2]), "t1 .int8. where an activation of the scheme int16x8"),
    (DEPTHWISE, put("tensors.1.quantization.quantizedDimension", 2), "scales along dimension 2"),
    (DEPTHWISE, put("tensors.1.shape", [2, 1, 3, 1]), "scales along dimension 3"),
    (MEAN, put("operators.0.inputs", [0, 0]), "MEAN takes x0 .int8. where stored int32 numbers belong"),
    (LSTM, put("tensors.13.isVariable", False), "takes h before it is there"),
    (LSTM, put("tensors.13.type", schema.TensorType.INT32), "takes h .int32. where a state in int8 or int16 belongs"),
    (LSTM, put("tensors.13.shape", [1 << 12, 1 << 12]), "where a state in int8 or int16 belongs"),
    (LSTM, put("tensors.13.quantization", None), "where one scale belongs, not 0"),
    (LSTM, put("tensors.20.isVariable", True), "writes hs, which is there already"),
])
def test_files_that_contradict_themselves(tmp_path: Path, seed: str, change: Callable[[Any], None], words: str | None) -> None:
    content = changed(GOOD[seed], change)
    if words is None:  # the same bytes mean the same in both, so that only the type can tell
        (tmp_path / "model.tflite").write_bytes(content)
        assert tflite.read(tmp_path / "model.tflite").ops[0].options.fusedActivationFunction == 0
    else:
        refused(tmp_path / "model.tflite", content, words)


@pytest.mark.parametrize(("kind", "axis"), [("CONV_2D int8", 3), (DEPTHWISE, 0)])
def test_scales_along_a_dimension_that_no_kernel_has(tmp_path: Path, kind: str, axis: int) -> None:
    def change(model: Any) -> None:
        weights = graph_of(model).tensors[1]
        count = 2
        weights.shape = [2, 1, 3, 1] if axis == 0 else [3, 1, 3, 2]
        weights.quantization.scale, weights.quantization.zeroPoint = [0.1] * count, [0] * count
        weights.quantization.quantizedDimension = axis
    refused(tmp_path / "model.tflite", changed(GOOD[kind], change), "weights with scales for each")


def test_an_lstm_with_more_than_the_plain_parts(tmp_path: Path) -> None:
    def peephole(model: Any) -> None:
        inputs = list(graph_of(model).operators[0].inputs)
        inputs[9] = inputs[1]
        graph_of(model).operators[0].inputs = inputs

    def by_channel(model: Any) -> None:
        quantization = graph_of(model).tensors[1].quantization
        quantization.scale, quantization.zeroPoint = [0.1] * BRANCH_HIDDEN, [0] * BRANCH_HIDDEN
    refused(tmp_path / "model.tflite", changed(branch(), peephole), "nothing may stand: peepholes.*train a plain LSTM")
    refused(tmp_path / "model.tflite", changed(branch(), by_channel), "weights with one scale belong")


@pytest.mark.parametrize(("content", "words"), [
    (b"", "not a .tflite"),
    (b"TFL3", "not a .tflite"),
    (b"\0" * 400, "not a .tflite"),
    (add().replace(b"TFL3", b"TFL2"), "its identifier is b'TFL2', not b'TFL3'"),
    (b"\x1c\0\0\0TFL3", "damaged"),
    (b"\x1c\0\0\0TFL3" + b"\xff" * 200, "damaged"),
    (b"\x1c\0\0\0TFL3" + b"\0" * 200, "format's version 0"),
])
def test_files_that_are_none(tmp_path: Path, content: bytes, words: str) -> None:
    refused(tmp_path / "model.tflite", content, words)


@pytest.mark.parametrize("name", [ADD, LSTM, "synthetic_pain5/eda"])
def test_a_file_cut_short_anywhere(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.tflite"
    for length in range(0, len(GOOD[name]), 1 if len(GOOD[name]) < 1000 else 37):
        path.write_bytes(GOOD[name][:length])
        try:
            tflite.read(path)
        except ModelError as e:
            assert "damaged" in str(e) or "not a .tflite" in str(e) or "positive" in str(e), str(e)
        else:  # only what nothing refers to may be missing: the padding at the end
            assert len(GOOD[name]) - length < 8


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read .*none.tflite: No such file"):
        tflite.read(tmp_path / "none.tflite")
    with pytest.raises(ModelError, match="is a folder; name a .tflite file"):
        tflite.read(tmp_path)


def test_a_file_beyond_any_band(tmp_path: Path) -> None:
    refused(tmp_path / "model.tflite", add() + bytes(tflite.FILE_BYTES_MAX), "more than 4 MiB")
    with pytest.raises(ModelError, match="more than 4 MiB"):
        tflite.read(Path("/dev/zero"))


# --- small files that would take hours ------------------------------------------------------------------------------------


def bomb(part: str, sharing: int, length: int) -> bytes:
    """One tensor or operation of `length` numbers that the file's list names `sharing` times over."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(add(), 0))
    graph = graph_of(model)
    if part == "operators":
        graph.operators[0].inputs = np.zeros(length, np.int32)
    elif part == "names":
        graph.tensors[0].name = "n" * length
    else:
        graph.tensors[0].quantization.scale, graph.tensors[0].quantization.zeroPoint = np.ones(length, np.float32), [0] * length
        graph.tensors[0].quantization.quantizedDimension, graph.tensors[0].shape = 0, [length]
    shared = getattr(graph, "operators" if part == "operators" else "tensors")[:1] * sharing
    setattr(graph, "operators" if part == "operators" else "tensors", shared)
    return packed_sharing(model)


def packed_sharing(model: Any) -> bytes:
    """Like `packed`, but an object that stands in the tree several times is written once."""
    places: dict[int, int] = {}

    def once(item: Any) -> None:
        write = item.Pack

        def pack(builder: Any) -> int:
            if id(item) not in places:
                places[id(item)] = write(builder)
            return places[id(item)]
        item.Pack = pack
    for item in {id(i): i for i in (*graph_of(model).tensors, *graph_of(model).operators)}.values():
        once(item)
    return packed(model)


@pytest.mark.parametrize("part", ["operators", "names", "scales"])
def test_shared_tables_do_not_multiply(tmp_path: Path, part: str) -> None:
    content = bomb(part, 2000, 4000 if part == "names" else 100_000)
    assert len(content) < 2e6
    tracemalloc.start()
    try:
        refused(tmp_path / "model.tflite", content, "its tables overlap")
        assert tracemalloc.get_traced_memory()[1] < BYTES_MAX
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("count", "words"), [(2049, "2049 operations, and at most 2048"), (2048, "")])
def test_more_operations_than_a_band_can_have(tmp_path: Path, count: int, words: str) -> None:
    model = Builder()
    tensors = [model.tensor((1, 4), "int16", [1e-3], name="x")] + [model.tensor((1, 4), "int16", [1e-3]) for _ in range(count)]
    for x, y in zip(tensors, tensors[1:], strict=False):
        model.op("RELU", [x], [y])
    path, content = tmp_path / "model.tflite", model.finish(tensors[:1], tensors[-1:])
    if words:
        refused(path, content, words)
    else:
        path.write_bytes(content)
        begin = time.process_time()
        assert len(tflite.read(path).ops) == count
        assert time.process_time() - begin < SECONDS_MAX


def test_constants_that_many_operations_share(tmp_path: Path) -> None:
    """A megabyte of weights in each of six layers is six megabytes of C."""
    model, n = Builder(), 1024
    tensors = [model.tensor((1, n), "int8", [0.1], name="x")] + [model.tensor((1, n), "int8", [0.1]) for _ in range(6)]
    weights = model.constant(np.ones((n, n), np.int8), [0.1])
    for x, y in zip(tensors, tensors[1:], strict=False):
        model.op("FULLY_CONNECTED", [x, weights], [y], options("FullyConnected"))
    refused(tmp_path / "model.tflite", model.finish(tensors[:1], tensors[-1:]), "6 MiB of constants")


# --- found by fuzzing -----------------------------------------------------------------------------------------------------


def test_a_step_whose_sizes_do_not_belong_together(tmp_path: Path) -> None:
    """x as long as two million where the weights have two columns for it: the unrolled assembly took memory and time for all."""
    path = tmp_path / "step.tflite"
    step_file(path, lstm_step(2, 4, seed=1))
    lstm.find(tflite.read(path))
    path.write_bytes(changed(path.read_bytes(), put("tensors.0.shape", [1 << 20, 2])))
    graph = tflite.read(path)
    assert graph.tensors[graph.inputs["x"]].size == 1 << 21
    with pytest.raises(ModelError, match="its sizes do not belong together .x has 2097152 elements, h 4"):
        lstm.find(graph)


def test_a_step_too_wide_to_unroll(tmp_path: Path) -> None:
    width = lstm.WIDTH_MAX - 4
    assert lstm.find(step_file(tmp_path / "step.tflite", lstm_step(width, 4, seed=1))).inputs == width
    with pytest.raises(ModelError, match="1026 elements together, at most 1024 are possible; make the LSTM smaller"):
        step_file(tmp_path / "step.tflite", lstm_step(width + 2, 4, seed=1))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 8000), length=st.integers(1, 400), seed=st.integers(0, 2**32 - 1), cut=st.booleans())
def test_damage_anywhere_is_an_error_or_harmless(tmp_path: Path, at: int, length: int, seed: int, cut: bool) -> None:
    content = bytearray((MODELS[0] / "eda.tflite").read_bytes())
    at %= len(content)
    if cut:
        content = content[:at]
    else:
        noise = np.random.default_rng(seed).integers(0, 256, length, dtype=np.uint8).tobytes()
        content[at:at + length] = noise[:max(0, len(content) - at)]
    path = tmp_path / "eda.tflite"
    path.write_bytes(bytes(content))
    try:
        GraphWriter("eda_step", tflite.read(path), ("x", "h", "c", "h_next", "c_next"))
    except ModelError:
        pass
