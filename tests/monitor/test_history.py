"""What a browser is sent: everything at first, then what is new; and plain words for every reason there is."""

from __future__ import annotations

import json
import time

import numpy as np

from nociband.records import FusedPrediction, Gap
from nociband.spec import SPEC
from nociband_tools.live_state import LiveState, model_info
from nociband_tools.monitor.history import Cursor, History, Ring
from nociband_tools.monitor.words import BAND_WHY, band_why, face_why, fused_why

from .scripted import EMOTION, PAIN, course, face, features, prediction

RNG = np.random.default_rng(0)


def history(model=PAIN, **state) -> History:
    return History(lambda: LiveState(model=model_info(model), **state), lambda: 1000.0)


def test_first_everything_then_what_is_new() -> None:
    h, cursor = history(), Cursor()
    h.add(features(990.0, 0, 3.0, RNG))
    h.add(prediction(990.0, PAIN, 4, 3.0))
    first = h.since(cursor)
    assert len(first["signals"]["t"]) == 5 and first["signals"]["t"][:2] == [990.0, 990.04]
    assert first["predictions"][0]["score"] == 3.0 and first["state"]["model"]["of"] == "pain"
    assert h.since(cursor) == {}
    h.add(features(990.2, 5, 3.0, RNG))
    second = h.since(cursor)
    assert len(second["signals"]["t"]) == 5 and "predictions" not in second
    assert len(h.since(Cursor())["signals"]["t"]) == 10


def test_values_are_the_features_in_their_units() -> None:
    block, h = features(990.0, 0, 3.0, RNG), history()
    h.add(block)
    s = h.since(Cursor())["signals"]
    np.testing.assert_allclose(s["tonic"], block.eda_tonic_usiemens, atol=5e-4)
    np.testing.assert_allclose(s["eda"], block.eda_tonic_usiemens + block.eda_phasic_usiemens, atol=5e-4)
    np.testing.assert_allclose(s["emg2"], block.emg_envelope_uv[:, 1], atol=5e-4)


def test_a_gap_breaks_the_curve_once() -> None:
    h = history()
    for record in (features(990.0, 0, 3.0, RNG), Gap(0, 1, 2), Gap(0, 3, 2), features(991.0, 25, 3.0, RNG)):
        h.add(record)
    assert h.since(Cursor())["signals"]["eda"].count(None) == 1


def test_a_reader_that_fell_behind_gets_what_is_left() -> None:
    ring = Ring(3)
    for i in range(10):
        ring.add(i)
    assert ring.since(0) == [7, 8, 9] and ring.since(9) == [9] and ring.since(10) == []


def test_no_score_of_ten_leaves_for_a_model_that_is_not_of_pain() -> None:
    h = history(EMOTION)
    h.add(face(1000.0, 5.0))
    h.add(prediction(1000.0, EMOTION, 600, 5.0))
    message = h.since(Cursor())
    assert message["face"]["score"] is None and message["face"]["measures"]["brow_lowering"] > 0
    assert message["predictions"][0]["score"] is None and message["predictions"][0]["label"] in EMOTION.labels


def test_a_message_is_small_json_without_nan() -> None:
    h = history()
    start = time.time() - 600
    for _, record in course(PAIN, start, 600):
        h.add(record)
    h.add(FusedPrediction(1000.0, float("nan"), None, None, 0.0, 0.0, 0.0, ("band:stale",)))
    text = json.dumps(h.since(Cursor()), separators=(",", ":"), allow_nan=False)
    assert len(text) < 400_000


def test_every_reason_of_the_contract_has_plain_words() -> None:
    assert set(SPEC.flags["no_score"]) <= set(BAND_WHY)
    assert face_why(["no_face"]) == ["The camera sees no face"] and face_why(["odd_reason"]) == ["Odd reason"]
    learning = band_why(["baseline_unfinished", "window_incomplete"], 249)
    assert learning == ["Still learning this person's resting level (10 s left)"]
    assert band_why(["window_incomplete"], 24) == ["Waiting for the first seconds of signal (5 s left)"]
    both = ["band:motion", "face:no_face"]
    assert fused_why(both) == ["There is too much movement", "The camera sees no face"]
    assert fused_why(both, with_face=False) == ["There is too much movement"]


def test_another_model_or_a_forgotten_band_leaves_nothing_of_the_last() -> None:
    h, cursor = history(), Cursor()
    h.add(LiveState(model=model_info(PAIN)))
    h.add(features(990.0, 0, 3.0, RNG))
    h.add(prediction(990.0, PAIN, 4, 3.0))
    assert "signals" in h.since(cursor)
    h.add(LiveState(model=None))
    h.add(prediction(991.0, EMOTION, 4, 3.0))
    assert len(h.since(cursor)["predictions"]) == 1
    fresh = h.since(Cursor())
    assert "signals" not in fresh and len(fresh["predictions"]) == 1
