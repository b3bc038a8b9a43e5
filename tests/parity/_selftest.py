"""Makes sdk/nociband/inference/selftest.json: `python tests/parity/_selftest.py` writes it anew.

A graph a scheme with the operations that converted models consist of, each on its own and named, and one with LiteRT's integer
LSTM; with SHA-256 of what LiteRT's reference kernels give. The SDK asks any runtime for the same before it trusts it.
"""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _nn import ROOT, Builder, schema

from nociband.inference.runtime import SCHEMES, Runtime, answers
from nociband_convert import tflite
from nociband_convert.graphs import lstm_graph

TARGET = ROOT / "sdk/nociband/inference/selftest.json"
_X, _GATE = 8 / 32768, 2.0**-12        # of int16; an int8 step is 256 of them
_STEPS, _CHANNELS, _CLASSES, _KERNEL = 12, 16, 8, 7


class _Cases:
    """A graph of operations side by side on two inputs, each operation's output named after it."""

    def __init__(self, scheme: str) -> None:
        self._model, self._dtype = Builder(), SCHEME_DTYPES[scheme]
        self._wide = 1 if scheme == "int16x8" else 256
        self._rng = np.random.default_rng(11)
        shape = (1, _STEPS, _CHANNELS)
        self.inputs = [self._tensor(shape, _X, 0, "a"), self._tensor(shape, 1.7 * _X, -9, "b")]
        self.outputs: list[int] = []

    def _tensor(self, shape: Sequence[int], step: float, zero_point: int, name: str) -> int:
        zero_point = zero_point if self._dtype == "int8" else 0
        return self._model.tensor(shape, self._dtype, [step * self._wide], zero_point, name=name)

    def add(self, name: str, inputs: Sequence[int], shape: Sequence[int], step: float, zero_point: int = 0, options: Any = None,
            version: int = 2) -> int:
        """An operation with a new output of that name: its kind, and what sets it apart behind a blank or a colon."""
        number = self._tensor(shape, step, zero_point, name)
        self._model.op(name.replace(":", " ").split()[0], inputs, [number], options, version)
        self.outputs.append(number)
        return number

    def _layer(self, shape: Sequence[int], x_step: float, scales: np.ndarray, axis: int) -> list[int]:
        weights = self._rng.integers(-127, 128, shape).astype(np.int8)
        bias_type, reach = (np.int64, 2**22) if self._dtype == "int16" else (np.int32, 2**12)
        bias = self._rng.integers(-reach, reach, shape[axis]).astype(bias_type)
        return [self._model.constant(weights, scales.tolist(), axis=axis),
                self._model.constant(bias, (scales * x_step * self._wide).tolist())]

    def matrices(self) -> None:
        """Dense layers with scales an output and with one, and the attention's convolution."""
        flat = self.add("RESHAPE", [self.inputs[0], self._shape(_STEPS, _CHANNELS)], (_STEPS, _CHANNELS), _X, version=1)
        # Steps of 2^-10 to 2^-5 an output: multipliers of all kinds, right for one, wrong for the next in a poor kernel.
        spread = 2.0 ** self._rng.uniform(-10, -5, _CLASSES)
        for name, scales in (("FULLY_CONNECTED per channel", spread), ("FULLY_CONNECTED", spread[:1])):
            layer = self._layer((_CLASSES, _CHANNELS), _X, scales, 0) if len(scales) > 1 else self._one_scale(scales)
            self.add(name, [flat, *layer], (_STEPS, _CLASSES), 8 * _X, 5, schema.FullyConnectedOptionsT(), 4)
        rows = self.add("RESHAPE: rows", [self.inputs[1], self._shape(1, 1, _STEPS * _CHANNELS // 2, 2)],
                        (1, 1, _STEPS * _CHANNELS // 2, 2), 1.7 * _X, -9, version=1)
        options = schema.Conv2DOptionsT()
        options.padding, options.strideW, options.strideH = schema.Padding.SAME, 1, 1
        options.dilationWFactor, options.dilationHFactor = 1, 1
        layer = self._layer((1, 1, _KERNEL, 2), 1.7 * _X, np.array([0.0123]), 0)
        self.add("CONV_2D", [rows, *layer], (1, 1, _STEPS * _CHANNELS // 2, 1), 4 * _X, 3, options, 3)

    def _one_scale(self, scales: np.ndarray) -> list[int]:
        weights = self._rng.integers(-127, 128, (_CLASSES, _CHANNELS)).astype(np.int8)
        bias_type = np.int64 if self._dtype == "int16" else np.int32
        return [self._model.constant(weights, scales.tolist()),
                self._model.constant(np.arange(_CLASSES).astype(bias_type), (scales * _X * self._wide).tolist())]

    def _shape(self, *dims: int) -> int:
        return self._model.constant(np.array(dims, np.int32))

    def elements(self) -> None:
        """Products, sums, tables and changes of scale."""
        a, b = self.inputs
        shape = (1, _STEPS, _CHANNELS)
        gate = self.add("QUANTIZE", [a], shape, _GATE, 7, schema.QuantizeOptionsT(), 2)
        unit = 2.0**-15 if self._dtype == "int16" else 2.0**-16
        self.add("LOGISTIC", [gate], shape, unit, -128)
        self.add("TANH", [gate], shape, 2.0**-15, 0)
        self.add("MUL", [a, b], shape, 9 * _X, 4, schema.MulOptionsT())
        add = schema.AddOptionsT()
        add.potScaleInt16 = False
        self.add("ADD", [a, b], shape, 2.1 * _X, -3, add)

    def reductions(self) -> None:
        """Mean and maximum over channels and over time, the product by one factor a step, two tensors as one."""
        a, b = self.inputs
        for axis, shape in ((2, (1, _STEPS, 1)), (1, (1, 1, _CHANNELS))):
            options = schema.ReducerOptionsT()
            options.keepDims = True
            over = self._model.constant(np.array([axis], np.int32))
            largest = self.add(f"REDUCE_MAX: over {axis}", [b, over], shape, 1.7 * _X, -9, options)
            self.add(f"MEAN: over {axis}", [b, over], shape, 0.9 * _X, 2, options)
            if axis == 2:
                self.add("MUL: by rows", [a, largest], (1, _STEPS, _CHANNELS), 9 * _X, 4, schema.MulOptionsT())
        join = schema.ConcatenationOptionsT()
        join.axis = 2
        self.add("CONCATENATION", [a, a], (1, _STEPS, 2 * _CHANNELS), _X, 0, join)

    def finish(self) -> bytes:
        """The .tflite."""
        return self._model.finish(self.inputs, self.outputs)


SCHEME_DTYPES = {"int16x8": "int16", "int8": "int8"}


def graphs(scheme: str) -> list[bytes]:
    """The self-test's graphs of a scheme."""
    cases = _Cases(scheme)
    cases.matrices()
    cases.elements()
    cases.reductions()
    made = [cases.finish()]
    if scheme == "int8":
        rng = np.random.default_rng(12)
        hidden, inputs = 8, 4
        weights = lstm_graph.LstmWeights(rng.normal(0, 0.8, (4, hidden, inputs)), rng.normal(0, 0.8, (4, hidden, hidden)),
                                         rng.normal(0, 0.5, (4, hidden)))
        made.append(_renamed(lstm_graph.build("lstm", weights, 3 / 127, 1 / 127, -12, _STEPS), "UNIDIRECTIONAL_SEQUENCE_LSTM"))
    return made


def _renamed(content: bytes, name: str) -> bytes:
    """With the only output called `name`."""
    model = tflite.opened(content)
    graph = model.subgraphs[0]
    graph.tensors[graph.outputs[0]].name = name
    return tflite.packed(model)


def document() -> str:
    """The JSON, answers by LiteRT's reference kernels as installed."""
    from importlib.metadata import version

    from ai_edge_litert import interpreter

    reference = Runtime("ai-edge-litert", version("ai-edge-litert"), "BUILTIN_REF", interpreter)
    cases = {scheme: [{"graph": textwrap.wrap(base64.b64encode(content).decode(), 120),
                       "outputs": answers(reference.interpreter(content))} for content in graphs(scheme)] for scheme in SCHEMES}
    return json.dumps(cases, indent=1) + "\n"


if __name__ == "__main__":
    Path(TARGET).write_text(document(), "utf-8")
