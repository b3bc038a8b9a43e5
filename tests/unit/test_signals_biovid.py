"""BioVid: small trees in its layout, read whole and damaged; every report names the file, the column, the rate."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nociband.errors import DataError
from nociband.signals import biovid, to_counts
from nociband.signals.recording import DamagedFile

HEADER = "time\tgsr\tecg\temg_trapezius\temg_corrugator\temg_zygomaticus"
SUBJECTS = ("071309_w_21", "082414_m_34")
SAMPLES = {"BL1": 81, "PA1": 9, "PA4": 2}  # label: number


@cache
def signals(n: int, rate_hz: float, level: float) -> str:
    rng = np.random.default_rng(1)
    t = np.arange(n) / rate_hz
    values = np.column_stack([np.round(t * 1e6), level + 0.1 * np.sin(t), *(20 * rng.standard_normal((4, n)))])
    return "\n".join([HEADER, *("\t".join([f"{row[0]:.0f}", *(f"{v:.4f}" for v in row[1:])]) for row in values)]) + "\n"


def write_signals(path: Path, n: int = 2816, rate_hz: float = 512.0, level: float = 5.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(signals(n, rate_hz, level))


def write_part(part: Path, kind: str = "biosignals_filtered") -> Path:
    rows = ["subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"]
    for s, subject in enumerate(SUBJECTS):
        for k, (label, number) in enumerate(SAMPLES.items()):
            name = f"{subject}-{label}-{number:03d}"
            rows.append(f"{s + 1}\t{subject}\t{biovid.LABELS.index(label)}\t{label}\t{k + 1}\t{name}")
            write_signals(part / kind / subject / f"{name}_bio.csv", n=2816 + k % 2, level=5.0 + k)
    (part / "starting_point").mkdir(parents=True)
    (part / "starting_point" / "samples.csv").write_text("\n".join(rows) + "\n")
    return part


@pytest.fixture
def part_a(tmp_path: Path) -> Path:
    return write_part(tmp_path / "BioVid" / "PartA")


def excerpt(part: Path, label: str = "PA1") -> Path:
    return part / "biosignals_filtered" / SUBJECTS[0] / f"{SUBJECTS[0]}-{label}-{SAMPLES[label]:03d}_bio.csv"


def finding(part: Path) -> str:
    found = biovid.check(part)
    assert len(found) == 1, found
    with pytest.raises(DamagedFile) as caught:
        biovid.load(part)
    assert caught.value.finding == found[0]
    return str(found[0])


def test_a_sound_part_becomes_one_recording_a_person(part_a):
    assert biovid.check(part_a) == []
    recordings = biovid.load(part_a.parent)  # the folder above is found too
    assert [r.subject for r in recordings] == list(SUBJECTS)
    first = recordings[0]
    assert set(first.channels) == {"eda", "ecg", "trapezius", "corrugator", "zygomaticus"}
    assert first.channel("eda").rate_hz == 512 and first.channel("eda").unit == "uS" and first.channel("corrugator").unit == "uV"
    assert dict(first.attributes) == {"sex": "female", "age": 21.0} and "not confirmed" in first.notes
    assert sorted(e.label for e in first.events) == ["BL1", "PA1", "PA4"] and "drawn" in first.simulated[0]
    assert first.channel("eda").samples.size == 3 * 2816 + 1
    for event in first.events:  # each event lies over its own excerpt: excerpts differ in level
        inside = first.channel("eda").samples[round(event.t_s * 512) : round((event.t_s + event.duration_s) * 512)]
        assert inside.mean() == pytest.approx({"BL1": 5, "PA1": 6, "PA4": 7}[event.label], abs=0.2)


def test_the_drawn_order_is_a_persons_own_and_the_same_each_time(part_a):
    one, two = biovid.load(part_a), biovid.load(part_a)
    assert [r.events for r in one] == [r.events for r in two]
    assert np.array_equal(one[0].channel("ecg").samples, two[0].channel("ecg").samples)


def test_kept_apart_each_excerpt_is_a_recording(part_a):
    assert biovid.people(part_a) == list(SUBJECTS)
    apart = biovid.load(part_a, joined=False, subjects=SUBJECTS[:1])
    assert [r.events[0].label for r in apart] == ["BL1", "PA1", "PA4"] and all(r.simulated == () for r in apart)
    assert apart[0].duration_s == 5.5 and len({r.name for r in apart}) == 3
    with pytest.raises(DataError, match="no subject 000000_w_99; there are 071309_w_21, 082414_m_34"):
        biovid.load(part_a, subjects=("000000_w_99",))


def test_it_enters_the_bands_path(part_a):
    front = to_counts(biovid.load(part_a)[0], sites=("trapezius", "corrugator"), **biovid.FRONT_END)
    assert front.sites == ("trapezius", "corrugator") and front.emg.std(axis=0).min() > 100
    assert "EMG of trapezius: resampled from 512 Hz; nothing above 256 Hz" in front.simulated


def test_part_b_nests_its_folders_as_unpacked_archives_do(tmp_path):
    part = write_part(tmp_path / "PartB", "biosignals_raw/biosignals_raw")
    assert len(biovid.load(tmp_path, "B", "raw")) == 2 and biovid.check(part, "B", "raw") == []
    with pytest.raises(DataError, match="does not hold The BioVid"):
        biovid.load(part, "A")  # a folder named after another part


def write_part_c(part: Path, stimuli: str) -> Path:
    write_signals(part / "biosignals_raw" / f"{SUBJECTS[0]}.csv", n=512 * 40)
    (part / "stimulus").mkdir()
    (part / "stimulus" / f"{SUBJECTS[0]}.csv").write_text(stimuli)
    return part


def test_part_c_is_whole_and_its_stimuli_are_events(tmp_path):
    part = write_part_c(tmp_path / "PartC", "time\tlabel\n10000000\t4\n25000000\t1\n26000000\t-1\n")
    assert biovid.check(part, "C") == []
    (recording,) = biovid.load(part, "C")
    assert [(e.t_s, e.duration_s, e.label) for e in recording.events] == [(10, 4, "PA4"), (25, 4, "PA1")]
    assert recording.simulated == () and "1 entries of the stimulus file" in recording.notes
    (part / "stimulus" / f"{SUBJECTS[0]}.csv").write_text("time\tlabel\n99000000\t4\n")
    assert "line 2: a stimulus at 99.0 s, but the recording lasts 40.0 s" in str(biovid.check(part, "C")[0])


def test_a_missing_set_says_how_to_obtain_it(tmp_path, monkeypatch):
    for call in (biovid.load, biovid.check):
        with pytest.raises(DataError, match="ask the Medical Psychology group.*under their agreement"):
            call(tmp_path)
    monkeypatch.delenv("NOCIBAND_DATA", raising=False)
    with pytest.raises(DataError, match="no folder given and NOCIBAND_DATA is not set"):
        biovid.load()
    monkeypatch.setenv("NOCIBAND_DATA", str(write_part(tmp_path / "biovid" / "PartA").parents[1]))
    assert len(biovid.load()) == 2


def test_a_missing_file_is_named(part_a):
    excerpt(part_a).unlink()
    assert finding(part_a) == f"{excerpt(part_a)}: no such file"


def test_a_missing_column_is_named(part_a):
    text = excerpt(part_a).read_text()
    excerpt(part_a).write_text(text.replace("emg_corrugator", "emg_corr", 1))
    assert "line 1: no column 'emg_corrugator'; there are 'time', 'gsr'" in finding(part_a)


def test_a_wrong_rate_is_measured(part_a):
    write_signals(excerpt(part_a), n=2816, rate_hz=256)
    assert finding(part_a).endswith("column 'time': runs at 256 Hz where 512 Hz belong")


def test_a_hole_in_time_is_found(part_a):
    lines = excerpt(part_a).read_text().splitlines()
    excerpt(part_a).write_text("\n".join(lines[:1000] + lines[1200:]) + "\n")
    assert "column 'time', line 1001: 0.393 s are missing" in finding(part_a)


def test_a_value_that_is_no_number_is_named(part_a):
    lines = excerpt(part_a).read_text().splitlines()
    lines[41] = lines[41].replace(lines[41].split("\t")[1], "5,01")
    excerpt(part_a).write_text("\n".join(lines) + "\n")
    assert "line 42: column 'gsr' is not a number ('5,01')" in finding(part_a)


@pytest.mark.parametrize(
    "keep, report", [(2000, "3.91 s where 5.5 s belong"), (0, "the file is empty"), (1, "nothing follows the header")]
)
def test_a_truncated_file_is_named(part_a, keep, report):
    lines = excerpt(part_a).read_text().splitlines(keepends=True)
    excerpt(part_a).write_text("".join(lines[: keep + (keep > 1)]))
    assert report in finding(part_a)


def test_a_file_cut_within_a_line_is_named(part_a):
    text = excerpt(part_a).read_text()
    excerpt(part_a).write_text(text[: text.rstrip().rfind("\t")])
    assert "line 2818: 5 columns where 6 belong" in finding(part_a)


def test_blank_lines_at_the_end_are_no_damage(part_a):
    excerpt(part_a).write_text(excerpt(part_a).read_text() + "\n\n")
    assert biovid.check(part_a) == []


def test_a_wrong_label_is_named(part_a):
    path = part_a / "starting_point" / "samples.csv"
    path.write_text(path.read_text().replace("-PA1-", "-PX1-", 1))
    assert "samples.csv, line 3: sample '071309_w_21-PX1-009' has the label 'PX1'; known: BL1" in finding(part_a)
    path.write_text(path.read_text().replace("-PX1-", "-PA3-", 1))
    assert "line 3: class_id is '1', but sample '071309_w_21-PA3-009' is PA3" in finding(part_a)


def test_short_gaps_are_filled_and_declared_long_ones_refused(part_a):
    lines = excerpt(part_a).read_text().splitlines()
    for i in range(100, 103):
        cells = lines[i].split("\t")
        lines[i] = "\t".join([cells[0], "", *cells[2:]])
    excerpt(part_a).write_text("\n".join(lines) + "\n")
    assert biovid.check(part_a) == []
    assert "gsr: missing samples interpolated" in biovid.load(part_a)[0].simulated
    for i in range(100, 700):
        cells = lines[i].split("\t")
        lines[i] = "\t".join([cells[0], "", *cells[2:]])
    excerpt(part_a).write_text("\n".join(lines) + "\n")
    assert "column 'gsr', line 101: 600 samples (1.2 s) are missing" in finding(part_a)


def test_check_goes_on_and_questions_units_that_cannot_be(part_a):
    excerpt(part_a).unlink()
    write_signals(excerpt(part_a, "BL1"), level=5000.0)
    found = [str(f) for f in biovid.check(part_a)]
    assert len(found) == 2 and any("channel 'eda': 5e+03 uS in the middle" in f for f in found)
