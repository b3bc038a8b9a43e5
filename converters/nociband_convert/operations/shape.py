"""What reduces, joins, cuts or renames: MEAN, REDUCE_MAX, CONCATENATION, SLICE, STRIDED_SLICE, PAD, RESHAPE and its like."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nociband.errors import ModelError
from nociband_convert.arithmetic import quantise
from nociband_convert.operations.blocks import LOOPS, REDUCED, Loop, c_struct, columns, merge, strides, suffix
from nociband_convert.operations.writer import GraphWriter, writes
from nociband_convert.tflite import Op, Tensor

# --- reductions -----------------------------------------------------------------------------------------------------------


def _reduction(w: GraphWriter, op: Op) -> tuple[str, int]:
    """The address of a nb_nn_reduction_t, and how many elements become one."""
    x, y = w.ends(op)
    rank = len(x.shape)
    given = [int(a) for a in _numbers(w, op, 1)]
    w.require(op, all(-rank <= a < rank for a in given), f"reduces the dimensions {given} of {x.shape}")
    axes = {a % rank for a in given}
    rest = [n if keep else 1 for i, n in enumerate(x.shape) if (keep := i not in axes) or op.options.keepDims]
    w.require(op, tuple(rest) == y.shape, f"has an output of {y.shape} where {tuple(rest)} belongs")
    loops = [(i in axes, Loop(n, s, s)) for i, (n, s) in enumerate(zip(x.shape, strides(x.shape), strict=True))]
    kept, reduced = (columns(merge(loop for inside, loop in loops if inside == which), REDUCED) for which in (False, True))
    if kept is None or reduced is None:
        raise _refusal(w, op, f"reduces {x.shape} over the dimensions {sorted(axes)}, too many apart from each other")
    over = c_struct(w, "nb_nn_reduction_t", "over", (kept[0], reduced[0], kept[1], reduced[1]))
    return over, math.prod(reduced[0])


@writes("MEAN")
def mean(w: GraphWriter, op: Op) -> None:
    x, y = w.ends(op)
    over, count = _reduction(w, op)
    scale = quantise.mean(x.scale, y.scale, count, quantise.LARGEST[w.dtype])
    how = c_struct(w, "nb_nn_output_t", "output", (scale, y.zero_points[0], *w.clamp(op, None, None)))
    ends = (w.at(op.inputs[0]), over, how, w.at(op.outputs[0]))
    if w.dtype == "int8":
        w.calls.append(f"nb_nn_mean_s8({ends[0]}, {over}, {x.zero_points[0] * count}, {how}, {ends[-1]})")
    else:
        w.calls.append(f"nb_nn_mean_s16({', '.join(ends)})")


@writes("REDUCE_MAX")
def reduce_max(w: GraphWriter, op: Op) -> None:
    _same_scale(w, op, *w.ends(op))
    over, _ = _reduction(w, op)
    w.calls.append(f"nb_nn_max_{suffix(w)}({w.at(op.inputs[0])}, {over}, {w.at(op.outputs[0])})")


def _numbers(w: GraphWriter, op: Op, at: int) -> list[int]:
    """A stored input of whole numbers."""
    tensor = w.graph.tensors[op.inputs[at]]
    numbers: list[int] = w.stored(op, at, "int64" if tensor.dtype == "int64" else "int32").reshape(-1).tolist()
    return numbers


def _refusal(w: GraphWriter, op: Op, what: str) -> ModelError:
    return ModelError(f"{w.graph.name}: {op.kind} {what}, which the band's kernels do not have")


def _same_scale(w: GraphWriter, op: Op, *tensors: Tensor) -> None:
    first = tensors[0]
    same = all((t.scale, t.zero_points[0]) == (first.scale, first.zero_points[0]) for t in tensors)
    w.require(op, same, "has tensors of different scales or zero points")


# --- moving elements ------------------------------------------------------------------------------------------------------


def _copy(w: GraphWriter, op: Op, ends: tuple[str, str], counts: Sequence[int],
          steps: tuple[Sequence[int], Sequence[int]]) -> None:
    """Write a call of nb_nn_copy between `ends`: `counts` elements a dimension, with `steps` in elements of each."""
    item = w.arena.item_bytes
    loops = merge(Loop(*v) for v in zip(counts, *steps, strict=True))
    run = 1
    if loops and loops[-1].first == loops[-1].second == 1:
        run = loops.pop().times
    found = columns([Loop(v.times, v.first * item, v.second * item) for v in loops], LOOPS)
    if found is None:
        raise _refusal(w, op, f"moves elements in {len(loops)} loops")
    block = c_struct(w, "nb_nn_block_t", "block", (*found, run * item))
    w.calls.append(f"nb_nn_copy({ends[0]}, {block}, {ends[1]})")


def _offset(pointer: str, elements: int) -> str:
    return f"{pointer} + {elements}" if elements else pointer


@writes("CONCATENATION")
def concatenation(w: GraphWriter, op: Op) -> None:
    w.no_activation(op)
    parts, y = [w.graph.tensors[t] for t in op.inputs], w.graph.tensors[op.outputs[0]]
    _same_scale(w, op, *parts, y)
    rank = len(y.shape)
    w.require(op, -rank <= op.options.axis < rank, f"joins along dimension {op.options.axis} of {rank}")
    axis = op.options.axis % rank
    along = [p.shape[axis] if len(p.shape) == rank else 0 for p in parts]
    fits = all(p.shape == (*y.shape[:axis], n, *y.shape[axis + 1:]) for n, p in zip(along, parts, strict=True))
    w.require(op, fits and sum(along) == y.shape[axis], f"joins {[p.shape for p in parts]} to {y.shape}")
    at = 0
    for number, part in zip(op.inputs, parts, strict=True):
        source = w.at(number) if part.data is None else w.constant(w.element, "in", part.data.reshape(-1).tolist())
        _copy(w, op, (source, _offset(w.at(op.outputs[0]), at)), part.shape, (strides(part.shape), strides(y.shape)))
        at += part.shape[axis] * strides(y.shape)[axis]


def _cut(w: GraphWriter, op: Op, first: Sequence[int], step: Sequence[int], counts: Sequence[int]) -> None:
    """Write the copying of every `step`-th element from `first` in each dimension."""
    x, y = w.ends(op)
    _same_scale(w, op, x, y)
    w.makes(op, math.prod(counts))
    jumps = strides(x.shape)
    inside = all(n > 0 and 0 <= f < size and 0 <= f + (n - 1) * s < size
                 for f, s, n, size in zip(first, step, counts, x.shape, strict=True))
    w.require(op, inside, f"takes elements outside of {x.shape}")
    source = _offset(w.at(op.inputs[0]), sum(f * j for f, j in zip(first, jumps, strict=True)))
    taken = [s * j for s, j in zip(step, jumps, strict=True)]
    _copy(w, op, (source, w.at(op.outputs[0])), counts, (taken, strides(counts)))


@writes("SLICE")
def slice_(w: GraphWriter, op: Op) -> None:
    x, y = w.ends(op)
    begin, size = _numbers(w, op, 1), _numbers(w, op, 2)
    w.require(op, len(begin) == len(size) == len(x.shape), f"cuts {len(begin)} dimensions of {len(x.shape)}")
    counts = [n - b if s == -1 else s for b, s, n in zip(begin, size, x.shape, strict=True)]
    w.require(op, tuple(counts) == y.shape, f"makes {y.shape} where {tuple(counts)} belongs")
    _cut(w, op, begin, [1] * len(begin), counts)


@writes("STRIDED_SLICE")
def strided_slice(w: GraphWriter, op: Op) -> None:
    x, o = w.graph.tensors[op.inputs[0]], op.options
    begin, end, step = (_numbers(w, op, i) for i in (1, 2, 3))
    w.require(op, len(begin) == len(end) == len(step) == len(x.shape), f"cuts {len(begin)} dimensions of {len(x.shape)}")
    odd = o.ellipsisMask or o.newAxisMask or getattr(o, "offset", False)
    w.require(op, not odd, "has an ellipsis, a new dimension or offsets")
    w.require(op, 0 not in step, "has a step of 0")
    ranges = []
    for i, size in enumerate(x.shape):
        if o.shrinkAxisMask >> i & 1:
            at = begin[i] + size if begin[i] < 0 else begin[i]
            ranges.append(range(at, at + 1))
        else:
            wanted = slice(None if o.beginMask >> i & 1 else begin[i], None if o.endMask >> i & 1 else end[i], step[i])
            ranges.append(range(size)[wanted])
    _cut(w, op, [r.start for r in ranges], [r.step for r in ranges], [len(r) for r in ranges])


@writes("PAD")
def pad(w: GraphWriter, op: Op) -> None:
    x, y = w.ends(op)
    _same_scale(w, op, x, y)
    amounts = np.array(_numbers(w, op, 1)).reshape(-1, 2).tolist()
    w.require(op, len(amounts) == len(x.shape) and min(map(min, amounts)) >= 0, f"pads by {amounts}")
    w.require(op, y.shape == tuple(n + sum(a) for n, a in zip(x.shape, amounts, strict=True)), f"makes {y.shape} of {x.shape}")
    jumps = strides(y.shape)
    at = sum(before * jump for (before, _), jump in zip(amounts, jumps, strict=True))
    w.calls.append(f"nb_nn_fill({w.at(op.outputs[0])}, {y.size * w.arena.item_bytes}, {y.zero_points[0]})")
    _copy(w, op, (w.at(op.inputs[0]), _offset(w.at(op.outputs[0]), at)), x.shape, (strides(x.shape), jumps))


@writes("RESHAPE")
@writes("SQUEEZE")
@writes("EXPAND_DIMS")
def rename(w: GraphWriter, op: Op) -> None:
    """Another shape for the same values: nothing to do, unless both ends are the caller's."""
    x, y = w.ends(op)
    _same_scale(w, op, x, y)
    w.makes(op, x.size)
    source, target = w.at(op.inputs[0]), w.at(op.outputs[0])
    if source != target:
        _copy(w, op, (source, target), [x.size], ([1], [1]))
