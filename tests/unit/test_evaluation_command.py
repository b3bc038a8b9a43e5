"""`nociband evaluate` from the command line, on the simulator's people: plan, dry run, report, resuming, refusals."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch")

from nociband.evaluation import plan as plans  # noqa: E402
from nociband_tools import cli  # noqa: E402

PLAN = """
dataset = "synthetic"
task = "pain5"
protocol = "kfold:3"
models = ["logreg", "majority"]
seeds = 2
primary = "macro_f1"
[window]
people = 6
seconds = 120.0
seed = 3
[tuning.candidates]
logreg = [{ C = 0.1 }, { C = 1.0 }]
[non_inferiority]
model = "logreg"
margin = 0.05
"""


@pytest.fixture
def nociband(monkeypatch, tmp_path, capsys):
    """Call the command in a folder of its own: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN)

    def call(*arguments: str):
        monkeypatch.setattr(sys, "argv", ["nociband", "evaluate", *arguments])
        status = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code or 0
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def test_a_dry_run_says_what_would_be_done_and_does_nothing(nociband, tmp_path):
    status, said, _ = nociband("--plan", "plan.toml", "--dry-run")
    assert status == 0 and "6 people" in said and "kfold:3: 3 folds" in said and "not frozen: the file is in no commit" in said
    assert "6 jobs, 24 fits; 0 jobs are finished" in said and not (tmp_path / "build").exists()
    status, said, _ = nociband("--plan", "plan.toml", "--models", "majority", "--protocol", "holdout", "--dry-run")
    assert status == 0 and "not the frozen plan: models, protocol changed by options" in said
    status, said, _ = nociband("--plan", "plan.toml", "--models", "logreg@none,majority", "--dry-run")
    assert status == 0 and "plan_kfold3_exploratory" in said.replace("\n", "")


@pytest.mark.slow
def test_a_plan_is_run_reported_and_gone_on_with(nociband, tmp_path):
    status, said, _ = nociband("--plan", "plan.toml", "--engine", "serial", "--json", "out/result.json", "--report", "report")
    assert status == 0 and "logreg" in said and " to " in said and "Macro-F1: logreg gains" in said
    result = json.loads((tmp_path / "out/result.json").read_text())
    assert result["models"]["logreg"]["macro_f1"]["low"] > result["models"]["majority"]["macro_f1"]["high"]
    assert result["plan"]["window"]["people"] == 6 and result["subjects"] == 6 and not result["frozen"]
    assert (tmp_path / "report/index.html").stat().st_size > 10_000 and (tmp_path / "report/model_card.md").exists()
    status, out, said = nociband("--plan", "plan.toml", "--engine", "serial", "--json", "-")
    assert status == 0 and json.loads(out)["models"] == result["models"] and "6 jobs were finished before" in said


def test_the_plan_that_ships_is_used_and_options_unfreeze_it(nociband, monkeypatch, tmp_path):
    (tmp_path / "synthetic_pain5.toml").write_text(PLAN.replace("kfold:3", "kfold:2"))
    monkeypatch.setattr(plans, "PLANS", tmp_path)
    status, said, _ = nociband("--dataset", "synthetic", "--task", "pain5", "--dry-run")
    assert status == 0 and "plan synthetic_pain5.toml" in said and "2 folds" in said


def test_a_setting_that_a_model_does_not_have_is_found_by_a_dry_run(nociband, tmp_path):
    (tmp_path / "plan.toml").write_text(PLAN.replace("C = 1.0", "c = 1.0"))
    status, _, said = nociband("--plan", "plan.toml", "--dry-run")
    assert status == 1 and "logreg: unknown settings c; known: C" in said


def test_the_bar_of_a_frozen_run_shows_no_figure(nociband, tmp_path):
    """Figures that are seen before the end could decide whether the run is let go on."""
    def git(*arguments):
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
                       check=True, capture_output=True)

    git("init", "-q")
    git("add", "plan.toml")
    run = ("--plan", "plan.toml", "--models", "majority", "--engine", "serial", "--fresh")
    assert "macro_f1 so far: majority" in nociband(*run)[1]
    (tmp_path / "plan.toml").write_text(PLAN.partition("[tuning")[0].replace('"logreg", ', ""))
    git("add", "plan.toml")
    git("commit", "-q", "-m", "plan")
    assert [p.name for p in (tmp_path / "build/evaluations").iterdir()] == ["plan_kfold3_exploratory"]
    status, said, _ = nociband("--plan", "plan.toml", "--engine", "serial", "--fresh", "--json", "new/result.json")
    assert status == 0 and "frozen in commit" in said and "so far" not in said
    result = json.loads((tmp_path / "new/result.json").read_text())
    assert result["frozen"] and result["plan_source"]["file"] == "plan.toml" and result["plan_source"]["changed"] == []
    assert result["models"]["majority"]["macro_f1"]["mean"] > 0 and result["budget"]["jobs"] == 3
    reported = tmp_path / "build/evaluations/plan_kfold3"
    assert json.loads((reported / "result.json").read_text()) == result
    for more in ((), ("--dry-run",)):
        status, _, said = nociband("--plan", "plan.toml", "--primary", "kappa", "--out", str(reported), *more)
        assert status == 1 and "Give another --out, or --fresh" in " ".join(said.split())
    assert json.loads((reported / "result.json").read_text()) == result


@pytest.mark.parametrize("arguments, message", [
    ([], "give --dataset and --task, or a --plan that names them"),
    (["--dataset", "nowhere", "--task", "pain5"], "unknown data set 'nowhere'; there are: fmov, synthetic, biovid_a, xite"),
    (["--plan", "plan.toml", "--dataset", "fmov"], "plan.toml is a plan for dataset 'synthetic', not 'fmov'"),
    (["--plan", "plan.toml", "--models", "logreg,nobody"], "nobody"),
    (["--plan", "plan.toml", "--primary", "f1"], "primary 'f1' is none of accuracy"),
    (["--plan", "plan.toml", "--protocol", "loso2"], "unknown protocol 'loso2'; known are: loso"),
    (["--plan", "plan.toml", "--json", "."], "--json . is a folder: name a file in it, e.g. result.json"),
    (["--plan", "plan.toml", "--json", "plan.toml/result.json"], "--json: plan.toml is a file, and a folder is to be there"),
    (["--plan", "plan.toml", "--report", "plan.toml"], "--report: plan.toml is a file"),
    (["--plan", "plan.toml", "--out", "plan.toml/run"], "--out: plan.toml is a file"),
    (["--plan", "plan.toml", "--engine", "cloud"], "unknown engine 'cloud'; there are: serial, local, ray"),
    (["--plan", "plan.toml", "--address", "auto"], "--address auto is of a Ray cluster, and --engine local uses none"),
    (["--plan", "plan.toml", "--models", "s0:no_attentoin"], "no model 's0:no_attentoin'; there are: majority"),
    (["--plan", "plan.toml", "--models", "logreg@foo"], "the normalisation 'foo' of the model 'logreg@foo' is none of causal"),
    (["--plan", "plan.toml", "--engine", "ray", "--address", "127.0.0.1:1"], "no Ray cluster answers at 127.0.0.1:1"),
])
def test_what_is_wrong_is_said_in_a_line(nociband, tmp_path, arguments, message):
    status, _, said = nociband(*arguments)
    assert status in (1, 2) and message in said.replace("\n", " ") and "Traceback" not in said
    assert not list(tmp_path.glob("build"))     # before anything was computed
