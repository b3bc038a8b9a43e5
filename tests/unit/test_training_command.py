"""`nociband train` and `nociband data get` from the command line: the report, and one line for what is wrong."""

import json
import sys

import pytest

pytest.importorskip("torch")

from nociband_tools import cli  # noqa: E402


def nociband(monkeypatch, *arguments: str) -> int:
    """Exit status of the command line."""
    monkeypatch.setattr(sys, "argv", ["nociband", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def test_train_reports_and_writes(monkeypatch, tmp_path, capsys):
    arguments = ["train", "--dataset", "synthetic", "--task", "pain5", "--out", str(tmp_path / "m"), "--people", "3",
                 "--seconds", "80", "--epochs", "1", "--hidden", "2"]
    assert nociband(monkeypatch, *arguments) == 0
    said = capsys.readouterr().out
    assert "logistic regression" in said and "held out" in said and "nociband convert" in said
    report = json.loads((tmp_path / "m" / "training.json").read_text())
    assert report["name"] == "synthetic_pain5" and report["training"]["config"] == {"hidden": 2, "epochs": 1}


def test_what_is_wrong_is_said_in_a_line(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert nociband(monkeypatch, "train", "--dataset", "biovid", "--task", "pain5") == 1
    assert "no task 'pain5' on data set 'biovid'; there are: --dataset fmov" in capsys.readouterr().err
    monkeypatch.setenv("NOCIBAND_DATA", str(tmp_path / "nowhere"))
    assert nociband(monkeypatch, "train", "--dataset", "fmov", "--task", "emotion3") == 1
    said = capsys.readouterr().err
    assert "nowhere" in said and "nociband data get fmov" in said and "Traceback" not in said
    assert nociband(monkeypatch, "data", "get", "everything") == 1
    assert "unknown data set 'everything'; known: fmov" in capsys.readouterr().err
