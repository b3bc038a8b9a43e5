"""The band's model on the host: LiteRT's reference kernels on the same integers, so that outputs can be compared bit for bit.

Takes a model folder (manifest.json and the three .tflite files that `nociband convert` wrote) and the windows of
nociband.windows; gives the integer logits that the band sends. What they mean is the manifest's to say.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from nociband.errors import ModelError, SpecError
from nociband.manifest import Manifest
from nociband.spec import SPEC

FRAMES: int = SPEC.features["window"]["frames"]
INPUTS = len(SPEC.model_inputs)
BRANCHES = ("eda", "emg")
GRAPHS = (*BRANCHES, "head")
_COLUMNS = {b: [i for i, f in enumerate(SPEC.model_inputs) if f.branch == b] for b in BRANCHES}


class _Graph:
    """One .tflite in LiteRT's reference kernels, its tensors by name."""

    def __init__(self, name: str, content: bytes, shapes: dict[str, tuple[int, ...]]) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        try:
            self._interpreter = Interpreter(model_content=content, num_threads=1,
                                            experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as e:
            raise SpecError(f"{name}.tflite does not load ({str(e)[:120]}); convert the model again (`nociband convert`)") from e
        details = {d["name"]: d for d in (*self._interpreter.get_input_details(), *self._interpreter.get_output_details())}
        for tensor, shape in shapes.items():
            if tensor not in details or tuple(details[tensor]["shape"]) != shape or details[tensor]["dtype"] != np.int16:
                raise SpecError(f"{name}.tflite has no int16 tensor {tensor} of shape {shape}; the folder's files do not fit")
        self._index = {n: int(d["index"]) for n, d in details.items()}

    def set(self, tensor: str, values: np.ndarray) -> None:
        """Copy values into an input."""
        self._interpreter.set_tensor(self._index[tensor], values)

    def get(self, tensor: str) -> np.ndarray:
        """A copy of an output."""
        return self._interpreter.get_tensor(self._index[tensor])

    def run(self) -> None:
        """Compute the outputs from the inputs."""
        self._interpreter.invoke()


class Model:
    """A converted model. Not safe to share between threads."""

    def __init__(self, manifest: Manifest, graphs: dict[str, bytes]) -> None:
        self.manifest = manifest
        self._hidden = {b: _hidden(manifest, b) for b in BRANCHES}
        self._graphs = {}
        for b in BRANCHES:
            state = (1, self._hidden[b])
            shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("h", "c", "h_next", "c_next"), state)
            shapes["x"] = (1, len(_COLUMNS[b]))
            self._graphs[b] = _Graph(b, graphs[b], shapes)
        ends: dict[str, tuple[int, ...]] = {f"hs_{b}": (1, FRAMES, self._hidden[b]) for b in BRANCHES}
        self._graphs["head"] = _Graph("head", graphs["head"], {**ends, "logits": (1, len(manifest.classes))})

    @classmethod
    def load(cls, folder: str | Path) -> Model:
        """Read a model folder. Raises ModelError when it is not one, SpecError when a file does not match the manifest."""
        folder = Path(folder)
        try:
            manifest = Manifest.from_json((folder / "manifest.json").read_bytes())
        except OSError as e:
            raise ModelError(f"{folder} is not a model folder: manifest.json cannot be read ({e.strerror})") from e
        return cls(manifest, {name: _verified(folder / f"{name}.tflite", manifest) for name in GRAPHS})

    def logits(self, x: np.ndarray) -> np.ndarray:
        """The model's integer output for one window.

        x: int16 (138, 6), scaled as the band does (nociband.windows). Returns int16 (classes,). Raises ModelError for
        another shape or type.
        """
        x = np.asarray(x)
        if x.shape != (FRAMES, INPUTS) or x.dtype != np.int16:
            raise ModelError(f"a window is int16 ({FRAMES}, {INPUTS}), this is {x.dtype} {x.shape}")
        head = self._graphs["head"]
        for b in BRANCHES:
            head.set(f"hs_{b}", self.states(b, x)[0][None])
        head.run()
        return head.get("logits")[0]

    def states(self, branch: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden and cell states of a branch after each frame, int16 (138, hidden) each; from zero state."""
        graph, columns = self._graphs[branch], _COLUMNS[branch]
        inputs = np.ascontiguousarray(x[:, columns])
        hs, cs = (np.empty((FRAMES, self._hidden[branch]), np.int16) for _ in range(2))
        h = c = np.zeros((1, self._hidden[branch]), np.int16)
        for t in range(FRAMES):
            graph.set("x", inputs[t:t + 1])
            graph.set("h", h)
            graph.set("c", c)
            graph.run()
            h, c = graph.get("h_next"), graph.get("c_next")
            hs[t], cs[t] = h[0], c[0]
        return hs, cs


def _hidden(manifest: Manifest, branch: str) -> int:
    size = manifest.raw["branches"].get(branch, {}).get("hidden")
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= 1024:
        raise SpecError(f"manifest: branches.{branch}.hidden is {size!r}; convert the model again (`nociband convert`)")
    return size


def _verified(path: Path, manifest: Manifest) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as e:
        raise ModelError(f"{path} cannot be read ({e.strerror}); convert the model again (`nociband convert`)") from e
    expected = manifest.raw["files"].get(path.name)
    if hashlib.sha256(content).hexdigest() != expected:
        raise SpecError(f"{path} is not the file that its manifest names (SHA-256 differs); "
                        "restore the model folder or convert the model again (`nociband convert`)")
    return content
