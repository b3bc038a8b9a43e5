"""How elements of tensors meet: shapes as few loops with steps, for the kernels that walk over several dimensions.

Used by elementwise and shape. Dimensions of one element vanish and neighbours that go on without a break merge, so that nearly
every broadcast, cut or reduction of a small model needs no more loops than the kernels have.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nociband_convert.operations.writer import GraphWriter

LOOPS = 3
"""Of nb_nn_pairs_t and nb_nn_block_t."""
REDUCED = 2
"""Loops of nb_nn_reduction_t, over what stays and over what is reduced."""


class Loop(NamedTuple):
    """So many `times`, moving on by a step in each of two tensors."""

    times: int
    first: int
    second: int


def merge(loops: Iterable[Loop]) -> list[Loop]:
    """The same loops (outer ones first) as fewer ones."""
    merged: list[Loop] = []
    for loop in loops:
        if loop.times == 1:
            continue
        outer = merged[-1] if merged else None
        if outer and outer.first == loop.times * loop.first and outer.second == loop.times * loop.second:
            merged[-1] = Loop(outer.times * loop.times, loop.first, loop.second)
        else:
            merged.append(loop)
    return merged


def strides(shape: Sequence[int]) -> list[int]:
    """Elements from one index to the next, for each dimension of a dense tensor."""
    return [math.prod(shape[i + 1:]) for i in range(len(shape))]


def columns(loops: Sequence[Loop], most: int) -> tuple[list[int], list[int], list[int]] | None:
    """Counts and steps of exactly `most` loops, or None when there are more."""
    if len(loops) > most:
        return None
    filled = [*[Loop(1, 0, 0)] * (most - len(loops)), *loops]
    return [v.times for v in filled], [v.first for v in filled], [v.second for v in filled]


def broadcast(a: Sequence[int], b: Sequence[int], y: Sequence[int]) -> tuple[list[int], list[int], list[int]] | None:
    """A nb_nn_pairs_t of shapes `a` and `b` together; None when they do not make `y`, or need too many loops."""
    rank = max(len(a), len(b))
    shapes = [(1,) * (rank - len(s)) + tuple(s) for s in (a, b)]
    pairs = list(zip(*shapes, strict=True))
    if tuple(y) != tuple(map(max, pairs)) or any(m != n and min(m, n) != 1 for m, n in pairs):
        return None
    steps = zip(*[[0 if n == 1 else s for n, s in zip(shape, strides(shape), strict=True)] for shape in shapes], strict=True)
    return columns(merge(Loop(n, *step) for n, step in zip(y, steps, strict=True)), LOOPS)


def suffix(w: GraphWriter) -> str:
    """What the names of the scheme's kernels end in."""
    return "s8" if w.dtype == "int8" else "s16"


def c_struct(w: GraphWriter, kind: str, suffix: str, fields: object) -> str:
    """The address of a new constant of a struct type; nested tuples and lists are nested structs and arrays."""
    name = f"{w.name}_{len(w.calls)}_{suffix}"
    w.constants.append(f"static const {kind} {name} = {_braces(fields)};")
    return f"&{name}"


def _braces(fields: object) -> str:
    return f"{{{', '.join(map(_braces, fields))}}}" if isinstance(fields, list | tuple) else str(fields)
