"""Converts a trained network to what the band and the host run: PyTorch -> ONNX -> integer .tflite -> C, with its manifest.

From build/models/NAME (nociband.training) to firmware/models/NAME, in one of two schemes. Stages, each a module or a room:
source, calibration, to_onnx, to_tflite, graphs.scales (int16x8) or graphs.int8, tflite, to_c (with operations, kernels and
arithmetic), manifest, parity, gates. `regenerate` makes the C anew from .tflite files that are there already; `standalone` takes
a .tflite from elsewhere. Needs the extra `convert`; regenerate and standalone need LiteRT alone. See docs/convert.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nociband_convert.calibration import Calibration
    from nociband_convert.gates import Verdict
    from nociband_convert.parity.bits import Compared
    from nociband_convert.parity.quality import Quality
    from nociband_convert.source import Trained
    from nociband_convert.tflite import Graph

SOURCE_NAME = "nb_model_data.c"
Scheme = Literal["int16x8", "int8"]
Packing = Literal["fast", "small"]
SCHEMES: tuple[Scheme, ...] = ("int16x8", "int8")
PACKINGS: tuple[Packing, ...] = ("fast", "small")


@dataclass(frozen=True, eq=False)
class Converted:
    """A conversion that is not written yet: `files` by name, constants and buffers in bytes, multiply-accumulates a window.

    `network` is the C of the network alone, for who wants to measure it; `bits` its comparison with LiteRT on this machine, or
    why there is none.
    """

    name: str
    scheme: Scheme
    packing: Packing
    files: Mapping[str, bytes]
    quality: Quality
    bits: Compared | str
    constant_bytes: int
    buffer_bytes: int
    macs: int
    network: str = field(repr=False)

    def judge(self) -> list[Verdict]:
        """The gates of quality and bits; cost on the band is measured by the tools and judged there."""
        from nociband_convert import gates

        return [*gates.judge_quality(self.quality, self.scheme), gates.judge_bits(self.bits)]


def convert(source: Path, scheme: Scheme = "int16x8", packing: Packing = "fast",
            stage: Callable[[str], None] = lambda title: None) -> Converted:
    """Convert `source` (build/models/NAME). Nothing is written: `judge` the result, then `write` its files.

    stage: told the title of each stage as it begins. Raises ModelError or SpecError for anything that cannot be converted.
    """
    stage("trained model")
    import json

    from nociband_convert import calibration, manifest, to_c, to_tflite
    from nociband_convert import source as source_module
    from nociband_convert.parity import bits

    trained = source_module.load(source)
    stage("ranges, from training windows")
    ranges = calibration.calibrate(trained)
    files = _tflite(source, trained, ranges, scheme, stage)
    stage("checks of the graphs")
    graphs = _read(files)
    to_tflite.check_loops(graphs)
    to_tflite.check_cells(graphs, ranges.cell_peak)
    stage("C")
    network = to_c.network(graphs, packing)
    stage("quality, on validation windows")
    draft = manifest.write(trained, graphs, files)
    quality = _quality(trained, draft, files)
    stage("bits, the C beside LiteRT")
    compared = bits.compare_model(network.text, quality.inputs, quality.logits)
    raw = json.loads(draft) | {"conversion": quality.to_dict()}
    data = manifest.encode(raw)
    written = {**files, "manifest.json": data, SOURCE_NAME: to_c.generate(graphs, data, raw, packing).text.encode()}
    return Converted(trained.info["name"], scheme, packing, written, quality, compared, network.constant_bytes,
                     network.buffer_bytes, network.macs, network.text)


def _tflite(source: Path, trained: Trained, ranges: Calibration, scheme: Scheme,
            stage: Callable[[str], None]) -> dict[str, bytes]:
    """The three .tflite files by name."""
    from nociband.models.s0 import LstmStep
    from nociband_convert import to_onnx, to_tflite
    from nociband_convert.graphs import int8, scales

    with TemporaryDirectory(prefix="nociband-convert-") as temporary:
        work = Path(temporary)
        stage("ONNX")
        onnx = to_onnx.export(trained.network, work)
        stage("onnx2tf and TensorFlow's quantiser")
        if scheme == "int8":  # its branches are LiteRT's own LSTM, which onnx2tf does not make
            head = to_tflite.convert(onnx["head"], ranges.inputs["head"], work, scheme)
            stage("scales and weights")
            finished = int8.build(trained, ranges, head, int8.tuned_network(source, trained.network.config))
        else:
            limit = trained.network.config.input_limit
            quantised = to_tflite.convert_all(onnx, ranges.inputs, work, scheme)
            stage("scales and weights")
            finished = {b: scales.finish_step(quantised[b], LstmStep(trained.network.lstm(b)), cell, limit)
                        for b, cell in ranges.cell_limit.items()}
            finished["head"] = scales.finish_head(quantised["head"], limit)
    return {f"{name}.tflite": content for name, content in finished.items()}


def _read(files: Mapping[str, bytes]) -> dict[str, Graph]:
    from nociband_convert import tflite

    with TemporaryDirectory(prefix="nociband-convert-") as temporary:
        for name, content in files.items():
            (Path(temporary) / name).write_bytes(content)
        return {Path(name).stem: tflite.read(Path(temporary) / name) for name in files}


def _quality(trained: Trained, data: bytes, files: Mapping[str, bytes]) -> Quality:
    from nociband.inference import Model
    from nociband.manifest import Manifest
    from nociband_convert.parity import quality

    return quality.compare(trained, Model(Manifest.from_json(data), {Path(name).stem: c for name, c in files.items()}))


def regenerate(source: Path, packing: Packing | None = None) -> dict[str, bytes]:
    """From a converted model folder, the same model for this version: specification hash and C made anew, .tflite kept.

    For when the generator, the kernels' interface or the wording of the specification changed, not the model. `packing`: as the
    folder's C has it when None. Returns the files by name; nothing is written. Raises ModelError or SpecError when the folder or
    the specification no longer fits the model.
    """
    import json

    from nociband.errors import ModelError
    from nociband.inference import GRAPHS, Model
    from nociband.inference.model import verified
    from nociband.manifest import Manifest
    from nociband.spec import SPEC
    from nociband_convert import manifest, tflite, to_c, to_tflite

    try:
        raw = json.loads((source / "manifest.json").read_text("utf-8"))
        raw["spec_hash"] = SPEC.hash
    except (OSError, ValueError, TypeError, RecursionError) as e:
        raise ModelError(f"{source / 'manifest.json'} cannot be read ({e}); restore the model folder, or convert the trained "
                         "model again (`nociband convert build/models/NAME`)") from e
    data = manifest.encode(raw)
    checked = Manifest.from_json(data)
    stored = {name: verified(source / f"{name}.tflite", checked) for name in GRAPHS}
    Model(checked, stored)
    graphs = {name: tflite.read(source / f"{name}.tflite") for name in GRAPHS}
    to_tflite.check_loops(graphs)
    generated = to_c.generate(graphs, data, raw, packing or packing_of(source / SOURCE_NAME))
    return {**{f"{name}.tflite": content for name, content in stored.items()}, "manifest.json": data,
            SOURCE_NAME: generated.text.encode()}


def packing_of(path: Path) -> Packing:
    """The packing that a generated C file names; fast when there is no such file, or it is from before there was a choice."""
    try:
        opening = path.read_text("utf-8")[:2000]
    except (OSError, UnicodeDecodeError):
        return "fast"
    return "small" if "/* packing: small */" in opening else "fast"


def write(files: Mapping[str, bytes], out: Path, only_c: bool = False) -> dict[str, bytes]:
    """Write files by name, or the C among them alone, into the folder `out`, which is made if need be; what was written.

    Each is written beside its place first, so that a full disk leaves what was there.
    """
    chosen = {name: content for name, content in files.items() if name == SOURCE_NAME or not only_c}
    out.mkdir(parents=True, exist_ok=True)
    parts = {name: out / f".{name}.part" for name in chosen}
    begun: list[Path] = []
    try:
        for name, content in chosen.items():
            begun.append(parts[name])
            parts[name].write_bytes(content)
    except OSError:
        for part in begun:
            part.unlink(missing_ok=True)
        raise
    for name, part in parts.items():
        part.replace(out / name)
    return chosen
