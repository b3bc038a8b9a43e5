"""Shared by the parity tests of the network: the shipped models, windows to run them on, and one-operation .tflite files.

A .tflite is built from the schema alone (no TensorFlow), so that each kernel can be put beside LiteRT's on any numbers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from _clib import compile_libs, pointer
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

ROOT = Path(__file__).resolve().parents[2]
MODELS = sorted(p.parent for p in (ROOT / "firmware/models").glob("*/manifest.json"))
OUTPUTS_MAX = 8
LIBS = ("nb_window", "nb_dsp", "nb_nn")


def random_windows(n: int, seed: int, frames: int = 138, inputs: int = 6) -> np.ndarray:
    """Windows int16 (n, 138, 6) of several kinds: noise from faint to full scale, drifts, steps, rails, zeros."""
    rng = np.random.default_rng(seed)
    out = np.zeros((n, frames, inputs))
    for i in range(n):
        size = 10.0 ** rng.uniform(1, 4.6)
        kind = i % 5
        noise = rng.normal(0, size, (frames, inputs))
        out[i] = (noise if kind == 0 else np.cumsum(noise / 8, 0) if kind == 1 else np.sign(noise) * 40000 if kind == 2
                  else (np.arange(frames)[:, None] > rng.integers(5, 130)) * noise[:1] if kind == 3 else noise * (i > n // 2))
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


class NativeModel:
    """A model folder's generated C, compiled for this machine with warnings as errors."""

    def __init__(self, source: Path, into: Path) -> None:
        include = f"-I{ROOT / 'firmware/lib/nb_model/src'}"
        self._run = compile_libs(LIBS, into, [source], [include]).nb_model_run

    def logits(self, x: np.ndarray) -> np.ndarray:
        """int16 (138, 6) -> int16 (8,)."""
        out = np.full(OUTPUTS_MAX, 0x5A5A, np.int16)
        x = np.ascontiguousarray(x)
        self._run(pointer(x), pointer(out))
        return out


def one_op(kind: str, inputs: Sequence[tuple[tuple[int, ...], float]], output: tuple[tuple[int, ...], float],
           constants: Sequence[tuple[np.ndarray, Sequence[float]]] = (), options: Any = None, version: int = 4) -> bytes:
    """A .tflite with a single operation: int16 inputs (shape, scale), then constants (values, scales), one int16 output."""
    model, graph, op, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    model.version, model.buffers = 3, [schema.BufferT()]
    number = getattr(schema.BuiltinOperator, kind)
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
    tensors = [_tensor(f"x{i}", shape, schema.TensorType.INT16, [scale]) for i, (shape, scale) in enumerate(inputs)]
    for values, scales in constants:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor = _tensor(f"constant{len(tensors)}", values.shape, getattr(schema.TensorType, values.dtype.name.upper()), scales)
        tensor.buffer = len(model.buffers) - 1
        tensors.append(tensor)
    tensors.append(_tensor("y", output[0], schema.TensorType.INT16, [output[1]]))
    graph.tensors, graph.operators = tensors, [op]
    graph.inputs, graph.outputs = list(range(len(inputs))), [len(tensors) - 1]
    op.inputs, op.outputs = list(range(len(tensors) - 1)), [len(tensors) - 1]
    if options is not None:
        op.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        op.builtinOptions = options
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, shape: tuple[int, ...], kind: int, scales: Sequence[float]) -> Any:
    tensor, quantization = schema.TensorT(), schema.QuantizationParametersT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, 0
    if len(scales):
        quantization.scale, quantization.zeroPoint = [float(np.float32(s)) for s in scales], [0] * len(scales)
        tensor.quantization = quantization
    return tensor


def litert(content: bytes, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The output of a one-operation .tflite in LiteRT's reference kernels."""
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def c_ints(*values: int) -> Any:
    """Consecutive int32, as nb_nn_scale_t and its like are laid out."""
    return (ctypes.c_int32 * len(values))(*values)
