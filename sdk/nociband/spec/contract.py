"""The contract: wire.toml, features.toml and bridge.toml as frozen objects.

Everything else reads UUIDs, layouts, rates and scales from here; C headers and docs/wire.md are generated from the same
objects by nociband_tools.generate (`make gen`).
"""

from __future__ import annotations

import hashlib
import json
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np

from nociband.errors import WireError

_CODES = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q"}


@dataclass(frozen=True)
class Field:
    """One field of a record. `count` is 1 for a scalar, n for an array, 0 for 'the rest of the frame'."""

    name: str
    type: str
    count: int = 1
    unit: str = ""
    doc: str = ""

    @property
    def dtype(self) -> np.dtype:
        """Little-endian NumPy dtype of one element."""
        return np.dtype(f"<{self.type[0]}{int(self.type[1:]) // 8}")

    @property
    def size(self) -> int:
        """Bytes of the field; 0 for the rest of the frame."""
        return self.dtype.itemsize * self.count


@dataclass(frozen=True)
class Layout:
    """A packed little-endian record."""

    name: str
    fields: tuple[Field, ...]
    doc: str = ""
    kind: int | None = None

    @property
    def size(self) -> int:
        """Bytes of the fixed part."""
        return sum(f.size for f in self.fields)

    @property
    def open_ended(self) -> bool:
        """True when the last field takes the rest of the frame."""
        return bool(self.fields) and self.fields[-1].count == 0

    def pack(self, **values: Any) -> bytes:
        """Encode; scalars as int, arrays as anything NumPy takes (flattened), the rest as bytes.

        Raises WireError for a missing, unknown, out-of-range or wrongly sized value.
        """
        if set(values) != {f.name for f in self.fields}:
            raise WireError(f"{self.name}: takes {[f.name for f in self.fields]}, got {sorted(values)}")
        out = bytearray()
        for f in self.fields:
            out += self._pack_field(f, values[f.name])
        return bytes(out)

    def _pack_field(self, f: Field, value: Any) -> bytes:
        if f.count == 1:
            try:
                return struct.pack("<" + _CODES[f.type], value)
            except struct.error as e:
                raise WireError(f"{self.name}.{f.name}: {value!r} is not a {f.type}") from e
        array = np.frombuffer(value, f.dtype) if isinstance(value, (bytes, bytearray)) else np.asarray(value).reshape(-1)
        limits = np.iinfo(f.dtype)
        if f.count and array.size != f.count:
            raise WireError(f"{self.name}.{f.name}: {array.size} values where {f.count} belong")
        if array.size and (array.min() < limits.min or array.max() > limits.max):
            raise WireError(f"{self.name}.{f.name}: a value is not a {f.type}")
        return array.astype(f.dtype).tobytes()

    def unpack(self, data: bytes) -> dict[str, Any]:
        """Decode to {field: int, 1-D array or bytes}. Raises WireError when the length is not the layout's."""
        if len(data) < self.size or (len(data) > self.size and not self.open_ended):
            raise WireError(f"{self.name}: {len(data)} bytes where {self.size}{'+' if self.open_ended else ''} belong")
        values: dict[str, Any] = {}
        at = 0
        for f in self.fields:
            if f.count == 0:
                values[f.name] = bytes(data[at:])
            elif f.count == 1:
                values[f.name] = struct.unpack_from("<" + _CODES[f.type], data, at)[0]
            else:
                values[f.name] = np.frombuffer(data, f.dtype, f.count, at)
            at += f.size
        return values


@dataclass(frozen=True)
class Characteristic:
    """One GATT characteristic and who may use it."""

    name: str
    id: int
    uuid: UUID
    properties: tuple[str, ...]
    security: str
    doc: str
    record: str | None = None


@dataclass(frozen=True)
class ControlOperation:
    """One operation of the control point."""

    name: str
    op: int
    request: Layout
    response: Layout
    doc: str


@dataclass(frozen=True)
class Message:
    """One message of the virtual board's channels."""

    name: str
    channel: str
    to: str
    type: int
    layout: Layout


@dataclass(frozen=True)
class Feature:
    """One model input: value = integer / 2**q in `unit`."""

    name: str
    branch: str
    unit: str
    q: int
    baseline: bool
    doc: str = ""


@dataclass(frozen=True)
class Spec:
    """The whole contract. `features` is features.toml as nested read-only mappings."""

    major: int
    minor: int
    hash: str
    service_uuid: UUID
    characteristics: Mapping[str, Characteristic]
    records: Mapping[str, Layout]
    control: Mapping[str, ControlOperation]
    enums: Mapping[str, Mapping[str, int]]
    flags: Mapping[str, Mapping[str, int]]
    messages: Mapping[str, Message]
    sites: Mapping[str, int]
    model_inputs: tuple[Feature, ...]
    wire: Mapping[str, Any] = field(repr=False)
    features: Mapping[str, Any] = field(repr=False)
    bridge: Mapping[str, Any] = field(repr=False)

    def record_of_kind(self, kind: int) -> Layout:
        """The layout of a stream record. Raises WireError for a kind that this SDK does not know."""
        for layout in self.records.values():
            if layout.kind == kind:
                return layout
        raise WireError(f"unknown record kind {kind}")

    def flag_names(self, group: str, bits: int) -> tuple[str, ...]:
        """Names of the bits that are set, e.g. flag_names('no_score', 1) -> ('baseline_unfinished',)."""
        return tuple(name for name, bit in self.flags[group].items() if bits >> bit & 1)


def _fields(rows: list[dict[str, Any]]) -> tuple[Field, ...]:
    return tuple(Field(**{**row, "count": 0 if row.get("count") == "rest" else row.get("count", 1)}) for row in rows)


def _read_only(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType({k: _read_only(v) for k, v in value.items()})
    return tuple(_read_only(v) for v in value) if isinstance(value, list) else value


def _without_docs(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_docs(v) for k, v in value.items() if k != "doc"}
    return [_without_docs(v) for v in value] if isinstance(value, list) else value


def _numbers(table: dict[str, Any]) -> Mapping[str, int]:
    return MappingProxyType({k: v for k, v in table.items() if k != "doc"})


def _attribute_uuid(base: str, number: int) -> UUID:
    return UUID(f"{base[:4]}{number:04x}{base[8:]}")


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text("utf-8"))


def load() -> Spec:
    """Read the three files. The hash is SHA-256 over wire.toml and features.toml as canonical JSON without their docs."""
    wire, features, bridge = _load("wire.toml"), _load("features.toml"), _load("bridge.toml")
    canonical = json.dumps(_without_docs({"wire": wire, "features": features}), sort_keys=True, separators=(",", ":"))
    base = wire["wire"]["base_uuid"]
    characteristics = {
        c["name"]: Characteristic(c["name"], c["id"], _attribute_uuid(base, c["id"]), tuple(c["properties"]), c["security"],
                                  c["doc"], c.get("record"))
        for c in wire["characteristic"]
    }
    records = {n: Layout(n, _fields(r["fields"]), r["doc"], r.get("kind")) for n, r in wire["record"].items()}
    control = {
        n: ControlOperation(n, c["op"], Layout(n, _fields(c["request"])), Layout(n, _fields(c["response"])), c["doc"])
        for n, c in wire["control"].items()
    }
    messages = {
        n: Message(n, m["channel"], m["to"], m["type"], Layout(n, _fields(m["fields"]), m.get("doc", "")))
        for n, m in bridge["message"].items()
    }
    return Spec(
        major=wire["wire"]["major"], minor=wire["wire"]["minor"],
        hash=hashlib.sha256(canonical.encode()).hexdigest(),
        service_uuid=_attribute_uuid(base, wire["service"]["id"]),
        characteristics=MappingProxyType(characteristics), records=MappingProxyType(records),
        control=MappingProxyType(control),
        enums=MappingProxyType({n: _numbers(e) for n, e in wire["enum"].items()}),
        flags=MappingProxyType({n: _numbers(e) for n, e in wire["flags"].items()}),
        messages=MappingProxyType(messages), sites=MappingProxyType(bridge["sites"]),
        model_inputs=tuple(Feature(**f) for f in features["feature"]),
        wire=_read_only(wire), features=_read_only(features), bridge=_read_only(bridge),
    )


SPEC = load()
