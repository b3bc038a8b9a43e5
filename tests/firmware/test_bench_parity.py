"""`nociband bench parity` compares what it says it compares, and notices a single bit."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nociband.errors import DataError, ModelError
from nociband.signals import fmov
from nociband_tools.bench import parity, parity_report, qemu, shapes, windows
from nociband_tools.bench.kernels import RESULT
from nociband_tools.commands.bench import app

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, qemu.TOOLS)), reason="needs gcc, arm-none-eabi-gcc and qemu-system-arm: `nociband doctor` says how")
SCHEMES = pytest.mark.parametrize("scheme", shapes.SCHEMES)


def _text(scheme: str, packing: str = "fast") -> str:
    return shapes.generate(shapes.graphs(shapes.folder_of("h32", scheme)), packing).text


def _windows(n: int, scheme: str) -> np.ndarray:
    return windows.random_for_scheme(n, 3, scheme)


@pytest.mark.slow
@SCHEMES
def test_outputs_and_hidden_states_are_those_of_litert_in_both_builds_on_both_targets(scheme: str) -> None:
    x = _windows(10, scheme)
    expected = parity.expected(shapes.folder_of("h32", scheme), x)
    assert len(set(expected["states"].tolist())) >= 8      # windows that would tell
    for packing in shapes.PACKINGS:
        text = _text(scheme, packing)
        assert parity.states_reachable(text)
        for got in (parity.native(text, x), parity.emulated(text, packing, x)):
            assert parity.compare(expected, got, states=True) == parity.Outcome(10, 0, None)


@pytest.mark.slow
def test_one_weight_bit_shows_in_the_hidden_states() -> None:
    text, x = _text("int16x8"), _windows(5, "int16x8")
    stream = re.search(r"uint32_t eda_stream\[\] = \{", text)
    assert stream, "no weights of the eda branch in the generated C"
    numbers = list(re.finditer(r"(?<=[\s{,])(0x[0-9a-f]+|\d+)u?(?=,)", text[stream.end():stream.end() + 4000]))
    word = numbers[8]
    at = stream.end() + word.start(1)
    changed = text[:at] + str(int(word[1], 0) ^ 1 << 3) + text[at + len(word[1]):]
    before, after = parity.native(text, x), parity.native(changed, x)
    outcome = parity.compare(before, after, states=True)
    assert outcome.mismatches >= 2
    assert parity.compare(before, after, states=False).mismatches <= outcome.mismatches


def test_the_hash_of_states_is_that_of_the_harness() -> None:
    rng = np.random.default_rng(2)
    states = [rng.integers(-32768, 32768, (138, n)).astype(np.int16) for n in (3, 4)]
    value = 0
    for v in np.concatenate([s.ravel() for s in states]).tolist():
        value = (value * 31 + (v & 0xFFFF)) % 2**32
    assert parity.state_hash(states) == value
    assert parity.state_hash([s.astype(np.int8) for s in states]) == parity.state_hash([s.astype(np.int8).astype(np.int16)
                                                                                        for s in states])


def test_the_first_difference_is_shown_with_its_window() -> None:
    expected = np.zeros(4, RESULT)
    got = expected.copy()
    got["logits"][2, 7] = 5         # an output beyond the model's classes
    got["states"][1] = 9
    outcome = parity.compare(expected, got, states=False, numbers=np.array([0, 10, 20, 30]))
    assert (outcome.windows, outcome.mismatches) == (4, 1)
    assert outcome.first == parity.Mismatch(20, "logits", [0] * 8, [0] * 7 + [5])
    outcome = parity.compare(expected, got, states=True)
    assert outcome.mismatches == 2 and outcome.first == parity.Mismatch(1, "hash of the hidden states", [0], [9])


@pytest.mark.slow
def test_the_command_counts_windows_and_mismatches_by_target_and_scheme(tmp_path: Path) -> None:
    file = tmp_path / "parity.json"
    arguments = ["parity", "--shape", "h32", "--scheme", "int16x8", "--windows", "0", "--random", "12", "--qemu-windows", "3"]
    done = CliRunner().invoke(app, [*arguments, "--json", str(file)])
    assert done.exit_code == 0, done.output
    targets = json.loads(file.read_text())["targets"]
    for target, windows_ in (("native", 12), ("qemu", 3)):
        assert (targets[target]["int16x8"]["windows"], targets[target]["int16x8"]["mismatches"]) == (windows_, 0)
        for packing in shapes.PACKINGS:
            entry = targets[target]["int16x8"][packing]
            assert (entry["windows"], entry["mismatches"], entry["random"]["windows"]) == (windows_, 0, windows_)


def test_a_mismatch_ends_the_command_with_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference is another network's: everything differs."""
    other = shapes.folder_of("h64", "int16x8")
    real = parity.expected
    monkeypatch.setattr(parity, "expected", lambda folder, x, progress: real(other, x, progress))
    done = CliRunner().invoke(app, ["parity", "--shape", "h32", "--scheme", "int16x8", "--windows", "0", "--random", "5",
                                    "--target", "native"])
    assert done.exit_code == 1
    assert "expected [" in done.output and "got [" in done.output


def test_nothing_to_compare_is_wrong_use() -> None:
    assert CliRunner().invoke(app, ["parity", "--windows", "0", "--random", "0"]).exit_code == 2
    assert CliRunner().invoke(app, ["parity", "--target", "moon", "--random", "5"]).exit_code == 2


def test_random_windows_are_of_every_kind_and_repeatable() -> None:
    x = windows.random_windows(200, seed=1)
    assert x.shape == (200, windows.FRAMES, windows.INPUTS) and x.dtype == np.int16
    assert np.array_equal(x, windows.random_windows(200, seed=1))
    assert x.min() == -32768 and x.max() == 32767
    assert any(not w.any() for w in x)
    small = windows.random_for_scheme(200, 1, "int8")
    assert np.array_equal(small[::2], x[::2]) and (small[1::2].min(), small[1::2].max()) == (-128, 128)
    within = np.abs(small.astype(int)).max(axis=(1, 2)) <= 128
    assert 0.5 < within.mean() < 0.95       # beyond it the model clamps


def test_the_fixed_window_is_a_plausible_one() -> None:
    x = windows.fixed()
    assert x.shape == (windows.FRAMES, windows.INPUTS) and x.dtype == np.int16
    assert 1000 < np.abs(x).max() < 32767 and all(len(set(column.tolist())) >= 10 for column in x.T)


@pytest.mark.slow
def test_real_windows_come_from_every_person() -> None:
    try:
        fmov.files()
    except DataError as e:
        pytest.skip(f"no recordings here: {e}")
    scales = parity_report.scales_of(shapes.folder_of("device", "int16x8"))
    x = windows.real_windows(1000, scales)
    assert x.shape == (1000, windows.FRAMES, windows.INPUTS) and x.dtype == np.int16
    assert len({w.tobytes() for w in x}) == 1000
    with pytest.raises(ModelError, match="or fewer"):
        windows.real_windows(10**6, scales)


def test_without_recordings_the_message_says_what_can_be_compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOCIBAND_DATA", str(tmp_path))
    with pytest.raises(DataError, match="--windows 0"):
        windows.real_windows(1, [])
