"""What any model must beat: the majority class, and a logistic regression on a handful of statistics of the window.

Fitted on the same training windows as the network and judged on the same people in the same run.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def majority(train_labels: np.ndarray, n: int) -> np.ndarray:
    """The most frequent training class, int64 (n,)."""
    return np.full(n, np.bincount(train_labels).argmax(), np.int64)


def summary(x: np.ndarray) -> np.ndarray:
    """Mean, range and last-second mean minus first-second mean of each input: float32 (n, T, k) to (n, 3 k)."""
    second = 25
    rise = x[:, -second:].mean(axis=1) - x[:, :second].mean(axis=1)
    return np.concatenate([x.mean(axis=1), np.ptp(x, axis=1), rise], axis=1)


def logistic_regression(train_x: np.ndarray, train_labels: np.ndarray, x: np.ndarray, classes: int,
                        penalty: float = 1e-2) -> np.ndarray:
    """Predictions int64 (n,) for `x` float32 (n, T, k) of a ridge-penalised multinomial regression on `summary`."""
    statistics = summary(train_x)
    mean, std = statistics.mean(axis=0), statistics.std(axis=0) + 1e-6
    inputs = torch.from_numpy((statistics - mean) / std).double()
    target = torch.from_numpy(train_labels)
    model = nn.Linear(inputs.shape[1], classes, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), target) + penalty * model.weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        return model(torch.from_numpy((summary(x) - mean) / std).double()).argmax(dim=1).numpy()
