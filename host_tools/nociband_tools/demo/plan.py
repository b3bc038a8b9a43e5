"""What a demo run will use: source, model, band, and what of it is simulated. Decided before anything is started."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nociband.signals import datasets
from nociband_tools.emulator.source import unseen
from nociband_tools.firmware import model_folder, model_manifest

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
        """Folder of the model's manifest and .tflite files. Raises ModelError when there is no such model."""
        return model_folder(self.model)

    def manifest(self) -> dict[str, Any]:
        """What the model says of itself, unchecked. Raises ModelError when it cannot be read."""
        return model_manifest(self.model)


def make_plan(band: str, source: str | None, model: str | None, seconds: float) -> Plan:
    """Fill in what was not asked for: a real recording when the data is there, else the simulator.

    Raises DataError when NOCIBAND_DATA is set but holds no recordings: a wrong path must not silently become a simulation.
    """
    if source is None and (os.environ.get("NOCIBAND_DATA") or datasets.available("oxazepam_fmov")):
        datasets.locate("oxazepam_fmov")
        plan = Plan(band, "fmov", model or REAL_MODEL, seconds, "a real recording was found; this person was not in training")
        return replace(plan, source=unseen("fmov", plan.manifest()))
    if source is None:
        return Plan(band, "simulator", model or SIMULATED_MODEL, seconds,
                    "no recordings here (set NOCIBAND_DATA, or `nociband data get fmov`), so the simulator")
    plan = Plan(band, source, model or (REAL_MODEL if source.startswith("fmov") else SIMULATED_MODEL), seconds, "as asked")
    return replace(plan, source=unseen(source, plan.manifest()))
