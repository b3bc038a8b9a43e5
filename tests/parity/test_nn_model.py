"""The shipped models: their generated C gives, bit for bit, the logits of LiteRT's reference kernels; and the check can fail."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from _nn import MODELS, NativeModel, random_windows

from nociband.dsp import features
from nociband.errors import DataError
from nociband.inference import Model
from nociband.signals import Recording, fmov, front_end, simulator
from nociband.windows import model_inputs, prediction_ends

RANDOM_WINDOWS = 200


@pytest.fixture(scope="module", params=MODELS, ids=lambda p: p.name)
def folder(request: pytest.FixtureRequest) -> Path:
    """A shipped model's."""
    return request.param


@pytest.fixture(scope="module")
def native(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> NativeModel:
    """Its C on this machine."""
    return NativeModel(folder / "nb_model_data.c", tmp_path_factory.mktemp("native"))


def windows_of(recording: Recording, model: Model) -> np.ndarray:
    """Windows on the band's own path: front end, DSP, baseline, the manifest's scales."""
    counts = front_end.to_counts(recording, seed=1)
    frames = features(counts.emg, counts.eda)
    scales = [(s.mult, s.shift) for s in model.manifest.input_scales]
    return model_inputs(frames, prediction_ends(len(frames)), scales)


def assert_equal(model: Model, native: NativeModel, windows: np.ndarray) -> None:
    for x in windows:
        assert native.logits(x)[:len(model.manifest.classes)].tolist() == model.logits(x).tolist()


def test_c_gives_the_logits_of_litert_on_random_windows(folder: Path, native: NativeModel) -> None:
    model = Model.load(folder)
    classes = len(model.manifest.classes)
    for x in random_windows(RANDOM_WINDOWS, seed=1):
        got = native.logits(x)
        assert got[:classes].tolist() == model.logits(x).tolist()
        assert not got[classes:].any()


def test_c_gives_the_logits_of_litert_on_simulated_signals(folder: Path, native: NativeModel) -> None:
    model = Model.load(folder)
    windows = windows_of(simulator.simulate(90.0, seed=3), model)
    assert len(windows) > 60
    assert_equal(model, native, windows)


@pytest.mark.slow
def test_c_gives_the_logits_of_litert_on_a_person(folder: Path, native: NativeModel) -> None:
    try:
        recording = fmov.load_subject(sorted(fmov.files())[0])
    except DataError as e:
        pytest.skip(f"no recordings here: {e}")
    model = Model.load(folder)
    windows = windows_of(recording, model)
    assert len(windows) > 200
    assert_equal(model, native, windows[:400])


def test_c_does_not_remember_the_window_before(native: NativeModel) -> None:
    first, second = random_windows(2, seed=8)
    expected = native.logits(first)
    native.logits(second)
    assert native.logits(first).tolist() == expected.tolist()


def test_the_windows_tell_classes_and_logits_apart(folder: Path) -> None:
    """Parity on windows that all give one answer would prove little."""
    model = Model.load(folder)
    logits = np.stack([model.logits(x) for x in random_windows(60, seed=1)])
    assert len({tuple(row) for row in logits.tolist()}) > 40
    assert len(set(logits.argmax(1).tolist())) > 1


@pytest.mark.parametrize("array", ["eda_stream", pytest.param("emg_stream", marks=pytest.mark.slow)])
def test_one_flipped_weight_bit_is_noticed(folder: Path, array: str, tmp_path: Path) -> None:
    text = (folder / "nb_model_data.c").read_text()
    found = re.search(rf"{array}\[\] = \{{\s*(?:0x[0-9a-f]+u, ){{4}}(0x[0-9a-f]+u),", text)  # behind a unit's four biases
    assert found, f"no {array} in the generated C"
    flipped = f"0x{int(found[1][:-1], 16) ^ 16:x}u"
    (tmp_path / "nb_model_data.c").write_text(text[:found.start(1)] + flipped + text[found.end(1):])
    model, native = Model.load(folder), NativeModel(tmp_path / "nb_model_data.c", tmp_path)
    differ = sum(native.logits(x)[:len(model.manifest.classes)].tolist() != model.logits(x).tolist()
                 for x in random_windows(40, seed=1))
    assert differ > 10


def test_c_carries_exactly_the_manifest_beside_it(folder: Path) -> None:
    text = (folder / "nb_model_data.c").read_text()
    found = re.search(r"uint8_t manifest\[\] = \{([^}]*)\}", text)
    assert found
    carried = bytes(int(v) for v in found[1].split(",") if v.strip())
    assert carried == (folder / "manifest.json").read_bytes()
    assert json.loads(carried)["name"] == folder.name


@pytest.mark.slow
def test_the_sanitised_c_finds_no_undefined_behaviour(folder: Path, tmp_path: Path) -> None:
    """The same windows in a program built with the address and undefined-behaviour sanitizers, in a process of its own."""
    windows = random_windows(20, seed=2)
    (tmp_path / "windows.bin").write_bytes(windows.tobytes())
    main = tmp_path / "main.c"
    main.write_text("""#include <stdio.h>
#include "nb_model.h"
int main(int argc, char **argv)
{
    static int16_t x[NB_WINDOW_FRAMES][NB_FEATURES];
    int16_t logits[NB_MODEL_OUTPUTS_MAX];
    FILE *file = fopen(argv[argc - 1], "rb");
    if (!file) return 2;
    while (fread(x, sizeof x, 1, file) == 1) {
        nb_model_run((const int16_t(*)[NB_FEATURES])x, logits);
        for (unsigned k = 0; k < NB_MODEL_OUTPUTS_MAX; k++) printf("%d ", logits[k]);
        printf("\\n");
    }
    return fclose(file);
}
""")
    lib = folder.parents[1] / "lib"
    program = tmp_path / "program"
    subprocess.run(["gcc", "-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
                    *(f"-I{lib / n / 'src'}" for n in ("nb_spec", "nb_window", "nb_model", "nb_nn")), str(main),
                    str(folder / "nb_model_data.c"), *map(str, sorted((lib / "nb_nn/src").glob("*.c"))),
                    "-o", str(program)], check=True)
    done = subprocess.run([str(program), str(tmp_path / "windows.bin")], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    model = Model.load(folder)
    got = [list(map(int, line.split()))[:len(model.manifest.classes)] for line in done.stdout.splitlines()]
    assert got == [model.logits(x).tolist() for x in windows]
