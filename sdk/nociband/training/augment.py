"""What is done to a training batch before the network sees it; every step is off at its setting of 0.

Called by nociband.training.loop with torch's generator seeded for the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nociband.training.config import TrainingConfig


@dataclass(frozen=True, eq=False)
class Batch:
    """`inputs` (B, T, C) a branch; the loss counts `share` for `target` (B,) and the rest for `other`, if any."""

    inputs: list[Tensor]
    target: Tensor
    other: Tensor | None = None
    share: float = 1.0


def batch(inputs: list[Tensor], target: Tensor, config: TrainingConfig) -> Batch:
    """Shift in time, blank a modality, add noise, mix."""
    if config.time_jitter:
        shift = (2 * torch.rand(len(target), device=target.device) - 1) * config.time_jitter
        inputs = [_shifted(x, shift) for x in inputs]
    if config.modality_dropout and len(inputs) == 2:
        inputs = _blanked(inputs, config.modality_dropout)
    if config.noise:
        limit = config.input_limit  # noise on a clamped input must not take it where no input of the band can be
        inputs = [torch.clamp(x + config.noise * torch.randn_like(x), -limit, limit) for x in inputs]
    return _mixed(inputs, target, config.mixup) if config.mixup else Batch(inputs, target)


def _shifted(x: Tensor, shift: Tensor) -> Tensor:
    """Each window (of B) moved by `shift` (B,), a share of its length; its first or last frame fills the gap."""
    frames = x.shape[1]
    at = torch.arange(frames, device=x.device)[None, :] - torch.round(shift * frames).long()[:, None]
    return torch.gather(x, 1, at.clamp(0, frames - 1)[:, :, None].expand(-1, -1, x.shape[2]))


def _blanked(inputs: list[Tensor], probability: float) -> list[Tensor]:
    """In this share of the windows one of both modalities, either with equal odds, at its baseline (0): never both."""
    draw = torch.rand(len(inputs[0]), device=inputs[0].device)
    first, second = draw < probability / 2, (draw >= probability / 2) & (draw < probability)
    return [x.masked_fill(gone[:, None, None], 0.0) for x, gone in zip(inputs, (first, second), strict=True)]


def _mixed(inputs: list[Tensor], target: Tensor, alpha: float) -> Batch:
    """Mixup (Zhang et al. 2018, equation 1): one share of Beta(alpha, alpha) a batch, partners drawn from the batch."""
    # The Beta draw takes its seed from torch's generator, so that the epoch's seed rules it.
    share = float(np.random.default_rng(int(torch.randint(2**31, (1,)))).beta(alpha, alpha))
    partner = torch.randperm(len(target)).to(target.device)
    return Batch([share * x + (1 - share) * x[partner] for x in inputs], target, target[partner], share)
