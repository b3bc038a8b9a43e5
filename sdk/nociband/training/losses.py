"""Losses for nociband.training.loop."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Mean focal loss -(1 - p)^gamma log p of the true class's probability p (Lin et al. 2017, Focal loss for dense object
    detection, equation 4, without class weights). logits float (B, classes), target int64 (B,); gamma 0 is cross-entropy."""
    log_p = functional.log_softmax(logits, dim=1).gather(1, target[:, None])[:, 0]
    return torch.mean(-((1 - log_p.exp()) ** gamma) * log_p)
