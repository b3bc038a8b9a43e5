"""Quantised filter sections of features.toml, without SciPy: the band's header and the twin read the same integers.

A second-order Butterworth section by the bilinear transform with pre-warping (Oppenheim and Schafer, Discrete-Time Signal
Processing, section 7.1), rounded to Q30. b1 follows from the others, so that rounding leaves the gain at 0 Hz exact: 1 for
a low-pass, and 0 for a high-pass, which lets no electrode offset through. Tests compare them with scipy.signal.butter.
"""

from __future__ import annotations

import math

from nociband.spec import SPEC

Q = 30
Section = tuple[int, int, int, int, int]


def butterworth_section(cutoff_hz: float, rate_hz: float, kind: str) -> Section:
    """(b0, b1, b2, a1, a2) in Q30 of a second-order low-pass (`kind="low"`) or high-pass (`"high"`); a0 is 1."""
    k = math.tan(math.pi * cutoff_hz / rate_hz)
    norm = 1 / (1 + math.sqrt(2) * k + k * k)
    b0 = norm * (k * k if kind == "low" else 1)
    a1, a2 = 2 * (k * k - 1) * norm, (1 - math.sqrt(2) * k + k * k) * norm
    b, a, c = round(b0 * 2**Q), round(a1 * 2**Q), round(a2 * 2**Q)
    return b, (2**Q + a + c if kind == "low" else 0) - 2 * b, b, a, c


def filter_tables() -> dict[str, Section]:
    """Every section of features.toml by name."""
    f = SPEC.features["filters"]
    emg, eda, tonic = f["emg_bandpass"], f["eda_lowpass"], f["eda_tonic"]
    return {
        "emg_high_pass": butterworth_section(emg["high_pass_hz"], emg["rate_hz"], "high"),
        "emg_low_pass": butterworth_section(emg["low_pass_hz"], emg["rate_hz"], "low"),
        "eda_low_pass": butterworth_section(eda["low_pass_hz"], eda["rate_hz"], "low"),
        "eda_tonic": butterworth_section(tonic["low_pass_hz"], tonic["rate_hz"], "low"),
    }
