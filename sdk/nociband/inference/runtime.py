"""Which TensorFlow Lite runtime computes on this machine, after a test that it computes as the band does, to the last bit.

Two Python packages can run a .tflite: ai-edge-litert and the older tflite-runtime. Both have several sets of kernels, and not
all of those give the same integers. So each is first given selftest.json: one graph a scheme with every operation that a model
consists of, and SHA-256 of what it must give. The first set of kernels that gives it is the one that models run on.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from nociband.errors import EnvironmentProblem, SpecError

SCHEMES = ("int16x8", "int8")
ROUNDS = 6      # of different inputs through a self-test's graph
_PACKAGES = (("ai-edge-litert", "ai_edge_litert.interpreter"), ("tflite-runtime", "tflite_runtime.interpreter"))
_KERNELS = ("BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES")
_ADVICE = "pip install 'ai-edge-litert>=2.1'"


@dataclass(frozen=True)
class Runtime:
    """A runtime that has passed the self-test of a scheme: package, version, and the set of its kernels that did."""

    package: str
    version: str
    kernels: str
    module: Any

    def __str__(self) -> str:
        return f"{self.package} {self.version} ({self.kernels})"

    def interpreter(self, content: bytes) -> Any:
        """An interpreter of one .tflite, tensors allocated. Raises ValueError or RuntimeError for a file that it cannot run."""
        resolver = self.module.OpResolverType[self.kernels]
        made = self.module.Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=resolver)
        made.allocate_tensors()
        return made


class Graph:
    """One .tflite on a runtime, its tensors by name."""

    def __init__(self, runtime: Runtime, name: str, content: bytes, shapes: Mapping[str, tuple[int, ...]], dtype: type) -> None:
        """`shapes`: the inputs and outputs that must be there, all of `dtype`. Raises SpecError when they are not."""
        try:
            self._interpreter = runtime.interpreter(content)
        except (ValueError, RuntimeError) as e:
            raise SpecError(f"{name}.tflite does not load ({str(e)[:120]}); convert the model again (`nociband convert`)") from e
        details = {d["name"]: d for d in (*self._interpreter.get_input_details(), *self._interpreter.get_output_details())}
        for tensor, shape in shapes.items():
            if tensor not in details or tuple(details[tensor]["shape"]) != shape or details[tensor]["dtype"] != dtype:
                raise SpecError(f"{name}.tflite has no {np.dtype(dtype).name} tensor {tensor} of shape {shape}; the folder's "
                                "files do not fit each other: convert the model again (`nociband convert`)")
        self._index = {n: int(d["index"]) for n, d in details.items()}

    def __call__(self, **inputs: np.ndarray) -> None:
        """Compute the outputs from these inputs, and from zero where the graph has a state of its own."""
        self._interpreter.reset_all_variables()
        for name, values in inputs.items():
            self._interpreter.set_tensor(self._index[name], values)
        self._interpreter.invoke()

    def get(self, tensor: str) -> np.ndarray:
        """A copy of an output."""
        return self._interpreter.get_tensor(self._index[tensor])

    def resize(self, rows: int) -> None:
        """Take so many rows at once: the first dimension of every input."""
        for detail in self._interpreter.get_input_details():
            self._interpreter.resize_tensor_input(detail["index"], (rows, *detail["shape"][1:]))
        self._interpreter.allocate_tensors()


def runtime_for(scheme: str, graphs: Iterable[bytes] = ()) -> Runtime:
    """The first runtime that computes `graphs` (.tflite files of a scheme) as the band does; each is tested once a process.

    Without graphs: the first that computes every operation so. Raises SpecError for a scheme that does not exist,
    EnvironmentProblem when no runtime is installed or none will do; its message names the operations that differ.
    """
    if scheme not in SCHEMES:
        raise SpecError(f"no scheme {scheme!r}; there are {' and '.join(SCHEMES)}")
    graphs, wrong = tuple(graphs), []
    for candidate in _installed():
        failures = differing(candidate, scheme)
        if graphs and failures:
            failures &= frozenset[str]().union(*(_operations(candidate, content) for content in graphs))
        if not failures:
            return candidate
        wrong.append(f"{candidate}: {', '.join(sorted(failures))}")
    if not wrong:
        raise EnvironmentProblem(f"no runtime for .tflite models is installed: {_ADVICE}")
    raise EnvironmentProblem(f"no runtime here computes {scheme} models as the band does; these operations differ: "
                             f"{'; '.join(wrong)}. {_ADVICE}")


def _installed() -> Iterator[Runtime]:
    for package, module_name in _PACKAGES:
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            continue
        version = importlib.metadata.version(package)
        yield from (Runtime(package, version, kernels, module) for kernels in _KERNELS)


@cache
def differing(candidate: Runtime, scheme: str) -> frozenset[str]:
    """Operations that a runtime computes otherwise in a scheme's self-test, by the names of `_operations`; else none."""
    wrong = set()
    for case in _cases()[scheme]:
        try:
            found = answers(candidate.interpreter(base64.b64decode("".join(case["graph"]))))
        except (ValueError, RuntimeError):
            found = {}
        wrong |= {name.split(":")[0] for name, digest in case["outputs"].items() if found.get(name) != digest}
    return frozenset(wrong)


def _operations(candidate: Runtime, content: bytes) -> set[str]:
    """What a .tflite consists of; dense layers with a scale a row are "FULLY_CONNECTED per channel". Empty for a damaged file."""
    try:
        interpreter = candidate.interpreter(content)
    except (ValueError, RuntimeError):
        return set()
    scales = {int(d["index"]): len(set(d["quantization_parameters"]["scales"])) for d in interpreter.get_tensor_details()}
    return {"FULLY_CONNECTED per channel" if op["op_name"] == "FULLY_CONNECTED" and scales[int(op["inputs"][1])] > 1
            else op["op_name"] for op in interpreter._get_ops_details()}


def answers(interpreter: Any) -> dict[str, str]:
    """SHA-256 of what a self-test's graph gives in ROUNDS rounds, by output."""
    digests = {d["name"]: (d["index"], hashlib.sha256()) for d in interpreter.get_output_details()}
    for number in range(ROUNDS):
        interpreter.reset_all_variables()
        for position, detail in enumerate(interpreter.get_input_details()):
            interpreter.set_tensor(detail["index"], noise(number * 16 + position, tuple(detail["shape"]), detail["dtype"]))
        interpreter.invoke()
        for index, digest in digests.values():
            digest.update(np.ascontiguousarray(interpreter.get_tensor(index)).tobytes())
    return {name: digest.hexdigest() for name, (_, digest) in digests.items()}


def noise(seed: int, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Integers over the whole range of `dtype` in a fixed order that depends on no library."""
    count = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(seed * 1_000_003 + 1)
    mixed = (count * np.uint64(0x9E3779B97F4A7C15)) ^ (count * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(29))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(40)).astype(np.uint32).astype(dtype).reshape(shape)


@cache
def _cases() -> dict[str, list[dict[str, Any]]]:
    return json.loads((files("nociband.inference") / "selftest.json").read_text("utf-8"))
