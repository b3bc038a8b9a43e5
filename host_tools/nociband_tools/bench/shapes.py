"""Which networks the kernels are measured on: the device's model and the fixed shapes of firmware/bench, in each scheme.

From folders with eda.tflite, emg.tflite and head.tflite to generated C, through nociband_convert.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from nociband.errors import ModelError
from nociband.inference import GRAPHS
from nociband_tools.firmware import firmware_root

if TYPE_CHECKING:
    from nociband_convert.tflite import Graph
    from nociband_convert.to_c import Generated

SHAPES = ("h32", "h64", "device")
SCHEMES = ("int16x8", "int8")
PACKINGS = ("fast", "small")
DEVICE = "fmov_emotion3"


def folder_of(shape: str, scheme: str) -> Path:
    """Where a shape's graphs lie: firmware/bench/SHAPE/SCHEME, the device's int16x8 model in firmware/models; or a path."""
    if shape not in SHAPES:
        return Path(shape).expanduser()
    if shape == "device" and scheme == "int16x8":
        return firmware_root() / "models" / DEVICE
    return firmware_root() / "bench" / shape / scheme


def name_of(shape: str) -> str:
    """What a shape goes by in tables and files: its name, or the folder's."""
    return shape if shape in SHAPES else folder_of(shape, "").resolve().name


def load(shape: str, scheme: str) -> Mapping[str, Graph]:
    """The three graphs of a shape. Raises ModelError when one is missing, cannot run on the band, or is of the other scheme."""
    found = graphs(folder_of(shape, scheme))
    if found["head"].scheme != scheme:
        raise ModelError(f"{folder_of(shape, scheme)} is of the scheme {found['head'].scheme}, not {scheme}; leave out --scheme")
    return found


def graphs(folder: Path) -> Mapping[str, Graph]:
    """The three graphs of a folder. Raises ModelError when one is missing or cannot run on the band."""
    from nociband_convert import tflite

    missing = [f"{name}.tflite" for name in GRAPHS if not (folder / f"{name}.tflite").is_file()]
    if missing:
        raise ModelError(f"{folder} has no {', '.join(missing)}; `nociband convert` makes a model's graphs, and those of the "
                         "fixed shapes are part of the repository (docs/kernels.md)")
    return {name: tflite.read(folder / f"{name}.tflite") for name in GRAPHS}


def scheme_of(folder: Path) -> str:
    """The scheme of a folder's graphs."""
    return graphs(folder)["head"].scheme


def generate(graphs: Mapping[str, Graph], packing: str) -> Generated:
    """The network's C, without a manifest."""
    from nociband_convert import to_c

    return to_c.network(graphs, cast(Literal["fast", "small"], packing))
