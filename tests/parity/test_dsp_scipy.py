"""The integers against floating-point SciPy: the largest absolute error of every stage, as docs/dsp.md states it.

Both start from the same counts: BioSPPy's 1 kHz EMG and EDA, and made inputs that go to the rails.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from _dsp_cases import CASES

from nociband import dsp
from nociband.dsp import reference
from nociband.dsp.twin import EDA_FRACTION_BITS, EMG_FRACTION_BITS
from nociband.spec import SPEC

# Largest absolute error allowed; EMG and EDA filters in counts (1/16 uV, 1/512 uS), features in units of their own last bit.
# A rounded feature is off by 0.5 at best. `quiet` is an EMG of 1 to 4 counts: there the filters' own rounding shows most.
TOLERANCE = {
    #             recorded  random  steps   worst   quiet
    "emg_filtered": (0.003, 0.003, 0.003, 0.003, 0.003),
    "eda_filtered": (0.0001, 0.0001, 0.0001, 0.0001, 0.0001),
    "eda_level": (0.002, 0.005, 0.006, 0.015, 0.002),
    "eda_tonic": (0.51, 0.51, 0.51, 0.51, 0.51),
    "eda_phasic": (0.51, 0.52, 0.52, 0.60, 0.51),
    "emg1_rms": (0.56, 0.55, 0.56, 0.55, 0.70),
    "emg1_env": (0.55, 0.55, 0.55, 0.55, 0.55),
    "emg2_rms": (0.56, 0.55, 0.56, 0.55, 0.55),
    "emg2_env": (0.55, 0.55, 0.55, 0.55, 0.55),
}
COLUMNS = ("recorded", "random", "steps", "worst", "quiet")


@cache
def _errors(case: str) -> dict[str, float]:
    """Largest absolute error of each stage, in TOLERANCE's units."""
    emg, eda = CASES[case]()
    ours, exact = dsp.stages([(emg, eda)])[0], reference.stages(emg, eda)
    differences = {
        "emg_filtered": ours.emg_filtered / 2**EMG_FRACTION_BITS - exact.emg_filtered,
        "eda_filtered": ours.eda_filtered / 2**EDA_FRACTION_BITS - exact.eda_filtered,
        "eda_level": ours.eda_tonic / 2**EDA_FRACTION_BITS - exact.eda_tonic,
    }
    saturated = np.clip(exact.features, -32768, 32767)
    for i, f in enumerate(SPEC.model_inputs):
        differences[f.name] = ours.features[:, i] - saturated[:, i]
    return {name: float(np.abs(d).max()) for name, d in differences.items()}


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.slow) if c == "worst" else c for c in COLUMNS])
@pytest.mark.parametrize("stage", TOLERANCE)
def test_largest_absolute_error(stage: str, case: str) -> None:
    error = _errors(case)[stage]
    assert error <= TOLERANCE[stage][COLUMNS.index(case)], f"{stage} on {case}: {error:.6f}"


def test_the_recordings_reach_every_feature() -> None:
    """An error of nothing would prove nothing."""
    features = dsp.features(*CASES["recorded"]())
    assert (np.ptp(features.astype(int), axis=0) > 500).all()
