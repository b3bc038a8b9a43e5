"""What a demo will use, decided before anything starts."""

from __future__ import annotations

import json

import pytest

from nociband.errors import DataError, ModelError
from nociband.signals import datasets
from nociband_tools.demo.plan import make_plan
from nociband_tools.emulator.source import unseen
from nociband_tools.firmware import model_folder


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    monkeypatch.delenv("NOCIBAND_DATA", raising=False)
    monkeypatch.setenv("NOCIBAND_CACHE", str(tmp_path / "empty"))


def test_without_data_the_simulator_and_the_model_of_pain(no_data) -> None:
    plan = make_plan("qemu", None, None, 60)
    assert (plan.source, plan.model) == ("simulator", "synthetic_pain5")


def test_a_wrong_data_folder_is_an_error_and_not_a_simulation(monkeypatch) -> None:
    monkeypatch.setenv("NOCIBAND_DATA", "/nonexistent")
    with pytest.raises(DataError, match="NOCIBAND_DATA"):
        make_plan("qemu", None, None, 60)


def test_asked_for_real_data_that_is_not_there(no_data) -> None:
    with pytest.raises(DataError, match="nociband data get"):
        make_plan("qemu", "fmov", "synthetic_pain5", 60)


def test_an_unknown_model() -> None:
    with pytest.raises(ModelError, match="no_such_model"):
        make_plan("qemu", "simulator", "no_such_model", 60)


def test_the_person_is_one_that_the_model_has_not_seen() -> None:
    manifest = json.loads((model_folder("fmov_emotion3") / "manifest.json").read_text())
    if not datasets.available("oxazepam_fmov"):
        pytest.skip("set NOCIBAND_DATA to the folder of real recordings")
    person = unseen("fmov", manifest)
    people = manifest["training"]["subjects"]
    assert person.removeprefix("fmov:") in people["held_out"]
    assert person.removeprefix("fmov:") not in people["train"] + people["validation"]
    manifest["training"]["subjects"]["held_out"] = []
    with pytest.raises(DataError, match="held out"):
        unseen("fmov", manifest)
