"""Inputs that the DSP's parity tests share: random, extreme and recorded counts, always whole blocks.

Recorded ones are BioSPPy's examples (1 kHz, 12-bit counts), taken from the folder that NOCIBAND_DATA names.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from nociband.dsp import reference

Counts = tuple[np.ndarray, np.ndarray]
RAIL_LOW, RAIL_HIGH, EDA_HIGH = -32768, 32767, 65535


def random_counts(blocks: int = 500, seed: int = 1) -> Counts:
    """White noise over the converters' whole range."""
    rng = np.random.default_rng(seed)
    return (rng.integers(RAIL_LOW, RAIL_HIGH + 1, (blocks * 40, 2)).astype(np.int16),
            rng.integers(0, EDA_HIGH + 1, blocks * 2).astype(np.uint16))


def step_counts(blocks: int = 500, seed: int = 2) -> Counts:
    """From rail to rail at random moments: every filter's largest transients."""
    rng = np.random.default_rng(seed)
    high = rng.random((blocks * 40, 2)) < 0.01
    eda_high = rng.random(blocks * 2) < 0.02
    return (np.where(high.cumsum(0) % 2, RAIL_HIGH, RAIL_LOW).astype(np.int16),
            np.where(eda_high.cumsum() % 2, EDA_HIGH, 0).astype(np.uint16))


def _worst(impulse_response: np.ndarray, low: int, high: int) -> np.ndarray:
    """Rail-to-rail input whose last output is as large as a bounded input can make it (matched in sign), then its mirror."""
    matched = np.where(impulse_response[::-1] > 0, high, low)
    return np.concatenate([matched, high + low - matched])


def worst_counts() -> Counts:
    """Drives each filter chain to the bound of its absolute impulse response, up and down."""
    s = reference.sections()
    impulse = np.eye(1, 2000)[0]
    emg = np.concatenate([_worst(signal.sosfilt(s["emg_high_pass"], impulse), RAIL_LOW, RAIL_HIGH),
                          _worst(reference._run(s["emg_low_pass"], signal.sosfilt(s["emg_high_pass"], impulse)),
                                 RAIL_LOW, RAIL_HIGH)])
    tonic = np.repeat(_worst(signal.sosfilt(s["eda_tonic"], np.eye(1, 1500)[0]), 0, EDA_HIGH), 2)
    phasic = np.repeat(_worst(np.eye(1, 1500)[0] - signal.sosfilt(s["eda_tonic"], np.eye(1, 1500)[0]), 0, EDA_HIGH), 2)
    eda = np.concatenate([_worst(signal.sosfilt(s["eda_low_pass"], impulse), 0, EDA_HIGH), tonic, phasic])
    emg = np.resize(emg, (len(eda) * 20, 1))
    return np.hstack([emg, -1 - emg]).astype(np.int16), eda.astype(np.uint16)


def quiet_counts(blocks: int = 500, seed: int = 3) -> Counts:
    """A few counts around a constant, where rounding matters most; the second EMG channel is a flat line."""
    rng = np.random.default_rng(seed)
    emg = np.stack([rng.integers(-3, 4, blocks * 40) - 700, np.full(blocks * 40, -5)], axis=1)
    return emg.astype(np.int16), (2000 + rng.integers(0, 3, blocks * 2)).astype(np.uint16)


def zero_counts(blocks: int = 100) -> Counts:
    """Nothing at all."""
    return np.zeros((blocks * 40, 2), np.int16), np.zeros(blocks * 2, np.uint16)


def _biosppy(name: str) -> np.ndarray:
    root = os.environ.get("NOCIBAND_DATA")
    path = Path(root or "") / "biosppy" / "examples" / name
    if not root or not path.is_file():
        pytest.skip("needs BioSPPy's example recordings: set NOCIBAND_DATA to the folder that holds biosppy/examples")
    return np.loadtxt(path, comments="#")


@cache
def recorded_counts() -> Counts:
    """63 s of real 1 kHz EMG from two recordings and real EDA, 12-bit counts widened to the band's; the EDA at 50 Hz."""
    emg, emg_1, eda = _biosppy("emg.txt"), _biosppy("emg_1.txt"), _biosppy("eda.txt")
    blocks = min(len(emg), len(emg_1), len(eda)) // 40
    both = np.stack([emg[: blocks * 40], emg_1[: blocks * 40]], axis=1)
    slow = eda[: blocks * 40].reshape(-1, 20).mean(axis=1)  # means of 20 ms: 1 kHz to 50 Hz
    return ((both - 2048) * 16).astype(np.int16), np.rint(slow * 16).astype(np.uint16)


CASES = {"random": random_counts, "steps": step_counts, "worst": worst_counts, "quiet": quiet_counts, "zeros": zero_counts,
         "recorded": recorded_counts}
