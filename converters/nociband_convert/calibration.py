"""Values that the integer graphs must be able to hold, from training windows run through the floating-point network.

From source.Trained to to_tflite: rows for each graph's inputs, in step with each other. Where a range is known by definition
(inputs, hidden state) its ends are put in; the cell state's limit is chosen here, from every window at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

import numpy as np
import torch

from nociband.errors import ModelError
from nociband.models.s0 import LstmStep
from nociband_convert.source import Trained
from nociband_convert.to_c import BRANCHES, branch_slice

STEP_ROWS = 1200
HEAD_WINDOWS = 48
CELL_MARGIN = 1.25
CELL_LIMIT_MAX = 64.0
_SEED = 7


@dataclass(frozen=True, eq=False)
class Calibration:
    """`inputs`: graph -> input -> rows (n, ...) float32. `cell_limit`: branch -> a power of two above any |c| seen, which
    is `cell_peak`."""

    inputs: dict[str, dict[str, np.ndarray]]
    cell_limit: dict[str, float]
    cell_peak: dict[str, float]


def calibrate(trained: Trained) -> Calibration:
    """Run the windows. Raises ModelError for a cell state that grows beyond what 16 bits can hold well."""
    rng = np.random.default_rng(_SEED)
    train, every = trained.normalised(trained.train), trained.normalised(np.concatenate([trained.train, trained.validation]))
    inputs: dict[str, dict[str, np.ndarray]] = {"head": {}}
    peaks: dict[str, float] = {}
    for branch in BRANCHES:
        step = LstmStep(getattr(trained.network, f"lstm_{branch}"))
        columns = branch_slice(branch)
        hs, cs = _trajectories(step, every[:, :, columns])
        peaks[branch] = float(np.abs(cs).max())
        hs, cs = hs[:len(train)], cs[:len(train)]
        inputs[branch] = _step_rows(rng, train[:, :, columns], hs, cs, trained.network.config.input_limit)
        inputs["head"][f"hs_{branch}"] = _with_ends(hs[:, 1:], 1.0)
    chosen = rng.permutation(len(train))[:HEAD_WINDOWS]
    ends = [len(train), len(train) + 1]  # appended by _with_ends
    inputs["head"] = {k: v[np.concatenate([chosen, ends])] for k, v in inputs["head"].items()}
    return Calibration(inputs, {b: _cell_limit(b, peak) for b, peak in peaks.items()}, peaks)


def _trajectories(step: LstmStep, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, T, inputs) -> hidden and cell states (n, T + 1, H), the first being the zero state."""
    h = c = torch.zeros(len(x), step.gate_i.out_features)
    hs, cs = [h], [c]
    with torch.no_grad():
        for t in range(x.shape[1]):
            h, c = step(torch.from_numpy(np.ascontiguousarray(x[:, t])), h, c)
            hs.append(h)
            cs.append(c)
    return torch.stack(hs, 1).numpy(), torch.stack(cs, 1).numpy()


def _cell_limit(branch: str, largest: float) -> float:
    limit = 2.0 ** max(0, ceil(log2(max(largest, 1e-6) * CELL_MARGIN)))
    if limit > CELL_LIMIT_MAX:
        raise ModelError(f"the {branch} branch's cell state reaches {largest:.1f}; above {CELL_LIMIT_MAX / CELL_MARGIN:.0f} its "
                         "steps would be too coarse. Train with more regularisation (weight decay, dropout)")
    return limit


def _with_ends(rows: np.ndarray, limit: float) -> np.ndarray:
    """Two more rows, copies of the first with one element at +limit and -limit: they fix the tensor's scale, no more."""
    ends = np.repeat(rows[:1], 2, 0)
    ends.reshape(2, -1)[:, 0] = (limit, -limit)
    return np.concatenate([rows, ends]).astype(np.float32)


def _step_rows(rng: np.random.Generator, x: np.ndarray, hs: np.ndarray, cs: np.ndarray,
               input_limit: float) -> dict[str, np.ndarray]:
    """Rows of (x[t], h[t], c[t]) at random, and the extreme ones."""
    flat = {"x": x.reshape(-1, x.shape[2]), "h": hs[:, :-1].reshape(-1, hs.shape[2]), "c": cs[:, :-1].reshape(-1, cs.shape[2])}
    extreme = [np.abs(v).max(1).argsort(kind="stable")[-100:] for v in flat.values()]
    chosen = np.concatenate([rng.permutation(len(flat["x"]))[:STEP_ROWS], *extreme])
    limits = {"x": input_limit, "h": 1.0, "c": float(np.abs(flat["c"]).max())}
    return {k: _with_ends(v[chosen], limits[k]) for k, v in flat.items()}
