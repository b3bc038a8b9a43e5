"""The conversion as a whole, and what its later stages refuse."""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from _m4 import needs_emulator
from _nn import MODELS, random_windows
from _trained import write
from click.testing import Result
from typer.testing import CliRunner

import nociband_convert
from nociband.errors import EnvironmentProblem, ModelError, SpecError
from nociband.inference import GRAPHS, Model
from nociband.spec import SPEC
from nociband.windows import BASELINE_Q, WindowTwin
from nociband_convert import Scheme, calibration, gates, manifest, regenerate, source, tflite, to_c, to_onnx, to_tflite
from nociband_convert.graphs import scales
from nociband_convert.parity import bits, quality
from nociband_tools import conversion
from nociband_tools.cli import build_app

FILES = {"eda.tflite", "emg.tflite", "head.tflite", "manifest.json", "nb_model_data.c"}
Converted = dict[Scheme, nociband_convert.Converted]
BY_NAME = pytest.mark.parametrize("folder", MODELS, ids=lambda p: p.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("convert") / "made")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained long enough to be worth converting."""
    return write(tmp_path_factory.mktemp("good") / "made", epochs=30)


@pytest.fixture(scope="module")
def converted(good: Path) -> Converted:
    return {scheme: nociband_convert.convert(good, scheme) for scheme in nociband_convert.SCHEMES}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scheme", nociband_convert.SCHEMES)
def test_a_model_is_converted_and_the_same_model_gives_the_same_bytes(
        good: Path, converted: Converted, tmp_path: Path, scheme: Scheme) -> None:
    options = ["--scheme", scheme, "--out", str(tmp_path / "one"), "--json", str(tmp_path / "figures.json")]
    done = CliRunner().invoke(build_app(), ["convert", str(good), *options])
    assert done.exit_code == 0, done.output
    assert "same class as in floating point" in done.output and "multiply-accumulates" in done.output
    assert {p.name for p in (tmp_path / "one").iterdir()} == FILES
    again = converted[scheme]
    assert all(v.passed for v in again.judge()) and again.quality.logit_error_mean < {"int16x8": 0.1, "int8": 1.0}[scheme]
    for name, content in again.files.items():
        assert (tmp_path / "one" / name).read_bytes() == content, name
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["written"] == str(tmp_path / "one") and figures["schemes"][scheme]["quality"] == again.quality.to_dict()
    model = Model.load(tmp_path / "one")
    assert model.manifest.scheme == scheme and model.manifest.raw["conversion"] == again.quality.to_dict()
    x = random_windows(20, seed=6)
    native = bits.run_model((tmp_path / "one/nb_model_data.c").read_text(), x)[:, :3]
    assert np.array_equal(native, model.logits_of(x))


@pytest.mark.slow
def test_both_packings_of_a_converted_folder_compute_the_same(converted: Converted, tmp_path: Path) -> None:
    nociband_convert.write(converted["int16x8"].files, tmp_path)
    for packing in ("small", "fast"):
        options = ["--packing", packing, "--to", "c", "--out", str(tmp_path / packing)]
        done = CliRunner().invoke(build_app(), ["convert", str(tmp_path), *options])
        assert done.exit_code == 0 and [p.name for p in (tmp_path / packing).iterdir()] == ["nb_model_data.c"]
        assert nociband_convert.packing_of(tmp_path / packing / "nb_model_data.c") == packing
    small, fast = ((tmp_path / packing / "nb_model_data.c").read_text() for packing in ("small", "fast"))
    assert fast == (tmp_path / "nb_model_data.c").read_text()
    x = random_windows(20, seed=6)
    assert np.array_equal(bits.run_model(fast, x), bits.run_model(small, x))
    shutil.copy(tmp_path / "small/nb_model_data.c", tmp_path / "nb_model_data.c")
    assert regenerate(tmp_path)["nb_model_data.c"].decode() == small, "a folder keeps its packing"


@BY_NAME
def test_committed_models_are_what_the_generator_makes_of_their_tflite_files(folder: Path) -> None:
    again = regenerate(folder)
    for name in FILES:
        assert again[name] == (folder / name).read_bytes(), f"run `nociband convert {folder}`"


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
    (lambda f: (f / "head.tflite").write_bytes(b"TFL3" * 9) and None, SpecError),
    (lambda f: _halve_weights(f / "eda.tflite"), SpecError),  # a sound graph, but not the one that was judged
    (lambda f: (f / "manifest.json").write_text("[" * 100_000) and None, ModelError),
    (lambda f: shutil.copy(f / "emg.tflite", f / "eda.tflite") and None, SpecError),
    (lambda f: (f / "manifest.json").write_text("{}") and None, SpecError),
    (lambda f: (f / "eda.tflite").unlink(), ModelError),
])
def test_a_folder_that_does_not_hold_together_is_not_made_anew(tmp_path: Path, change, error) -> None:
    folder = Path(shutil.copytree(MODELS[0], tmp_path / "model"))
    change(folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(error):
        regenerate(folder)
    assert CliRunner().invoke(build_app(), ["convert", str(folder)]).exit_code == 1
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def _halve_weights(path: Path) -> None:
    graph = tflite.read(path)
    weights = next(op.inputs[1] for op in graph.ops if op.kind == "FULLY_CONNECTED")
    path.write_bytes(scales.rewrite(path, {}, {}, {weights: (graph.tensors[weights].data // 2).astype(np.int8)}))


def test_a_title_and_a_name_of_any_characters_become_c(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS[0], tmp_path / "model"))
    raw = json.loads((folder / "manifest.json").read_text())
    odd = {"title": "a */ b /*/ c", "warning": "/* warned */", "name": 'a"\\\n1??/é'}
    (folder / "manifest.json").write_text(json.dumps(raw | odd))
    name = ctypes.c_char_p.in_dll(bits.compile_c(regenerate(folder)["nb_model_data.c"].decode(), tmp_path), "nb_model_info").value
    assert name is not None and name.decode() == odd["name"]


def test_a_full_disk_leaves_the_folder_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "second").write_bytes(b"old")
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        written = write_bytes(path, content[:2])
        if "second" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        nociband_convert.write({"first": b"new", "second": b"new"}, tmp_path)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("second", b"old")]


def _converted(agreement: float, accuracy: float, scheme: Scheme = "int16x8", unlike: int = 0) -> nociband_convert.Converted:
    recall = (quality.Recall("none", 50, 0.95, 0.9), quality.Recall("some", 0, None, None))
    nothing = np.zeros(0)
    result = quality.Quality(100, agreement, 0.9, accuracy, recall, 0.5, 0.01, {"eda": 0.3, "emg": 0.4}, nothing, nothing)
    compared = bits.Compared("windows", 100, unlike)
    return nociband_convert.Converted("made", scheme, "fast", {"nb_model_data.c": b"int x;"}, result, compared, 1, 2, 3, "")


def _run(monkeypatch: pytest.MonkeyPatch, out: Path, cost: dict[str, int] | str, made: dict[str, nociband_convert.Converted],
         *options: str) -> Result:
    """The command, with what converting and measuring would have given."""
    monkeypatch.setattr(nociband_convert, "convert", lambda source, scheme, packing, stage: made[scheme])
    monkeypatch.setattr("nociband_tools.conversion.cost", lambda made: cost)
    return CliRunner().invoke(build_app(), ["convert", "build/models/made", "--out", str(out), *options], env={"COLUMNS": "200"})


CHEAP = {"instructions_per_window": 700_000, "flash_bytes": 20_000, "ram_bytes": 5_000, "unlike_litert": 0}


@pytest.mark.parametrize(("agreement", "accuracy", "cost", "words"), [
    (0.98, 0.9, CHEAP, "int16x8 fails at agreement"),
    (0.995, 0.885, CHEAP, "int16x8 fails at accuracy loss"),
    (0.995, 0.9, CHEAP | {"instructions_per_window": 9_000_000}, "int16x8 fails at instructions per window"),
    (0.995, 0.9, CHEAP | {"flash_bytes": 900_000}, "int16x8 fails at flash bytes"),
    (0.995, 0.9, CHEAP | {"ram_bytes": 90_000}, "int16x8 fails at ram bytes"),
    (0.995, 0.9, CHEAP | {"unlike_litert": 1}, "int16x8 fails at emulated logits unlike LiteRT"),
])
def test_a_failed_gate_is_exit_status_1_and_a_table_and_nothing_is_written(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, agreement: float, accuracy: float, cost: dict[str, int],
        words: str) -> None:
    done = _run(monkeypatch, tmp_path / "out", cost, {"int16x8": _converted(agreement, accuracy)}, "--json", str(tmp_path / "j"))
    assert done.exit_code == 1 and words in done.output and "What to do" in done.output and "nothing was written" in done.output
    assert "failed" in done.output and "recall of none" in done.output and not (tmp_path / "out").exists()
    figures = json.loads((tmp_path / "j").read_text())
    assert figures["written"] is None and [g["verdict"] for g in figures["schemes"]["int16x8"]["gates"]].count("failed") == 1


def test_limits_themselves_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    most = gates.limits()["cost"]["fast"]
    cost = CHEAP | {c: most[f"{c}_max"] for c in gates.COSTS}
    done = _run(monkeypatch, tmp_path / "out", cost, {"int16x8": _converted(0.99, 0.89)})
    assert done.exit_code == 0 and (tmp_path / "out/nb_model_data.c").read_bytes() == b"int x;"


def test_what_nobody_measured_is_not_called_passed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = _run(monkeypatch, tmp_path / "out", "no arm-none-eabi-gcc", {"int16x8": _converted(0.995, 0.9)})
    assert done.exit_code == 0 and done.output.count("not judged: no arm-none-eabi-gcc") == 4
    assert done.output.count("passed") == 3


def test_c_that_differs_from_litert_is_a_failed_gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = _run(monkeypatch, tmp_path / "out", CHEAP, {"int16x8": _converted(0.995, 0.9, unlike=1)})
    assert done.exit_code == 1 and "int16x8 fails at windows unlike LiteRT" in done.output and not (tmp_path / "out").exists()


@needs_emulator
@pytest.mark.parametrize("wrong", ["add r0,r0,r1", "sub r0,r0,r1"])
def test_assembly_that_differs_from_litert_is_counted(wrong: str) -> None:
    folder, right = MODELS[0], "add r0,r0,r1"  # f * c + i * g
    files = {p.name: p.read_bytes() for p in folder.iterdir()}
    network = to_c.network({n: tflite.read(folder / f"{n}.tflite") for n in GRAPHS}).text
    assert right in network
    made = replace(_converted(1.0, 1.0), files=files, network=network.replace(right, wrong))
    cost = conversion.cost(made)
    assert isinstance(cost, dict) and (cost["unlike_litert"] > 0) == (wrong != right)


def test_a_dry_run_judges_and_writes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = _run(monkeypatch, tmp_path / "out", CHEAP, {"int16x8": _converted(0.995, 0.9)}, "--dry-run")
    assert done.exit_code == 0 and "nothing was written" in done.output and not (tmp_path / "out").exists()


def test_a_missing_extra_is_named_before_anything_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx2tf" else find(name))
    done = CliRunner().invoke(build_app(), ["convert", str(tmp_path)])
    assert isinstance(done.exception, EnvironmentProblem) and "converting needs onnx2tf" in str(done.exception)


@pytest.mark.parametrize(("option", "words"), [
    (["--scheme", "int8"], "keeps its scheme"), (["--fine-tune"], "has been quantised"),
])
def test_what_a_converted_folder_has_decided_cannot_be_chosen(option: list[str], words: str) -> None:
    done = CliRunner().invoke(build_app(), ["convert", str(MODELS[0]), *option], env={"COLUMNS": "200"})
    assert done.exit_code == 2 and words in done.output


@pytest.mark.parametrize(("options", "words"), [
    (["--scheme", "int8", "--dry-run"], "leave --dry-run out"), ([], "add --scheme int8"),
])
def test_fine_tuning_is_for_int8_and_writes(options: list[str], words: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(build_app(), ["convert", str(tmp_path), "--fine-tune", *options], env={"COLUMNS": "200"})
    assert done.exit_code == 2 and words in done.output and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("of_int16x8", "of_int8", "chosen", "why"), [
    ((0.999, 0.90, 700), (0.980, 0.90, 900), "int16x8", "better in quality at equal or lower cost"),
    ((0.999, 0.90, 900), (0.980, 0.90, 600), "int16x8", "for 50% more instructions"),
    ((0.995, 0.90, 900), (0.995, 0.90, 600), "int8", "equal in quality at lower cost"),
    ((0.995, 0.90, 600), (0.995, 0.90, 600), "int16x8", "equal in quality at equal or lower cost"),
    ((0.980, 0.90, 600), (0.975, 0.90, 900), "int8", "the only one that passes"),
    ((0.999, 0.90, None), (0.980, 0.90, None), "int16x8", "cost was not measured"),
    ((0.980, 0.90, 600), (0.960, 0.90, 900), None, "none passes"),
])
def test_of_two_schemes_the_better_by_quality_at_equal_or_lower_cost(of_int16x8, of_int8, chosen, why: str) -> None:
    judged = {}
    for scheme, (agreement, accuracy, instructions) in (("int16x8", of_int16x8), ("int8", of_int8)):
        made = _converted(agreement, accuracy, scheme)
        cost = instructions and {"instructions_per_window": instructions}
        judged[scheme] = gates.Judged(made.quality, tuple(made.judge()), cost)
    got, words = gates.better(judged)
    assert got == chosen and why in words


@pytest.mark.parametrize("text", ["", "[quality", "[quality]\naccuracy_loss_max = 0.01\n", None])
def test_a_damaged_file_of_gates_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "gates.toml"
    if text is None:
        text = gates.FILE.read_text().replace("int8 = 0.97", 'int8 = "high"')
    path.write_text(text)
    with pytest.raises(ModelError, match="gates.toml.*restore it"):
        gates.limits(path)


@pytest.mark.slow
def test_agreement_is_counted_and_can_fail(made: Path) -> None:
    """The shipped three-class model against a network it was not made from: the gate notices."""
    folder = next(f for f in MODELS if len(json.loads((f / "manifest.json").read_text())["classes"]) == 3)
    result = quality.compare(source.load(made), Model.load(folder))
    assert result.windows == 60 and gates.judge_quality(result, "int16x8")[0].passed is False
    assert sum(r.windows for r in result.recall) == 60
    weighed = sum(r.windows * r.integer for r in result.recall if r.integer is not None) / 60
    assert abs(weighed - result.accuracy_integer) < 1e-9


@BY_NAME
def test_integer_windows_are_those_of_the_band(folder: Path) -> None:
    model, rng = Model.load(folder), np.random.default_rng(5)
    twin, frames = WindowTwin(), rng.integers(-9000, 9000, (700, 6)).astype(np.int16)
    for f in frames:
        twin.push(np.zeros((40, 2), np.int16), np.full(2, 900, np.uint16), np.zeros((2, 3), np.int16), f)
    uses = np.array([f.baseline for f in SPEC.model_inputs])
    relative = frames[-138:] - np.where(uses, twin.baseline, 0) / 2**BASELINE_Q
    expected = twin.input([(s.mult, s.shift) for s in model.manifest.input_scales])
    assert np.array_equal(quality.quantised(model, relative[None])[0], expected)


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
    (lambda v: v | {"h": v["h"] * np.nan}, "not finite"),
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


@pytest.mark.parametrize("scheme", nociband_convert.SCHEMES)
def test_a_cell_scale_that_ends_before_the_floating_point_range_is_refused(tmp_path: Path, scheme: str) -> None:
    from nociband_convert import tflite
    from nociband_convert.graphs import lstm_graph

    path = MODELS[0] / "eda.tflite"
    if scheme == "int8":
        path = tmp_path / "eda.tflite"
        weights = lstm_graph.LstmWeights(np.ones((4, 8, 2)), np.ones((4, 8, 8)), np.ones((4, 8)))
        path.write_bytes(lstm_graph.build("eda", weights, 0.1, 1 / 128, -12, 138))
    graphs = {"eda": tflite.read(path)}
    reach = manifest.cell(graphs["eda"]).scale * 32767
    assert scheme == "int16x8" or abs(reach - 8) < 0.001
    to_tflite.check_cells(graphs, {"eda": reach * 0.999})
    with pytest.raises(ModelError, match="cell state's scale ends at"):
        to_tflite.check_cells(graphs, {"eda": reach * 1.001})


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
