"""Reads a .tflite file into plain objects, and refuses what the band cannot run.

From to_tflite (or anywhere else) to to_c. One subgraph, static shapes, one of the two schemes (int16x8: int16 activations with
zero point 0; int8: int8 activations), the operations of nb_nn. Whatever else is found is named in the ModelError that refuses it.

A file is not trusted. Only what is needed is read, through the schema's lazy accessors; every vector read is paid for out of a
budget in proportion to the file's size, since offsets that many tables share would make a small file cost hours.
"""

from __future__ import annotations

import math
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nociband.errors import ModelError
from nociband_convert.tflite.graph import Graph, Op, Tensor, used_tensors
from nociband_convert.tflite.rules import CONSTANTS, FILE_BYTES_MAX, FORMS, QUANTISE, SUPPORTED, Damage, Form, check

OPERATIONS_MAX = 2048
TENSORS_MAX = 4096
RANK_MAX = 6
NAME_BYTES_MAX = 4096
MALFORMED = (struct.error, IndexError, TypeError, ValueError, AttributeError, KeyError, RuntimeError, ArithmeticError,
             AssertionError)
_READ_FACTOR = 2


def read(path: Path) -> Graph:
    """Read and check a file. Raises ModelError: not a .tflite, damaged, or something in it that the band cannot run."""
    data = _bytes(path)
    try:
        graph = _File(path.name, data).graph(path.stem)
        check(path.name, graph)
    except MALFORMED as e:
        reason = str(e) if isinstance(e, Damage) else f"{type(e).__name__}: {e}"
        raise ModelError(f"{path.name} is damaged ({reason}); convert the model again") from e
    return graph


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ModelError(f"{path} is a folder; name a .tflite file in it")
    try:
        with path.open("rb") as f:
            data = f.read(FILE_BYTES_MAX + 1)
    except OSError as e:
        raise ModelError(f"cannot read {path}: {e.strerror}; name a .tflite file") from e
    if len(data) > FILE_BYTES_MAX:
        raise ModelError(f"{path.name} has more than {FILE_BYTES_MAX >> 20} MiB, which no band can hold; make the model smaller")
    if data[4:8] != b"TFL3":
        raise ModelError(f"{path.name} is not a .tflite file (its identifier is {data[4:8]!r}, not b'TFL3'); name the file that "
                         "the conversion to TensorFlow Lite wrote")
    return data


@cache
def _names(enumeration: str) -> dict[int, str]:
    """Number to name of one of the schema's enumerations."""
    from ai_edge_litert import schema_py_generated as schema

    return {v: k for k, v in vars(getattr(schema, enumeration)).items() if isinstance(v, int)}


class _File:
    """One file's tables, read where needed. Methods raise Damage or another of MALFORMED, and ModelError for what is refused."""

    def __init__(self, name: str, data: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.name, self.schema = name, schema
        self.model = schema.Model.GetRootAs(data, 0)
        self.budget = _READ_FACTOR * len(data)

    def graph(self, name: str) -> Graph:
        if self.model.Version() != 3:
            raise ModelError(f"{self.name} has the format's version {self.model.Version()}; only 3 is known: convert it anew")
        source = self.model.Subgraphs(0) if self.model.SubgraphsLength() else None
        if source is None:
            raise Damage("it holds no graph")
        count = self._count("operations", source.OperatorsLength(), OPERATIONS_MAX)
        operators = [source.Operators(i) for i in range(count)]
        kinds = [self._kind(o.OpcodeIndex()) for o in operators]
        self._check_kinds(kinds)
        ops = tuple(self._op(kind, o) for kind, o in zip(kinds, operators, strict=True))
        ends = [self._numbers(v) for v in (source.InputsAsNumpy(), source.OutputsAsNumpy())]
        count = self._count("tensors", source.TensorsLength(), TENSORS_MAX)
        used = used_tensors(ops, *ends)
        free = (t for op in ops for t in (*op.inputs, *op.intermediates))  # -1: left out
        if not all(-1 <= t < count for t in free) or not used <= set(range(count)):
            raise Damage(f"an operation or the graph names a tensor beyond the {count} that there are")
        tensors = tuple(self._tensor(i, source.Tensors(i), i in used) for i in range(count))
        inputs, outputs = ({tensors[i].name: i for i in end} for end in ends)
        if len({*inputs, *outputs}) != sum(map(len, ends)):
            raise ModelError(f"{self.name}: two of its inputs and outputs have the same name; give each its own")
        return Graph(name, tensors, ops, inputs, outputs)

    def _count(self, what: str, count: int, most: int) -> int:
        if count > most:
            raise ModelError(f"{self.name} has {count} {what}, and at most {most} are read; make the model smaller, or convert "
                             "it again if the file is damaged")
        return int(count)

    def _vector(self, values: Any) -> np.ndarray:
        """A vector of numbers as the schema gives it (0 when it is not there), paid for."""
        if not isinstance(values, np.ndarray):
            return np.zeros(0, np.int32)
        self._pay(values.nbytes)
        return values

    def _numbers(self, values: Any) -> tuple[int, ...]:
        return tuple(self._vector(values).tolist())

    def _pay(self, size: int) -> None:
        self.budget -= size
        if self.budget < 0:
            raise Damage("its tables overlap")

    def _text(self, raw: bytes | None) -> str:
        self._pay(len(raw or b""))
        text = (raw or b"").decode()
        if len(text) > NAME_BYTES_MAX or not text.isprintable():
            raise Damage("a name is not printable text")
        return text

    def _kind(self, index: int) -> str:
        if index >= self.model.OperatorCodesLength():
            raise Damage(f"there is no operation code {index}")
        code = self.model.OperatorCodes(index)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = self._text(code.CustomCode()) if number == self.schema.BuiltinOperator.CUSTOM else ""
        return f"CUSTOM {custom}" if custom else _names("BuiltinOperator").get(number, f"number {number}")

    def _check_kinds(self, kinds: list[str]) -> None:
        for kind in kinds:
            if kind.startswith("CUSTOM Flex"):
                raise ModelError(f"{self.name}: {kind[7:]} needs TensorFlow itself (Flex), which no band has; write the model "
                                 "without it")
            if kind in ("WHILE", "IF"):
                raise ModelError(f"{self.name}: {kind} cannot run on the band; export one time step with its state as inputs "
                                 "and outputs")
            if kind == "DEQUANTIZE":
                raise ModelError(f"{self.name} is not fully quantised: DEQUANTIZE, so float inside; {QUANTISE}")
            if kind not in SUPPORTED:
                raise ModelError(f"{self.name}: the operation {kind} is not supported; supported are {', '.join(SUPPORTED)}")
        if self.model.SubgraphsLength() != 1:
            raise ModelError(f"{self.name}: {self.model.SubgraphsLength()} subgraphs; the band runs one: export the model as a "
                             "single function")
        if not kinds:
            raise ModelError(f"{self.name} has no operations, so there is nothing to run; convert the model again")

    def _op(self, kind: str, operator: Any) -> Op:
        inputs, outputs, between = (self._numbers(v) for v in (operator.InputsAsNumpy(), operator.OutputsAsNumpy(),
                                                              operator.IntermediatesAsNumpy()))
        if len(outputs) != 1:
            raise Damage(f"{kind} has {len(outputs)} outputs")
        return Op(kind, inputs, outputs, self._options(kind, FORMS[kind], operator), between)

    def _options(self, kind: str, form: Form, operator: Any) -> Any:
        """The options as the schema's object, with its defaults where the file may and does leave them out."""
        found = _names("BuiltinOptions").get(operator.BuiltinOptionsType())
        table = operator.BuiltinOptions()
        if found == "NONE" or table is None:
            if form.needs_options:
                raise Damage(f"{kind} lacks its {form.options}")
            return getattr(self.schema, form.options + "T")() if form.options else None
        if found != form.options:
            raise Damage(f"{kind} has the options of another operation ({found})")
        options = getattr(self.schema, form.options + "T").InitFromBuf(table.Bytes, table.Pos)
        for value in vars(options).values():
            self._vector(value)
        return options

    def _tensor(self, number: int, t: Any, used: bool) -> Tensor:
        name = self._text(t.Name()) or f"tensor{number}"
        dtype = _names("TensorType").get(t.Type(), f"type {t.Type()}").lower()
        shape = self._shape(name, t, used)
        scales, zero_points, axis = self._quantisation(name, shape, t.Quantization())
        data = self._stored(name, dtype, shape, t) if used else None
        return Tensor(name, shape, dtype, scales, zero_points, data, t.IsVariable(), axis)

    def _shape(self, name: str, t: Any, used: bool) -> tuple[int, ...]:
        shape, signature = self._numbers(t.ShapeAsNumpy()), self._numbers(t.ShapeSignatureAsNumpy())
        if len(shape) > RANK_MAX:
            raise ModelError(f"{self.name}: {name} has {len(shape)} dimensions; at most {RANK_MAX} are read: reshape it")
        if used and min((*shape, *signature), default=1) < 1:
            raise ModelError(f"{self.name}: the shape of {name} is dynamic ({[*shape, *signature]}); export it with fixed sizes")
        return shape

    def _quantisation(self, name: str, shape: tuple[int, ...], q: Any) -> tuple[tuple[float, ...], tuple[int, ...], int]:
        if q is None:
            return (), (), 0
        if q.DetailsType() != 0:
            raise ModelError(f"{self.name}: {name} is quantised in a way of its own; quantise by tensor or by channel")
        scales = self._vector(q.ScaleAsNumpy()).astype(np.float32)
        zero_points = self._numbers(q.ZeroPointAsNumpy())
        if not np.isfinite(scales).all() or (scales <= 0).any():
            raise Damage(f"a scale of {name} is not a positive number")
        if len(zero_points) != len(scales):
            raise Damage(f"{name} has {len(scales)} scales and {len(zero_points)} zero points")
        axis = q.QuantizedDimension()
        if not 0 <= axis < max(len(shape), 1) or (len(scales) > 1 and shape[axis:axis + 1] != (len(scales),)):
            raise Damage(f"{name} has scales along dimension {axis}, {len(scales)} of them; its shape is {list(shape)}")
        return tuple(scales.astype(np.float64).tolist()), zero_points, axis

    def _stored(self, name: str, dtype: str, shape: tuple[int, ...], t: Any) -> np.ndarray | None:
        """A constant's values, a view into the file."""
        if t.Buffer() >= self.model.BuffersLength():
            raise Damage(f"{name} lies in a buffer that is not there")
        buffer = self.model.Buffers(t.Buffer())
        if buffer.Size() > 0 or t.ExternalBuffer() > 0 or t.Sparsity() is not None:
            raise ModelError(f"{self.name}: {name} is stored sparse or outside the tables; convert without that")
        raw = buffer.DataAsNumpy()
        if not isinstance(raw, np.ndarray) or not len(raw):
            return None
        if t.IsVariable():
            raise Damage(f"{name} is both a state and a constant")
        if dtype not in CONSTANTS:
            raise ModelError(f"{self.name} is not fully quantised: the constant {name} is {dtype}; {QUANTISE}")
        if len(raw) != math.prod(shape) * np.dtype(dtype).itemsize:
            raise Damage(f"{name} has {len(raw)} bytes for the shape {list(shape)} in {dtype}")
        return np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).reshape(shape)
