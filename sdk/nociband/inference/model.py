"""A converted model on the host: the same integers as on the band, so that outputs can be compared bit for bit.

Takes a model folder (manifest.json and the three .tflite files that `nociband convert` wrote) and the windows of
nociband.windows; gives the integer logits that the band sends. What they mean is the manifest's to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nociband.errors import ModelError, SpecError
from nociband.inference.runtime import Graph, runtime_for
from nociband.manifest import Manifest
from nociband.spec import SPEC

FRAMES: int = SPEC.features["window"]["frames"]
INPUTS = len(SPEC.model_inputs)
BRANCHES = ("eda", "emg")
GRAPHS = (*BRANCHES, "head")
BATCH = 256
_COLUMNS = {b: [i for i, f in enumerate(SPEC.model_inputs) if f.branch == b] for b in BRANCHES}
_INT8 = np.iinfo(np.int8)


class Model:
    """A converted model of either scheme. Not safe to share between threads.

    `runtime` says which TensorFlow Lite runtime it is computed with; see nociband.inference.runtime.
    """

    def __init__(self, manifest: Manifest, graphs: Mapping[str, bytes]) -> None:
        self.manifest = manifest
        self.runtime = runtime_for(manifest.scheme, graphs.values())
        self._dtype = np.int8 if manifest.scheme == "int8" else np.int16
        self._hidden = {b: _hidden(manifest, b) for b in BRANCHES}
        self._rows = dict.fromkeys(BRANCHES, 1)
        self._graphs = {b: Graph(self.runtime, b, graphs[b], self._branch_shapes(b), self._dtype) for b in BRANCHES}
        ends: dict[str, tuple[int, ...]] = {f"hs_{b}": (1, FRAMES, self._hidden[b]) for b in BRANCHES}
        self._graphs["head"] = Graph(self.runtime, "head", graphs["head"], {**ends, "logits": (1, len(manifest.classes))},
                                     self._dtype)

    @classmethod
    def load(cls, folder: str | Path) -> Model:
        """Read a model folder.

        Raises ModelError when it is not one, SpecError when a file does not match the manifest, EnvironmentProblem when
        no installed runtime computes it as the band does.
        """
        folder = Path(folder)
        try:
            manifest = Manifest.from_json((folder / "manifest.json").read_bytes())
        except OSError as e:
            raise ModelError(f"{folder} is not a model folder: manifest.json cannot be read ({e.strerror})") from e
        return cls(manifest, {name: verified(folder / f"{name}.tflite", manifest) for name in GRAPHS})

    def logits(self, x: np.ndarray) -> np.ndarray:
        """The model's integer output for one window.

        x: int16 (138, 6), scaled as the band does (nociband.windows); an int8 model clamps it to int8. Returns int16
        (classes,), as the band sends it. Raises ModelError for another shape or type.
        """
        x = np.asarray(x)
        if x.shape != (FRAMES, INPUTS) or x.dtype != np.int16:
            raise ModelError(f"a window is int16 ({FRAMES}, {INPUTS}), this is {x.dtype} {x.shape}")
        return self.logits_of(x[None])[0]

    def logits_of(self, windows: np.ndarray) -> np.ndarray:
        """The integer outputs for many windows, int16 (n, 138, 6) -> int16 (n, classes): `logits` of each, but quicker."""
        windows = np.asarray(windows)
        if windows.ndim != 3 or windows.shape[1:] != (FRAMES, INPUTS) or windows.dtype != np.int16:
            raise ModelError(f"windows are int16 (n, {FRAMES}, {INPUTS}), these are {windows.dtype} {windows.shape}")
        out = np.empty((len(windows), len(self.manifest.classes)), np.int16)
        head = self._graphs["head"]
        for first in range(0, len(windows), BATCH):
            hidden = {b: self.hidden(b, windows[first:first + BATCH]) for b in BRANCHES}
            for i in range(len(hidden["eda"])):
                head(**{f"hs_{b}": hs[i:i + 1] for b, hs in hidden.items()})
                out[first + i] = head.get("logits")[0]
        return out

    def hidden(self, branch: str, windows: np.ndarray) -> np.ndarray:
        """Hidden states of a branch after each frame, from zero state: int16 (n, 138, 6) -> int16 or int8 (n, 138, hidden)."""
        if self._dtype == np.int16:
            return self._steps(branch, windows)[0]
        x = np.clip(windows[:, :, _COLUMNS[branch]], _INT8.min, _INT8.max).astype(np.int8)
        graph, hs = self._graphs[branch], np.empty((len(x), FRAMES, self._hidden[branch]), np.int8)
        for i in range(len(x)):
            graph(x=x[i:i + 1])
            hs[i] = graph.get("hs")[0]
        return hs

    def states(self, branch: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden and cell states of a branch after each frame of one window, int16 (138, hidden) each; from zero state.

        Raises ModelError for an int8 model, whose graph keeps its cell states to itself.
        """
        if self._dtype != np.int16:
            raise ModelError(f"{self.manifest.name} is an int8 model: its graphs do not give cell states; see `hidden`")
        hs, cs = self._steps(branch, np.asarray(x)[None])
        return hs[0], cs[0]

    def _steps(self, branch: str, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The step graph over all frames, a row a window."""
        graph, rows = self._graphs[branch], len(windows)
        if rows != self._rows[branch]:
            graph.resize(rows)
            self._rows[branch] = rows
        frames = np.ascontiguousarray(windows[:, :, _COLUMNS[branch]].transpose(1, 0, 2))
        hs, cs = (np.empty((rows, FRAMES, self._hidden[branch]), np.int16) for _ in range(2))
        h = c = np.zeros((rows, self._hidden[branch]), np.int16)
        for t in range(FRAMES):
            graph(x=frames[t], h=h, c=c)
            h, c = graph.get("h_next"), graph.get("c_next")
            hs[:, t], cs[:, t] = h, c
        return hs, cs

    def _branch_shapes(self, branch: str) -> dict[str, tuple[int, ...]]:
        inputs, hidden = len(_COLUMNS[branch]), self._hidden[branch]
        if self._dtype == np.int8:
            return {"x": (1, FRAMES, inputs), "hs": (1, FRAMES, hidden)}
        return {"x": (1, inputs), **dict.fromkeys(("h", "c", "h_next", "c_next"), (1, hidden))}


def _hidden(manifest: Manifest, branch: str) -> int:
    size = manifest.raw["branches"].get(branch, {}).get("hidden")
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= 1024:
        raise SpecError(f"manifest: branches.{branch}.hidden is {size!r}; convert the model again (`nociband convert`)")
    return size


def verified(path: Path, manifest: Manifest) -> bytes:
    """A file's content. Raises ModelError when it cannot be read, SpecError when its SHA-256 is not the manifest's."""
    try:
        content = path.read_bytes()
    except OSError as e:
        raise ModelError(f"{path} cannot be read ({e.strerror}); convert the model again (`nociband convert`)") from e
    expected = manifest.raw["files"].get(path.name)
    if hashlib.sha256(content).hexdigest() != expected:
        raise SpecError(f"{path} is not the file that its manifest names (SHA-256 differs); "
                        "restore the model folder or convert the model again (`nociband convert`)")
    return content
