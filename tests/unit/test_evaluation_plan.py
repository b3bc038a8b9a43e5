"""Plans: what is decided beforehand is read exactly, refused exactly, and known to be frozen or not."""

import subprocess
from dataclasses import replace

import pytest

from nociband.errors import DataError, SpecError
from nociband.evaluation import plan as plans
from nociband.evaluation.plan import NonInferiority, Plan, Source, Tuning

TEXT = """
dataset = "fmov"
task = "emotion3"
protocol = "loso"
models = ["s0", "logreg", "s0:no_attention", "s0@none"]
seeds = 3
primary = "brier"
normalisation = "causal"
reference = "s0"
development_people = ["01", "02"]
published = ["somebody"]
notes = "why"
[window]
end_s = 7.0
[tuning]
inner_folds = 4
metric = "macro_f1"
[[tuning.candidates.logreg]]
c = 0.1
[[tuning.candidates.logreg]]
c = 1.0
[non_inferiority]
model = "s0"
margin = 0.03
"""


def test_a_plan_is_read_whole(tmp_path):
    path = tmp_path / "fmov_emotion3.toml"
    path.write_text(TEXT)
    plan, source = plans.read(path)
    assert plan == Plan("fmov", "emotion3", "loso", ("s0", "logreg", "s0:no_attention", "s0@none"), (0, 1, 2), "brier", "s0",
                        "causal", tuning=Tuning(4, "macro_f1", {"logreg": ({"c": 0.1}, {"c": 1.0})}),
                        non_inferiority=NonInferiority("s0", 0.03), window={"end_s": 7.0}, development_people=("01", "02"),
                        published=("somebody",), notes="why")
    assert not plan.higher_is_better and plan.normalisations == ("causal", "none") and plan.tuned.metric == "macro_f1"
    assert plans.from_dict(plan.to_dict()) == plan
    assert not source.frozen


def test_the_digest_stands_for_what_is_said_not_how(tmp_path):
    one, other = tmp_path / "a.toml", tmp_path / "b.toml"
    one.write_text(TEXT)
    lines = TEXT.replace('notes = "why"\n', "").replace('dataset = "fmov"', '# a remark\nnotes = "why"\ndataset = "fmov"')
    other.write_text(lines.replace("seeds = 3", "seeds = [0, 1, 2]"))
    assert plans.read(one)[0].sha256 == plans.read(other)[0].sha256
    assert replace(plans.read(one)[0], primary="auroc").sha256 != plans.read(one)[0].sha256


@pytest.mark.parametrize("change, message", [
    (('dataset = "fmov"', ""), "the plan lacks dataset"),
    (('seeds = 3', 'seeds = 0'), "seeds is 0; a count from 1 to 100"),
    (('seeds = 3', 'seeds = [1, 1]'), "seeds names 1 twice"),
    (('seeds = 3', 'seeds = [-1]'), "a seed is a whole number >= 0, not -1"),
    (('seeds = 3', 'sedes = 3'), "the plan has no sedes; it has: dataset, development_people"),
    (('"brier"', '"briar"'), "primary 'briar' is none of accuracy, balanced_accuracy"),
    (('"brier"', '"bland_altman_bias"'), "primary 'bland_altman_bias' is none of"),
    (('"macro_f1"', '"f1"'), "tuning.metric 'f1' is none of"),
    (('reference = "s0"', 'reference = "s1"'), "reference 's1' is not among models"),
    (('candidates.logreg', 'candidates.svm'), "tuning.candidates 'svm' is not among models, nor is a variant"),
    (('model = "s0"\nmargin', 'model = "svm"\nmargin'), "non_inferiority.model 'svm' is not among models"),
    (('margin = 0.03', 'margin = 0'), "non_inferiority.margin is 0; it is a difference > 0"),
    (('margin = 0.03', ''), "non_inferiority lacks something"),
    (('inner_folds = 4', 'inner_folds = 1'), "tuning.inner_folds is 1; 2 or more"),
    (('inner_folds = 4', 'inner_folds = true'), "tuning: inner_folds is a int, not True"),
    (('models = ["s0",', 'models = ["s0", "s0",'), "models names 's0' twice"),
    (('"s0@none"', '"s0@median"'), "the normalisation 'median' of the model 's0@median' is none of causal, zscore, none"),
    (('["01", "02"]', '[1, 2]'), "development_people is a list of strings, not [1, 2]"),
    (('protocol = "loso"', 'protocol = 5'), "protocol is a str, not 5"),
    (('models = [', 'models = '), "is not TOML"),
])
def test_a_wrong_plan_is_refused_with_the_file_and_the_key(tmp_path, change, message):
    assert change[0] in TEXT
    path = tmp_path / "plan.toml"
    path.write_text(TEXT.replace(*change))
    with pytest.raises(SpecError) as refused:
        plans.read(path)
    assert message in str(refused.value) and str(path) in str(refused.value)


def test_a_plan_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="nothing.toml cannot be read"):
        plans.read(tmp_path / "nothing.toml")
    assert plans.committed("fmov", "no_such_task") is None


def test_frozen_means_committed_and_untouched(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    path = tmp_path / "mine" / "plan.toml"
    path.parent.mkdir()
    path.write_text(TEXT)
    assert plans.read(path)[1] == Source("plan.toml")
    git("init", "-q")
    assert plans.read(path)[1] == Source("mine/plan.toml")
    git("add", "mine/plan.toml")
    git("commit", "-q", "-m", "plan")
    plan, source = plans.read(path)
    assert source.file == "mine/plan.toml" and source.frozen
    assert len(source.commit) == 40 and source.committed_at.startswith("20") and not source.modified
    assert not replace(source, changed=("seeds",)).frozen
    (tmp_path / "other").write_text("x")
    git("add", "other")
    git("commit", "-q", "-m", "something else")
    assert plans.read(path)[1].commit == source.commit
    path.write_text(TEXT + "\n# later\n")
    assert plans.read(path)[1].modified and not plans.read(path)[1].frozen


def test_other_models_take_what_named_them_along():
    plan = plans.from_dict({"dataset": "d", "task": "t", "models": ["s0", "svm"], "reference": "svm",
                            "tuning": {"candidates": {"svm": [{"c": 1}]}}, "non_inferiority": {"model": "s0", "margin": 0.1}})
    less = plan.with_changes(models=("s0",))
    assert less.reference == "" and less.against == "s0" and not less.tuning.candidates and less.non_inferiority is not None
    assert plan.with_changes(models=("svm",)).non_inferiority is None


def test_candidates_may_be_those_of_the_model_that_a_variant_is_of():
    mine = "mylab.models:Mine"
    lists = {name: [{"c": 1}] for name in ("s0", "logreg", mine)}
    plan = plans.from_dict({"dataset": "d", "task": "t", "models": ["s0", "logreg", mine], "tuning": {"candidates": lists}})
    for variants, kept in {("s0:no_attention", "majority"): {"s0"}, ("logreg@none",): {"logreg"}, (f"{mine}@none",): {mine},
                           ("s0:flat@none", "logreg"): {"s0", "logreg"}}.items():
        fewer = plan.with_changes(models=variants)
        assert set(fewer.tuning.candidates) == kept and plans.from_dict(fewer.to_dict()) == fewer
    with pytest.raises(SpecError, match="the normalisation 'foo' of the model 'logreg@foo' is none of causal, zscore, none$"):
        plan.with_changes(models=("logreg@foo",))
