"""Reads a .tflite file into plain objects, and refuses what the band cannot run.

From to_tflite (or anywhere else) to to_c. One subgraph, static shapes, one of the two schemes (int16x8: int16 activations with
zero point 0; int8: int8 activations), the operations of nb_nn. Whatever else is found is named in the ModelError that refuses it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nociband.errors import ModelError

SUPPORTED = ("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS", "FULLY_CONNECTED",
             "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PAD", "QUANTIZE", "REDUCE_MAX", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE",
             "SLICE", "SOFTMAX", "SQUEEZE", "STRIDED_SLICE", "SUB", "TANH", "UNIDIRECTIONAL_SEQUENCE_LSTM")
SCHEMES = {"int16": "int16x8", "int8": "int8"}
MALFORMED = (struct.error, IndexError, TypeError, ValueError, AttributeError, KeyError, RuntimeError)


@dataclass(frozen=True, eq=False)
class Tensor:
    """`scales` one a channel (empty without quantisation), `zero_points` as many; `data` the constant's values, None for an
    activation. `variable`: a state that an operation keeps from call to call (an LSTM's h and c)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    data: np.ndarray | None
    variable: bool = False

    @property
    def scale(self) -> float:
        """The step of a tensor with one scale, exactly as its float32 is."""
        return self.scales[0]

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Op:
    """One operation: tensor numbers in and out (-1 for an input left out) and the options of the schema. `intermediates` are
    tensors that only tell the scales of values inside the operation (an LSTM's)."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any = None
    intermediates: tuple[int, ...] = ()


@dataclass(frozen=True)
class Graph:
    """A whole file. `inputs` and `outputs` map names to tensor numbers."""

    name: str
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, int] = field(default_factory=dict)

    def producer(self, tensor: int) -> Op | None:
        """The operation whose output `tensor` is."""
        return next((op for op in self.ops if tensor in op.outputs), None)

    @property
    def activations(self) -> tuple[int, ...]:
        """Numbers of the tensors that pass between operations, and in and out: no constants, states or intermediates."""
        used = {*self.inputs.values(), *self.outputs.values(), *(t for op in self.ops for t in (*op.inputs, *op.outputs))} - {-1}
        return tuple(t for t in sorted(used) if self.tensors[t].data is None and not self.tensors[t].variable)

    @property
    def scheme(self) -> str:
        """"int16x8" or "int8", by the activations' dtype. Raises ModelError for a mixture, which no scheme has."""
        dtypes = {self.tensors[t].dtype for t in self.activations}
        if len(dtypes) != 1 or not dtypes <= SCHEMES.keys():
            raise ModelError(f"{self.name}: its activations are {' and '.join(sorted(dtypes))}; quantise all of them to int16 "
                             "(scheme int16x8) or all to int8 (scheme int8)")
        return SCHEMES[dtypes.pop()]


def read(path: Path) -> Graph:
    """Read and check a file. Raises ModelError: not a .tflite, damaged, or something in it that the band cannot run."""
    data = _bytes(path)
    try:
        model = _parse(data)
        subgraphs = model.subgraphs
        kinds = [_kind(code) for code in model.operatorCodes]
        if len(subgraphs) != 1:
            raise ModelError(f"{path.name}: {len(subgraphs)} subgraphs ({', '.join(sorted(set(kinds)))}); the band runs one, "
                             "without WHILE and IF: export one time step with its state as inputs and outputs")
        graph = subgraphs[0]
        ops = tuple(Op(kinds[o.opcodeIndex], _numbers(o.inputs), _numbers(o.outputs), o.builtinOptions, _numbers(o.intermediates))
                    for o in graph.operators)
        _check_kinds(path.name, [op.kind for op in ops])
        tensors = tuple(_tensor(t, model.buffers) for t in graph.tensors)
        result = Graph(path.stem, tensors, ops, {tensors[i].name: i for i in _numbers(graph.inputs)},
                       {tensors[i].name: i for i in _numbers(graph.outputs)})
        _check_references(result)
    except MALFORMED as e:
        raise ModelError(f"{path.name} is damaged ({type(e).__name__}: {e}); convert the model again") from e
    _check_shapes(path.name, result, graph.tensors)
    _check_types(path.name, result)
    return result


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as e:
        raise ModelError(f"cannot read {path}: {e.strerror}") from e
    if data[4:8] != b"TFL3":
        raise ModelError(f"{path.name} is not a .tflite file (its identifier is {data[4:8]!r}, not b'TFL3')")
    return data


def _parse(data: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def _kind(code: Any) -> str:
    from ai_edge_litert import schema_py_generated as schema

    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return f"CUSTOM {code.customCode.decode()}" if code.customCode else names[number]


def _numbers(values: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in values) if values is not None else ()


def _tensor(t: Any, buffers: Any) -> Tensor:
    from ai_edge_litert import schema_py_generated as schema

    dtype = next(k for k, v in vars(schema.TensorType).items() if v == t.type).lower()
    shape = _numbers(t.shape)
    raw = buffers[t.buffer].data
    data = None
    if raw is not None and len(raw):
        data = np.frombuffer(np.asarray(raw, np.uint8).tobytes(), np.dtype(dtype).newbyteorder("<")).reshape(shape)
    q = t.quantization
    scales = tuple(float(np.float32(s)) for s in q.scale) if q is not None and q.scale is not None else ()
    zero_points = _numbers(q.zeroPoint) if q is not None else ()
    return Tensor(t.name.decode(), shape, dtype, scales, zero_points, data, bool(t.isVariable))


def _check_kinds(name: str, kinds: list[str]) -> None:
    for kind in kinds:
        if kind.startswith("CUSTOM Flex"):
            raise ModelError(f"{name}: {kind[7:]} needs TensorFlow itself (Flex), which no band has; write the model without it")
        if kind in ("WHILE", "IF"):
            raise ModelError(f"{name}: {kind} cannot run on the band; export one time step with its state as inputs and outputs")
        if kind not in SUPPORTED:
            raise ModelError(f"{name}: the operation {kind} is not supported; supported are {', '.join(SUPPORTED)}")


def _check_references(graph: Graph) -> None:
    count = len(graph.tensors)
    for op in graph.ops:
        if not op.outputs or not all(-1 <= t < count for t in op.inputs) or not all(0 <= t < count for t in op.outputs):
            raise ValueError(f"{op.kind} names tensors that are not there")


def _check_shapes(name: str, graph: Graph, tensors: Any) -> None:
    inside = {t for op in graph.ops for t in op.intermediates}
    for number, t in enumerate(tensors):
        dims = [*_numbers(t.shape), *_numbers(t.shapeSignature)]
        if number not in inside and any(d < 1 for d in dims):
            raise ModelError(f"{name}: the shape of {t.name.decode()} is dynamic ({dims}); export it with fixed sizes")


def _check_types(name: str, graph: Graph) -> None:
    for number in graph.activations:
        t = graph.tensors[number]
        if t.dtype not in SCHEMES or len(t.scales) != 1:
            raise ModelError(f"{name}: {t.name} is {t.dtype}; every activation must be quantised to int16 (scheme "
                             "int16x8) or int8")
    if graph.activations:
        graph.scheme  # noqa: B018  raises when mixed
    free = {n for n in range(len(graph.tensors)) if graph.tensors[n].dtype == "int8" and graph.tensors[n].data is None}
    for number, t in enumerate(graph.tensors):
        if any(t.zero_points) and number not in free:
            raise ModelError(f"{name}: {t.name} has a zero point other than 0, which only int8 activations may have")
