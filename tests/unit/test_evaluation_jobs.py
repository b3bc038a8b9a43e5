"""Jobs, nested tuning and their files: nobody is on both sides, nothing leaks, nothing is read half."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.evaluation_models import CLASSES, HERE, Centroid, Tuned, windows

from nociband.errors import DataError, ModelError
from nociband.evaluation import engine, evaluate, jobs, models, tuning
from nociband.evaluation.jobs import Job, JobResult
from nociband.evaluation.plan import Plan, Tuning


def context(models=("Centroid",), people=6, protocol="loso", examples=None, **plan):
    named = tuple(HERE + name for name in models)
    made = Plan("made_up", "two", protocol, named, **{"seeds": (0, 1)} | plan)
    return evaluate.context_of(made, CLASSES, {"causal": windows(people) if examples is None else examples})


def test_a_job_answers_for_the_people_left_out_and_survives_a_file(tmp_path):
    shared = context()
    job = Job(HERE + "Centroid", 2, 1, '{"columns":1}')
    result = jobs.run_job(job, shared)
    assert set(result.subjects) == {"p02"} and result.output.shape == (10, 2) and result.fits == 1
    assert np.array_equal(result.target, shared.examples["causal"].of(["p02"]).target)
    back = JobResult.load(result.save(tmp_path))
    assert back.job == job and back.settings == {"columns": 1} and back.identity == shared.identity_of(job.model)
    for name in ("subjects", "sittings", "target", "output"):
        assert getattr(back, name).tobytes() == getattr(result, name).tobytes()
    assert jobs.run_job(job, shared).output.tobytes() == result.output.tobytes()
    assert [p.name for p in tmp_path.iterdir()] == [f"{job.key}.npz"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The file of a finished job."""
    return jobs.run_job(Job(HERE + "Prior", 0, 0), context()).save(tmp_path_factory.mktemp("jobs"))


def refused(path, said="", read=JobResult.load):
    with pytest.raises(DataError) as error:
        read(path)
    text = str(error.value)
    assert text.startswith(f"{path} is no readable result of a job (") and said in text
    assert text.endswith("delete it, and the run does this job again")


def test_a_file_is_refused_wherever_it_is_cut_or_its_bytes_are_flipped(kept, tmp_path):
    whole, path, found, noticed = kept.read_bytes(), tmp_path / kept.name, JobResult.load(kept), 0
    for length in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:length])
        refused(path)
    with zipfile.ZipFile(kept) as archive:
        parts = [(part.header_offset + 30 + len(part.filename) + 20, part.compress_size) for part in archive.infolist()]
    for start, size in parts:
        for at in range(start, start + size, 7):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1:])
            try:
                back = JobResult.load(path)
            except DataError as error:
                noticed += 1
                assert str(path) in str(error) and "delete it" in str(error)
            else:   # bits that fill up the last byte of a stream say nothing
                assert back.job == found.job and back.output.tobytes() == found.output.tobytes()
    assert noticed > 30


@pytest.mark.parametrize("change, said", [
    (lambda about: about.pop("job"), "KeyError: 'job'"),
    (lambda about: about.pop("choice"), "KeyError: 'choice'"),
    (lambda about: about.pop("identity"), "identity"),
    (lambda about: about.update(more=1), "unexpected keyword argument 'more'"),
    (lambda about: about["job"].pop("fold"), "missing 1 required positional argument: 'fold'"),
    (lambda about: about.update(job=3), "TypeError"),
    (lambda about: about.update(choice=[1]), "choice of a wrong type"),
    (lambda about: about.update(settings=[], seconds="long"), "settings, seconds of a wrong type")])
def test_an_account_that_is_another_is_refused(kept, tmp_path, change, said):
    with np.load(kept) as stored:
        parts = dict(stored)
    about = json.loads(str(parts["about"]))
    change(about)
    np.savez(tmp_path / "other.npz", **parts | {"about": np.array(json.dumps(about))})
    refused(tmp_path / "other.npz", said)


@pytest.mark.parametrize("short, said", [
    (("output",), "its parts differ in length: 10 rows of subjects, 10 rows of sittings, 10 rows of target, 9 rows of output"),
    (("subjects", "sittings", "target", "output"), "its windows are not those of the fold's test people")])
def test_rows_that_are_missing_are_noticed(kept, tmp_path, short, said):
    with np.load(kept) as stored:
        parts = dict(stored)
    path = tmp_path / kept.name
    np.savez(path, **parts | {name: parts[name][:-1] for name in short})
    job = Job(HERE + "Prior", 0, 0)
    refused(path, said, lambda _: engine.finished([job], context(), tmp_path))
    assert list(engine.finished([job], context(), kept.parent)) == [job]


def test_a_model_cannot_see_the_targets_it_is_judged_on():
    result = jobs.run_job(Job(HERE + "Peeping", 0, 0), context())
    assert set(result.target) == {0, 1} and set(result.output.argmax(axis=1)) == {0}


def test_what_is_no_probability_is_refused():
    with pytest.raises(ModelError, match=r"wrong must answer with probabilities; a window's sum to 1\.4000"):
        jobs.run_job(Job(HERE + "Wrong", 0, 0), context())


def test_tuning_fits_on_training_people_alone_and_finds_the_better_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("NOCIBAND_TEST_FITS", str(tmp_path / "fits"))
    result = jobs.run_job(Job(HERE + "Tuned", 3, 0), context(("Tuned",), people=7, examples=windows(7, 40)))
    assert result.settings == {"columns": 1} and result.fits == 2 * 3 + 1
    fits = [set(line.split()[3].split("-")) for line in (tmp_path / "fits").read_text().splitlines()]
    assert len(fits) == 7 and all("p03" not in people for people in fits)
    assert all(people == {f"p{i:02d}" for i in range(7)} - {"p03"} for people in fits[-1:])
    assert all(len(people) == 4 for people in fits[:-1])
    scores = [tried["score"] for tried in result.choice]
    assert scores[1] > scores[0] and [tried["settings"] for tried in result.choice] == [{"columns": 4}, {"columns": 1}]


def test_a_leak_of_the_target_in_one_person_does_not_reach_the_choice():
    """The judged person's windows say the opposite: were they in the inner folds, the choice's scores would change."""
    one, other = windows(6, seed=1), windows(6, seed=1)
    rows = other.subjects == "p05"
    other.target[rows] = 1 - other.target[rows]
    both = [jobs.run_job(Job(HERE + "Tuned", 5, 0), context(("Tuned",), examples=e)) for e in (one, other)]
    assert both[0].choice == both[1].choice and both[0].output.tobytes() == both[1].output.tobytes()


def test_a_lower_metric_is_better_when_it_is_and_the_plan_can_give_the_candidates():
    listed = Tuning(2, "brier", {"x": ({"columns": 4}, {"columns": 1}, {"columns": 1})})
    choice = tuning.choose(Centroid(), "x", windows(6, 40), CLASSES, 0, listed)
    scores = [tried["score"] for tried in choice.scores]
    assert choice.settings == {"columns": 1} and scores[1] == min(scores) == scores[2] and choice.fits == 6
    assert tuning.choose(Centroid(), "y", windows(6), CLASSES, 0, listed) == tuning.Choice({"columns": 1})
    assert tuning.candidates_of(Tuned(), "y", CLASSES, listed) == ({"columns": 4}, {"columns": 1})


def test_identity_changes_with_what_decides_an_output_and_with_nothing_else():
    name = HERE + "Centroid"
    same = context().identity_of(name)
    assert context(("Centroid", "Prior"), primary="macro_f1", tuning=Tuning(metric="balanced_accuracy"),
                   seeds=(0, 1, 2)).identity_of(name) == same
    others = [context(people=7), context(protocol="kfold:3"), context(tuning=Tuning(candidates={name: ({"columns": 2},)})),
              context(seeds=(1,)), context(examples=windows(6, seed=9))]
    found = {c.identity_of(name) for c in others}
    assert len(found) == len(others) and same not in found
    assert context().identity_of(HERE + "Prior") != same


def test_identity_changes_with_time_and_not_with_windows_that_the_model_does_not_see():
    name, made = HERE + "Centroid", windows(6)
    later = replace(made, elapsed_s=np.arange(60.0))
    assert context(examples=later).identity_of(name) != context(examples=made).identity_of(name)
    shared = context(("Centroid", "Centroid@none"))
    beside = replace(shared, examples={"causal": windows(6), "none": windows(6, seed=2)})
    assert beside.identity_of(name) == shared.identity_of(name) != beside.identity_of(name + "@none")


def test_the_code_that_decides_an_output_is_in_its_version(tmp_path, monkeypatch):
    import nociband

    copy = tmp_path / "nociband"
    shutil.copytree(Path(nociband.__file__).parent, copy, ignore=shutil.ignore_patterns("*.npz", "__pycache__", "report"))
    monkeypatch.setattr(nociband, "__file__", str(copy / "__init__.py"))
    before = jobs.code_version()
    for name, decides in {"evaluation/protocols.py": True, "evaluation/models.py": True, "evaluation/tuning.py": True,
                          "training/config.py": True, "evaluation/result.py": False}.items():
        with (copy / name).open("a") as file:
            file.write("# changed\n")
        now = jobs.code_version()
        assert (now != before) is decides, name
        before = now


def test_models_are_found_and_refused_by_name():
    assert models.find_model(HERE + "Centroid@none").name == "centroid"
    with pytest.raises(ModelError, match="cannot be imported .*package.module:Class"):
        models.find_model("tests.unit.evaluation_models:Nobody")
    with pytest.raises(ModelError, match="'no_such_model'"):
        models.find_model("no_such_model")
    assert [models.base_of(n) for n in ("s0", "s0:no_attention", "s0@none", "s0:flat@none", HERE + "Prior@none")] == \
        ["s0", "s0", "s0", "s0", HERE + "Prior"]


@pytest.mark.parametrize("name, message", [
    (HERE + "Greedy", "cannot be made: it is called without arguments, and raises TypeError: .*'columns'"),
    (HERE + "Broken", "cannot be made: .*raises OSError: weights.bin is not here"),
    (HERE + "Unfit", r"Unfit' lacks fit\(train, task, seed, settings\); docs"),
    (HERE + "Unnamed", r"Unnamed' lacks a name \(str\) and candidates\(task\) and fit"),
    (HERE[:-1], "'tests.unit.evaluation_models' names no class: .*e.g. tests.unit.evaluation_models:Mine"),
    ("s0:no_attentoin", "no model 's0:no_attentoin'; there are: majority, .*s0:no_attention"),
    ("s0x:no_attention", "'s0x:no_attention' cannot be imported .No module named 's0x'.*; the laboratory's own are: majority")])
def test_a_model_that_is_not_whole_is_refused_in_a_line(name, message):
    with pytest.raises(ModelError, match=message) as refused:
        models.find_model(name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name, message", [("Single", "Single: candidates.task. gives a tuple of dicts, .* not {'columns': 1}"),
                                           ("Clueless", "Clueless: candidates.task. raises KeyError: 'two'")])
def test_candidates_that_are_none_are_refused_before_any_job(name, message):
    with pytest.raises(ModelError, match=message):
        evaluate.work_of(context((name,), people=4, protocol="kfold:2"))


def test_a_model_may_lie_in_a_module_alone(tmp_path, monkeypatch):
    (tmp_path / "lone_model.py").write_text(
        "from tests.unit.evaluation_models import Prior\nclass Mine(Prior):\n    name = 'mine'\n")
    (tmp_path / "lone_fault.py").write_text("class Mine(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert models.find_model("lone_model:Mine@none").name == "mine"
    assert [models.base_of(f"{name}@none") for name in ("lone_model:Mine", "s0:flat")] == ["lone_model:Mine", "s0"]
    assert models.own_source("lone_model:Mine") not in ("", models.own_source(HERE + "Prior"))
    assert not models.own_source("s0:flat")
    with pytest.raises(ModelError, match="'lone_fault:Mine' cannot be imported: its module raises SyntaxError"):
        models.find_model("lone_fault:Mine")


def test_one_seed_for_a_model_without_seeds_and_one_choice_a_fold():
    work = evaluate.work_of(context(("Centroid", "Tuned", "Prior"), people=4, protocol="kfold:2"))
    seeds = {name: sorted(j.seed for j in (*work.first, *work.waiting) if j.model == HERE + name and j.fold == 0)
             for name in ("Centroid", "Tuned", "Prior")}
    assert seeds == {"Centroid": [0, 1], "Tuned": [0, 1], "Prior": [0]}
    assert {j.model for j in work.waiting} == {HERE + "Tuned"} and {j.seed for j in work.waiting} == {1}
    assert work.fits == 2 * (2 + 2 + 1 + 2 * 2) and json.loads(work.first[0].settings or "") == {"columns": 1}
