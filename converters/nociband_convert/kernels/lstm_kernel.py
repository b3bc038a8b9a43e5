"""Packs an LSTM step's weights for nb_nn_lstm, and writes them, their tables and the step itself as C.

From lstm (the step found in an int16x8 graph) to branch. Every value is LiteRT's: what the kernel's arithmetic relies on is
checked here, and a graph whose scales do not have that form is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nociband.errors import ModelError
from nociband_convert.arithmetic import activation, quantise
from nociband_convert.c_text import c_array, c_scale
from nociband_convert.graphs.lstm import LstmStep
from nociband_convert.kernels import assembly

Packing = Literal["fast", "small"]
SIGMOID_REACH, TANH_REACH, CELL_SEGMENTS = 1024, 512, 256
UNITS_MIN = 4
_STEPS_A_UNIT = 12288  # of LiteRT's sigmoid table
_KEPT = quantise.Scale(1 << 30, -14)


@dataclass(frozen=True, eq=False)
class Kernel:
    """The integers of a step. Arrays: `weights` (4, units, inputs + units) int8, `biases` and `multipliers` (4, units) int64."""

    inputs: int
    weights: np.ndarray
    biases: np.ndarray
    multipliers: np.ndarray
    right: int
    gate_scale: float
    cell_factor: int
    added: quantise.Scale
    hidden: quantise.Scale

    @property
    def units(self) -> int:
        """Hidden units."""
        return self.weights.shape[1]

    @property
    def padded_inputs(self) -> int:
        """Channels of x in a row: an even count."""
        return self.inputs + self.inputs % 2

    @property
    def row(self) -> int:
        """int16 in a row: x, h, c, an even count."""
        return self.padded_inputs + 2 * self.units

    @property
    def macs(self) -> int:
        """Multiply-accumulates a step."""
        return self.weights.size


def read(step: LstmStep) -> Kernel:
    """The step's integers. Raises ModelError for scales that nb_nn_lstm does not have."""
    tensors = step.graph.tensors
    scale = {n: tensors[getattr(step, n)].scale for n in ("x", "h", "c", "h_next", "c_next", "kept", "added", "joined")}
    gates = {tensors[t].scale for t in step.preactivations}
    if len({scale[n] for n in ("x", "h", "h_next", "joined")}) != 1 or len(gates) != 1:
        raise _unfit(step, "x, h and what joins them, and the four gates, must have one scale each")
    cell = scale["c"]
    factor = cell * _STEPS_A_UNIT
    if {scale[n] for n in ("c_next", "kept", "added")} != {cell} or factor not in (3.0, 6.0, 12.0, 24.0, 48.0):
        raise _unfit(step, f"the cell's step of {cell} is not one power of two from 2^-12 to 2^-8 throughout")
    gate_scale = gates.pop()
    if gate_scale * _STEPS_A_UNIT * (TANH_REACH - 1) < 255 * 256:
        raise _unfit(step, f"the gates' step of {gate_scale} is too fine for their tables")
    if step.units % 2 or step.units < UNITS_MIN:
        raise _unfit(step, f"the kernels take an even number of hidden units, {UNITS_MIN} at least, not {step.units}")
    weights, biases, multipliers, right = _layers(step, scale["x"], gate_scale)
    unit = 2.0**-15
    added = quantise.mul(unit, unit, cell)
    if quantise.mul(unit, cell, cell) != _KEPT or added.multiplier != 1 << 30:
        raise _unfit(step, "the cell's products do not rescale by powers of two")
    return Kernel(step.inputs, weights, biases, multipliers, right, gate_scale, int(factor), added,
                  quantise.mul(unit, unit, scale["h_next"]))


def _layers(step: LstmStep, x: float, gate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Weights, biases, 15-bit multipliers and their common shift: each channel's factor is multiplier / 2^(16 + right)."""
    tensors = step.graph.tensors
    weights, biases, factors = [], [], []
    for op in step.gates:
        w, b = (tensors[t] for t in op.inputs[1:3])
        if w.data is None or b.data is None or w.dtype != "int8" or len(w.scales) != step.units:
            raise _unfit(step, "a gate's weights are not stored as int8 with a scale for each unit")
        channels = [quantise.quantise_multiplier(x * s / gate) for s in w.scales]
        weights.append(w.data)
        biases.append(b.data)
        factors.append([(c.multiplier, 31 - c.shift) for c in channels])
    stacked = np.stack(weights), np.stack(biases).astype(np.int64)
    if abs(stacked[1].astype(float)).max() > quantise.INT32_MAX:  # as float: the magnitude of -2^63 is no int64
        raise _unfit(step, "a bias does not fit 32 bits")
    largest = np.abs(stacked[0].astype(np.int64)).sum(2) * quantise.INT16_MAX_MAGNITUDE + np.abs(stacked[1])
    if largest.max() > quantise.INT32_MAX:
        raise _unfit(step, "a sum of products can leave 32 bits")
    shift = max(s - _trailing_zeros(m) for gate_factors in factors for m, s in gate_factors)
    whole = np.array([[m << (shift - s) if shift >= s else m >> (s - shift) for m, s in row] for row in factors], np.int64)
    if whole.max() >= 1 << 15 or not 17 <= shift <= 47:
        raise _unfit(step, "the weights' scales are not whole multiples of one power of two below 2^15")
    if not (whole % 2).all() or whole.min() <= 2 * SIGMOID_REACH:
        raise _unfit(step, "a gate's sum can lie half way between two steps, where LiteRT and the kernel round apart")
    return *stacked, whole, shift - 16


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1


def _unfit(step: LstmStep, why: str) -> ModelError:
    return ModelError(f"{step.graph.name}: {why}; convert the model again from build/models (`nociband convert`)")


# --- packing -------------------------------------------------------------------------------------------------------------


def pack(kernel: Kernel, packing: Packing) -> np.ndarray:
    """The stream that nb_nn_lstm.h describes, as uint32."""
    values = np.zeros((4, kernel.units, -(-(kernel.padded_inputs + kernel.units) // 4) * 4), np.int64)
    values[:, :, :kernel.inputs] = kernel.weights[:, :, :kernel.inputs]
    values[:, :, kernel.padded_inputs:kernel.padded_inputs + kernel.units] = kernel.weights[:, :, kernel.inputs:]
    if packing == "fast":
        pairs = words(kernel, packing)
        packed = values[:, :, 0:2 * pairs:2] & 0xFFFF | (values[:, :, 1:2 * pairs:2] & 0xFFFF) << 16
    else:
        b = values & 0xFF
        packed = b[:, :, 0::4] | b[:, :, 2::4] << 8 | b[:, :, 1::4] << 16 | b[:, :, 3::4] << 24
    m = kernel.multipliers
    stream = [np.concatenate([kernel.biases[:, u] & 0xFFFFFFFF, packed[:, u].T.reshape(-1),
                              [m[0, u] | m[1, u] << 16, m[2, u] | m[3, u] << 16]]) for u in range(kernel.units)]
    return np.concatenate(stream).astype(np.uint32)


def words(kernel: Kernel, packing: Packing) -> int:
    """Weight words a gate and unit."""
    return -(-(kernel.padded_inputs + kernel.units) // (2 if packing == "fast" else 4))


# --- as C ----------------------------------------------------------------------------------------------------------------


def table_constants(scales: Sequence[float]) -> list[str]:
    """The tables of the gates, one pair a scale in use, and of the cell's tanh. Names: `table_names`."""
    lines = []
    for number, scale in enumerate(dict.fromkeys(scales)):
        for name, reach, values in (("sigmoid", SIGMOID_REACH, activation.logistic), ("tanh", TANH_REACH, activation.tanh)):
            lines.append(c_array(f"int16_t {name}_{number}[]", values(np.arange(-reach, reach), scale).tolist()))
    rows = activation.tanh_lines(-CELL_SEGMENTS, CELL_SEGMENTS - 1)
    signed = (rows & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    lines.append(c_array("int32_t cell_tanh[][2]", (f"{{{_c_int(b)}, {s}}}" for b, s in signed.tolist())))
    return lines


def _number(scale: float, scales: Sequence[float]) -> int:
    return list(dict.fromkeys(scales)).index(scale)


def sigmoid(scale: float, scales: Sequence[float]) -> str:
    """C that points to the middle of a sigmoid's table, `scales` being those given to table_constants."""
    return f"sigmoid_{_number(scale, scales)} + {SIGMOID_REACH}"


def _c_int(value: int) -> str:
    return "INT32_MIN" if value == -(2**31) else str(value)


def constants(name: str, kernel: Kernel, packing: Packing, scales: Sequence[float]) -> list[str]:
    """The stream and the nb_nn_lstm_t `<name>_lstm` as C, `scales` being those given to table_constants."""
    stream = pack(kernel, packing)
    fields = {
        "stream": f"{name}_stream", "sigmoid": sigmoid(kernel.gate_scale, scales),
        "tanh": f"tanh_{_number(kernel.gate_scale, scales)} + {TANH_REACH}",
        "cell_tanh": f"cell_tanh + {CELL_SEGMENTS}", "added": c_scale(kernel.added), "hidden": c_scale(kernel.hidden),
        "units": kernel.units, "row": kernel.row, "inputs": kernel.padded_inputs, "words": words(kernel, packing),
        "packed": int(packing == "small"), "right": kernel.right, "cell_factor": kernel.cell_factor,
    }
    body = "\n".join(f"    .{k} = {v}," for k, v in fields.items())
    return [c_array(f"uint32_t {name}_stream[]", (f"0x{w:x}u" for w in stream.tolist())),
            f"static const nb_nn_lstm_t {name}_lstm = {{\n{body}\n}};"]


def step_function(name: str, kernel: Kernel, packing: Packing) -> str:
    """The kernel's assembly as C that defines the function `name`."""
    return assembly.lstm_step(name, assembly.Shape(
        inputs=kernel.padded_inputs, units=kernel.units, row=kernel.row, pairs=words(kernel, "fast"),
        packed=packing == "small", right=kernel.right, cell_shift=(kernel.cell_factor // 3).bit_length() - 1,
        added=kernel.added, hidden=kernel.hidden))
