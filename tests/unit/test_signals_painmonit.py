"""PainMonit: small trees of both parts with `;` and decimal commas, read whole and damaged."""

from pathlib import Path

import numpy as np
import pytest

from nociband.errors import DataError
from nociband.signals import painmonit, to_counts
from nociband.signals.recording import DamagedFile

PMED = "Seconds;Bvp;Eda_E4;Tmp;Ibi;Hr;Resp;Eda_RB;Ecg;Emg;Heater [C];COVAS;Heater_cleaned".split(";")
PMCD = "Seconds;Bvp;Eda_E4;Tmp;Resp;Eda_RB;Bvp_RB;Emg;Grip;Pain rates;Pain labels".split(";")
TEMPERATURES = (40.5, 47.0, 43.0, 45.0, 49.0)
PAUSE, STIMULUS = 16, 4  # s


def text(columns: list[str], n: int, rate_hz: float = 250.0, **known: np.ndarray) -> str:
    rng = np.random.default_rng(n)
    cells = {"Seconds": [f"{v:.3f}" for v in np.arange(n) / rate_hz], "Ibi": [""] * n}
    usual = [f"{v:.4f}" for v in 5 + 0.05 * rng.standard_normal(n + len(columns))]
    for shift, name in enumerate(columns):
        values = known.get(name)
        cells.setdefault(
            name, usual[shift : shift + n] if values is None else ["" if np.isnan(v) else f"{v:.4f}" for v in values]
        )
    rows = "\n".join(";".join(row).replace(".", ",") for row in zip(*(cells[c] for c in columns), strict=True))
    return f"{';'.join(columns)}\n{rows}\n"


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, newline="\r\n")
    return path


HEATER = np.concatenate([np.repeat([32.0, t], [PAUSE * 250, STIMULUS * 250]) for t in TEMPERATURES])
HEAT = text(PMED, len(HEATER), Heater_cleaned=HEATER)


@pytest.fixture
def pmed(tmp_path: Path) -> Path:
    write(first(tmp_path / "painmonit"), HEAT)
    return tmp_path / "painmonit"


def first(root: Path) -> Path:
    return root / "PMED" / "raw-data" / "S_01-synchronised-data.csv"


def finding(root: Path, part: str = "PMED") -> str:
    found = painmonit.check(root, part)
    assert len(found) == 1, found
    with pytest.raises(DamagedFile) as caught:
        painmonit.load(root, part)
    assert caught.value.finding == found[0]
    return str(found[0])


def test_a_heat_recording_is_whole_with_its_stimuli_ranked(pmed):
    write(first(pmed).with_name("S_07-synchronised-data.csv"), HEAT)
    assert painmonit.check(pmed) == []
    recordings = painmonit.load(pmed.parent)
    assert [r.subject for r in recordings] == ["01", "07"] and all(r.simulated == () for r in recordings)
    one = recordings[0]
    assert one.channel("eda").rate_hz == 250 and one.channel("eda").unit == "uS" and one.duration_s == 100
    assert {"eda_wrist", "ecg", "bvp", "respiration", "covas", "unspecified"} <= set(one.channels)
    stimuli = [(e.t_s, e.duration_s, e.label) for e in one.events if e.label != "baseline"]
    assert stimuli == [(16, 4, "P0"), (36, 4, "P3"), (56, 4, "P1"), (76, 4, "P2"), (96, 4, "P4")]
    assert [(e.t_s, e.duration_s) for e in one.events if e.label == "baseline"] == [
        (1, 10),
        (21, 10),
        (41, 10),
        (61, 10),
        (81, 10),
    ]
    assert "assumed, not confirmed" in one.notes


def test_people_can_be_chosen(pmed):
    write(first(pmed).with_name("S_07-synchronised-data.csv"), HEAT)
    assert painmonit.people(pmed) == ["01", "07"] and [r.subject for r in painmonit.load(pmed, subjects=["07"])] == ["07"]
    with pytest.raises(DataError, match="no subject 99; there are 01, 07"):
        painmonit.load(pmed, subjects=["99"])


def test_the_wrist_can_be_the_eda(pmed):
    finger, wrist = painmonit.load(pmed)[0], painmonit.load(pmed, eda="Eda_E4")[0]
    assert np.array_equal(finger.channel("eda_wrist").samples, wrist.channel("eda").samples)
    assert np.array_equal(finger.channel("eda").samples, wrist.channel("eda_finger").samples)
    with pytest.raises(DataError, match="'Eda_RB' or 'Eda_E4', not 'Eda'"):
        painmonit.load(pmed, eda="Eda")


def test_with_one_emg_channel_the_second_must_be_asked_for(pmed):
    one = painmonit.load(pmed)[0]
    with pytest.raises(DataError, match="needs two EMG channels.*absent_emg='noise'"):
        to_counts(one, resample_emg=True)
    front = to_counts(one, **painmonit.FRONT_END)
    assert front.sites == ("unspecified", "unspecified")
    assert "EMG 2 (unspecified): not recorded, front-end noise alone" in front.simulated
    assert "EMG of unspecified: resampled from 250 Hz; nothing above 125 Hz" in front.simulated


@pytest.mark.parametrize(
    "damage, report",
    [
        (lambda t: t.replace("Eda_RB", "Eda", 1), "line 1: no column 'Eda_RB'; there are 'Seconds', 'Bvp'"),
        (lambda t: t.replace("\n0,004;", "\n0,004;x;", 1), "line 3: 14 columns where 13 belong"),
        (lambda t: t.replace(";", ",")[:2000], "line 1: no column 'Seconds'; there are 'Seconds,Bvp"),
        (lambda t: "", "the file is empty"),
        (
            lambda t: "".join(t.splitlines(keepends=True)[:4500]),
            "column 'Heater_cleaned': 1 stimulus temperatures (40.5) where 5 belong: trunc",
        ),
    ],
)
def test_a_damaged_heat_file_is_named(pmed, damage, report):
    first(pmed).write_text(damage(HEAT))
    said = finding(pmed)
    assert said.startswith(str(first(pmed))) and report in said


def test_a_value_that_is_no_number_is_named(pmed):
    lines = first(pmed).read_text().splitlines()
    cells = lines[9].split(";")
    lines[9] = ";".join([*cells[:7], "n/a", *cells[8:]])
    first(pmed).write_text("\n".join(lines))
    assert finding(pmed) == f"{first(pmed)}, line 10: column 'Eda_RB' is not a number ('n/a')"


def test_a_wrong_rate_is_measured(pmed):
    write(first(pmed), text(PMED, 5000, rate_hz=500))
    assert finding(pmed) == f"{first(pmed)}, column 'Seconds': runs at 500 Hz where 250 Hz belong"


def test_a_hole_in_a_spare_channel_costs_that_channel_alone(pmed):
    lost = np.where(np.arange(len(HEATER)) // 500 == 3, np.nan, 5.0)
    write(first(pmed), text(PMED, len(HEATER), Heater_cleaned=HEATER, Tmp=lost))
    one = painmonit.load(pmed)[0]
    assert "temperature" not in one.channels and "Left out, since more than 1 s are missing: temperature" in one.notes
    write(first(pmed), text(PMED, len(HEATER), Heater_cleaned=HEATER, Eda_RB=lost))
    assert "column 'Eda_RB', line 1502: 500 samples (2.0 s) are missing" in finding(pmed)


@pytest.fixture
def pmcd(tmp_path: Path) -> Path:
    labels = np.full(5000, np.nan)
    labels[1000:2000], labels[2000:3000], labels[4000:] = 0, 1, 2
    for sitting in ("P01_1", "P01_2", "P12_1"):
        base = tmp_path / "PMCD" / "raw-data" / sitting
        write(base / f"{sitting}.csv", text(PMCD, 5000, **{"Pain labels": labels, "Pain rates": labels}))
        write(base / f"{sitting}_runUp.csv", text(PMCD, 7500))
        (base / "noPainThreshold.txt").write_text("1")
        (base / "severePainThreshold.txt").write_text("6\n")
    return tmp_path


def test_a_clinical_sitting_begins_with_its_run_up(pmcd):
    assert painmonit.check(pmcd, "PMCD") == []
    recordings = painmonit.load(pmcd, "PMCD")
    assert [(r.subject, r.sitting) for r in recordings] == [("01", "1"), ("01", "2"), ("12", "1")]
    assert painmonit.people(pmcd, "PMCD") == ["01", "12"] and len(painmonit.load(pmcd, "PMCD", subjects=["01"])) == 2
    one = recordings[0]
    assert dict(one.attributes) == {"no_pain_threshold": 1, "severe_pain_threshold": 6} and one.duration_s == 50
    assert [(e.t_s, e.duration_s, e.label) for e in one.events] == [
        (0, 30, "baseline"),
        (34, 4, "pain 0"),
        (38, 4, "pain 1"),
        (46, 4, "pain 2"),
    ]
    assert "the pause between them is not in the files" in one.notes


@pytest.mark.parametrize(
    "file, content, report",
    [
        ("P01_1_runUp.csv", None, "no such file"),
        ("noPainThreshold.txt", None, "no such file"),
        ("severePainThreshold.txt", "much", "not a number"),
        ("P01_1.csv", None, "no such file"),
    ],
)
def test_a_damaged_sitting_is_named(pmcd, file, content, report):
    path = pmcd / "PMCD" / "raw-data" / "P01_1" / file
    path.unlink() if content is None else path.write_text(content)
    assert finding(pmcd, "PMCD").startswith(f"{path}: {report}")


def test_an_unknown_pain_label_is_named(pmcd):
    path = pmcd / "PMCD" / "raw-data" / "P12_1" / "P12_1.csv"
    write(path, text(PMCD, 500, **{"Pain labels": np.where(np.arange(500) > 300, 7.5, np.nan)}))
    assert (
        finding(pmcd, "PMCD") == f"{path}, column 'Pain labels', line 303: pain label 7.5 where whole numbers from 0 to 10 belong"
    )


def test_a_missing_set_says_how_to_obtain_it(tmp_path):
    with pytest.raises(DataError, match="ask the authors.*figshare.26965159.*data use agreement"):
        painmonit.load(tmp_path)
    with pytest.raises(DataError, match="no part 'PMHD'; known: PMED, PMCD"):
        painmonit.check(tmp_path, "PMHD")
