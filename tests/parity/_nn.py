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

from nociband_tools.bench.windows import random_windows as random_windows  # the tests import it from here

ROOT = Path(__file__).resolve().parents[2]
MODELS = sorted(p.parent for p in (ROOT / "firmware/models").glob("*/manifest.json"))
OUTPUTS_MAX = 8
LIBS = ("nb_window", "nb_dsp", "nb_nn")


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


class Builder:
    """A .tflite made from the schema: add tensors and operations, then `finish`."""

    def __init__(self) -> None:
        self._model, self._graph = schema.ModelT(), schema.SubGraphT()
        self._model.version, self._model.buffers, self._model.operatorCodes = 3, [schema.BufferT()], []
        self._graph.tensors, self._graph.operators = [], []

    def tensor(self, shape: Sequence[int], dtype: str = "int16", scales: Sequence[float] = (), zero_point: int = 0,
               axis: int = 0, name: str = "") -> int:
        """A new activation; its number. More than one scale is one for each index of dimension `axis`."""
        tensor, quantization = schema.TensorT(), schema.QuantizationParametersT()
        number = len(self._graph.tensors)
        tensor.name, tensor.shape, tensor.buffer = name or f"t{number}", [int(n) for n in shape], 0
        tensor.type = getattr(schema.TensorType, dtype.upper())
        if len(scales):
            quantization.scale, quantization.zeroPoint = [float(np.float32(s)) for s in scales], [zero_point] * len(scales)
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        self._graph.tensors.append(tensor)
        return number

    def constant(self, values: np.ndarray, scales: Sequence[float] = (), zero_point: int = 0, axis: int = 0) -> int:
        """A new tensor with stored values; its number."""
        number = self.tensor(values.shape, values.dtype.name, scales, zero_point, axis)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        self._graph.tensors[number].buffer = len(self._model.buffers) - 1
        return number

    def op(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, version: int = 4) -> None:
        """A new operation after those before; -1 for an input left out."""
        op, code = schema.OperatorT(), schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, kind)
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
        op.opcodeIndex, op.inputs, op.outputs = len(self._model.operatorCodes), list(inputs), list(outputs)
        if options is not None:
            op.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
            op.builtinOptions = options
        self._model.operatorCodes.append(code)
        self._graph.operators.append(op)

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file."""
        self._graph.inputs, self._graph.outputs, self._model.subgraphs = list(inputs), list(outputs), [self._graph]
        builder = flatbuffers.Builder(4096)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def one_op(kind: str, inputs: Sequence[tuple[Any, ...]], output: tuple[Any, ...],
           constants: Sequence[tuple[Any, ...]] = (), options: Any = None, version: int = 4, dtype: str = "int16") -> bytes:
    """A .tflite with a single operation: inputs (shape, scale), then constants (values, scales), one output, all of `dtype`.

    An input's or the output's third entry is its zero point; a constant's third is the dimension of its scales.
    """
    model = Builder()

    def activation(name: str, shape: Sequence[int], scale: float, zero_point: int = 0) -> int:
        return model.tensor(shape, dtype, [scale], zero_point, name=name)

    given = [activation(f"x{i}", *x) for i, x in enumerate(inputs)]
    stored = [model.constant(values, scales, axis=rest[0] if rest else 0) for values, scales, *rest in constants]
    y = activation("y", *output)
    model.op(kind, [*given, *stored], [y], options, version)
    return model.finish(given, [y])


class LiteRt:
    """A .tflite in LiteRT's reference kernels."""

    def __init__(self, content: bytes) -> None:
        self._interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                                        num_threads=1)
        self._interpreter.allocate_tensors()

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """The first output for these inputs, from zero state."""
        self._interpreter.reset_all_variables()
        for detail, values in zip(self._interpreter.get_input_details(), inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], values)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._interpreter.get_output_details()[0]["index"])


def litert(content: bytes, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The output of a one-operation .tflite in LiteRT's reference kernels."""
    return LiteRt(content)(*inputs)


def c_ints(*values: int) -> Any:
    """Consecutive int32, as nb_nn_scale_t and its like are laid out."""
    return (ctypes.c_int32 * len(values))(*values)
