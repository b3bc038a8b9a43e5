"""The Stress-Predict loader on a small made tree, on damaged ones, and on the real data set where it is."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nociband.errors import DataError
from nociband.signals import datasets, registry
from nociband.signals import stress_predict as sp

START = 1_644_829_925
SECONDS = 660
LABELS = "Processed_data/Improved_All_Combined_hr_rsp_binary.csv"


def e4(start: float, rate: float, rows: list[str], columns: int = 1) -> str:
    head = [", ".join([f"{value:.6f}"] * columns) for value in (start, rate)]
    return "\n".join([*head, *rows]) + "\n"


def labels(people: dict[int, list[int]], start: int = START + 9) -> str:
    lines = ["Participant,HR,respr,Time(sec),Label"]
    lines += [f"{p},80.0,,{start + k},{v}" for p, values in people.items() for k, v in enumerate(values)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """S01 without labels, S02 with acceleration; stress from 100 to 400 s after the labels begin."""
    top = tmp_path / "data" / "stress_predict"
    for name in ("S01", "S02"):
        folder = top / "Raw_data" / name
        folder.mkdir(parents=True)
        (folder / "EDA.csv").write_text(e4(START, 4, [f"{k / 4:.6f}" for k in range(SECONDS * 4)]))
        (folder / "TEMP.csv").write_text(e4(START, 4, ["29.53"] * (SECONDS * 4)))
        (folder / "HR.csv").write_text(e4(START + 10, 1, ["85.00"] * (SECONDS - 10)))
    (folder / "ACC.csv").write_text(e4(START, 32, ["-64,0,32"] * (SECONDS * 32), 3))
    (top / "Processed_data").mkdir()
    made = labels({2: [0] * 100 + [1] * 300 + [0] * 251})
    (top / f"{LABELS}.gz").write_bytes(gzip.compress(made.encode()))
    return tmp_path / "data"


def edit(path: Path, line: int, text: str | None) -> Path:
    """Replace a line (counted from 1), or cut the file before it."""
    lines = path.read_text().splitlines()
    lines = lines[:line - 1] if text is None else [*lines[:line - 1], text, *lines[line:]]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_sound_tree(tree):
    first, second = sp.load(tree)
    assert (first.subject, second.subject) == ("S01", "S02")
    assert sp.check(tree) == []
    assert first.events == () and "no labels" in first.notes
    eda = second.channel("eda")
    assert (eda.rate_hz, eda.unit) == (4.0, "uS")
    assert eda.samples[0] == 10.0, "every channel begins when the last of them does: heart rate, after 10 s"
    assert {c.duration_s for c in second.channels.values()} == {SECONDS - 10}
    assert second.channel("temperature").unit == "degC" and second.channel("heart_rate").unit == "bpm"
    assert [second.channel(f"accel_{a}").samples[5] for a in "xyz"] == [-1.0, 0.0, 0.5]
    assert "accel_x" not in first.channels
    # the labels begin 1 s before the recording does, whose first second is the labels' second
    assert [(e.t_s, e.duration_s, e.label) for e in second.events] == [(0, 99, "rest"), (99, 300, "stress"), (399, 251, "rest")]


def test_one_person(tree):
    assert sp.load_subject(2, tree).name == sp.load_subject("S02", tree).name == "stress_predict:S02"
    with pytest.raises(DataError, match="no subject 'S77' here; there are S01, S02"):
        sp.load_subject("S77", tree)


def test_labels_that_outlast_the_recording_are_cut_to_it(tree):
    eda = tree / "stress_predict/Raw_data/S02/EDA.csv"
    edit(eda, 620 * 4 + 3, None)
    events = sp.load_subject(2, tree).events
    assert events[-1].t_s + events[-1].duration_s == 610


DAMAGES = {
    "a missing file": (lambda t: (t / "Raw_data/S02/EDA.csv").unlink(), "S02/EDA.csv: no such file"),
    "another rate": (lambda t: edit(t / "Raw_data/S02/EDA.csv", 2, "8.000000"),
                     "S02/EDA.csv, line 2: the sampling rate is 8 Hz where 4 Hz belong"),
    "another rate of one axis": (lambda t: edit(t / "Raw_data/S02/ACC.csv", 2, "32.0, 32.0, 16.0"),
                                 "S02/ACC.csv, line 2: the sampling rate is 16 Hz where 32 Hz belong"),
    "a start that is no time": (lambda t: edit(t / "Raw_data/S02/TEMP.csv", 1, "12"),
                                "S02/TEMP.csv, line 1: 12 is no Unix time"),
    "a start on another day": (lambda t: edit(t / "Raw_data/S02/TEMP.csv", 1, f"{START - 86400}"),
                               "S02/TEMP.csv, line 1: begins -86400 s from the EDA's beginning"),
    "not a number": (lambda t: edit(t / "Raw_data/S02/EDA.csv", 1002, "O.5"),
                     "S02/EDA.csv, line 1002: column 1 is not a number ('O.5')"),
    "NaN": (lambda t: edit(t / "Raw_data/S02/TEMP.csv", 7, "nan"), "S02/TEMP.csv, line 7: column 1 is nan"),
    "a missing column": (lambda t: edit(t / "Raw_data/S02/ACC.csv", 500, "-64,0"),
                         "S02/ACC.csv, line 500: 2 columns where 3 belong"),
    "a number too many": (lambda t: edit(t / "Raw_data/S02/EDA.csv", 10, "1.5 1.5"),
                          "S02/EDA.csv, line 10: 2 columns where 1 belong"),
    "cut short": (lambda t: edit(t / "Raw_data/S02/EDA.csv", 800, None),
                  "S02/EDA.csv: 189 s of data where 600 s or more belong: the file looks truncated"),
    "cut after the rate": (lambda t: edit(t / "Raw_data/S02/HR.csv", 3, None), "S02/HR.csv: nothing follows line 2"),
    "empty": (lambda t: (t / "Raw_data/S02/EDA.csv").write_text(""), "S02/EDA.csv: 0 lines; start, rate and samples belong here"),
    "not gzip": (lambda t: (t / f"{LABELS}.gz").write_bytes(b"<html>"), "binary.csv.gz: not a sound gzip file"),
    "truncated gzip": (lambda t: (t / f"{LABELS}.gz").write_bytes((t / f"{LABELS}.gz").read_bytes()[:-40]),
                       "binary.csv.gz: the gzip file is truncated"),
    "no labels of a person": (lambda t: (t / f"{LABELS}.gz").write_bytes(gzip.compress(labels({3: [0, 1]}).encode())),
                              f"{LABELS}, column 'Participant': no labels of S02"),
    "no table of labels": (lambda t: (t / f"{LABELS}.gz").unlink(), f"{LABELS}: no such file (nor the same with .gz)"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(tree, damage):
    do, message = DAMAGES[damage]
    do(tree / "stress_predict")
    findings = sp.check(tree)
    assert len(findings) == 1 and message in str(findings[0]), [str(f) for f in findings]
    assert findings[0].path.is_relative_to(tree)
    with pytest.raises(DataError) as stop:
        sp.load(tree)
    assert str(stop.value) == str(findings[0])


@pytest.mark.parametrize(("text", "message"), [
    (labels({2: [0, 1, 2]}), "line 4: column 'Label' is 2, neither 0 nor 1"),
    (labels({2: [0, 1]}).replace(str(START + 10), str(START + 12)),
     "line 3: column 'Time(sec)' goes on by 3 s where 1 s belongs"),
    (labels({2: [0, 1]}).replace("Label", "label"), "line 1: no column 'Label'; there are 'Participant'"),
    (labels({2: [0, 1]}) + "2,80.0\n", "line 4: 2 columns where 5 belong"),
    (labels({2: [0, 1]}).replace(",1\n", ",x\n"), "line 3: column 'Label' is not a number ('x')"),
    (labels({2: [0], 3: [1]}) + labels({2: [1]}).split("\n", 1)[1],
     "column 'Participant': the rows of a person do not stand together"),
    ("Participant,Time(sec),Label\n", "nothing follows line 1"),
])
def test_a_damaged_table_of_labels(tree, text, message):
    (tree / "stress_predict" / f"{LABELS}.gz").write_bytes(gzip.compress(text.encode()))
    findings = sp.check(tree)
    assert len(findings) == 1 and message in str(findings[0]) and "binary.csv.gz" in str(findings[0]), [str(f) for f in findings]


def test_every_damaged_person_is_found(tree):
    edit(tree / "stress_predict/Raw_data/S01/EDA.csv", 2, "5")
    edit(tree / "stress_predict/Raw_data/S02/EDA.csv", 2, "5")
    assert [f.path.parent.name for f in sp.check(tree)] == ["S01", "S02"]


def test_questionnaires_that_are_no_workbook(tree):
    path = tree / "stress_predict" / sp.SCORES
    path.write_bytes(b"PK")
    assert [f.path for f in sp.check(tree)] == [path]
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("xl/sharedStrings.xml", "<sst/>")
    assert "questionnaires' totals cannot be read" in str(sp.check(tree)[0])


@pytest.mark.skipif("NOCIBAND_DATA" not in os.environ or not datasets.available("stress_predict"),
                    reason="NOCIBAND_DATA does not hold stress_predict")
def test_the_real_data_set():
    recordings = registry.find("stress_predict").load()
    assert len(recordings) == len(sp.people()) >= 27
    for recording in recordings:
        stress = [e for e in recording.events if e.label == "stress"]
        assert len(stress) == (0 if recording.subject == "S01" else 3), "Stroop test, interview, hyperventilation"
        assert all(e.t_s + e.duration_s <= recording.duration_s for e in recording.events)
        assert sum(e.duration_s for e in recording.events) > 3000 or recording.subject == "S01"
        assert recording.attributes["stai_before"] >= 20 and "pss_after" in recording.attributes
        eda = recording.channel("eda").samples
        assert 0 <= eda.min() and eda.max() < 12
        assert 0.4 < np.median(np.abs(recording.channel("heart_rate").samples)) / 80 < 1.6
    assert dict(recordings[1].attributes) == {"stai_before": 94, "stai_after": 101, "pss_before": 25, "pss_after": 17}
    assert sum("accel_x" in r.channels for r in recordings) >= 4
    assert datasets.verify("stress_predict") == []
