"""Sets the scales of the int16x8 graphs so that the band's arithmetic is both loop-safe and cheap.

From to_tflite's files to the finished .tflite. A quantiser gives each tensor its own range; here x, h and h_next get one scale
(h is fed back, so it must come out as it goes in), the cell state and what is added to it one power of two (LiteRT's ADD is then
a plain saturating addition), the gates x's scale times a power of two, coarse enough for a table of 2,048 entries. Weights are
quantised anew from the network's, with scales of 15 significant bits, so that one 16-bit multiplier requantises exactly.
Why each of these is exact in LiteRT: docs/adr/0013-integer-kernels.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log2
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nociband.errors import ModelError
from nociband_convert import tflite
from nociband_convert.graphs import lstm

if TYPE_CHECKING:
    from nociband.models.s0 import LstmStep

UNIT_STEP = 2.0**-15
CELL_LIMIT_MIN = 8.0     # below, tanh's table steps would not be whole multiples of the cell's
GATE_STEP_MIN = 0.01041  # steps above this reach the end of LiteRT's sigmoid within 1,023 of them, of its tanh within 511
LOGIT_MARGIN = 1.5       # logits beyond those of the calibration's few windows
MULTIPLIER_MIN = 2051    # odd, and half of it is beyond a sigmoid's table
_WEIGHT_MAX = 127
_MULTIPLIER_BITS = 15
_ALIKE = ("REDUCE_MAX", "MEAN", "QUANTIZE", "CONCATENATION", "RESHAPE", "MUL")


def input_step(input_limit: float) -> float:
    """The step of x and h for inputs that end at +- input_limit, as float32 holds it."""
    return float(np.float32(input_limit * UNIT_STEP))


def gate_step(x_step: float) -> float:
    """The gates' step: x's times the least power of two that is coarse enough."""
    return x_step * 2.0 ** max(0, ceil(log2(GATE_STEP_MIN / x_step)))


def finish_step(path: Path, network: LstmStep, cell_limit: float, input_limit: float) -> bytes:
    """The step graph with its tensors named x, h, c, h_next, c_next, its scales set and the weights of `network` in it.

    Raises ModelError for a graph that is not an LSTM step, and for weights that 15 bits of scale do not span.
    """
    step = lstm.find(tflite.read(path))
    x, cell = input_step(input_limit), max(cell_limit, CELL_LIMIT_MIN) * UNIT_STEP
    gate = gate_step(x)
    join = step.graph.producer(step.joined)
    assert join is not None
    names = {getattr(step, n): n for n in ("x", "h", "c", "h_next", "c_next")}
    scales: dict[int, Sequence[float]] = dict.fromkeys((step.x, step.h, step.h_next, step.joined, *join.inputs), (x,))
    scales |= dict.fromkeys((step.c, step.c_next, step.kept, step.added), (cell,))
    scales |= dict.fromkeys(step.preactivations, (gate,))
    constants: dict[int, np.ndarray] = {}
    layers = (network.gate_i, network.gate_f, network.gate_g, network.gate_o)
    exact = _weight_scales([layer.weight.detach().numpy() for layer in layers], path.stem)
    for op, layer, per_unit in zip(step.gates, layers, exact, strict=True):
        weights, bias = layer.weight.detach().numpy().astype(float), layer.bias.detach().numpy().astype(float)
        constants[op.inputs[1]] = np.rint(weights / per_unit[:, None]).astype(np.int8)
        constants[op.inputs[2]] = np.rint(bias / (x * per_unit)).astype(np.int64)
        scales[op.inputs[1]], scales[op.inputs[2]] = per_unit.tolist(), (x * per_unit).tolist()
    return rewrite(path, names, scales, constants)


def _weight_scales(weights: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
    """Scales a unit, multiples (odd, from MULTIPLIER_MIN to 2^15) of one power of two for all four gates.

    LiteRT rounds halves away from zero, the kernel half up. With an odd multiplier m a gate is half way between two steps at odd
    multiples of m / 2 alone, where it is beyond its table, and so clamped, when m is large enough.
    """
    largest = np.stack([np.abs(w).max(1) for w in weights]).astype(float) / _WEIGHT_MAX
    if not largest.max() > 0:
        raise ModelError(f"{name}: every weight is 0; train the model again")
    unit = 2.0 ** (np.floor(np.log2(largest.max())) + 1 - _MULTIPLIER_BITS)
    whole = np.maximum(np.ceil(largest / unit).astype(np.int64) | 1, MULTIPLIER_MIN)
    return list(np.minimum(whole, 2**_MULTIPLIER_BITS - 1) * unit)


def finish_head(path: Path, input_limit: float) -> bytes:
    """The head with its tensors named hs_eda, hs_emg, logits, all that is h, or h weighted, on h's scale, the attention
    on the gates'. Logits get room beyond what the calibration saw.
    """
    graph = tflite.read(path)
    h = input_step(input_limit)
    alike = {lstm.named(graph, n) for n in ("hs_eda", "hs_emg")}
    logits = next(iter(graph.outputs.values()))
    names = {lstm.named(graph, n): n for n in ("hs_eda", "hs_emg")} | {logits: "logits"}
    scales: dict[int, Sequence[float]] = {**dict.fromkeys(alike, (h,)), logits: (graph.tensors[logits].scale * LOGIT_MARGIN,)}
    constants: dict[int, np.ndarray] = {}
    for op in graph.ops:
        if not alike & set(op.inputs):
            continue
        if op.kind in _ALIKE:
            alike.add(op.outputs[0])
            scales[op.outputs[0]] = (h,)
        elif op.kind in ("CONV_2D", "FULLY_CONNECTED"):
            weights, bias = graph.tensors[op.inputs[1]], graph.tensors[op.inputs[2]]
            if bias.data is None:
                raise ModelError(f"{graph.name}: {op.kind} has a bias that is not stored")
            moved = np.array(weights.scales) * h
            constants[op.inputs[2]] = np.rint(bias.data * np.array(bias.scales) / moved).astype(bias.data.dtype)
            scales[op.inputs[2]] = moved.tolist()
            if op.kind == "CONV_2D":
                scales[op.outputs[0]] = (gate_step(h),)
    return rewrite(path, names, scales, constants)


def rewrite(path: Path, names: Mapping[int, str], scales: Mapping[int, Sequence[float]],
            constants: Mapping[int, np.ndarray]) -> bytes:
    """The file with tensors renamed, rescaled and refilled, by tensor number; metadata is dropped."""
    from ai_edge_litert import schema_py_generated as schema

    model = tflite.opened(path.read_bytes())
    graph = model.subgraphs[0]
    for number, values in scales.items():
        quantization = graph.tensors[number].quantization
        quantization.scale, quantization.min, quantization.max = [float(np.float32(s)) for s in values], None, None
        quantization.zeroPoint = [0] * len(values)
    for number, filled in constants.items():
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(filled.astype(filled.dtype.newbyteorder("<")).tobytes(), np.uint8)
        model.buffers.append(buffer)
        graph.tensors[number].buffer = len(model.buffers) - 1
    tflite.rename(model, names)
    return tflite.packed(model)
