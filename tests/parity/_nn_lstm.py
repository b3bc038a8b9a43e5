"""Shared by the tests of the int8 scheme's LSTM: graphs with random weights, their C natively and on the emulated Cortex-M4F, and
one cell in LiteRT for as many independent states as wanted."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _clib import FIRMWARE_LIB, FLAGS, INCLUDES, compile_c, objects, pointer
from _m4 import HERE, emulate
from _m4 import build as build_m4
from _nn import litert
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from nociband_convert import tflite
from nociband_convert.graphs.lstm_graph import LstmWeights, build
from nociband_convert.kernels import lstm_int8

NN = FIRMWARE_LIB / "nb_nn" / "src"
PACKINGS = ("fast", "small")


def random_weights(inputs: int, hidden: int, seed: int, size: float = 1.0) -> LstmWeights:
    """Weights as training leaves them, times `size`."""
    rng = np.random.default_rng(seed)
    return LstmWeights(size * rng.normal(0, 0.4, (4, hidden, inputs)), size * rng.normal(0, hidden**-0.5, (4, hidden, hidden)),
                       rng.normal(0, 0.5, (4, hidden)))


def window(steps: int, inputs: int, seed: int) -> np.ndarray:
    """int16 (steps, inputs): noise of any size up to far beyond int8, with stretches at both rails."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 10.0 ** rng.uniform(0, 3), (steps, inputs))
    x[steps // 3: steps // 2], x[steps // 2: steps // 2 + steps // 8] = 32767, -32768
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def expected(content: bytes, x: np.ndarray) -> np.ndarray:
    """LiteRT's hidden states, int8 (T, H), for int16 (T, n)."""
    return litert(content, [np.clip(x, -128, 127).astype(np.int8)[None]])[0]


def source(content: bytes, packing: str, folder: Path) -> str:
    """C with `lstm_run(x, hs)`; x has no other columns than the LSTM's."""
    path = folder / "lstm.tflite"
    path.write_bytes(content)
    graph = tflite.read(path)
    lstm = lstm_int8.emit("lstm", graph, packing, stride=str(graph.tensors[graph.inputs["x"]].shape[2]))
    signature = "void lstm_run(const int16_t *x, int8_t *hs)"
    return "\n".join([*lstm.constants, lstm.code, f"{signature};\n{signature}\n{{\n    {lstm.call('x', 'hs')}\n}}\n"])


def compiled(text: str, folder: Path, kernels: Sequence[str] | None = None) -> ctypes.CDLL:
    """C as a library of this machine, with nb_nn or, of it, only `kernels`."""
    (folder / "lstm.c").write_text(text)
    target, kernels = folder / "lstm.so", objects("nb_nn") if kernels is None else kernels
    compile_c(["gcc", *FLAGS, "-O1", "-shared", *INCLUDES, str(folder / "lstm.c"), *kernels, "-o", str(target)])
    return ctypes.CDLL(str(target))


def native(text: str, x: np.ndarray, hidden: int, folder: Path) -> np.ndarray:
    """What C gives on this machine, int8 (T, H)."""
    hs = np.full((len(x), hidden), 0x5A, np.int8)
    x = np.ascontiguousarray(x)
    compiled(text, folder).lstm_run(pointer(x), pointer(hs))
    return hs


def window_header(x: np.ndarray, hidden: int) -> str:
    """window.h of the programs that have the window compiled in."""
    rows = ",\n".join("{" + ",".join(map(str, row)) + "}" for row in x.tolist())
    return (f"#define STEPS {len(x)}\n#define HIDDEN {hidden}\n"
            f"static const int16_t window[{len(x)}][{x.shape[1]}] = {{\n{rows}}};\n")


def on_m4(text: str, x: np.ndarray, hidden: int, folder: Path, flags: Sequence[str]) -> np.ndarray:
    """What C gives on the emulated Cortex-M4F, int8 (T, H)."""
    (folder / "window.h").write_text(window_header(x, hidden))
    (folder / "lstm.c").write_text(text)
    emulate(build_m4([HERE / "_nn_lstm_m4.c", folder / "lstm.c"], folder, flags))
    return np.frombuffer((folder / "hs.bin").read_bytes(), np.int8).reshape(len(x), hidden)


class Cells:
    """One hidden unit in LiteRT, for `count` cells at once: each with its own gates and cell state.

    Inputs 127 (a + b + c) + d reach every int16 at each gate; recurrent weights are 0. The batch is patched into the file.
    """

    def __init__(self, count: int, cell_exponent: int, h_scale: float) -> None:
        weights = np.zeros((4, 1, 16))
        for gate in range(4):
            weights[gate, 0, 4 * gate: 4 * gate + 4] = 127, 127, 127, 1
        content = build("cells", LstmWeights(weights, np.zeros((4, 1, 1)), np.zeros((4, 1)), [1.0] * 4, [1.0] * 4), 2.0**-12,
                        h_scale, cell_exponent, 1)
        self.count = count
        self._interpreter = Interpreter(model_content=_batched(content, count), num_threads=1,
                                        experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        self._interpreter.allocate_tensors()
        self._at = {d["name"]: d["index"] for d in self._interpreter.get_tensor_details()}

    def __call__(self, i: object, f: object, g: object, o: object, c: object) -> tuple[np.ndarray, np.ndarray]:
        """Gates before their curves and the cell before the step, each int16 (count,) or one for all -> (cell, hidden)."""
        x = np.concatenate([_digits(np.broadcast_to(np.asarray(v, np.int64), self.count)) for v in (i, f, g, o)], axis=1)
        self._interpreter.set_tensor(self._at["x"], x.astype(np.int8)[:, None])
        self._interpreter.set_tensor(self._at["c"], np.broadcast_to(np.asarray(c, np.int16), self.count)[:, None].copy())
        self._interpreter.set_tensor(self._at["h"], np.zeros((self.count, 1), np.int8))
        self._interpreter.invoke()
        cell, hidden = (self._interpreter.get_tensor(self._at[name]) for name in ("c", "hs"))
        return cell[:, 0].astype(np.int64), hidden[:, 0, 0].astype(np.int64)


def _digits(v: np.ndarray) -> np.ndarray:
    quotient = np.rint(v / 127).astype(np.int64)
    rest = v - 127 * quotient
    parts = []
    for _ in range(3):
        parts.append(np.clip(quotient, -127, 127))
        quotient = quotient - parts[-1]
    assert not quotient.any()
    return np.stack([*parts, rest], axis=1)


def _batched(content: bytes, count: int) -> bytes:
    model = tflite.opened(content)
    for tensor in model.subgraphs[0].tensors:
        if tensor.name in (b"x", b"h", b"c", b"hs"):
            tensor.shape = [count, *tensor.shape.tolist()[1:]]
    return tflite.packed(model)
