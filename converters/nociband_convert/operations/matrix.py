"""Matrix products and sliding windows: FULLY_CONNECTED, CONV_2D, DEPTHWISE_CONV_2D, AVERAGE_POOL_2D, MAX_POOL_2D.

Multipliers round as LiteRT does; sums of products are proven to fit into 32 bits, or the kernel with sums of 64 bits is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nociband.errors import ModelError
from nociband_convert.arithmetic import rounding
from nociband_convert.arithmetic.quantise import INT32_MAX, Channel, quantise_multiplier
from nociband_convert.c_text import c_scale
from nociband_convert.operations.writer import GraphWriter, writes
from nociband_convert.tflite import Graph, Op

_SAME, _VALID = 0, 1
_SUFFIX = {"int8": "s8", "int16": "s16"}
_BIAS = {"int8": "int32", "int16": "int64"}
_UINT16_MAX = 65535
_BIAS_MAX = 2**62
_NO_EFFECT = Channel(0, 33)
"""Of a channel whose factor is below 2^-32, which LiteRT makes 0."""


# --- layers ----------------------------------------------------------------------------------------------------------------


def _magnitude(w: GraphWriter, op: Op) -> int:
    """The greatest magnitude of an input without its zero point."""
    if w.dtype == "int16":
        return 2**15
    zero = w.ends(op)[0].zero_points[0]
    return max(127 - zero, zero + 128)


def _biases(w: GraphWriter, op: Op, outputs: int) -> np.ndarray:
    if len(op.inputs) < 3 or op.inputs[2] < 0:
        return np.zeros(outputs, np.int64)
    bias = w.stored(op, 2, _BIAS[w.dtype]).reshape(-1).astype(np.int64)
    w.require(op, len(bias) == outputs, f"has {len(bias)} biases for {outputs} outputs")
    return bias


def _factors(w: GraphWriter, op: Op, outputs: int) -> list[float]:
    """What a sum of products is multiplied by, for each output."""
    x, y = w.ends(op)
    scales = w.graph.tensors[op.inputs[1]].scales
    w.require(op, len(scales) in (1, outputs), f"has {len(scales)} weight scales for {outputs} outputs")
    return [x.scale * s / y.scale for s in (scales if len(scales) == outputs else scales * outputs)]


def _channel(factor: float, largest: int, twice: bool) -> Channel:
    """LiteRT's multiplier of a convolution, for sums up to `largest`: of 31 bits and rounded twice, or of 16 and rounded once."""
    if factor > 0 and math.frexp(factor)[1] < -31:
        return _NO_EFFECT
    multiplier, shift = quantise_multiplier(factor)
    if twice and largest << max(1, shift) > INT32_MAX:
        raise ModelError(f"a sum of products can reach {largest}, too much for 32 bits; make the layer narrower")
    if not twice:
        multiplier = min((multiplier + 2**15) >> 16, 0x7FFF) << 16
    return Channel(multiplier, 31 - shift)


def _fine(w: GraphWriter, op: Op, factor: float, largest: int) -> tuple[Channel, int]:
    """A fully connected layer's multiplier, and the next 31 bits of it."""
    y = w.ends(op)[1]
    outputs = 1 + max(abs(end - y.zero_points[0]) for end in w.activation_range(op))
    quantise_multiplier(factor)  # refuses what has no multiplier at all
    coarse, fine, right = rounding.multiplier(factor, largest, outputs)
    return Channel(coarse, right), fine


def _multipliers(w: GraphWriter, op: Op, largest: list[int], wide: bool) -> tuple[list[Channel], list[int]]:
    """Channel and finer bits of each output, whose sums go up to `largest`. Raises ModelError where a kernel would overflow."""
    full = op.kind == "FULLY_CONNECTED"
    found = []
    for factor, most in zip(_factors(w, op, len(largest)), largest, strict=True):
        channel, fine = _fine(w, op, factor, max(largest)) if full else (_channel(factor, most, w.dtype == "int8"), 0)
        reach = most * channel.multiplier >> channel.right if channel.right > 0 else most << 31
        if not (21 if wide else 1) <= channel.right <= 62 or reach + 256 > INT32_MAX or most >= 2**40:
            raise ModelError(f"{w.graph.name}: {op.kind} has an output of {factor:g} times sums up to {most}, out of reach; "
                             "check the calibration data")
        found.append((channel, fine))
    return [channel for channel, _ in found], [fine for _, fine in found]


def _layer(w: GraphWriter, op: Op, weights: np.ndarray, stored: np.ndarray) -> tuple[str, str]:
    """(address of a new nb_nn_layer_t, end of the kernel's name) for `weights` of shape (outputs, products).

    `stored` has the same weights in the order that the kernel reads them.
    """
    outputs, products = weights.shape
    x, y = w.ends(op)
    w.require(op, max(outputs, products) <= _UINT16_MAX, f"has {outputs} outputs of {products} products")
    bias = _biases(w, op, outputs)
    w.require(op, max(abs(b) for b in bias.tolist()) <= _BIAS_MAX, "has a bias so large that its sums could leave 64 bits")
    largest = np.abs(weights.astype(np.int64)).sum(1) * _magnitude(w, op) + np.abs(bias)
    wide = w.dtype == "int16" and int(largest.max()) > INT32_MAX
    if not wide and int(largest.max()) > INT32_MAX:
        raise ModelError(f"{w.graph.name}: {op.kind} has sums of products up to {largest.max()},"
                         " beyond 32 bits: make it narrower")
    channels, fine = _multipliers(w, op, largest.tolist(), wide)
    if op.kind != "DEPTHWISE_CONV_2D":  # the kernel takes x with its zero point in it, padding too
        bias = bias - x.zero_points[0] * weights.astype(np.int64).sum(1)
    if not wide and (np.abs(weights.astype(np.int64)).sum(1) * 2**7 + np.abs(bias)).max() > INT32_MAX and w.dtype == "int8":
        raise ModelError(f"{w.graph.name}: {op.kind} has biases up to {np.abs(bias).max()}, beyond 32 bits; make it narrower")
    least, greatest = w.activation_range(op)
    address = w.struct(
        "nb_nn_layer_t", "layer",
        weights=w.constant("int8_t", "w", stored.reshape(-1).tolist()),
        **{"wide_bias" if wide else "bias": w.constant("int64_t" if wide else "int32_t", "bias", bias.tolist())},
        channels=w.constant("nb_nn_channel_t", "channel", map(c_scale, channels)),
        fine=w.constant("int32_t", "fine", fine) if any(fine) else "NULL",
        outputs=outputs, products=products, x_zero=x.zero_points[0], y_zero=y.zero_points[0], least=least, greatest=greatest)
    return address, _SUFFIX[w.dtype] + ("_wide" if wide else "")


@writes("FULLY_CONNECTED")
def fully_connected(w: GraphWriter, op: Op) -> None:
    x, y = w.ends(op)
    weights = w.stored(op, 1, "int8")
    w.require(op, weights.ndim == 2 and x.size % weights.shape[1] == 0, f"multiplies {x.shape} by weights {weights.shape}")
    w.require(op, getattr(op.options, "weightsFormat", 0) == 0, "has weights in another order")
    rows = x.size // weights.shape[1]
    w.makes(op, rows * len(weights))
    layer, suffix = _layer(w, op, weights, weights)
    w.macs += rows * weights.size
    w.calls.append(f"nb_nn_fully_connected_{suffix}({w.at(op.inputs[0])}, {rows}, {layer}, {w.at(op.outputs[0])})")


# --- windows ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Window:
    """A kernel that slides over an image; pairs are (height, width)."""

    image: tuple[int, int]
    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: int

    @property
    def reach(self) -> tuple[int, int]:
        """From the first tap to the last."""
        return self._each(lambda i: (self.kernel[i] - 1) * self.dilation[i] + 1)

    @property
    def out(self) -> tuple[int, int]:
        """Positions."""
        if self.padding == _SAME:
            return self._each(lambda i: -(-self.image[i] // self.stride[i]))
        return self._each(lambda i: (self.image[i] - self.reach[i]) // self.stride[i] + 1)

    @property
    def before(self) -> tuple[int, int]:
        """Padding above and to the left."""
        return self._each(lambda i: max((self.out[i] - 1) * self.stride[i] + self.reach[i] - self.image[i], 0) // 2)

    @property
    def one_piece(self) -> bool:
        """Whether the window lies in the image without a gap wherever it stands."""
        padded = self.padding == _SAME and self.reach != (1, 1)
        return not padded and self.kernel[0] == 1 and (self.kernel[1] == 1 or self.dilation[1] == 1)

    @staticmethod
    def _each(value: Any) -> tuple[int, int]:
        return value(0), value(1)


def _window(graph: Graph, op: Op, kernel: tuple[int, int]) -> _Window:
    _, height, width, channels = graph.tensors[op.inputs[0]].shape
    o = op.options
    dilation = (getattr(o, "dilationHFactor", 1), getattr(o, "dilationWFactor", 1))
    return _Window((height, width), channels, kernel, (o.strideH, o.strideW), dilation, o.padding)


def _checked(w: GraphWriter, op: Op, window: _Window, outputs: int) -> str:
    """The address of a new nb_nn_window_t."""
    x, y = w.ends(op)
    sizes = (*window.image, window.channels, outputs, *window.kernel, *window.stride, *window.dilation)
    w.require(op, all(1 <= n <= _UINT16_MAX for n in sizes), f"has a size, stride or dilation outside 1 to {_UINT16_MAX}")
    w.require(op, window.padding in (_SAME, _VALID), f"has the padding {window.padding}")
    w.require(op, y.shape == (1, *window.out, outputs) and x.shape[0] == 1, f"makes {y.shape} of {x.shape}")
    return w.struct(
        "nb_nn_window_t", "window", height=window.image[0], width=window.image[1], channels=window.channels,
        out_height=window.out[0], out_width=window.out[1], outputs=outputs, kernel_height=window.kernel[0],
        kernel_width=window.kernel[1], stride_height=window.stride[0], stride_width=window.stride[1],
        dilation_height=window.dilation[0], dilation_width=window.dilation[1], top=window.before[0], left=window.before[1])


def _kernel(w: GraphWriter, op: Op) -> np.ndarray:
    """The weights of a convolution, once input, weights and output are known to be of four dimensions."""
    weights = w.stored(op, 1, "int8")
    x, y = w.ends(op)
    w.require(op, weights.ndim == len(x.shape) == len(y.shape) == 4, f"multiplies {x.shape} by weights {weights.shape}")
    return weights


def _patch(graph: Graph, op: Op) -> int:
    """Scratch of CONV_2D: a window's elements, unless it always lies in one piece."""
    weights = graph.tensors[op.inputs[1]]
    if len(weights.shape) != 4 or len(graph.tensors[op.inputs[0]].shape) != 4:
        return 0  # refused when it is written
    _, height, width, channels = weights.shape
    return 0 if _window(graph, op, (height, width)).one_piece else height * width * channels


@writes("CONV_2D", scratch=_patch)
def conv_2d(w: GraphWriter, op: Op) -> None:
    weights = _kernel(w, op)
    outputs, height, width, channels = weights.shape
    w.require(op, channels == w.ends(op)[0].shape[3], "has weights for another number of channels")
    window = _window(w.graph, op, (height, width))
    geometry = _checked(w, op, window, outputs)
    flat = weights.reshape(outputs, -1)
    layer, suffix = _layer(w, op, flat, flat)
    w.macs += weights.size * math.prod(window.out)
    w.calls.append(f"nb_nn_conv_{suffix}({w.at(op.inputs[0])}, {geometry}, {layer}, {w.scratch()}, {w.at(op.outputs[0])})")


@writes("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(w: GraphWriter, op: Op) -> None:
    weights = _kernel(w, op)
    _, height, width, outputs = weights.shape
    channels = w.ends(op)[0].shape[3]
    w.require(op, weights.shape[0] == 1 and outputs % channels == 0, f"makes {outputs} channels of {channels}")
    window = _window(w.graph, op, (height, width))
    geometry = _checked(w, op, window, outputs)
    taps = weights.reshape(-1, outputs)
    layer, suffix = _layer(w, op, taps.T, taps)
    w.macs += weights.size * math.prod(window.out)
    w.calls.append(f"nb_nn_depthwise_{suffix}({w.at(op.inputs[0])}, {geometry}, {layer}, {w.at(op.outputs[0])})")


@writes("AVERAGE_POOL_2D")
def average_pool_2d(w: GraphWriter, op: Op) -> None:
    _pool(w, op, "average_pool")


@writes("MAX_POOL_2D")
def max_pool_2d(w: GraphWriter, op: Op) -> None:
    _pool(w, op, "max_pool")


def _pool(w: GraphWriter, op: Op, kernel: str) -> None:
    x, y = w.ends(op)
    w.require(op, len(x.shape) == 4, f"slides over {x.shape}")
    w.require(op, (x.scale, x.zero_points) == (y.scale, y.zero_points), "changes the scale")
    window = _window(w.graph, op, (op.options.filterHeight, op.options.filterWidth))
    geometry = _checked(w, op, window, window.channels)
    taps = min(window.kernel[0], window.image[0]) * min(window.kernel[1], window.image[1])
    w.require(op, taps <= _UINT16_MAX, f"reaches over {taps} elements")
    least, greatest = w.activation_range(op)
    w.calls.append(f"nb_nn_{kernel}_{_SUFFIX[w.dtype]}({w.at(op.inputs[0])}, {geometry}, {least}, {greatest}, "
                   f"{w.at(op.outputs[0])})")
