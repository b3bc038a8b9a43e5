"""ONNX to integer .tflite with onnx2tf and TensorFlow's quantiser, all graphs of a model in one go.

From to_onnx and calibration to scales (int16x8) and int8. The work is done by nociband_convert.quantiser in a process of its own:
it is noisy, brings TensorFlow, and must give the same bytes each time (hash seed, no oneDNN).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nociband.errors import ModelError
from nociband_convert import manifest, tflite

_TIMEOUT_S = 600
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "", "PYTHONHASHSEED": "0"}


def convert(onnx: Path, inputs: Mapping[str, np.ndarray], work: Path, scheme: str = "int16x8") -> Path:
    """Quantise one graph; see convert_all."""
    return convert_all({onnx.stem: onnx}, {onnx.stem: inputs}, work, scheme)[onnx.stem]


def convert_all(onnx: Mapping[str, Path], inputs: Mapping[str, Mapping[str, np.ndarray]], work: Path,
                scheme: str = "int16x8") -> dict[str, Path]:
    """Quantise graphs with `inputs` (graph -> input -> rows (n, ...)) as calibration; .tflite files in `work` by graph.

    Raises ModelError with onnx2tf's last words when it fails, and when the calibration does not fit a graph.
    """
    jobs, results = [], {}
    for name, path in onnx.items():
        _check_calibration(path, inputs[name])
        rows, results[name] = {}, work / f"{name}_{scheme}.tflite"
        for port, values in inputs[name].items():
            rows[port] = str(work / f"{name}_{port}.npy")
            np.save(rows[port], values.astype(np.float32))
        jobs.append({"onnx": str(path), "scheme": scheme, "rows": rows, "result": str(results[name])})
    job = work / f"{'_'.join(onnx)}_{scheme}.json"
    job.write_text(json.dumps(jobs), "utf-8")
    _run(job, results)
    return results


def _run(job: Path, results: Mapping[str, Path]) -> None:
    command = [sys.executable, "-m", "nociband_convert.quantiser", str(job)]
    try:
        done = subprocess.run(command, cwd=job.parent, env={**os.environ, **_ENVIRONMENT}, capture_output=True, text=True,
                              timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as e:
        raise ModelError(f"onnx2tf did not finish {', '.join(results)} in {_TIMEOUT_S} s; close what else runs, and again") from e
    missing = [name for name, path in results.items() if not path.is_file()]
    if done.returncode or missing:
        words = " | ".join([line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-4:])
        raise ModelError(f"onnx2tf could not convert {(missing or list(results))[0]}.onnx (status {done.returncode}): "
                         f"{words[-400:]}")


def _check_calibration(onnx: Path, inputs: Mapping[str, np.ndarray]) -> None:
    import onnx as onnx_package

    graph = onnx_package.load(str(onnx)).graph
    expected = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in graph.input}
    if set(expected) != set(inputs):
        raise ModelError(f"{onnx.name} takes {sorted(expected)}, the calibration has {sorted(inputs)}")
    for name, rows in inputs.items():
        if list(rows.shape[1:]) != expected[name][1:]:
            raise ModelError(f"{onnx.name}: calibration of {name} has rows of {rows.shape[1:]}, "
                             f"the graph takes {tuple(expected[name][1:])}")
        if not np.isfinite(rows).all():
            raise ModelError(f"{onnx.name}: calibration of {name} has values that are not finite")
    if len({len(rows) for rows in inputs.values()}) != 1:
        raise ModelError(f"{onnx.name}: the calibration's inputs have different numbers of rows")


def check_loops(graphs: Mapping[str, tflite.Graph]) -> None:
    """Raises ModelError unless each state comes out on the scale at which it goes in, and the head takes h as it comes.

    A branch of the int8 scheme keeps its states inside; there only the joint with the head is to be checked.
    """
    head = graphs["head"]
    for branch in ("eda", "emg"):
        graph = graphs[branch]
        for state in ("h", "c"):
            if state not in graph.inputs:
                continue
            before, after = graph.tensors[graph.inputs[state]], graph.tensors[graph.outputs[f"{state}_next"]]
            if before.scale != after.scale or before.shape != after.shape:
                raise ModelError(f"{branch}: {state} goes in with steps of {before.scale} and comes out with {after.scale}")
        taken = head.tensors[head.inputs[f"hs_{branch}"]]
        made = graph.tensors[graph.outputs["hs" if "hs" in graph.outputs else "h_next"]]
        if (taken.scale, taken.zero_points) != (made.scale, made.zero_points):
            raise ModelError(f"head: takes hs_{branch} in steps of {taken.scale}, the {branch} branch gives {made.scale}")


def check_cells(graphs: Mapping[str, tflite.Graph], largest: Mapping[str, float]) -> None:
    """Raises ModelError where a branch's 16-bit cell state ends before `largest`, the floating-point one's over all windows."""
    for branch, peak in largest.items():
        reach = manifest.cell(graphs[branch]).scale * (2**15 - 1)
        if reach < peak:
            raise ModelError(f"{branch}: the cell state's scale ends at {reach:.3f}, in floating point it goes to {peak:.3f}; "
                             "the scale must cover that range: calibrate with the windows that are to be converted")
