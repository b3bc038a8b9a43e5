"""Operations element by element: ADD, SUB, MUL, QUANTIZE, LOGISTIC, TANH, RELU and its like; and SOFTMAX along a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nociband_convert.arithmetic import lookup, quantise, softmax
from nociband_convert.c_text import c_array
from nociband_convert.operations.arena import renames
from nociband_convert.operations.blocks import broadcast, c_struct, suffix
from nociband_convert.operations.shape import rename
from nociband_convert.operations.writer import GraphWriter, writes
from nociband_convert.tflite import Op

_INT16_STEP = 2.0**-15
_RELU = {"RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
_SCALE_MIN = 3e-9
"""Below it LiteRT's limits of a fused activation overflow."""


# --- two inputs -----------------------------------------------------------------------------------------------------------


@writes("ADD", in_place=True)
def add(w: GraphWriter, op: Op) -> None:
    _sum(w, op, 1)


@writes("SUB", in_place=True)
def sub(w: GraphWriter, op: Op) -> None:
    _sum(w, op, -1)


def _sum(w: GraphWriter, op: Op, sign: int) -> None:
    a, b, y = (w.graph.tensors[t] for t in (*op.inputs, *op.outputs))
    shifts = op.options.potScaleInt16 and all(quantise.near_power_of_two(t.scale) for t in (a, b, y))
    w.require(op, not (shifts and w.dtype == "int16"), "shifts by powers of two only (the option pot_scale_int16, an old form)")
    left = quantise.ADD_LEFT[w.dtype]
    first, second, total = quantise.add(a.scale, b.scale, y.scale, left)
    how = (a.zero_points[0], b.zero_points[0], left, sign, first, second, _output(w, op, total))
    _call_of_two(w, op, "sum", op.inputs, how)


@writes("MUL", in_place=True)
def mul(w: GraphWriter, op: Op) -> None:
    y = w.graph.tensors[op.outputs[0]]
    # The larger one first: the kernel is fastest where the second is repeated. Factors commute, to the bit.
    inputs = sorted(op.inputs, key=lambda t: -w.graph.tensors[t].size)
    a, b = (w.graph.tensors[t] for t in inputs)
    scale = quantise.mul(a.scale, b.scale, y.scale, quantise.LARGEST[w.dtype] ** 2)
    _call_of_two(w, op, "product", inputs, (a.zero_points[0], b.zero_points[0], _output(w, op, scale)))


def _call_of_two(w: GraphWriter, op: Op, kernel: str, inputs: Sequence[int], how: tuple[object, ...]) -> None:
    a, b, y = (w.graph.tensors[t] for t in (*inputs, *op.outputs))
    pairs = broadcast(a.shape, b.shape, y.shape)
    w.require(op, pairs is not None, f"combines {a.shape} and {b.shape} to {y.shape}")
    arguments = (*(_operand(w, t, f"in{i}") for i, t in enumerate(inputs)), c_struct(w, "nb_nn_pairs_t", "pairs", pairs),
                 c_struct(w, f"nb_nn_{kernel}_t", kernel, how), w.at(op.outputs[0]))
    w.calls.append(f"nb_nn_{kernel}_{suffix(w)}({', '.join(arguments)})")


def _output(w: GraphWriter, op: Op, scale: quantise.Scale) -> tuple[object, ...]:
    """A nb_nn_output_t with the operation's fused activation."""
    y = w.graph.tensors[op.outputs[0]]
    fused = getattr(op.options, "fusedActivationFunction", 0)
    w.require(op, fused == 0 or y.scale >= _SCALE_MIN, f"has a fused activation and an output step of {y.scale:g}")
    return (scale, y.zero_points[0], *w.activation_range(op))


def _operand(w: GraphWriter, number: int, name: str) -> str:
    """The C expression of an input that may be stored."""
    data = w.graph.tensors[number].data
    return w.at(number) if data is None else w.constant(w.element, name, data.reshape(-1).tolist())


# --- one input ------------------------------------------------------------------------------------------------------------


def _lookup(w: GraphWriter, op: Op) -> None:
    """Any function of an int8: a table."""
    x, y = w.ends(op)
    w.makes(op, x.size)
    name = w.constant("int8_t", "table", lookup.table(op.kind, x, y))
    w.calls.append(f"nb_nn_lookup_s8({w.at(op.inputs[0])}, {x.size}, {name}, {w.at(op.outputs[0])})")


@writes("QUANTIZE", in_place=True)
def quantize(w: GraphWriter, op: Op) -> None:
    x, y = w.ends(op)
    if renames(w.graph, op):
        rename(w, op)
        return
    scale = quantise.requantise(x.scale, y.scale, quantise.LARGEST[w.dtype])
    if w.dtype == "int8":
        _lookup(w, op)
    else:
        _requantise(w, op, scale, (None, None))


def _requantise(w: GraphWriter, op: Op, scale: quantise.Scale, limits: tuple[float | None, float | None]) -> None:
    x, y = w.ends(op)
    w.makes(op, x.size)
    how = c_struct(w, "nb_nn_output_t", "output", (scale, y.zero_points[0], *w.clamp(op, *limits)))
    w.calls.append(f"nb_nn_requantise_s16({w.at(op.inputs[0])}, {x.size}, {how}, {w.at(op.outputs[0])})")


@writes("RELU", in_place=True)
@writes("RELU6", in_place=True)
@writes("RELU_N1_TO_1", in_place=True)
def relu(w: GraphWriter, op: Op) -> None:
    x, y = w.ends(op)
    w.require(op, y.scale >= _SCALE_MIN, f"has an output step of {y.scale:g}")
    scale = quantise.relu(x.scale, y.scale, quantise.LARGEST[w.dtype])
    if w.dtype == "int8":
        _lookup(w, op)
        return
    w.require(op, op.kind != "RELU_N1_TO_1", "is of int16, which LiteRT does not have either")
    _requantise(w, op, scale, _RELU[op.kind])


@writes("LOGISTIC", in_place=True)
@writes("TANH", in_place=True)
def sigmoid_or_tanh(w: GraphWriter, op: Op) -> None:
    if w.dtype == "int8":
        _lookup(w, op)
        return
    x, y = w.ends(op)
    w.require(op, y.scale == _INT16_STEP, f"has an output step of {y.scale}, not 2^-15")
    w.makes(op, x.size)
    multiplier, right = quantise.table_input(x.scale)
    w.calls.append(f"nb_nn_{op.kind.lower()}({w.at(op.inputs[0])}, {x.size}, {multiplier}, {right}, {w.at(op.outputs[0])})")


# --- along the last dimension ---------------------------------------------------------------------------------------------


@writes("SOFTMAX", in_place=True)
def soft_max(w: GraphWriter, op: Op) -> None:
    x, y = w.ends(op)
    w.makes(op, x.size)
    step, zero_point = (2.0**-8, -128) if w.dtype == "int8" else (_INT16_STEP, 0)
    w.require(op, abs(y.scale - step) < 1e-3 * step and y.zero_points[0] == zero_point,
              f"has an output step of {y.scale:g} from {y.zero_points[0]}, not {step:g} from {zero_point}")
    columns = x.shape[-1]
    if w.dtype == "int8":
        exponential = softmax.int8_exponential(x.scale, op.options.beta)
        how = f"{w.constant('int32_t', 'exp', exponential)}, {len(exponential)}"
    else:
        tables = [_table_once(w, name, make) for name, make in (("exp", softmax.int16_exponential),
                                                                ("reciprocal", softmax.int16_reciprocal))]
        how = c_struct(w, "nb_nn_softmax_t", "softmax", (softmax.int16_scale(x.scale, op.options.beta), *tables))
    w.calls.append(f"nb_nn_softmax_{suffix(w)}({w.at(op.inputs[0])}, {x.size // columns}, {columns}, {how}, "
                   f"{w.at(op.outputs[0])})")


def _table_once(w: GraphWriter, name: str, make: Callable[[], list[int]]) -> str:
    """The name of a table that all SOFTMAX of the graph share."""
    name = f"{w.name}_softmax_{name}"
    array = c_array(f"int16_t {name}[]", make())
    if array not in w.constants:
        w.constants.append(array)
    return name
