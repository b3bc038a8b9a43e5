"""Where each intermediate tensor of a graph lies: offsets into one static array, shared by tensors that never live together.

From to_c. RESHAPE moves nothing, so its output is its input under another name.
"""

from __future__ import annotations

from dataclasses import dataclass

from nociband_convert.tflite import Graph

_ALIGN = 2  # int16 elements: 4 bytes


@dataclass(frozen=True)
class Arena:
    """`offsets` in int16 elements by tensor number; `alias` leads every tensor to the one that holds its values."""

    size: int
    offsets: dict[int, int]
    alias: dict[int, int]


def plan(graph: Graph) -> Arena:
    """First fit in the order of definition, given when each tensor is written first and read last."""
    alias = {i: i for i in range(len(graph.tensors))}
    for op in graph.ops:
        if op.kind == "RESHAPE":
            alias[op.outputs[0]] = alias[op.inputs[0]]
    elsewhere = {*graph.inputs.values(), *graph.outputs.values()}
    born: dict[int, int] = {}
    last: dict[int, int] = {}
    for at, op in enumerate(graph.ops):
        for t in (*op.inputs, *op.outputs):
            if t < 0 or graph.tensors[t].data is not None or alias[t] in elsewhere:
                continue
            born.setdefault(alias[t], at)
            last[alias[t]] = at
    offsets: dict[int, int] = {}
    for t in born:
        beside = [o for o in offsets if last[o] >= born[t] and born[o] <= last[t]]
        taken = sorted((offsets[o], offsets[o] + graph.tensors[o].size) for o in beside)
        offsets[t] = _first_fit(taken, graph.tensors[t].size)
    size = max((offset + graph.tensors[t].size for t, offset in offsets.items()), default=0)
    return Arena(size, offsets, alias)


def _first_fit(taken: list[tuple[int, int]], size: int) -> int:
    at = 0
    for begin, end in taken:
        if at + size <= begin:
            break
        at = max(at, -(-end // _ALIGN) * _ALIGN)
    return at
