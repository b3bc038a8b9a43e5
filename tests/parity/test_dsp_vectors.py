"""The shared vectors of nb_dsp (tests/vectors/dsp.json): C and the twin must both give what the file says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from _dsp_c import NativeDsp

from nociband import dsp
from nociband.spec import SPEC

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "dsp.json").read_text("utf-8"))


def _case(case: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    emg = np.array(case["emg_counts"], np.int16).reshape(-1, 2)
    return emg, np.array(case["eda_counts"], np.uint16).reshape(-1), np.array(case["features"], np.int16)


def test_the_columns_are_the_contracts() -> None:
    assert VECTORS["features"] == [f.name for f in SPEC.model_inputs]


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: c["name"])
def test_twin(case: dict) -> None:
    emg, eda, expected = _case(case)
    assert np.array_equal(dsp.features(emg, eda), expected)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: c["name"])
def test_c(case: dict, tmp_path: Path) -> None:
    emg, eda, expected = _case(case)
    assert np.array_equal(NativeDsp(tmp_path).band().features(emg, eda), expected)
