"""Makes the graphs of the int8 scheme: LiteRT's integer LSTM for each branch, and the head that onnx2tf laid out, on ranges and
with weights set here.

From source.Trained (or a state that nociband.training.quantised has fine-tuned, beside it) and calibration to the three .tflite
files. The ranges are those of nociband.models.s0_int8, whose network predicts what these graphs compute: x and h on scales of
their own with zero points 0, the cell state int16 on a power of two, logits on the range that disturbs probabilities least.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nociband.errors import ModelError
from nociband.models import s0_int8
from nociband.models.s0 import S0, S0Config, S0Head
from nociband.models.s0_int8 import Range, Ranges
from nociband.spec import SPEC
from nociband_convert import tflite
from nociband_convert.calibration import CELL_LIMIT_MAX, Calibration
from nociband_convert.graphs import lstm_graph
from nociband_convert.source import Trained

BRANCHES = ("eda", "emg")
TUNED_NAME = "quantised.pt"
_UNIT = 2.0**-15
_SAME_RANGE = ("REDUCE_MAX", "MEAN", "CONCATENATION", "RESHAPE")


def build(trained: Trained, calibration: Calibration, head: Path, tuned: S0 | None = None) -> dict[str, bytes]:
    """The graphs eda, emg and head. `head`: onnx2tf's int8 form of the head; `tuned`: weights to take in place of the trained.

    Raises ModelError when a cell state cannot be held, or the head is not S0's.
    """
    network = trained.network if tuned is None else tuned
    ranges = s0_int8.calibrate(network, torch.from_numpy(trained.normalised(trained.train)))
    limits = {b: max(calibration.cell_limit[b], ranges.cell_limit[b]) for b in BRANCHES}
    return graphs(network, replace(ranges, cell_limit=limits), head)


def graphs(network: S0, ranges: Ranges, head: Path) -> dict[str, bytes]:
    """The graphs eda, emg and head on given ranges; see build."""
    made = {}
    for branch in BRANCHES:
        limit = ranges.cell_limit[branch]
        if limit > CELL_LIMIT_MAX:
            raise ModelError(f"the {branch} branch's cell state needs a range of +-{limit:.0f}; LiteRT's integer LSTM ends at "
                             f"+-{CELL_LIMIT_MAX:.0f}. Train with more regularisation (weight decay, dropout)")
        made[branch] = lstm_graph.build(branch, _weights(network.lstm(branch)), ranges.tensors["x"].scale,
                                        ranges.tensors["hidden"].scale, round(np.log2(limit * _UNIT)),
                                        SPEC.features["window"]["frames"])
    return made | {"head": finish_head(head, network.head, ranges)}


def tuned_network(folder: Path, config: S0Config) -> S0 | None:
    """The fine-tuned network beside a trained model, None when there is none. Raises ModelError when it is of another model."""
    path = folder / TUNED_NAME
    if not path.is_file():
        return None
    network = S0(config)
    try:
        saved = torch.load(path, weights_only=True)
        network.load_state_dict(saved["state_dict"])
        of = saved["of"]
    except Exception as e:  # torch raises whatever its reader meets
        raise ModelError(f"{path} does not fit the model beside it ({type(e).__name__}); fine-tune again, or delete it") from e
    if of != hashlib.sha256((folder / "model.pt").read_bytes()).hexdigest():
        raise ModelError(f"{path} was made from another training than the model.pt beside it; fine-tune again, or delete it")
    return network.eval()


def _weights(layer: nn.LSTM) -> lstm_graph.LstmWeights:
    """PyTorch's order of gates is LiteRT's: i, f, g, o."""
    p = {n: v.detach().numpy().astype(np.float64) for n, v in layer.named_parameters()}
    return lstm_graph.LstmWeights(np.stack(np.split(p["weight_ih_l0"], 4)), np.stack(np.split(p["weight_hh_l0"], 4)),
                                  np.stack(np.split(p["bias_ih_l0"] + p["bias_hh_l0"], 4)))


def finish_head(path: Path, head: S0Head, ranges: Ranges) -> bytes:
    """The head with its tensors named hs_eda, hs_emg and logits, every tensor on its range of `ranges`, and the weights of
    `head`. Raises ModelError when the graph is not that of an S0's head."""
    graph = tflite.read(path)
    roles = _Roles(graph)
    rewrite = _Rewrite(path)
    for number, name in roles.activations.items():
        rewrite.activation(number, _range(name, ranges))
    for op, layer_name in roles.layers:
        layer = head.get_submodule(layer_name)
        assert isinstance(layer, nn.Linear | nn.Conv1d) and layer.bias is not None
        rewrite.layer(op, layer, _range(roles.activations[op.inputs[0]], ranges))
    names = {number: name for name, number in roles.inputs.items()} | {next(iter(graph.outputs.values())): "logits"}
    return rewrite.finish(names)


def _range(name: str, ranges: Ranges) -> Range:
    return ranges.tensors["hidden" if name.startswith("hs_") else "sigmoid" if name.startswith("share_") else name]


class _Roles:
    """What each tensor of the head's graph is. `activations`: number -> a range's name, hs_BRANCH or share_...;
    `layers`: operation -> the submodule whose weights it has."""

    def __init__(self, graph: tflite.Graph) -> None:
        self.graph = graph
        self.inputs = {f"hs_{b}": _named(graph, f"hs_{b}") for b in BRANCHES}
        self.activations = {number: name for name, number in self.inputs.items()}
        self.layers: list[tuple[tflite.Op, str]] = []
        for op in graph.ops:
            self.activations[op.outputs[0]] = self._output(op, [self.activations[i] for i in op.inputs if i in self.activations])
        if sorted(name for _, name in self.layers) != sorted(_LAYERS):
            raise self._other()

    def _output(self, op: tflite.Op, inputs: list[str]) -> str:
        if not inputs:
            raise self._other()
        first = inputs[0]
        if op.kind in _SAME_RANGE and len(set(inputs)) == 1:
            return first
        if op.kind == "CONV_2D" and first.startswith("hs_"):
            self.layers.append((op, f"attention_{first[3:]}.conv"))
            return f"attention_{first[3:]}"
        if op.kind == "LOGISTIC":
            return f"share_{first}"
        if op.kind == "MUL" and len(inputs) == 2:
            if inputs[0].startswith("hs_"):
                return "weighted"
            if inputs[0] == "weighted":
                return "joined"
        if op.kind == "FULLY_CONNECTED" and first == "weighted":
            branch = self._weighs(op)
            self.layers.append((op, f"weigh_{branch}"))
            return f"weigh_{branch}"
        if op.kind == "FULLY_CONNECTED" and first == "joined":
            self.layers.append((op, "out"))
            return "logits"
        raise self._other()

    def _weighs(self, op: tflite.Op) -> str:
        """The branch whose weight `op` computes: the one that its sigmoid is multiplied with."""
        at = op
        for kind in ("LOGISTIC", "MUL"):
            at = self._user(at.outputs[0], kind)
        parts = [self._origin(i) for i in at.inputs if self.activations.get(i) == "weighted"]
        if len(parts) != 1:
            raise self._other()
        return parts[0]

    def _user(self, tensor: int, kind: str) -> tflite.Op:
        users = [op for op in self.graph.ops if tensor in op.inputs]
        if len(users) == 1 and users[0].kind == "RESHAPE" and kind != "RESHAPE":
            return self._user(users[0].outputs[0], kind)
        if len(users) != 1 or users[0].kind != kind:
            raise self._other()
        return users[0]

    def _origin(self, tensor: int) -> str:
        """The branch that a tensor comes from."""
        name = self.activations[tensor]
        while not name.startswith("hs_"):
            op = self.graph.producer(tensor)
            assert op is not None
            tensor = next(i for i in op.inputs if i in self.activations)
            name = self.activations[tensor]
        return name[3:]

    def _other(self) -> ModelError:
        return ModelError(f"{self.graph.name} is not the head of an S0 of the band's size; convert a model of `nociband train`")


_LAYERS = (*(f"attention_{b}.conv" for b in BRANCHES), *(f"weigh_{b}" for b in BRANCHES), "out")


def _named(graph: tflite.Graph, name: str) -> int:
    found = [number for n, number in graph.inputs.items() if n in (name, f"serving_default_{name}:0")]
    if len(found) != 1:
        raise ModelError(f"{graph.name}: no input {name} among {sorted(graph.inputs)}")
    return found[0]


class _Rewrite:
    """A .tflite in the making from another: tensors rescaled and refilled, by number."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema: Any = schema
        self.model = tflite.opened(path.read_bytes())
        self.graph = self.model.subgraphs[0]

    def activation(self, number: int, r: Range) -> None:
        self._scaled(number, [r.scale], r.zero_point)

    def layer(self, op: tflite.Op, layer: nn.Linear | nn.Conv1d, taken: Range) -> None:
        """Weights with a scale an output channel, biases on the accumulator's scale."""
        weight = layer.weight.detach()
        scales = s0_int8.weight_scale(weight, per_channel=True)
        integers = torch.round(weight / scales).to(torch.int8).numpy()
        if integers.ndim == 3:  # Conv1d (out, in, kernel) to Conv2D (out, 1, kernel, in)
            integers = integers.transpose(0, 2, 1)[:, None]
        each = scales.flatten().double().numpy()
        assert layer.bias is not None
        self._filled(op.inputs[1], integers, each, 0)
        bias = np.rint(layer.bias.detach().double().numpy() / (np.float64(np.float32(taken.scale)) * each))
        self._filled(op.inputs[2], bias.astype(np.int32), each * np.float64(np.float32(taken.scale)), 0)

    def _filled(self, number: int, values: np.ndarray, scales: np.ndarray, zero_point: int) -> None:
        tensor = self.graph.tensors[number]
        if list(tensor.shape) != list(values.shape):
            raise ModelError(f"the head's graph has weights of {list(tensor.shape)} where the network has {list(values.shape)}")
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.buffer = len(self.model.buffers) - 1
        self._scaled(number, scales.tolist(), zero_point)

    def _scaled(self, number: int, scales: list[float], zero_point: int) -> None:
        quantization = self.graph.tensors[number].quantization
        quantization.scale, quantization.zeroPoint = [float(np.float32(s)) for s in scales], [zero_point] * len(scales)
        quantization.min = quantization.max = None

    def finish(self, names: Mapping[int, str]) -> bytes:
        tflite.rename(self.model, names)
        return tflite.packed(self.model)
