"""Turns a fuzzer's bytes into a .tflite: plain bytes seldom pass a flatbuffer's first table, so most are decisions instead.

The first byte chooses: the rest is the file itself; or a good file with some bytes overwritten; or a good file unpacked into the
schema's objects, some fields changed (numbers, lengths, references, sharing, options of other operations) and packed again.
"""

from __future__ import annotations

import struct
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

INTEGERS = (0, 1, -1, 2, 3, 4, 5, 7, 9, 16, 31, 32, 127, -128, 128, 255, 1 << 15, 65535, 1 << 16, 1 << 20, 1 << 22, 1 << 24,
            (1 << 31) - 1, -1 << 31)
FLOATS = (0.0, -1.0, 1.0, 0.5, 2.0**-15, 2.0**-14, 2.0**-8, 2.0**-7, 2.0**-20, 1e-12, 1e-13, 1e12, 1e-40, 3e38, float("inf"),
          float("nan"), 6.0, 10.0, 65536.0)
TEXTS = (b"", b"x", b"y", b"\xff\xfe", b"a\nb", b"FlexSplit", b"*/", b"n" * 5000)
MUTATIONS_MAX = 8
LONG = 300
"""Entries of a list; the schema's writer takes a tenth of a second for so many tensors of so many numbers each."""
WHOLE_BYTES_MAX = 3000
OPTIONS = sorted(name for name, number in vars(schema.BuiltinOptions).items() if isinstance(number, int) and number)
INT8 = ("type", "padding", "fusedActivationFunction", "deprecatedBuiltinCode", "weightsFormat", "customOptionsFormat",
        "quantizedBiasType")
UINT8 = ("builtinOptionsType", "detailsType")
UINT32 = ("buffer", "opcodeIndex", "externalBuffer", "offset", "size", "version")
UNREAD = frozenset(("description", "metadata", "metadataBuffer", "signatureDefs", "externalBuffers", "externalBufferGroups",
                    "variantTensors", "customOptions", "largeCustomOptionsOffset", "largeCustomOptionsSize", "debugMetadataIndex",
                    "mutatingVariableInputs", "builtinOptions2", "builtinOptions2Type", "min", "max"))
"""Fields that the reader never looks at."""
TABLES = {"sparsity": schema.SparsityParametersT, "details": schema.CustomQuantizationT,
          "quantization": schema.QuantizationParametersT}
UNPACKABLE = (struct.error, TypeError, ValueError, AttributeError, OverflowError, IndexError, AssertionError,
              flatbuffers.builder.IsNotNestedError, flatbuffers.builder.IsNestedError)


class Choices:
    """Small numbers out of the fuzzer's bytes; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def below(self, n: int) -> int:
        """A number in range(n), of as few bytes as that takes."""
        size = max(1, (max(n - 1, 1).bit_length() + 7) // 8)
        value = int.from_bytes(self._data[self._at:self._at + size], "little")
        self._at += size
        return value % n

    def of(self, options: Any) -> Any:
        return options[self.below(len(options))]

    def integer(self) -> int:
        return int(self.of(INTEGERS)) if self.below(2) else self.below(256)

    def number(self) -> float:
        return float(self.of(FLOATS)) if self.below(4) else 2.0 ** (self.below(64) - 40)


class Maker:
    """Files out of decisions. `seeds`: name to a good file."""

    def __init__(self, seeds: dict[str, bytes]) -> None:
        self._files = list(seeds.values())
        self._trees = [schema.ModelT.InitFromObj(schema.Model.GetRootAs(f, 0)) for f in self._files]

    def file(self, data: bytes) -> bytes | None:
        """The .tflite that `data` stands for; None when the schema's own writer cannot write it."""
        if not data:
            return b""
        choices = Choices(data[1:])
        if data[0] % 4 == 0:
            return data[1:]
        if data[0] % 4 == 1:
            return self._overwritten(choices)
        return self._changed(choices)

    def starts(self) -> list[bytes]:
        """Decisions to begin with: each seed as it is, in each of the three ways."""
        unchanged = [bytes([way, i]) for i in range(len(self._files)) for way in (1, 2)]
        return unchanged + [b"\0" + f for f in self._files if len(f) < WHOLE_BYTES_MAX]

    def _overwritten(self, choices: Choices) -> bytes:
        content = bytearray(choices.of(self._files))
        while choices:
            at = choices.below(len(content))
            way = choices.below(4)
            if way == 0:
                del content[max(at, 1):]
            elif way == 1:
                content[at] = choices.below(256)
            else:
                content[at & ~3:(at & ~3) + 4] = struct.pack("<i", choices.integer())
        return bytes(content)

    def _changed(self, choices: Choices) -> bytes | None:
        tree, undo = choices.of(self._trees), []
        try:
            for _ in range(MUTATIONS_MAX):
                if not choices:
                    break
                places = _places(tree)
                target, name = choices.of(places)
                undo.append((target, name, getattr(target, name)))
                setattr(target, name, _other(choices, name, getattr(target, name), places))
            builder = flatbuffers.Builder(4096)
            builder.Finish(tree.Pack(builder), b"TFL3")
            return bytes(builder.Output())
        except UNPACKABLE:
            return None
        finally:
            for target, name, value in reversed(undo):
                setattr(target, name, value)


def _places(tree: Any) -> list[tuple[Any, str]]:
    """Every (object, field) of what the reader looks at."""
    graph = tree.subgraphs[0] if tree.subgraphs else None
    tensors, operators = (getattr(graph, name, None) or [] for name in ("tensors", "operators"))
    objects = [tree, graph, *(tree.operatorCodes or []), *operators, *tensors, *(t.quantization for t in tensors),
               *(o.builtinOptions for o in operators), *(tree.buffers or [])]
    seen, places = set(), []
    for target in objects:
        if target is not None and id(target) not in seen:
            seen.add(id(target))
            places += [(target, name) for name in vars(target) if name not in UNREAD]
    return places


def _other(choices: Choices, name: str, value: Any, places: list[tuple[Any, str]]) -> Any:
    """Another value for the field `name`, which has `value`."""
    if choices.below(8) == 0 and not isinstance(value, int | float):
        return None
    if choices.below(4) == 0:  # what another object has there: its shape, name, buffer, scales, the very same object
        return getattr(choices.of([t for t, n in places if n == name]), name)
    if name == "builtinOptions":
        return getattr(schema, choices.of(OPTIONS) + "T")()
    if name in TABLES:
        return TABLES[name]()
    if isinstance(value, bool | np.bool_):
        return not value
    if isinstance(value, int):
        near = value + choices.below(9) - 4 if choices.below(2) else choices.below(max(2 * value, 4))
        return _fitting(name, choices.integer() if choices.below(3) == 0 else near)
    if isinstance(value, float):
        return choices.number()
    if isinstance(value, bytes | str) or name in ("customCode", "name"):
        return choices.of(TEXTS)
    if isinstance(value, list | np.ndarray) or value is None:
        real = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        new = _other_list(choices, list(value) if value is not None else [], real)
        return np.array(new, float if real else np.int64).astype(value.dtype) if isinstance(value, np.ndarray) else new
    return value


def _fitting(name: str, number: int) -> int:
    """A number that the schema's writer takes for the field `name`."""
    if name in INT8:
        return (number + 128) % 256 - 128
    return number % 256 if name in UINT8 else abs(number) if name in UINT32 else number


def _other_list(choices: Choices, values: list[Any], real: bool) -> list[Any]:
    objects = bool(values) and not isinstance(values[0], int | float | np.number)
    at = choices.below(len(values) + 1)
    way = choices.below(5)
    if way == 0:
        return values[:at]
    if way == 1:
        return values[:at] + values[at + 1:]
    if way == 2 and values:
        more = LONG if choices.below(16) == 0 else 1 + choices.below(4)
        return (values + [values[at % len(values)]] * more)[:max(LONG, len(values))]
    if objects:
        return values[at:] + values[:at]
    new = choices.number() if real else choices.integer()
    return values[:at] + [new] + values[at + (way == 3):]
