"""Two small networks of the MLPerf Tiny kind with random weights, quantised here from a floating-point run, as .tflite files.

The schema alone makes them (no TensorFlow): an autoencoder of dense layers, and a keyword spotter of depthwise separable
convolutions. Scales come from the activations that random inputs cause, so that nothing saturates and outputs vary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from _nn import Builder, schema

SAME, VALID, RELU = 0, 1, 1
CALIBRATION = 24
VERSIONS = {"FULLY_CONNECTED": 11, "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "AVERAGE_POOL_2D": 3, "RESHAPE": 1, "SOFTMAX": 3}


@dataclass(frozen=True)
class Value:
    """A tensor: its number, and what it is in floating point for the calibration inputs, (n, *shape)."""

    number: int
    scale: float
    values: np.ndarray


class Network:
    """Adds a layer at a time to a .tflite of scheme "int8" (zero points anywhere) or "int16x8" (zero points 0)."""

    def __init__(self, scheme: str, shape: tuple[int, ...], seed: int) -> None:
        self.rng, self.model = np.random.default_rng(seed), Builder()
        self.dtype = "int8" if scheme == "int8" else "int16"
        offset = self.rng.normal(0, 1, (CALIBRATION, *[1] * len(shape)))
        self.x = self._tensor(self.rng.normal(0, 1, (CALIBRATION, *shape)) + offset, "input")
        self.shape = (1, *shape)

    def finish(self, y: Value) -> bytes:
        """The file."""
        return self.model.finish([self.x.number], [y.number])

    def inputs(self, count: int) -> np.ndarray:
        """Random inputs as the first tensor takes them, from faint to saturated."""
        low, high = (-128, 127) if self.dtype == "int8" else (-32768, 32767)
        size = self.rng.uniform(0.05, 0.5, (count, *[1] * len(self.shape)))
        noise, offset = self.rng.normal(0, 1, (count, *self.shape)), self.rng.normal(0, 0.3, size.shape)
        return np.clip(np.rint((noise * size + offset) * high), low, high).astype(self.dtype)

    def _tensor(self, values: np.ndarray, name: str = "", step: tuple[float, int] | None = None) -> Value:
        least, most = min(float(values.min()), 0.0), max(float(values.max()), 1e-3)
        if step is None:
            scale = (most - least) / 255 if self.dtype == "int8" else max(most, -least) / 32767
            zero = int(np.clip(np.rint(-128 - least / scale), -128, 127)) if self.dtype == "int8" else 0
        else:
            scale, zero = step
        number = self.model.tensor((1, *values.shape[1:]), self.dtype, [scale], zero, name=name)
        return Value(number, float(np.float32(scale)), values)

    def _random(self, shape: tuple[int, ...], outputs: int, fan_in: int) -> tuple[np.ndarray, np.ndarray]:
        return self.rng.normal(0, (2 / fan_in) ** 0.5, shape), self.rng.normal(0, 0.1, outputs)

    def _weights(self, x: Value, w: np.ndarray, bias: np.ndarray, axis: int | None) -> tuple[list[int], np.ndarray, np.ndarray]:
        """Numbers of weights and biases, and both as they are when quantised. axis: that has a scale for each index."""
        others = None if axis is None else tuple(i for i in range(w.ndim) if i != axis)
        scales = np.atleast_1d(np.abs(w).max(others)).astype(np.float32) / np.float32(127)
        along = [1] * w.ndim
        along[0 if axis is None else axis] = len(scales)
        whole = np.clip(np.rint(w / scales.reshape(along)), -127, 127).astype(np.int8)
        steps = scales.astype(float) * x.scale
        stored = np.rint(bias / steps).astype("int32" if self.dtype == "int8" else "int64")
        numbers = [self.model.constant(whole, scales.tolist(), axis=axis or 0), self.model.constant(stored, steps.tolist())]
        return numbers, whole * scales.reshape(along).astype(float), stored * steps

    def _layer(self, kind: str, x: Value, weights: list[int], values: np.ndarray, options) -> Value:
        y = self._tensor(values)
        self.model.op(kind, [x.number, *weights], [y.number], options, VERSIONS[kind])
        return y

    def dense(self, x: Value, outputs: int, relu: bool = True, spread: float | None = None) -> Value:
        """One scale for all weights, as is usual. spread: the outputs' standard deviation, around 0."""
        w, bias = self._random((outputs, x.values.shape[1]), outputs, x.values.shape[1])
        if spread is not None:
            w *= spread / (x.values @ w.T).std(0, keepdims=True).T
            bias = -(x.values @ w.T).mean(0)
        numbers, w, bias = self._weights(x, w, bias, None)
        values = x.values @ w.T + bias
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = RELU * relu
        return self._layer("FULLY_CONNECTED", x, numbers, np.maximum(values, 0) if relu else values, options)

    def conv(self, x: Value, outputs: int, kernel: tuple[int, int], stride: int = 1) -> Value:
        """With ReLU, padded."""
        channels = x.values.shape[3]
        random = self._random((outputs, *kernel, channels), outputs, kernel[0] * kernel[1] * channels)
        numbers, w, bias = self._weights(x, *random, 0)
        values = np.einsum("nhwcij,oijc->nhwo", _windows(x.values, kernel, stride), w, optimize=True) + bias
        return self._layer("CONV_2D", x, numbers, np.maximum(values, 0), _sliding(schema.Conv2DOptionsT(), stride))

    def depthwise(self, x: Value, kernel: tuple[int, int]) -> Value:
        """With ReLU, padded."""
        channels = x.values.shape[3]
        numbers, w, bias = self._weights(x, *self._random((1, *kernel, channels), channels, kernel[0] * kernel[1]), 3)
        values = np.einsum("nhwcij,ijc->nhwc", _windows(x.values, kernel, 1), w[0], optimize=True) + bias
        options = _sliding(schema.DepthwiseConv2DOptionsT(), 1)
        options.depthMultiplier = 1
        return self._layer("DEPTHWISE_CONV_2D", x, numbers, np.maximum(values, 0), options)

    def pooled(self, x: Value) -> Value:
        """The average of the whole image, as a row."""
        zero = self.model._graph.tensors[x.number].quantization.zeroPoint[0]
        options = schema.Pool2DOptionsT()
        options.filterHeight, options.filterWidth = options.strideH, options.strideW = x.values.shape[1:3]
        options.padding = VALID
        mean = self._tensor(x.values.mean((1, 2), keepdims=True), step=(x.scale, zero))
        self.model.op("AVERAGE_POOL_2D", [x.number], [mean.number], options, VERSIONS["AVERAGE_POOL_2D"])
        row = self._tensor(mean.values.reshape(CALIBRATION, -1), step=(x.scale, zero))
        shape = self.model.constant(np.array([1, row.values.shape[1]], np.int32))
        self.model.op("RESHAPE", [mean.number, shape], [row.number], schema.ReshapeOptionsT(), VERSIONS["RESHAPE"])
        return row

    def softmax(self, x: Value) -> Value:
        """On the scale that LiteRT asks for."""
        e = np.exp(x.values - x.values.max(1, keepdims=True))
        y = self._tensor(e / e.sum(1, keepdims=True), "output", (1 / 256, -128) if self.dtype == "int8" else (1 / 32768, 0))
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        self.model.op("SOFTMAX", [x.number], [y.number], options, VERSIONS["SOFTMAX"])
        return y


def _sliding(options, stride: int):
    options.padding, options.strideH, options.strideW, options.fusedActivationFunction = SAME, stride, stride, RELU
    return options


def _windows(x: np.ndarray, kernel: tuple[int, int], stride: int) -> np.ndarray:
    """(n, h, w, c, *kernel) with padding as TensorFlow's SAME."""
    pads = []
    for size, k in zip(x.shape[1:3], kernel, strict=True):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        pads.append((total // 2, total - total // 2))
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, kernel, (1, 2))[:, ::stride, ::stride]


def autoencoder(scheme: str, seed: int = 1) -> tuple[bytes, np.ndarray]:
    """640 - 4 x 128 - 8 - 4 x 128 - 640, ReLU: the file, and 50 inputs (50, 1, 640)."""
    network = Network(scheme, (640,), seed)
    y = network.x
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        y = network.dense(y, units)
    return network.finish(network.dense(y, 640, relu=False)), network.inputs(50)


def keyword_spotter(scheme: str, seed: int = 2) -> tuple[bytes, np.ndarray]:
    """49x10x1, conv 10x4 stride 2, 4 x (depthwise 3x3, pointwise) of 64 channels, average, dense 12, softmax; 50 inputs."""
    network = Network(scheme, (49, 10, 1), seed)
    y = network.conv(network.x, 64, (10, 4), 2)
    for _ in range(4):
        y = network.conv(network.depthwise(y, (3, 3)), 64, (1, 1))
    return network.finish(network.softmax(network.dense(network.pooled(y), 12, False, 1.5))), network.inputs(50)
