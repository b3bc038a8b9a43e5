"""Functions of one int8 as tables of 256 values, asked of LiteRT's reference kernels themselves.

From operations.elementwise. LiteRT computes TANH and LOGISTIC of an int8 in the processor's floating point, whose last bit no
formula of ours can promise; with 256 inputs there is no need for one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nociband.errors import ModelError
from nociband_convert.tflite.graph import Tensor

_VERSIONS = {"RELU": 2, "RELU6": 2}


def table(kind: str, x: Tensor, y: Tensor) -> list[int]:
    """The outputs of operation `kind` for -128, ..., 127, on the scales and zero points of `x` and `y` (both int8).

    Raises ModelError when LiteRT itself refuses the operation on them.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(model_content=_model(kind, x, y), experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                                  num_threads=1)
        interpreter.allocate_tensors()
        interpreter.set_tensor(0, np.arange(-128, 128).astype(np.int8)[None])
        interpreter.invoke()
    except (RuntimeError, ValueError) as e:
        raise ModelError(f"{kind} from a step of {x.scale:g} to one of {y.scale:g} (zero points {x.zero_points[0]} and "
                         f"{y.zero_points[0]}) is refused by LiteRT: {' '.join(str(e).split())}; quantise the model again") from e
    values: list[int] = interpreter.get_tensor(1)[0].tolist()
    return values


def _model(kind: str, *ends: Tensor) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    code, op, graph, model = schema.OperatorCodeT(), schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = _VERSIONS.get(kind, 1)
    op.inputs, op.outputs = [0], [1]
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [_tensor(schema, t) for t in ends], [0], [1], [op]
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(schema: Any, like: Tensor) -> Any:
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.quantization = [1, 256], schema.TensorType.INT8, schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [like.scale], [like.zero_points[0]]
    return tensor
