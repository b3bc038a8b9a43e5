"""Files for the reader's tests: good ones, and how to change them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from _nn import one_op, schema
from _tflite_seeds import options, seeds

from nociband.errors import ModelError
from nociband_convert import tflite

PLAIN = [((1, 4), 1e-4), ((1, 4), 1e-4)]
SECONDS_MAX = 2.0
GOOD = seeds()


def changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    """`content` after `change(model)`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    change(model)
    return packed(model)


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def add(**chosen: object) -> bytes:
    return one_op("ADD", PLAIN, ((1, 4), 1e-4), options=options("Add", **{"potScaleInt16": False, **chosen}))


def refused(path: Path, content: bytes, words: str) -> None:
    """`content` is refused with these words, the file's name, and quickly."""
    path.write_bytes(content)
    begin = time.process_time()
    with pytest.raises(ModelError, match=words) as e:
        tflite.read(path)
    assert time.process_time() - begin < SECONDS_MAX
    assert path.stem in str(e.value)


def without_options(model: Any) -> None:
    operator = model.subgraphs[0].operators[0]
    operator.builtinOptions, operator.builtinOptionsType = None, 0
