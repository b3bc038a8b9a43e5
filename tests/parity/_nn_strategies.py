"""Random one-operation graphs for hypothesis, by operation: shapes, scales, zero points, options and values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from _nn import Builder, schema
from _nn_cases import Case
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]
SCALES = {"int16": st.floats(2.0**-17, 2.0**-9), "int8": st.floats(2.0**-10, 0.2)}
DTYPES = st.sampled_from(["int8", "int16"])
FUSED = st.sampled_from([schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU,
                         schema.ActivationFunctionType.RELU6, schema.ActivationFunctionType.RELU_N1_TO_1])
SEEDS = st.integers(0, 2**32 - 1)
LIMITS = {"int8": (-128, 127), "int16": (-32768, 32767)}
VERSIONS = {"int8": 2, "int16": 4}


def values(seed: int, dtype: str, shape: Sequence[int]) -> np.ndarray:
    """Integers of all sizes, with the rails among them."""
    low, high = LIMITS[dtype]
    rng = np.random.default_rng(seed)
    x = np.clip(np.rint(rng.normal(0, 10.0 ** rng.uniform(0.5, np.log10(2 * high)), shape)), low, high).astype(dtype)
    flat = x.reshape(-1)
    flat[:2] = (low, high)[: flat.size]
    return x


def zero_point(draw: Draw, dtype: str) -> int:
    return int(draw(st.integers(-128, 127))) if dtype == "int8" else 0


def clear(scale: float) -> float:
    """Not nearly 2^-11, which the converter refuses for TANH, but it."""
    return 2.0**-11 if abs(np.log2(scale) + 11) < 2e-3 else scale


def shape(draw: Draw, most: int = 4, largest: int = 9) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.integers(1, largest), min_size=1, max_size=most)))


class OneOp:
    """A graph in the making with one operation."""

    def __init__(self, kind: str, dtype: str) -> None:
        self.kind, self.dtype, self._builder = kind, dtype, Builder()
        self._given: list[int] = []
        self._inputs: list[int] = []
        self._values: list[np.ndarray] = []
        self._what: list[str] = []

    def activation(self, seed: int, shape: Sequence[int], scale: float, zero: int = 0) -> OneOp:
        self._given.append(self._builder.tensor(shape, self.dtype, [scale], zero, name=f"x{len(self._given)}"))
        self._inputs.append(self._given[-1])
        self._values.append(values(seed, self.dtype, shape))
        self._what.append(f"{tuple(shape)} * {scale:g} + {zero}")
        return self

    def stored(self, seed: int, shape: Sequence[int], scale: float, zero: int = 0) -> OneOp:
        self._inputs.append(self._builder.constant(values(seed, self.dtype, shape), [scale], zero))
        self._what.append(f"stored {tuple(shape)} * {scale:g} + {zero}")
        return self

    def numbers(self, numbers: Any) -> OneOp:
        self._inputs.append(self._builder.constant(np.array(numbers, np.int32)))
        self._what.append(str(numbers))
        return self

    def case(self, shape: Sequence[int], scale: float, zero: int = 0, options: Any = None, version: int | None = None) -> Case:
        y = self._builder.tensor(shape, self.dtype, [scale], zero, name="y")
        self._builder.op(self.kind, self._inputs, [y], options, VERSIONS[self.dtype] if version is None else version)
        told = {k: v for k, v in vars(options).items() if v} if options else ""
        what = f"{self.kind} {self.dtype} {'; '.join(self._what)} -> {tuple(shape)} * {scale:g} + {zero} {told}"
        return Case(what, self._builder.finish(self._given, [y]), tuple(v[None] for v in self._values))


def _operands(draw: Draw) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast to a third: equal, one of a single element, by rows, by channels, both ways, of lower rank."""
    y = shape(draw)
    repeats = [(y, y), ((1,), y), (y, (1,)), (y, (*y[:-1], 1)), (y, y[-1:]), (y, (1,) * (len(y) - 1) + y[-1:]),
               ((*y[:-1], 1), (1,) * (len(y) - 1) + y[-1:]), ((1, *y[1:]), y)]
    a, b = draw(st.sampled_from(repeats))
    return a, b, tuple(np.broadcast_shapes(a, b))


@st.composite
def of_two(draw: Draw, kind: str) -> Case:
    """ADD, SUB or MUL of any two shapes that fit, one of them perhaps stored."""
    dtype = draw(DTYPES)
    a, b, y = _operands(draw)
    scales = [draw(SCALES[dtype]) for _ in range(2)]
    if kind == "MUL":
        y_scale = scales[0] * scales[1] / draw(st.floats(0.001 if dtype == "int8" else 0.02, 0.99 if dtype == "int16" else 30))
        options = schema.MulOptionsT()
    else:
        y_scale = max(scales) * draw(st.floats(0.1, 4.0))
        options = schema.AddOptionsT() if kind == "ADD" else schema.SubOptionsT()
        options.potScaleInt16 = False
    options.fusedActivationFunction = draw(FUSED) if y_scale > 4e-9 else 0
    op, seed = OneOp(kind, dtype), draw(SEEDS)
    stored = draw(st.sampled_from([None, None, None, 0, 1]))
    for i, (s, scale) in enumerate(zip((a, b), scales, strict=True)):
        (op.stored if i == stored else op.activation)(seed + i, s, scale, zero_point(draw, dtype))
    return op.case(y, y_scale, zero_point(draw, dtype), options, version=2 if dtype == "int8" else 4 if kind == "MUL" else 3)


@st.composite
def of_one(draw: Draw, kind: str) -> Case:
    """QUANTIZE or RELU and its like."""
    dtype = "int8" if kind == "RELU_N1_TO_1" else draw(DTYPES)
    s, scale = shape(draw), draw(SCALES[dtype])
    op = OneOp(kind, dtype).activation(draw(SEEDS), s, scale, zero_point(draw, dtype))
    options = schema.QuantizeOptionsT() if kind == "QUANTIZE" else None
    version = {"QUANTIZE": 3, "RELU": 3 if dtype == "int16" else 2, "RELU6": 3 if dtype == "int16" else 2}.get(kind, 1)
    return op.case(s, scale * draw(st.floats(0.02, 50.0)), zero_point(draw, dtype), options, version)


@st.composite
def curve(draw: Draw, kind: str) -> Case:
    """LOGISTIC or TANH of every input that there is, in int8, and of a row in int16."""
    dtype = draw(DTYPES)
    x = np.arange(-128, 128).astype(np.int8) if dtype == "int8" else values(draw(SEEDS), dtype, (256,))
    scale = clear(draw(SCALES[dtype]))
    step, zero = (2.0**-15, 0) if dtype == "int16" else (2.0**-8, draw(st.sampled_from([-128, 0]))) if kind == "LOGISTIC" else (
        draw(st.sampled_from([2.0**-7, 0.009])), zero_point(draw, dtype))
    case = OneOp(kind, dtype).activation(0, x.shape, scale, zero_point(draw, dtype)).case(x.shape, step, zero, version=3)
    return Case(case.what, case.content, (x[None],))


@st.composite
def softmax(draw: Draw, kind: str = "SOFTMAX") -> Case:
    """Of rows of any length, with the steps that logits and scores have."""
    dtype = draw(DTYPES)
    s = (*shape(draw, 3, 5), draw(st.integers(1, 140)))
    scale = draw(st.floats(1e-5, 2e-3) if dtype == "int16" else st.floats(1e-4, 1.5))
    options = schema.SoftmaxOptionsT()
    options.beta = draw(st.sampled_from([1.0, 1.0, 0.5, 3.1]))
    op = OneOp(kind, dtype).activation(draw(SEEDS), s, scale, zero_point(draw, dtype))
    step, zero = (2.0**-15, 0) if dtype == "int16" else (2.0**-8, -128)
    return op.case(s, step, zero, options, version=3)


@st.composite
def reduction(draw: Draw, kind: str) -> Case:
    """MEAN or REDUCE_MAX over one or several dimensions, kept or not."""
    dtype = draw(DTYPES)
    s = draw(st.one_of(st.tuples(st.integers(1, 3), st.integers(1, 150), st.integers(1, 17)), st.lists(
        st.integers(1, 12), min_size=1, max_size=4).map(tuple), st.tuples(st.just(1), *[st.integers(1, 14)] * 3)))
    axes = draw(st.lists(st.integers(0, len(s) - 1), min_size=1, unique=True)) if draw(st.booleans()) or len(s) < 4 else [1, 2]
    options = schema.ReducerOptionsT()
    options.keepDims = draw(st.booleans())
    y = tuple(1 if i in axes else n for i, n in enumerate(s) if options.keepDims or i not in axes)
    scale, zero = draw(SCALES[dtype]), zero_point(draw, dtype)
    op = OneOp(kind, dtype).activation(draw(SEEDS), s, scale, zero)
    op.numbers([a - len(s) * draw(st.integers(0, 1)) for a in axes])
    same = kind == "REDUCE_MAX" or draw(st.booleans())
    y_scale, y_zero = (scale, zero) if same else (scale * draw(st.floats(0.05, 1.5)), zero_point(draw, dtype))
    return op.case(y, y_scale, y_zero, options, version=2 if kind == "MEAN" else 3)


@st.composite
def concatenation(draw: Draw, kind: str = "CONCATENATION") -> Case:
    """Of one to four tensors along any dimension, one of them perhaps stored."""
    dtype = draw(DTYPES)
    s = list(shape(draw))
    axis = draw(st.integers(0, len(s) - 1))
    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    scale, zero, seed = draw(SCALES[dtype]), zero_point(draw, dtype), draw(SEEDS)
    options = schema.ConcatenationOptionsT()
    options.axis = axis - len(s) * draw(st.integers(0, 1))
    op = OneOp(kind, dtype)
    stored = draw(st.sampled_from([None, len(sizes) - 1])) if len(sizes) > 1 else None
    for i, size in enumerate(sizes):
        s[axis] = size
        (op.stored if i == stored else op.activation)(seed + i, s, scale, zero)
    s[axis] = sum(sizes)
    return op.case(s, scale, zero, options, version=3 if dtype == "int16" else 2)


@st.composite
def cut(draw: Draw, kind: str) -> Case:
    """SLICE or STRIDED_SLICE of any part, with steps in both directions, masks and dropped dimensions."""
    dtype = draw(DTYPES)
    s = shape(draw, 4 if kind == "SLICE" else 3, 12)
    scale, zero = draw(SCALES[dtype]), zero_point(draw, dtype)
    op = OneOp(kind, dtype).activation(draw(SEEDS), s, scale, zero)
    first = [draw(st.integers(0, n - 1)) for n in s]
    if kind == "SLICE":
        sizes = [draw(st.integers(1, n - f)) for n, f in zip(s, first, strict=True)]
        told = [-1 if f + z == n and draw(st.booleans()) else z for n, f, z in zip(s, first, sizes, strict=True)]
        return op.numbers(first).numbers(told).case(sizes, scale, zero, schema.SliceOptionsT(), 3 if dtype == "int16" else 2)
    options, y, end, step = schema.StridedSliceOptionsT(), [], [], []
    for i, (n, f) in enumerate(zip(s, first, strict=True)):
        step.append(draw(st.sampled_from([1, 2, 3, -1, -2])))
        end.append(draw(st.integers(f + 1, n)) if step[i] > 0 else draw(st.integers(-n - 1, f - n - 1)))
        form = draw(st.sampled_from(["plain", "plain", "drop", "from", "to"]))
        options.beginMask |= (form == "from") << i
        options.endMask |= (form == "to") << i
        options.shrinkAxisMask |= (form == "drop") << i
        if form == "drop":
            step[i], end[i] = 1, f + 1
            continue
        y.append(len(range(n)[slice(None if form == "from" else f, None if form == "to" else end[i], step[i])]))
    first = [f - n * draw(st.integers(0, 1)) for f, n in zip(first, s, strict=True)]
    if not y:
        return draw(cut(kind))
    return op.numbers(first).numbers(end).numbers(step).case(y, scale, zero, options, version=4 if dtype == "int16" else 2)


@st.composite
def padding(draw: Draw, kind: str = "PAD") -> Case:
    """Before and after, in any dimension."""
    dtype = draw(DTYPES)
    s = shape(draw)
    amounts = [(draw(st.integers(0, 4)), draw(st.integers(0, 4))) for _ in s]
    scale, zero = draw(SCALES[dtype]), zero_point(draw, dtype)
    op = OneOp(kind, dtype).activation(draw(SEEDS), s, scale, zero).numbers(amounts)
    y = [n + a + b for n, (a, b) in zip(s, amounts, strict=True)]
    return op.case(y, scale, zero, schema.PadOptionsT(), version=3 if dtype == "int16" else 2)


@st.composite
def renaming(draw: Draw, kind: str) -> Case:
    """RESHAPE, SQUEEZE or EXPAND_DIMS."""
    dtype = draw(DTYPES)
    s = shape(draw, 3)
    scale, zero = draw(SCALES[dtype]), zero_point(draw, dtype)
    at = draw(st.integers(0, len(s)))
    longer = (*s[:at], 1, *s[at:])
    op = OneOp(kind, dtype).activation(draw(SEEDS), longer if kind == "SQUEEZE" else s, scale, zero)
    if kind == "SQUEEZE":
        options = schema.SqueezeOptionsT()
        options.squeezeDims = [at]
        return op.case(s, scale, zero, options, version=1)
    if kind == "EXPAND_DIMS":
        return op.numbers([at]).case(longer, scale, zero, schema.ExpandDimsOptionsT(), version=1)
    return op.numbers(s[::-1]).case(s[::-1], scale, zero, schema.ReshapeOptionsT(), version=1)


class Chain:
    """A graph in the making of several operations over tensors (1, time, channels) and what comes of them."""

    def __init__(self, draw: Draw, dtype: str) -> None:
        self.draw, self.dtype, self.builder = draw, dtype, Builder()
        self.at: list[tuple[int, tuple[int, ...], float, int]] = []
        self.inputs: list[int] = []
        self.values: list[np.ndarray] = []
        self.what: list[str] = []

    def input(self, s: tuple[int, ...]) -> None:
        scale, zero = clear(self.draw(SCALES[self.dtype])), zero_point(self.draw, self.dtype)
        self.inputs.append(self.builder.tensor(s, self.dtype, [scale], zero, name=f"x{len(self.inputs)}"))
        self.values.append(values(self.draw(SEEDS), self.dtype, s))
        self.at.append((self.inputs[-1], s, scale, zero))

    def op(self, kind: str, xs: Sequence[int], s: tuple[int, ...], scale: float, zero: int, options: Any = None,
           version: int = 3, numbers: Sequence[Any] = ()) -> None:
        """Adds an operation; the step of what it makes stays in a range in which any other can follow."""
        scale = clear(min(max(scale, 1e-6), 4e-3 if self.dtype == "int16" else 0.5))
        y = self.builder.tensor(s, self.dtype, [scale], zero, name=f"t{len(self.at)}")
        stored = [self.builder.constant(np.array(n, np.int32)) for n in numbers]
        self.builder.op(kind, [*xs, *stored], [y], options, version)
        self.at.append((y, s, scale, zero))
        self.what.append(f"{kind}{s}")

    def add(self, a: tuple[int, tuple[int, ...], float, int], b: tuple[int, tuple[int, ...], float, int]) -> None:
        options, zero = schema.AddOptionsT(), zero_point(self.draw, self.dtype)
        options.potScaleInt16 = False
        self.op("ADD", [a[0], b[0]], a[1], max(a[2], b[2]) * 1.3, zero, options, 3 if self.dtype == "int16" else 2)

    def step(self) -> None:
        """One more operation, on tensors that are there."""
        kind = self.draw(st.sampled_from(["ADD", "MUL", "TANH", "RELU", "RESHAPE", "MEAN", "CONCATENATION", "SLICE"]))
        x, s, scale, zero = self.draw(st.sampled_from(self.at))
        other = self.draw(st.sampled_from([t for t in self.at if t[1] == s]))
        wide = self.dtype == "int16"
        if kind == "ADD":
            self.add((x, s, scale, zero), other)
        elif kind == "MUL":
            y_scale = scale * other[2] * (20000 if wide else 90)
            self.op(kind, [x, other[0]], s, y_scale, zero_point(self.draw, self.dtype), schema.MulOptionsT(), 4 if wide else 2)
        elif kind == "TANH":
            self.op(kind, [x], s, 2.0**-15 if wide else 2.0**-7, 0)
        elif kind == "RELU":
            self.op(kind, [x], s, scale * 0.8, zero, version=3 if wide else 2)
        elif kind == "RESHAPE":
            self.op(kind, [x], s[::-1], scale, zero, schema.ReshapeOptionsT(), 1, [s[::-1]])
        elif kind == "MEAN":
            options = schema.ReducerOptionsT()
            options.keepDims = True
            axis = self.draw(st.integers(0, 2))
            self.op(kind, [x], (*s[:axis], 1, *s[axis + 1:]), scale, zero, options, 2, [[axis]])
        elif kind == "CONCATENATION":
            options = schema.ConcatenationOptionsT()
            options.axis = 1
            self.op(kind, [x, x], (s[0], 2 * s[1], s[2]), scale, zero, options, 3 if wide else 2)
        else:
            size = max(1, s[1] - 1)
            self.op(kind, [x], (s[0], size, s[2]), scale, zero, schema.SliceOptionsT(), 3 if wide else 2,
                    [[0, s[1] - size, 0], [s[0], size, s[2]]])

    def case(self) -> Case:
        content = self.builder.finish(self.inputs, [self.at[-1][0]])
        return Case(f"{self.dtype}: {' '.join(self.what)}", content, tuple(v[None] for v in self.values))


@st.composite
def chain(draw: Draw) -> Case:
    """Three to twelve operations whose tensors share memory, are renamed and are worked on in place."""
    made = Chain(draw, draw(DTYPES))
    s = (1, draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    made.input(s)
    if draw(st.booleans()):
        made.input(s)
        made.add(*made.at)
    for _ in range(draw(st.integers(3, 12))):
        made.step()
    return made.case()


STRATEGIES: dict[str, st.SearchStrategy[Case]] = {
    **{kind: of_two(kind) for kind in ("ADD", "SUB", "MUL")},
    **{kind: of_one(kind) for kind in ("QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1")},
    **{kind: curve(kind) for kind in ("LOGISTIC", "TANH")},
    "SOFTMAX": softmax(),
    **{kind: reduction(kind) for kind in ("MEAN", "REDUCE_MAX")},
    "CONCATENATION": concatenation(),
    **{kind: cut(kind) for kind in ("SLICE", "STRIDED_SLICE")},
    "PAD": padding(),
    **{kind: renaming(kind) for kind in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")},
}
