"""Writes manifest.json: the one place that says what a model's inputs, outputs and classes mean.

From training.json and the quantised graphs to the model folder; the band serves exactly these bytes, nociband.manifest reads
them. No dates or paths, so that the same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

from nociband.errors import ModelError
from nociband.manifest import Manifest
from nociband.spec import SPEC
from nociband.windows import input_scale

if TYPE_CHECKING:
    from nociband_convert.source import Trained
    from nociband_convert.tflite import Graph, Tensor

BRANCHES = ("eda", "emg")
LSTM_CELL = 19  # the cell state among the inputs of UNIDIRECTIONAL_SEQUENCE_LSTM
_TOOLS = ("torch", "onnx", "onnx2tf", "tensorflow")


def write(trained: Trained, graphs: Mapping[str, Graph], files: Mapping[str, bytes]) -> bytes:
    """The manifest's bytes. Raises SpecError when what training.json says does not hold together."""
    info = trained.info
    logits = graphs["head"].tensors[graphs["head"].outputs["logits"]]
    raw = {
        **{k: info[k] for k in ("name", "title")}, "version": str(info["version"]),
        **{k: info[k] for k in ("of", "synthetic", "warning")},
        "scheme": graphs["head"].scheme, "spec_hash": SPEC.hash,
        "features": [f.name for f in SPEC.model_inputs], "window_frames": SPEC.features["window"]["frames"],
        "input": _inputs(trained, graphs),
        "output": {"scale": logits.scale, "zero_point": logits.zero_points[0]},
        "classes": [{"label": c.get("label"), "value": c.get("value")} for c in info["classes"]],
        "sites": info["sites"],
        "branches": {b: {"hidden": state.size, "cell_limit": state.scale * 2.0**15}
                     for b, state in ((b, cell(graphs[b])) for b in BRANCHES)},
        "training": info["training"],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        "created_with": {"nociband": metadata.version("nociband"), **{t: metadata.version(t).split("+")[0] for t in _TOOLS}},
    }
    data = encode(raw)
    Manifest.from_json(data)
    return data


def cell(graph: Graph) -> Tensor:
    """The cell state of a branch in either scheme: an input of the step, or the variable inside LiteRT's LSTM."""
    if "c" in graph.inputs:
        return graph.tensors[graph.inputs["c"]]
    return graph.tensors[graph.ops[0].inputs[LSTM_CELL]]


def encode(raw: Mapping[str, Any]) -> bytes:
    """A manifest's bytes as they are hashed and served. Raises ModelError for a value that JSON has no form for."""
    try:
        return (json.dumps(raw, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as e:
        raise ModelError(f"the manifest would hold a value that JSON has no form for ({e})") from e


def _inputs(trained: Trained, graphs: Mapping[str, Graph]) -> list[dict[str, Any]]:
    """Per feature: mult / 2^shift = 1 / (2^q * std * scale of the graph's x)."""
    rows = []
    for feature, std in zip(SPEC.model_inputs, trained.std, strict=True):
        graph = graphs[feature.branch]
        scale = graph.tensors[graph.inputs["x"]].scale
        mult, shift = input_scale(1.0 / (2.0**feature.q * float(std) * scale))
        rows.append({"name": feature.name, "mult": mult, "shift": shift, "mean": 0.0, "std": float(std), "scale": scale})
    return rows
