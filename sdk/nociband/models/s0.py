"""S0: the bi-modal EDA + EMG network that runs on the band. Trained by nociband.training, converted by nociband_convert.

Takes the normalised feature window (nociband.windows) and gives logits. After Wang, Nienaber, Dinges and Al-Hamadi 2025.

Public about S0: a branch for EDA and one for EMG, each an LSTM followed by spatial attention (max-pool and average-pool
over the channels, Conv1D over time, sigmoid, times the LSTM's output), adaptive weighting of the two modalities, dropout,
dense layers, focal loss.
Our choice, since it is not public: one layer of 16 hidden units a branch, kernel 7, mean and max over time side by side in
place of a flattened sequence (which keeps the model independent of where in the window a response falls), one sigmoid
weight a modality computed from both, a single dense output layer. No softmax in the graph: integers leave as logits.

Every operation exists in the int16x8 integer scheme. `S0` trains on whole sequences with `nn.LSTM`; `LstmStep` and `S0Head`
are the same arithmetic cut into the graphs that are converted: one step a branch, iterated by the runtime from zero
state, then the head.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

# Inputs are clamped to this many standard deviations, in training as by the 16-bit input of the integer graphs.
INPUT_LIMIT = 8.0


@dataclass(frozen=True)
class S0Config:
    """Sizes of the network. `conv_kernel` (odd) is in feature frames; `dropout` a probability used in training only."""

    eda_inputs: int = 2
    emg_inputs: int = 4
    hidden: int = 16
    classes: int = 3
    conv_kernel: int = 7
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if min(self.eda_inputs, self.emg_inputs, self.hidden) < 1 or self.classes < 2:
            raise ValueError("S0 needs at least one input a branch, one hidden unit and two classes")
        if self.conv_kernel < 1 or self.conv_kernel % 2 == 0:
            raise ValueError(f"conv_kernel must be odd, not {self.conv_kernel}: the attention must not shift in time")

    def to_dict(self) -> dict[str, Any]:
        """As plain values for training.json."""
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


class S0Head(nn.Module):
    """From both branches' hidden sequences to logits: attention, pooling over time, modality weights, dense."""

    def __init__(self, config: S0Config) -> None:
        super().__init__()
        width = 2 * config.hidden
        self.attention_eda = SpatialAttention(config.conv_kernel)
        self.attention_emg = SpatialAttention(config.conv_kernel)
        self.weigh_eda = nn.Linear(2 * width, 1)
        self.weigh_emg = nn.Linear(2 * width, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(2 * width, config.classes)

    def forward(self, hs_eda: Tensor, hs_emg: Tensor) -> Tensor:
        """hs_eda, hs_emg (B, T, H) -> logits (B, classes)."""
        eda = self._over_time(self.attention_eda(hs_eda))
        emg = self._over_time(self.attention_emg(hs_emg))
        both = torch.cat([eda, emg], dim=1)
        weighted = torch.cat([eda * torch.sigmoid(self.weigh_eda(both)), emg * torch.sigmoid(self.weigh_emg(both))], dim=1)
        return self.out(self.dropout(weighted))

    @staticmethod
    def _over_time(hs: Tensor) -> Tensor:
        """(B, T, H) -> mean and maximum over time side by side, (B, 2H)."""
        return torch.cat([torch.mean(hs, dim=1), torch.amax(hs, dim=1)], dim=1)


class S0(nn.Module):
    """The whole network, for training and as the floating-point reference of the conversion."""

    def __init__(self, config: S0Config) -> None:
        super().__init__()
        self.config = config
        self.lstm_eda = nn.LSTM(config.eda_inputs, config.hidden, batch_first=True)
        self.lstm_emg = nn.LSTM(config.emg_inputs, config.hidden, batch_first=True)
        self.head = S0Head(config)

    def hidden(self, eda: Tensor, emg: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden sequences (B, T, H) of both branches, each from zero state."""
        return self.lstm_eda(eda)[0], self.lstm_emg(emg)[0]

    def forward(self, eda: Tensor, emg: Tensor) -> Tensor:
        """eda (B, T, eda_inputs), emg (B, T, emg_inputs), normalised float32 within +-INPUT_LIMIT -> logits (B, classes)."""
        return self.head(*self.hidden(eda, emg))


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
