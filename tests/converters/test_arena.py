"""The plan of a graph's memory: what lives at the same time never overlaps, and little is wasted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nociband_convert.operations.arena import ALIGN_BYTES, RENAMING, Arena, plan
from nociband_convert.tflite import Graph, Op, Tensor

KINDS = ("FULLY_CONNECTED", "ADD", "LOGISTIC", "RESHAPE", "CONCATENATION")
IN_PLACE = ("ADD", "LOGISTIC")


def tensor(size: int, dtype: str) -> Tensor:
    return Tensor("", (size,), dtype, (1.0,), (0,), None)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Chains with branches: each operation takes one or two of the tensors before it; the last ones are outputs."""
    dtype = draw(st.sampled_from(["int8", "int16"]))
    tensors = [tensor(draw(st.integers(1, 50)), dtype) for _ in range(draw(st.integers(1, 2)))]
    inputs = len(tensors)
    ops = []
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=25)):
        recent = st.integers(max(0, len(tensors) - 4), len(tensors) - 1)
        taken = [draw(recent) for _ in range(2 if kind in ("ADD", "CONCATENATION") else 1)]
        size = tensors[taken[0]].size if kind in (*RENAMING, *IN_PLACE) else draw(st.integers(1, 200))
        ops.append(Op(kind, tuple(taken), (len(tensors),)))
        tensors.append(tensor(size, dtype))
    outputs = draw(st.sets(st.integers(inputs, len(tensors) - 1), max_size=2)) | {len(tensors) - 1}
    return Graph("g", tuple(tensors), tuple(ops), {f"x{i}": i for i in range(inputs)}, {f"y{i}": i for i in outputs})


def spans(graph: Graph, arena: Arena, number: int) -> tuple[int, int]:
    begin = arena.offsets[arena.alias[number]]
    return begin, begin + graph.tensors[number].size


def run(graph: Graph, arena: Arena) -> list[tuple[int, int]]:
    """Execute on labels instead of values: (operation, input) pairs whose memory held something else than that tensor.

    A renamed tensor is the same value as the tensor that it renames.
    """
    memory: dict[tuple[str, int], int] = {}
    value = list(range(len(graph.tensors)))
    ends = {*graph.inputs.values(), *graph.outputs.values()}

    def cells(number: int) -> list[tuple[str, int]]:
        home = arena.alias[number]
        if home in ends:
            return [(f"caller's {home}", i) for i in range(graph.tensors[number].size)]
        begin, end = spans(graph, arena, number)
        assert end <= arena.size
        return [("arena", i) for i in range(begin, end)]

    def write(number: int) -> None:
        memory.update(dict.fromkeys(cells(number), value[number]))

    for number in graph.inputs.values():
        write(number)
    wrong = []
    for at, op in enumerate(graph.ops):
        wrong += [(at, x) for x in op.inputs if any(memory.get(c) != value[x] for c in cells(x))]
        y = op.outputs[0]
        if op.kind in RENAMING:
            value[y] = value[op.inputs[0]]
        elif op.kind not in IN_PLACE:
            wrong += [(at, y) for x in op.inputs if set(cells(x)) & set(cells(y))]
        write(y)
    return wrong + [(len(graph.ops), y) for y in graph.outputs.values() if any(memory.get(c) != value[y] for c in cells(y))]


@settings(max_examples=100, deadline=None)
@given(graph=graphs())
def test_every_value_is_there_when_it_is_read(graph: Graph) -> None:
    arena = plan(graph, IN_PLACE)
    assert run(graph, arena) == []
    assert all(arena.alias[number] == number for number in (*graph.inputs.values(), *graph.outputs.values()))


@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_size_lies_between_what_lives_together_and_the_sum(graph: Graph) -> None:
    arena = plan(graph, IN_PLACE)
    unit = ALIGN_BYTES // arena.item_bytes
    assert arena.bound <= arena.size <= sum(-(-t.size // unit) * unit for t in graph.tensors)
    assert all(offset % unit == 0 for offset in arena.offsets.values())
    assert arena.size_bytes == arena.size * (1 if graph.tensors[0].dtype == "int8" else 2)


def chain(*sizes: int, kind: str = "FULLY_CONNECTED") -> Graph:
    tensors = tuple(tensor(size, "int8") for size in sizes)
    ops = tuple(Op(kind, (i,), (i + 1,)) for i in range(len(sizes) - 1))
    return Graph("g", tensors, ops, {"x": 0}, {"y": len(sizes) - 1})


def test_a_chain_takes_two_neighbours() -> None:
    arena = plan(chain(640, 128, 128, 8, 128, 640))
    assert arena.size == arena.bound == 256


def test_a_chain_in_place_ends_in_the_callers_output() -> None:
    arena = plan(chain(64, 64, 64, 64, kind="LOGISTIC"), IN_PLACE)
    assert arena.size == 0
    assert arena.alias == {0: 0, 1: 3, 2: 3, 3: 3}


def test_scratch_lies_beside_what_lives() -> None:
    graph = chain(64, 100, 60, 64)
    arena = plan(graph, (), (0, 50, 0))
    begin = arena.scratch[1]
    assert arena.scratch.keys() == {1} and arena.size == arena.bound == 212
    for number in (1, 2):
        first, last = spans(graph, arena, number)
        assert begin + 50 <= first or last <= begin


def test_the_check_can_fail() -> None:
    graph = chain(64, 64, 64, 64)
    good = plan(graph)
    assert run(graph, good) == []
    assert run(graph, Arena(64, {1: 0, 2: 0}, good.alias, 64, 1)) != []
