"""AI4Pain: small trees in its layout, read whole and damaged."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nociband.errors import DataError
from nociband.signals import ai4pain, to_counts
from nociband.signals.recording import DamagedFile

SEGMENTS = (("Baseline_1", 6000, 2.0), ("HIGH_1", 1000, 6.0), ("REST_1", 2100, 3.0), ("LOW_1", 1010, 4.0), ("REST_2", 1990, 3.0))


@cache
def body(segments: tuple[tuple[str, int, float], ...]) -> str:
    longest = max(n for _, n, _ in segments)
    cells = [[f"{level + 0.001 * (i % 7):.3f}" for i in range(n)] + [""] * (longest - n) for _, n, level in segments]
    return "\n".join(map(",".join, zip(*cells, strict=True))) + "\n"


def write(path: Path, subject: str, segments: tuple[tuple[str, int, float], ...] = SEGMENTS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(",".join(f"{subject}_{name}" for name, _, _ in segments) + "\n" + body(segments))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for which, people in (("train", ("1", "6", "10")), ("validation", ("2",))):
        for subject in people:
            for folder in ai4pain.FOLDERS.values():
                write(tmp_path / "ai4pain" / which / folder / f"{subject}.csv", subject)
    return tmp_path / "ai4pain"


def finding(root: Path) -> str:
    found = ai4pain.check(root)
    assert len(found) == 1, found
    with pytest.raises(DamagedFile) as caught:
        ai4pain.load(root)
    assert caught.value.finding == found[0]
    return str(found[0])


def test_a_persons_segments_are_joined_in_the_order_of_their_columns(root):
    assert ai4pain.check(root.parent) == []
    recordings = ai4pain.load(root.parent)
    assert [(r.subject, r.attributes["set"]) for r in recordings] == [
        ("1", "train"),
        ("6", "train"),
        ("10", "train"),
        ("2", "validation"),
    ]
    one = recordings[0]
    assert [(e.t_s, round(e.duration_s, 9), e.label) for e in one.events] == [
        (0, 60, "baseline"),
        (60, 10, "high"),
        (70, 21, "rest"),
        (91, 10.1, "low"),
        (101.1, 19.9, "rest"),
    ]
    assert one.duration_s == 121 and one.simulated == () and set(one.channels) == {"eda", "bvp", "respiration", "spo2"}
    assert one.channel("eda").samples[6000] == 6.0 and one.channel("eda").rate_hz == 100
    assert "assumed, not confirmed" in one.notes


def test_kept_apart_each_segment_is_a_recording(root):
    apart = ai4pain.load(root, sets=("validation",), joined=False)
    assert [(r.events[0].label, r.duration_s) for r in apart] == [
        ("baseline", 60),
        ("high", 10),
        ("rest", 21),
        ("low", 10.1),
        ("rest", 19.9),
    ]
    assert len({r.name for r in apart}) == 5


def test_without_emg_both_channels_must_be_asked_for(root):
    one = ai4pain.load(root)[0]
    with pytest.raises(DataError, match="needs two EMG channels"):
        to_counts(one)
    front = to_counts(one, **ai4pain.FRONT_END)
    assert front.sites == ("unspecified", "unspecified") and 6 < front.emg.std() < 10  # 0.5 uV in 1/16 uV
    assert not np.array_equal(front.emg[:, 0], front.emg[:, 1]) and front.eda[3000] == pytest.approx(6 * 512, abs=4)


def test_people_can_be_chosen(root):
    assert ai4pain.people(root) == ["1", "6", "10", "2"] and [r.subject for r in ai4pain.load(root, subjects=["2"])] == ["2"]


def test_other_signals_may_be_left_away(root):
    for path in (root / "train" / "SpO2").iterdir():
        path.unlink()
    (root / "train" / "SpO2").rmdir()
    assert set(ai4pain.load(root, sets=("train",))[0].channels) == {"eda", "bvp", "respiration"}


def test_a_missing_file_is_named(root):
    (root / "train" / "Bvp" / "6.csv").unlink()
    assert finding(root) == f"{root / 'train' / 'Bvp' / '6.csv'}: no such file"


def test_a_missing_column_is_named(root):
    path = write(root / "train" / "Resp" / "6.csv", "6", SEGMENTS[:-1])
    assert finding(root) == f"{path}, line 1: its columns are not those of {root / 'train' / 'Eda' / '6.csv'}: 6_REST_2"


def test_a_wrong_label_is_named(root):
    for folder in ai4pain.FOLDERS.values():
        write(root / "train" / folder / "6.csv", "6", (("MIDDLE_1", 1000, 3.0), *SEGMENTS[1:]))
    assert "Eda/6.csv, line 1: column '6_MIDDLE_1' names no segment; known" in finding(root)


def test_another_rate_is_found_by_comparing_the_signals(root):
    path = write(root / "train" / "Bvp" / "1.csv", "1", tuple((name, n // 2, level) for name, n, level in SEGMENTS))
    assert finding(root).startswith(f"{path}, column '1_Baseline_1': 3000 samples (30 s at 100 Hz) where ")


def test_a_value_that_is_no_number_is_named(root):
    path = root / "validation" / "Eda" / "2.csv"
    path.write_text(path.read_text().replace("6.002", "6.0O2", 1))
    assert "line 4: column '2_HIGH_1' is not a number ('6.0O2')" in finding(root)


def test_an_empty_segment_and_a_hole_are_named(root):
    path = root / "train" / "Eda" / "10.csv"
    lines = path.read_text().splitlines()
    without = [line.split(",") for line in lines]
    path.write_text("\n".join([lines[0], *(",".join(["", *row[1:]]) for row in without[1:])]) + "\n")
    assert finding(root) == f"{path}, column '10_Baseline_1': no samples"
    path.write_text(
        "\n".join([lines[0], *(",".join(["" if 500 < i < 650 else row[0], *row[1:]]) for i, row in enumerate(without[1:]))])
    )
    assert finding(root) == f"{path}, column '10_Baseline_1', line 503: 149 samples (1.5 s) are missing"


def test_an_empty_folder_and_a_missing_set_are_named(root, tmp_path):
    for path in (root / "validation" / "Eda").iterdir():
        path.unlink()
    assert finding(root) == f"{root / 'validation' / 'Eda'}: no <subject>.csv in it"
    with pytest.raises(DataError, match="ask the organisers.*ai4pain2025.*for those who register"):
        ai4pain.check(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no set 'test' with labels"):
        ai4pain.load(root, sets=("test",))
