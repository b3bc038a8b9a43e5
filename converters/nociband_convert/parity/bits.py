"""Whether generated C gives the same bits as LiteRT's reference kernels, on this machine: a model, a graph, each operation alone.

From a generated C file, or a .tflite, to counts of elements that differ. The C is compiled with the host's gcc against
firmware/lib, warnings as errors; the emulated band is held to the same by `nociband bench parity`.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from nociband.errors import EnvironmentProblem
from nociband.spec import SPEC
from nociband_convert import tflite
from nociband_convert.operations import GraphWriter

FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC")
RUNS = 16
_FIRMWARE = Path(__file__).resolve().parents[3] / "firmware"
_LIBS = ("nb_spec", "nb_window", "nb_dsp", "nb_nn", "nb_model")


@dataclass(frozen=True)
class Compared:
    """`mismatches` of `elements` integers differ; `what` is an operation's kind and number, or a graph's name."""

    what: str
    elements: int
    mismatches: int


def firmware() -> Path:
    """The firmware folder of the checkout that this package runs from. Raises EnvironmentProblem when there is none."""
    if not (_FIRMWARE / "lib/nb_nn/src").is_dir():
        raise EnvironmentProblem(f"{_FIRMWARE} is not there: C can be compared only in a checkout of the repository")
    return _FIRMWARE


def compile_c(text: str, into: Path) -> ctypes.CDLL:
    """Generated C with nb_nn as a library of this machine. Raises EnvironmentProblem when gcc is missing or refuses it."""
    if shutil.which("gcc") is None:
        raise EnvironmentProblem("gcc is not installed: sudo apt-get install gcc libc6-dev")
    source, target = into / "generated.c", into / "generated.so"
    source.write_text(text, "utf-8")
    _gcc("the generated C", "-shared", str(source), *_kernels()[1], "-o", str(target))
    return ctypes.CDLL(str(target))


@cache
def _kernels() -> tuple[TemporaryDirectory[str], list[str]]:
    """nb_nn as objects, compiled once a process, and the folder that keeps them until it ends."""
    folder = TemporaryDirectory(prefix="nociband-bits-")
    objects = []
    for source in sorted((firmware() / "lib/nb_nn/src").glob("*.c")):
        objects.append(f"{folder.name}/{source.stem}.o")
        _gcc("nb_nn", "-c", str(source), "-o", objects[-1])
    return folder, objects


def _gcc(what: str, *arguments: str) -> None:
    includes = [f"-I{firmware() / 'lib' / lib / 'src'}" for lib in _LIBS]
    done = subprocess.run(["gcc", *FLAGS, *includes, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentProblem(f"gcc does not compile {what}: {done.stderr.strip()[:600]}")


def run_model(text: str, windows: np.ndarray) -> np.ndarray:
    """Logits int16 (n, NB_MODEL_OUTPUTS_MAX) of nb_model_run in `text` for int16 windows (n, 138, 6)."""
    outputs = next(f.count for f in SPEC.records["prediction"].fields if f.name == "logits")
    logits = np.full((len(windows), outputs), 0x5A5A, np.int16)
    with TemporaryDirectory(prefix="nociband-bits-") as name:
        run = compile_c(text, Path(name)).nb_model_run
        for x, y in zip(np.ascontiguousarray(windows), logits, strict=True):
            run(_pointer(x), _pointer(y))
    return logits


def compare_model(text: str, windows: np.ndarray, expected: np.ndarray) -> Compared | str:
    """nb_model_run in `text` on int16 windows (n, 138, 6) beside LiteRT's logits `expected` (n, classes).

    Where there is no gcc, or no checkout with nb_nn, it is said in words. Raises EnvironmentProblem when gcc refuses the C.
    """
    if shutil.which("gcc") is None:
        return "no gcc"
    if not (_FIRMWARE / "lib/nb_nn/src").is_dir():
        return f"no {_FIRMWARE}"
    logits = run_model(text, windows)[:, :expected.shape[1]]
    return Compared("windows", len(windows), int((logits != expected).any(1).sum()))


def compare_graph(path: Path, runs: int = RUNS, seed: int = 0) -> Compared:
    """A whole .tflite, written operation by operation, on random inputs. Raises ModelError for what nb_nn does not run."""
    return _compare([(path.stem, _part(path.read_bytes()))], runs, seed)[0]


def compare_operations(path: Path, runs: int = RUNS, seed: int = 0) -> dict[int, Compared]:
    """Each operation of a .tflite alone, by its number, on random inputs that use the whole range of its integers."""
    data = path.read_bytes()
    alone = [(f"{op.kind} ({at})", _part(data, at)) for at, op in enumerate(tflite.read(path).ops)]
    return dict(enumerate(_compare(alone, runs, seed)))


def _part(data: bytes, number: int | None = None) -> bytes:
    """The same file with operation `number` only, whose ends become the graph's; inputs are named x0, x1, outputs y0, y1."""
    model = tflite.opened(data)
    graph = model.subgraphs[0]
    if number is not None:
        op = graph.operators[number]
        stored = {i for i, t in enumerate(graph.tensors) if len(_content(model.buffers[t.buffer])) or t.isVariable}
        graph.operators, graph.outputs = [op], list(op.outputs)
        graph.inputs = list(dict.fromkeys(int(i) for i in op.inputs if i >= 0 and i not in stored))
    for kind, numbers in (("x", graph.inputs), ("y", graph.outputs)):
        for at, tensor in enumerate(numbers):
            graph.tensors[tensor].name = f"{kind}{at}"
    model.signatureDefs, model.metadata, model.metadataBuffer = [], [], None
    return tflite.packed(model)


def _content(buffer: Any) -> Any:
    return () if buffer.data is None else buffer.data


def _compare(files: Sequence[tuple[str, bytes]], runs: int, seed: int) -> list[Compared]:
    with TemporaryDirectory(prefix="nociband-bits-") as name:
        into = Path(name)
        writers = []
        for at, (_, content) in enumerate(files):
            path = into / f"graph{at}.tflite"
            path.write_bytes(content)
            graph = tflite.read(path)
            writers.append(GraphWriter(f"graph{at}", graph, [*graph.inputs, *graph.outputs]))
        library = compile_c(_program(writers), into)
        rng = np.random.default_rng(seed)
        return [_judge(what, content, getattr(library, f"run_{at}"), runs, rng) for at, (what, content) in enumerate(files)]


def _program(writers: Sequence[GraphWriter]) -> str:
    element, arena = writers[0].element, max(w.arena.size for w in writers)
    parts = ['#include <string.h>\n\n#include "nb_nn.h"\n']
    if arena:
        parts.append(f"static {element} arena[{arena}] __attribute__((aligned(4)));")
    parts += dict.fromkeys(constant for w in writers for constant in w.constants)  # LSTMs share their curve
    for at, w in enumerate(writers):
        ends = [*w.graph.inputs, *w.graph.outputs]
        signature = ", ".join(f"{'const ' if i < len(w.graph.inputs) else ''}{element} *p{i}" for i in range(len(ends)))
        calls = ", ".join(f"p{i}" for i in range(len(ends)))
        head = f"void run_{at}({signature})"
        parts += [w.function(), f"{head};", f"{head}\n{{\n    {w.name}({calls});\n}}"]
    return "\n".join(parts) + "\n"


def _judge(what: str, content: bytes, run: Any, runs: int, rng: np.random.Generator) -> Compared:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1)
    interpreter.allocate_tensors()
    ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
    elements = mismatches = 0
    for number in range(runs):
        inputs = [_random(rng, number, d) for d in ins]
        for detail, values in zip(ins, inputs, strict=True):
            interpreter.set_tensor(detail["index"], values)
        interpreter.reset_all_variables()
        interpreter.invoke()
        outputs = [np.full(d["shape"], 0x5A, d["dtype"]) for d in outs]
        run(*map(_pointer, (*inputs, *outputs)))
        for detail, made in zip(outs, outputs, strict=True):
            expected = interpreter.get_tensor(detail["index"])
            elements, mismatches = elements + expected.size, mismatches + int((expected != made).sum())
    return Compared(what, elements, mismatches)


def _random(rng: np.random.Generator, number: int, detail: dict[str, Any]) -> np.ndarray:
    """Integers over the whole range, in the first run; then normal ones, from faint to beyond its ends."""
    limits = np.iinfo(detail["dtype"])
    shape = tuple(detail["shape"])
    if number == 0:
        return rng.integers(limits.min, limits.max + 1, shape).astype(detail["dtype"])
    spread = limits.max * 2.0 ** rng.uniform(-6, 1)
    return np.clip(np.rint(rng.normal(0, spread, shape)), limits.min, limits.max).astype(detail["dtype"])


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)
