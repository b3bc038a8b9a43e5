"""MEAN and REDUCE_MAX of a .tflite as AVERAGE_POOL_2D and MAX_POOL_2D, for interpreters whose kernels of the former are slow.

From lstm_graph.merge to the single files of nociband_convert.shapes. TensorFlow Lite Micro with CMSIS-NN spends a quarter less on
a window of h32 so (firmware/bench/tflm.json has both). A mean may come out one step apart: the two operations round differently.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nociband.errors import ModelError
from nociband_convert import tflite

_POOLS = {"MEAN": "AVERAGE_POOL_2D", "REDUCE_MAX": "MAX_POOL_2D"}
_VERSIONS = {"AVERAGE_POOL_2D": 2, "MAX_POOL_2D": 2, "RESHAPE": 1}


def pooled(content: bytes) -> bytes:
    """The file with every reduction of a (1, T, C) tensor over T or over C as a pooling layer between two RESHAPE.

    Raises ModelError for a reduction over something else, or one whose output has another scale than its input.
    """
    return _Pooling(content).finish()


class _Pooling:
    """A model whose operations are being replaced."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema: Any = schema
        self.model = tflite.opened(content)
        self.graph = self.model.subgraphs[0]
        self._codes: dict[str, int] = {}
        names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
        kinds = [names[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in self.model.operatorCodes]
        before, self.graph.operators = self.graph.operators, []
        for op in before:
            kind = kinds[op.opcodeIndex]
            self.graph.operators += self._pool(op, _POOLS[kind]) if kind in _POOLS else [op]

    def _pool(self, op: Any, kind: str) -> list[Any]:
        x, y = (self.graph.tensors[t] for t in (op.inputs[0], op.outputs[0]))
        axes = np.asarray(self.model.buffers[self.graph.tensors[op.inputs[1]].buffer].data, np.uint8).view(np.int32).tolist()
        scales = [(list(t.quantization.scale), list(t.quantization.zeroPoint)) for t in (x, y)]
        if len(x.shape) != 3 or axes not in ([1], [2]) or scales[0] != scales[1]:
            raise ModelError(f"a reduction of {list(x.shape)} over {axes}, or to another scale, cannot be a pooling layer")
        _, frames, channels = x.shape
        over_time = axes == [1]
        image, small, window = (([1, frames, 1, channels], [1, 1, 1, channels], (frames, 1)) if over_time
                                else ([1, frames, channels, 1], [1, frames, 1, 1], (1, channels)))
        options = self.schema.Pool2DOptionsT()
        options.padding, options.strideH, options.strideW = self.schema.Padding.VALID, 1, 1
        options.filterHeight, options.filterWidth = window
        before, after = self._like(x, image), self._like(x, small)
        pool = self._op(kind, [before], after)
        pool.builtinOptions, pool.builtinOptionsType = options, self.schema.BuiltinOptions.Pool2DOptions
        return [self._op("RESHAPE", [op.inputs[0], self._constant(image)], before), pool,
                self._op("RESHAPE", [after, self._constant(list(y.shape))], op.outputs[0])]

    def _op(self, kind: str, inputs: list[int], output: int) -> Any:
        if kind not in self._codes:
            code, number = self.schema.OperatorCodeT(), getattr(self.schema.BuiltinOperator, kind)
            code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), _VERSIONS[kind]
            self.model.operatorCodes.append(code)
            self._codes[kind] = len(self.model.operatorCodes) - 1
        op = self.schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = self._codes[kind], inputs, [output]
        return op

    def _like(self, other: Any, shape: list[int]) -> int:
        tensor = self.schema.TensorT()
        tensor.shape, tensor.type, tensor.quantization, tensor.buffer = shape, other.type, other.quantization, 0
        return self._add(tensor)

    def _constant(self, shape: list[int]) -> int:
        buffer, tensor = self.schema.BufferT(), self.schema.TensorT()
        buffer.data = np.array(shape, np.int32).view(np.uint8)
        self.model.buffers.append(buffer)
        tensor.shape, tensor.type, tensor.buffer = [len(shape)], self.schema.TensorType.INT32, len(self.model.buffers) - 1
        return self._add(tensor)

    def _add(self, tensor: Any) -> int:
        tensor.name = f"pooling_{len(self.graph.tensors)}"
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def finish(self) -> bytes:
        return tflite.packed(self.model)
