"""Every data set and task by name, down to windows of the right classes: open, made, and registered sets in small trees."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from tests.unit import test_signals_ai4pain, test_signals_biovid, test_signals_fmov, test_signals_painmonit, test_signals_xite

from nociband.errors import DataError, ModelError
from nociband.signals import ai4pain, biovid, datasets, painmonit, registry, xite
from nociband.training import problems, tasks
from nociband.training.problems import known, load_examples

REGISTERED = ("biovid_a", "xite", "painmonit", "ai4pain")


def counts(loaded: problems.Loaded) -> dict[str, int]:
    """Windows by label."""
    found = np.bincount(loaded.examples.target, minlength=loaded.info.classes)
    return {label: int(n) for label, n in zip(loaded.info.labels, found, strict=True)}


def test_the_registry_and_the_tasks_agree():
    of_registry = {(info.name, task) for info in registry.ALL for task in info.tasks}
    assert of_registry == set(known()) and len(known()) == len(set(known())) == 20
    for dataset, task in known():
        assert registry.find(dataset).name == dataset and task in registry.find(dataset).tasks


def test_every_task_says_what_it_is_and_warns():
    for dataset, task in known():
        info = tasks.TASKS[dataset, task].info if (dataset, task) in tasks.TASKS else problems._OTHERS[dataset, task]
        assert (info.dataset, info.task) == (dataset, task) and info.title and info.warning
        assert info.synthetic is (dataset == "synthetic")
        assert info.of == {"fmov": "emotion", "stress_predict": "stress"}.get(dataset, "pain")
        assert len(set(info.labels)) == len(info.labels)
        if info.kind == "classes":
            assert all((v is None) is (info.of != "pain") for v in info.values)
            assert all(v is None or 0 <= v <= 10 for v in info.values)
    top = tasks.TASKS["xite", "PD"].info
    assert dict(zip(top.labels, top.values, strict=True))["no pain"] == 0 and max(top.values) == 10


@pytest.mark.parametrize(("dataset", "task", "message"), [
    ("fmov", "pain5", "no task 'pain5' on data set 'fmov', which has: emotion3$"),
    ("stress_predict", "", "no task '' on data set 'stress_predict', which has: stress$"),
    ("biovid", "pain5", "no task 'pain5' on data set 'biovid', which is called biovid_a now$"),
    ("neurokit", "pain5", "no task 'pain5' on data set 'neurokit', which has none here; those that have: fmov, .*shock_trials$"),
    ("nowhere", "pain5", "^unknown data set 'nowhere'; there are: fmov, synthetic, biovid_a, xite, painmonit, ai4pain, "
     "stress_predict, shock_trials .`nociband data list` says more.$"),
])
def test_an_unknown_data_set_or_task_names_those_there_are(dataset, task, message):
    with pytest.raises(ModelError, match=message):
        load_examples(dataset, task)


def test_a_set_that_was_added_is_read_by_its_own_module(tmp_path, monkeypatch):
    """As docs/data.md says: an entry in the registry and a task."""
    (tmp_path / "added_set.py").write_text(
        "from nociband.signals import simulator\n\n\ndef load(root, sittings):\n"
        "    return [simulator.simulate(60, int(path.name), path.name) for path in sorted(root.iterdir())]\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "people" / "7").mkdir(parents=True)
    mine = replace(registry.find("fmov"), name="mine", folder="mine/here", module="added_set", tasks=("pain5",),
                   options={"sittings": "all"})
    monkeypatch.setitem(registry._BY_NAME, "mine", mine)
    monkeypatch.setitem(tasks.TASKS, ("mine", "pain5"), replace(tasks.PAIN5, dataset="mine"))
    loaded = load_examples("mine", "pain5", tmp_path / "people")
    assert loaded.examples.people == ("7",) and sum(counts(loaded).values()) > 0
    with pytest.raises(DataError, match=r"mine is registered as open, but there is no .*mine\.json with the address and"):
        datasets.describe("mine")


def test_shock_tasks_say_what_they_are_in_whole_sentences():
    assert problems.HIGH_LOW.warning == ("One response amplitude a trial, not a recorded signal. High and low are the shock's "
                                         "strength, not the pain that was felt.")
    assert problems.PAIN_VAS.warning.endswith("The rating is the person's mean for that kind of shock, not that of the trial.")


@pytest.mark.parametrize(("dataset", "task", "window", "message"), [
    ("fmov", "emotion3", {"window_s": 60}, "unknown window options window_s; there are: carrier_seeds, copies, jitter_s"),
    ("fmov", "emotion3", {"people": 4}, "unknown window options people; there are: carrier_seeds"),
    ("stress_predict", "stress", {"jitter_s": 1.0, "copies": 2}, "options copies, jitter_s; there are: window_s, every_s"),
    ("shock_trials", "high_low", {"window_s": 60}, "unknown window options window_s; there are: none"),
    ("synthetic", "pain5", {"persons": 2}, "there are: carrier_seeds, copies, jitter_s, people, seconds, seed"),
])
def test_an_option_of_another_kind_of_task_is_refused_before_anything_is_read(dataset, task, window, message, tmp_path):
    with pytest.raises(ModelError, match=message):
        load_examples(dataset, task, tmp_path, **window)


@pytest.mark.parametrize(("dataset", "task"), known())
def test_missing_data_say_how_to_get_them(dataset, task, tmp_path, monkeypatch):
    if dataset == "synthetic":
        return
    monkeypatch.delenv("NOCIBAND_DATA", raising=False)
    with pytest.raises(DataError) as caught:
        load_examples(dataset, task, tmp_path / "nowhere")
    said = str(caught.value)
    assert "nowhere" in said
    if dataset in REGISTERED:
        assert "is not ours to hand out: ask " in said and "https://" in said and "--data FOLDER" in said
    else:
        assert f"nociband data get {dataset}" in said


def test_what_is_judged_without_being_told_otherwise():
    assert {problems.default_normalisation(d) for d, _ in known() if d != "shock_trials"} == {"causal"}
    assert problems.default_normalisation("shock_trials") == "zscore"


@pytest.mark.slow
def test_made_up_people():
    loaded = load_examples("synthetic", "pain5", people=2, seconds=60, seed=4)
    assert loaded.info.synthetic and loaded.examples.people == ("T000", "T001") and not loaded.excluded
    other = load_examples("synthetic", "pain5", people=2, seconds=60, seed=4, normalisation="zscore").examples
    assert np.array_equal(other.elapsed_s, loaded.examples.elapsed_s)
    assert not np.array_equal(other.inputs["eda"], loaded.examples.inputs["eda"])
    assert len(load_examples("synthetic", "pain5", people=1, seconds=60, seed=4).examples.people) == 1
    with pytest.raises(ModelError, match="unknown normalisation 'own'"):
        load_examples("synthetic", "pain5", people=1, seconds=60, seed=4, normalisation="own")


@pytest.mark.slow
def test_the_environment_s_folder_is_asked_each_time(tmp_path, monkeypatch):
    content = test_signals_fmov.text(test_signals_fmov.table())
    for name in ("10", "11"):
        test_signals_fmov.write(tmp_path / name / "oxazepam_fmov" / "FMOV", content, f"{name}_FMOV_preprocessed.txt")
    for name in ("10", "11"):
        monkeypatch.setenv("NOCIBAND_DATA", str(tmp_path / name))
        loaded = load_examples("fmov", "emotion3")
        assert loaded.examples.people == (name,) and counts(loaded) == {"angry": 4, "happy": 4, "neutral": 4}


@pytest.fixture(scope="module")
def of_biovid(tmp_path_factory) -> Path:
    """Three excerpts of each class from each of two people: 82 s, joined."""
    writers, part = test_signals_biovid, tmp_path_factory.mktemp("biovid") / "BioVid" / "PartA"
    rows = ["subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"]
    for s, subject in enumerate(writers.SUBJECTS):
        for k, label in enumerate(3 * biovid.LABELS):
            name = f"{subject}-{label}-{k:03d}"
            rows.append(f"{s + 1}\t{subject}\t{biovid.LABELS.index(label)}\t{label}\t{k + 1}\t{name}")
            level = 4.0 + biovid.LABELS.index(label)
            writers.write_signals(part / "biosignals_filtered" / subject / f"{name}_bio.csv", level=level)
    (part / "starting_point").mkdir(parents=True)
    (part / "starting_point" / "samples.csv").write_text("\n".join(rows) + "\n")
    return part.parent


@pytest.mark.slow
def test_biovid(of_biovid):
    loaded = load_examples("biovid_a", "pain5", of_biovid, "none")
    made = loaded.examples
    assert set(made.people) == set(test_signals_biovid.SUBJECTS) and not loaded.excluded and loaded.info.classes == 5
    assert sum(counts(loaded).values()) == len(made) >= 2 * 15 - 2 * 4 and max(counts(loaded).values()) <= 6  # 20 s: 4 excerpts
    assert made.attributes["071309_w_21"] == {"sex": "female", "age": 21.0}
    level = made.inputs["eda"][:, -20:, :].sum(axis=2).mean(axis=1)  # tonic and phasic: the level of the excerpt, hence its class
    assert np.abs(level - (4.0 + made.target)).max() < 0.5
    two = load_examples("biovid_a", "pain_or_not", of_biovid)
    assert set(counts(two)) == {"BL1", "PA4"} and counts(two)["PA4"] == counts(loaded)["PA4"]
    assert np.bincount(two.examples.target).tolist() == [counts(loaded)["BL1"], counts(loaded)["PA4"]]


@pytest.fixture
def of_xite(tmp_path) -> Path:
    """S001 has phasic and tonic stimuli of both kinds, S002 electrical ones alone. One tonic pause is short, one long."""
    root, codes = tmp_path, test_signals_xite.codes
    everything = codes((0, 22), (1, 5), (0, 8), (2, 5), (0, 3), (3, 5), (0, 9), (-2, 5), (0, 8), (6, 60), (0, 10), (-4, 60),
                       (0, 40), (4, 60), (0, 35))
    for name, stimuli in (("S001", everything), ("S002", codes((0, 22), (-1, 5), (0, 8), (-3, 5), (0, 8)))):
        savemat(root / f"{name}.mat", {"data": test_signals_xite.data(len(stimuli)), "stimuli": stimuli, "fs": 1000.0})
    return root


def test_xite_phasic_heat(of_xite):
    stimuli = test_signals_xite.codes((0, 22), (1, 5), (0, 8), (2, 5), (0, 3), (3, 5), (0, 9))
    savemat(of_xite / "S001.mat", {"data": test_signals_xite.data(len(stimuli)), "stimuli": stimuli, "fs": 1000.0})
    loaded = load_examples("xite", "HPD", of_xite)
    assert loaded.info.labels == xite.SUB_DATASETS["HPD"].classes
    # three painless times follow heat: of 8, 3 (shorter than the window) and 9 s
    assert counts(loaded) == {"no pain": 2, "phasic heat low": 1, "phasic heat medium": 1, "phasic heat high": 1}
    assert loaded.examples.people == ("S001",) and loaded.excluded == {"S002": "no usable window"}
    assert np.allclose(loaded.examples.elapsed_s, [27.5, 32.5, 40.5, 48.5, 53.5], atol=0.04)


@pytest.mark.slow
def test_xite_tonic_and_reduced(of_xite):
    """No painless window ends in the stimulus after it."""
    tonic = load_examples("xite", "HTD", of_xite)
    assert counts(tonic) == {"no pain": 1, "tonic heat low": 1, "tonic heat medium": 0, "tonic heat high": 1}
    assert counts(load_examples("xite", "ETD", of_xite)) == {
        "no pain": 1, "tonic electrical low": 1, "tonic electrical medium": 0, "tonic electrical high": 0}
    reduced = load_examples("xite", "REPD", of_xite)
    assert [*counts(reduced).values()] == [2, 1, 1, 1]
    assert "reduced (how the published set is reduced is not confirmed)" in reduced.info.title and not reduced.excluded


@pytest.mark.slow
def test_painmonit(tmp_path):
    writers = test_signals_painmonit
    heater = np.concatenate([*(np.repeat([32.0, t], [18 * 250, 4 * 250]) for t in writers.TEMPERATURES), np.full(10 * 250, 32.0)])
    emg = 0.02 * np.random.default_rng(0).standard_normal(len(heater))
    writers.write(writers.first(tmp_path / "painmonit"), writers.text(writers.PMED, len(heater), Heater_cleaned=heater, Emg=emg))
    loaded = load_examples("painmonit", "pain6", tmp_path)
    assert loaded.info.labels == painmonit.LABELS and loaded.examples.people == ("01",)
    assert counts(loaded) == {"baseline": 4, **dict.fromkeys(painmonit.LABELS[1:], 1)}  # the first baseline is the band's own


@pytest.mark.slow
def test_ai4pain(tmp_path):
    for folder in ai4pain.FOLDERS.values():
        test_signals_ai4pain.write(tmp_path / "ai4pain" / "train" / folder / "1.csv", "1")
        test_signals_ai4pain.write(tmp_path / "ai4pain" / "validation" / folder / "2.csv", "2")
    loaded = load_examples("ai4pain", "pain4", tmp_path)
    assert loaded.info.labels == ai4pain.LABELS and loaded.examples.people == ("1", "2")
    # the baseline opens the recording, and is judged by its end: every class has its windows
    assert counts(loaded) == {"baseline": 2, "rest": 4, "low": 2, "high": 2}
    assert np.allclose(loaded.examples.elapsed_s[:5], [59.0, 69.0, 79.0, 100.0, 110.1], atol=0.04)
    assert loaded.examples.attributes == {"1": {"set": "train"}, "2": {"set": "validation"}}


@pytest.mark.skipif("NOCIBAND_DATA" not in os.environ, reason="NOCIBAND_DATA is not set")
def test_a_folder_with_other_sets_only_is_no_registered_set():
    with pytest.raises(DataError, match="The BioVid Heat Pain Database is not ours to hand out"):
        load_examples("biovid_a", "pain5", Path(os.environ["NOCIBAND_DATA"]) / "stress_predict")
