"""Whether the generated C gives what LiteRT's reference kernels give, bit for bit, on real and on random windows.

For `nociband bench parity`. Reference: nociband.inference.Model (BUILTIN_REF), in several processes, kept under build/parity.
The C runs on this machine and on the emulated Cortex-M4F. Compared are all eight outputs and a hash of every hidden state.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from nociband.inference import BRANCHES, GRAPHS, Model
from nociband.manifest import Manifest
from nociband_tools.bench import image, qemu, shapes
from nociband_tools.bench.kernels import RESULT, load, results
from nociband_tools.bench.windows import kept, save

TARGETS = ("native", "qemu")
OUTPUTS = 8         # NB_MODEL_OUTPUTS_MAX
_CHUNK = 100        # windows a worker takes at once
_BATCH = 2000       # windows that the emulated memory holds at once
_FACTOR = 31        # of the hash, as in trace.h

Progress = Callable[[int, int], None]       # windows done, of how many


@dataclass(frozen=True)
class Mismatch:
    """The first window that came out differently."""

    window: int
    what: str
    expected: list[int]
    got: list[int]


@dataclass(frozen=True)
class Outcome:
    """How many windows were compared, and how many differed."""

    windows: int
    mismatches: int
    first: Mismatch | None

    def to_dict(self) -> dict[str, Any]:
        """As --json has it."""
        return {"windows": self.windows, "mismatches": self.mismatches} | ({"first": vars(self.first)} if self.first else {})


def expected(folder: Path, windows: np.ndarray, progress: Progress = lambda done, of: None) -> np.ndarray:
    """What LiteRT gives for int16 windows (n, 138, 6): RESULT (n,). Read from build/parity when it has been computed before."""
    graphs = [(folder / f"{name}.tflite").read_bytes() for name in GRAPHS]
    file = kept("litert", version("ai-edge-litert").encode(), windows.tobytes(), *graphs)
    if file.is_file():
        progress(len(windows), len(windows))
        return np.load(file)
    found = np.zeros(len(windows), RESULT)
    chunks = [slice(at, at + _CHUNK) for at in range(0, len(windows), _CHUNK)]
    # Spawned, not forked: a progress bar's thread may hold a lock just then.
    workers = min(len(chunks), len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(max(1, workers), get_context("spawn"), _load, (folder,)) as pool:
        for part, result in zip(chunks, pool.map(_reference, (windows[c] for c in chunks)), strict=True):
            found[part] = result
            progress(min(part.stop, len(windows)), len(windows))
    save(file, found)
    return found


@dataclass(frozen=True)
class _Sizes:
    """What nociband.inference reads of a manifest, for graphs that come without one (the fixed shapes)."""

    name: str
    scheme: str
    classes: range
    raw: dict[str, Any]


def model_of(folder: Path) -> Model:
    """The reference of the graphs in a folder. Raises ModelError or SpecError when they do not belong together."""
    if (folder / "manifest.json").is_file():
        return Model.load(folder)
    read = shapes.graphs(folder)
    head = read["head"]
    hidden = {b: {"hidden": head.tensors[head.inputs[f"hs_{b}"]].shape[-1]} for b in BRANCHES}
    sizes = _Sizes(folder.name, head.scheme, range(head.tensors[head.outputs["logits"]].size), {"branches": hidden})
    return Model(cast(Manifest, sizes), {name: (folder / f"{name}.tflite").read_bytes() for name in GRAPHS})


_model: Model | None = None     # of a worker process


def _load(folder: Path) -> None:
    global _model
    _model = model_of(folder)


def _reference(windows: np.ndarray) -> np.ndarray:
    assert _model is not None
    found = np.zeros(len(windows), RESULT)
    logits = _model.logits_of(windows)
    found["logits"][:, :logits.shape[1]] = logits
    hidden = [_model.hidden(b, windows) for b in BRANCHES]
    found["states"] = [state_hash([hs[i] for hs in hidden]) for i in range(len(windows))]
    return found


def state_hash(states: list[np.ndarray]) -> int:
    """trace.h's hash of hidden states, (138, hidden) a branch."""
    values = np.concatenate([s.ravel() for s in states]).astype(np.int64) & 0xFFFF
    powers = np.cumprod(np.full(len(values), _FACTOR, np.uint32), dtype=np.uint32)[::-1] * np.uint32(pow(_FACTOR, -1, 1 << 32))
    return int((values.astype(np.uint32) * powers).sum(dtype=np.uint32))


def native(text: str, windows: np.ndarray, progress: Progress = lambda done, of: None) -> np.ndarray:
    """What generated C gives on this machine: RESULT (n,)."""
    with TemporaryDirectory(prefix="nociband-parity-") as name:
        library = ctypes.CDLL(str(image.build_native(text, Path(name))))
        library.trace_end.restype = ctypes.c_uint32
        found = np.zeros(len(windows), RESULT)
        x, logits = np.ascontiguousarray(windows), np.zeros(OUTPUTS, np.int16)
        for i in range(len(windows)):
            logits[:] = 0x5A5A      # outputs that the model leaves alone are to be noticed
            library.trace_begin()
            library.nb_model_run(ctypes.c_void_p(x[i].ctypes.data), ctypes.c_void_p(logits.ctypes.data))
            found[i] = logits, library.trace_end()
            if i % _CHUNK == 0:
                progress(i, len(windows))
    return found


def emulated(text: str, packing: str, windows: np.ndarray, progress: Progress = lambda done, of: None) -> np.ndarray:
    """What generated C gives on the emulated Cortex-M4F, in the build `packing`: RESULT (n,)."""
    found = np.zeros(len(windows), RESULT)
    with TemporaryDirectory(prefix="nociband-parity-") as name:
        work = Path(name)
        built = image.build_arm(text, packing, work, traced=True)
        for at in range(0, len(windows), _BATCH):
            batch = windows[at:at + _BATCH]
            qemu.emulate(built.elf, load(batch, work), work, timeout_s=30 + 0.5 * len(batch))
            found[at:at + len(batch)] = results(work, len(batch))[1]
            progress(at + len(batch), len(windows))
    return found


def compare(expected: np.ndarray, got: np.ndarray, states: bool, numbers: np.ndarray | None = None) -> Outcome:
    """Count the windows that differ in an output, or in a hidden state when `states`. `numbers`: what the windows go by."""
    outputs = (expected["logits"] != got["logits"]).any(axis=1)
    differ = outputs | ((expected["states"] != got["states"]) & states)
    if not differ.any():
        return Outcome(len(expected), 0, None)
    i = int(np.flatnonzero(differ)[0])
    key, what = ("logits", "logits") if outputs[i] else ("states", "hash of the hidden states")
    wanted, found = (np.atleast_1d(r[key][i]).tolist() for r in (expected, got))
    return Outcome(len(expected), int(differ.sum()), Mismatch(i if numbers is None else int(numbers[i]), what, wanted, found))


def states_reachable(text: str) -> bool:
    """Whether trace.c can look at the hidden states of this generated C."""
    return any(re.search(rf"\b{name}\(", text) for name in image.TRACED)
