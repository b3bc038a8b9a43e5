"""What a demo run will use: source, model, band, and what of it is simulated. Decided before anything is started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nociband.errors import ModelError
from nociband.manifest import Manifest
from nociband.signals import datasets
from nociband_tools.firmware import firmware_root

REAL_MODEL, SIMULATED_MODEL = "fmov_emotion3", "synthetic_pain5"


@dataclass(frozen=True)
class Plan:
    """`source` as `nociband emulate` takes it; `why` says in a sentence why this source."""

    band: str
    source: str
    model: str
    seconds: float
    why: str

    @property
    def model_dir(self) -> Path:
        """Folder of the model's manifest and .tflite files."""
        folder = Path(self.model)
        return folder if folder.is_dir() else firmware_root() / "models" / self.model


def held_out_subject(manifest: Manifest) -> str:
    """A person who was in neither training, validation nor calibration. Raises ModelError when the manifest names nobody."""
    people = manifest.raw["training"].get("subjects", {}).get("held_out", [])
    if not people:
        raise ModelError(f"{manifest.name}: its manifest names no held-out person to replay")
    return str(people[0])


def make_plan(band: str, source: str | None, model: str | None, seconds: float) -> Plan:
    """Fill in what was not asked for: a real recording when the data is there, else the simulator.

    Raises DataError when NOCIBAND_DATA is set but holds no recordings: a wrong path must not silently become a simulation.
    """
    if source is None and (os.environ.get("NOCIBAND_DATA") or datasets.available("oxazepam_fmov")):
        datasets.locate("oxazepam_fmov")
        model = model or REAL_MODEL
        plan = Plan(band, "fmov", model, seconds, "a real recording was found")
        manifest = Manifest.from_json((plan.model_dir / "manifest.json").read_bytes())
        if manifest.raw["training"].get("dataset") != "fmov":
            return Plan(band, "fmov", model, seconds, "a real recording was found; the model has not seen this data set")
        return Plan(band, f"fmov:{held_out_subject(manifest)}", model, seconds,
                    "a real recording was found; this person was not in training")
    if source is None:
        return Plan(band, "simulator", model or SIMULATED_MODEL, seconds,
                    "no recordings here (set NOCIBAND_DATA, or `nociband download oxazepam_fmov`), so the simulator")
    if source.startswith("fmov"):
        datasets.locate("oxazepam_fmov")
    return Plan(band, source, model or (REAL_MODEL if source.startswith("fmov") else SIMULATED_MODEL), seconds, "as asked")
