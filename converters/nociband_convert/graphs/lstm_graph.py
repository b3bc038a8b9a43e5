"""Builds the .tflite files of the int8 scheme: LiteRT's integer LSTM over a window, and the three files merged into one graph.

From float weights (a step graph's or a torch network's) and the scales that calibration chose to eda.tflite and emg.tflite, which
tflite.read, nociband.inference and TensorFlow Lite Micro read. Written from the schema alone, without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nociband.errors import ModelError
from nociband_convert import tflite

GATES = ("input", "forget", "cell", "output")
"""LiteRT's names of the gates i, f, g, o, in the order of its operation's inputs."""

CELL_EXPONENTS = range(-15, -8)
"""Cell states of 2^0 to 2^6: the formats that LiteRT's tanh has."""

WEIGHT_MAX = 127
_NONE = -1
_STATE_INPUTS = 24


@dataclass(frozen=True, eq=False)
class LstmWeights:
    """Floating-point weights of one LSTM, gates in the order i, f, g, o: inputs (4, H, n), recurrent (4, H, H), bias (4, H).

    `input_scales` and `recurrent_scales` (4 each) are the steps of the int8 weights, where training has chosen them; else each
    matrix's largest weight becomes 127.
    """

    inputs: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    input_scales: Sequence[float] | None = None
    recurrent_scales: Sequence[float] | None = None

    def check(self) -> tuple[int, int]:
        """(n, H). Raises ModelError when the shapes do not belong together or a number is not finite."""
        shapes = [np.shape(a) for a in (self.inputs, self.recurrent, self.bias)]
        if len(shapes[0]) != 3 or shapes[0][0] != len(GATES) or 0 in shapes[0]:
            raise ModelError(f"an LSTM's input weights are {shapes[0]}; (4, H, n) belongs here, gates in the order i, f, g, o")
        hidden, inputs = shapes[0][1:]
        if shapes[1:] != [(4, hidden, hidden), (4, hidden)]:
            raise ModelError(f"an LSTM's recurrent weights and biases are {shapes[1]} and {shapes[2]}; with input weights of "
                             f"{shapes[0]} they must be {(4, hidden, hidden)} and {(4, hidden)}")
        if not all(np.isfinite(a).all() for a in (self.inputs, self.recurrent, self.bias)):
            raise ModelError("an LSTM's weights are not all finite; train the model again")
        return inputs, hidden


def build(name: str, weights: LstmWeights, x_scale: float, h_scale: float, cell_exponent: int, steps: int,
          cell_clip: float = 0.0) -> bytes:
    """A .tflite with one UNIDIRECTIONAL_SEQUENCE_LSTM: "x" int8 (1, steps, n) to "hs" int8 (1, steps, H), zero points 0.

    The cell state is int16 in steps of 2^cell_exponent, and is limited to +-cell_clip unless that is 0. Raises ModelError for
    weights whose shapes do not fit, a cell exponent outside -15 to -9, scales that are not positive.
    """
    inputs, hidden = weights.check()
    if cell_exponent not in CELL_EXPONENTS:
        raise ModelError(f"{name}: a cell state in steps of 2^{cell_exponent} is not possible; LiteRT has 2^-15 to 2^-9")
    if not (np.isfinite([x_scale, h_scale]).all() and min(x_scale, h_scale) > 0 and steps > 0 and cell_clip >= 0):
        raise ModelError(f"{name}: x_scale {x_scale}, h_scale {h_scale} and steps {steps} must be positive, "
                         f"cell_clip {cell_clip} not negative")
    file = _File(name)
    ports = [file.tensor("x", (1, steps, inputs), "INT8", x_scale)]
    ports += [_NONE] * (_STATE_INPUTS - 1)
    for gate, label in enumerate(GATES):
        w, w_scale = _quantise(weights.inputs[gate], weights.input_scales, gate)
        r, r_scale = _quantise(weights.recurrent[gate], weights.recurrent_scales, gate)
        bias_scale = np.float32(x_scale) * w_scale
        bias = np.clip(np.rint(weights.bias[gate] / np.float64(bias_scale)), -2**31 + 1, 2**31 - 1).astype(np.int32)
        ports[1 + gate] = file.constant(f"input_to_{label}", w, w_scale)
        ports[5 + gate] = file.constant(f"recurrent_to_{label}", r, r_scale)
        ports[12 + gate] = file.constant(f"{label}_bias", bias, bias_scale)
    ports[18] = file.tensor("h", (1, hidden), "INT8", h_scale, variable=True)
    ports[19] = file.tensor("c", (1, hidden), "INT16", 2.0**cell_exponent, variable=True)
    # Without layer normalisation the first four say nothing; LiteRT takes the hidden state's scale from the fifth.
    between = [file.tensor(f"{label}_intermediate", (0,), "FLOAT32", None) for label in GATES]
    between.append(file.tensor("hidden_intermediate", (0,), "INT8", h_scale))
    hs = file.tensor("hs", (1, steps, hidden), "INT8", h_scale)
    file.lstm(ports, hs, between, cell_clip)
    return file.finish([ports[0]], [hs])


def _quantise(values: np.ndarray, scales: Sequence[float] | None, gate: int) -> tuple[np.ndarray, np.float32]:
    largest = float(np.max(np.abs(values)))
    scale = np.float32(scales[gate] if scales is not None else (largest or 1.0) / WEIGHT_MAX)
    if not (np.isfinite(scale) and scale > 0):
        raise ModelError(f"the step of the {GATES[gate]} gate's weights is {scale}; it must be positive")
    return np.clip(np.rint(values / np.float64(scale)), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8), scale


class _File:
    """A model with one subgraph in the making."""

    def __init__(self, name: str) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema: Any = schema
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.description = 3, name
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.model.subgraphs = [self.graph]
        self.graph.name, self.graph.tensors, self.graph.operators = name, [], []

    def tensor(self, name: str, shape: Sequence[int], kind: str, scale: float | None, variable: bool = False,
               buffer: int = 0) -> int:
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer, tensor.isVariable = name, list(shape), buffer, variable
        tensor.type = getattr(self.schema.TensorType, kind)
        if scale is not None:
            tensor.quantization = self.schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [float(np.float32(scale))], [0]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, name: str, values: np.ndarray, scale: np.float32) -> int:
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        return self.tensor(name, values.shape, values.dtype.name.upper(), float(scale), buffer=len(self.model.buffers) - 1)

    def lstm(self, inputs: list[int], output: int, intermediates: list[int], cell_clip: float) -> None:
        number = self.schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM
        code, op, options = self.schema.OperatorCodeT(), self.schema.OperatorT(), self.schema.UnidirectionalSequenceLSTMOptionsT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, number, 1
        options.fusedActivationFunction, options.cellClip = self.schema.ActivationFunctionType.TANH, float(cell_clip)
        op.builtinOptionsType = self.schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions
        op.inputs, op.outputs, op.intermediates, op.builtinOptions = inputs, [output], intermediates, options
        self.model.operatorCodes.append(code)
        self.graph.operators.append(op)

    def finish(self, inputs: list[int], outputs: list[int]) -> bytes:
        self.graph.inputs, self.graph.outputs = inputs, outputs
        return tflite.packed(self.model)


def merge(eda: bytes, emg: bytes, head: bytes) -> bytes:
    """One graph of a whole window out of the int8 scheme's three files, for interpreters that run a single file.

    Inputs "eda" (1, T, 2) and "emg" (1, T, 4), output "logits"; scales stay. Raises ModelError when a file is not what its name
    says, or when the head expects hidden states of another shape or scale than the branches give.
    """
    from ai_edge_litert import schema_py_generated as schema

    merged = schema.ModelT()
    merged.version, merged.description = 3, "window"
    merged.buffers, merged.operatorCodes, merged.subgraphs = [schema.BufferT()], [], [schema.SubGraphT()]
    graph = merged.subgraphs[0]
    graph.name, graph.tensors, graph.operators = "window", [], []
    hs = {}
    graph.inputs = []
    for branch, content in (("eda", eda), ("emg", emg)):
        ports = _append(merged, _parse(branch, content), {}, schema, f"{branch}/")
        _require(branch, ports, {"x", "hs"})
        graph.tensors[ports["x"]].name = branch
        graph.inputs.append(ports["x"])
        hs[f"hs_{branch}"] = ports["hs"]
    ports = _append(merged, _parse("head", head), hs, schema, "head/")
    _require("head", ports, {*hs, "logits"})
    graph.tensors[ports["logits"]].name = "logits"
    graph.outputs = [ports["logits"]]
    return tflite.packed(merged)


def _parse(name: str, content: bytes) -> Any:
    if content[4:8] != b"TFL3":
        raise ModelError(f"{name} is not a .tflite file (its identifier is {content[4:8]!r}, not b'TFL3')")
    return tflite.opened(content)


def _require(file: str, ports: dict[str, int], names: set[str]) -> None:
    if set(ports) != names:
        raise ModelError(f"{file}.tflite has the inputs and outputs {sorted(ports)}; {sorted(names)} belong there")


def _append(merged: Any, model: Any, given: dict[str, int], schema: Any, prefix: str) -> dict[str, int]:
    """Copy `model`'s only subgraph into `merged`; inputs named in `given` become those tensors. Names of ports to numbers."""
    graph, target = model.subgraphs[0], merged.subgraphs[0]
    numbers = {_NONE: _NONE}
    for i, tensor in enumerate(graph.tensors):
        name = tensor.name.decode()
        if i in list(graph.inputs) and name in given:
            _check_joint(name, target.tensors[given[name]], tensor)
            numbers[i] = given[name]
            continue
        data = model.buffers[tensor.buffer].data
        tensor.name, tensor.buffer = prefix + name, 0
        if data is not None and len(data):
            merged.buffers.append(schema.BufferT())
            merged.buffers[-1].data, tensor.buffer = data, len(merged.buffers) - 1
        numbers[i] = len(target.tensors)
        target.tensors.append(tensor)
    first_code = len(merged.operatorCodes)
    merged.operatorCodes += model.operatorCodes
    for op in graph.operators:
        op.opcodeIndex += first_code
        for field in ("inputs", "outputs", "intermediates"):
            values = getattr(op, field)
            setattr(op, field, None if values is None else [numbers[int(v)] for v in values])
        target.operators.append(op)
    ports = {numbers[int(i)] for i in (*graph.inputs, *graph.outputs)}
    names = {number: name for name, number in given.items()}
    return {names.get(p, _text(target.tensors[p].name).removeprefix(prefix)): p for p in ports}


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode()


def _check_joint(name: str, made: Any, wanted: Any) -> None:
    a, b = ((list(t.shape), t.type, list(t.quantization.scale), list(t.quantization.zeroPoint)) for t in (made, wanted))
    if a != b:
        raise ModelError(f"the head takes {name} with shape, type, scale, zero point {b}, the branch gives {a}; "
                         "convert the three graphs together")
