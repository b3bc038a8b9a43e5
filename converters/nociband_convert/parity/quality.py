"""How well the integer model agrees with the floating-point one, on windows of people that training never saw.

From the written model folder (run by nociband.inference) and source.Trained to gates, which judges it, and to the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from nociband.errors import ModelError
from nociband.inference import BRANCHES, Model
from nociband.windows import BASELINE_Q
from nociband_convert.source import Trained
from nociband_convert.to_c import branch_slice

WINDOWS_MAX = 600
_INT16_MAX = 2**15 - 1


@dataclass(frozen=True)
class Recall:
    """Of one class: how many windows have it, and the share of them that each model finds (None for a class without windows)."""

    label: str
    windows: int
    floating: float | None
    integer: float | None


@dataclass(frozen=True)
class Quality:
    """Shares of `windows` validation windows; errors in logits. `cell_peak`: largest |c| as a share of what int16 holds,
    empty for int8 (LiteRT's LSTM keeps its cells to itself; their scale is held to the floating-point range).

    `inputs` int16 (windows, 138, 6) and `logits` (windows, classes) are what the integer model was given and gave.
    """

    windows: int
    agreement: float
    accuracy_float: float
    accuracy_integer: float
    recall: tuple[Recall, ...]
    logit_error_max: float
    logit_error_mean: float
    cell_peak: dict[str, float]
    inputs: np.ndarray = field(repr=False, compare=False)
    logits: np.ndarray = field(repr=False, compare=False)

    @property
    def accuracy_loss(self) -> float:
        """Accuracy that integers cost; below 0 when they are better on these windows."""
        return round(self.accuracy_float - self.accuracy_integer, 9)  # a difference of shares, not of their last bits

    def to_dict(self) -> dict[str, Any]:
        """For the manifest: shares with four digits, so that it does not depend on the last bit of a division."""
        return {
            "windows": self.windows, "agreement": round(self.agreement, 4),
            "accuracy": {"float": round(self.accuracy_float, 4), "integer": round(self.accuracy_integer, 4)},
            "recall": {r.label: {"windows": r.windows, "float": _rounded(r.floating), "integer": _rounded(r.integer)}
                       for r in self.recall},
        }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def quantised(model: Model, windows: np.ndarray) -> np.ndarray:
    """Relative windows (n, 138, 6) as the band's integers, int16: what nb_window_input makes of them."""
    mult = np.array([i.mult for i in model.manifest.input_scales], np.int64)
    bits = np.array([i.shift for i in model.manifest.input_scales], np.int64) + BASELINE_Q
    product = np.rint(windows * 2.0**BASELINE_Q).astype(np.int64) * mult
    size = (np.abs(product) + (np.int64(1) << (bits - 1))) >> bits
    return np.clip(np.where(product < 0, -size, size), -(2**15), _INT16_MAX).astype(np.int16)


def compare(trained: Trained, model: Model) -> Quality:
    """Run both on the validation windows. Raises ModelError when a cell state reaches the end of its scale."""
    windows, labels = trained.validation, trained.labels
    if len(windows) > WINDOWS_MAX:
        chosen = np.linspace(0, len(windows) - 1, WINDOWS_MAX).astype(int)
        windows, labels = windows[chosen], labels[chosen]
    x = torch.from_numpy(trained.normalised(windows))
    with torch.no_grad():
        reference = trained.network(x[:, :, branch_slice("eda")], x[:, :, branch_slice("emg")]).numpy()
    integers = quantised(model, windows)
    logits = model.logits_of(integers)
    error = np.abs((logits - float(model.manifest.output_zero_point)) * model.manifest.output_scale - reference)
    by_float, by_integer = reference.argmax(1), logits.argmax(1)
    return Quality(
        windows=len(windows), agreement=float((by_float == by_integer).mean()),
        accuracy_float=float((by_float == labels).mean()), accuracy_integer=float((by_integer == labels).mean()),
        recall=_recall(model.manifest.labels, labels, by_float, by_integer),
        logit_error_max=float(error.max()), logit_error_mean=float(error.mean()), cell_peak=_cell_peaks(model, integers),
        inputs=integers, logits=logits,
    )


def _recall(names: tuple[str, ...], labels: np.ndarray, by_float: np.ndarray, by_integer: np.ndarray) -> tuple[Recall, ...]:
    rows = []
    for number, name in enumerate(names):
        of = labels == number
        shares = [float((chosen[of] == number).mean()) if of.any() else None for chosen in (by_float, by_integer)]
        rows.append(Recall(name, int(of.sum()), shares[0], shares[1]))
    return tuple(rows)


def _cell_peaks(model: Model, integers: np.ndarray) -> dict[str, float]:
    peaks: dict[str, float] = {}
    if model.manifest.scheme == "int8":
        return peaks
    for branch in BRANCHES:
        largest = max(int(np.abs(model.states(branch, w)[1].astype(int)).max()) for w in integers)
        if largest >= _INT16_MAX:
            raise ModelError(f"the {branch} branch's cell state saturates on validation windows: its scale does not cover the "
                             "floating-point range. Give more calibration windows, or train with more regularisation")
        peaks[branch] = largest / _INT16_MAX
    return peaks
