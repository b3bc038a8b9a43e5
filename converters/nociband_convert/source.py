"""What training left in build/models/NAME: the network, what the manifest says of it, and windows to calibrate and judge with.

Read by nociband_convert.convert; the layout is docs/convert.md's. Everything is checked here, so that later stages fail only for
their own reasons.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nociband.errors import ModelError
from nociband.models.s0 import S0, S0Config
from nociband.spec import SPEC

TRAIN_WINDOWS_MIN = 16
_TAKEN = "name a trained model's folder, build/models/NAME (`nociband train` makes one), a converted one, or a .tflite file"
_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "name": str, "title": str, "version": (str, int), "of": str, "synthetic": bool, "warning": str, "classes": list,
    "sites": list, "std": list, "training": dict,
}


@dataclass(frozen=True, eq=False)
class Trained:
    """`train` and `validation` are relative windows (n, 138, 6) in integer units of the features, `labels` (m,) of the latter."""

    network: S0
    info: Mapping[str, Any]
    std: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    labels: np.ndarray

    def normalised(self, windows: np.ndarray) -> np.ndarray:
        """Relative windows as the network takes them: float32, in standard deviations, clamped."""
        units = windows / 2.0 ** np.array([f.q for f in SPEC.model_inputs])
        limit = self.network.config.input_limit
        return np.clip(units / self.std, -limit, limit).astype(np.float32)


def load(folder: Path) -> Trained:
    """Read a folder. Raises ModelError naming the file and what is wrong with it."""
    if not folder.is_dir():
        raise ModelError(f"{folder} {'is a file' if folder.is_file() else 'does not exist'}; {_TAKEN}")
    if not (folder / "training.json").is_file():
        raise ModelError(f"{folder} has no training.json, so it is no trained model; {_TAKEN}")
    info = _info(folder / "training.json")
    network = _network(folder / "model.pt", len(info["classes"]))
    train, validation, labels = _windows(folder / "calibration.npz", len(info["classes"]))
    return Trained(network, info, np.array(info["std"], np.float64), train, validation, labels)


def _info(path: Path) -> dict[str, Any]:
    try:
        info = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise ModelError(f"{path} cannot be read ({e}); train the model again") from e
    wrong = [k for k, kind in _KEYS.items() if not isinstance(info.get(k), kind)] if isinstance(info, dict) else list(_KEYS)
    if wrong:
        raise ModelError(f"{path}: {', '.join(wrong)} missing or of the wrong type; see docs/convert.md")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", info["name"]):
        raise ModelError(f"{path}: the name {info['name']!r} is not lower-case letters, digits and _")
    if any("*/" in info[k] or "\n" in info[k] for k in ("title", "warning")) or "*/" in str(info["version"]):
        raise ModelError(f"{path}: title, version and warning must be one line without '*/'")
    if not all(isinstance(s, str) and s in SPEC.sites for s in info["sites"]):
        raise ModelError(f"{path}: sites {info['sites']} are not among {', '.join(SPEC.sites)}")
    std = info["std"]
    numbers = len(std) == len(SPEC.model_inputs) and all(isinstance(s, (int, float)) for s in std)
    if not numbers or not all(np.isfinite(s) and s > 0 for s in std):
        raise ModelError(f"{path}: std must be {len(SPEC.model_inputs)} positive numbers, one a feature; it is {std}")
    return info


def _network(path: Path, classes: int) -> S0:
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        network = S0(S0Config(**saved["config"]))
        network.load_state_dict(saved["state_dict"])
    except FileNotFoundError as e:
        raise ModelError(f"{path} is missing; train the model again") from e
    except Exception as e:  # torch raises whatever a damaged file makes of it
        raise ModelError(f"{path} is damaged or not an S0 ({type(e).__name__}: {str(e)[:120]}); train the model again") from e
    if not network.config.on_band:
        raise ModelError(f"{path} is an S0 that the band cannot run: it takes both branches with one block each, classes, "
                         "attention, weighting and stride 1; train that one")
    if network.config.classes != classes:
        raise ModelError(f"{path} has {network.config.classes} outputs, training.json names {classes} classes")
    for branch, inputs in (("eda", network.config.eda_inputs), ("emg", network.config.emg_inputs)):
        expected = sum(f.branch == branch for f in SPEC.model_inputs)
        if inputs != expected:
            raise ModelError(f"{path}: the {branch} branch takes {inputs} inputs, features.toml has {expected}")
    if not all(torch.isfinite(p).all() for p in network.parameters()):
        raise ModelError(f"{path} has weights that are not finite; train the model again")
    return network.eval()


def _windows(path: Path, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        with np.load(path) as arrays:
            train, validation, labels = (np.array(arrays[k]) for k in ("train", "validation", "validation_labels"))
    except Exception as e:  # a damaged archive fails in several ways
        raise ModelError(f"{path} cannot be read ({type(e).__name__}: {e}); train the model again") from e
    shape = (SPEC.features["window"]["frames"], len(SPEC.model_inputs))
    for name, array, least in (("train", train, TRAIN_WINDOWS_MIN), ("validation", validation, 1)):
        if array.ndim != 3 or array.shape[1:] != shape:
            raise ModelError(f"{path}: {name} is {array.shape} where (windows, {shape[0]}, {shape[1]}) belongs")
        if len(array) < least:
            raise ModelError(f"{path}: {name} has {len(array)} windows, at least {least} are needed")
        if not np.isfinite(array).all():
            raise ModelError(f"{path}: {name} has values that are not finite")
    if labels.shape != (len(validation),) or labels.min() < 0 or labels.max() >= classes:
        raise ModelError(f"{path}: validation_labels must be {len(validation)} class numbers below {classes}")
    return train.astype(np.float64), validation.astype(np.float64), labels.astype(np.int64)
