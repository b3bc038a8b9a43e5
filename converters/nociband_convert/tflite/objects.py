"""A .tflite as the schema's own objects, for those who change a file: `opened`, `rename`, `packed`. `read` is for all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def opened(content: bytes) -> Any:
    """The file's ModelT."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def rename(model: Any, names: Mapping[int, str]) -> None:
    """Give tensors names by their numbers, in signatures too; drop metadata and the data that no tensor names any more."""
    for number, name in names.items():
        model.subgraphs[0].tensors[number].name = name
    for signature in model.signatureDefs or []:
        for entry in (*signature.inputs, *signature.outputs):
            entry.name = names.get(entry.tensorIndex, entry.name)
    model.metadata, model.metadataBuffer = [], None
    used = {t.buffer for g in model.subgraphs for t in g.tensors}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None


def packed(model: Any) -> bytes:
    """The file of a ModelT."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
