"""The manifest: what holds together is taken, everything else is refused with a SpecError."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sdk.fake_band import manifest_dict

from nociband.errors import SpecError
from nociband.manifest import Manifest
from nociband.spec import SPEC


def parse(of: str = "pain", **changes) -> Manifest:
    return Manifest.from_json(json.dumps(manifest_dict(of, **changes)).encode())


def test_a_model_of_pain_has_a_score() -> None:
    m = parse()
    p = m.probabilities([0, 0, 0, 0, 20000, 0, 0, 0])
    assert p.shape == (5,) and p.sum() == pytest.approx(1) and m.score(p) == pytest.approx(10, abs=1e-3)
    assert m.score(np.full(5, 0.2)) == pytest.approx(5)
    z = 0.001 * np.array([1000, 0, -500, 300, 20])
    assert m.probabilities([1000, 0, -500, 300, 20]) == pytest.approx(np.exp(z) / np.exp(z).sum())
    assert m.labels[0] == "none" and m.is_pain and len(m.input_scales) == 6 and m.sites == ("corrugator", "zygomaticus")


def test_a_model_of_emotion_has_none() -> None:
    m = parse("emotion")
    assert m.score([1, 0, 0]) is None and m.warning == "emotion, not pain" and not m.is_pain


def test_the_hash_is_of_the_bytes() -> None:
    data = json.dumps(manifest_dict()).encode()
    digest = hashlib.sha256(data).digest()
    assert Manifest.from_json(data, digest[:8]).hash == digest.hex()
    assert Manifest.from_json(data, digest[:8]).json_bytes == data
    with pytest.raises(SpecError, match="hash"):
        Manifest.from_json(data + b" ", digest[:8])


def classes(*rows) -> dict:
    return {"classes": [{"label": a, "value": b} for a, b in rows]}


@pytest.mark.parametrize("change,says", [
    ({"spec_hash": "0" * 64}, "specification"), ({"spec_hash": ""}, "specification"),
    ({"spec_hash": SPEC.hash[:4]}, "specification"),
    ({"features": ["eda_tonic"]}, "features"), ({"window_frames": 137}, "window"), ({"window_frames": True}, "bool"),
    ({"input": []}, "inputs"), ({"input": [{"mult": 1, "shift": 2}] * 5}, "inputs"),
    ({"input": [{"mult": 2**31, "shift": 1}] * 6}, "mult"), ({"input": [{"mult": 1, "shift": -1}] * 6}, "shift"),
    ({"input": [{"mult": 1, "shift": 47}] * 6}, "shift"),
    ({"input": [{"mult": 1.5, "shift": 1}] * 6}, "mult"), ({"output": {"scale": 0, "zero_point": 0}}, "scale"),
    ({"output": {"scale": 1}}, "zero_point"), ({"output": {"scale": True, "zero_point": 0}}, "scale"),
    (classes(("a", 1.0)), "classes"), (classes(("a", 1.0), ("a", 2.0)), "repeat"), (classes(("a", 1.0), ("b", None)), "value"),
    (classes(("a", 1.0), ("b", 11)), "0-10"), (classes(("a", 1.0), ("", 2.0)), "label"),
    (classes(*((f"c{i}", 1.0) for i in range(9))), "classes"), ({"classes": [1, 2]}, "label"),
    ({"sites": ["corrugator"]}, "sites"), ({"sites": ["nose", "ear"]}, "sites"), ({"warning": ""}, "warning"),
    ({"name": " "}, "empty"), ({"of": 3}, "of"), ({"synthetic": "yes"}, "synthetic"),
])
def test_what_does_not_hold_together_is_refused(change, says) -> None:
    with pytest.raises(SpecError, match=says):
        parse(**change)


def test_values_belong_to_pain_only() -> None:
    with pytest.raises(SpecError, match="not of pain"):
        parse("emotion", **classes(("a", 1.0), ("b", 2.0)))
    with pytest.raises(SpecError, match="warning"):
        parse("emotion", warning="")


@pytest.mark.parametrize("key", [k for k in manifest_dict() if k != "created_with"])
def test_a_missing_key_is_named(key) -> None:
    raw = manifest_dict()
    del raw[key]
    with pytest.raises(SpecError, match=key):
        Manifest.from_json(json.dumps(raw).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff\xfe", b"{", b"[" * 100_000, b'{"name": NaN}', b"null"])
def test_bytes_that_are_no_manifest(data) -> None:
    with pytest.raises(SpecError):
        Manifest.from_json(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data) -> None:
    with pytest.raises(SpecError):
        Manifest.from_json(data)


def test_too_few_logits() -> None:
    with pytest.raises(SpecError, match="logits"):
        parse().probabilities([1, 2])
