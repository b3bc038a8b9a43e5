"""The fixed networks of firmware/bench: what shapes.toml says of them is right, and the files are these networks."""

from __future__ import annotations

import hashlib
import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from nociband.errors import ModelError
from nociband.models import s0
from nociband_convert import shapes, tflite
from nociband_convert.graphs import lstm_graph
from nociband_convert.graphs.pooling import pooled
from nociband_convert.tflite import Graph

SHAPES = shapes.shapes()
FOLDERS = [(name, scheme) for name in SHAPES for scheme in ("int16x8", "int8")]


def computed(layer: dict[str, Any]) -> int:
    """Multiply-accumulates from a layer's shapes: every weight once for each frame of the output."""
    frames = layer["output"][0] if len(layer["output"]) == 2 else 1
    return frames * sum(prod(w) for w in layer.get("weights", []))


def layers(name: str, prefix: str = "") -> list[dict[str, Any]]:
    """Layers with weights whose name begins so."""
    return [row for row in SHAPES[name]["layers"] if "weights" in row and row["name"].startswith(prefix)]


@pytest.mark.parametrize("name", SHAPES)
def test_the_table_adds_up(name: str) -> None:
    shape = SHAPES[name]
    assert [row["macs"] for row in shape["layers"]] == [computed(row) for row in shape["layers"]]
    assert sum(row["macs"] for row in shape["layers"]) == shape["macs"]
    config = s0.S0Config(shape["eda_inputs"], shape["emg_inputs"], shape["hidden"], shape["classes"])
    assert config.on_band
    assert s0.multiply_accumulates(config, shape["frames"], shape["frames"]) == shape["macs"]
    biases = sum(row["weights"][0][0] * (2 if row["kind"] == "lstm" else 1) for row in layers(name))
    assert s0.parameters(config) == sum(prod(w) for row in layers(name) for w in row["weights"]) + biases


@pytest.mark.parametrize("name", SHAPES)
def test_each_layer_takes_what_another_gives(name: str) -> None:
    shape = SHAPES[name]
    frames, hidden = shape["frames"], shape["hidden"]
    made = {row["name"]: row["output"] for row in shape["layers"]}
    for branch in ("eda", "emg"):
        assert [row["input"] for row in layers(name, f"{branch}.")] == [[frames, shape[f"{branch}_inputs"]], [frames, 2]]
        assert made[f"{branch}.lstm"] == made[f"{branch}.attention.gate"] == [frames, hidden]
        assert made[f"{branch}.over_time"] == [2 * hidden]
    assert made["weigh"] == [4 * hidden] and made["out"] == [shape["classes"]]


def read(name: str, scheme: str) -> dict[str, Graph]:
    return {g: tflite.read(shapes.BENCH / name / scheme / f"{g}.tflite") for g in shapes.GRAPHS}


@pytest.mark.parametrize(("name", "scheme"), FOLDERS)
def test_the_files_are_these_layers(name: str, scheme: str) -> None:
    graphs, shape = read(name, scheme), SHAPES[name]
    assert {g.scheme for g in graphs.values()} == {scheme}
    frames = shape["frames"] if scheme == "int16x8" else 1      # a step's file is run once a frame
    for branch in ("eda", "emg"):
        work = sum(macs for _, macs in shapes.multiply_accumulates(graphs[branch]))
        assert work * frames == sum(row["macs"] for row in layers(name, f"{branch}.lstm"))
    wanted = [row["macs"] for row in layers(name) if row["kind"] != "lstm"]
    assert sorted(macs for _, macs in shapes.multiply_accumulates(graphs["head"])) == sorted(wanted)
    head = graphs["head"]
    assert {n: head.tensors[t].shape for n, t in (*head.inputs.items(), *head.outputs.items())} == {
        "hs_eda": (1, shape["frames"], shape["hidden"]), "hs_emg": (1, shape["frames"], shape["hidden"]),
        "logits": (1, shape["classes"])}


def window(name: str, parts: dict[str, bytes]) -> tuple[Interpreter, dict[str, int]]:
    """LiteRT on a single file, and the tensor of each input and output."""
    made = Interpreter(model_content=parts[name], experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    made.allocate_tensors()
    return made, {d["name"]: d["index"] for d in (*made.get_input_details(), *made.get_output_details())}


def random_inputs(n: int, seed: int) -> list[dict[str, np.ndarray]]:
    """Windows int8 that rise and fall as features do."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.normal(0, 3, (n, 138, 6)), 1) + rng.normal(0, 4, (n, 138, 6))
    x = np.clip(np.rint(drift), -128, 127).astype(np.int8)
    return [{"eda": w[None, :, :2].copy(), "emg": w[None, :, 2:].copy()} for w in x]


def run(interpreter: Interpreter, numbers: dict[str, int], inputs: dict[str, np.ndarray]) -> np.ndarray:
    interpreter.reset_all_variables()
    for name, values in inputs.items():
        interpreter.set_tensor(numbers[name], values)
    interpreter.invoke()
    return interpreter.get_tensor(numbers["logits"])[0].astype(int)


@pytest.mark.parametrize("name", SHAPES)
def test_the_single_file_is_the_three_in_one(name: str) -> None:
    path = shapes.BENCH / f"{name}.tflite"
    merged = lstm_graph.merge(*((shapes.BENCH / name / "int8" / f"{g}.tflite").read_bytes() for g in shapes.GRAPHS))
    assert path.read_bytes() == pooled(merged)
    assert sum(macs for _, macs in shapes.multiply_accumulates(tflite.read(path))) == SHAPES[name]["macs"]
    files = {"merged": merged, "committed": path.read_bytes()}
    one, other = window("merged", files), window("committed", files)
    found = np.array([[run(*one, inputs), run(*other, inputs)] for inputs in random_inputs(12, 5)])
    assert len(np.unique(found[:, 0], axis=0)) > 6, "logits that say nothing"
    assert np.abs(found[:, 0] - found[:, 1]).max() <= 2     # a mean rounds otherwise in a pooling layer


@pytest.mark.parametrize("name", SHAPES)
def test_tensorflow_lite_micro_runs_the_single_file(name: str) -> None:
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime",
                                  reason="tflite-micro is not installed; make setup-all brings it")
    content = (shapes.BENCH / f"{name}.tflite").read_bytes()
    micro, lite = runtime.Interpreter.from_bytes(content, arena_size=100_000), window("it", {"it": content})
    for inputs in random_inputs(12, 6):
        micro.reset()
        for position, values in enumerate(inputs.values()):
            micro.set_input(values, position)
        micro.invoke()
        assert np.abs(micro.get_output(0)[0].astype(int) - run(*lite, inputs)).max() <= 2


@pytest.mark.parametrize("name", SHAPES)
def test_the_reference_figures_are_of_the_committed_file(name: str) -> None:
    figures = json.loads((shapes.BENCH / "tflm.json").read_text("utf-8"))["shapes"][name]
    content = (shapes.BENCH / figures["file"]).read_bytes()
    assert figures["sha256"] == hashlib.sha256(content).hexdigest(), "measure TensorFlow Lite Micro again: another file"
    assert (figures["file_bytes"], figures["macs"]) == (len(content), SHAPES[name]["macs"])
    for kernels in ("cmsis_nn", "reference_kernels"):
        for row in figures[kernels].values():
            assert row["instructions_per_window"] > figures["macs"] and row["text_bytes"] > len(content)


def test_what_cannot_be_pooled_is_refused() -> None:
    head = (shapes.BENCH / "h32/int16x8/head.tflite").read_bytes()
    flat = tflite.opened(head)
    reduced = next(op for op in flat.subgraphs[0].operators if len(op.inputs) == 2)
    flat.subgraphs[0].tensors[reduced.inputs[0]].shape = [1, 138 * 32]
    with pytest.raises(ModelError, match="cannot be a pooling layer"):
        pooled(tflite.packed(flat))


def test_what_is_no_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="h16 is no fixed shape"):
        shapes.write("h16")
    with pytest.raises(ModelError, match="nociband train .*--hidden 64 --name h64"):
        shapes.write("h64", models=tmp_path)
