"""The stages of nociband.dsp in floating point with SciPy: what the integers stand for, and what they are measured against.

Counts come from tests, notebooks and nociband.training.continuous (minutes of EDA); nothing on the live path uses this.
Needs SciPy (extras `train`, `sim`).
Filters are unquantised scipy.signal.butter sections; Stages' names and units are the twin's, as plain floats in counts.
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from nociband.dsp.twin import EDA_PER_BLOCK, EMG_PER_BLOCK, Stages
from nociband.spec import SPEC

_FILTERS = SPEC.features["filters"]


def sections() -> dict[str, np.ndarray]:
    """Each filter of features.toml as SciPy's (1, 6) second-order section, by the names of coefficients.filter_tables."""
    emg, eda, tonic = _FILTERS["emg_bandpass"], _FILTERS["eda_lowpass"], _FILTERS["eda_tonic"]
    return {
        "emg_high_pass": signal.butter(2, emg["high_pass_hz"], "high", fs=emg["rate_hz"], output="sos"),
        "emg_low_pass": signal.butter(2, emg["low_pass_hz"], "low", fs=emg["rate_hz"], output="sos"),
        "eda_low_pass": signal.butter(2, eda["low_pass_hz"], "low", fs=eda["rate_hz"], output="sos"),
        "eda_tonic": signal.butter(2, tonic["low_pass_hz"], "low", fs=tonic["rate_hz"], output="sos"),
    }


def _run(sos: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Filter along time from the steady state of the first sample."""
    initial = signal.sosfilt_zi(sos).reshape(1, 2, *[1] * (x.ndim - 1)) * x[:1]
    return signal.sosfilt(sos, x, axis=0, zi=initial)[0]


def emg_bandpass(emg_counts: np.ndarray) -> np.ndarray:
    """(n, channels) counts to the same in the EMG band."""
    s = sections()
    return _run(s["emg_low_pass"], _run(s["emg_high_pass"], np.asarray(emg_counts, float)))


def emg_power(filtered: np.ndarray) -> np.ndarray:
    """Mean squares of the 40 ms blocks: (n, channels) counts to (n // 40, channels) counts^2."""
    return np.square(filtered).reshape(-1, EMG_PER_BLOCK, filtered.shape[1]).mean(axis=1)


def emg_envelope(power: np.ndarray) -> np.ndarray:
    """Exponential mean of the blocks' mean squares, from the first block on."""
    share = 2.0 ** -_FILTERS["emg_envelope"]["shift"]
    return signal.lfilter([share], [1, share - 1], power, axis=0, zi=(1 - share) * power[:1])[0]


def eda_levels(eda_counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(filtered, tonic) at 25 Hz in counts, of counts at 50 Hz. The phasic part is their difference."""
    s = sections()
    filtered = _run(s["eda_low_pass"], np.asarray(eda_counts, float))[EDA_PER_BLOCK - 1 :: EDA_PER_BLOCK]
    return filtered, _run(s["eda_tonic"], filtered)


def _log2_rms(power: np.ndarray) -> np.ndarray:
    return np.log2(np.maximum(power, 1)) / 2


def stages(emg_counts: np.ndarray, eda_counts: np.ndarray) -> Stages:
    """Every stage of one recording, float64: emg (n, 2) and eda (n // 20,) counts.

    `emg_power` and `emg_envelope` are mean squares in counts^2, the EDA is in counts, and `features` (n // 40, 6) are in the
    features' own units times 2**q, neither rounded nor saturated.
    """
    filtered = emg_bandpass(emg_counts)
    power = emg_power(filtered)
    envelope = emg_envelope(power)
    level, tonic = eda_levels(eda_counts)
    per_unit = SPEC.features["signals"]["eda"]["counts_per_unit"]
    values = {"eda_tonic": tonic / per_unit, "eda_phasic": (level - tonic) / per_unit}
    for c in range(power.shape[1]):
        values[f"emg{c + 1}_rms"], values[f"emg{c + 1}_env"] = _log2_rms(power[:, c]), _log2_rms(envelope[:, c])
    features = np.stack([values[f.name] * 2.0**f.q for f in SPEC.model_inputs], axis=1)
    return Stages(filtered, power, envelope, level, tonic, features)
