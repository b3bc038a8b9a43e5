"""S0: the bi-modal EDA + EMG network. Trained by nociband.training; its small size is converted by nociband_convert.

Takes normalised feature windows (nociband.windows) or descriptor sequences and gives logits, or one number for a score. After
Wang, Nienaber, Dinges and Al-Hamadi 2025.

Public about S0: a branch for EDA and one for EMG, each N blocks of an LSTM followed by spatial attention (max-pool and
average-pool over the channels, Conv1D over time, sigmoid, times the LSTM's output), dropout, flatten, dense with ReLU;
adaptive weighting of the two modalities, joined, dense. What is not public, and what we chose for it:
docs/adr/0010-s0-choices.md.

One implementation in two sizes, both points of S0Config: the one that runs on the band (one block, mean and maximum over time,
no dense layer a branch) and the paper's (several blocks, a dense layer a branch). No softmax in the graph: logits leave.

Every operation of the band's size exists in the int16x8 integer scheme. `S0` trains on whole sequences with `nn.LSTM`; `LstmStep`
and `S0Head` are the same arithmetic cut into the graphs that are converted: one step a branch, iterated by the runtime from
zero state, then the head.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class S0Config:
    """Shape of the network; the defaults are the band's. Raises ValueError for a shape that cannot be.

    eda_inputs, emg_inputs: channels a branch, 0: the branch does not exist. hidden: units of each LSTM. classes: 0 for one
    score. conv_kernel: odd, in steps. dropout: a probability, in training only, before the first dense layer. blocks: LSTM and
    attention, so many times. dense: units with ReLU a branch after its blocks, 0 for none. over_time: "pooled" (mean and maximum
    side by side) or "flat", which needs eda_steps and emg_steps. stride: frames averaged into one step at the input.
    attention, weighting: off for ablation (weighting off joins the branches as they are). input_limit: inputs are clamped to
    +- this many standard deviations, in training by nociband.training.fitting, on the band by the 16 bits of the graphs' input.
    """

    eda_inputs: int = 2
    emg_inputs: int = 4
    hidden: int = 16
    classes: int = 3
    conv_kernel: int = 7
    dropout: float = 0.3
    blocks: int = 1
    dense: int = 0
    over_time: str = "pooled"
    eda_steps: int = 0
    emg_steps: int = 0
    stride: int = 1
    attention: bool = True
    weighting: bool = True
    input_limit: float = 8.0

    def __post_init__(self) -> None:
        if min(self.eda_inputs, self.emg_inputs, self.classes, self.dense) < 0 or min(self.hidden, self.blocks, self.stride) < 1:
            raise ValueError("S0 needs at least one hidden unit, block and frame a step, and no negative size")
        if not self.modalities or self.classes == 1:
            raise ValueError("S0 needs inputs for at least one branch, and two classes or more (0 for a score)")
        if self.conv_kernel < 1 or self.conv_kernel % 2 == 0:
            raise ValueError(f"conv_kernel must be odd, not {self.conv_kernel}: the attention must not shift in time")
        if not 0 < self.input_limit < inf:
            raise ValueError(f"input_limit is above 0 and finite, not {self.input_limit}")
        if self.over_time not in ("pooled", "flat"):
            raise ValueError(f"over_time is pooled or flat, not {self.over_time!r}")
        if self.over_time == "flat" and min(self.steps_of(m) for m in self.modalities) < 1:
            raise ValueError("a flattened sequence needs eda_steps and emg_steps of at least one stride")

    def build(self) -> S0:
        """A network of this shape with fresh weights."""
        return S0(self)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The branches that exist, in the order of the network's arguments."""
        return tuple(m for m in ("eda", "emg") if self.inputs_of(m))

    @property
    def outputs(self) -> int:
        """Numbers a window: logits, or one score."""
        return self.classes or 1

    @property
    def weighs(self) -> bool:
        """Whether modality weights exist: there is nothing to weigh with one branch."""
        return self.weighting and len(self.modalities) == 2

    @property
    def on_band(self) -> bool:
        """Whether the firmware can run it: two branches of one block, pooled, with classes, on every frame."""
        same = S0Config(self.eda_inputs, self.emg_inputs, self.hidden, self.classes, self.conv_kernel, self.dropout,
                        input_limit=self.input_limit)
        return self == same and len(self.modalities) == 2 and self.classes > 0

    def inputs_of(self, modality: str) -> int:
        """Channels of a branch."""
        return self.eda_inputs if modality == "eda" else self.emg_inputs

    def steps_of(self, modality: str) -> int:
        """Steps of a branch after `stride`; 0 when not given."""
        return (self.eda_steps if modality == "eda" else self.emg_steps) // self.stride

    def to_dict(self) -> dict[str, Any]:
        """As plain values for model.pt."""
        return asdict(self)


class SpatialAttention(nn.Module):
    """Weighs each time step by what its channels' maximum and mean look like in the neighbourhood."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 1, kernel, padding=kernel // 2)

    def forward(self, hs: Tensor) -> Tensor:
        """hs (B, T, H) -> hs weighted (B, T, H)."""
        pooled = torch.cat([torch.amax(hs, dim=2, keepdim=True), torch.mean(hs, dim=2, keepdim=True)], dim=2)
        weight = torch.sigmoid(self.conv(pooled.transpose(1, 2)))
        return hs * weight.transpose(1, 2)


class DeeperBlock(nn.Module):
    """One more LSTM on a branch's weighted hidden sequence, with its own attention."""

    def __init__(self, config: S0Config) -> None:
        super().__init__()
        self.lstm = nn.LSTM(config.hidden, config.hidden, batch_first=True)
        self.attention = _attention(config)

    def forward(self, hs: Tensor) -> Tensor:
        """hs (B, T, H) -> (B, T, H)."""
        return self.attention(self.lstm(hs)[0])


class S0Head(nn.Module):
    """From the branches' first hidden sequences to the outputs: attention, deeper blocks, over time, modality weights, dense."""

    def __init__(self, config: S0Config) -> None:
        super().__init__()
        self.config = config
        widths = []
        for m in config.modalities:
            self.add_module(f"attention_{m}", _attention(config))
            self.add_module(f"deeper_{m}", nn.Sequential(*(DeeperBlock(config) for _ in range(config.blocks - 1))))
            width = config.hidden * (2 if config.over_time == "pooled" else config.steps_of(m))
            if config.dense:
                self.add_module(f"dense_{m}", nn.Linear(width, config.dense))
            widths.append(config.dense or width)
        if config.weighs:
            for m in config.modalities:
                self.add_module(f"weigh_{m}", nn.Linear(sum(widths), 1))
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(sum(widths), config.outputs)

    def forward(self, *hs: Tensor) -> Tensor:
        """hs (B, T, H) of each branch -> outputs (B, config.outputs)."""
        parts = [self._branch(m, h) for m, h in zip(self.config.modalities, hs, strict=True)]
        joined = torch.cat(parts, dim=1)
        if self.config.weighs:
            weights = [torch.sigmoid(self.get_submodule(f"weigh_{m}")(joined)) for m in self.config.modalities]
            joined = torch.cat([p * w for p, w in zip(parts, weights, strict=True)], dim=1)
        return self.out(joined if self.config.dense else self.dropout(joined))

    def _branch(self, modality: str, hs: Tensor) -> Tensor:
        """What one modality hands to the joined layers, (B, width)."""
        hs = self.get_submodule(f"deeper_{modality}")(self.get_submodule(f"attention_{modality}")(hs))
        if self.config.over_time == "flat":
            flat = hs.flatten(1)
        else:
            flat = torch.cat([torch.mean(hs, dim=1), torch.amax(hs, dim=1)], dim=1)
        if not self.config.dense:
            return flat
        return torch.relu(self.get_submodule(f"dense_{modality}")(self.dropout(flat)))


def _attention(config: S0Config) -> nn.Module:
    return SpatialAttention(config.conv_kernel) if config.attention else nn.Identity()


class S0(nn.Module):
    """The whole network, for training and as the floating-point reference of the conversion."""

    def __init__(self, config: S0Config) -> None:
        super().__init__()
        self.config = config
        for m in config.modalities:
            self.add_module(f"lstm_{m}", nn.LSTM(config.inputs_of(m), config.hidden, batch_first=True))
        self.head = S0Head(config)

    def lstm(self, modality: str) -> nn.LSTM:
        """The first LSTM of a branch."""
        found = self.get_submodule(f"lstm_{modality}")
        assert isinstance(found, nn.LSTM)
        return found

    def hidden(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Hidden sequences (B, T, H) of the branches' first LSTMs, each from zero state."""
        return tuple(self.lstm(m)(self._strided(x))[0] for m, x in zip(self.config.modalities, inputs, strict=True))

    def forward(self, *inputs: Tensor) -> Tensor:
        """One (B, T, channels) a branch, EDA first, normalised float32 within +-input_limit -> outputs (B, config.outputs)."""
        return self.head(*self.hidden(*inputs))

    def _strided(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T // stride, C), means of `stride` frames; the oldest frames that do not fill a step are left out."""
        stride = self.config.stride
        if stride == 1:
            return x
        steps = x.shape[1] // stride
        return x[:, x.shape[1] - steps * stride:].reshape(x.shape[0], steps, stride, x.shape[2]).mean(dim=2)


def parameters(config: S0Config) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in S0(config).parameters())


def multiply_accumulates(config: S0Config, eda_steps: int = 0, emg_steps: int = 0) -> int:
    """Multiply-accumulates a window in matrix products and convolutions, for windows of so many frames a modality.

    Gates take 4 H (inputs + H) a step, attention 2 kernel; element by element products are not counted, as in the band's own
    account.
    """
    frames = {"eda": eda_steps, "emg": emg_steps}
    total, widths, hidden = 0, [], config.hidden
    for m in config.modalities:
        steps = frames[m] // config.stride
        lstms = 4 * hidden * (config.inputs_of(m) + hidden) + (config.blocks - 1) * 4 * hidden * 2 * hidden
        attention = config.blocks * 2 * config.conv_kernel if config.attention else 0
        width = hidden * (2 if config.over_time == "pooled" else steps)
        total += steps * (lstms + attention) + width * config.dense
        widths.append(config.dense or width)
    weights = 2 * sum(widths) if config.weighs else 0
    return total + weights + sum(widths) * config.outputs


class LstmStep(nn.Module):
    """One time step of a trained one-layer nn.LSTM with explicit gates, one Linear a gate (no split, no loop)."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        if lstm.num_layers != 1 or lstm.bidirectional or lstm.proj_size or not lstm.bias:
            raise ValueError("LstmStep takes a one-layer, one-way LSTM with bias and without projection")
        hidden = lstm.hidden_size
        gates = [nn.Linear(lstm.input_size + hidden, hidden) for _ in range(4)]
        with torch.no_grad():
            trained = dict(lstm.named_parameters())
            weight = torch.cat([trained["weight_ih_l0"], trained["weight_hh_l0"]], dim=1)
            bias = trained["bias_ih_l0"] + trained["bias_hh_l0"]
            for k, gate in enumerate(gates):  # PyTorch's order: input, forget, cell, output
                gate.weight.copy_(weight[k * hidden:(k + 1) * hidden])
                gate.bias.copy_(bias[k * hidden:(k + 1) * hidden])
        self.gate_i, self.gate_f, self.gate_g, self.gate_o = gates

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, inputs), h and c (B, H) -> the next h and c."""
        xh = torch.cat([x, h], dim=1)
        kept = torch.sigmoid(self.gate_f(xh)) * c
        c_next = kept + torch.sigmoid(self.gate_i(xh)) * torch.tanh(self.gate_g(xh))
        return torch.sigmoid(self.gate_o(xh)) * torch.tanh(c_next), c_next
