"""A model folder on the host: every file is checked against the manifest, both schemes run, and a window is fast enough."""

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
from _nn_int8 import BENCH, int8_folder, litert_interpreter

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
    (manifest(scheme="float32"), SpecError, "scheme 'float32' is not one of int16x8, int8"),
    (manifest(scheme="int8"), SpecError, "no int8 tensor x"),
    (manifest(scheme="int8", output={"scale": 0.1, "zero_point": -129}), SpecError, "zero_point"),
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


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.name)
def test_many_windows_at_once_are_each_of_them(path: Path) -> None:
    model, windows = Model.load(path), random_windows(21, seed=3)
    each = [model.logits(x).tolist() for x in windows]
    assert len({tuple(row) for row in each}) > 10
    assert model.logits_of(windows).tolist() == each
    assert model.logits_of(windows[:5]).tolist() == each[:5] and model.logits_of(windows[:0]).shape == (0, len(each[0]))
    hs = model.hidden("emg", windows)
    assert all(np.array_equal(hs[i], model.states("emg", windows[i])[0]) for i in (0, 20))


@pytest.mark.parametrize(("shape", "dtype"), [((138, 6), np.int16), ((2, 138, 5), np.int16), ((2, 138, 6), np.int8)])
def test_windows_of_another_shape_or_type(shape: tuple[int, ...], dtype: type) -> None:
    with pytest.raises(ModelError, match="windows are int16"):
        Model.load(MODELS[0]).logits_of(np.zeros(shape, dtype))


def test_an_int8_model_takes_the_same_windows_and_clamps_them(tmp_path: Path) -> None:
    model = Model.load(int8_folder(tmp_path))
    windows = random_windows(12, seed=5)
    windows[6:] //= 200
    found = model.logits_of(windows)
    assert found.dtype == np.int16 and found.min() >= -128 and found.max() <= 127 and len(np.unique(found, axis=0)) > 8
    assert [model.logits(x).tolist() for x in windows] == found.tolist()
    assert np.array_equal(model.logits_of(np.clip(windows, -128, 127)), found)
    interpreter = litert_interpreter((BENCH / "int8/eda.tflite").read_bytes())
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.clip(windows[7:8, :, :2], -128, 127).astype(np.int8))
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert np.array_equal(model.hidden("eda", windows)[7], expected[0]) and model.hidden("eda", windows).dtype == np.int8
    with pytest.raises(ModelError, match="do not give cell states"):
        model.states("eda", windows[0])
