"""The conversion as a whole, and what its later stages refuse."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from _nn import MODELS, NativeModel, random_windows
from _trained import write
from typer.testing import CliRunner

import nociband_convert
from nociband.errors import ModelError, SpecError
from nociband.inference import Model
from nociband.spec import SPEC
from nociband.windows import BASELINE_Q, WindowTwin
from nociband_convert import calibration, parity, regenerate, source, to_onnx, to_tflite
from nociband_tools.cli import build_app

FILES = {"eda.tflite", "emg.tflite", "head.tflite", "manifest.json", "nb_model_data.c"}
BY_NAME = pytest.mark.parametrize("folder", MODELS, ids=lambda p: p.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("convert") / "made")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_model_is_converted_and_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    made = write(tmp_path / "made", epochs=30)
    done = CliRunner().invoke(build_app(), ["convert", str(made), "--out", str(tmp_path / "one")])
    assert done.exit_code == 0, done.output
    assert "same class as in floating point" in done.output and "multiply-accumulates" in done.output
    assert {p.name for p in (tmp_path / "one").iterdir()} == FILES
    report = nociband_convert.convert(made, tmp_path / "two")
    assert report.parity.passed and report.parity.logit_error_mean < 0.1
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    model, native = Model.load(tmp_path / "one"), NativeModel(tmp_path / "one/nb_model_data.c", tmp_path)
    for x in random_windows(20, seed=6):
        assert native.logits(x)[:3].tolist() == model.logits(x).tolist()


@BY_NAME
def test_committed_models_are_what_the_generator_makes_of_their_tflite_files(folder: Path, tmp_path: Path) -> None:
    regenerate(folder, tmp_path / "again")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), f"run `nociband convert {folder}`"


def test_a_folder_made_for_another_specification_is_brought_up_to_date(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS[0], tmp_path / MODELS[0].name))
    raw = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(raw | {"spec_hash": "0" * 64}))
    with pytest.raises(SpecError, match="made for specification"):
        Model.load(folder)
    done = CliRunner().invoke(build_app(), ["convert", str(folder)])
    assert done.exit_code == 0, done.output
    assert Model.load(folder).manifest.raw["spec_hash"] == SPEC.hash


@pytest.mark.parametrize(("change", "error"), [
    (lambda f: (f / "head.tflite").write_bytes(b"TFL3" * 9) and None, ModelError),
    (lambda f: shutil.copy(f / "emg.tflite", f / "eda.tflite") and None, SpecError),
    (lambda f: (f / "manifest.json").write_text("{}") and None, SpecError),
    (lambda f: (f / "eda.tflite").unlink(), ModelError),
])
def test_a_folder_that_does_not_hold_together_is_not_made_anew(tmp_path: Path, change, error) -> None:
    folder = Path(shutil.copytree(MODELS[0], tmp_path / "model"))
    change(folder)
    with pytest.raises(error):
        regenerate(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_little_agreement_is_exit_status_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    poor = parity.Parity(100, 0.98, 0.9, 0.88, 0.5, 0.01, {"eda": 0.3, "emg": 0.4})
    monkeypatch.setattr(nociband_convert, "convert", lambda s, o: nociband_convert.Report("made", {}, 1, 2, 3, poor))
    done = CliRunner().invoke(build_app(), ["convert", str(tmp_path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1 and "98.00%" in done.output and "nothing was written" in done.output


@pytest.mark.slow
def test_agreement_is_counted_and_can_fail(made: Path) -> None:
    """The shipped three-class model against a network it was not made from: the gate notices."""
    folder = next(f for f in MODELS if len(json.loads((f / "manifest.json").read_text())["classes"]) == 3)
    result = parity.compare(source.load(made), Model.load(folder))
    assert result.windows == 60 and not result.passed


@BY_NAME
def test_integer_windows_are_those_of_the_band(folder: Path, made: Path) -> None:
    model, rng = Model.load(folder), np.random.default_rng(5)
    twin, frames = WindowTwin(), rng.integers(-9000, 9000, (700, 6)).astype(np.int16)
    for f in frames:
        twin.push(np.zeros((40, 2), np.int16), np.full(2, 900, np.uint16), np.zeros((2, 3), np.int16), f)
    uses = np.array([f.baseline for f in SPEC.model_inputs])
    relative = frames[-138:] - np.where(uses, twin.baseline, 0) / 2**BASELINE_Q
    expected = twin.input([(s.mult, s.shift) for s in model.manifest.input_scales])
    assert np.array_equal(parity.quantised(source.load(made), model, relative[None])[0], expected)


def test_a_cell_state_without_bounds_is_refused(made: Path) -> None:
    trained = source.load(made)
    hidden = trained.network.config.hidden
    with torch.no_grad():
        trained.network.lstm_eda.bias_ih_l0[:] = 20.0  # every gate open: c grows by one a step
        trained.network.lstm_eda.weight_hh_l0[2 * hidden:3 * hidden] = 0
    with pytest.raises(ModelError, match="cell state reaches"):
        calibration.calibrate(trained)


@pytest.mark.parametrize(("change", "words"), [
    (lambda v: v | {"x": v["x"][:, :1]}, r"calibration of x has rows of \(1,\)"),
    (lambda v: {"x": v["x"], "h": v["h"]}, "the calibration has"),
    (lambda v: v | {"c": v["c"][:-1]}, "different numbers of rows"),
])
def test_calibration_of_the_wrong_shape(made: Path, tmp_path: Path, change, words: str) -> None:
    trained = source.load(made)
    path = to_onnx.export(trained.network, tmp_path)["eda"]
    inputs = calibration.calibrate(trained).inputs["eda"]
    with pytest.raises(ModelError, match=words):
        to_tflite.convert(path, change(inputs), tmp_path)


@pytest.mark.slow
def test_calibration_rows_hold_the_ends_of_known_ranges(made: Path) -> None:
    ranges = calibration.calibrate(source.load(made))
    for branch in ("eda", "emg"):
        rows = ranges.inputs[branch]
        assert np.abs(rows["x"]).max() == 8.0 and np.abs(rows["h"]).max() == 1.0
        assert np.abs(rows["c"]).max() <= ranges.cell_limit[branch]
    assert all(np.abs(v).max() == 1.0 for v in ranges.inputs["head"].values())


@pytest.mark.slow
def test_onnx2tf_failing_is_told_in_a_line(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = source.load(made)
    path = to_onnx.export(trained.network, tmp_path)["eda"]
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho something went wrong >&2\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(ModelError, match=r"could not convert eda.onnx \(status 3\): something went wrong"):
        to_tflite.convert(path, calibration.calibrate(trained).inputs["eda"], tmp_path)


@BY_NAME
def test_states_come_out_on_the_scale_at_which_they_go_in(folder: Path) -> None:
    from nociband_convert import tflite

    graphs = {n: tflite.read(folder / f"{n}.tflite") for n in ("eda", "emg", "head")}
    to_tflite.check_loops(graphs)
    with pytest.raises(ModelError, match="goes in with steps"):
        tensors = list(graphs["eda"].tensors)
        at = graphs["eda"].outputs["h_next"]
        tensors[at] = tflite.Tensor("h_next", tensors[at].shape, "int16", (1e-4,), (0,), None)
        wrong = tflite.Graph("eda", tuple(tensors), graphs["eda"].ops, graphs["eda"].inputs, graphs["eda"].outputs)
        to_tflite.check_loops({**graphs, "eda": wrong})
