"""A small 1-D convolutional network: what S0 must beat among networks. Trained by nociband.training like S0; never converted.

Takes the same normalised sequences as S0. After the common pattern of pain recognition from biosignals (for example Thiam et al.
2019, Sensors 19(20):4503): convolutions over time a modality, joined late. Smaller than theirs, to suit a few hundred windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Cnn1dConfig:
    """`inputs`: channels of each branch. `classes`: 0 for one score. `kernel` (odd) is in steps. Raises ValueError."""

    inputs: tuple[int, ...]
    hidden: int = 16
    classes: int = 3
    kernel: int = 7
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if not self.inputs or min(self.inputs) < 1 or self.hidden < 1 or self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError("a 1-D CNN needs a channel a branch, a hidden unit and an odd kernel")

    @property
    def outputs(self) -> int:
        """Outputs of the network."""
        return self.classes or 1

    def build(self) -> Cnn1d:
        """A network of this shape with fresh weights."""
        return Cnn1d(self)


class Cnn1d(nn.Module):
    """Per branch two convolutions with ReLU and average pooling between, mean and maximum over time; then one dense layer."""

    def __init__(self, config: Cnn1dConfig) -> None:
        super().__init__()
        self.config = config
        self.branches = nn.ModuleList(self._branch(channels) for channels in config.inputs)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(2 * config.hidden * len(config.inputs), config.outputs)

    def _branch(self, channels: int) -> nn.Sequential:
        hidden, kernel = self.config.hidden, self.config.kernel
        return nn.Sequential(
            nn.Conv1d(channels, hidden, kernel, padding=kernel // 2), nn.ReLU(), nn.AvgPool1d(2, ceil_mode=True),
            nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2), nn.ReLU(),
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """One (B, T, channels) a branch, normalised -> outputs (B, config.outputs)."""
        seen = [branch(x.transpose(1, 2)) for branch, x in zip(self.branches, inputs, strict=True)]
        pooled = [part for x in seen for part in (x.mean(dim=2), x.amax(dim=2))]
        return self.out(self.dropout(torch.cat(pooled, dim=1)))
