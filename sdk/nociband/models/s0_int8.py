"""S0 in the arithmetic of the int8 scheme, in torch: which range each tensor needs, and the network with every rounding.

Takes an S0 of the band's size and normalised windows. `calibrate` gives the ranges from which nociband_convert.graphs.int8
writes the graphs; `RoundedS0` predicts what they compute, and is what nociband.training.quantised fine-tunes: gradients pass
through every rounding. It follows LiteRT's integer LSTM and int8 operations step by step, but in float32, so that a value on
the border between two steps may fall on the other side: it predicts quality, LiteRT's own kernels judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import ceil, log2

import torch
from torch import Tensor, nn
from torch.nn import functional

from nociband.models.s0 import S0

INT8_MAX = 127
GATE_LIMIT = 8.0         # LiteRT's gates are int16 with 12 fractional bits
CELL_MARGIN = 1.25
LOGIT_SHARES = [k / 32 for k in range(8, 33)]
BRANCHES: Mapping[str, slice] = {"eda": slice(0, 2), "emg": slice(2, 6)}
Observe = Callable[[str, Tensor], Tensor]


@dataclass(frozen=True)
class Range:
    """What an int8 tensor holds, from `low` <= 0 to `high` >= 0 (not both 0)."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        """Size of a step."""
        return (self.high - self.low) / 255

    @property
    def zero_point(self) -> int:
        """The int8 value that stands for 0."""
        return round(-128 - self.low / self.scale)


def symmetric(limit: float) -> Range:
    """A range with zero point 0 whose 127 is `limit`."""
    return Range(-limit * 128 / INT8_MAX, limit)


# A hidden state is within +-1. Steps of 2^-7 lose its last 1/128, and make the requantisation of h a shift.
HIDDEN = Range(-1.0, 127 / 128)
SIGMOID = Range(0.0, 255 / 256)  # LiteRT's int8 LOGISTIC has no other


@dataclass(frozen=True)
class Ranges:
    """`tensors`: x, hidden, attention_eda, attention_emg, weighted, weigh_eda, weigh_emg, joined, logits and sigmoid, by name.
    `cell_limit`: branch -> the power of two at which its int16 cell state ends."""

    tensors: Mapping[str, Range]
    cell_limit: Mapping[str, float]


def cell_limit(peak: float) -> float:
    """The power of two (at least 1) that covers cell states up to `peak` with a margin."""
    return float(2.0 ** max(0, ceil(log2(max(peak, 1e-6) * CELL_MARGIN))))


def calibrate(network: S0, x: Tensor) -> Ranges:
    """Ranges for normalised windows x (n, T, 6): what occurs among them, except where it is known by definition."""
    seen: dict[str, tuple[float, float]] = {}

    def observe(name: str, value: Tensor) -> Tensor:
        low, high = seen.get(name, (0.0, 0.0))
        seen[name] = min(low, value.min().item()), max(high, value.max().item())
        return value

    with torch.no_grad():
        logits = _logits(network, x, observe, _as_it_is)
    tensors = {name: Range(low, max(high, low + 1e-3)) for name, (low, high) in seen.items()}
    limits = {b: cell_limit(max(abs(v) for v in seen[f"cell_{b}"])) for b in BRANCHES}
    known = {"x": symmetric(network.config.input_limit), "hidden": HIDDEN, "sigmoid": SIGMOID, "logits": logit_range(logits)}
    return Ranges({n: r for n, r in tensors.items() if not n.startswith("cell_")} | known, limits)


def logit_range(logits: Tensor) -> Range:
    """The range whose int8 steps change the probabilities least, over logits (n, classes) of calibration windows.

    Far below the winning class a logit may as well be clipped: its probability is next to nothing either way. The range so
    saved makes steps finer where classes are near each other, and ties rarer.
    """
    expected = torch.softmax(logits, 1)
    low, high = min(float(logits.min()), -1e-3), max(float(logits.max()), 1e-3)
    candidates = [Range(low * a, high * b) for a in LOGIT_SHARES for b in LOGIT_SHARES]
    errors = [float((torch.softmax(on(logits, r), 1) - expected).square().mean()) for r in candidates]
    return candidates[errors.index(min(errors))]


def on(value: Tensor, r: Range) -> Tensor:
    """Rounded to the int8 steps of a range, with the gradient of a clamp."""
    bounded = torch.clamp(value, (-128 - r.zero_point) * r.scale, (INT8_MAX - r.zero_point) * r.scale)
    return _straight_through(bounded, r.scale)


def weight_scale(weight: Tensor, per_channel: bool) -> Tensor:
    """Step of int8 weights, the largest becomes 127: a tensor's () or each output channel's (channels, 1, ...)."""
    largest = weight.abs().amax(tuple(range(1, weight.dim())), keepdim=True) if per_channel else weight.abs().max()
    return (torch.where(largest > 0, largest, 1.0) / INT8_MAX).detach()


class RoundedS0(nn.Module):
    """An S0 whose weights and activations are rounded as the int8 graphs do; trains the S0 that it is given.

    `exact` names what is left unrounded, for ablation: weights, weights_head, x, hidden, cell, sigmoid, or a range's name.
    """

    def __init__(self, network: S0, ranges: Ranges, exact: Collection[str] = ()) -> None:
        super().__init__()
        if not network.config.on_band:
            raise ValueError("only an S0 of the band's size has an int8 form")
        self.network, self.ranges, self.exact = network, ranges, frozenset(exact)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised windows (B, T, 6) -> logits (B, classes)."""
        return _logits(self.network, x, self._activation, self._weight)

    def _activation(self, name: str, value: Tensor) -> Tensor:
        kind, _, branch = name.partition("_")
        if kind in self.exact or name in self.exact:
            return value
        if kind == "cell":
            limit = self.ranges.cell_limit[branch]
            return _straight_through(torch.clamp(value, -limit, limit * (1 - 2.0**-15)), limit * 2.0**-15)
        return on(value, self.ranges.tensors[name])

    def _weight(self, kind: str, weight: Tensor) -> Tensor:
        if kind in self.exact:
            return weight
        return _straight_through(weight, weight_scale(weight, per_channel=kind == "weights_head"))


def _straight_through(value: Tensor, scale: float | Tensor) -> Tensor:
    return value + (torch.round(value / scale) * scale - value).detach()


def _as_it_is(kind: str, weight: Tensor) -> Tensor:
    return weight


def _logits(network: S0, x: Tensor, at: Observe, weight: Observe) -> Tensor:
    """The whole network, with each activation passed through `at` and each weight through `weight`."""
    x = at("x", x)
    hs = {b: _branch(network.lstm(b), b, x[:, :, columns], at, weight) for b, columns in BRANCHES.items()}
    flat = {}
    for b, h in hs.items():
        pooled = torch.cat([h.amax(2, keepdim=True), at("hidden", h.mean(2, keepdim=True))], dim=2).transpose(1, 2)
        kernel, bias = _layer(network.head, f"attention_{b}.conv", weight)
        scores = functional.conv1d(pooled, kernel, bias, padding=network.config.conv_kernel // 2)
        share = at("sigmoid", torch.sigmoid(at(f"attention_{b}", scores)))
        weighted = at("weighted", h * share.transpose(1, 2))
        flat[b] = torch.cat([at("weighted", weighted.mean(1)), weighted.amax(1)], dim=1)
    both = torch.cat(list(flat.values()), dim=1)
    joined = []
    for b, part in flat.items():
        score = at(f"weigh_{b}", functional.linear(both, *_layer(network.head, f"weigh_{b}", weight)))
        joined.append(at("joined", part * at("sigmoid", torch.sigmoid(score))))
    return at("logits", functional.linear(torch.cat(joined, dim=1), *_layer(network.head, "out", weight)))


def _layer(head: nn.Module, name: str, weight: Observe) -> tuple[Tensor, Tensor]:
    return weight("weights_head", head.get_parameter(f"{name}.weight")), head.get_parameter(f"{name}.bias")


def _branch(lstm: nn.LSTM, name: str, x: Tensor, at: Observe, weight: Observe) -> Tensor:
    """Hidden sequence (B, T, H) of an LSTM, as LiteRT's integer kernel computes it: a weight scale a gate and matrix."""
    into, recurrent = (torch.cat([weight("weights", w) for w in lstm.get_parameter(f"weight_{k}_l0").chunk(4)])
                       for k in ("ih", "hh"))
    driven = functional.linear(x, into, lstm.get_parameter("bias_ih_l0") + lstm.get_parameter("bias_hh_l0"))
    h = c = x.new_zeros(len(x), lstm.hidden_size)
    hs = []
    for t in range(x.shape[1]):
        gates = torch.clamp(driven[:, t] + h @ recurrent.T, -GATE_LIMIT, GATE_LIMIT)
        i, f, g, o = gates.chunk(4, dim=1)
        c = at(f"cell_{name}", torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g))
        h = at("hidden", torch.sigmoid(o) * torch.tanh(c))
        hs.append(h)
    return torch.stack(hs, dim=1)
