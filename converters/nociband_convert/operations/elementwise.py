"""Operations element by element: LOGISTIC, TANH, MUL, ADD."""

from __future__ import annotations

from nociband_convert import quantise
from nociband_convert.operations.writer import GraphWriter, c_scale, writes
from nociband_convert.tflite import Op


def _table(w: GraphWriter, op: Op, kernel: str) -> None:
    x, y = w.ends(op)
    w.require(op, y.scale == 2.0**-15, f"has an output step of {y.scale}, not 2^-15")
    w.makes(op, x.size)
    multiplier, right = quantise.table_input(x.scale)
    w.calls.append(f"{kernel}({w.at(op.inputs[0])}, {x.size}, {multiplier}, {right}, {w.at(op.outputs[0])})")


@writes("LOGISTIC", in_place=True)
def logistic(w: GraphWriter, op: Op) -> None:
    _table(w, op, "nb_nn_logistic")


@writes("TANH", in_place=True)
def tanh(w: GraphWriter, op: Op) -> None:
    _table(w, op, "nb_nn_tanh")


@writes("MUL", in_place=True)
def mul(w: GraphWriter, op: Op) -> None:
    w.no_activation(op)
    first, second = op.inputs
    if w.graph.tensors[first].size < w.graph.tensors[second].size:
        first, second = second, first
    a, b, y = (w.graph.tensors[t] for t in (first, second, op.outputs[0]))
    w.makes(op, a.size)
    scale = w.scale(quantise.mul(a.scale, b.scale, y.scale))
    if a.shape == b.shape:
        call = f"nb_nn_mul({w.at(first)}, {w.at(second)}, {a.size}, {scale}, {w.at(op.outputs[0])})"
    else:
        w.require(op, b.shape == (*a.shape[:-1], 1), f"multiplies {a.shape} by {b.shape}")
        call = (f"nb_nn_mul_rows({w.at(first)}, {b.size}, {a.shape[-1]}, {w.at(second)}, {scale}, "
                   f"{w.at(op.outputs[0])})")
    w.calls.append(call)


@writes("ADD", in_place=True)
def add(w: GraphWriter, op: Op) -> None:
    w.no_activation(op)
    a, b, y = (w.graph.tensors[t] for t in (*op.inputs, op.outputs[0]))
    w.require(op, a.shape == b.shape, f"adds {a.shape} and {b.shape}")
    w.makes(op, a.size)
    w.require(op, not op.options.potScaleInt16, "scales by powers of two only (an old form)")
    name = f"{w.name}_{len(w.calls)}_add"
    parts = ", ".join(map(c_scale, quantise.add(a.scale, b.scale, y.scale)))
    w.constants.append(f"static const nb_nn_add_t {name} = {{{parts}}};")
    w.calls.append(f"nb_nn_add({w.at(op.inputs[0])}, {w.at(op.inputs[1])}, {a.size}, &{name}, "
                   f"{w.at(op.outputs[0])})")
