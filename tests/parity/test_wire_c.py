"""The firmware's frames against the shared vectors: nb_wire in C builds the very bytes of tests/vectors/wire.json."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path

import numpy as np
import pytest
from _clib import compile_libs, pointer

HERE = Path(__file__).parent
VECTORS = json.loads((HERE.parent / "vectors/wire.json").read_text("utf-8"))["frames"]


@pytest.fixture(scope="module")
def lib(tmp_path_factory) -> ctypes.CDLL:
    return compile_libs(("nb_wire",), tmp_path_factory.mktemp("wire"), [HERE / "_wire_shim.c"])


def build(lib: ctypes.CDLL, vector: dict) -> bytes:
    """The frame that the C code makes of a vector's fields."""
    f, name = vector["fields"], vector["name"]
    stamp = ctypes.c_uint8(vector["epoch"]), ctypes.c_uint32(vector["seq"]), ctypes.c_uint64(vector["t_us"])
    out = ctypes.create_string_buffer(512)
    make = getattr(lib, f"shim_{name}")
    make.restype = ctypes.c_uint16
    arrays = [np.array(v, np.uint16 if key == "eda_counts" else np.int16) for key, v in f.items() if isinstance(v, list)]
    numbers = [v for v in f.values() if not isinstance(v, list)]
    if name in ("prediction", "status"):
        values = [pointer(table := np.array(numbers, np.uint32))]
    else:
        table, values = None, [ctypes.c_uint32(numbers[0])]
    bytes_made = make(*stamp, *values, *map(pointer, arrays), out)
    del table
    return out.raw[:bytes_made]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['name']}-{v['seq']}")
def test_the_firmware_builds_the_vectors(lib, vector) -> None:
    assert build(lib, vector).hex() == vector["hex"]
