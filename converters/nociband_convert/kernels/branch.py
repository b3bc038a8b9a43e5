"""Finds S0's attention in the head's graph, and writes a branch (LSTM, attention, mean and maximum over time) for nb_nn_branch.

From tflite to to_c. What is found leaves the head: the rest of it begins at each branch's mean and maximum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nociband.errors import ModelError
from nociband_convert.arithmetic import quantise
from nociband_convert.c_text import c_array, c_scale
from nociband_convert.graphs import lstm
from nociband_convert.kernels import assembly_attention, lstm_kernel
from nociband_convert.kernels.lstm_kernel import Kernel, Packing
from nociband_convert.tflite import Graph, Op

ROWS = 8                   # NB_NN_BRANCH_ROWS
KERNEL_MAX = 2 * ROWS - 3  # half of it lies ahead; the two steps that are weighted then must still be among the rows
_HIGH_HALF = 16  # of the convolution's shift, which comes with the multiplication


@dataclass(frozen=True, eq=False)
class Attention:
    """`taps` int16 (kernel, 2) for maximum and mean; `mean` and `largest` are tensor numbers, `ops` what computes them."""

    taps: np.ndarray
    bias: int
    convolution: quantise.Channel
    over_channels: quantise.Scale
    gate_scale: float
    over_time: quantise.Scale
    mean: int
    largest: int
    ops: tuple[Op, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates a step."""
        return self.taps.size


def find_attention(graph: Graph, hidden: str) -> Attention:
    """The attention over the input `hidden`. Raises ModelError when the head does something else with it."""
    try:
        return _Finder(graph, hidden).attention()
    except (IndexError, KeyError, TypeError, ValueError) as e:
        raise ModelError(f"{graph.name}: no attention as S0 has it over {hidden} ({e}); convert the model again") from e


class _Finder:
    """Walks from a branch's hidden sequence (1, T, H) to its mean and maximum over time."""

    def __init__(self, graph: Graph, hidden: str) -> None:
        self._graph = graph
        self._start = graph.inputs[hidden]
        self._scale = graph.tensors[self._start].scale
        self._ops: list[Op] = []

    def attention(self) -> Attention:
        """Follow the graph."""
        _, frames, units = self._graph.tensors[self._start].shape
        by_channel = {op.kind: op for op in self._users(self._start) if op.kind != "MUL"}
        maximum, mean = by_channel["REDUCE_MAX"], by_channel["MEAN"]
        self._reduces(maximum, 2, 1)
        self._reduces(mean, 2, 1)
        join = self._then(mean.outputs[0], "CONCATENATION")
        if list(join.inputs)[0] != maximum.outputs[0]:
            raise ValueError("maximum and mean are joined in another order")
        convolution = self._then(join.outputs[0], "CONV_2D")
        logistic = self._then(convolution.outputs[0], "LOGISTIC")
        product = self._then(logistic.outputs[0], "MUL")
        if self._start not in product.inputs:
            raise ValueError("what is weighted is not the hidden sequence")
        if frames % 2:
            raise ValueError(f"{frames} frames; the kernels take an even number")
        pooled = {op.kind: op for op in self._users(product.outputs[0])}
        largest, over_time = pooled["REDUCE_MAX"], pooled["MEAN"]
        self._reduces(largest, 1, 1)
        self._reduces(over_time, 1, 1)
        self._ops += [maximum, mean, product, largest, over_time]
        self._on_one_scale(maximum, join, product, largest)
        weight_scale = self._graph.tensors[logistic.outputs[0]].scale
        if quantise.mul(self._scale, weight_scale, self._scale) != quantise.Scale(1 << 30, -14):
            raise ValueError("weights are not in steps of 2^-15")
        taps, bias, channel = self._convolution(convolution)
        over_channels = quantise.mean(self._scale, self._step(mean), units)
        if over_channels.shift >= 0:
            raise ValueError("the mean over channels is on a finer scale than h")
        return Attention(taps, bias, channel, over_channels, self._step(convolution),
                         quantise.mean(self._scale, self._step(over_time), frames),
                         over_time.outputs[0], largest.outputs[0], tuple(self._ops))

    def _step(self, op: Op) -> float:
        return self._graph.tensors[op.outputs[0]].scale

    def _users(self, tensor: int) -> list[Op]:
        return [op for op in self._graph.ops if tensor in op.inputs]

    def _then(self, tensor: int, kind: str) -> Op:
        """The one operation of `kind` that takes `tensor`, through reshapes and requantisations that change nothing."""
        users = self._users(tensor)
        if len(users) != 1:
            raise ValueError(f"{len(users)} operations where {kind} belongs")
        op = users[0]
        self._ops.append(op)
        if op.kind == kind:
            return op
        if op.kind not in ("RESHAPE", "QUANTIZE") or self._step(op) != self._graph.tensors[tensor].scale:
            raise ValueError(f"{op.kind} where {kind} belongs")
        return self._then(op.outputs[0], kind)

    def _reduces(self, op: Op, axis: int, count: int) -> None:
        stored = self._graph.tensors[op.inputs[1]].data
        dimensions = len(self._graph.tensors[op.inputs[0]].shape)
        if stored is None or stored.size != count or int(stored.reshape(-1)[0]) % dimensions != axis:
            raise ValueError(f"{op.kind} is over another axis")

    def _on_one_scale(self, *ops: Op) -> None:
        if {self._step(op) for op in ops} != {self._scale}:
            raise ValueError("what is h, or weighted h, is on several scales")

    def _convolution(self, op: Op) -> tuple[np.ndarray, int, quantise.Channel]:
        x, w, b = (self._graph.tensors[t] for t in op.inputs)
        o = op.options
        if w.data is None or b.data is None or (o.padding, o.strideW, o.dilationWFactor) != (0, 1, 1):
            raise ValueError("the convolution is not 'same'-padded with stride 1")
        taps = w.data.reshape(-1, 2).astype(np.int64)
        bias = int(b.data.reshape(-1)[0])
        if w.data.shape[0] != 1 or taps.shape[0] % 2 == 0 or o.fusedActivationFunction:
            raise ValueError("the convolution is not to one channel with an odd kernel")
        if len(taps) > KERNEL_MAX:
            raise ValueError(f"a convolution of {len(taps)} steps; the kernels keep states for {KERNEL_MAX} at most")
        largest = int(np.abs(taps).sum()) * quantise.INT16_MAX_MAGNITUDE + abs(bias)
        channel = quantise.conv_channel(x.scale, w.scales[0], self._step(op), largest)
        if channel.right <= _HIGH_HALF:
            raise ValueError("the convolution's weights are too large for its output's scale")
        return taps, bias, channel


def remainder(head: Graph, found: Mapping[str, Attention]) -> Graph:
    """The head without the attentions, its inputs `<branch>_mean` and `<branch>_largest`."""
    done = {id(op) for attention in found.values() for op in attention.ops}
    inputs = {f"{b}_{what}": getattr(a, what) for b, a in found.items() for what in ("mean", "largest")}
    return replace(head, ops=tuple(op for op in head.ops if id(op) not in done), inputs=inputs)


# --- as C ----------------------------------------------------------------------------------------------------------------


def constants(name: str, kernel: Kernel, attention: Attention, packing: Packing, scales: Sequence[float]) -> list[str]:
    """The constants of a branch as C: `<name>_branch` and what it points to. `scales` as in lstm_kernel.constants."""
    a = attention
    fields = {
        "taps": f"{name}_taps", "sigmoid": lstm_kernel.sigmoid(a.gate_scale, scales), "bias": a.bias,
        "convolution": c_scale(a.convolution), "mean": c_scale(a.over_channels), "kernel": len(a.taps),
    }
    body = "\n".join(f"    .{k} = {v}," for k, v in fields.items())
    parts = _functions(name, kernel, attention, packing)
    return [
        *lstm_kernel.constants(name, kernel, packing, scales), _either(parts),
        c_array(f"int16_t {name}_taps[][2] __attribute__((aligned(4)))", (f"{{{x}, {m}}}" for x, m in a.taps.tolist())),
        f"static const nb_nn_attention_t {name}_attention = {{\n{body}\n}};",
        f"static const nb_nn_branch_t {name}_branch = {{\n    .lstm = &{name}_lstm,\n    .attention = &{name}_attention,\n"
        + "".join(f"    .{part} = {name}_{part},\n" for part in parts)
        + f"    .over_time = {c_scale(a.over_time)},\n    .frames = NB_WINDOW_FRAMES,\n    .channels = {kernel.inputs},\n}};",
    ]


def _functions(name: str, kernel: Kernel, attention: Attention, packing: Packing) -> dict[str, tuple[str, str, str]]:
    """Part of the branch -> its function, the assembly of it, and its readable form in nb_nn."""
    a = assembly_attention.Attention(kernel.units, len(attention.taps), attention.over_channels, attention.convolution)
    return {
        "step": (f"{name}_step", lstm_kernel.step_function(f"{name}_step", kernel, packing), "nb_nn_lstm_step"),
        "pool": (f"{name}_pool", assembly_attention.pool(f"{name}_pool", a), "nb_nn_pool"),
        "weight": (f"{name}_weight", assembly_attention.weight(f"{name}_weight", a), "nb_nn_weight"),
        "gather": (f"{name}_gather", assembly_attention.gather(f"{name}_gather", a), "nb_nn_gather"),
    }


def _either(parts: Mapping[str, tuple[str, str, str]]) -> str:
    """C that takes the assembly where the processor has its instructions, the readable forms elsewhere."""
    assembled = "\n".join(f"{readable}_t {name};\n{text}" for name, text, readable in parts.values())
    readable = "\n".join(f"#define {name} {form}" for name, _, form in parts.values())
    return f"#if NB_NN_DSP\n{assembled}\n#else\n{readable}\n#endif"


def memory(kernels: Sequence[Kernel], attentions: Sequence[Attention]) -> tuple[str, int]:
    """C of what the branches work in, one after the other (`memory`), and its bytes, without the frames' part."""
    rows = max((ROWS + 1) * k.row for k in kernels)
    units, taps = max(k.units for k in kernels), max(len(a.taps) for a in attentions)
    text = (f"static int16_t rows[{rows}] __attribute__((aligned(4)));\n"
            f"static int16_t pooled[NB_WINDOW_FRAMES + {taps - 1}][2] __attribute__((aligned(4)));\n"
            f"static int32_t sum[{units}];\nstatic const nb_nn_branch_memory_t memory = {{rows, pooled, sum}};")
    return text, 2 * rows + 4 * (taps - 1) + 4 * units


def find(graphs: Mapping[str, Graph], branches: Sequence[str]) -> tuple[dict[str, Kernel], dict[str, Attention]]:
    """The kernels and attentions of a model's branches. Raises ModelError."""
    kernels = {b: lstm_kernel.read(lstm.find(graphs[b])) for b in branches}
    attentions = {b: find_attention(graphs["head"], f"hs_{b}") for b in branches}
    if not {a.gate_scale for a in attentions.values()} <= {k.gate_scale for k in kernels.values()}:
        raise ModelError("head: an attention's sums are on another scale than the gates', whose tables it takes; convert the "
                         "model again")
    return kernels, attentions
