"""X-ITE: real .mat files in its two layouts, read whole and damaged, and the 11 sub-datasets."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from nociband.errors import DataError
from nociband.signals import to_counts, xite
from nociband.signals.recording import DamagedFile, Event
from nociband.signals.xite_tables import NO_PAIN, select_events

LEVEL = {"baseline": 3.0, "low_pain": 5.0, "med_pain": 7.0}


def data(n: int, level: float = 5.0) -> np.ndarray:
    rng = np.random.default_rng(n)
    return np.column_stack(
        [*(0.02 * (k + 1) * rng.standard_normal(n) for k in range(3)), np.full(n, level), 0.3 * rng.standard_normal(n)]
    )


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    for folder, level in LEVEL.items():
        for person in ("S008", "S031"):
            base = tmp_path / "xite" / folder / person
            base.mkdir(parents=True)
            for k in range(2):
                savemat(base / f"{person}_{k}.mat", {"data": data(10_000, level), "fs": 1000, "labels": np.zeros(4)})
    return tmp_path / "xite"


def one(root: Path) -> Path:
    return root / "low_pain" / "S008" / "S008_1.mat"


def finding(root: Path, **options) -> str:
    found = xite.check(root, **options)
    assert len(found) == 1, found
    with pytest.raises(DamagedFile) as caught:
        xite.load(root, **options)
    assert caught.value.finding == found[0]
    return str(found[0])


def test_the_challenge_becomes_one_recording_a_person(challenge):
    assert xite.check(challenge.parent) == []
    recordings = xite.load(challenge.parent)
    assert [r.subject for r in recordings] == ["S008", "S031"]
    first = recordings[0]
    assert first.duration_s == 60 and set(first.channels) == {"corrugator", "zygomaticus", "trapezius", "eda", "ecg"}
    assert sorted(e.label for e in first.events) == ["baseline", "baseline", "low", "low", "medium", "medium"]
    levels = {"baseline": 3, "low": 5, "medium": 7}
    assert all(first.channel("eda").samples[round(e.t_s * 1000)] == levels[e.label] for e in first.events)
    assert "drawn" in first.simulated[0] and "not confirmed" in first.notes
    assert [r.events[0].label for r in xite.load(challenge, joined=False)][:6] == [
        *2 * ["baseline"],
        *2 * ["low"],
        *2 * ["medium"],
    ]
    assert xite.people(challenge) == ["S008", "S031"] and len(xite.load(challenge, subjects=["S031"])) == 1
    assert to_counts(first, **xite.FRONT_END).sites == ("corrugator", "zygomaticus")


def test_columns_are_found_by_name_where_the_file_names_them(challenge):
    swapped = data(10_000)[:, [4, 3, 2, 1, 0]]
    names = np.array(["ECG", "SCL", "EMG Trapezius", "EMG Zygomaticus", "EMG Corrugator"], dtype=object)
    savemat(one(challenge), {"data": swapped, "fs": 1000, "labels": names})
    recording = next(r for r in xite.load(challenge, joined=False) if r.events[0].label == "low" and r.name.endswith(":003"))
    assert np.allclose(recording.channel("eda").samples, 5) and recording.channel("corrugator").samples.std() == pytest.approx(
        0.02, rel=0.05
    )
    savemat(one(challenge), {"data": swapped, "fs": 1000, "labels": np.array(["ECG", "SCL", "Resp", "x", "y"], dtype=object)})
    assert "variable 'labels': names the columns ECG, SCL, Resp, x, y; corrugator" in finding(challenge)


@pytest.mark.parametrize(
    "content, report",
    [
        ({"data": data(10_000), "fs": 512}, "variable 'fs': 512 Hz where 1000 Hz belong"),
        ({"data": data(10_000), "fs": "fast"}, "where one sampling rate belongs"),
        ({"data": data(10_000)}, "no variable 'fs'; there are data"),
        ({"fs": 1000}, "no variable 'data'; there are fs"),
        ({"data": data(10_000)[:, :4], "fs": 1000}, "variable 'data': 4 columns where 5 belong (corrugator"),
        ({"data": data(6000), "fs": 1000}, "6.00 s where 10 s belong at 1000 Hz"),
        (
            {"data": np.where(np.arange(10_000)[:, None] == 41, np.nan, data(10_000)), "fs": 1000},
            "row 42 of corrugator is not a finite number",
        ),
        ({"data": "text", "fs": 1000}, "where numbers of shape (n, 5) belong"),
    ],
)
def test_a_damaged_segment_is_named(challenge, content, report):
    savemat(one(challenge), content)
    said = finding(challenge)
    assert said.startswith(str(one(challenge))) and report in said


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("keep", [0, 60, 150, 5000, -1000])
def test_a_truncated_mat_file_is_named(challenge, keep, compressed):
    savemat(one(challenge), {"fs": 1000, "data": data(10_000)}, do_compression=compressed)
    one(challenge).write_bytes(one(challenge).read_bytes()[:keep])
    assert finding(challenge).startswith(f"{one(challenge)}: not a sound .mat file, or truncated")


def test_folders_without_files_are_named(challenge):
    for path in (challenge / "med_pain" / "S031").iterdir():
        path.unlink()
    assert finding(challenge) == f"{challenge / 'med_pain' / 'S031'}: no .mat file in it"


def test_a_missing_set_says_how_to_obtain_it(tmp_path):
    with pytest.raises(DataError, match="ask the Medical Psychology group.*xitepainchallenge.*under their agreement"):
        xite.load(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        xite.check(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no layout 'part'"):
        xite.load(tmp_path, layout="part")


def codes(*stretches: tuple[int, float]) -> np.ndarray:
    return np.concatenate([np.full(round(seconds * 1000), code) for code, seconds in stretches])


@pytest.fixture
def full(tmp_path: Path) -> Path:
    stimuli = codes((0, 5), (1, 5), (0, 8), (3, 5), (0, 9), (-2, 5), (0, 8), (6, 60), (0, 10), (-11, 3), (-4, 60), (0, 4))
    savemat(tmp_path / "S001.mat", {"data": data(len(stimuli)), "stimuli": stimuli[:, None], "fs": 1000.0}, do_compression=True)
    return tmp_path


def test_the_full_sets_codes_become_events(full):
    assert xite.check(full) == []
    assert xite.people(full) == ["S001"]
    (recording,) = xite.load(full, subjects=["S001"])
    assert [e.label for e in recording.events if e.label != NO_PAIN] == [
        "phasic heat low",
        "phasic heat high",
        "phasic electrical medium",
        "tonic heat high",
        "tonic electrical low",
    ]
    assert recording.events[1] == Event(5.0, 5.0, "phasic heat low") and recording.simulated == ()
    assert sum(e.label == NO_PAIN for e in recording.events) == 6  # the invalid 3 s are nobody's


def test_damage_of_the_full_set_is_named(full):
    stimuli = codes((0, 5), (7, 5))
    savemat(full / "S001.mat", {"data": data(len(stimuli)), "stimuli": stimuli})
    assert "variable 'stimuli': row 5001 has the code 7; known: 0, 1, 2, 3, 4" in finding(full)
    savemat(full / "S001.mat", {"data": data(9000), "stimuli": stimuli})
    assert "10000 codes for 9000 samples" in finding(full)
    savemat(full / "S001.mat", {"data": data(10_000), "stimuli": codes((0, 5), (1, 5))})
    assert "states no rate; 1000 Hz" in xite.load(full)[0].notes


def test_the_stimulus_table_is_whole():
    assert len(xite.STIMULI) == 12 and len({s.label for s in xite.STIMULI}) == 12
    assert {s.code for s in xite.STIMULI} == {*range(1, 7), *range(-6, 0)}
    by_code = {s.code: s for s in xite.STIMULI}
    assert by_code[4].label == "tonic heat low" and by_code[4].seconds == 60 and by_code[-3].label == "phasic electrical high"


def test_the_eleven_sub_datasets_have_their_classes():
    assert list(xite.SUB_DATASETS) == ["PD", "HPD", "EPD", "HTD", "ETD", "RPD", "RHPD", "REPD", "RTD", "RHTD", "RETD"]
    sizes = {name: len(s.classes) for name, s in xite.SUB_DATASETS.items()}
    assert sizes == {
        "PD": 7,
        "HPD": 4,
        "EPD": 4,
        "HTD": 4,
        "ETD": 4,
        "RPD": 7,
        "RHPD": 4,
        "REPD": 4,
        "RTD": 7,
        "RHTD": 4,
        "RETD": 4,
    }
    assert xite.SUB_DATASETS["EPD"].classes == ("no pain", *(f"phasic electrical {v}" for v in ("low", "medium", "high")))
    assert all(s.reduced == name.startswith("R") == (not s.confirmed) for name, s in xite.SUB_DATASETS.items())


def test_what_is_not_confirmed_is_said():
    assert "UNCONFIRMED" in xite.describe("RHTD") and "UNCONFIRMED" not in xite.describe("HTD")
    assert xite.describe().count("UNCONFIRMED") == 6 and "HPD: phasic (5 s) heat, 4 classes" in xite.describe()
    with pytest.raises(DataError, match="no sub-dataset 'TD'; there are PD"):
        xite.describe("TD")


def test_a_selection_holds_its_classes_and_the_rest_after_them(full):
    recordings = xite.load(full)
    chosen = xite.select(recordings, "HPD")[0]
    assert [(e.t_s, e.label) for e in chosen.events] == [
        (5, "phasic heat low"),
        (10, NO_PAIN),
        (18, "phasic heat high"),
        (23, NO_PAIN),
    ]
    assert chosen.channels is not None and chosen.duration_s == recordings[0].duration_s  # baselines see what was there
    assert [e.label for e in xite.select(recordings[0], "ETD").events] == ["tonic electrical low", NO_PAIN]
    assert "not known" in xite.select(recordings[0], "RHPD").simulated[-1]
    only_heat = [xite.select(r, "HPD") for r in recordings]
    assert xite.select(only_heat, "ETD") == []


def test_a_reduced_selection_thins_painless_times_evenly():
    events = [
        Event(10.0 * k, 5.0, NO_PAIN if k % 2 else f"phasic heat {('low', 'medium', 'high')[k // 2 % 3]}") for k in range(24)
    ]
    assert len(select_events(events, xite.SUB_DATASETS["HPD"])) == 24
    reduced = select_events(events, xite.SUB_DATASETS["RHPD"])
    painless = [e.t_s for e in reduced if e.label == NO_PAIN]
    assert len(reduced) == 12 + 4 and painless == [10, 90, 150, 230]


def test_the_challenge_does_not_say_which_sub_dataset(challenge):
    with pytest.raises(DataError, match="labelled baseline, low, medium do not say.*needs the full X-ITE"):
        xite.select(xite.load(challenge), "PD")
