"""One graph as a C function: each operation becomes a call into nb_nn, its constants static arrays.

Used by to_c. A method a kind of operation; each refuses, with ModelError, the forms of it that nb_nn does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from nociband.errors import ModelError
from nociband_convert import quantise
from nociband_convert.arena import plan
from nociband_convert.tflite import MALFORMED, Graph, Op, Tensor

_WIDTH = 118


def c_array(declaration: str, values: Iterable[object]) -> str:
    """`static const <declaration> = {values};`, wrapped."""
    lines, line = [], "   "
    for v in values:
        item = f" {v},"
        if len(line) + len(item) > _WIDTH:
            lines.append(line)
            line = "   "
        line += item
    return "\n".join([f"static const {declaration} = {{", *lines, line, "};"])


def c_scale(scale: tuple[int, int]) -> str:
    """A nb_nn_scale_t or nb_nn_channel_t."""
    return f"{{{scale[0]}, {scale[1]}}}"


class GraphWriter:
    """Writes `graph` as `static void <name>(...)`: `constants` and `calls` are lines of C, `parameters` the signature."""

    def __init__(self, name: str, graph: Graph, parameters: Sequence[str]) -> None:
        try:
            self._begin(name, graph, parameters)
        except MALFORMED as e:
            raise ModelError(f"{graph.name} is damaged ({type(e).__name__}: {e}); convert the model again") from e

    def _begin(self, name: str, graph: Graph, parameters: Sequence[str]) -> None:
        given = {*graph.inputs, *graph.outputs}
        if given != set(parameters):
            raise ModelError(f"{graph.name}: its inputs and outputs are {sorted(given)}, where {sorted(parameters)} belong")
        self.name, self.graph = name, graph
        self.arena = plan(graph)
        self.constants: list[str] = []
        self.calls: list[str] = []
        self.macs = 0
        self._signature = ", ".join(f"{'const ' if p in graph.inputs else ''}int16_t *{p}" for p in parameters)
        for op in graph.ops:
            getattr(self, f"_{op.kind.lower()}")(op)

    def function(self) -> str:
        """The C function."""
        body = "\n".join(f"    {call};" for call in self.calls)
        return f"static void {self.name}({self._signature})\n{{\n{body}\n}}"

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _tensors(self, op: Op) -> tuple[Tensor, Tensor]:
        return self.graph.tensors[op.inputs[0]], self.graph.tensors[op.outputs[0]]

    def _at(self, tensor: int) -> str:
        home = self.arena.alias[tensor]
        for name, number in (*self.graph.inputs.items(), *self.graph.outputs.items()):
            if number == home:
                return name
        if home not in self.arena.offsets:
            raise ModelError(f"{self.graph.name}: {self.graph.tensors[home].name} is a constant where an activation belongs")
        return f"arena + {self.arena.offsets[home]}"

    def _constant(self, kind: str, suffix: str, values: Iterable[object]) -> str:
        name = f"{self.name}_{len(self.calls)}_{suffix}"
        self.constants.append(c_array(f"{kind} {name}[]", values))
        return name

    def _scale(self, scale: quantise.Scale) -> str:
        name = f"{self.name}_{len(self.calls)}_scale"
        self.constants.append(f"static const nb_nn_scale_t {name} = {c_scale(scale)};")
        return f"&{name}"

    def _require(self, op: Op, holds: bool, what: str) -> None:
        if not holds:
            raise ModelError(f"{self.graph.name}: {op.kind} {what}, which the band's kernels do not have")

    def _makes(self, op: Op, size: int) -> None:
        """Refuse an output of another size: the kernel writes `size` elements."""
        self._require(op, self.graph.tensors[op.outputs[0]].size == size, f"has an output that is not of {size} elements")

    def _no_activation(self, op: Op) -> None:
        self._require(op, getattr(op.options, "fusedActivationFunction", 0) == 0, "has a fused activation")

    # --- operations ------------------------------------------------------------------------------------------------

    def _stored(self, op: Op, at: int, dtype: str) -> np.ndarray:
        """The values of a constant input."""
        tensor = self.graph.tensors[op.inputs[at]]
        if tensor.data is None or tensor.dtype != dtype:
            raise ModelError(f"{self.graph.name}: {op.kind} takes {tensor.name} ({tensor.dtype}) where a stored {dtype} belongs")
        return tensor.data

    def _matrix(self, op: Op, weights: np.ndarray, scaled: Callable[[float, float, float, int], quantise.Channel]) -> str:
        """Constants of a layer, `weights` being (outputs, products each); returns "weights, biases, channels" as arguments."""
        x, y = self._tensors(op)
        given = self.graph.tensors[op.inputs[1]].scales
        has_bias = len(op.inputs) > 2 and op.inputs[2] >= 0
        bias = self._stored(op, 2, "int64") if has_bias else np.zeros(len(weights), np.int64)
        scales = given if len(given) == len(weights) else given * len(weights)
        largest = np.abs(weights.astype(np.int64)).sum(1) * quantise.INT16_MAX_MAGNITUDE + np.abs(bias)
        channels = [scaled(x.scale, s, y.scale, int(m)) for s, m in zip(scales, largest, strict=True)]
        return ", ".join((self._constant("int8_t", "w", weights.reshape(-1).tolist()),
                          self._constant("int32_t", "bias", bias.tolist()),
                          self._constant("nb_nn_channel_t", "channel", map(c_scale, channels))))

    def _fully_connected(self, op: Op) -> None:
        self._no_activation(op)
        x, y = self._tensors(op)
        weights = self._stored(op, 1, "int8")
        self._require(op, x.size == weights.shape[1], "works on more than one row")
        self._makes(op, len(weights))
        constants = self._matrix(op, weights, quantise.channel)
        self.macs += weights.size
        self.calls.append(f"nb_nn_fully_connected({self._at(op.inputs[0])}, {x.size}, {constants}, {y.size}, "
                          f"{self._at(op.outputs[0])})")

    def _conv_2d(self, op: Op) -> None:
        self._no_activation(op)
        x, _ = self._tensors(op)
        o, weights = op.options, self._stored(op, 1, "int8")
        plain = (o.padding, o.strideH, o.strideW, o.dilationHFactor, o.dilationWFactor) == (0, 1, 1, 1, 1)
        self._require(op, plain, "is not 'same'-padded with stride and dilation 1")
        fits = len(x.shape) == 4 and x.shape[:2] == (1, 1) and weights.shape[1] == 1 and weights.shape[2] % 2 == 1
        self._require(op, fits, "is not over one dimension with an odd kernel")
        outputs, _, kernel, channels = weights.shape
        self._require(op, channels == x.shape[3], "has weights for another number of channels")
        self._makes(op, x.shape[2] * outputs)
        w, rest = self._matrix(op, weights.reshape(outputs, -1), quantise.conv_channel).split(", ", 1)
        self.macs += weights.size * x.shape[2]
        self.calls.append(f"nb_nn_conv({self._at(op.inputs[0])}, {x.shape[2]}, {channels}, {w}, {kernel}, {rest}, {outputs}, "
                          f"{self._at(op.outputs[0])})")

    def _table(self, op: Op, kernel: str) -> None:
        x, y = self._tensors(op)
        self._require(op, y.scale == 2.0**-15, f"has an output step of {y.scale}, not 2^-15")
        self._makes(op, x.size)
        multiplier, right = quantise.table_input(x.scale)
        self.calls.append(f"{kernel}({self._at(op.inputs[0])}, {x.size}, {multiplier}, {right}, {self._at(op.outputs[0])})")

    def _logistic(self, op: Op) -> None:
        self._table(op, "nb_nn_logistic")

    def _tanh(self, op: Op) -> None:
        self._table(op, "nb_nn_tanh")

    def _mul(self, op: Op) -> None:
        self._no_activation(op)
        first, second = op.inputs
        if self.graph.tensors[first].size < self.graph.tensors[second].size:
            first, second = second, first
        a, b, y = (self.graph.tensors[t] for t in (first, second, op.outputs[0]))
        self._makes(op, a.size)
        scale = self._scale(quantise.mul(a.scale, b.scale, y.scale))
        if a.shape == b.shape:
            call = f"nb_nn_mul({self._at(first)}, {self._at(second)}, {a.size}, {scale}, {self._at(op.outputs[0])})"
        else:
            self._require(op, b.shape == (*a.shape[:-1], 1), f"multiplies {a.shape} by {b.shape}")
            call = (f"nb_nn_mul_rows({self._at(first)}, {b.size}, {a.shape[-1]}, {self._at(second)}, {scale}, "
                    f"{self._at(op.outputs[0])})")
        self.calls.append(call)

    def _add(self, op: Op) -> None:
        self._no_activation(op)
        a, b, y = (self.graph.tensors[t] for t in (*op.inputs, op.outputs[0]))
        self._require(op, a.shape == b.shape, f"adds {a.shape} and {b.shape}")
        self._makes(op, a.size)
        self._require(op, not op.options.potScaleInt16, "scales by powers of two only (an old form)")
        name = f"{self.name}_{len(self.calls)}_add"
        parts = ", ".join(map(c_scale, quantise.add(a.scale, b.scale, y.scale)))
        self.constants.append(f"static const nb_nn_add_t {name} = {{{parts}}};")
        self.calls.append(f"nb_nn_add({self._at(op.inputs[0])}, {self._at(op.inputs[1])}, {a.size}, &{name}, "
                          f"{self._at(op.outputs[0])})")

    def _quantize(self, op: Op) -> None:
        x, y = self._tensors(op)
        self._makes(op, x.size)
        scale = self._scale(quantise.requantise(x.scale, y.scale))
        self.calls.append(f"nb_nn_requantise({self._at(op.inputs[0])}, {x.size}, {scale}, {self._at(op.outputs[0])})")

    def _reduced(self, op: Op) -> tuple[int, int, int]:
        shape, axis = self.graph.tensors[op.inputs[0]].shape, self._stored(op, 1, "int32")
        self._require(op, axis.size == 1, "reduces over several dimensions")
        at = int(axis.reshape(-1)[0]) % len(shape)
        outer, inner = int(np.prod(shape[:at])), int(np.prod(shape[at + 1:]))
        self._makes(op, outer * inner)
        return outer, shape[at], inner

    def _mean(self, op: Op) -> None:
        x, y = self._tensors(op)
        outer, count, inner = self._reduced(op)
        scale = self._scale(quantise.mean(x.scale, y.scale, count))
        self.calls.append(f"nb_nn_mean({self._at(op.inputs[0])}, {outer}, {count}, {inner}, {scale}, {self._at(op.outputs[0])})")

    def _reduce_max(self, op: Op) -> None:
        x, y = self._tensors(op)
        self._require(op, x.scale == y.scale, "changes the scale")
        outer, count, inner = self._reduced(op)
        self.calls.append(f"nb_nn_reduce_max({self._at(op.inputs[0])}, {outer}, {count}, {inner}, {self._at(op.outputs[0])})")

    def _concatenation(self, op: Op) -> None:
        self._no_activation(op)
        parts, y = [self.graph.tensors[t] for t in op.inputs], self.graph.tensors[op.outputs[0]]
        self._require(op, len(parts) == 2 and op.options.axis % len(y.shape) == len(y.shape) - 1,
                      "joins more than two tensors, or not along the last dimension")
        self._require(op, all(p.scale == y.scale for p in parts), "joins tensors of different scales")
        a, b = parts
        self._require(op, a.shape[:-1] == b.shape[:-1], f"joins {a.shape} and {b.shape}")
        self._makes(op, a.size + b.size)
        self.calls.append(f"nb_nn_concatenate({self._at(op.inputs[0])}, {a.shape[-1]}, {self._at(op.inputs[1])}, {b.shape[-1]}, "
                          f"{y.size // y.shape[-1]}, {self._at(op.outputs[0])})")

    def _reshape(self, op: Op) -> None:
        self._makes(op, self.graph.tensors[op.inputs[0]].size)
        self._require(op, op.outputs[0] not in self.graph.outputs.values(), "makes an output of the graph")
