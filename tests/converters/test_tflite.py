"""Reading a .tflite: what the band cannot run is refused by name; so is a damaged file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import flatbuffers
import numpy as np
import pytest
from _nn import MODELS, one_op, schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nociband.errors import ModelError
from nociband.inference import GRAPHS
from nociband_convert import tflite
from nociband_convert.arena import plan
from nociband_convert.operations import GraphWriter

PLAIN = [((1, 4), 1e-4), ((1, 4), 1e-4)]


def changed(content: bytes, change) -> bytes:
    """`content` after `change(model)`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    change(model)
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def add(**options: object) -> bytes:
    chosen = schema.AddOptionsT()
    chosen.potScaleInt16 = False
    for name, value in options.items():
        setattr(chosen, name, value)
    return one_op("ADD", PLAIN, ((1, 4), 1e-4), options=chosen)


def refused(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        tflite.read(path)


def custom(name: bytes):
    def change(model) -> None:
        model.operatorCodes[0].builtinCode = schema.BuiltinOperator.CUSTOM
        model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        model.operatorCodes[0].customCode = name
        model.subgraphs[0].operators[0].builtinOptions = None
        model.subgraphs[0].operators[0].builtinOptionsType = 0
    return change


def dynamic(model) -> None:
    model.subgraphs[0].tensors[0].shapeSignature = [-1, 4]


def float_activation(model) -> None:
    tensor = model.subgraphs[0].tensors[0]
    tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None


def shifted(model) -> None:
    model.subgraphs[0].tensors[0].quantization.zeroPoint = [3]


def twice(model) -> None:
    model.subgraphs.append(model.subgraphs[0])


@pytest.mark.parametrize(("content", "words"), [
    (changed(add(), custom(b"FlexSplit")), "FlexSplit needs TensorFlow"),
    (changed(add(), custom(b"Mine")), "CUSTOM Mine is not supported"),
    (one_op("WHILE", PLAIN, ((1, 4), 1e-4)), "WHILE cannot run on the band"),
    (one_op("COS", PLAIN[:1], ((1, 4), 1e-4)), "COS is not supported; supported are ADD"),
    (changed(add(), dynamic), "shape of x0 is dynamic"),
    (changed(add(), float_activation), "x0 is float32"),
    (changed(add(), shifted), "zero point"),
    (changed(add(), twice), "2 subgraphs"),
    (b"", "not a .tflite"),
    (b"\0" * 400, "not a .tflite"),
    (b"\x1c\0\0\0TFL3" + b"\xff" * 200, "damaged"),
])
def test_refusals(tmp_path: Path, content: bytes, words: str) -> None:
    refused(tmp_path / "model.tflite", content, words)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        tflite.read(tmp_path / "none.tflite")


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


@pytest.mark.parametrize(("options", "words"), [
    ({"fusedActivationFunction": 1}, "fused activation"), ({"potScaleInt16": True}, "powers of two only"),
])
def test_forms_that_the_kernels_lack(tmp_path: Path, options: dict[str, object], words: str) -> None:
    path = tmp_path / "add.tflite"
    path.write_bytes(add(**options))
    with pytest.raises(ModelError, match=words):
        GraphWriter("f", tflite.read(path), ("x0", "x1", "y"))


def test_other_inputs_than_expected(tmp_path: Path) -> None:
    path = tmp_path / "add.tflite"
    path.write_bytes(add())
    with pytest.raises(ModelError, match="inputs and outputs"):
        GraphWriter("f", tflite.read(path), ("x", "y"))


@pytest.mark.parametrize("folder", MODELS, ids=lambda p: p.name)
@pytest.mark.parametrize("name", GRAPHS)
def test_buffers_that_live_together_do_not_overlap(folder: Path, name: str) -> None:
    graph = tflite.read(folder / f"{name}.tflite")
    arena = plan(graph)
    spans = {t: SimpleNamespace(begin=o, end=o + graph.tensors[t].size, uses=[]) for t, o in arena.offsets.items()}
    for at, op in enumerate(graph.ops):
        for t in (*op.inputs, *op.outputs):
            if t >= 0 and arena.alias[t] in spans:
                spans[arena.alias[t]].uses.append(at)
    everything = list(spans.values())
    for i, a in enumerate(everything):
        assert a.end <= arena.size
        for b in everything[i + 1:]:
            together = min(a.uses) <= max(b.uses) and min(b.uses) <= max(a.uses)
            assert not together or a.end <= b.begin or b.end <= a.begin
