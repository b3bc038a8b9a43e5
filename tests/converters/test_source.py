"""What the converter takes is checked before anything is converted: each fault is named, with the file it is in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from _trained import INFO, STD, made_windows, write

from nociband.errors import ModelError
from nociband.models.s0 import S0, S0Config
from nociband.spec import SPEC
from nociband_convert import calibration, source


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("source") / "made", epochs=0)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "made"))


def info(**changes: object) -> Callable[[Path], None]:
    return lambda folder: (folder / "training.json").write_text(json.dumps(INFO | changes)) and None


def windows(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with np.load(folder / "calibration.npz") as arrays:
            np.savez(folder / "calibration.npz", **(dict(arrays) | changes))
    return change


def weights(value: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        saved = torch.load(folder / "model.pt", weights_only=True)
        saved["state_dict"]["head.out.weight"][0, 0] = value
        torch.save(saved, folder / "model.pt")
    return change


def test_reads_what_training_leaves(folder: Path) -> None:
    trained = source.load(folder)
    assert trained.network.config.classes == 3
    assert trained.train.shape == (200, 138, 6) and trained.labels.shape == (60,)


@pytest.mark.parametrize("limit", [8.0, 3.0])
def test_inputs_are_clamped_where_the_network_was_trained_to_have_them_clamped(tmp_path: Path, limit: float) -> None:
    """In floating point, and in the calibration, whose largest x becomes the end of the 16-bit input."""
    trained = source.load(write(tmp_path / "made", epochs=0, input_limit=limit))
    units = 4 * made_windows(200, 1)[0] / 2.0 ** np.array([f.q for f in SPEC.model_inputs]) / np.array(STD)
    assert np.abs(units).max() > limit
    assert np.abs(trained.normalised(4 * trained.train) - np.clip(units, -limit, limit)).max() < 1e-5
    rows = calibration.calibrate(trained).inputs
    assert all(np.abs(rows[branch]["x"]).max() == limit for branch in ("eda", "emg"))


def test_a_model_from_before_the_limit_was_a_setting_keeps_the_limit_of_then(folder: Path) -> None:
    saved = torch.load(folder / "model.pt", weights_only=True)
    del saved["config"]["input_limit"]
    torch.save(saved, folder / "model.pt")
    assert source.load(folder).network.config.input_limit == 8.0


@pytest.mark.parametrize(("change", "words"), [
    (lambda f: (f / "model.pt").unlink(), "model.pt is missing"),
    (lambda f: (f / "model.pt").write_bytes(b"not a model") and None, "model.pt is damaged"),
    (weights(float("nan")), "not finite"),
    (lambda f: (f / "training.json").unlink(), "has no training.json, so it is no trained model; name a"),
    (lambda f: (f / "training.json").write_text("{") and None, "training.json cannot be read"),
    (lambda f: (f / "training.json").write_text("[]") and None, "missing or of the wrong type"),
    (info(title=None), "title missing"),
    (info(name="../elsewhere"), "lower-case"),
    (info(title="a */ b"), "one line"),
    (info(sites=["elbow", "knee"]), "sites"),
    (info(std=[1.0] * 5), "std must be 6"),
    (info(std=[1.0, 1.0, 0.0, 1.0, 1.0, 1.0]), "std must be 6"),
    (info(classes=INFO["classes"][:2]), "3 outputs"),
    (lambda f: (f / "calibration.npz").write_bytes(b"PK nothing") and None, "calibration.npz cannot be read"),
    (windows(train=np.zeros((40, 100, 6))), r"train is \(40, 100, 6\)"),
    (windows(train=np.zeros((40, 138, 4))), r"train is \(40, 138, 4\)"),
    (windows(train=np.zeros((3, 138, 6))), "at least 16"),
    (windows(validation=np.full((60, 138, 6), np.nan)), "not finite"),
    (windows(validation_labels=np.full(60, 7)), "class numbers below 3"),
    (windows(validation_labels=np.zeros(5, int)), "validation_labels"),
])
def test_refusals(folder: Path, change: Callable[[Path], None], words: str) -> None:
    change(folder)
    with pytest.raises(ModelError, match=words):
        source.load(folder)


def test_a_network_that_the_band_cannot_run_is_named(folder: Path) -> None:
    network = S0(S0Config(classes=3, hidden=4, attention=False))
    torch.save({"config": network.config.to_dict(), "state_dict": network.state_dict()}, folder / "model.pt")
    with pytest.raises(ModelError, match="an S0 that the band cannot run"):
        source.load(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist; name a trained model's folder"):
        source.load(tmp_path / "none")
