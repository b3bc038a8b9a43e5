"""One graph as a C function: each operation becomes a call into nb_nn, its constants static arrays.

Used by to_c. What is common to all operations is here; matrix, elementwise and shape have a function for each kind, which
refuses, with ModelError, the forms of it that nb_nn does not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from nociband.errors import ModelError
from nociband_convert.arithmetic import quantise
from nociband_convert.c_text import c_array, c_scale
from nociband_convert.operations.arena import plan
from nociband_convert.tflite import MALFORMED, Graph, Op, Tensor

_Writer = TypeVar("_Writer", bound="Callable[[GraphWriter, Op], None]")
_WRITERS: dict[str, Callable[[GraphWriter, Op], None]] = {}
_IN_PLACE: set[str] = set()
_SCRATCH: dict[str, Callable[[Graph, Op], int]] = {}
_RANGES = {"int8": (-128, 127), "int16": (-32768, 32767)}
_CLAMPS: dict[int, tuple[float | None, float | None]] = {0: (None, None), 1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
"""By ActivationFunctionType: NONE, RELU, RELU_N1_TO_1, RELU6."""


def writes(kind: str, in_place: bool = False, scratch: Callable[[Graph, Op], int] | None = None) -> Callable[[_Writer], _Writer]:
    """Marks the function that writes the operations of a kind. in_place: its kernel's output may be any of its inputs.

    scratch: how many elements the kernel needs while it runs; GraphWriter.scratch says where they are.
    """
    def register(function: _Writer) -> _Writer:
        _WRITERS[kind] = function
        if in_place:
            _IN_PLACE.add(kind)
        if scratch is not None:
            _SCRATCH[kind] = scratch
        return function
    return register


def _stands_for(value: float, tensor: Tensor) -> int:
    steps = float(np.float32(value) / np.float32(tensor.scale))
    return tensor.zero_points[0] + int(math.copysign(math.floor(abs(steps) + 0.5), steps))


class GraphWriter:
    """Writes `graph`, of either scheme, as `static void <name>(...)`.

    `constants` and `calls` are lines of C, `parameters` the signature: the graph's inputs and outputs by name, as pointers to
    `element` (int16_t or int8_t). `arena` says what the function needs beside them: a static array `arena` of `arena.size`
    elements, aligned to 4 bytes, which functions that do not run at the same time may share; `static_bytes` of RAM are its own.
    `macs`: multiply-accumulates.
    """

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
        self.scheme = graph.scheme
        self.dtype = "int8" if self.scheme == "int8" else "int16"
        self.element = f"{self.dtype}_t"
        self.arena = plan(graph, _IN_PLACE, [_SCRATCH[op.kind](graph, op) if op.kind in _SCRATCH else 0 for op in graph.ops])
        self.constants: list[str] = []
        self.calls: list[str] = []
        self.macs = 0
        self.static_bytes = 0
        self._signature = ", ".join(f"{'const ' if p in graph.inputs else ''}{self.element} *{p}" for p in parameters)
        for self._number, op in enumerate(graph.ops):
            self._write(op)

    @property
    def prototype(self) -> str:
        """The C function's type, name and parameters."""
        return f"void {self.name}({self._signature})"

    def function(self, storage: str = "static ") -> str:
        """The C function."""
        read = {t for op in self.graph.ops for t in op.inputs}
        unused = [f"(void){name}" for name, number in self.graph.inputs.items() if number not in read]
        body = "\n".join(f"    {call};" for call in (*unused, *self.calls))
        return f"{storage}{self.prototype}\n{{\n{body}\n}}"

    def _write(self, op: Op) -> None:
        if op.kind not in _WRITERS:
            known = ", ".join(sorted(_WRITERS))
            raise ModelError(f"{self.graph.name}: the operation {op.kind} is not supported; supported are {known}")
        _WRITERS[op.kind](self, op)

    # --- for the functions that write operations ---------------------------------------------------------------------

    def ends(self, op: Op) -> tuple[Tensor, Tensor]:
        """The first input and the first output."""
        return self.graph.tensors[op.inputs[0]], self.graph.tensors[op.outputs[0]]

    def at(self, tensor: int) -> str:
        """The C expression that points to an activation."""
        home = self.arena.alias[tensor]
        for name, number in (*self.graph.inputs.items(), *self.graph.outputs.items()):
            if number == home:
                return name
        if home not in self.arena.offsets:
            raise ModelError(f"{self.graph.name}: {self.graph.tensors[home].name} is a constant where an activation belongs")
        return f"arena + {self.arena.offsets[home]}"

    def scratch(self) -> str:
        """The C expression that points to the scratch memory of the operation being written."""
        offset = self.arena.scratch.get(self._number)
        return "NULL" if offset is None else f"arena + {offset}"

    def constant(self, kind: str, suffix: str, values: Iterable[object]) -> str:
        """The name of a new constant array."""
        name = f"{self.name}_{len(self.calls)}_{suffix}"
        self.constants.append(c_array(f"{kind} {name}[]", values))
        return name

    def scale(self, scale: quantise.Scale) -> str:
        """The address of a new nb_nn_scale_t."""
        name = f"{self.name}_{len(self.calls)}_scale"
        self.constants.append(f"static const nb_nn_scale_t {name} = {c_scale(scale)};")
        return f"&{name}"

    def struct(self, kind: str, suffix: str, **members: object) -> str:
        """The address of a new constant of the struct `kind`."""
        name = f"{self.name}_{len(self.calls)}_{suffix}"
        lines = "\n".join(f"    .{member} = {value}," for member, value in members.items())
        self.constants.append(f"static const {kind} {name} = {{\n{lines}\n}};")
        return f"&{name}"

    def require(self, op: Op, holds: bool, what: str) -> None:
        """Refuse the operation, which `what` (a predicate: "has ..."), unless it `holds`."""
        if not holds:
            raise ModelError(f"{self.graph.name}: {op.kind} {what}, which the band's kernels do not have")

    def makes(self, op: Op, size: int) -> None:
        """Refuse an output of another size: the kernel writes `size` elements."""
        self.require(op, self.graph.tensors[op.outputs[0]].size == size, f"has an output that is not of {size} elements")

    def activation_range(self, op: Op) -> tuple[int, int]:
        """The least and the greatest value of the output, its fused activation considered, as LiteRT computes them in float32."""
        function = getattr(op.options, "fusedActivationFunction", 0)
        self.require(op, function in _CLAMPS, f"has the fused activation {function}")
        return self.clamp(op, *_CLAMPS[function])

    def clamp(self, op: Op, low: float | None, high: float | None) -> tuple[int, int]:
        """The numbers of the output's dtype that stand for `low` and `high` (None: its own limits)."""
        y = self.graph.tensors[op.outputs[0]]
        least, greatest = _RANGES[self.dtype]
        if low is not None:
            least = min(max(least, _stands_for(low, y)), greatest)
        if high is not None:
            greatest = max(min(greatest, _stands_for(high, y)), least)
        return least, greatest

    def no_activation(self, op: Op) -> None:
        """Refuse a fused activation."""
        self.require(op, getattr(op.options, "fusedActivationFunction", 0) == 0, "has a fused activation")

    def stored(self, op: Op, at: int, dtype: str) -> np.ndarray:
        """The values of a constant input."""
        tensor = self.graph.tensors[op.inputs[at]]
        if tensor.data is None or tensor.dtype != dtype:
            raise ModelError(f"{self.graph.name}: {op.kind} takes {tensor.name} ({tensor.dtype}) where a stored {dtype} belongs")
        return tensor.data
