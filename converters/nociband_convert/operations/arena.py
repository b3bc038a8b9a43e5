"""Where each intermediate tensor of a graph lies: offsets into one static array, shared by tensors that never live together.

From the GraphWriter. RESHAPE and its like move nothing, so their output is their input under another name; an operation that may
work in place does, when its input is not needed afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nociband_convert.tflite import Graph, Op

ALIGN_BYTES = 4
RENAMING = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})
"""Operations that change a tensor's shape and nothing else."""
_ITEM_BYTES = {"int8": 1, "int16": 2}


def renames(graph: Graph, op: Op) -> bool:
    """Whether `op` leaves the values as they are: another shape alone, or a requantisation to the scale that they have."""
    if op.kind != "QUANTIZE":
        return op.kind in RENAMING
    x, y = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    return (x.dtype, x.scales, x.zero_points) == (y.dtype, y.scales, y.zero_points)


@dataclass(frozen=True)
class Arena:
    """One array of the graph's activation type, aligned to 4 bytes: int16_t (scheme int16x8) or int8_t (int8).

    size: elements. offsets: first element, by tensor number. alias leads every tensor to the one that holds its values. bound:
    elements that live at the same time at the worst moment, which no plan can go below. scratch: first element of what an
    operation needs while it runs, by its place in the graph.
    """

    size: int
    offsets: Mapping[int, int]
    alias: Mapping[int, int]
    bound: int
    item_bytes: int
    scratch: Mapping[int, int] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """What it takes of RAM."""
        return self.size * self.item_bytes


@dataclass
class _Block:
    """A tensor that needs room, and all that it is alias of: written at operation `born`, read at `last`."""

    tensor: int
    size: int
    born: int
    last: int

    def beside(self, other: _Block) -> bool:
        return self.born <= other.last and other.born <= self.last


def plan(graph: Graph, in_place: Collection[str] = (), scratch: Sequence[int] = ()) -> Arena:
    """A plan for `graph`. in_place: kinds of operations whose output may lie where one of their inputs does, element by element.
    scratch: elements that each operation needs while it runs.

    Blocks are placed greedily at the lowest offset that is free while they live, in several orders; the smallest result is taken.
    """
    item = _ITEM_BYTES[next((graph.tensors[t].dtype for t in graph.activations), "int16")]
    alias = _aliases(graph, frozenset(in_place))
    unit = ALIGN_BYTES // item
    blocks = _blocks(graph, alias, unit)
    blocks += [_Block(-1 - at, -(-size // unit) * unit, at, at) for at, size in enumerate(scratch) if size]
    orders = (lambda b: (-b.size, b.born, b.tensor), lambda b: (b.born, -b.size, b.tensor),
              lambda b: (-b.size * (b.last - b.born + 1), b.tensor))
    best = min((_place(sorted(blocks, key=order)) for order in orders), key=lambda placed: placed[0])
    bound = max((sum(b.size for b in blocks if b.born <= at <= b.last) for at in range(len(graph.ops))), default=0)
    return Arena(best[0], {t: at for t, at in best[1].items() if t >= 0}, alias, bound, item,
                 {-1 - t: at for t, at in best[1].items() if t < 0})


def _aliases(graph: Graph, in_place: frozenset[str]) -> dict[int, int]:
    """Each tensor's home. The graph's inputs are never written, and its outputs are homes, for the caller owns both."""
    inputs, outputs = set(graph.inputs.values()), set(graph.outputs.values())
    last = _last_uses(graph)
    group = {i: i for i in range(len(graph.tensors))}
    members = {i: [i] for i in group}
    for at, op in enumerate(graph.ops):
        y = op.outputs[0]
        for x in op.inputs[:1] if renames(graph, op) else op.inputs if op.kind in in_place else ():
            if x < 0 or graph.tensors[x].data is not None or graph.tensors[x].variable or group[x] == group[y]:
                continue
            together = {*members[group[x]], *members[group[y]]}
            if len(together & (inputs | outputs)) > 1 or (not renames(graph, op) and not _may_overwrite(
                    graph, members[group[x]], y, inputs | outputs, last, at)):
                continue
            keep, drop = group[x], group[y]
            members[keep] += members.pop(drop)
            group |= dict.fromkeys(members[keep], keep)
            break
    homes = {keep: next((t for t in found if t in inputs | outputs), min(found)) for keep, found in members.items()}
    return {t: homes[keep] for t, keep in group.items()}


def _may_overwrite(graph: Graph, held: Iterable[int], y: int, ends: set[int], last: Mapping[int, int], at: int) -> bool:
    """Whether the memory that `held` share is not needed after operation `at`, and has the size of `y`."""
    same = all(graph.tensors[t].size == graph.tensors[y].size and graph.tensors[t].dtype == graph.tensors[y].dtype for t in held)
    return same and not ends & set(held) and all(last.get(t, -1) <= at for t in held)


def _last_uses(graph: Graph) -> dict[int, int]:
    return {t: at for at, op in enumerate(graph.ops) for t in op.inputs if t >= 0}


def _blocks(graph: Graph, alias: Mapping[int, int], unit: int) -> list[_Block]:
    elsewhere = {*graph.inputs.values(), *graph.outputs.values()}
    blocks: dict[int, _Block] = {}
    for at, op in enumerate(graph.ops):
        for t in (*op.inputs, *op.outputs):
            if t < 0 or graph.tensors[t].data is not None or graph.tensors[t].variable or alias[t] in elsewhere:
                continue
            size = -(-graph.tensors[t].size // unit) * unit
            blocks.setdefault(alias[t], _Block(alias[t], size, at, at)).last = at
    return list(blocks.values())


def _place(blocks: Iterable[_Block]) -> tuple[int, dict[int, int]]:
    placed: list[tuple[_Block, int]] = []
    for block in blocks:
        at = 0
        for begin, end in sorted((offset, offset + b.size) for b, offset in placed if b.beside(block)):
            if at + block.size <= begin:
                break
            at = max(at, end)
        placed.append((block, at))
    size = max((offset + b.size for b, offset in placed), default=0)
    return size, {b.tensor: offset for b, offset in placed}
