"""Small good .tflite files, one for each operation that the reader takes, in both schemes; for the fuzzer and the reader's tests.

Built from the schema alone; `seeds` also has the shipped models' graphs and an LSTM over a window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _nn import MODELS, Builder, schema

from nociband_convert.graphs import lstm_graph

STEP = {"int16": 2.0**-12, "int8": 2.0**-5}
BIAS = {"int16": np.int64, "int8": np.int32}
BRANCH_STEPS, BRANCH_INPUTS, BRANCH_HIDDEN = 4, 2, 3


def options(kind: str, **values: object) -> Any:
    """The schema's options `kind` (without "OptionsT") with `values`."""
    made = getattr(schema, kind + "OptionsT")()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def single(dtype: str, kind: str, shapes: Sequence[Sequence[int]], out: Sequence[int], chosen: Any = None,
           numbers: Sequence[Sequence[Any]] = (), out_step: float | None = None, out_zero: int = 0) -> bytes:
    """One operation on activations of `shapes`, with constants int32 `numbers` after them."""
    model = Builder()
    given = [model.tensor(shape, dtype, [STEP[dtype]], name=f"x{i}") for i, shape in enumerate(shapes)]
    stored = [model.constant(np.array(n, np.int32)) for n in numbers]
    y = model.tensor(out, dtype, [out_step or STEP[dtype]], out_zero, name="y")
    model.op(kind, [*given, *stored], [y], chosen, version=1)
    return model.finish(given, [y])


def layer(dtype: str, kind: str, shape: Sequence[int], weights: Sequence[int], out: Sequence[int], axis: int,
          chosen: Any) -> bytes:
    """One operation with stored weights (a scale for each index of `axis`) and a bias."""
    model, rng = Builder(), np.random.default_rng(3)
    count = weights[axis]
    scales = [2.0**-9 * (1 + i / 8) for i in range(count)]
    x = model.tensor(shape, dtype, [STEP[dtype]], name="x")
    w = model.constant(rng.integers(-127, 128, weights).astype(np.int8), scales, axis=axis)
    b = model.constant(rng.integers(-99, 99, count).astype(BIAS[dtype]), [s * STEP[dtype] for s in scales])
    y = model.tensor(out, dtype, [STEP[dtype]], name="y")
    model.op(kind, [x, w, b], [y], chosen, version=1)
    return model.finish([x], [y])


def chain(dtype: str) -> bytes:
    """Several operations one after the other: a layer, a table, a product with what went in, a sum, a change of scale."""
    model = Builder()
    x = model.tensor((1, 4), dtype, [STEP[dtype]], name="x")
    w = model.constant(np.arange(-8, 8, dtype=np.int8).reshape(4, 4), [2.0**-7])
    dense = model.tensor((1, 4), dtype, [STEP[dtype]])
    table = model.tensor((1, 4), dtype, [2.0**-15 if dtype == "int16" else 2.0**-8], 0 if dtype == "int16" else -128)
    product = model.tensor((1, 4), dtype, [STEP[dtype]])
    total = model.tensor((1, 4), dtype, [2 * STEP[dtype]])
    y = model.tensor((1, 4), dtype, [STEP[dtype]], name="y")
    model.op("FULLY_CONNECTED", [x, w, -1], [dense], options("FullyConnected"))
    model.op("LOGISTIC", [dense], [table], version=1)
    model.op("MUL", [table, x], [product], options("Mul"))
    model.op("ADD", [product, x], [total], options("Add", potScaleInt16=False))
    model.op("QUANTIZE", [total], [y], options("Quantize"))
    return model.finish([x], [y])


def branch() -> bytes:
    """LiteRT's integer LSTM over a short window."""
    rng = np.random.default_rng(4)
    n, hidden = BRANCH_INPUTS, BRANCH_HIDDEN
    weights = lstm_graph.LstmWeights(rng.normal(0, 0.5, (4, hidden, n)), rng.normal(0, 0.5, (4, hidden, hidden)),
                                     rng.normal(0, 0.5, (4, hidden)))
    return lstm_graph.build("branch", weights, 2.0**-5, 1 / 127, -12, BRANCH_STEPS)


def _pool(kind: str) -> Callable[[str], bytes]:
    chosen = options("Pool2D", padding=1, strideW=2, strideH=1, filterWidth=2, filterHeight=1)
    return lambda d: single(d, kind, [(1, 1, 6, 2)], (1, 1, 3, 2), chosen)


def _unary(kind: str) -> Callable[[str], bytes]:
    return lambda d: single(d, kind, [(1, 5)], (1, 5))


def _table(kind: str, int8_step: float, int8_zero: int) -> Callable[[str], bytes]:
    step, zero = {"int16": 2.0**-15, "int8": int8_step}, {"int16": 0, "int8": int8_zero}
    return lambda d: single(d, kind, [(1, 5)], (1, 5), options("Softmax", beta=1.0) if kind == "SOFTMAX" else None,
                            out_step=step[d], out_zero=zero[d])


_CONV = {"padding": 0, "strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
_MAKE: dict[str, Callable[[str], bytes]] = {
    "ADD": lambda d: single(d, "ADD", [(1, 4), (1, 4)], (1, 4), options("Add", potScaleInt16=False)),
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "CONCATENATION": lambda d: single(d, "CONCATENATION", [(1, 3, 2), (1, 3, 1)], (1, 3, 3), options("Concatenation", axis=2)),
    "CONV_2D": lambda d: layer(d, "CONV_2D", (1, 1, 6, 2), (3, 1, 3, 2), (1, 1, 6, 3), 0, options("Conv2D", **_CONV)),
    "DEPTHWISE_CONV_2D": lambda d: layer(d, "DEPTHWISE_CONV_2D", (1, 1, 6, 2), (1, 1, 3, 2), (1, 1, 6, 2), 3,
                                         options("DepthwiseConv2D", depthMultiplier=1, **_CONV)),
    "EXPAND_DIMS": lambda d: single(d, "EXPAND_DIMS", [(1, 4)], (1, 1, 4), options("ExpandDims"), [[1]]),
    "FULLY_CONNECTED": lambda d: layer(d, "FULLY_CONNECTED", (1, 4), (3, 4), (1, 3), 0, options("FullyConnected")),
    "LOGISTIC": _table("LOGISTIC", 2.0**-8, -128),
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "MEAN": lambda d: single(d, "MEAN", [(1, 4, 3)], (1, 3), options("Reducer"), [[1]]),
    "MUL": lambda d: single(d, "MUL", [(1, 4), (1, 4)], (1, 4), options("Mul")),
    "PAD": lambda d: single(d, "PAD", [(1, 4)], (1, 7), options("Pad"), [[[0, 0], [1, 2]]]),
    "QUANTIZE": lambda d: single(d, "QUANTIZE", [(1, 4)], (1, 4), options("Quantize"), out_step=2 * STEP[d]),
    "REDUCE_MAX": lambda d: single(d, "REDUCE_MAX", [(1, 4, 3)], (1, 4, 1), options("Reducer", keepDims=True), [[2]]),
    "RELU": _unary("RELU"),
    "RELU6": _unary("RELU6"),
    "RELU_N1_TO_1": _unary("RELU_N1_TO_1"),
    "RESHAPE": lambda d: single(d, "RESHAPE", [(1, 4)], (2, 2), options("Reshape", newShape=[2, 2]), [[2, 2]]),
    "SLICE": lambda d: single(d, "SLICE", [(1, 4)], (1, 2), options("Slice"), [[0, 1], [1, 2]]),
    "SOFTMAX": _table("SOFTMAX", 2.0**-8, -128),
    "SQUEEZE": lambda d: single(d, "SQUEEZE", [(1, 1, 4)], (1, 4), options("Squeeze", squeezeDims=[1])),
    "STRIDED_SLICE": lambda d: single(d, "STRIDED_SLICE", [(1, 6)], (1, 3), options("StridedSlice"), [[0, 0], [1, 6], [1, 2]]),
    "SUB": lambda d: single(d, "SUB", [(1, 4), (1, 4)], (1, 4), options("Sub", potScaleInt16=False)),
    "TANH": _table("TANH", 2.0**-7, 0),
}


def singles() -> dict[str, bytes]:
    """"KIND scheme" to a file with one such operation, for every kind that the reader takes."""
    scheme = {"int16": "int16x8", "int8": "int8"}
    made = {f"{kind} {scheme[dtype]}": make(dtype) for kind, make in _MAKE.items() for dtype in scheme}
    return {**made, "UNIDIRECTIONAL_SEQUENCE_LSTM int8": branch()}


def seeds() -> dict[str, bytes]:
    """All good files, by name: single operations, chains, the shipped models."""
    shipped: list[Path] = [path for folder in MODELS for path in sorted(folder.glob("*.tflite"))]
    return {**singles(), "chain int16x8": chain("int16"), "chain int8": chain("int8"),
            **{f"{path.parent.name}/{path.stem}": path.read_bytes() for path in shipped}}
