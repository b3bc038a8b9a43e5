"""Cuts a trained S0 into the three graphs that are converted, and writes them as ONNX: one LSTM step a branch, and the head.

From source.Trained to to_tflite. Legacy exporter and opset 17: what onnx2tf turns into plain operations. Shapes are fixed.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

from nociband.models.s0 import S0, LstmStep
from nociband.spec import SPEC

OPSET = 17


def export(network: S0, folder: Path) -> dict[str, Path]:
    """Write eda.onnx, emg.onnx and head.onnx into `folder`; paths by graph name."""
    hidden, frames = network.config.hidden, SPEC.features["window"]["frames"]
    state = (torch.zeros(1, hidden), torch.zeros(1, hidden))
    sequence = torch.zeros(1, frames, hidden)
    parts: dict[str, tuple[nn.Module, tuple[torch.Tensor, ...], list[str], list[str]]] = {
        "head": (network.head, (sequence, sequence), ["hs_eda", "hs_emg"], ["logits"]),
    }
    for branch in ("eda", "emg"):
        lstm = network.lstm(branch)
        parts[branch] = (LstmStep(lstm), (torch.zeros(1, lstm.input_size), *state), ["x", "h", "c"], ["h_next", "c_next"])
    paths = {}
    for name, (module, example, inputs, outputs) in parts.items():
        paths[name] = folder / f"{name}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module.eval(), example, str(paths[name]), input_names=inputs, output_names=outputs, dynamo=False,
                              opset_version=OPSET)
    return paths
