"""What a .tflite must be like for the band: which operations, what each takes, which types, scales and sizes.

Used by tflite on what it has read. `check` raises ModelError for what the band cannot run, Damage for what contradicts itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nociband.errors import ModelError
from nociband_convert.tflite.graph import SCHEMES, Graph, Op, Tensor

QUANTISE = "quantise all of the model, inputs and outputs too, to int8 or int16x8 with calibration data"
FILE_BYTES_MAX = 4 << 20
"""More than the flash of any microcontroller that this is for; also the bytes of constants that all operations take together."""
ELEMENTS_MAX = 1 << 22
"""Elements of all activations and states together."""
SCALE_MIN, SCALE_MAX = 1e-12, 1e12
"""Activations' steps: products and quotients of three of them stay inside float32, in which LiteRT computes MUL's factor."""
BIAS_STEPS_APART = 0.02
"""Of the output's step."""
CONSTANTS = ("int8", "int16", "int32", "int64")


class Damage(ValueError):
    """The file contradicts itself; the text says where."""


class Form(NamedTuple):
    """An operation's options in the schema ("" for none) and the roles of its inputs, a letter each; see _ROLES.

    A capital letter may be left out. `needs_options`: the file has to have them, for there is something in them.
    """

    options: str
    inputs: str
    needs_options: bool = True


FORMS = {
    "ADD": Form("AddOptions", "aa"),
    "AVERAGE_POOL_2D": Form("Pool2DOptions", "a"),
    "CONCATENATION": Form("ConcatenationOptions", "a"),  # any number of them
    "CONV_2D": Form("Conv2DOptions", "awB"),
    "DEPTHWISE_CONV_2D": Form("DepthwiseConv2DOptions", "adB"),
    "EXPAND_DIMS": Form("ExpandDimsOptions", "ai", False),
    "FULLY_CONNECTED": Form("FullyConnectedOptions", "awB"),
    "LOGISTIC": Form("", "a", False),
    "MAX_POOL_2D": Form("Pool2DOptions", "a"),
    "MEAN": Form("ReducerOptions", "ai"),
    "MUL": Form("MulOptions", "aa"),
    "PAD": Form("PadOptions", "ai", False),
    "QUANTIZE": Form("QuantizeOptions", "a", False),
    "REDUCE_MAX": Form("ReducerOptions", "ai"),
    "RELU": Form("", "a", False),
    "RELU6": Form("", "a", False),
    "RELU_N1_TO_1": Form("", "a", False),
    "RESHAPE": Form("ReshapeOptions", "aI", False),
    "SLICE": Form("SliceOptions", "aii", False),
    "SOFTMAX": Form("SoftmaxOptions", "a"),
    "SQUEEZE": Form("SqueezeOptions", "a", False),
    "STRIDED_SLICE": Form("StridedSliceOptions", "aiii"),
    "SUB": Form("SubOptions", "aa"),
    "TANH": Form("", "a", False),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Form("UnidirectionalSequenceLSTMOptions", "allllllllNNNbbbbNNssNNNN"),
}
SUPPORTED = tuple(FORMS)
_FLOATS = ("float16", "float32", "float64", "bfloat16")


def check(name: str, graph: Graph) -> None:
    """Everything below, for the file `name`."""
    _check_flow(graph)
    _check_activations(name, graph)
    scheme = graph.scheme
    for op in graph.ops:
        for role, t in _roles(graph, op):
            try:
                _ROLES[role](scheme, t)
            except _Unfit as e:
                raise ModelError(f"{name}: {op.kind} takes {t.name} ({t.dtype}) where {e}") from None
        _check_bias_step(name, graph, op)
    taken = (graph.tensors[t].data for op in graph.ops for t in op.inputs if t >= 0)
    total = sum(data.nbytes for data in taken if data is not None)
    if total > FILE_BYTES_MAX:
        raise ModelError(f"{name}: its operations take {total >> 20} MiB of constants; at most {FILE_BYTES_MAX >> 20} are "
                         "possible: make the model smaller")


def _check_flow(graph: Graph) -> None:
    """Each activation is made once, before it is used; what is kept or constant is not made at all."""
    ready = set(graph.inputs.values())
    for number in ready:
        if graph.tensors[number].data is not None or graph.tensors[number].variable:
            raise Damage(f"the input {graph.tensors[number].name} is a constant or a state")
    for op in graph.ops:
        for number in op.inputs:
            t = graph.tensors[number]
            if number >= 0 and number not in ready and t.data is None and not t.variable:
                raise Damage(f"{op.kind} takes {t.name} before it is there")
        made = op.outputs[0]
        if made in ready or graph.tensors[made].data is not None or graph.tensors[made].variable:
            raise Damage(f"{op.kind} writes {graph.tensors[made].name}, which is there already")
        ready.add(made)
    if not graph.inputs or not graph.outputs or not set(graph.outputs.values()) <= ready - set(graph.inputs.values()):
        raise Damage("it has no inputs, or an output that no operation makes")


def _check_activations(name: str, graph: Graph) -> None:
    activations = [graph.tensors[number] for number in graph.activations]
    for t in activations:
        if t.dtype in _FLOATS:
            raise ModelError(f"{name} is not fully quantised: {t.name} is {t.dtype}, so float inside; {QUANTISE}")
    graph.scheme  # noqa: B018  raises when mixed, or none of the two
    total = sum(t.size for t in activations)
    if total > ELEMENTS_MAX:
        raise ModelError(f"{name}: its activations have {total} elements; the band has no room for more than {ELEMENTS_MAX}: "
                         "make the model smaller")
    for t in activations:
        try:
            _check_step(t)
        except _Unfit as e:
            raise ModelError(f"{name}: {t.name} ({t.dtype}) is an activation where {e}") from None


def _check_bias_step(name: str, graph: Graph, op: Op) -> None:
    """A bias is added to products as it stands, so its step must be theirs, as nearly as LiteRT asks for."""
    if FORMS[op.kind].inputs not in ("awB", "adB") or len(op.inputs) < 3 or op.inputs[2] < 0:
        return
    (x, weights, bias), y = (graph.tensors[t] for t in op.inputs), graph.tensors[op.outputs[0]]
    if not bias.scales:
        return
    steps, given = x.scale * np.array(weights.scales), np.array(bias.scales)
    if len(given) not in (1, len(steps)) or (abs(steps - given) > BIAS_STEPS_APART * y.scale).any():
        raise ModelError(f"{name}: {bias.name}, the bias of {op.kind}, is not in steps of input times weights; quantise the "
                         "model again")


# --- what each input of an operation must be ------------------------------------------------------------------------------


class _Unfit(Exception):
    """Ends the sentence "... where": what belongs there, and what to do."""


def _roles(graph: Graph, op: Op) -> Iterator[tuple[str, Tensor]]:
    """Role and tensor of each input that is there. Raises Damage for one that is missing or too many."""
    roles = FORMS[op.kind].inputs
    if op.kind == "CONCATENATION":
        roles *= len(op.inputs)
    if not 0 < len(op.inputs) <= len(roles):
        raise Damage(f"{op.kind} has {len(op.inputs)} inputs")
    for at, role in enumerate(roles):
        number = op.inputs[at] if at < len(op.inputs) else -1
        if number >= 0:
            yield role.lower(), graph.tensors[number]
        elif role.islower():
            raise Damage(f"{op.kind} lacks its input {at}")


def _check_step(t: Tensor) -> None:
    """One scale in reason, and a zero point that the dtype can have."""
    if len(t.scales) != 1:
        raise _Unfit(f"one scale belongs, not {len(t.scales)}; {QUANTISE}")
    if not SCALE_MIN <= t.scale <= SCALE_MAX:
        raise _Unfit(f"steps of {SCALE_MIN:g} to {SCALE_MAX:g} are possible, not {t.scale:g}; check the calibration data")
    low, high = (-128, 127) if t.dtype == "int8" else (0, 0)
    if not low <= t.zero_points[0] <= high:
        raise _Unfit(f"a zero point of {low} to {high} belongs, not {t.zero_points[0]}; quantise the model again")


def _activation(scheme: str, t: Tensor) -> None:
    if t.variable or SCHEMES.get(t.dtype) != scheme:
        raise _Unfit(f"an activation of the scheme {scheme} belongs; {QUANTISE}")
    _check_step(t)


def _weights(scheme: str, t: Tensor) -> None:
    if t.data is None or t.dtype != "int8" or not t.scales or any(t.zero_points):
        raise _Unfit(f"weights stored in int8 with zero points 0 belong; {QUANTISE}")
    if len(t.scales) > 1 and t.axis != 0:
        raise _Unfit("weights with scales for each output (dimension 0) or one for all belong; quantise the model again")


def _depthwise(scheme: str, t: Tensor) -> None:
    _weights(scheme, replace(t, axis=0))
    if len(t.scales) > 1 and t.axis != 3:
        raise _Unfit("weights with scales for each channel (dimension 3) or one for all belong; quantise the model again")


def _lstm_weights(scheme: str, t: Tensor) -> None:
    _weights(scheme, t)
    if len(t.scales) > 1:
        raise _Unfit("weights with one scale belong; quantise the model again")


def _bias(scheme: str, t: Tensor) -> None:
    possible = ("int32",) if scheme == "int8" else ("int32", "int64")
    if t.data is None or t.dtype not in possible or any(t.zero_points):
        raise _Unfit(f"a bias stored in {' or '.join(possible)} with zero point 0 belongs; quantise the model again")


def _numbers(scheme: str, t: Tensor) -> None:
    if t.data is None or t.dtype not in ("int32", "int64"):
        raise _Unfit("stored int32 numbers belong (an axis, a shape); export the model with fixed sizes")


def _state(scheme: str, t: Tensor) -> None:
    if not t.variable or t.dtype not in SCHEMES or t.size > ELEMENTS_MAX:
        raise _Unfit("a state in int8 or int16 belongs; convert the model again")
    _check_step(t)


def _nothing(scheme: str, t: Tensor) -> None:
    raise _Unfit("nothing may stand: peepholes, projection and layer normalisation are not supported; train a plain LSTM")


_ROLES: dict[str, Callable[[str, Tensor], None]] = {
    "a": _activation, "w": _weights, "d": _depthwise, "l": _lstm_weights, "b": _bias, "i": _numbers, "s": _state, "n": _nothing,
}
