"""`nociband convert MODEL.tflite`: docs/convert.md's example as it stands there, and what the command says of other files."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from _nn import Builder, LiteRt, schema
from click.testing import Result
from typer.testing import CliRunner

from nociband_convert.graphs import lstm_graph
from nociband_convert.operations import GraphWriter
from nociband_convert.parity import bits
from nociband_tools.cli import build_app

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/convert.md").read_text("utf-8").partition("## Your own .tflite")[2].partition("\n## ")[0]


def block(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)[0]


def command(start: str) -> list[str]:
    return shlex.split(next(line for line in GUIDE.splitlines() if line.startswith(f"    {start}")))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), ["convert", *map(str, arguments)])


def small(path: Path, kind: str = "LOGISTIC") -> Path:
    """Four inputs, a dense layer of three, an activation, in int8."""
    b = Builder()
    x = b.tensor((1, 4), "int8", [0.05], 3, name="serving_default_x:0")
    weights = b.constant(np.arange(12, dtype=np.int8).reshape(3, 4) - 5, [0.02])
    bias = b.constant(np.array([100, 0, -100], np.int32), [0.001])
    hidden = b.tensor((1, 3), "int8", [0.04], -7)
    y = b.tensor((1, 3), "int8", [1 / 256], -128, name="StatefulPartitionedCall:0")
    b.op("FULLY_CONNECTED", [x, weights, bias], [hidden], schema.FullyConnectedOptionsT())
    b.op(kind, [hidden], [y], version=2)
    path.write_bytes(b.finish([x], [y]))
    return path


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on PATH: install build-essential")
def test_the_guides_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gestures.py").write_text(block("python"))
    subprocess.run([sys.executable, "gestures.py"], check=True, capture_output=True, timeout=300)
    program, *arguments = command("nociband convert gestures.tflite")
    done = run(*arguments[1:])
    assert done.exit_code == 0, done.output
    printed = {line.strip() for line in done.output.splitlines()}
    shown = [line.strip() for line in block("text").splitlines() if line.strip() and "flash" not in line]
    assert len(shown) > 10 and not [line for line in shown if line not in printed]
    (tmp_path / "firmware").symlink_to(ROOT / "firmware")
    (tmp_path / "main.c").write_text(block("c"))
    kernels = [str(p) for p in (ROOT / "firmware/lib/nb_nn/src").glob("*.c")]
    build = [part for part in command("gcc") if not part.endswith("*.c")]
    subprocess.run([*build[:-2], "-Wall", "-Wextra", "-Werror", *kernels, *build[-2:]], check=True, timeout=120)
    printed_scores = subprocess.run(["./gestures_demo"], capture_output=True, text=True, check=True).stdout.split()
    defined = dict(re.findall(r"#define GESTURES_(\w+) \(?(-?[\d.]+)", (tmp_path / "gestures/gestures.h").read_text()))
    value = (np.arange(192) % 7 - 3).astype(np.float32)
    x = value / np.float32(defined["MOTION_SCALE"]) / np.float32(2) + np.float32(defined["MOTION_ZERO_POINT"])
    y = LiteRt((tmp_path / "gestures.tflite").read_bytes())(np.trunc(x).astype(np.int8).reshape(1, 32, 6))[0]
    expected = (y.astype(int) - int(defined["OUT_ZERO_POINT"])) * np.float32(defined["OUT_SCALE"])
    assert [float(s) for s in printed_scores] == pytest.approx(expected.tolist(), abs=6e-5)


def test_a_file_from_anywhere_becomes_c_with_its_figures(tmp_path: Path) -> None:
    done = run(small(tmp_path / "my model-2.tflite"), "--out", tmp_path / "c", "--json", tmp_path / "figures.json")
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["my_model_2.c", "my_model_2.h"]
    assert "void my_model_2_run(const int8_t *x, int8_t *out);" in (tmp_path / "c/my_model_2.h").read_text()
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["scheme"] == "int8" and figures["macs"] == 12 and figures["written"] == str(tmp_path / "c")
    assert [(op["kind"], op["mismatches"]) for op in figures["operations"]] == [("FULLY_CONNECTED", 0), ("LOGISTIC", 0)]
    assert figures["parity"]["mismatches"] == 0 and figures["parity"]["elements"] == 3 * bits.RUNS


def test_bits_that_differ_are_exit_status_1_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = GraphWriter.stored
    monkeypatch.setattr(GraphWriter, "stored", lambda *a: right(*a) + 1)  # other weights than the file's
    done = run(small(tmp_path / "m.tflite"), "--out", tmp_path / "c")
    assert done.exit_code == 1 and "does not give LiteRT's bits" in done.output and not (tmp_path / "c").exists()


def test_without_tools_it_is_said_what_was_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    done = run(small(tmp_path / "m.tflite"), "--out", tmp_path / "c")
    assert done.exit_code == 0 and "bits: no gcc" in done.output and "flash and RAM: no arm-none-eabi-gcc" in done.output


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = run(small(tmp_path / "m.tflite"), "--out", tmp_path / "c", "--dry-run")
    assert done.exit_code == 0 and "nothing was written" in done.output and not (tmp_path / "c").exists()


@pytest.mark.parametrize("option", [("--scheme", "int8"), ("--packing", "small")])
def test_what_a_file_has_decided_cannot_be_chosen(tmp_path: Path, option: tuple[str, str]) -> None:
    done = run(small(tmp_path / "m.tflite"), *option)
    assert done.exit_code == 2 and "has been quantised" in done.output


def test_an_operation_that_the_band_lacks_is_named(tmp_path: Path) -> None:
    done = run(small(tmp_path / "m.tflite", "EXP"), "--out", tmp_path / "c")
    assert done.exit_code == 1 and "EXP is not supported; supported are ADD" in str(done.exception)
    assert not (tmp_path / "c").exists()


def test_litert_s_lstm_over_a_window(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    weights = lstm_graph.LstmWeights(*(rng.normal(0, 0.3, shape) for shape in ((4, 8, 2), (4, 8, 8), (4, 8))))
    (tmp_path / "m.tflite").write_bytes(lstm_graph.build("m", weights, 0.05, 1 / 128, -12, 20))
    done = run(tmp_path / "m.tflite", "--out", tmp_path / "c", "--json", tmp_path / "figures.json")
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    whole = {"elements": 20 * 8 * bits.RUNS, "mismatches": 0}
    assert figures["parity"] == whole and figures["operations"][0] == {"kind": "UNIDIRECTIONAL_SEQUENCE_LSTM",
                                                                       "output": [1, 20, 8], **whole}


def test_the_guide_names_the_operations_that_there_are() -> None:
    from nociband_convert.operations.writer import _WRITERS

    listed = re.search(r"^> (.*(?:\n> .*)*)", GUIDE, re.MULTILINE)
    assert listed is not None
    assert listed[1].replace("\n> ", " ").split(", ") == sorted(_WRITERS)
