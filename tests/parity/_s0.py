"""S0's three int16x8 graphs with random weights, as onnx2tf leaves them: built from the schema, so that no TensorFlow is needed.

The converter's own scales.finish_step and finish_head then set their quantisation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _nn import Builder, schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from torch import nn

from nociband.models.s0 import LstmStep
from nociband_convert import tflite
from nociband_convert.graphs import scales
from nociband_convert.tflite import Graph

FRAMES = 138
UNIT = 2.0**-15


def lstm_step(inputs: int, units: int, seed: int, size: float = 1.0) -> LstmStep:
    """A network of one step, weights of about `size` / sqrt(units), each unit on another scale."""
    torch.manual_seed(seed)
    lstm = nn.LSTM(inputs, units, batch_first=True)
    with torch.no_grad():
        for values in lstm.parameters():
            values.mul_(size * 2.0 ** (3 * torch.rand(len(values), *[1] * (values.dim() - 1)) - 1))
    return LstmStep(lstm)


def step_file(path: Path, network: LstmStep, cell_limit: float = 8.0, input_limit: float = 8.0) -> Graph:
    """The step's graph, finished, in `path`."""
    units, width = network.gate_i.weight.shape
    inputs = width - units
    m = Builder()
    x, h, c = (m.tensor((1, n), scales=[3e-4], name=name) for name, n in (("x", inputs), ("h", units), ("c", units)))
    brought, joined = m.tensor((1, units), scales=[3e-4]), m.tensor((1, width), scales=[3e-4])
    m.op("QUANTIZE", [h], [brought], schema.QuantizeOptionsT(), 2)
    join = schema.ConcatenationOptionsT()
    join.axis = 1
    m.op("CONCATENATION", [x, brought], [joined], join, 3)

    def gate(kind: str) -> int:
        w = m.constant(np.zeros((units, width), np.int8), [1e-3] * units)
        b = m.constant(np.zeros(units, np.int64), [3e-7] * units)
        sums, y = m.tensor((1, units), scales=[1e-3]), m.tensor((1, units), scales=[UNIT])
        m.op("FULLY_CONNECTED", [joined, w, b], [sums], schema.FullyConnectedOptionsT(), 11)
        m.op(kind, [sums], [y], None, 3)
        return y

    def product(a: int, b: int) -> int:
        y = m.tensor((1, units), scales=[UNIT])
        m.op("MUL", [a, b], [y], schema.MulOptionsT(), 4)
        return y

    kept = product(gate("LOGISTIC"), c)
    added = product(gate("LOGISTIC"), gate("TANH"))
    c_next, squashed = m.tensor((1, units), scales=[UNIT]), m.tensor((1, units), scales=[UNIT])
    options = schema.AddOptionsT()
    options.potScaleInt16 = False
    m.op("ADD", [kept, added], [c_next], options, 4)
    m.op("TANH", [c_next], [squashed], None, 3)
    h_next = product(gate("LOGISTIC"), squashed)
    path.write_bytes(m.finish([x, h, c], [h_next, c_next]))
    path.write_bytes(scales.finish_step(path, network, cell_limit, input_limit))
    return tflite.read(path)


def head_file(path: Path, units: int, classes: int, seed: int, input_limit: float = 8.0, kernel: int = 7) -> Graph:
    """The head's graph with random weights, finished, in `path`."""
    rng, m = np.random.default_rng(seed), Builder()
    hs = [m.tensor((1, FRAMES, units), scales=[UNIT], name=f"hs_{b}") for b in ("eda", "emg")]
    parts = [_pooled(m, rng, h, units, kernel) for h in hs]
    joined = _joined(m, parts, (1, 4 * units), 1)
    weighted = []
    for part in parts:
        y, out = m.tensor((1, 1), scales=[UNIT]), m.tensor((1, 2 * units), scales=[UNIT])
        m.op("LOGISTIC", [_dense(m, rng, joined, 4 * units, 1)], [y], None, 3)
        m.op("MUL", [part, y], [out], schema.MulOptionsT(), 4)
        weighted.append(out)
    logits = _dense(m, rng, _joined(m, weighted, (1, 4 * units), 1), 4 * units, classes)
    path.write_bytes(m.finish(hs, [logits]))
    path.write_bytes(scales.finish_head(path, input_limit))
    return tflite.read(path)


def _joined(m: Builder, parts: list[int], shape: tuple[int, ...], axis: int) -> int:
    y, options = m.tensor(shape, scales=[UNIT]), schema.ConcatenationOptionsT()
    options.axis = axis
    m.op("CONCATENATION", parts, [y], options, 3)
    return y


def _dense(m: Builder, rng: np.random.Generator, x: int, inputs: int, outputs: int) -> int:
    w = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    step = [2e-3] * outputs
    b = m.constant(rng.integers(-10**6, 10**6, outputs).astype(np.int64), [UNIT * s for s in step])
    y = m.tensor((1, outputs), scales=[2e-4])
    m.op("FULLY_CONNECTED", [x, m.constant(w, step), b], [y], schema.FullyConnectedOptionsT(), 11)
    return y


def _pooled(m: Builder, rng: np.random.Generator, h: int, units: int, kernel: int) -> int:
    """Mean and maximum over time of h weighted by its attention: (1, 2 units)."""
    def reduced(kind: str, x: int, axis: int, shape: tuple[int, ...]) -> int:
        y, options = m.tensor(shape, scales=[UNIT]), schema.ReducerOptionsT()
        options.keepDims = len(shape) == 3
        m.op(kind, [x, m.constant(np.array([axis], np.int32))], [y], options, 3 if kind == "REDUCE_MAX" else 2)
        return y

    def reshaped(x: int, shape: tuple[int, ...]) -> int:
        y = m.tensor(shape, scales=[UNIT])
        m.op("RESHAPE", [x, m.constant(np.array(shape, np.int32))], [y], schema.ReshapeOptionsT(), 1)
        return y

    by_channel = [reduced(kind, h, 2, (1, FRAMES, 1)) for kind in ("REDUCE_MAX", "MEAN")]
    image = reshaped(_joined(m, by_channel, (1, FRAMES, 2), 2), (1, 1, FRAMES, 2))
    w = m.constant(rng.integers(-127, 128, (1, 1, kernel, 2)).astype(np.int8), [5e-3])
    b = m.constant(rng.integers(-10**6, 10**6, 1).astype(np.int64), [5e-3 * UNIT])
    sums, weights = m.tensor((1, 1, FRAMES, 1), scales=[1e-3]), m.tensor((1, 1, FRAMES, 1), scales=[UNIT])
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.SAME, 1, 1
    m.op("CONV_2D", [image, w, b], [sums], options, 4)
    m.op("LOGISTIC", [sums], [weights], None, 3)
    y = m.tensor((1, FRAMES, units), scales=[UNIT])
    m.op("MUL", [h, reshaped(weights, (1, FRAMES, 1))], [y], schema.MulOptionsT(), 4)
    return _joined(m, [reduced(kind, y, 1, (1, units)) for kind in ("MEAN", "REDUCE_MAX")], (1, 2 * units), 1)


def graphs(folder: Path, units: int, classes: int, seed: int, size: float = 1.0, input_limit: float = 8.0) -> dict[str, Graph]:
    """A whole model's graphs in `folder`."""
    made = {b: step_file(folder / f"{b}.tflite", lstm_step(n, units, seed + n, size), input_limit=input_limit)
            for b, n in (("eda", 2), ("emg", 4))}
    return {**made, "head": head_file(folder / "head.tflite", units, classes, seed, input_limit)}


class Reference:
    """A .tflite in LiteRT's reference kernels, its tensors by name."""

    def __init__(self, path: Path) -> None:
        self._interpreter = Interpreter(model_content=path.read_bytes(), num_threads=1,
                                        experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        self._interpreter.allocate_tensors()
        details = (*self._interpreter.get_input_details(), *self._interpreter.get_output_details())
        self._index = {d["name"]: int(d["index"]) for d in details}

    def __call__(self, outputs: tuple[str, ...], **inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """The outputs for these inputs, all by name."""
        for name, values in inputs.items():
            self._interpreter.set_tensor(self._index[name], values)
        self._interpreter.invoke()
        return tuple(self._interpreter.get_tensor(self._index[name]) for name in outputs)


def logits(folder: Path, units: int, window: np.ndarray) -> np.ndarray:
    """int16 (138, 6) -> int16 (classes,) in LiteRT, from the graphs in `folder`."""
    hidden = {}
    for branch, columns in (("eda", slice(0, 2)), ("emg", slice(2, 6))):
        step = Reference(folder / f"{branch}.tflite")
        h = c = np.zeros((1, units), np.int16)
        rows = []
        for x in window[:, columns]:
            h, c = step(("h_next", "c_next"), x=x[None], h=h, c=c)
            rows.append(h[0])
        hidden[f"hs_{branch}"] = np.stack(rows)[None]
    return Reference(folder / "head.tflite")(("logits",), **hidden)[0][0]
