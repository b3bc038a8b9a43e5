"""What the fused kernels of S0 do not have is refused, and the largest that they have gives LiteRT's bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from _nn import random_windows
from _s0 import graphs, head_file, logits, lstm_step, step_file

from nociband.errors import ModelError
from nociband_convert import tflite, to_c
from nociband_convert.graphs import scales
from nociband_convert.kernels import branch
from nociband_convert.parity import bits

UNITS = 8


def generated(folder: Path) -> str:
    """C of the three graphs as they are in `folder` now."""
    return to_c.network({name: tflite.read(folder / f"{name}.tflite") for name in ("eda", "emg", "head")}).text


def rescaled(folder: Path, kind: str, axes: int, factor: float, weights: bool = False) -> None:
    """The head with the steps of what each operation `kind` makes, of `axes` dimensions, times `factor`; or of its weights."""
    path = folder / "head.tflite"
    graph = tflite.read(path)
    changed: dict[int, list[float]] = {}
    for op in graph.ops:
        if op.kind == kind and len(graph.tensors[op.outputs[0]].shape) == axes:
            numbers = op.inputs[1:3] if weights else op.outputs
            changed |= {number: [scale * factor for scale in graph.tensors[number].scales] for number in numbers}
    assert changed
    path.write_bytes(scales.rewrite(path, {}, changed, {}))


def biased(path: Path, bias: int) -> None:
    """Every bias of the dense layers."""
    graph = tflite.read(path)
    numbers = [op.inputs[2] for op in graph.ops if op.kind == "FULLY_CONNECTED"]
    path.write_bytes(scales.rewrite(path, {}, {}, {n: np.full(graph.tensors[n].shape, bias, np.int64) for n in numbers}))


def test_the_longest_convolution_has_litert_s_bits(tmp_path: Path) -> None:
    graphs(tmp_path, UNITS, 3, seed=1)
    head_file(tmp_path / "head.tflite", UNITS, 3, 1, kernel=branch.KERNEL_MAX)
    windows = random_windows(4, seed=5)
    expected = np.array([logits(tmp_path, UNITS, w) for w in windows])
    assert len(np.unique(expected, axis=0)) > 1
    assert np.array_equal(bits.run_model(generated(tmp_path), windows)[:, :3], expected)


@pytest.mark.parametrize(("change", "words"), [
    (lambda f: head_file(f / "head.tflite", UNITS, 3, 1, kernel=branch.KERNEL_MAX + 2), "a convolution of 15 steps"),
    (lambda f: head_file(f / "head.tflite", UNITS + 2, 3, 1), r"hs_eda is \(1, 138, 10\), the eda branch gives \(1, 138, 8\)"),
    (lambda f: head_file(f / "head.tflite", UNITS, 9, 1), "9 logits"),
    (lambda f: step_file(f / "eda.tflite", lstm_step(3, UNITS, 1)), "where 2 features belong"),
    (lambda f: biased(f / "eda.tflite", -2**63), "a bias does not fit 32 bits"),
    (lambda f: biased(f / "eda.tflite", 2**63 - 1), "a bias does not fit 32 bits"),
    (lambda f: biased(f / "head.tflite", -2**63), "could leave 64 bits"),
    (lambda f: rescaled(f, "CONV_2D", 4, 0.5), "another scale than the gates'"),
    (lambda f: rescaled(f, "CONV_2D", 4, 1e4, weights=True), "too large for its output's scale"),
    (lambda f: rescaled(f, "MEAN", 3, 1 / 16), "finer scale than h"),
])
def test_what_the_kernels_do_not_have_is_refused(tmp_path: Path, change: Callable[[Path], object], words: str) -> None:
    graphs(tmp_path, UNITS, 3, seed=1)
    assert "nb_model_run" in generated(tmp_path)
    change(tmp_path)
    with pytest.raises(ModelError, match=words):
        generated(tmp_path)
