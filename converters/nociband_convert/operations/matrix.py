"""Matrix products: FULLY_CONNECTED and CONV_2D."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nociband_convert import quantise
from nociband_convert.operations.writer import GraphWriter, c_scale, writes
from nociband_convert.tflite import Op


def _matrix(w: GraphWriter, op: Op, weights: np.ndarray, scaled: Callable[[float, float, float, int], quantise.Channel]) -> str:
    """Constants of a layer, `weights` being (outputs, products each); returns "weights, biases, channels" as arguments."""
    x, y = w.ends(op)
    given = w.graph.tensors[op.inputs[1]].scales
    has_bias = len(op.inputs) > 2 and op.inputs[2] >= 0
    bias = w.stored(op, 2, "int64") if has_bias else np.zeros(len(weights), np.int64)
    scales = given if len(given) == len(weights) else given * len(weights)
    largest = np.abs(weights.astype(np.int64)).sum(1) * quantise.INT16_MAX_MAGNITUDE + np.abs(bias)
    channels = [scaled(x.scale, s, y.scale, int(m)) for s, m in zip(scales, largest, strict=True)]
    return ", ".join((w.constant("int8_t", "w", weights.reshape(-1).tolist()),
                      w.constant("int32_t", "bias", bias.tolist()),
                      w.constant("nb_nn_channel_t", "channel", map(c_scale, channels))))


@writes("FULLY_CONNECTED")
def fully_connected(w: GraphWriter, op: Op) -> None:
    w.no_activation(op)
    x, y = w.ends(op)
    weights = w.stored(op, 1, "int8")
    w.require(op, x.size == weights.shape[1], "works on more than one row")
    w.makes(op, len(weights))
    constants = _matrix(w, op, weights, quantise.channel)
    w.macs += weights.size
    w.calls.append(f"nb_nn_fully_connected({w.at(op.inputs[0])}, {x.size}, {constants}, {y.size}, "
                   f"{w.at(op.outputs[0])})")


@writes("CONV_2D")
def conv_2d(w: GraphWriter, op: Op) -> None:
    w.no_activation(op)
    x, _ = w.ends(op)
    o, weights = op.options, w.stored(op, 1, "int8")
    plain = (o.padding, o.strideH, o.strideW, o.dilationHFactor, o.dilationWFactor) == (0, 1, 1, 1, 1)
    w.require(op, plain, "is not 'same'-padded with stride and dilation 1")
    fits = len(x.shape) == 4 and x.shape[:2] == (1, 1) and weights.shape[1] == 1 and weights.shape[2] % 2 == 1
    w.require(op, fits, "is not over one dimension with an odd kernel")
    outputs, _, kernel, channels = weights.shape
    w.require(op, channels == x.shape[3], "has weights for another number of channels")
    w.makes(op, x.shape[2] * outputs)
    taps, rest = _matrix(w, op, weights.reshape(outputs, -1), quantise.conv_channel).split(", ", 1)
    w.macs += weights.size * x.shape[2]
    w.calls.append(f"nb_nn_conv({w.at(op.inputs[0])}, {x.shape[2]}, {channels}, {taps}, {kernel}, {rest}, {outputs}, "
                   f"{w.at(op.outputs[0])})")
