"""Models that no trainer of ours made, as C: the bits of LiteRT's reference kernels, and files that a C programmer can use."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from _clib import FLAGS, compile_c, objects, pointer
from _m4 import needs_emulator
from _networks import autoencoder, keyword_spotter
from _nn import LiteRt
from _nn_cases import NN, Case, assert_emulated, assert_native
from _nn_lstm import random_weights

from nociband.errors import ModelError
from nociband_convert import standalone, tflite
from nociband_convert.graphs.lstm_graph import build

BENCH = Path(__file__).resolve().parents[2] / "firmware/bench"
MODELS: dict[str, Callable[[str], tuple[bytes, np.ndarray]]] = {"autoencoder": autoencoder, "keyword_spotter": keyword_spotter}
SCHEMES = ("int8", "int16x8")
MACS = {"autoencoder": 264_192, "keyword_spotter": 2_656_768}
ARENA = {"autoencoder": 256, "keyword_spotter": 16_000}
ALL = pytest.mark.parametrize(("model", "scheme"), [(m, s) for m in MODELS for s in SCHEMES])


@cache
def case(model: str, scheme: str) -> Case:
    content, inputs = MODELS[model](scheme)
    return Case(f"{model} {scheme}", content, (inputs,))


@pytest.mark.parametrize(("model", "scheme"), [
    ("autoencoder", "int8"), ("keyword_spotter", "int16x8"),
    *(pytest.param(m, s, marks=pytest.mark.slow) for m, s in (("autoencoder", "int16x8"), ("keyword_spotter", "int8")))])
def test_gives_litert_s_bits(model: str, scheme: str, tmp_path: Path) -> None:
    assert_native([case(model, scheme)], tmp_path)


@ALL
def test_outputs_vary_and_do_not_saturate(model: str, scheme: str) -> None:
    """Parity on outputs that are all alike would prove little."""
    y = case(model, scheme).expected.reshape(50, -1).astype(int)
    assert len(np.unique(y, axis=0)) > 45
    low, high = (-128, 127) if scheme == "int8" else (-32768, 32767)
    inside = (y > low) & (y < high)
    assert inside.mean() > (0.9 if model == "autoencoder" else 0.25)
    if model == "keyword_spotter":
        assert len(np.unique(y.argmax(1))) > 4


@needs_emulator
@pytest.mark.slow
@pytest.mark.parametrize("level", ["-O2", "-Os"])
def test_gives_litert_s_bits_on_an_emulated_cortex_m4(level: str, tmp_path: Path) -> None:
    assert_emulated([*(case(m, s) for m in MODELS for s in SCHEMES), *lstms()], tmp_path, (level,))


@ALL
def test_cost_is_known(model: str, scheme: str, tmp_path: Path) -> None:
    made = case(model, scheme).c("model", tmp_path)
    item = 1 if scheme == "int8" else 2
    assert made.macs == MACS[model]
    assert made.live_bytes <= made.arena_bytes <= made.live_bytes + 64 * item
    assert made.arena_bytes <= ARENA[model] * item + 64 * item
    assert f"arena[{made.arena_bytes // item}]" in made.source


@pytest.mark.parametrize("sanitizers", [(), pytest.param(("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
                                                         marks=pytest.mark.slow)], ids=["plain", "sanitised"])
def test_the_files_compile_by_themselves(sanitizers: tuple[str, ...], tmp_path: Path) -> None:
    """NAME.h and NAME.c with nb_nn's folder, warnings as errors, in a program that knows nothing else."""
    made = case("keyword_spotter", "int8").c("Keyword Spotter-2", tmp_path)
    assert made.name == "keyword_spotter_2"
    header, source = made.write(tmp_path / "generated")
    assert [header.name, source.name] == ["keyword_spotter_2.h", "keyword_spotter_2.c"]
    main = tmp_path / "main.c"
    main.write_text("""#include <stdio.h>
#include "keyword_spotter_2.h"
int main(void)
{
    static const int8_t x[KEYWORD_SPOTTER_2_INPUT_SIZE];
    int8_t y[KEYWORD_SPOTTER_2_OUTPUT_SIZE];
    keyword_spotter_2_run(x, y);
    double sum = 0;
    for (int i = 0; i < KEYWORD_SPOTTER_2_OUTPUT_SIZE; i++) {
        sum += (y[i] - KEYWORD_SPOTTER_2_OUTPUT_ZERO_POINT) * KEYWORD_SPOTTER_2_OUTPUT_SCALE;
    }
    printf("%d %.3f", KEYWORD_SPOTTER_2_OUTPUT_SIZE, sum);
    return 0;
}
""")
    program = tmp_path / "program"
    flags, includes = (*FLAGS, *sanitizers), (f"-I{header.parent}", f"-I{NN}")
    compile_c(["gcc", *flags, *includes, str(main), str(source), *objects("nb_nn", flags), "-o", str(program)])
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    count, total = done.stdout.split()
    assert count == "12" and 0.97 < float(total) < 1.03


def test_scales_in_the_header_are_the_file_s(tmp_path: Path) -> None:
    made = case("keyword_spotter", "int8").c("kws", tmp_path)
    graph = tflite.read(tmp_path / "kws.tflite")
    for name, number in {**graph.inputs, **graph.outputs}.items():
        macro = f"KWS_{name.upper()}"
        found = re.search(rf"#define {macro}_SCALE (\S+)f\n#define {macro}_ZERO_POINT \(?(-?\d+)\)?\n", made.header)
        assert found, made.header
        assert (float(np.float32(found[1])), int(found[2])) == (graph.tensors[number].scale, graph.tensors[number].zero_points[0])


def lstms() -> list[Case]:
    """Two windows of LiteRT's integer LSTM, of sizes that fill no word."""
    cases = []
    for inputs, hidden, seed in ((3, 10, 1), (5, 7, 2)):
        rng = np.random.default_rng(seed)
        content = build("lstm", random_weights(inputs, hidden, seed), 1 / 40, 1 / 128, -11, 25)
        cases.append(Case(f"LSTM {inputs} to {hidden}", content, (rng.integers(-128, 128, (5, 1, 25, inputs)).astype(np.int8),)))
    return cases


def test_an_lstm_over_a_window_begins_each_run_at_zero(tmp_path: Path) -> None:
    assert_native(lstms(), tmp_path)


@pytest.mark.parametrize("shape", ["h32", "h64"])
def test_two_lstms_and_their_head_in_one_file(shape: str, tmp_path: Path) -> None:
    """The project's own network as anybody's .tflite: two inputs, LSTMs over the window, each run from zero state."""
    content = (BENCH / f"{shape}.tflite").read_bytes()
    made = standalone.generate(tflite.read(BENCH / f"{shape}.tflite"), shape)
    _, source = made.write(tmp_path)
    assert re.search(rf"{shape}_run\(const int8_t \*eda, const int8_t \*emg, int8_t \*logits\)", made.header)
    target = tmp_path / "model.so"
    compile_c(["gcc", *FLAGS, "-shared", f"-I{NN}", str(source), *objects("nb_nn"), "-o", str(target)])
    run, litert, rng = getattr(ctypes.CDLL(str(target)), f"{shape}_run"), LiteRt(content), np.random.default_rng(1)
    seen = set()
    for size in (3, 20, 60, 20, 60, 120, 20, 60):
        eda, emg = (np.clip(np.cumsum(rng.normal(0, size / 4, (1, 138, n)), 1), -128, 127).astype(np.int8) for n in (2, 4))
        logits = np.full(5, 0x5A, np.int8)
        run(pointer(eda), pointer(emg), pointer(logits))
        assert logits.tolist() == litert(eda, emg)[0].tolist()
        seen.add(tuple(logits.tolist()))
    assert len(seen) > 4


@pytest.mark.parametrize(("text", "expected"), [
    ("MODEL", "model"), ("a b-c", "a_b_c"), ("serving_default_x:0", "serving_default_x_0"), ("3d", "m_3d"), ("int", "m_int"),
    ("arena", "m_arena"), ("_x_", "x")])
def test_names_become_c(text: str, expected: str) -> None:
    assert standalone.identifier(text) == expected


def test_a_name_without_letters_is_refused() -> None:
    with pytest.raises(ModelError, match="no C name"):
        standalone.identifier("--")
