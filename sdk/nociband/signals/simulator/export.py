"""A simulated recording as one .npz: what the emulated band replays, the signals in their units, and the truth as JSON.

Arrays: `emg`, `eda`, `accel` (counts) with `sites`, `source`, `simulated`, as the emulator's source reads them; `NAME_samples`
float64 with `NAME_rate_hz` and `NAME_unit` for each channel; `truth`, a JSON text of the Script. Nothing in it needs pickle.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nociband.errors import DataError
from nociband.signals.front_end import to_counts
from nociband.signals.recording import Recording
from nociband.signals.simulator.script import Script


def truth(script: Script, seed: int) -> dict[str, Any]:
    """The Script as JSON-able values, with its seed and, of each artefact, the reason for which the band should give no score."""
    out = {"seed": seed, "synthetic": True, **asdict(script)}
    out["artefacts"] = [{**asdict(a), "reason": a.reason} for a in script.artefacts]
    return out


def save(path: Path, script: Script, recording: Recording, seed: int) -> None:
    """Write `recording`, rendered from `script` with `seed`. Raises DataError when the file is there or is not named .npz."""
    if path.suffix != ".npz":
        raise DataError(f"{path}: a simulated recording is written as NAME.npz")
    if path.exists():
        raise DataError(f"{path} is there already and is never overwritten; take another name")
    front = to_counts(recording, seed)
    arrays: dict[str, Any] = {"emg": front.emg, "eda": front.eda, "accel": front.accel, "sites": np.array(front.sites),
                              "source": np.array(front.source), "simulated": np.array(front.simulated)}
    for name, channel in recording.channels.items():
        arrays |= {f"{name}_samples": channel.samples, f"{name}_rate_hz": np.array(channel.rate_hz),
                   f"{name}_unit": np.array(channel.unit)}
    arrays["truth"] = np.array(json.dumps(truth(script, seed)))
    with path.open("xb") as file:
        np.savez_compressed(file, **arrays)
