"""What the twin's numbers mean, and its retained state, reset and refusals. That C agrees is tests/parity/test_dsp_c.py's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nociband import dsp
from nociband.errors import DataError
from nociband.spec import SPEC

NAMES = [f.name for f in SPEC.model_inputs]
AT = {name: i for i, name in enumerate(NAMES)}


def _counts(blocks: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    emg = rng.normal(0, 300, (blocks * 40, 2)).astype(np.int16)
    return emg, (3000 + rng.integers(0, 200, blocks * 2)).astype(np.uint16)


def test_log2_is_rounded_down_within_its_stated_error() -> None:
    values = np.concatenate([np.arange(1, 5000), 1 << np.arange(63), (1 << np.arange(2, 63)) - 1,
                             (2 ** np.random.default_rng(0).uniform(0, 62.9, 50000)).astype(np.int64)])
    below = np.log2(values.astype(np.longdouble)) * 2**14 - dsp.log2_fixed(values)
    assert below.min() > -1e-9 and below.max() <= 1.001


def test_log2_of_powers_of_two_is_exact() -> None:
    assert np.array_equal(dsp.log2_fixed(1 << np.arange(63)), np.arange(63) << 14)


@pytest.mark.parametrize(("hz", "amplitude"), [(50, 1000), (150, 20), (250, 16000)])
def test_a_sine_in_the_band_reads_as_log2_of_its_rms(hz: int, amplitude: int) -> None:
    t = np.arange(4000) / 1000
    sine = np.rint(amplitude * np.sin(2 * np.pi * hz * t)).astype(np.int16)
    frames = dsp.features(np.stack([sine, 0 * sine], axis=1), np.full(200, 1000, np.uint16))
    last = frames[-25:].mean(axis=0) / 2**11
    assert last[AT["emg1_rms"]] == pytest.approx(np.log2(amplitude / np.sqrt(2)), abs=0.05)
    assert last[AT["emg1_env"]] == pytest.approx(np.log2(amplitude / np.sqrt(2)), abs=0.05)
    assert last[AT["emg2_rms"]] == last[AT["emg2_env"]] == 0


def test_below_one_count_reads_as_zero_never_less() -> None:
    emg = np.zeros((4000, 2), np.int16)
    emg[::40, 0] = 1  # RMS 0.16 counts
    frames = dsp.features(emg, np.full(200, 1000, np.uint16))
    assert not frames[:, 2:].any()


def test_a_steady_input_gives_its_level_from_the_first_frame_on() -> None:
    """No start-up transient: the filters begin in the steady state of the first sample."""
    emg = np.tile(np.array([-12000, 32767], np.int16), (2000, 1))
    frames = dsp.features(emg, np.full(100, 5120, np.uint16))  # 10 uS
    assert np.array_equal(frames, np.tile(np.array([10 << 8, 0, 0, 0, 0, 0], np.int16), (50, 1)))


def test_a_step_of_skin_conductance_is_phasic_first_and_tonic_later() -> None:
    eda = np.full(50 * 120, 1024, np.uint16)  # 2 uS, then 3 uS from 10 s on
    eda[500:] = 1536
    frames = dsp.features(np.zeros((120000, 2), np.int16), eda).astype(int)
    tonic, phasic = frames[:, AT["eda_tonic"]] / 2**8, frames[:, AT["eda_phasic"]] / 2**12
    assert phasic[:250].max() == 0 and phasic[265] > 0.9
    assert tonic[-1] == pytest.approx(3, abs=0.01) and abs(phasic[-1]) < 0.01
    assert np.allclose((tonic + phasic)[:250], 2, atol=0.01) and np.allclose((tonic + phasic)[300:], 3, atol=0.01)


def test_features_saturate_instead_of_wrapping() -> None:
    eda = np.repeat(np.array([0, 65535, 0], np.uint16), 100)
    frames = dsp.features(np.zeros((6000, 2), np.int16), eda)
    assert frames[:, AT["eda_phasic"]].max() == 32767 and frames[:, AT["eda_phasic"]].min() == -32768
    assert frames[:, AT["eda_tonic"]].min() >= -32768
    full = dsp.features(np.zeros((4000, 2), np.int16), np.full(200, 65535, np.uint16))
    assert (full[:, AT["eda_tonic"]] == 32767).all()  # 127.998 uS would round to 32768


def test_blocks_one_by_one_equal_the_whole_recording() -> None:
    emg, eda = _counts(300)
    twin = dsp.Twin()
    blocks = [twin.block(emg[i * 40 : i * 40 + 40], eda[2 * i : 2 * i + 2]) for i in range(300)]
    assert np.array_equal(np.stack(blocks), dsp.features(emg, eda))


def test_reset_forgets_everything() -> None:
    twin, (emg, eda) = dsp.Twin(), _counts(20)
    first = twin.block(emg, eda)
    again = twin.block(emg, eda)
    assert not np.array_equal(first, again)
    twin.reset()
    assert np.array_equal(first, twin.block(emg, eda))


def test_recordings_side_by_side_do_not_touch_each_other() -> None:
    recordings = [_counts(n, seed=n) for n in (7, 260, 1, 0, 251)]
    together = dsp.features_of(recordings)
    assert [len(f) for f in together] == [7, 260, 1, 0, 251]
    for (emg, eda), frames in zip(recordings, together, strict=True):
        assert frames.dtype == np.int16 and np.array_equal(frames, dsp.features(emg, eda))
    assert [len(s.emg_filtered) for s in dsp.stages(recordings)] == [280, 10400, 40, 0, 10040]


@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
@pytest.mark.slow
def test_any_cut_into_chunks_gives_the_same_frames(cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    emg = rng.integers(-32768, 32768, (61 * 40, 2)).astype(np.int16)
    eda = rng.integers(0, 65536, 61 * 2).astype(np.uint16)
    twin = dsp.Twin()
    parts = [np.atleast_2d(twin.block(emg[a * 40 : b * 40], eda[2 * a : 2 * b])) for a, b in ((0, cut), (cut, 61))]
    assert np.array_equal(np.concatenate(parts), dsp.features(emg, eda))


@pytest.mark.parametrize(("emg", "eda", "says"), [
    (np.zeros((41, 2), np.int16), np.zeros(2, np.uint16), "whole blocks"),
    (np.zeros((40, 3), np.int16), np.zeros(2, np.uint16), "whole blocks"),
    (np.zeros((40, 2), np.int16), np.zeros(3, np.uint16), r"go with \(2,\)"),
    (np.zeros((40, 2)), np.zeros(2, np.uint16), "EMG is float64"),
    (np.full((40, 2), 40000), np.zeros(2, np.uint16), "fit int16"),
    (np.zeros((40, 2), np.int16), np.full(2, -1), "fit uint16"),
])
def test_wrong_shapes_and_ranges_are_refused(emg: np.ndarray, eda: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        dsp.features(emg, eda)


def test_an_empty_block_is_refused_and_an_empty_recording_has_no_frames() -> None:
    emg, eda = np.zeros((0, 2), np.int16), np.zeros(0, np.uint16)
    assert dsp.features(emg, eda).shape == (0, 6) and dsp.features_of([]) == []
    with pytest.raises(DataError, match="empty block"):
        dsp.Twin().block(emg, eda)
    with pytest.raises(DataError, match="empty"):
        dsp.stages([(emg, eda)])
