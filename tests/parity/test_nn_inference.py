"""Loading a model folder on the host: every file is checked against the manifest, and a window is fast enough."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from _nn import MODELS, random_windows

from nociband.errors import ModelError, NocibandError, SpecError
from nociband.inference import Model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODELS[0], tmp_path / "model"))


def flip(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(bytes(content))
    return change


def replace(name: str, content: bytes) -> Callable[[Path], None]:
    """Other bytes, with the manifest made to name them."""
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)
        raw = json.loads((folder / "manifest.json").read_text())
        raw["files"][name] = hashlib.sha256(content).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(raw))
    return change


def manifest(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        raw = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(raw | changes))
    return change


@pytest.mark.parametrize(("change", "error", "words"), [
    (flip("eda.tflite"), SpecError, "SHA-256"),
    (flip("head.tflite"), SpecError, "SHA-256"),
    (lambda f: (f / "emg.tflite").unlink(), ModelError, "emg.tflite cannot be read"),
    (lambda f: (f / "manifest.json").unlink(), ModelError, "not a model folder"),
    (replace("eda.tflite", b"nothing"), SpecError, "eda.tflite does not load"),
    (replace("eda.tflite", (MODELS[0] / "emg.tflite").read_bytes()), SpecError, "no int16 tensor x"),
    (manifest(branches={"eda": {"hidden": 16}}), SpecError, "branches.emg.hidden"),
    (manifest(branches={"eda": {"hidden": 16}, "emg": {"hidden": 12}}), SpecError, "shape"),
    (manifest(files={}), SpecError, "SHA-256"),
])
def test_a_folder_that_does_not_hold_together(folder: Path, change: Callable[[Path], None], error: type[NocibandError],
                                              words: str) -> None:
    change(folder)
    with pytest.raises(error, match=words):
        Model.load(folder)


@pytest.mark.parametrize("x", [np.zeros((137, 6), np.int16), np.zeros((138, 5), np.int16), np.zeros((138, 6), np.float32)])
def test_another_shape_or_type_of_window(x: np.ndarray) -> None:
    with pytest.raises(ModelError, match="a window is int16"):
        Model.load(MODELS[0]).logits(x)


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.name)
def test_a_window_is_quick_and_leaves_nothing_behind(path: Path) -> None:
    model, windows = Model.load(path), random_windows(10, seed=9)
    first = [model.logits(x).tolist() for x in windows]
    begin = time.process_time()
    again = [model.logits(x).tolist() for x in windows]
    assert (time.process_time() - begin) / len(windows) < 0.05
    assert again == first


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.name)
def test_the_shipped_models_say_what_they_are(path: Path) -> None:
    m = Model.load(path).manifest
    if path.name == "fmov_emotion3":
        assert (m.of, m.synthetic, m.labels) == ("emotion", False, ("angry", "happy", "neutral")) and "not pain" in m.warning
    elif path.name == "synthetic_pain5":
        assert (m.of, m.synthetic) == ("pain", True) and [c.value for c in m.classes] == [0, 2.5, 5, 7.5, 10]
