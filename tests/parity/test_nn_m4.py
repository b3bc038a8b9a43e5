"""The generated model on an emulated Cortex-M4F gives the logits of LiteRT's reference kernels: same C, another processor."""

from __future__ import annotations

from pathlib import Path

import pytest
from _m4 import needs_emulator, run_on_m4
from _nn import MODELS, random_windows

from nociband.inference import Model

WINDOWS = 12


@needs_emulator
@pytest.mark.parametrize("folder", MODELS, ids=lambda p: p.name)
def test_emulated_cortex_m4_gives_the_same_logits(folder: Path, tmp_path: Path) -> None:
    model, windows = Model.load(folder), random_windows(WINDOWS, seed=4)
    rows = run_on_m4(tmp_path, (folder / "nb_model_data.c").read_text("utf-8"), windows)
    classes = len(model.manifest.classes)
    assert rows == [[*model.logits(w).tolist(), *[0] * (8 - classes)] for w in windows]
