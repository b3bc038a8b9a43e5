"""Baseline, trust, quality and model input of nociband.windows. That C agrees is tests/parity/test_dsp_window_c.py's."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nociband import windows
from nociband.errors import ModelError
from nociband.spec import SPEC

FULL = windows.FRAMES
ONES = [windows.InputScale(1, 0)] * 6
STILL = np.tile(np.array([0, 0, 1000], np.int16), (2, 1))
GOOD = np.array([500, 40, 12000, 12500, 11000, 11500], np.int16)


def _names(window: windows.WindowTwin) -> set[str]:
    return set(SPEC.flag_names("no_score", window.why))


def _push(window: windows.WindowTwin, n: int = 1, **changed: object) -> windows.WindowTwin:
    """Push n good frames (the EDA drifts as skin does), with some of their parts changed."""
    for _ in range(n):
        level = 2000 + window.frames // 5
        parts = {"emg": np.full((40, 2), 50, np.int16), "eda": np.array([level, level], np.uint16), "accel": STILL,
                 "features": GOOD, "underrun": False} | changed
        window.push(**parts)  # type: ignore[arg-type]
    return window


def _ready() -> windows.WindowTwin:
    return _push(windows.WindowTwin(), windows.BASELINE_MIN)


def test_the_first_20_s_are_without_score() -> None:
    window = windows.WindowTwin()
    assert window.quality_percent == 0 and _names(window) == {"baseline_unfinished", "window_incomplete"}
    _push(window, FULL - 1)
    assert "window_incomplete" in _names(window) and not window.full
    _push(window)
    assert _names(window) == {"baseline_unfinished"} and window.full and window.quality_percent == 100
    _push(window, windows.BASELINE_MIN - FULL)
    assert window.why == 0


@pytest.mark.parametrize(("reason", "changed"), [
    ("eda_electrode_off", {"eda": np.array([9, 3000], np.uint16)}),
    ("underrun", {"underrun": True}),
    ("saturation", {"emg": np.full((40, 2), 32767, np.int16)}),
    ("saturation", {"emg": np.full((40, 2), -32768, np.int16)}),
])
def test_one_bad_block_spoils_the_window_until_it_has_left(reason: str, changed: dict[str, object]) -> None:
    window = _push(_ready(), **changed)
    assert _names(window) == {reason} and window.quality_percent == 99
    _push(window, FULL - 1)
    assert _names(window) == {reason}
    _push(window)
    assert window.why == 0 and window.quality_percent == 100


def test_a_few_samples_at_the_rails_lower_the_quality_only() -> None:
    emg = np.full((40, 2), 50, np.int16)
    emg[:20, 0] = 32767
    window = _push(_ready(), emg=emg)
    assert window.why == 0 and window.quality_percent == 99
    emg[20, 1] = -32761
    assert _names(_push(_ready(), emg=emg)) == {"saturation"}


@pytest.mark.parametrize("channel", [0, 1])
def test_a_flat_emg_counts_as_off_only_when_it_lasts(channel: int) -> None:
    flat = GOOD.copy()
    flat[2 + 2 * channel : 4 + 2 * channel] = 0
    window = _push(_ready(), FULL - 1, features=flat)
    assert window.why == 0 and window.quality_percent == 0  # 1 good frame of 138
    assert _names(_push(window, features=flat)) == {"emg_electrode_off"}
    assert _names(_push(window)) == set()


def test_motion_is_judged_by_the_second() -> None:
    shaken = np.array([[0, 0, 2400], [0, 0, -600]], np.int16)  # 1400 and 400 mg off 1 g: mean 900
    window = _push(_ready(), 13, accel=shaken)
    assert window.why == 0  # 468 mg over the second
    _push(window, accel=shaken)
    assert _names(window) == {"motion"}
    _push(window, FULL + 12)
    assert _names(window) == set()


def test_an_eda_that_does_not_move_is_named_and_halves_the_quality() -> None:
    window = _push(windows.WindowTwin(), windows.BASELINE_MIN - 1, eda=np.array([3000, 3001], np.uint16))
    assert _names(window) == {"baseline_unfinished"}
    _push(window, eda=np.array([3000, 3001], np.uint16))
    assert _names(window) == {"eda_not_responding"} and window.quality_percent == 50
    _push(window, 25, eda=np.array([3006, 3006], np.uint16))
    assert window.why == 0


def test_converter_noise_does_not_pass_for_a_response() -> None:
    rng, window = np.random.default_rng(0), windows.WindowTwin()
    for _ in range(1600):
        _push(window, eda=(3000 + rng.normal(0, 4, 2)).astype(np.uint16))
    assert _names(window) == {"eda_not_responding"}


def test_a_response_more_than_60_s_ago_is_forgotten() -> None:
    window = _push(windows.WindowTwin(), 25, eda=np.array([4000, 4000], np.uint16))
    _push(window, 59 * 25, eda=np.array([3000, 3000], np.uint16))
    assert window.why == 0
    _push(window, 25, eda=np.array([3000, 3000], np.uint16))
    assert _names(window) == {"eda_not_responding"}


def test_reset_forgets_everything() -> None:
    window = _push(_ready(), underrun=True)
    window.reset()
    fresh = windows.WindowTwin()
    for w in (window, fresh):
        _push(w, 30, features=GOOD + 5)
    assert window.why == fresh.why and window.quality_percent == fresh.quality_percent
    assert np.array_equal(window.input(ONES), fresh.input(ONES)) and np.array_equal(window.baseline, fresh.baseline)


def test_the_baseline_is_the_running_mean_then_forgets() -> None:
    rng = np.random.default_rng(1)
    frames = rng.integers(-32768, 32768, (3000, 6)).astype(np.int16)
    base = windows.baselines(frames) / 2**windows.BASELINE_Q
    mean = frames[:1500].cumsum(0) / np.arange(1, 1501)[:, None]
    assert np.abs(base[:1500] - mean).max() < 0.05
    step = np.concatenate([np.zeros((1500, 6)), np.full((1500, 6), 1000)]).astype(np.int16)
    assert windows.baselines(step)[-1][0] / 2**windows.BASELINE_Q == pytest.approx(1000 * (1 - np.exp(-1)), rel=0.001)


def test_the_phasic_part_is_taken_as_it_is() -> None:
    window = _ready()
    x = window.input(ONES)
    assert np.array_equal(x[-1], [0, GOOD[1], 0, 0, 0, 0])


def test_batch_inputs_are_the_streaming_ones() -> None:
    rng = np.random.default_rng(2)
    frames = rng.normal(GOOD, 900, (700, 6)).astype(np.int16)
    scales = [windows.input_scale(f) for f in (30, 0.7, 2.5, 1 / 3, 5, 0.01)]
    ends = windows.prediction_ends(700, first=FULL)
    batch = windows.model_inputs(frames, ends, scales)
    window, streamed = windows.WindowTwin(), []
    for i, frame in enumerate(frames):
        _push(window, features=frame)
        if i in ends:
            streamed.append(window.input(scales))
    assert np.array_equal(batch, np.stack(streamed))
    floats = windows.relative_windows(frames, ends) * [30, 0.7, 2.5, 1 / 3, 5, 0.01]
    assert np.abs(batch - np.clip(floats, -32768, 32767)).max() <= 0.5 + 1e-3


def test_predictions_come_once_a_second_on_whole_windows() -> None:
    assert windows.prediction_ends(600).tolist() == [499, 524, 549, 574, 599]
    assert windows.prediction_ends(200, first=0).tolist() == [149, 174, 199]
    assert len(windows.prediction_ends(499)) == 0


@given(st.integers(-32768, 32767), st.integers(-(2**31) + 1, 2**31 - 1), st.integers(0, windows.SHIFT_MAX))
def test_inputs_round_halves_away_from_zero(feature: int, mult: int, shift: int) -> None:
    """Against exact fractions, on the phasic feature, which has no baseline."""
    window = windows.WindowTwin()
    _push(window, features=np.array([0, feature, 0, 0, 0, 0], np.int16))
    got = window.input([windows.InputScale(mult, shift)] * 6)[0, 1]
    exact = Fraction(feature * mult, 2**shift)
    size = int(abs(exact) + Fraction(1, 2))
    assert got == max(-32768, min(32767, size if exact >= 0 else -size))


@given(st.floats(2.0**-16, 2.0**29))
def test_input_scale_keeps_30_bits(factor: float) -> None:
    scale = windows.input_scale(factor)
    assert 0 < scale.mult < 2**31 and 0 <= scale.shift <= windows.SHIFT_MAX
    assert scale.mult / 2**scale.shift == pytest.approx(factor, rel=2**-29)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf"), 2.0**40, 1e-9])
def test_input_scales_that_cannot_be_are_refused(factor: float) -> None:
    with pytest.raises(ModelError, match="cannot be expressed"):
        windows.input_scale(factor)


@pytest.mark.parametrize("scales", [ONES[:5], [(1, -1)] * 6, [(1, 47)] * 6, [(2**31, 0)] * 6])
def test_scales_out_of_range_are_refused(scales: list[tuple[int, int]]) -> None:
    with pytest.raises(ModelError, match="input scales"):
        windows.model_inputs(np.zeros((200, 6), np.int16), np.array([199]), scales)


@pytest.mark.parametrize("ends", [[136], [200]])
def test_windows_that_are_not_whole_are_refused(ends: list[int]) -> None:
    with pytest.raises(ModelError, match="must end at frames 137 to 199"):
        windows.model_inputs(np.zeros((200, 6), np.int16), np.array(ends), ONES)
