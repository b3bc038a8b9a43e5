"""Generated C beside LiteRT, natively: what `nociband convert` holds a model to, and that it can fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from _nn import MODELS, random_windows

from nociband.errors import EnvironmentProblem, ModelError
from nociband.inference import GRAPHS, Model
from nociband_convert.arithmetic import quantise
from nociband_convert.parity import bits

FOLDER = MODELS[0]


@pytest.mark.parametrize("name", GRAPHS)
def test_each_operation_of_a_shipped_model_alone(name: str) -> None:
    compared = bits.compare_operations(FOLDER / f"{name}.tflite", runs=4)
    assert len(compared) >= 15 and not [c for c in compared.values() if c.mismatches]
    assert all(c.elements for c in compared.values())


def test_a_graph_as_a_whole() -> None:
    compared = bits.compare_graph(FOLDER / "head.tflite", runs=8)
    assert compared.what == "head" and compared.mismatches == 0 and compared.elements >= 8 * 2


def test_an_operation_with_another_constant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    right = quantise.mul
    monkeypatch.setattr(quantise, "mul", lambda *a: right(*a)._replace(shift=right(*a).shift - 1))
    compared = bits.compare_operations(FOLDER / "eda.tflite", runs=4)
    wrong = {c.what.split()[0] for c in compared.values() if c.mismatches}
    assert wrong == {"MUL"} and any(c.mismatches == 0 for c in compared.values())


def test_a_model_on_windows_and_one_changed_weight() -> None:
    windows, text = random_windows(10, seed=3), (FOLDER / "nb_model_data.c").read_text()
    expected = Model.load(FOLDER).logits_of(windows)
    assert bits.compare_model(text, windows, expected) == bits.Compared("windows", 10, 0)
    off = np.array(expected)
    off[7, 0] += 1
    assert bits.compare_model(text, windows, off) == bits.Compared("windows", 10, 1)


def test_c_that_does_not_compile_is_an_error_and_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="gcc does not compile"):
        bits.compile_c("int nb_model_run(void) { return undefined_thing; }", tmp_path)


def test_without_gcc_it_is_said_that_nothing_was_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert bits.compare_model("", np.zeros((0, 138, 6), np.int16), np.zeros((0, 3), np.int16)) == "no gcc"
    with pytest.raises(EnvironmentProblem, match="apt-get install gcc"):
        bits.compare_graph(FOLDER / "head.tflite")


def test_what_is_no_graph_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.tflite").write_bytes(b"TFL3" * 9)
    with pytest.raises(ModelError, match="no.tflite"):
        bits.compare_operations(tmp_path / "no.tflite")
