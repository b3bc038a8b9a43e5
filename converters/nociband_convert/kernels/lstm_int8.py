"""Writes LiteRT's integer LSTM over a window as C: constants and one function that calls nb_nn_lstm_int8.

From a .tflite of the int8 scheme (lstm_graph built it, tflite.read read it) to to_c. Everything is decided here: multipliers and
shifts as LiteRT has them, the order of the weights, and the proof that no accumulator overflows.

Two packings. fast: weights widened to int16 with the left shifts in them, the curve a byte a step. small: recurrent weights stay
int8, the curve is half as large. On a Cortex-M4 a step is assembly (lstm_int8_assembly), elsewhere nb_nn_lstm_int8.c.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nociband.errors import ModelError
from nociband_convert.arithmetic import lstm_curves, quantise
from nociband_convert.c_text import c_array
from nociband_convert.graphs.lstm_graph import GATES
from nociband_convert.kernels import lstm_int8_assembly as assembly
from nociband_convert.tflite import MALFORMED, Graph, Op, Tensor

PACKINGS = ("fast", "small")
SIZE_MAX = 512
"""Inputs and hidden units: the step's code grows with them, and its offsets must fit instructions."""

_BIASES, _STATE_H, _STATE_C = 12, 18, 19
_LEFT_OUT = (9, 10, 11, 16, 17, 20, 21, 22, 23)
_GATE_UNIT = np.float32(2.0**-12)
_TANH = 4
_INT8_MAGNITUDE = 128
Lefts = tuple[list[int], list[int]]

_FUNCTION = """
/* {name}: {inputs} inputs, {hidden} hidden units, {steps} steps from zero state. x: its first input of the first step. */
static void {name}(const int16_t *x, int8_t *hs)
{{
    int16_t state[NB_NN_LSTM_STATE({inputs}, {hidden})] __attribute__((aligned(4)));
#if NB_NN_DSP
    nb_nn_lstm_int8(&{name}_lstm, {name}_step, x, {stride}, {steps}, state, hs);
#else
    nb_nn_lstm_int8(&{name}_lstm, nb_nn_lstm_int8_step, x, {stride}, {steps}, state, hs);
#endif
}}"""


@dataclass(frozen=True)
class Lstm:
    """C of one LSTM. `constants` are whole definitions at file level; equal ones of two LSTMs are to be written once, before
    `code`, its function. `ram_bytes` are on the stack; `macs` are a window's; `constant_bytes` count without the shared curve,
    whose bytes are `curve_bytes`."""

    name: str
    constants: tuple[str, ...]
    code: str
    macs: int
    constant_bytes: int
    curve_bytes: int
    ram_bytes: int

    def call(self, x: str, hs: str) -> str:
        """A statement: from `x` (const int16_t *, the first input of the first step) to `hs` (int8_t [steps][hidden])."""
        return f"{self.name}({x}, {hs});"


@dataclass(frozen=True)
class _Gate:
    """One gate's weights and factors: input (H, n), recurrent (H, H), bias (H), as integers."""

    inputs: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    input_scale: quantise.Scale
    recurrent_scale: quantise.Scale


def emit(name: str, graph: Graph, packing: str, stride: str = "NB_FEATURES") -> Lstm:
    """`graph`, one UNIDIRECTIONAL_SEQUENCE_LSTM from x int8 (1, T, n) to hs int8 (1, T, H), as the C function `name`.

    `stride`: numbers of int16 from one step's inputs to the next one's. Raises ModelError for what the kernel has not: another
    operation, zero points, peepholes, projection, layer normalisation, coupled gates, a cell scale outside 2^-13 to 2^-9, sizes
    or scales that do not belong together, sums that could overflow.
    """
    if packing not in PACKINGS:
        raise ModelError(f"the packing is {packing!r}; choose one of {', '.join(PACKINGS)}")
    try:
        return _emit(name, graph, packing == "small", stride)
    except MALFORMED as e:
        raise ModelError(f"{graph.name} is damaged ({type(e).__name__}: {e}); convert the model again") from e


def _emit(name: str, graph: Graph, packed: bool, stride: str) -> Lstm:
    op = _only_op(graph)
    x, hs = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    gates = [_gate(graph, op, g) for g in range(len(GATES))]
    exponent = _cell_exponent(graph, op)
    _, steps, inputs = x.shape
    hidden = hs.shape[2]
    lefts, words = _stream(graph.name, gates, packed)
    output = quantise.quantise_multiplier(float(np.float32(2.0**-30) / np.float32(hs.scale)))
    _require(graph, output.shift <= 0, f"its hidden state has steps of {hs.scale}, too small for values up to 1")
    shape = assembly.Shape(_up(hidden, 4), _up(inputs, 2), hidden, len(words) // hidden, packed, [g.input_scale for g in gates],
                           [g.recurrent_scale for g in gates], lefts[1], output, 30 + exponent, 13 + exponent,
                           _clip(op, exponent))
    curve, curve_bytes = _curve(packed)
    constants = ['#include "nb_nn_lstm_int8.h"', '#include "nb_nn_simd.h"', *curve,
                 c_array(f"uint32_t {name}_stream[]", (f"0x{w:08X}" for w in words)), _struct(name, inputs, shape, lefts)]
    step = f"\n#if NB_NN_DSP\nnb_nn_lstm_int8_step_t {name}_step;\n{assembly.step(f'{name}_step', shape)}\n#endif"
    function = _FUNCTION.format(name=name, inputs=inputs, hidden=hidden, steps=steps, stride=stride)
    return Lstm(name, tuple(constants), step + function, 4 * hidden * (inputs + hidden) * steps, 4 * len(words), curve_bytes,
                2 * (3 * shape.columns + shape.inputs))


def _struct(name: str, inputs: int, s: assembly.Shape, lefts: Lefts) -> str:
    """The nb_nn_lstm_int8_t."""
    factors = [", ".join(_c_rescale(scale, left) for scale, left in zip(scales, shifts, strict=True))
               for scales, shifts in zip((s.input, s.recurrent), lefts, strict=True)]
    fields = {"stream": f"{name}_stream", "curve_lines": "nb_lstm_curve_lines", "curve_steps": "nb_lstm_curve_steps",
              "inputs": inputs, "hidden": s.units, "packed": int(s.packed), "cell_right": s.cell_right, "cell_left": s.cell_left,
              "clip": s.clip, "input": f"{{{factors[0]}}}", "recurrent": f"{{{factors[1]}}}", "output": _c_rescale(s.output, 1)}
    lines = [f"    .{field} = {value}," for field, value in fields.items()]
    return "\n".join([f"static const nb_nn_lstm_int8_t {name}_lstm = {{", *lines, "};"])


def _require(graph: Graph, holds: bool, what: str) -> None:
    if not holds:
        raise ModelError(f"{graph.name}: {what}; the int8 kernel runs what nociband_convert.graphs.lstm_graph.build writes")


def _only_op(graph: Graph) -> Op:
    """The LSTM, once everything about it but its numbers is checked."""
    kinds = [op.kind for op in graph.ops]
    _require(graph, kinds == ["UNIDIRECTIONAL_SEQUENCE_LSTM"], f"its operations are {', '.join(kinds) or 'none'}, not one LSTM")
    op = graph.ops[0]
    given = {i for i, t in enumerate(op.inputs) if t >= 0}
    _require(graph, not given & set(_LEFT_OUT), "its LSTM has peepholes, a projection or layer normalisation")
    needed = {*range(9), *range(_BIASES, _BIASES + 4), _STATE_H, _STATE_C}
    _require(graph, needed <= given, "its LSTM leaves out a gate's weights or biases (coupled gates)")
    _require(graph, [*graph.inputs.values()] == [op.inputs[0]] and [*graph.outputs.values()] == [op.outputs[0]],
             "it has other inputs and outputs than its LSTM")
    o = op.options
    _require(graph, not o.timeMajor and o.fusedActivationFunction == _TANH, "its LSTM is time-major or has not tanh")
    x, hs, h, c = (graph.tensors[t] for t in (op.inputs[0], op.outputs[0], op.inputs[_STATE_H], op.inputs[_STATE_C]))
    shapes = (len(x.shape), len(hs.shape), x.shape[0]) == (3, 3, 1) and hs.shape[:2] == x.shape[:2]
    _require(graph, shapes, f"its LSTM works from {x.shape} to {hs.shape}, not from (1, T, n) to (1, T, H)")
    _require(graph, max(x.shape[2], hs.shape[2]) <= SIZE_MAX, f"its LSTM has more than {SIZE_MAX} inputs or hidden units")
    _require(graph, h.shape == c.shape == (1, hs.shape[2]), f"its LSTM's states are {h.shape} and {c.shape}")
    dtypes = [t.dtype for t in (x, hs, h, c)]
    _require(graph, dtypes == ["int8", "int8", "int8", "int16"], f"its LSTM has {', '.join(dtypes)}, not int8 and an int16 cell")
    _require(graph, not any(any(t.zero_points) for t in (x, hs, h, c)), "an activation of its LSTM has a zero point")
    hidden_scale = graph.tensors[op.intermediates[4]].scales if len(op.intermediates) == 5 else ()
    _require(graph, hidden_scale == h.scales == hs.scales and len(hs.scales) == len(x.scales) == 1,
             "its LSTM's hidden state has several scales")
    return op


def _stored(graph: Graph, tensor: int, dtype: str, shape: tuple[int, ...]) -> Tensor:
    t = graph.tensors[tensor]
    fits = t.data is not None and t.dtype == dtype and t.shape == shape and len(t.scales) == 1 and not any(t.zero_points)
    _require(graph, fits, f"{t.name} is not a constant {dtype} {shape} with one scale and zero point 0")
    return t


def _gate(graph: Graph, op: Op, gate: int) -> _Gate:
    x, hs = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    inputs, hidden = x.shape[2], hs.shape[2]
    w = _stored(graph, op.inputs[1 + gate], "int8", (hidden, inputs))
    r = _stored(graph, op.inputs[5 + gate], "int8", (hidden, hidden))
    b = _stored(graph, op.inputs[_BIASES + gate], "int32", (hidden,))
    values = [np.asarray(t.data, np.int64) for t in (w, r, b)]
    return _Gate(values[0], values[1], values[2], _factor(w, x), _factor(r, hs))


def _factor(weights: Tensor, activation: Tensor) -> quantise.Scale:
    """From a sum's scale to a gate's: LiteRT multiplies in float32."""
    return quantise.quantise_multiplier(float(np.float32(weights.scale) * np.float32(activation.scale) / _GATE_UNIT))


def _cell_exponent(graph: Graph, op: Op) -> int:
    scales = graph.tensors[op.inputs[_STATE_C]].scales
    mantissa, exponent = np.frexp(scales[0]) if len(scales) == 1 else (0.0, 0)
    bits = int(exponent) - 1 + 15
    _require(graph, mantissa == 0.5 and bits in lstm_curves.TANH_INTEGER_BITS,
             f"its cell state has steps of {scales}; they must be one power of two from 2^-13 to 2^-9, a range of 4 to 64")
    return bits - 15


def _clip(op: Op, exponent: int) -> int:
    """The cell's limit in its steps, truncated as LiteRT does; 0 for none."""
    return int(np.clip(np.float32(op.options.cellClip) / np.float32(2.0**exponent), 0, 32767))


def _stream(name: str, gates: list[_Gate], packed: bool) -> tuple[Lefts, list[int]]:
    """Left shifts that remain for (input, recurrent) sums, and the words: unit by unit, hidden states, biases, inputs."""
    inputs, input_left, bias = _shifted(name, "input", [g.inputs for g in gates], [g.bias for g in gates],
                                        [g.input_scale for g in gates], True)
    recurrent, recurrent_left, _ = _shifted(name, "recurrent", [g.recurrent for g in gates], [0 * g.bias for g in gates],
                                            [g.recurrent_scale for g in gates], not packed)
    parts = [_fours(recurrent) if packed else _pairs(recurrent, 4), bias.T & 0xFFFFFFFF, _pairs(inputs)]
    return (input_left, recurrent_left), [int(w) for w in np.concatenate(parts, axis=1).reshape(-1)]


def _shifted(name: str, part: str, weights: list[np.ndarray], bias: list[np.ndarray], scales: list[quantise.Scale],
             fold: bool) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Weights (4, H, columns), with the left shift before the multiplication in them if `fold`; else the shifts; biases (4, H).

    One more shift than the scale's, since the multiplication is of 32 bits where LiteRT doubles one of 31.
    """
    lefts = [1 + max(s.shift, 0) for s in scales]
    for gate, w, b, left in zip(GATES, weights, bias, lefts, strict=True):
        largest = int((np.abs(w).sum(1) * _INT8_MAGNITUDE + np.abs(b)).max())
        if largest << left > quantise.INT32_MAX or fold and int(np.abs(w).max()) << left >= quantise.INT16_MAX_MAGNITUDE:
            raise ModelError(f"{name}: the {part} sums of the {gate} gate, up to {largest}, overflow at a shift of {left}; its "
                             "scales do not fit: smaller weights, or smaller steps of its input")
    if not fold:
        return np.stack(weights), lefts, np.stack(bias)
    moved = [np.stack([v << left for v, left in zip(values, lefts, strict=True)]) for values in (weights, bias)]
    return moved[0], [0] * len(lefts), moved[1]


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _padded(w: np.ndarray, multiple: int) -> np.ndarray:
    return np.pad(w, ((0, 0), (0, 0), (0, -w.shape[2] % multiple)))


def _pairs(w: np.ndarray, multiple: int = 2) -> np.ndarray:
    """(4, H, n) -> (H, words): for each two columns the four gates' pairs of int16."""
    w = _padded(w, multiple) & 0xFFFF
    words = w[:, :, ::2] | w[:, :, 1::2] << 16
    return words.transpose(1, 2, 0).reshape(w.shape[1], -1)


def _fours(w: np.ndarray) -> np.ndarray:
    """(4, H, n) -> (H, words): for each four columns the four gates' bytes, in the order 0, 2, 1, 3."""
    w = _padded(w, 4) & 0xFF
    words = w[:, :, ::4] | w[:, :, 2::4] << 8 | w[:, :, 1::4] << 16 | w[:, :, 3::4] << 24
    return words.transpose(1, 2, 0).reshape(w.shape[1], -1)


def _c_rescale(scale: quantise.Scale, left: int) -> str:
    return f"{{{scale.multiplier}, {left}, {max(-scale.shift, 0)}}}"


def _curve(packed: bool) -> tuple[list[str], int]:
    lines, steps = lstm_curves.nibble_table() if packed else lstm_curves.byte_table()
    return [c_array("int16_t nb_lstm_curve_lines[]", lines.reshape(-1).tolist()),
            c_array("uint8_t nb_lstm_curve_steps[]", steps.tolist())], 2 * lines.size + steps.size
