"""Writes the fixed networks that kernels are measured on: `python -m nociband_convert.shapes [h32] [h64]`.

From build/models/h32 and h64 (S0 trained on the project's simulator with that many hidden units) to firmware/bench: the three
graphs of each scheme, and the int8 window as one file for TensorFlow Lite Micro. firmware/bench/shapes.toml says layer by layer
what they are.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nociband.errors import ModelError
from nociband_convert import SCHEMES, convert
from nociband_convert.graphs import lstm_graph
from nociband_convert.graphs.pooling import pooled
from nociband_convert.tflite import Graph, Op

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "firmware/bench"
GRAPHS = ("eda", "emg", "head")
TRAIN = "nociband train --dataset synthetic --task pain5 --hidden {hidden} --name {name}"


def shapes() -> dict[str, dict[str, Any]]:
    """firmware/bench/shapes.toml: by shape, its sizes and its layers."""
    return tomllib.loads((BENCH / "shapes.toml").read_text("utf-8"))


def write(name: str, models: Path = ROOT / "build/models", bench: Path = BENCH) -> None:
    """Convert models/NAME in both schemes and write its graphs into `bench`.

    Raises ModelError for a name that is not a shape, a model that is not of this shape or not there, and a conversion whose
    gates fail.
    """
    if name not in shapes():
        raise ModelError(f"{name} is no fixed shape; shapes.toml has {', '.join(shapes())}")
    if not (models / name).is_dir():
        raise ModelError(f"{models / name} is not there: {TRAIN.format(name=name, hidden=shapes()[name]['hidden'])}")
    for scheme in SCHEMES:
        made = convert(models / name, scheme)
        failed = [v.gate for v in made.judge() if v.passed is False]
        if failed:
            raise ModelError(f"{name}, {scheme}: {', '.join(failed)} not reached; train it again with another --seed")
        folder = bench / name / scheme
        folder.mkdir(parents=True, exist_ok=True)
        for graph in GRAPHS:
            (folder / f"{graph}.tflite").write_bytes(made.files[f"{graph}.tflite"])
        if scheme == "int8":
            whole = lstm_graph.merge(*(made.files[f"{g}.tflite"] for g in GRAPHS))
            (bench / f"{name}.tflite").write_bytes(pooled(whole))


def multiply_accumulates(graph: Graph) -> list[tuple[str, int]]:
    """(operation, multiply-accumulates) of every operation with weights, in the order of the file, one run of it."""
    return [(op.kind, _macs(graph, op)) for op in graph.ops if _macs(graph, op)]


def _macs(graph: Graph, op: Op) -> int:
    def shape(number: int) -> tuple[int, ...]:
        return graph.tensors[number].shape

    if op.kind == "FULLY_CONNECTED":
        return graph.tensors[op.inputs[1]].size * (graph.tensors[op.outputs[0]].size // shape(op.inputs[1])[0])
    if op.kind == "CONV_2D":
        return graph.tensors[op.inputs[1]].size * (graph.tensors[op.outputs[0]].size // shape(op.outputs[0])[-1])
    if op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        return shape(op.inputs[0])[1] * sum(graph.tensors[t].size for t in op.inputs[1:9])
    return 0


def main(names: Iterable[str]) -> None:
    """Write the named shapes, or all."""
    for name in list(names) or shapes():
        write(name)
        print(f"written: {BENCH.relative_to(ROOT) / name} and {name}.tflite")


if __name__ == "__main__":
    main(sys.argv[1:])
