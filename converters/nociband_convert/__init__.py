"""Converts a trained network to what the band and the host run: PyTorch -> ONNX -> integer .tflite -> C, with its manifest.

From build/models/NAME (nociband.training) to firmware/models/NAME. Stages, a module each: source, calibration, to_onnx,
to_tflite, tflite, to_c, manifest, parity. `regenerate` makes the C anew from .tflite files that are there already. Needs the
extra `convert`; regenerate needs LiteRT alone. See docs/convert.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nociband_convert.parity import Parity

SOURCE_NAME = "nb_model_data.c"


@dataclass(frozen=True)
class Report:
    """What a conversion gave: sizes in bytes, multiply-accumulates a window, and how well it agrees with training."""

    name: str
    sizes: dict[str, int]
    constant_bytes: int
    buffer_bytes: int
    macs: int
    parity: Parity


def convert(source: Path, out: Path) -> Report:
    """Convert `source` (build/models/NAME) into the folder `out`, which is written whole or not at all.

    Raises ModelError or SpecError for anything that cannot be converted. A report whose parity has not passed leaves `out`
    untouched as well.
    """
    import json

    from nociband.inference import Model
    from nociband_convert import calibration, manifest, parity, tflite, to_c, to_onnx, to_tflite
    from nociband_convert import source as source_module

    trained = source_module.load(source)
    ranges = calibration.calibrate(trained)
    with TemporaryDirectory(prefix="nociband-convert-") as temporary:
        work, made = Path(temporary), Path(temporary) / "made"
        made.mkdir()
        files: dict[str, bytes] = {}
        for name, onnx in to_onnx.export(trained.network, work).items():
            quantised = to_tflite.convert(onnx, ranges.inputs[name], work)
            limit = ranges.cell_limit.get(name)
            finished = to_tflite.finish_head(quantised) if limit is None else to_tflite.finish_step(quantised, limit)
            files[f"{name}.tflite"] = finished
            (made / f"{name}.tflite").write_bytes(finished)
        graphs = {name: tflite.read(made / f"{name}.tflite") for name in ranges.inputs}
        to_tflite.check_loops(graphs)
        files["manifest.json"] = manifest.write(trained, ranges, graphs, dict(files))
        (made / "manifest.json").write_bytes(files["manifest.json"])
        generated = to_c.generate(graphs, files["manifest.json"], json.loads(files["manifest.json"]))
        files[SOURCE_NAME] = generated.text.encode()
        result = parity.compare(trained, Model.load(made))
    report = Report(trained.info["name"], {n: len(c) for n, c in files.items()}, generated.constant_bytes, generated.buffer_bytes,
                    generated.macs, result)
    if result.passed:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_bytes(content)
    return report


def regenerate(source: Path, out: Path) -> dict[str, bytes]:
    """From a converted model folder, the same model for this version: specification hash and C made anew, .tflite kept.

    For when the generator, the kernels' interface or the wording of the specification changed, not the model. Returns what was
    written into `out`. Raises ModelError or SpecError when the folder or the specification no longer fits the model.
    """
    import json

    from nociband.errors import ModelError
    from nociband.inference import GRAPHS, Model
    from nociband.manifest import Manifest
    from nociband.spec import SPEC
    from nociband_convert import manifest, tflite, to_c, to_tflite

    try:
        raw = json.loads((source / "manifest.json").read_text("utf-8"))
        raw["spec_hash"] = SPEC.hash
    except (OSError, ValueError, TypeError) as e:
        raise ModelError(f"{source / 'manifest.json'} cannot be read ({e})") from e
    data = manifest.encode(raw)
    checked = Manifest.from_json(data)
    files = {f"{name}.tflite": (source / f"{name}.tflite") for name in GRAPHS}
    graphs = {name: tflite.read(files[f"{name}.tflite"]) for name in GRAPHS}
    to_tflite.check_loops(graphs)
    written = {**{name: path.read_bytes() for name, path in files.items()}, "manifest.json": data,
               SOURCE_NAME: to_c.generate(graphs, data, raw).text.encode()}
    Model(checked, {name: written[f"{name}.tflite"] for name in GRAPHS})
    out.mkdir(parents=True, exist_ok=True)
    for name, content in written.items():
        (out / name).write_bytes(content)
    return written
