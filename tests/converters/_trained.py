"""A small S0, trained for a moment on made windows, in the layout of build/models/NAME that the converter takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nociband.models.s0 import S0, S0Config
from nociband.spec import SPEC

STD = (1.5, 0.2, 1.0, 1.1, 0.9, 1.2)
INFO: dict[str, Any] = {
    "name": "made", "title": "Made for a test", "version": "0.1.0", "of": "pain", "synthetic": True, "warning": "synthetic",
    "classes": [{"label": "none", "value": 0.0}, {"label": "some", "value": 5.0}, {"label": "strong", "value": 10.0}],
    "sites": ["corrugator", "zygomaticus"], "std": list(STD), "training": {"dataset": "made"},
}


def made_windows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Relative windows (n, 138, 6) and classes (n,): a rise whose size tells the class."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, len(INFO["classes"]), n)
    t = np.arange(SPEC.features["window"]["frames"])
    windows = np.cumsum(rng.normal(0, 0.04, (n, len(t), len(STD))), 1)
    for w, k, onset in zip(windows, classes, rng.integers(10, 70, n), strict=True):
        w[:, 0] += k * (t > onset) * (1 - np.exp(-np.clip(t - onset, 0, None) / 30))
        w[:, 1] += k * np.exp(-(((t - onset - 20) / 15) ** 2))
        w[:, 2:] += k * ((t > onset) & (t < onset + 40))[:, None]
    units = windows * STD * 2.0 ** np.array([f.q for f in SPEC.model_inputs])
    return np.rint(units * 2**15) / 2**15, classes


def write(folder: Path, epochs: int = 4, input_limit: float = 8.0) -> Path:
    """Train and write model.pt, training.json and calibration.npz into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    (train, train_classes), (validation, labels) = made_windows(200, 1), made_windows(60, 2)
    network = S0(S0Config(classes=len(INFO["classes"]), hidden=8, input_limit=input_limit))
    optimiser = torch.optim.AdamW(network.parameters(), 5e-3)
    x = np.clip(train / (np.array(STD) * 2.0 ** np.array([f.q for f in SPEC.model_inputs])), -input_limit, input_limit)
    inputs, targets = torch.from_numpy(x.astype(np.float32)), torch.from_numpy(train_classes)
    for _ in range(epochs):
        for at in range(0, len(inputs), 25):
            batch = inputs[at:at + 25]
            loss = torch.nn.functional.cross_entropy(network(batch[:, :, :2], batch[:, :, 2:]), targets[at:at + 25])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    torch.set_num_threads(threads)
    torch.save({"config": network.config.to_dict(), "state_dict": network.state_dict()}, folder / "model.pt")
    np.savez(folder / "calibration.npz", train=train, validation=validation, validation_labels=labels)
    (folder / "training.json").write_text(json.dumps(INFO))
    return folder
