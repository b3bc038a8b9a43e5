"""How well the integer model agrees with the floating-point one, on validation windows: the gate of a conversion.

From the written model folder (run by nociband.inference) and source.Trained to the report that the command prints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nociband.errors import ModelError
from nociband.inference import BRANCHES, Model
from nociband.windows import BASELINE_Q
from nociband_convert.source import Trained
from nociband_convert.to_c import branch_slice

AGREEMENT_MIN = 0.99
WINDOWS_MAX = 600
_INT16_MAX = 2**15 - 1


@dataclass(frozen=True)
class Parity:
    """Shares of `windows` validation windows; errors in logits. `cell_peak`: largest |c| as a share of what int16 holds."""

    windows: int
    agreement: float
    accuracy_float: float
    accuracy_integer: float
    logit_error_max: float
    logit_error_mean: float
    cell_peak: dict[str, float]

    @property
    def passed(self) -> bool:
        """True when the classes agree often enough."""
        return self.agreement >= AGREEMENT_MIN


def quantised(trained: Trained, model: Model, windows: np.ndarray) -> np.ndarray:
    """Relative windows (n, 138, 6) as the band's integers, int16: what nb_window_input makes of them."""
    mult = np.array([i.mult for i in model.manifest.input_scales], np.int64)
    bits = np.array([i.shift for i in model.manifest.input_scales], np.int64) + BASELINE_Q
    product = np.rint(windows * 2.0**BASELINE_Q).astype(np.int64) * mult
    size = (np.abs(product) + (np.int64(1) << (bits - 1))) >> bits
    return np.clip(np.where(product < 0, -size, size), -(2**15), _INT16_MAX).astype(np.int16)


def compare(trained: Trained, model: Model) -> Parity:
    """Run both on the validation windows. Raises ModelError when a cell state reaches the end of its scale."""
    windows, labels = trained.validation, trained.labels
    if len(windows) > WINDOWS_MAX:
        chosen = np.linspace(0, len(windows) - 1, WINDOWS_MAX).astype(int)
        windows, labels = windows[chosen], labels[chosen]
    x = torch.from_numpy(trained.normalised(windows))
    with torch.no_grad():
        reference = trained.network(x[:, :, branch_slice("eda")], x[:, :, branch_slice("emg")]).numpy()
    integers = quantised(trained, model, windows)
    logits = np.stack([model.logits(w) for w in integers])
    error = np.abs((logits - float(model.manifest.output_zero_point)) * model.manifest.output_scale - reference)
    chosen_float, chosen_integer = reference.argmax(1), logits.argmax(1)
    return Parity(
        windows=len(windows), agreement=float((chosen_float == chosen_integer).mean()),
        accuracy_float=float((chosen_float == labels).mean()), accuracy_integer=float((chosen_integer == labels).mean()),
        logit_error_max=float(error.max()), logit_error_mean=float(error.mean()), cell_peak=_cell_peaks(model, integers),
    )


def _cell_peaks(model: Model, integers: np.ndarray) -> dict[str, float]:
    peaks = {}
    for branch in BRANCHES:
        largest = max(int(np.abs(model.states(branch, w)[1].astype(int)).max()) for w in integers)
        if largest >= _INT16_MAX:
            raise ModelError(f"the {branch} branch's cell state saturates on validation windows: its scale does not cover the "
                             "floating-point range. Give more calibration windows, or train with more regularisation")
        peaks[branch] = largest / _INT16_MAX
    return peaks
