"""`nociband data` from the command line, and the registry behind it."""

from __future__ import annotations

import errno
import gzip
import hashlib
import importlib
import inspect
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from nociband.errors import DataError
from nociband.signals import datasets, fetch, registry
from nociband_tools import cli


def nociband(monkeypatch, *arguments: str) -> int:
    """Exit status of the command line."""
    monkeypatch.setattr(sys, "argv", ["nociband", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


@pytest.fixture
def shocks(tmp_path, monkeypatch) -> Path:
    """A folder of data sets with one sound, made shock_trials, whose checksums are known."""
    folder = tmp_path / "data" / "oxazepam_shock_trials"
    folder.mkdir(parents=True)
    cells = [(c, s, k) for c in ("Self", "Other") for s in ("High", "Low") for k in range(10)]
    files = {
        "SCR.csv": "Subject,Condition,Stimulus,SCR\n" + "".join(f"9,{c},{s},0.{k}\n" for c, s, k in cells),
        "Ratings.csv": "Subject,Condition,Stimulus,Unpleasantness,Intensity\n"
                       + "".join(f"9,{c},{s},{k},{k}\n" for c, s, k in cells),
        "demographics.csv": "Subject,Treatment,Wave,Included_EP,Included_FMOV\n9,Placebo,1,TRUE,TRUE\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    about = dict(datasets.describe("shock_trials"), sha256={n: hashlib.sha256(t.encode()).hexdigest() for n, t in files.items()},
                 bytes=sum(map(len, files.values())))
    monkeypatch.setattr(datasets, "describe", lambda name: about)
    monkeypatch.setenv("NOCIBAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NOCIBAND_DATA", str(tmp_path / "data"))
    return folder


def test_list_says_what_is_here_and_how_to_get_the_rest(monkeypatch, shocks, capsys):
    assert nociband(monkeypatch, "data", "list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert tuple(rows) == registry.names()
    assert rows["shock_trials"]["folder"] == str(shocks) and rows["shock_trials"]["people_here"] == 1
    assert rows["fmov"]["folder"] is None and "nociband data get fmov" in rows["fmov"]["how_to_obtain"]
    assert "agreement" in rows["biovid_a"]["how_to_obtain"]
    monkeypatch.setenv("COLUMNS", "200")
    assert nociband(monkeypatch, "data", "list") == 0
    said = capsys.readouterr().out
    assert "1 of 78" in said and "`nociband data get xite` says how" in said


def test_a_sound_set_is_said_to_be(monkeypatch, shocks, capsys):
    assert nociband(monkeypatch, "data", "check", "shock_trials") == 0
    assert capsys.readouterr().out == "shock_trials: sound\n"


def test_damage_is_printed_exactly_and_once(monkeypatch, shocks, capsys):
    text = (shocks / "SCR.csv").read_text()
    (shocks / "SCR.csv").write_text(text.replace("9,Self,High,0.3", "9,Self,High,x"))
    (shocks / "demographics.csv").write_text((shocks / "demographics.csv").read_text().replace("Placebo", "Oxazepam"))
    assert nociband(monkeypatch, "data", "check", "shock_trials") == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first == f"{shocks / 'SCR.csv'}, line 5: column 'SCR' is not a number ('x')"
    assert second.startswith(f"{shocks / 'demographics.csv'}: not the published file")
    assert last == "shock_trials: 2 findings"
    assert nociband(monkeypatch, "data", "check", "shock_trials", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["sound"] is False and answer["findings"][0] == {
        "path": str(shocks / "SCR.csv"), "where": "line 5", "what": "column 'SCR' is not a number ('x')"}


def test_compressed_files_are_as_good(monkeypatch, shocks, capsys):
    content = (shocks / "SCR.csv").read_bytes()
    (shocks / "SCR.csv").unlink()
    (shocks / "SCR.csv.gz").write_bytes(gzip.compress(content))
    assert nociband(monkeypatch, "data", "check", "shock_trials") == 0
    (shocks / "SCR.csv.gz").write_bytes(gzip.compress(content)[:-9])
    capsys.readouterr()
    assert nociband(monkeypatch, "data", "check", "shock_trials") == 1
    said = capsys.readouterr().out
    assert "SCR.csv.gz: the gzip file is truncated" in said and "1 finding\n" in said


def test_check_of_what_is_not_here(monkeypatch, shocks, capsys):
    assert nociband(monkeypatch, "data", "check", "stress_predict") == 1
    assert "holds no stress_predict. Get the data with `nociband data get stress_predict`" in capsys.readouterr().err
    assert nociband(monkeypatch, "data", "check", "shock_trials", "--data", "/nowhere") == 1
    assert "the folder given (/nowhere) does not exist" in capsys.readouterr().err


def test_get_of_what_is_here_needs_no_network(monkeypatch, shocks, capsys):
    monkeypatch.setattr(fetch.Resuming, "__call__", lambda *a, **k: pytest.fail("nothing may be fetched"))
    assert nociband(monkeypatch, "data", "get", "shock_trials") == 0
    assert f"already here, nothing fetched: {shocks}" in capsys.readouterr().out
    (shocks / "Ratings.csv").unlink()
    assert nociband(monkeypatch, "data", "get", "shock_trials") == 1
    assert f"{shocks / 'Ratings.csv'}: no such file" in capsys.readouterr().out


def test_get_while_nociband_data_lacks_it(monkeypatch, shocks, capsys):
    shutil.rmtree(shocks)
    assert nociband(monkeypatch, "data", "get", "shock_trials") == 1
    assert f"nociband data get shock_trials --data {shocks.parent}" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_not_blamed_on_the_network(monkeypatch, shocks, tmp_path, capsys):
    pytest.importorskip("pooch")
    monkeypatch.setattr(fetch.Resuming, "__call__", lambda *a, **k: pytest.fail("nothing may be fetched"))
    (tmp_path / "file").write_text("no folder")
    assert nociband(monkeypatch, "data", "get", "shock_trials", "--data", str(tmp_path / "file")) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "cannot be written (Not a directory); give another folder with --data" in said and "network" not in said


def test_a_disk_that_fills_up_is_not_blamed_on_the_network(monkeypatch, shocks, tmp_path, capsys):
    pytest.importorskip("pooch")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fetch.Resuming, "__call__", full)
    assert nociband(monkeypatch, "data", "get", "shock_trials", "--data", str(tmp_path / "new")) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "cannot be written (No space left on device)" in said and "network" not in said


@pytest.mark.parametrize("name", [info.name for info in registry.ALL if info.access == "registered"])
def test_get_of_a_registered_set_says_whom_to_ask(monkeypatch, name, capsys):
    assert nociband(monkeypatch, "data", "get", name) == 2
    said = capsys.readouterr().err
    assert "cannot be downloaded" in said and "https://" in said and "ask" in said and ("agreement" in said or "rules" in said)


def test_the_synthetic_set_has_no_files(monkeypatch, capsys):
    for action in ("get", "check"):
        assert nociband(monkeypatch, "data", action, "synthetic") == 2
        assert "synthetic has no files" in capsys.readouterr().err


def test_an_unknown_name(monkeypatch, capsys):
    assert nociband(monkeypatch, "data", "check", "everything") == 1
    assert "unknown data set 'everything'; known: fmov, shock_trials" in capsys.readouterr().err


@pytest.mark.parametrize("info", registry.ALL, ids=lambda info: info.name)
def test_every_data_set_has_what_reads_it(info):
    module = importlib.import_module(info.module)
    if info.access != "synthetic":
        for function in ("load", "check"):
            parameters = inspect.signature(getattr(module, function)).parameters
            assert next(iter(parameters)) == "root" and set(info.options) <= set(parameters)
    for text in (info.title, info.licence, info.citation, info.signals, info.how_to_obtain):
        assert text
    assert registry.find(info.name) is info and all(registry.find(alias) is info for alias in info.aliases)


@pytest.mark.parametrize("info", [i for i in registry.ALL if i.access == "open"], ids=lambda info: info.name)
def test_open_sets_are_pinned_to_a_commit_with_checksums(info):
    about = datasets.describe(info.name)
    assert about["licence"] == info.licence
    assert about["base_url"].startswith("https://raw.githubusercontent.com/") and len(about["base_url"].split("/")[5]) == 40
    unknown = [file for file, sha in about["sha256"].items() if sha is None]
    assert all(len(sha) == 64 for sha in about["sha256"].values() if sha)
    assert unknown == (["Processed_data/Improved_All_Combined_hr_rsp_binary.csv"] if info.name == "stress_predict" else [])


def test_a_registered_set_cannot_be_described(monkeypatch):
    with pytest.raises(DataError, match="biovid_a cannot be downloaded: .*agreement"):
        datasets.describe("biovid_a")


def test_synthetic_people_are_made():
    recordings = registry.find("synthetic").load()
    assert len(recordings) == registry.SYNTHETIC_PEOPLE and all(r.simulated for r in recordings)


@pytest.mark.slow
@pytest.mark.skipif("NOCIBAND_DATA" not in os.environ, reason="NOCIBAND_DATA is not set")
@pytest.mark.parametrize("name", [info.name for info in registry.ALL if info.access == "open"])
def test_the_real_data_sets_are_sound(monkeypatch, name, capsys):
    if not datasets.available(name):
        pytest.skip(f"NOCIBAND_DATA does not hold {name}")
    assert nociband(monkeypatch, "data", "check", name, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"name": name, "sound": True, "findings": []}
