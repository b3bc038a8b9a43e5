"""The main job end to end, and that its check can fail."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from nociband_tools.firmware import firmware_root

pytestmark = pytest.mark.slow

KEYS = {"band", "source", "model", "seconds", "samples_fed", "samples_received", "samples_sha256_equal", "underruns",
        "predictions", "predictions_valid", "features_equal_host", "predictions_equal_host", "frames_lost", "face_updates",
        "fused_updates", "latency_ms_p50", "latency_ms_p99", "simulated"}
SHORT = ("--seconds", "9", "--band", "native", "--face", "none", "--no-monitor")


def _assert_whole(summary: dict) -> None:
    assert summary.keys() >= KEYS
    assert summary["samples_sha256_equal"] and summary["features_equal_host"] and summary["predictions_equal_host"]
    assert summary["samples_fed"] == summary["samples_received"] > 0
    assert summary["underruns"] == summary["frames_lost"] == 0


def test_on_the_emulated_cortex_m4f_with_a_person_who_was_not_in_training(run_demo, real_data) -> None:
    ran = run_demo("--seconds", "40", "--band", "qemu", env={"NOCIBAND_DATA": real_data})
    assert ran.status == 0, ran.text
    _assert_whole(ran.summary)
    assert ran.summary["model"] == "fmov_emotion3" and ran.summary["predictions_valid"] >= 15
    assert ran.summary["face_updates"] > 0 and ran.summary["fused_updates"] == 0     # not a model of pain: shown, not fused
    manifest = json.loads((firmware_root() / "models/fmov_emotion3/manifest.json").read_text())
    subject = re.search(r"\d+", ran.summary["source"].split("fmov")[-1])[0]
    people = manifest["training"]["subjects"]
    assert subject in map(str, people["held_out"])
    assert subject not in map(str, people["train"]) and subject not in map(str, people["validation"])
    assert any("carrier" in what for what in ran.summary["simulated"])


def test_on_the_simulator_with_the_pain_model_band_and_face_are_fused(run_demo) -> None:
    ran = run_demo("--seconds", "36", "--band", "qemu", env={"NOCIBAND_DATA": "", "NOCIBAND_CACHE": "/nonexistent"})
    assert ran.status == 0, ran.text
    _assert_whole(ran.summary)
    assert ran.summary["model"] == "synthetic_pain5"
    assert ran.summary["fused_updates"] > 0 and ran.summary["predictions_valid"] >= 11


def test_a_short_native_run_is_whole(run_demo) -> None:
    """The control of the fault tests below: the same run without a fault."""
    ran = run_demo(*SHORT, "--source", "simulator")
    assert ran.status == 0, ran.text
    _assert_whole(ran.summary)


@pytest.mark.parametrize(("fault", "what"), [("drop-frame", "lost"), ("flip-feature", "feature frames differ"),
                                             ("flip-sample", "not the samples fed")])
def test_the_check_fails_on(run_demo, fault: str, what: str) -> None:
    ran = run_demo(*SHORT, "--source", "simulator", "--fault", fault)
    assert ran.status == 1, ran.text
    assert what in " ".join(ran.summary["problems"])


def test_the_check_fails_on_one_flipped_weight(run_demo, tmp_path: Path) -> None:
    """A band built from a model whose generated C differs in one weight from the .tflite that the host holds."""
    original, flawed = firmware_root() / "models/synthetic_pain5", tmp_path / "synthetic_pain5"
    shutil.copytree(original, flawed)
    source = flawed / "nb_model_data.c"
    text = source.read_text()
    changed = flip_one_weight(text)
    assert changed != text
    source.write_text(changed)
    ran = run_demo(*SHORT, "--source", "simulator", "--model", str(flawed))
    assert ran.status == 1, ran.text
    assert ran.summary["features_equal_host"] and not ran.summary["predictions_equal_host"]
    assert "predictions differ" in " ".join(ran.summary["problems"])


def flip_one_weight(text: str) -> str:
    """Flip the top bit of the largest int8 weight of the first LSTM table in generated C."""
    table = re.search(r"static const int8_t [^=]*= *\{([^}]*)\}", text)
    assert table
    values = [int(v) for v in re.findall(r"-?\d+", table[1])]
    at = max(range(len(values)), key=lambda i: abs(values[i]))
    numbers = list(re.finditer(r"-?\d+", table[1]))
    begin, end = (table.start(1) + p for p in numbers[at].span())
    return text[:begin] + str(-values[at] - 1) + text[end:]
