"""The session file's bytes: an append-only row of checked entries, readable up to the last whole one after any crash.

    file   = "NBSESS1\n" entry*
    entry  = length u32 (of the payload), kind u8, crc u32 (CRC-32 of kind and payload), payload      little-endian
    kinds  H header, JSON            first entry: wire, spec_hash, band, firmware, created_s
           M manifest                the bytes that the band served
           T time exchange           sent_s f64, t_us u64, received_s f64
           B begin of a session      epoch u8
           F frame                   received_s f64, then the notification as it came
           E end, JSON               frames_in_all, account; missing when recording did not end as it should

Written by store.session's SessionWriter, read by open_session. Nothing is ever rewritten.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"NBSESS1\n"
HEAD = struct.Struct("<IBI")
EXCHANGE = struct.Struct("<dQd")
RECEIVED = struct.Struct("<d")
PAYLOAD_MAX = 1 << 20
KINDS = b"HMTBFE"


@dataclass(frozen=True)
class Entry:
    """One whole entry, or with kind "" what could not be read: `payload` is then empty and `problem` says what."""

    kind: str
    payload: bytes
    problem: str = ""


def pack_entry(kind: str, payload: bytes) -> bytes:
    """The bytes of one entry."""
    return HEAD.pack(len(payload), ord(kind), _crc(ord(kind), payload)) + payload


def read_entries(data: bytes) -> Iterator[Entry]:
    """Entries after the magic. A damaged one is passed over when the next can be told; what cannot ends the reading."""
    at = len(MAGIC)
    while at < len(data):
        if at + HEAD.size > len(data):
            yield Entry("", b"", f"cut off at byte {at}: {len(data) - at} bytes are left of an entry's head")
            return
        length, kind, crc = HEAD.unpack_from(data, at)
        if length > PAYLOAD_MAX or kind not in KINDS:
            yield Entry("", b"", f"unreadable from byte {at} on: {len(data) - at} bytes are not entries")
            return
        payload = data[at + HEAD.size:at + HEAD.size + length]
        if len(payload) < length:
            yield Entry("", b"", f"cut off at byte {at}: an entry has {len(payload)} of its {length} bytes")
            return
        whole = crc == _crc(kind, payload)
        yield Entry(chr(kind), payload) if whole else Entry("", b"", f"an entry at byte {at} is damaged (checksum)")
        at += HEAD.size + length


def _crc(kind: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(bytes([kind])))
