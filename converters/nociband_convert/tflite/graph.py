"""A .tflite as plain objects: tensors, operations, a graph.

Made by tflite.read; from there to to_c and all that looks at a model's layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nociband.errors import ModelError

SCHEMES = {"int16": "int16x8", "int8": "int8"}
"""The activations' dtype to the scheme's name."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """`scales` one a channel (empty without quantisation), `zero_points` as many; `data` the constant's values, None for an
    activation. `variable`: a state that an operation keeps from call to call (an LSTM's h and c). `axis`: the dimension that
    several scales belong to.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    data: np.ndarray | None
    variable: bool = False
    axis: int = 0

    @property
    def scale(self) -> float:
        """The step of a tensor with one scale, exactly as its float32 is."""
        return self.scales[0]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Op:
    """One operation: tensor numbers in and out (-1 for an input left out) and the options of the schema. `intermediates` are
    tensors that only tell the scales of values inside the operation (an LSTM's)."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any = None
    intermediates: tuple[int, ...] = ()


@dataclass(frozen=True)
class Graph:
    """A whole file. `inputs` and `outputs` map names to tensor numbers."""

    name: str
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, int] = field(default_factory=dict)

    def producer(self, tensor: int) -> Op | None:
        """The operation whose output `tensor` is."""
        return next((op for op in self.ops if tensor in op.outputs), None)

    @property
    def activations(self) -> tuple[int, ...]:
        """Numbers of the tensors that pass between operations, and in and out: no constants, states or intermediates."""
        used = used_tensors(self.ops, self.inputs.values(), self.outputs.values())
        return tuple(t for t in sorted(used) if self.tensors[t].data is None and not self.tensors[t].variable)

    @property
    def scheme(self) -> str:
        """"int16x8" or "int8", by the activations' dtype. Raises ModelError for a mixture, which no scheme has."""
        dtypes = {self.tensors[t].dtype for t in self.activations}
        if len(dtypes) != 1 or not dtypes <= SCHEMES.keys():
            raise ModelError(f"{self.name}: its activations are {' and '.join(sorted(dtypes))}; quantise all of them to int16 "
                             "(scheme int16x8) or all to int8 (scheme int8)")
        return SCHEMES[dtypes.pop()]


def used_tensors(ops: Iterable[Op], *ends: Iterable[int]) -> set[int]:
    """Numbers of the tensors that operations take or make, or that stand in one of `ends` (the graph's inputs and outputs)."""
    taken = {t for op in ops for t in op.inputs} - {-1}
    return {*taken, *(t for op in ops for t in op.outputs), *(t for end in ends for t in end)}
