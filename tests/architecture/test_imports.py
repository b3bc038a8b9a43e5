"""Who may import whom: the two tables of the architecture, enforced on the source as it stands.

Reads every import statement (also inside functions) of the Python packages and every #include of the firmware.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SDK, CONVERTERS, HOST_TOOLS = ROOT / "sdk/nociband", ROOT / "converters/nociband_convert", ROOT / "host_tools/nociband_tools"

_BASE = {"spec", "errors", "records", "manifest"}
_SIGNALS = _BASE | {"signals", "dsp"}
# room -> rooms inside the project that it may import (its own room is always allowed)
ROOMS = {
    "errors": set(), "spec": {"errors"}, "records": {"spec", "errors"}, "manifest": {"spec", "errors"},
    "signals": _BASE | {"dsp"}, "dsp": _BASE,
    "windows": _BASE | {"dsp"},
    "models": _SIGNALS | {"windows", "vision", "audio"},
    "training": _SIGNALS | {"windows", "vision", "audio", "models"},
    "evaluation": _SIGNALS | {"windows", "models", "training"},
    "inference": _BASE,
    "wire": _BASE,
    "band": _BASE | {"wire"},
    "vision": _BASE | {"inference"}, "audio": _BASE | {"inference"}, "fusion": _BASE | {"inference"},
    "store": _BASE | {"wire"},
}
CONVERTERS_MAY = _BASE | {"dsp", "windows", "models", "inference"}
# third-party module -> rooms that may import it
THIRD_PARTIES = {
    "scipy": {"dsp", "signals", "training", "evaluation"}, "sklearn": {"training", "evaluation"}, "threadpoolctl": {"evaluation"},
    "ray": {"evaluation"}, "matplotlib": {"evaluation", "host_tools/bench"}, "jinja2": {"evaluation"}, "cycler": {"evaluation"},
    "tensorboard": {"training"},
    "torch": {"models", "training", "converters"},
    "tensorflow": {"converters"}, "tf_keras": {"converters"}, "onnx": {"converters"}, "onnx2tf": {"converters"},
    "bleak": {"band", "host_tools/radio"},
    "bumble": {"host_tools/radio"},
    "cv2": {"vision"}, "mediapipe": {"vision"},
    "fastapi": {"host_tools/monitor"}, "uvicorn": {"host_tools/monitor"}, "cryptography": {"host_tools/monitor"},
    "ai_edge_litert": {"inference", "converters"}, "skimage": {"vision"}, "pooch": {"signals"},
}


def _imports(path: Path) -> set[str]:
    """Absolute dotted names that a file imports, with `from a import b` as a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import; the project writes absolute ones"
            names |= {f"{node.module}.{a.name}" for a in node.names}
    return names


def _room(path: Path) -> str:
    for base, prefix in ((SDK, ""), (CONVERTERS, "converters"), (HOST_TOOLS, "host_tools")):
        if path.is_relative_to(base):
            first = path.relative_to(base).parts[0].removesuffix(".py")
            return first if not prefix else prefix if prefix == "converters" else f"{prefix}/{first}"
    raise AssertionError(path)


def _files() -> list[Path]:
    return [p for base in (SDK, CONVERTERS, HOST_TOOLS) for p in sorted(base.rglob("*.py")) if p.stat().st_size]


@pytest.mark.parametrize("path", _files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_what_its_room_may(path: Path) -> None:
    room = _room(path)
    for name in _imports(path):
        top, *rest = name.split(".")
        if top == "nociband" and rest and not room.startswith("host_tools") and path != SDK / "__init__.py":
            allowed = CONVERTERS_MAY if room == "converters" else ROOMS[room] | {room}
            assert rest[0] in allowed, f"{path}: {room} may not import nociband.{rest[0]}"
        assert top not in ("nociband_tools", "nociband_convert") or room.startswith(("host_tools", "converters")), \
            f"{path}: the SDK does not import tools"
        if top in THIRD_PARTIES:
            assert room in THIRD_PARTIES[top], f"{path}: {top} belongs to {sorted(THIRD_PARTIES[top])}"


def test_importing_nociband_needs_no_extra() -> None:
    heavy = ["torch", "tensorflow", "cv2", "bumble", "scipy", "mediapipe", "fastapi", "ai_edge_litert", "bleak"]
    code = f"import sys, nociband, nociband.records, nociband.wire; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


_LIB_ORDER = ["nb_spec", "nb_dsp", "nb_window", "nb_nn", "nb_model", "nb_wire", "nb_store", "nb_band", "nb_bridge"]
_C_STANDARD = {"stdint.h", "stdbool.h", "stddef.h", "string.h", "limits.h", "assert.h", "inttypes.h", "math.h"}
_FORBIDDEN_C = re.compile(r"\b(malloc|calloc|realloc|free|printf)\s*\(")


def _libs() -> list[Path]:
    return sorted(p for p in (ROOT / "firmware/lib").rglob("*") if p.suffix in (".c", ".h"))


def test_firmware_libraries_exist() -> None:
    found = {p.relative_to(ROOT / "firmware/lib").parts[0] for p in _libs()}
    assert found >= {"nb_spec", "nb_dsp", "nb_window", "nb_nn", "nb_wire", "nb_band"}


@pytest.mark.parametrize("path", _libs(), ids=lambda p: p.name)
def test_a_firmware_library_includes_only_c11_and_earlier_libraries(path: Path) -> None:
    lib = path.relative_to(ROOT / "firmware/lib").parts[0]
    text = path.read_text("utf-8")
    owners = {p.name: p.relative_to(ROOT / "firmware/lib").parts[0] for p in _libs() if p.suffix == ".h"}
    for name in re.findall(r'#\s*include\s*[<"]([^>"]+)[>"]', text):
        if name in _C_STANDARD:
            assert name != "math.h", f"{path}: no floating point on the band's path"
            continue
        if name == "arm_acle.h":  # the compiler's own, of the processor's instructions
            assert path.name == "nb_nn_simd.h", f"{path}: instructions by name belong in nb_nn_simd.h"
            continue
        assert name in owners, f"{path}: includes {name}, which no library has"
        assert _LIB_ORDER.index(owners[name]) <= _LIB_ORDER.index(lib), f"{path}: {lib} may not include {name} of {owners[name]}"
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    assert not _FORBIDDEN_C.search(code), f"{path}: no heap and no printf in portable libraries"
