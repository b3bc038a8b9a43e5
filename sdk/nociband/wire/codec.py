"""Frames of the stream characteristic: bytes in, checked fields out, and back (for tests, replays and emulated peers).

Bytes come from a notification (band), a session file (store) or a test; fields go to wire.reader. Layouts are spec/wire.toml's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nociband.errors import WireError
from nociband.spec import SPEC, Layout

HEADER = SPEC.records["frame_header"]
FRAME_BYTES_MAX = int(SPEC.wire["wire"]["att_mtu"]) - 3
_LAYOUT_OF_KIND: Mapping[int, Layout] = {r.kind: r for r in SPEC.records.values() if r.kind is not None}


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame: `name` of the record in wire.toml, its header, and `values` {field: int, 1-D array or bytes}."""

    name: str
    epoch: int
    seq: int
    t_us: int
    values: Mapping[str, Any]


def decode_frame(data: bytes | bytearray | memoryview) -> Frame:
    """Decode one notification of the stream.

    Raises WireError when it is shorter than a header, longer than a frame may be, of an unknown kind, or not exactly as long
    as its kind's layout. Nothing else is raised, whatever the bytes are.
    """
    raw = bytes(data)
    if len(raw) < HEADER.size:
        raise WireError(f"frame: {len(raw)} bytes are fewer than the {HEADER.size} of a header")
    if len(raw) > FRAME_BYTES_MAX:
        raise WireError(f"frame: {len(raw)} bytes are more than the {FRAME_BYTES_MAX} that a frame may have")
    header = HEADER.unpack(raw[:HEADER.size])
    layout = _LAYOUT_OF_KIND.get(header["kind"])
    if layout is None:
        raise WireError(f"frame: unknown record kind {header['kind']}")
    return Frame(layout.name, header["epoch"], header["seq"], header["t_us"], layout.unpack(raw[HEADER.size:]))


def encode_frame(name: str, *, epoch: int, seq: int, t_us: int, **values: Any) -> bytes:
    """Encode a record of wire.toml that has a kind. Raises WireError for an unknown name or values that do not fit."""
    layout = SPEC.records.get(name)
    if layout is None or layout.kind is None:
        raise WireError(f"{name!r} is not a record of the stream; those are {[r.name for r in _LAYOUT_OF_KIND.values()]}")
    return HEADER.pack(kind=layout.kind, epoch=epoch, seq=seq, t_us=t_us) + layout.pack(**values)


def peek_epoch(data: bytes | bytearray) -> int | None:
    """Number of the session that a frame belongs to, without decoding it; None when it has no header."""
    return int(HEADER.unpack(bytes(data[:HEADER.size]))["epoch"]) if len(data) >= HEADER.size else None


def peek_kind(data: bytes | bytearray) -> str | None:
    """Name of the record in a frame without decoding it; None when it is not known."""
    layout = _LAYOUT_OF_KIND.get(data[0]) if data else None
    return layout.name if layout else None
