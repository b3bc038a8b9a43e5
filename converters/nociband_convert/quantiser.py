"""Runs onnx2tf and TensorFlow's quantiser on several graphs, in a process of its own: `python -m nociband_convert.quantiser JOB`.

From to_tflite, which writes JOB (JSON: one object a graph with onnx, scheme, rows and result) to the .tflite files that it names.
TensorFlow is loaded once for all graphs, and each is quantised once, to the one form that is wanted; onnx2tf's own command line
makes seven forms of one graph. Prints whatever onnx2tf and TensorFlow print; nothing of it is the project's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def run(jobs: list[dict[str, Any]]) -> None:
    """Quantise each job's graph. `rows`: input -> .npy of calibration rows (n, ...) float32, in step with each other."""
    import onnx2tf

    for job in jobs:
        result = Path(job["result"])
        saved = result.with_suffix("")
        rows = {name: np.load(path) for name, path in job["rows"].items()}
        onnx2tf.convert(input_onnx_file_path=job["onnx"], output_folder_path=str(saved), output_signaturedefs=True,
                        keep_shape_absolutely_input_names=list(rows), not_use_onnxsim=True, non_verbose=True, verbosity="error")
        result.write_bytes(_quantise(saved, rows, job["scheme"]))


def _quantise(saved: Path, rows: Mapping[str, np.ndarray], scheme: str) -> bytes:
    import tensorflow as tf

    sets, activations = tf.lite.OpsSet, {"int16x8": tf.int16, "int8": tf.int8}[scheme]
    kernels = {"int16x8": sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8, "int8": sets.TFLITE_BUILTINS_INT8}
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    # TensorFlow's own operations are let through, so that tflite.read names the one that stands in the way.
    converter.target_spec.supported_ops = [kernels[scheme], sets.SELECT_TF_OPS]
    converter.inference_input_type = converter.inference_output_type = activations

    def examples() -> Iterator[dict[str, np.ndarray]]:
        for i in range(len(next(iter(rows.values())))):
            yield {name: values[i:i + 1] for name, values in rows.items()}

    converter.representative_dataset = examples
    return bytes(converter.convert())


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text("utf-8")))
