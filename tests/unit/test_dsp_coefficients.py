"""The quantised sections against SciPy's, and the bounds that keep the C code's 32- and 64-bit integers from overflowing."""

from __future__ import annotations

import numpy as np
import pytest

from nociband.dsp.coefficients import Q, filter_tables
from nociband.dsp.twin import EDA_FRACTION_BITS, EMG_FRACTION_BITS, EMG_PER_BLOCK

scipy_signal = pytest.importorskip("scipy.signal")
from nociband.dsp import reference  # noqa: E402  (needs SciPy)

NAMES = list(filter_tables())


@pytest.mark.parametrize("name", NAMES)
def test_sections_are_scipys_rounded(name: str) -> None:
    sos = reference.sections()[name][0]
    assert sos[3] == 1
    error = np.abs(np.array(filter_tables()[name]) - sos[[0, 1, 2, 4, 5]] * 2**Q)
    assert error[[0, 2, 3, 4]].max() <= 0.5 + 1e-3
    assert error[1] <= 2  # b1 absorbs the others' rounding


@pytest.mark.parametrize("name", NAMES)
def test_gain_at_0_hz_is_exact(name: str) -> None:
    b0, b1, b2, a1, a2 = filter_tables()[name]
    assert b0 + b1 + b2 == (0 if name == "emg_high_pass" else 2**Q + a1 + a2)


@pytest.mark.parametrize("name", NAMES)
def test_poles_are_inside_the_unit_circle(name: str) -> None:
    *_, a1, a2 = filter_tables()[name]
    assert np.abs(np.roots([1, a1 / 2**Q, a2 / 2**Q])).max() < 1


def _impulse_response(name: str, x: np.ndarray) -> np.ndarray:
    b0, b1, b2, a1, a2 = (v / 2**Q for v in filter_tables()[name])
    return scipy_signal.lfilter([b0, b1, b2], [1, a1, a2], x)


def _largest_sum(name: str, x: float, y: float) -> float:
    """The largest 64-bit sum of nb_dsp's section_step, term by term."""
    b0, b1, b2, a1, a2 = (abs(v) for v in filter_tables()[name])
    return (b0 + b1 + b2) * x + (a1 + a2) * y + 2**Q


def test_emg_fits_its_integers() -> None:
    """Bounds by the sum of absolute impulse responses: no input can exceed them; one unit of rounding is allowed for."""
    x = 2.0 ** (15 + EMG_FRACTION_BITS)
    high = _impulse_response("emg_high_pass", np.eye(1, 5000)[0])
    both = _impulse_response("emg_low_pass", high)
    after_high, after_both = np.abs(high).sum() * x + 2**10, np.abs(both).sum() * x + 2**10
    assert after_high < 2**31 and after_both < 2**29
    assert _largest_sum("emg_high_pass", x, after_high) < 2**63
    assert _largest_sum("emg_low_pass", after_high, after_both) < 2**63
    assert EMG_PER_BLOCK * after_both**2 < 2**63


def test_eda_fits_its_integers() -> None:
    """The EDA is never negative, so that its filters swing about the middle of the range."""
    middle = 2.0 ** (15 + EDA_FRACTION_BITS)
    low = _impulse_response("eda_low_pass", np.eye(1, 5000)[0])
    filtered = middle + np.abs(low).sum() * middle + 2**10
    # after decimation nothing is assumed of the filtered EDA but that it lies within its bound of the middle
    swing, impulse = filtered - middle, np.eye(1, 50000)[0]
    level = _impulse_response("eda_tonic", impulse)
    tonic, phasic = middle + np.abs(level).sum() * swing + 2**10, np.abs(impulse - level).sum() * swing + 2**10
    assert max(filtered, tonic, phasic) < 2**31
    assert _largest_sum("eda_low_pass", 2 * middle, filtered) < 2**63
    assert _largest_sum("eda_tonic", filtered, tonic) < 2**63
