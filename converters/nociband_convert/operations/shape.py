"""What changes shape or scale: MEAN, REDUCE_MAX, CONCATENATION, RESHAPE, QUANTIZE."""

from __future__ import annotations

import numpy as np

from nociband_convert import quantise
from nociband_convert.operations.writer import GraphWriter, writes
from nociband_convert.tflite import Op


def _reduced(w: GraphWriter, op: Op) -> tuple[int, int, int]:
    shape, axis = w.graph.tensors[op.inputs[0]].shape, w.stored(op, 1, "int32")
    w.require(op, axis.size == 1, "reduces over several dimensions")
    at = int(axis.reshape(-1)[0]) % len(shape)
    outer, inner = int(np.prod(shape[:at])), int(np.prod(shape[at + 1:]))
    w.makes(op, outer * inner)
    return outer, shape[at], inner


@writes("MEAN")
def mean(w: GraphWriter, op: Op) -> None:
    x, y = w.ends(op)
    outer, count, inner = _reduced(w, op)
    scale = w.scale(quantise.mean(x.scale, y.scale, count))
    w.calls.append(f"nb_nn_mean({w.at(op.inputs[0])}, {outer}, {count}, {inner}, {scale}, {w.at(op.outputs[0])})")


@writes("REDUCE_MAX")
def reduce_max(w: GraphWriter, op: Op) -> None:
    x, y = w.ends(op)
    w.require(op, x.scale == y.scale, "changes the scale")
    outer, count, inner = _reduced(w, op)
    w.calls.append(f"nb_nn_reduce_max({w.at(op.inputs[0])}, {outer}, {count}, {inner}, {w.at(op.outputs[0])})")


@writes("CONCATENATION")
def concatenation(w: GraphWriter, op: Op) -> None:
    w.no_activation(op)
    parts, y = [w.graph.tensors[t] for t in op.inputs], w.graph.tensors[op.outputs[0]]
    w.require(op, len(parts) == 2 and op.options.axis % len(y.shape) == len(y.shape) - 1,
              "joins more than two tensors, or not along the last dimension")
    w.require(op, all(p.scale == y.scale for p in parts), "joins tensors of different scales")
    a, b = parts
    w.require(op, a.shape[:-1] == b.shape[:-1], f"joins {a.shape} and {b.shape}")
    w.makes(op, a.size + b.size)
    w.calls.append(f"nb_nn_concatenate({w.at(op.inputs[0])}, {a.shape[-1]}, {w.at(op.inputs[1])}, {b.shape[-1]}, "
                   f"{y.size // y.shape[-1]}, {w.at(op.outputs[0])})")


@writes("RESHAPE")
def reshape(w: GraphWriter, op: Op) -> None:
    w.makes(op, w.graph.tensors[op.inputs[0]].size)
    w.require(op, op.outputs[0] not in w.graph.outputs.values(), "makes an output of the graph")


@writes("QUANTIZE", in_place=True)
def quantize(w: GraphWriter, op: Op) -> None:
    x, y = w.ends(op)
    w.makes(op, x.size)
    scale = w.scale(quantise.requantise(x.scale, y.scale))
    w.calls.append(f"nb_nn_requantise({w.at(op.inputs[0])}, {x.size}, {scale}, {w.at(op.outputs[0])})")
