"""The small open sets for filters and front ends: made files, damaged ones, and the real ones where they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nociband.errors import DataError
from nociband.signals import datasets, registry

HEAD = "# Simple Text Format\n# Sampling Rate (Hz):= 1000.00\n# Resolution:= 12\n# Labels:= {}\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    session = tmp_path / "myo_forearm_emg" / "_readings_right_hand" / "10000-2"
    session.mkdir(parents=True)
    row = "1,-128,127,4,5,6,7,8,"
    (session / "3.txt").write_text("".join(f"{row}{3 * (k // 1000 % 2)}\r\n" for k in range(7000)))
    examples = tmp_path / "biosppy" / "examples"
    examples.mkdir(parents=True)
    for name, kind in (("emg.txt", "EMG"), ("emg_1.txt", "EMG"), ("eda.txt", "EDA")):
        (examples / name).write_text(HEAD.format(kind) + "2048\n2049.0\n")
    (tmp_path / "neurokit" / "data").mkdir(parents=True)
    (tmp_path / "neurokit" / "data" / "bio_eventrelated_100hz.csv").write_text(
        "ECG,EDA,Photosensor,RSP\n" + "".join(f"0.1,13.0,{0.0 if 200 <= k < 500 else 5.0},0.7\n" for k in range(1000)))
    return tmp_path


def test_myo(tree):
    info = registry.find("myo_forearm_emg")
    recording, = info.load(tree)
    assert (recording.subject, recording.sitting, recording.duration_s) == ("10000", "2/3", 35.0)
    assert [(e.t_s, e.duration_s, e.label) for e in recording.events[:2]] == [(0, 5, "rest"), (5, 5, "radial deviation")]
    assert [recording.channel(f"forearm{k}").samples[0] for k in (1, 2, 3, 8)] == [1, -128, 127, 8]
    assert info.check(tree) == [] and info.people_here(tree) == 1


def test_biosppy_and_neurokit(tree):
    assert [r.name for r in registry.find("biosppy").load(tree)] == ["biosppy:emg", "biosppy:emg_1", "biosppy:eda"]
    assert registry.find("biosppy").load(tree)[2].channel("eda").samples.tolist() == [2048, 2049]
    recording, = registry.find("neurokit").load(tree)
    assert [(e.t_s, e.duration_s) for e in recording.events] == [(2.0, 3.0)]
    assert recording.channel("eda").unit == "uS" and registry.find("neurokit").people_here(tree) == 1


@pytest.mark.parametrize(("name", "file", "old", "new", "message"), [
    ("myo_forearm_emg", "10000-2/3.txt", "127,4", "128,4", "3.txt, line 1: column 3 is 128, outside -128 to 127"),
    ("myo_forearm_emg", "10000-2/3.txt", "8,0\r\n", "8,7\r\n", "3.txt, line 1: column 9 is 7, neither 0 nor 3"),
    ("myo_forearm_emg", "10000-2/3.txt", "127,4", "4", "3.txt, line 1: 8 columns where 9 belong"),
    ("myo_forearm_emg", "10000-2/3.txt", "127,4", "a,4", "3.txt, line 1: column 3 is not a number ('a')"),
    ("biosppy", "emg.txt", "1000.00", "500.00", "emg.txt, header: states Sampling Rate (Hz) 500.00 where 1000.00 belongs"),
    ("biosppy", "emg.txt", "Labels:= EMG", "Labels:= EDA", "emg.txt, header: states Labels EDA where EMG belongs"),
    ("biosppy", "eda.txt", "2048", "4096", "eda.txt, line 5: 4096 is outside 12 bits"),
    ("biosppy", "eda.txt", "2049.0", "many", "eda.txt, line 6: column 1 is not a number ('many')"),
    ("neurokit", "bio_eventrelated_100hz.csv", "Photosensor", "Light", "line 1: no column 'Photosensor'"),
    ("neurokit", "bio_eventrelated_100hz.csv", "13.0", "wet", "line 2: column 'EDA' is not a number ('wet')"),
])
def test_damage_is_named(tree, name, file, old, new, message):
    path = datasets.locate(name, tree) / file
    content = path.read_bytes().decode()
    assert old in content
    path.write_bytes(content.replace(old, new, 1).encode())
    findings = registry.find(name).check(tree)
    assert len(findings) == 1 and message in str(findings[0]), [str(f) for f in findings]


def test_a_missing_and_a_truncated_file(tree):
    (tree / "biosppy" / "examples" / "emg_1.txt").unlink()
    with pytest.raises(DataError, match="emg_1.txt: no such file"):
        registry.find("biosppy").load(tree)
    assert [f.path.name for f in registry.find("biosppy").check(tree)] == ["emg_1.txt"]
    path = tree / "myo_forearm_emg" / "_readings_right_hand" / "10000-2" / "3.txt"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3000]))
    assert "15.0 s of data where 30 s or more belong" in str(registry.find("myo_forearm_emg").check(tree)[0])


@pytest.mark.skipif("NOCIBAND_DATA" not in os.environ or not datasets.available("neurokit"),
                    reason="NOCIBAND_DATA does not hold neurokit")
def test_the_real_example():
    recording, = registry.find("neurokit").load()
    assert recording.duration_s == 150 and [round(e.duration_s, 1) for e in recording.events] == [3.0] * 4
    assert recording.channel("eda").samples.min() == pytest.approx(12.95, abs=0.01)
    assert recording.channel("eda").samples.max() == pytest.approx(16.77, abs=0.01)
