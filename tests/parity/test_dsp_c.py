"""nb_dsp in C against the twin: the same bits on random, extreme and recorded counts, and no undefined behaviour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from _dsp_c import NativeDsp
from _dsp_cases import CASES, random_counts
from hypothesis import given, settings
from hypothesis import strategies as st

from nociband import dsp


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> NativeDsp:
    return NativeDsp(tmp_path_factory.mktemp("nb_dsp"))


@pytest.mark.parametrize("case", CASES)
def test_c_and_twin_give_the_same_bits(native: NativeDsp, case: str) -> None:
    emg, eda = CASES[case]()
    assert np.array_equal(native.band().features(emg, eda), dsp.features(emg, eda))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(0, 15), st.integers(0, 16))
def test_the_same_bits_at_every_level(native: NativeDsp, seed: int, blocks: int, emg_bits: int, eda_bits: int) -> None:
    """Noise of any size around any offset, also far below one count of change."""
    rng = np.random.default_rng(seed)
    emg = rng.integers(-(1 << emg_bits), 1 << emg_bits, (blocks * 40, 2)) + rng.integers(-20000, 20001, 2)
    eda = rng.integers(0, 1 << eda_bits, blocks * 2) + rng.integers(0, 40000)
    emg, eda = emg.clip(-32768, 32767).astype(np.int16), eda.clip(0, 65535).astype(np.uint16)
    assert np.array_equal(native.band().features(emg, eda), dsp.features(emg, eda))


def test_state_is_retained_between_blocks_and_forgotten_by_reset(native: NativeDsp) -> None:
    emg, eda = random_counts(60)
    band, twin = native.band(), dsp.Twin()
    whole = dsp.features(emg, eda)
    for cut in (1, 17, 59):
        band.reset()
        twin.reset()
        c = np.concatenate([band.features(emg[: cut * 40], eda[: cut * 2]), band.features(emg[cut * 40 :], eda[cut * 2 :])])
        assert np.array_equal(c, whole)
        assert np.array_equal(twin.block(emg[:40], eda[:2]), whole[0])
    assert not np.array_equal(band.features(emg, eda), whole)  # not reset: the state counts


def test_log2_is_the_same_for_every_size_of_number(native: NativeDsp) -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([np.arange(1, 10000), 1 << np.arange(63), (1 << np.arange(1, 63)) + 1, (1 << np.arange(1, 63)) - 1,
                             (2 ** rng.uniform(0, 62.9, 20000)).astype(np.int64)])
    assert np.array_equal(native.log2(values), dsp.log2_fixed(values))


def test_no_undefined_behaviour_at_the_extremes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Overflows, bad shifts and bad indexes are reported by the sanitizer on standard error."""
    checked = NativeDsp(tmp_path, ["-fsanitize=undefined"])
    for case in ("random", "steps", "worst", "quiet", "zeros"):
        emg, eda = CASES[case]()
        band = checked.band()
        features = band.features(emg, eda)
        n = len(features)
        accel = np.resize(np.array([-32768, 32767, 0], np.int16), (n, 2, 3))
        band.push(emg, eda, accel, features, np.zeros(n, np.uint8))
        band.input([(2**31 - 1, 0), (-(2**31) + 1, 0), (2**31 - 1, 46), (1, 46), (0, 0), (2**30, 29)])
    assert "runtime error" not in capfd.readouterr().err
