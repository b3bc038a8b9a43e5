"""nb_window in C against WindowTwin: reasons, quality and model input, bit for bit, frame by frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from _dsp_c import NativeDsp
from _dsp_cases import CASES, recorded_counts
from hypothesis import given, settings
from hypothesis import strategies as st

from nociband import dsp, windows

Edit = Callable[..., None]
SCALES = [windows.input_scale(f) for f in (0.3, 2, 11.7, 1 / 3, 0.01, 1e4)]


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> NativeDsp:
    return NativeDsp(tmp_path_factory.mktemp("nb_window"))


def _compare(native: NativeDsp, emg: np.ndarray, eda: np.ndarray, accel: np.ndarray, features: np.ndarray,
             underrun: np.ndarray) -> np.ndarray:
    """Push everything into both; returns the reasons after every frame."""
    band, twin = native.band(), windows.WindowTwin()
    emg, eda, accel = emg.reshape(-1, 40, 2), eda.reshape(-1, 2), accel.reshape(-1, 2, 3)
    reasons = []
    for i in range(len(features)):
        one = slice(i, i + 1)
        why, quality = band.push(emg[one], eda[one], accel[one], features[one], underrun[one])
        twin.push(emg[i], eda[i], accel[i], features[i], bool(underrun[i]))
        assert (why[0], quality[0]) == (twin.why, twin.quality_percent), f"frame {i}"
        if i % 97 == 0 or i in (136, 137, 138, len(features) - 1):
            assert np.array_equal(band.input(SCALES), twin.input(SCALES)), f"frame {i}"
        reasons.append(twin.why)
    return np.array(reasons)


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.slow) if c == "worst" else c for c in CASES])
def test_c_and_twin_agree_on_every_frame(native: NativeDsp, case: str) -> None:
    emg, eda = (a[: 2000 * size] for a, size in zip(CASES[case](), (40, 2), strict=True))
    features, rng = dsp.features(emg, eda), np.random.default_rng(0)
    n = len(features)
    accel = rng.integers(-900, 900, (n, 2, 3)) * (rng.random((n, 1, 1)) < 0.2)
    _compare(native, emg, eda, accel.astype(np.int16), features, (rng.random(n) < 0.003).astype(np.uint8))


def test_a_recording_of_good_quality_gets_a_score(native: NativeDsp) -> None:
    emg, eda = recorded_counts()
    features = dsp.features(emg, eda)
    accel = np.tile(np.array([0, 0, 1000], np.int16), (len(eda), 1))
    reasons = _compare(native, emg, eda, accel, features, np.zeros(len(features), np.uint8))
    assert not reasons[windows.BASELINE_MIN - 1 :].any() and reasons[: windows.BASELINE_MIN - 1].all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 700))
def test_c_and_twin_agree_on_anything(native: NativeDsp, seed: int, frames: int) -> None:
    """Features, samples and scales from their whole ranges, whether or not they belong together."""
    rng = np.random.default_rng(seed)
    emg = rng.integers(-32768, 32768, (frames, 40, 2)).astype(np.int16)
    eda = (rng.integers(0, 65536, (frames, 2)) >> rng.integers(0, 16)).astype(np.uint16)
    accel = (rng.integers(-32768, 32768, (frames, 2, 3)) >> rng.integers(0, 16)).astype(np.int16)
    features = (rng.integers(-32768, 32768, (frames, 6)) >> rng.integers(0, 12)).astype(np.int16)
    underrun = (rng.random(frames) < 0.01).astype(np.uint8)
    band, twin = native.band(), windows.WindowTwin()
    why, quality = band.push(emg, eda, accel, features, underrun)
    for i in range(frames):
        twin.push(emg[i], eda[i], accel[i], features[i], bool(underrun[i]))
    assert (why[-1], quality[-1]) == (twin.why, twin.quality_percent)
    scales = list(zip(rng.integers(-(2**31) + 1, 2**31, 6).tolist(), rng.integers(0, 47, 6).tolist(), strict=True))
    assert np.array_equal(band.input(scales), twin.input(scales))


def _boundaries(frames: int) -> tuple[np.ndarray, ...]:
    """An ordinary minute or two, into which _EDGES put values right at a threshold, one below and one above."""
    emg = np.full((frames, 40, 2), 50, np.int16)
    eda = (2000 + np.arange(frames)[:, None] // 5 + np.zeros((1, 2))).astype(np.uint16)
    accel = np.tile(np.array([0, 0, 1000], np.int16), (frames, 2, 1))
    features = np.tile(np.array([500, 40, 12000, 12500, 11000, 11500], np.int16), (frames, 1))
    return emg, eda, accel, features, np.zeros(frames, np.uint8)


def _saturate(counts: int, value: int) -> Edit:
    def edit(emg: np.ndarray, *_: np.ndarray) -> None:
        emg.reshape(len(emg), -1)[520, :counts] = value

    return edit


def _eda(value: int, frames: int) -> Edit:
    def edit(_emg: np.ndarray, eda: np.ndarray, *_: np.ndarray) -> None:
        eda[520 : 520 + frames, 1] = value

    return edit


def _shake(mg: int, one_more: int) -> Edit:
    def edit(_emg: np.ndarray, _eda: np.ndarray, accel: np.ndarray, *_: np.ndarray) -> None:
        accel[520:545, :, 2] = 1000 + mg
        accel[530, 0, 2] += one_more

    return edit


def _unmoved(counts: int, less: int, second: int = 0) -> Edit:
    """One second lies so many counts above all others, less so much in its sum."""

    def edit(_emg: np.ndarray, eda: np.ndarray, *_: np.ndarray) -> None:
        eda[:] = 3000
        eda[second * 25 : second * 25 + 25] += counts
        eda[second * 25, 0] -= less

    return edit


def _flat(value: int) -> Edit:
    def edit(_emg: np.ndarray, _eda: np.ndarray, _accel: np.ndarray, features: np.ndarray, *_: np.ndarray) -> None:
        features[520:660, 4] = value

    return edit


_EDGES = {
    **{f"{n} samples of {v}": (_saturate(n, v), n > 20 and abs(v) >= 32760)
       for n in (20, 21) for v in (32759, 32760, -32759, -32760, -32768)},
    **{f"eda of {v}": (_eda(v, 21), bad) for v, bad in ((9, True), (10, False), (65499, False), (65500, True))},
    "500 mg": (_shake(500, 0), False), "a little over 500 mg": (_shake(500, 1), True),
    "5 counts of response": (_unmoved(5, 0), False), "a little less": (_unmoved(5, 1), True),
    "rms of 1": (_flat(1), False), "rms of 0": (_flat(0), True),
}


@pytest.mark.parametrize("edge", _EDGES)
def test_c_and_twin_agree_at_the_thresholds(native: NativeDsp, edge: str) -> None:
    edit, spoils = _EDGES[edge]
    parts = _boundaries(700)
    edit(*parts)
    assert bool(_compare(native, *parts)[windows.BASELINE_MIN :].any()) == spoils


def test_c_and_twin_forget_an_eda_response_after_60_s(native: NativeDsp) -> None:
    parts = _boundaries(63 * 25)
    _unmoved(100, 0, second=1)(*parts)
    reasons = _compare(native, *parts)
    assert not reasons[62 * 25 - 2] and reasons[62 * 25 - 1]


def test_reset_forgets_everything(native: NativeDsp) -> None:
    emg, eda = CASES["random"]()
    features = dsp.features(emg, eda)
    accel, underrun = np.full((len(eda), 3), 20000, np.int16), np.ones(len(features), np.uint8)
    band = native.band()
    first = band.push(emg, eda, accel, features, underrun)
    band.reset()
    assert band.input(SCALES).any() == 0
    assert all(np.array_equal(a, b) for a, b in zip(first, band.push(emg, eda, accel, features, underrun), strict=True))
