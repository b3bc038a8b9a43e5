"""Losses for nociband.training.loop: of classes and of scores."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0, weight: Tensor | None = None,
               smoothing: float = 0.0) -> Tensor:
    """Mean over the batch of -sum_c q_c w_c (1 - p_c)^gamma log p_c (Lin et al. 2017, Focal loss for dense object detection,
    equations 4 and 5).

    logits float (B, classes), target int64 (B,), weight float (classes,). q is 1 for the true class; with `smoothing` s it is
    1 - s, and s / classes is added to every class (Szegedy et al. 2016). gamma 0 is cross-entropy.
    """
    log_p = functional.log_softmax(logits, dim=1)
    each = -((1 - log_p.exp()) ** gamma) * log_p
    if weight is not None:
        each = each * weight
    true = each.gather(1, target[:, None])[:, 0]
    return torch.mean((1 - smoothing) * true + smoothing * each.mean(dim=1)) if smoothing else torch.mean(true)


def score_loss(output: Tensor, target: Tensor, kind: str = "smooth_l1") -> Tensor:
    """Mean loss of scores, both float (B,) in standard deviations of the training scores.

    "smooth_l1": quadratic within one standard deviation, linear beyond (Huber 1964), so that a few strong ratings do not rule;
    "mse": the mean squared error.
    """
    return functional.smooth_l1_loss(output, target) if kind == "smooth_l1" else functional.mse_loss(output, target)
