"""An int8 model folder for tests: the fixed shape h32, with a manifest made here (the converter's would need its training)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from _nn import MODELS, ROOT
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from nociband_convert import tflite

BENCH = ROOT / "firmware/bench/h32"
GRAPHS = ("eda", "emg", "head")


def litert_interpreter(content: bytes) -> Any:
    """LiteRT's reference kernels on a file."""
    made = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    made.allocate_tensors()
    return made


def int8_folder(into: Path, one_scale: bool = False) -> Path:
    """h32 in int8 as a model folder. `one_scale`: its dense layers with one scale of weights each."""
    files = {f"{g}.tflite": (BENCH / "int8" / f"{g}.tflite").read_bytes() for g in GRAPHS}
    if one_scale:
        files["head.tflite"] = _with_one_scale(files["head.tflite"])
    raw = json.loads((next(m for m in MODELS if m.name == "synthetic_pain5") / "manifest.json").read_text("utf-8"))
    logits = litert_interpreter(files["head.tflite"]).get_output_details()[0]["quantization"]
    raw |= {"name": "h32", "scheme": "int8", "output": {"scale": float(logits[0]), "zero_point": int(logits[1])},
            "branches": {b: {"hidden": 32, "cell_limit": 8.0} for b in ("eda", "emg")},
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}}
    into.mkdir(exist_ok=True)
    for name, content in files.items():
        (into / name).write_bytes(content)
    (into / "manifest.json").write_text(json.dumps(raw), "utf-8")
    return into


def _with_one_scale(content: bytes) -> bytes:
    model = tflite.opened(content)
    graph = model.subgraphs[0]
    dense = [i for i, c in enumerate(model.operatorCodes) if c.builtinCode == schema.BuiltinOperator.FULLY_CONNECTED]
    for op in (o for o in graph.operators if o.opcodeIndex in dense):
        ratio = None
        for number, dtype in zip(op.inputs[1:], (np.int8, np.int32), strict=True):
            tensor = graph.tensors[number]
            q, buffer = tensor.quantization, model.buffers[tensor.buffer]
            scales = np.array(q.scale, np.float64)
            ratio = scales / scales.max() if ratio is None else ratio
            values = np.asarray(buffer.data, np.uint8).view(dtype).reshape(len(scales), -1)
            buffer.data = np.rint(values * ratio[:, None]).astype(dtype).reshape(-1).view(np.uint8)
            q.scale, q.zeroPoint = [float(scales.max())], [0]
    return tflite.packed(model)
