"""What each decision of a quantisation scheme is worth: the same trained model in several integer forms, run by LiteRT.

From a trained model folder and normalised windows to logits, form by form: what onnx2tf gives by itself, then one decision more
each time, up to what the converter writes. `roundings` looks at the same from the other side: the error of each rounding alone.
nociband_tools.bench.quantisation judges what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nociband.models import s0_int8
from nociband.models.s0 import S0, LstmStep
from nociband.models.s0_int8 import Range, RoundedS0
from nociband_convert import calibration, tflite, to_onnx, to_tflite
from nociband_convert import source as source_module
from nociband_convert.graphs import int8, lstm, scales
from nociband_convert.source import Trained

BRANCHES: Mapping[str, slice] = s0_int8.BRANCHES
NARROW_CELL = 8.0  # of the forms without a calibrated cell: the range of LiteRT's gates
ROUNDINGS = ("x", "hidden", "cell", "weights", "weights_head", "attention", "sigmoid", "weighted", "weigh", "joined", "logits")


@dataclass(frozen=True, eq=False)
class Form:
    """One integer form: `name`, `decision` (what it adds to the one before), `run`: normalised windows (n, 138, 6) to logits."""

    name: str
    scheme: str
    decision: str
    run: Callable[[np.ndarray], np.ndarray]


def floating(trained: Trained, x: np.ndarray) -> np.ndarray:
    """Logits (n, classes) of the trained network, in floating point."""
    return _float_logits(trained.network, torch.from_numpy(x)).numpy()


def forms(trained: Trained, work: Path, tuned: S0 | None) -> list[Form]:
    """Every form, in order, of both schemes; the last of a scheme without a `tuned` network is what `nociband convert` writes.

    `work`: an empty folder for what onnx2tf writes.
    """
    known = calibration.calibrate(trained)
    onnx = to_onnx.export(trained.network, work)
    plain8 = to_tflite.convert_all(onnx, known.inputs, work, "int8")
    plain16 = to_tflite.convert_all(onnx, known.inputs, work, "int16x8")
    x = torch.from_numpy(trained.normalised(trained.train))
    full = s0_int8.calibrate(trained.network, x)
    full = replace(full, cell_limit={b: max(known.cell_limit[b], full.cell_limit[b]) for b in BRANCHES})
    unclipped = _unclipped(trained.network, full, x)
    narrow = replace(unclipped, cell_limit=dict.fromkeys(BRANCHES, NARROW_CELL))
    shared = replace(narrow, tensors={**narrow.tensors, "hidden": full.tensors["x"]})

    def whole(network: S0, ranges: s0_int8.Ranges) -> Callable[[np.ndarray], np.ndarray]:
        return _Windowed(int8.graphs(network, ranges, plain8["head"]))

    limit = trained.network.config.input_limit
    own16 = {b: scales.finish_step(plain16[b], LstmStep(trained.network.lstm(b)), known.cell_limit[b], limit) for b in BRANCHES}
    own16["head"] = scales.finish_head(plain16["head"], limit)
    own16_files = {name: work / f"{name}_finished.tflite" for name in own16}
    for name, content in own16.items():
        own16_files[name].write_bytes(content)
    made = [
        Form("step", "int8", "explicit gates, as onnx2tf quantises them: int8 cell, x and h on one scale",
             _Stepped(plain8)),
        Form("lstm", "int8", "LiteRT's LSTM: 16-bit gates and cell (of +-8); x and h still on one scale",
             whole(trained.network, shared)),
        Form("h", "int8", "h on a scale of its own, 1/128", whole(trained.network, narrow)),
        Form("cell", "int8", "the cell's limit from calibration", whole(trained.network, unclipped)),
        Form("logits", "int8", "the range of the logits that changes probabilities least", whole(trained.network, full)),
    ]
    if tuned is not None:
        ranges = s0_int8.calibrate(tuned, x)
        ranges = replace(ranges, cell_limit={b: max(known.cell_limit[b], ranges.cell_limit[b]) for b in BRANCHES})
        made.append(Form("tuned", "int8", "quantisation-aware fine-tuning", whole(tuned, ranges)))
    return [*made,
            Form("step", "int16x8", "explicit gates, as onnx2tf quantises them", _Stepped(plain16)),
            Form("scales", "int16x8", "x and h on one scale, the cell on a power of two, gates on x's times one",
                 _Stepped(own16_files))]


def load(folder: Path) -> tuple[Trained, S0 | None]:
    """A trained model, and its fine-tuned network when there is one beside it."""
    trained = source_module.load(folder)
    return trained, int8.tuned_network(folder, trained.network.config)


def roundings(trained: Trained, x: np.ndarray) -> dict[str, float]:
    """Error in logits of each of int8's roundings alone, of all, and of all but the logits': rms over windows x, predicted in
    torch, as a share of the logits' spread. Beside them what a cell state of 8 bits would cost. The logits' range is that of
    all that occur: clipping is no error of rounding."""
    calibrated = torch.from_numpy(trained.normalised(trained.train))
    ranges = _unclipped(trained.network, s0_int8.calibrate(trained.network, calibrated), calibrated)
    windows = torch.from_numpy(x)
    exact = _float_logits(trained.network, windows)

    def error(form: type[RoundedS0], left_out: set[str]) -> float:
        with torch.no_grad():
            got = form(trained.network, ranges, left_out)(windows)
        return float((got - exact).square().mean().sqrt() / exact.std())

    alone = {name: error(RoundedS0, set(ROUNDINGS) - {name}) for name in ROUNDINGS}
    return {"all": error(RoundedS0, set()), "all but logits": error(RoundedS0, {"logits"}), **alone,
            "cell, 8 bits": error(_CoarseCell, set(ROUNDINGS) - {"cell"})}


class _CoarseCell(RoundedS0):
    """With a cell state of 8 bits in place of 16, as explicit int8 gates have it."""

    def _activation(self, name: str, value: torch.Tensor) -> torch.Tensor:
        kind, _, branch = name.partition("_")
        if kind == "cell" and kind not in self.exact:
            return s0_int8.on(value, s0_int8.symmetric(self.ranges.cell_limit[branch] / s0_int8.CELL_MARGIN))
        return super()._activation(name, value)


def _unclipped(network: S0, ranges: s0_int8.Ranges, x: torch.Tensor) -> s0_int8.Ranges:
    logits = _float_logits(network, x)
    every = Range(min(0.0, logits.min().item()), max(0.0, logits.max().item()))
    return replace(ranges, tensors={**ranges.tensors, "logits": every})


def _float_logits(network: S0, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network(*(x[:, :, columns] for columns in BRANCHES.values()))


class _Graph:
    """A .tflite in LiteRT's reference kernels that takes and gives real numbers, rounded to its tensors' steps."""

    def __init__(self, content: bytes, batch: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._run = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        for d in self._run.get_input_details() if batch > 1 else ():
            self._run.resize_tensor_input(d["index"], [batch, *d["shape"][1:]])
        self._run.allocate_tensors()
        self._in = {_plain(d["name"]): d for d in self._run.get_input_details()}
        self._out = self._run.get_output_details()
        self.outputs = [int(d["index"]) for d in self._out]

    def __call__(self, **values: np.ndarray) -> list[np.ndarray]:
        """Real-valued inputs by name to real-valued outputs in the graph's order; a state inside begins at zero."""
        self._run.reset_all_variables()
        for name, value in values.items():
            d = self._in[name]
            scale, zero = d["quantization"]
            info, steps = np.iinfo(d["dtype"]), value.astype(np.float64) / scale
            integers = np.copysign(np.floor(np.abs(steps) + 0.5), steps) + zero
            self._run.set_tensor(d["index"], np.ascontiguousarray(np.clip(integers, info.min, info.max).astype(d["dtype"])))
        self._run.invoke()
        return [self._real(d) for d in self._out]

    def _real(self, tensor: dict[str, Any]) -> np.ndarray:
        scale, zero = tensor["quantization"]
        return (self._run.get_tensor(tensor["index"]).astype(np.float64) - zero) * scale


def _plain(name: str) -> str:
    return name.removeprefix("serving_default_").removesuffix(":0")


class _Windowed:
    """Branches that are LSTMs over a whole window."""

    def __init__(self, graphs: Mapping[str, bytes]) -> None:
        self.files = graphs
        self._graphs = {name: _Graph(content) for name, content in graphs.items()}

    def __call__(self, x: np.ndarray) -> np.ndarray:
        rows = []
        for window in x:
            hs = {f"hs_{b}": self._graphs[b](x=window[None, :, c])[0] for b, c in BRANCHES.items()}
            rows.append(self._graphs["head"](**hs)[0][0])
        return np.stack(rows)


class _Stepped:
    """Branches that are steps. States are carried in real numbers: where one comes out on another scale than it goes in, whoever
    runs such a graph has to requantise, and so it is done here."""

    def __init__(self, graphs: Mapping[str, Path]) -> None:
        self._files = graphs

    def __call__(self, x: np.ndarray) -> np.ndarray:
        hs = {f"hs_{b}": self._states(self._files[b], x[:, :, c]) for b, c in BRANCHES.items()}
        head = _Graph(self._files["head"].read_bytes())
        return np.stack([head(**{n: v[i:i + 1] for n, v in hs.items()})[0][0] for i in range(len(x))])

    def _states(self, file: Path, x: np.ndarray) -> np.ndarray:
        graph, step = _Graph(file.read_bytes(), batch=len(x)), lstm.find(tflite.read(file))
        at = {n: graph.outputs.index(getattr(step, n)) for n in ("h_next", "c_next")}
        h = c = np.zeros((len(x), step.units))
        out = []
        for t in range(x.shape[1]):
            results = graph(x=x[:, t], h=h, c=c)
            h, c = results[at["h_next"]], results[at["c_next"]]
            out.append(h)
        return np.stack(out, axis=1)
