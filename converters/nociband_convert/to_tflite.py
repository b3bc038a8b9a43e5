"""ONNX to integer .tflite (int16 activations, int8 weights) with onnx2tf, then the scales of the loop-backs are made equal.

From to_onnx and calibration to to_c and nociband.inference. onnx2tf runs in a process of its own: it is noisy, and brings
TensorFlow. The quantiser gives each tensor its own range; a state that is fed back must come out on the scale at which it goes
in, so those of h and c (and the products that make them) are set here and checked. They appear in no bias, so nothing else moves.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nociband.errors import ModelError
from nociband_convert import tflite

_SUFFIX = "_full_integer_quant_with_int16_act.tflite"
_TIMEOUT_S = 600
UNIT_STEP = 2.0**-15


def convert(onnx: Path, inputs: Mapping[str, np.ndarray], work: Path) -> Path:
    """Quantise one graph with `inputs` (name -> rows (n, ...)) as calibration; returns the .tflite in `work`.

    Raises ModelError with onnx2tf's last words when it fails, and when the calibration does not fit the graph.
    """
    _check_calibration(onnx, inputs)
    out = work / f"{onnx.stem}_tf"
    command = [sys.executable, "-m", "onnx2tf", "-i", str(onnx), "-o", str(out), "-kat", *inputs, "-oiqt", "-qt", "per-channel"]
    command.append("--non_verbose")
    for name, rows in inputs.items():
        path = work / f"{onnx.stem}_{name}.npy"
        np.save(path, rows)
        zeros = str(np.zeros((1,) * rows.ndim, int).tolist())
        command += ["-cind", name, str(path), zeros, zeros.replace("0", "1")]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "",
                   "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as e:
        raise ModelError(f"onnx2tf did not finish {onnx.name} in {_TIMEOUT_S} s") from e
    result = out / f"{onnx.stem}{_SUFFIX}"
    if done.returncode or not result.is_file():
        words = " | ".join([line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-4:])
        raise ModelError(f"onnx2tf could not convert {onnx.name} (status {done.returncode}): {words[-400:]}")
    return result


def _check_calibration(onnx: Path, inputs: Mapping[str, np.ndarray]) -> None:
    import onnx as onnx_package

    graph = onnx_package.load(str(onnx)).graph
    expected = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in graph.input}
    if set(expected) != set(inputs):
        raise ModelError(f"{onnx.name} takes {sorted(expected)}, the calibration has {sorted(inputs)}")
    for name, rows in inputs.items():
        if list(rows.shape[1:]) != expected[name][1:]:
            raise ModelError(f"{onnx.name}: calibration of {name} has rows of {rows.shape[1:]}, "
                             f"the graph takes {tuple(expected[name][1:])}")
    if len({len(rows) for rows in inputs.values()}) != 1:
        raise ModelError(f"{onnx.name}: the calibration's inputs have different numbers of rows")


def finish_step(path: Path, cell_limit: float) -> bytes:
    """The step graph with names (x, h, c, h_next, c_next) and loop-back scales set: h as its input, c to cell_limit / 2^15."""
    graph = tflite.read(path)
    roles = _step_roles(graph)
    cell = cell_limit * UNIT_STEP
    scales = {roles["h_next"]: graph.tensors[graph.inputs[_named(graph, "h")]].scale, roles["added"]: UNIT_STEP,
              roles["kept"]: cell, roles["c_next"]: cell, graph.inputs[_named(graph, "c")]: cell}
    names = {graph.inputs[_named(graph, n)]: n for n in ("x", "h", "c")} | {roles[n]: n for n in ("h_next", "c_next")}
    return _rewrite(path, names, scales)


def finish_head(path: Path) -> bytes:
    """The head with its tensors named hs_eda, hs_emg, logits."""
    graph = tflite.read(path)
    names = {graph.inputs[_named(graph, n)]: n for n in ("hs_eda", "hs_emg")} | {next(iter(graph.outputs.values())): "logits"}
    return _rewrite(path, names, {})


def _named(graph: tflite.Graph, name: str) -> str:
    """TensorFlow's name of an input that ONNX called `name`."""
    found = [n for n in graph.inputs if n in (name, f"serving_default_{name}:0")]
    if len(found) != 1:
        raise ModelError(f"{graph.name}: no input {name} among {sorted(graph.inputs)}")
    return found[0]


def _step_roles(graph: tflite.Graph) -> dict[str, int]:
    """Which tensor is which in an LSTM step: c_next = kept + added, kept = sigmoid * c, h_next = sigmoid * tanh(c_next)."""
    cell_in = graph.inputs[_named(graph, "c")]
    sums = [op for op in graph.ops if op.kind == "ADD"]
    products = [op for op in graph.ops if op.kind == "MUL"]
    outputs = set(graph.outputs.values())
    if len(sums) != 1 or len(products) != 3 or sums[0].outputs[0] not in outputs:
        raise ModelError(f"{graph.name} is not a single LSTM step: {len(sums)} additions, {len(products)} products")
    roles = {"c_next": sums[0].outputs[0]}
    for op in products:
        role = "h_next" if op.outputs[0] in outputs else "kept" if cell_in in op.inputs else "added"
        roles[role] = op.outputs[0]
    if len(roles) != 4:
        raise ModelError(f"{graph.name} is not a single LSTM step: its products cannot be told apart")
    return roles


def _rewrite(path: Path, names: Mapping[int, str], scales: Mapping[int, float]) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    graph = model.subgraphs[0]
    for number, name in names.items():
        graph.tensors[number].name = name
    for number, scale in scales.items():
        quantization = graph.tensors[number].quantization
        quantization.scale, quantization.min, quantization.max = [float(np.float32(scale))], None, None
    for signature in model.signatureDefs or []:
        for entry in (*signature.inputs, *signature.outputs):
            entry.name = names.get(entry.tensorIndex, entry.name)
    model.metadata, model.metadataBuffer = [], None
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def check_loops(graphs: Mapping[str, tflite.Graph]) -> None:
    """Raises ModelError unless each state comes out on the scale at which it goes in, and the head takes h as it comes."""
    head = graphs["head"]
    for branch in ("eda", "emg"):
        graph = graphs[branch]
        for state in ("h", "c"):
            before, after = graph.tensors[graph.inputs[state]], graph.tensors[graph.outputs[f"{state}_next"]]
            if before.scale != after.scale or before.shape != after.shape:
                raise ModelError(f"{branch}: {state} goes in with steps of {before.scale} and comes out with {after.scale}")
        taken = head.tensors[head.inputs[f"hs_{branch}"]].scale
        made = graph.tensors[graph.outputs["h_next"]].scale
        if taken != made:
            raise ModelError(f"head: takes hs_{branch} in steps of {taken}, the {branch} branch gives {made}")
