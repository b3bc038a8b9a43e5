"""The fixed networks of firmware/bench: what shapes.toml says of them is right, and the files are these networks."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nociband.errors import ModelError
from nociband.models import s0
from nociband_convert import shapes, tflite
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


@pytest.mark.parametrize("name", SHAPES)
def test_the_single_file_is_the_three_in_one(name: str) -> None:
    whole, parts = tflite.read(shapes.BENCH / f"{name}.tflite"), read(name, "int8")
    assert [op.kind for op in whole.ops] == [op.kind for g in shapes.GRAPHS for op in parts[g].ops]
    assert sum(macs for _, macs in shapes.multiply_accumulates(whole)) == SHAPES[name]["macs"]
    constants = [t.data for g in shapes.GRAPHS for t in parts[g].tensors if t.data is not None]
    found = [t.data for t in whole.tensors if t.data is not None]
    assert len(found) == len(constants) and all(np.array_equal(a, b) for a, b in zip(found, constants, strict=True))


def test_what_is_no_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="h16 is no fixed shape"):
        shapes.write("h16")
    with pytest.raises(ModelError, match="nociband train .*--hidden 64 --name h64"):
        shapes.write("h64", models=tmp_path)
