"""Frames: the shared vectors, round trips, and any bytes at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nociband.errors import WireError
from nociband.spec import SPEC
from nociband.wire import decode_frame, encode_frame, peek_kind

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/wire.json").read_text("utf-8"))
STREAM = [r for r in SPEC.records.values() if r.kind is not None]


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda v: f"{v['name']}-{v['seq']}")
def test_vectors_decode_and_encode(vector) -> None:
    data = bytes.fromhex(vector["hex"])
    frame = decode_frame(data)
    assert (frame.name, frame.epoch, frame.seq, frame.t_us) == tuple(vector[k] for k in ("name", "epoch", "seq", "t_us"))
    assert {k: np.asarray(v).tolist() for k, v in frame.values.items()} == vector["fields"]
    stamp = {k: vector[k] for k in ("epoch", "seq", "t_us")}
    assert encode_frame(vector["name"], **stamp, **vector["fields"]) == data
    assert peek_kind(data) == vector["name"]


def test_every_kind_has_a_vector() -> None:
    assert {v["name"] for v in VECTORS["frames"]} == {r.name for r in STREAM}


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda v: v["what"])
def test_refused_vectors(vector) -> None:
    with pytest.raises(WireError):
        decode_frame(bytes.fromhex(vector["hex"]))


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_raise_a_wire_error(data: bytes) -> None:
    try:
        frame = decode_frame(data)
    except WireError:
        return
    again = encode_frame(frame.name, epoch=frame.epoch, seq=frame.seq, t_us=frame.t_us, **frame.values)
    assert again == data


@given(st.sampled_from(STREAM), st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.randoms())
def test_round_trip(layout, epoch, seq, t_us, random) -> None:
    def value(field):
        low, high = int(np.iinfo(field.dtype).min), int(np.iinfo(field.dtype).max)
        drawn = [random.choice([low, high, random.randint(low, high)]) for _ in range(field.count)]
        return drawn if field.count > 1 else drawn[0]

    fields = {f.name: value(f) for f in layout.fields}
    frame = decode_frame(encode_frame(layout.name, epoch=epoch, seq=seq, t_us=t_us, **fields))
    assert (frame.name, frame.epoch, frame.seq, frame.t_us) == (layout.name, epoch, seq, t_us)
    assert {k: np.asarray(v).tolist() for k, v in frame.values.items()} == fields


def test_encoding_refuses_what_does_not_fit() -> None:
    with pytest.raises(WireError, match="not a record of the stream"):
        encode_frame("info", epoch=0, seq=0, t_us=0)
    with pytest.raises(WireError):
        encode_frame("status", epoch=256, seq=0, t_us=0, **VECTORS["frames"][4]["fields"])
    assert peek_kind(b"") is None and peek_kind(b"\xee") is None
