"""A whole run: its result has the documented keys, its figures are those of the predictions, and it goes on where it was."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.evaluation_models import CLASSES, HERE, SCORE, windows

from nociband.errors import DataError, ModelError
from nociband.evaluation import evaluate, metrics, statistics
from nociband.evaluation import plan as plans
from nociband.evaluation.models import find_model
from nociband.evaluation.plan import NonInferiority, Plan, Source, Tuning
from nociband.evaluation.tuning import candidates_of

CENTROID, TUNED, PRIOR = (HERE + name for name in ("Centroid", "Tuned", "Prior"))
ROOT = Path(__file__).resolve().parents[2]


def context(people=8, **changes):
    values = {"protocol": "kfold:4", "models": (CENTROID, TUNED, PRIOR), "seeds": (0, 1), "primary": "balanced_accuracy"}
    plan = Plan("made_up", "two", **(values | changes))
    return evaluate.context_of(plan, CLASSES, {"causal": windows(people, 20)}, {"p99": "no usable window"})


def run(shared, folder, **options):
    return evaluate.evaluate(shared.plan, folder, "serial", context=shared, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    shared = context(reference=TUNED, non_inferiority=NonInferiority(TUNED, 0.05), development_people=("p00", "p01", "p02"))
    folder = tmp_path_factory.mktemp("run")
    return shared, folder, *run(shared, folder, source=Source("plan.toml", "c" * 40, "2026-01-01"))


def test_the_result_has_exactly_the_documented_keys(whole):
    _, folder, result, _ = whole
    table = (ROOT / "docs/evaluation.md").read_text("utf-8").partition("## The JSON")[2].partition("\n## ")[0]
    documented = {cell.strip(" `") for line in table.splitlines() if line.startswith("| `")
                  for cell in line.split("|")[1].split(",")}
    assert set(result) == {name for name in documented if "." not in name}
    for path in (name for name in documented if "." in name):
        here = result
        for key in path.split("."):
            key = {"<model>": TUNED, "<other>": PRIOR, "<person>": "p04", "<metric>": "balanced_accuracy"}.get(key, key)
            here = here[int(key)] if isinstance(here, list) else here[key]
    assert json.loads((folder / "result.json").read_text()) == json.loads(json.dumps(result))


def test_figures_are_those_of_the_predictions(whole):
    shared, folder, result, predictions = whole
    assert (result["dataset"], result["task"], result["protocol"], result["subjects"]) == ("made_up", "two", "kfold:4", 8)
    assert result["windows"] == {"judged": 160, "augmented": 0, "by_class": {"rest": 80, "pain": 80}}
    assert result["excluded"] == {"p99": "no usable window"} and result["frozen"] and result["synthetic"]
    assert result["seeds"] == {CENTROID: [0, 1], TUNED: [0, 1], PRIOR: [0]}
    for name, outcome in predictions.items():
        assert result["models"][name] == metrics.judge(outcome)
        right = (outcome.runs.argmax(axis=2) == outcome.target).mean()
        assert result["models"][name]["accuracy"]["mean"] == pytest.approx(right, abs=1e-4)
    assert result["models"][TUNED]["auroc"]["low"] > 0.5 and result["models"][PRIOR]["balanced_accuracy"]["mean"] <= 0.5
    assert result["comparisons"] == statistics.compare(predictions, TUNED, "balanced_accuracy")
    assert result["non_inferiority"]["against"] == CENTROID and result["non_inferiority"]["among"] == [CENTROID, PRIOR]
    assert result["attributes"]["p03"] == {"sex": "f", "age": 23}
    back = evaluate.load_predictions(folder, ("rest", "pain"))
    assert all(back[name].runs.tobytes() == outcome.runs.tobytes() for name, outcome in predictions.items())
    assert list(back) == list(predictions) == list(shared.plan.models)


def test_every_window_is_judged_once_by_a_model_that_never_saw_its_person(whole):
    shared, _, result, predictions = whole
    judged = sorted(who for fold in result["folds"] for who in fold["test"])
    assert judged == [f"p{i:02d}" for i in range(8)]
    assert all(not set(fold["test"]) & set(fold["train"]) for fold in result["folds"])
    outcome, plain = predictions[CENTROID], shared.examples["causal"]
    assert sorted(zip(outcome.subjects, outcome.sittings, outcome.target, strict=True)) == \
        sorted(zip(plain.subjects, plain.sittings, plain.target, strict=True))


def test_people_of_the_exploration_and_the_others_are_told_apart(whole):
    _, _, result, predictions = whole
    assert result["people"]["development"]["subjects"] == ["p00", "p01", "p02"]
    untouched = predictions[TUNED].where(~np.isin(predictions[TUNED].subjects, ["p00", "p01", "p02"]))
    assert result["people"]["untouched"]["models"][TUNED] == metrics.judge(untouched)


def test_tuning_and_budget_are_accounted_for(whole):
    _, _, result, _ = whole
    assert set(result["tuning"]) == {TUNED}
    assert [t["fold"] for t in result["tuning"][TUNED]] == [fold["name"] for fold in result["folds"]]
    assert all(max(t["tried"], key=lambda c: c["score"])["settings"] == t["chosen"] for t in result["tuning"][TUNED])
    assert result["budget"]["models"][TUNED]["fits"] == 4 * (2 * 3 + 2) and result["budget"]["models"][PRIOR]["fits"] == 4
    assert result["budget"]["fits"] == 4 * (2 + 8 + 1) and result["budget"]["jobs"] == 20


def test_a_run_goes_on_and_a_folder_is_not_shared(tmp_path, monkeypatch):
    first, _ = run(context(models=(CENTROID,)), tmp_path)
    monkeypatch.setenv("NOCIBAND_TEST_FITS", str(tmp_path / "fits"))
    seen = []
    again, _ = run(context(), tmp_path, progress=seen.append)
    assert again["models"][CENTROID] == first["models"][CENTROID] and again["budget"]["jobs_kept"] == 8
    assert "centroid" not in (tmp_path / "fits").read_text() and again["seconds"] > first["seconds"]
    assert (seen[-1].done, seen[-1].total, seen[-1].kept) == (20, 20, 8) and seen[-1].running[TUNED] > 0.5
    work, other = evaluate.work_of(context()), evaluate.RunFolder(tmp_path)
    assert other.finished(work, context()) == 20
    with pytest.raises(ModelError, match="holds another run: its windows, folds differ. Give another --out, or start over"):
        run(context(people=9), tmp_path)
    result, _ = run(context(people=9), tmp_path, fresh=True)
    assert result["subjects"] == 9 and result["budget"]["jobs_kept"] == 0
    for damaged in ("{", "[1]", "null", '{"parts": [1], "seconds": 0}', '{"parts": {}, "seconds": "long"}', "{}",
                    '{"parts": {}, "seconds": 1}'):
        (tmp_path / "run.json").write_text(damaged)
        with pytest.raises(DataError, match="run.json cannot be read .*--fresh"):
            run(context(people=9), tmp_path)


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:len(whole) // 2], lambda whole: b"text",
                                    lambda whole: whole[:200] + bytes(255 - b for b in whole[200:260]) + whole[260:]])
def test_damaged_predictions_are_named(whole, tmp_path, damage):
    _, folder, _, _ = whole
    (tmp_path / "predictions.npz").write_bytes(damage((folder / "predictions.npz").read_bytes()))
    with pytest.raises(DataError, match="predictions.npz cannot be read .*finished jobs are kept"):
        evaluate.load_predictions(tmp_path, ("rest", "pain"))


def test_windows_are_numbered_by_time_within_a_person_s_sitting(tmp_path):
    """Also where everybody's sittings are called alike and windows do not come in the order of time."""
    made = windows(5, 6)
    elapsed = np.tile([50.0, 10.0, 30.0, 20.0, 40.0, 60.0], 5) + np.repeat(np.arange(5.0), 6)
    alike = replace(made, sittings=np.full(len(made), "1"), elapsed_s=elapsed)
    plan = Plan("made_up", "two", "kfold:2", (PRIOR,), (0,))
    _, predictions = run(evaluate.context_of(plan, CLASSES, {"causal": alike}), tmp_path)
    assert predictions[PRIOR].place.tolist() == [4, 0, 2, 1, 3, 5] * 5


def test_scores_are_judged_as_scores(tmp_path):
    plan = Plan("made_up", "score", "loso", (CENTROID, PRIOR), (0,))
    result, predictions = run(evaluate.context_of(plan, SCORE, {"causal": windows(6, kind="score")}), tmp_path)
    assert result["primary"] == "mae" and not result["higher_is_better"] and result["labels"] == []
    error = np.abs(predictions[CENTROID].runs[0] - predictions[CENTROID].target).mean()
    assert result["models"][CENTROID]["mae"]["mean"] == pytest.approx(error, abs=1e-4)
    assert result["models"][CENTROID]["mae"]["mean"] < result["models"][PRIOR]["mae"]["mean"]


def test_another_normalisation_is_judged_beside(tmp_path):
    plan = Plan("made_up", "two", "loso", (CENTROID, CENTROID + "@none"), (0,))
    both = {"causal": windows(5, seed=3), "none": windows(5, seed=3, separation=0.0)}
    result, _ = run(evaluate.context_of(plan, CLASSES, both), tmp_path)
    assert result["models"][CENTROID]["auroc"]["mean"] > result["models"][CENTROID + "@none"]["auroc"]["mean"]
    with pytest.raises(ModelError, match="normalisation 'none' gives 40 windows that are not the 50 of 'causal'"):
        evaluate.context_of(plan, CLASSES, both | {"none": windows(4)})


def test_what_is_finished_is_kept_when_a_model_or_a_normalisation_is_added(tmp_path, monkeypatch):
    def both(*models, **other):
        made = {"causal": windows(5, seed=3), "none": windows(5, seed=3, separation=0.0)} | other
        plan = Plan("made_up", "two", "loso", models, (0, 1))
        wanted = plan.with_changes(normalisation="causal").normalisations
        return evaluate.context_of(plan, CLASSES, {name: made[name] for name in wanted})

    first, _ = run(both(CENTROID), tmp_path)
    monkeypatch.setenv("NOCIBAND_TEST_FITS", str(tmp_path / "fits"))
    more, _ = run(both(PRIOR, CENTROID, CENTROID + "@none"), tmp_path)
    assert more["models"][CENTROID] == first["models"][CENTROID] and more["identities"][CENTROID] == first["identities"][CENTROID]
    assert more["budget"]["jobs_kept"] == 10 and (tmp_path / "fits").read_text().count("centroid") == 10    # of "@none" alone
    assert run(both(CENTROID), tmp_path)[0]["budget"]["jobs_kept"] == 10
    for changed in ({"causal": windows(5, seed=3, separation=2.0)}, {"none": windows(5, seed=3, separation=2.0)}):
        with pytest.raises(ModelError, match="holds another run: its windows differs"):
            run(both(CENTROID, CENTROID + "@none", **changed), tmp_path)


def test_nobody_sees_a_figure_of_a_frozen_run_before_its_end(tmp_path):
    seen = {True: [], False: []}
    for frozen, progress in seen.items():
        source = Source("plan.toml", "c" * 40 if frozen else "", "2026-01-01")
        run(context(models=(CENTROID, PRIOR)), tmp_path / str(frozen), source=source, progress=progress.append)
    assert [at.done for at in seen[True]] == [at.done for at in seen[False]] == list(range(1, 13))
    assert all(not at.running for at in seen[True]) and seen[False][-1].running[CENTROID] > 0.5


def test_a_frozen_result_is_not_replaced_by_another_unless_that_is_asked_for(tmp_path):
    frozen, shared = Source("plan.toml", "c" * 40, "2026-01-01"), context(models=(PRIOR,), people=4)
    run(shared, tmp_path, source=frozen)
    for source in (None, Source("plan.toml"), replace(frozen, changed=("seeds",)), replace(frozen, modified=True)):
        with pytest.raises(ModelError, match="result of a frozen plan, and this run follows none.*another --out, or --fresh"):
            run(shared, tmp_path, source=source)
        assert json.loads((tmp_path / "result.json").read_text())["frozen"]
    assert run(shared, tmp_path, source=frozen)[0]["budget"]["jobs_kept"] == 4
    assert not run(shared, tmp_path, fresh=True)[0]["frozen"] and run(shared, tmp_path, source=frozen)[0]["frozen"]
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(DataError, match="result.json cannot be read .*start over with --fresh"):
        run(shared, tmp_path)


@pytest.mark.parametrize("model, candidate, message", [
    ("s0", {"epochz": 3}, "s0: unknown training settings epochz; there are: network, hidden"),
    ("s0", {"dropout": 1.5}, "s0: dropout is a share from 0 to below 1, not 1.5"),
    ("s0:no_attention", {"hidden": "16"}, "s0:no_attention: hidden is of type int, not '16'"),
    ("logreg", {"c": 1.0}, "logreg: unknown settings c; known: C"),
    ("svm", {"C": "1"}, "svm: C is a number above 0, not '1'"),
    ("majority", {"C": 1.0}, "majority: unknown settings C; known: none")])
def test_settings_that_a_model_does_not_have_are_refused_before_any_job(model, candidate, message):
    with pytest.raises(ModelError) as refused:
        evaluate.work_of(context(models=(model,), tuning=Tuning(candidates={model: ({}, candidate)})))
    assert str(refused.value).startswith(message)


def test_settings_of_the_plans_that_ship_are_those_of_their_models():
    for path in plans.PLANS.glob("*.toml"):
        plan, source = plans.read(path)
        for name in plan.models:
            assert candidates_of(find_model(name), name, CLASSES, plan.tuning)
        assert plans.ships(source.file) and not Path(source.file).is_absolute()


def test_a_plan_that_does_not_fit_its_windows_is_refused():
    with pytest.raises(ModelError, match="'mae' is no metric of made_up two .classes.; there are: accuracy"):
        context(primary="mae")
    with pytest.raises(ModelError, match="development_people of the plan who are not in made_up: p77"):
        context(development_people=("p77",))


def test_plans_that_ship_are_named_after_what_they_plan():
    for path in plans.PLANS.glob("*.toml"):
        plan, _ = plans.read(path)
        usual = plans.committed(plan.dataset, plan.task)  # others of the same task have a word more
        assert usual is not None and (path == usual or path.stem.startswith(f"{usual.stem}_"))
