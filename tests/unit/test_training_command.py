"""`nociband train` and `nociband data get` from the command line: the report, and one line for what is wrong."""

import json
import sys
import tomllib
from dataclasses import asdict, replace

import pytest

pytest.importorskip("torch")

from nociband.models.s0 import S0Config, multiply_accumulates, parameters  # noqa: E402
from nociband.training import tasks  # noqa: E402
from nociband_tools import cli  # noqa: E402


def nociband(monkeypatch, *arguments: str) -> int:
    """Exit status of the command line."""
    monkeypatch.setattr(sys, "argv", ["nociband", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


@pytest.mark.slow
def test_train_reports_and_writes(monkeypatch, tmp_path, capsys):
    arguments = ["train", "--dataset", "synthetic", "--task", "pain5", "--out", str(tmp_path / "m"), "--people", "3",
                 "--seconds", "120", "--epochs", "1", "--hidden", "2", "--evaluation", str(tmp_path / "result.json")]
    result = {"schema": 1, "dataset": "synthetic", "task": "pain5", "protocol": "kfold:5", "subjects": 48, "frozen": True,
              "plan_sha256": "0" * 64, "primary": "balanced_accuracy",
              "models": {"s0": {"balanced_accuracy": {"mean": 0.5, "low": None, "high": None}}}}
    (tmp_path / "result.json").write_text(json.dumps(result | {"task": "pain2"}))
    assert nociband(monkeypatch, *arguments) == 1 and not (tmp_path / "m").exists()
    assert "judges synthetic pain2, not synthetic pain5" in capsys.readouterr().err
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert nociband(monkeypatch, *arguments) == 0
    said = capsys.readouterr().out
    assert "logreg" in said and "held out" in said and "nociband convert" in said
    report = json.loads((tmp_path / "m" / "training.json").read_text())
    assert "on 48 people, plan frozen: balanced_accuracy s0 0.500 (undefined-undefined)" in " ".join(said.split())
    assert report["training"]["evaluation"]["models"] == {"s0": {"mean": 0.5, "low": None, "high": None}}
    assert report["name"] == "synthetic_pain5" and report["training"]["config"] == {"hidden": 2, "epochs": 1}


def test_settings_come_from_the_task_a_file_and_options_in_that_order(monkeypatch, tmp_path, capsys):
    (tmp_path / "c.toml").write_text("hidden = 5\ngamma = 1.0\n")
    asked = ["train", "--dataset", "fmov", "--task", "emotion3", "--config", str(tmp_path / "c.toml"), "--hidden", "6",
             "--print-config"]
    assert nociband(monkeypatch, *asked) == 0
    printed = tomllib.loads(capsys.readouterr().out)
    task = tasks.EMOTION3.hyper
    assert printed == asdict(replace(task, hidden=6, gamma=1.0)) | {"modalities": ["eda", "emg"]}
    (tmp_path / "c.toml").write_text("hiden = 5\n")
    assert nociband(monkeypatch, *asked) == 1
    assert "unknown training settings hiden" in capsys.readouterr().err


def test_a_dry_run_says_what_would_happen_and_writes_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "--dataset", "synthetic", "--task", "pain5", "--people", "3", "--seconds", "120", "--hidden", "2",
                 "--dry-run"]
    assert nociband(monkeypatch, *arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "of 1 people to train" in said and "nothing was written" in said
    assert f"{parameters(S0Config(hidden=2, classes=5))} parameters" in said
    assert f"{multiply_accumulates(S0Config(hidden=2, classes=5), 138, 138)} multiply-accumulates" in said
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_is_said_in_a_line(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert nociband(monkeypatch, "train", "--dataset", "biovid", "--task", "pain5") == 1
    assert "no task 'pain5' on data set 'biovid', which is called biovid_a now" in capsys.readouterr().err
    assert nociband(monkeypatch, "train", "--dataset", "stress_predict", "--task", "stress") == 1
    assert "no task 'stress' on data set 'stress_predict', which has none here; those that have: fmov" in capsys.readouterr().err
    monkeypatch.setenv("NOCIBAND_DATA", str(tmp_path / "nowhere"))
    assert nociband(monkeypatch, "train", "--dataset", "fmov", "--task", "emotion3") == 1
    said = capsys.readouterr().err
    assert "nowhere" in said and "nociband data get fmov" in said and "Traceback" not in said
    assert nociband(monkeypatch, "data", "get", "everything") == 1
    assert "unknown data set 'everything'; known: fmov" in capsys.readouterr().err
