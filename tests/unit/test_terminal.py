"""The terminal view: what a person sees of each model, of trouble, and of nothing yet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.sdk.fake_band import manifest_dict

from nociband.manifest import Manifest
from nociband.records import FeatureBlock, Gap, Prediction, SignalBlock, Status
from nociband_tools.terminal import LiveView, screenshot, sparkline

NOW_S = 1000.0
STAMP = {"epoch": 1, "seq": 5, "t_us": 1, "host_time_s": NOW_S - 0.05, "host_uncertainty_s": 0.001}


def view_of(of: str) -> tuple[LiveView, Manifest]:
    manifest = Manifest.from_json(json.dumps(manifest_dict(of)).encode())
    return LiveView("NbTEST", manifest, clock=lambda: NOW_S), manifest


def text_of(view: LiveView) -> str:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))
    with console.file:
        console.print(view.render())
    return console.export_text()


def prediction(m: Manifest, why: tuple[str, ...] = ()) -> Prediction:
    p = m.probabilities([0, 0, 3000, 0, 0, 0, 0, 0])
    return Prediction(**STAMP, frame_index=600, score=None if why else m.score(p), labels=m.labels, probabilities=p, quality=0.9,
                      why=why, logits=(), compute_us=1000, of=m.of)


def test_before_anything_came() -> None:
    text = text_of(view_of("pain")[0])
    assert "waiting" in text and "not a medical device" in text and "trained on a simulator" in text


def test_a_model_of_pain() -> None:
    view, m = view_of("pain")
    view.feed(prediction(m))
    text = text_of(view)
    assert "score" in text and "of 10" in text and "moderate" in text and "90%" in text


def test_a_model_of_emotion_is_never_on_the_scale() -> None:
    view, m = view_of("emotion")
    for record in (prediction(m), prediction(m, ("motion",))):
        view.feed(record)
        text = text_of(view)
        assert "emotion, not pain" in text and ("neutral" in text) == (not record.why)
        assert "score" not in text.lower() and "of 10" not in text
    assert "NO RESULT" in text


def test_no_score_says_why() -> None:
    view, m = view_of("pain")
    view.feed(prediction(m, ("eda_electrode_off", "unknown_reason_13")))
    text = text_of(view)
    assert "NO SCORE" in text and "no contact with the skin" in text and "Unknown reason 13" in text and "of 10" not in text
    assert "moderate" not in text, "what cannot be trusted is no number, not even as a class"


def test_a_result_that_is_old_is_no_score() -> None:
    """The link went, and with it the predictions."""
    now = [NOW_S]
    m = view_of("pain")[1]
    view = LiveView("NbTEST", m, clock=lambda: now[0])
    view.feed(prediction(m))
    assert "of 10" in text_of(view)
    now[0] += 5
    text = text_of(view)
    assert "NO SCORE" in text and "5 s old" in text and "of 10" not in text and "moderate" not in text


def test_signals_battery_latency_and_gaps() -> None:
    view, _ = view_of("pain")
    features = np.tile(np.array([[512, 4096, 8192, 2048 * 7, 8192, 2048 * 5]], np.int16), (5, 1))
    for i in range(60):
        view.feed(FeatureBlock(**STAMP, frame_index=5 * i, features=features + i))
    view.feed(SignalBlock(**STAMP, sample_index=0, emg_counts=np.zeros((40, 2), np.int16), eda_counts=np.zeros(2, np.uint16),
                          received_s=NOW_S))
    view.feed(Status(**STAMP, state="running", battery_percent=41, flags=("signals_withheld",), samples_taken=1, underruns=3,
                     frames_sent=1, frames_dropped=0, predictions=0))
    assert "no frame missing" in text_of(view)
    view.feed(Gap(1, 40, 6, "slow_consumer"))
    text = text_of(view)
    for part in ("EDA", "EMG corrugator", "EMG zygomaticus", "uS", "uV", "battery 41 %", "underruns 3", "50 ms", "too narrow",
                 "6 frames missing", "frame 40", "slow consumer", "█"):
        assert part in text, part


@pytest.mark.parametrize("values,expected", [([], "    "), ([1, 1], "  ▁▁"), ([0, 1], "  ▁█"), ([5, 0, 1, 2, 3], "▁▃▆█")])
def test_sparklines(values, expected) -> None:
    assert sparkline(values, 4) == expected


def test_a_screenshot_is_an_svg(tmp_path: Path) -> None:
    view, m = view_of("pain")
    view.feed(prediction(m))
    screenshot(view, tmp_path / "deep" / "t.svg")
    picture = (tmp_path / "deep/t.svg").read_text()
    assert picture.startswith("<svg") and "@font-face" not in picture
