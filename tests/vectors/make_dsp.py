"""Writes tests/vectors/dsp.json: counts of a few blocks and what the band must make of them. Run it after a change of nb_dsp.

    python tests/vectors/make_dsp.py

The vectors are read by tests of the twin, of the C code natively and of the band on the emulated Cortex-M4F.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nociband import dsp
from nociband.spec import SPEC

TARGET = Path(__file__).with_name("dsp.json")


def _noise_with_offset(rng: np.random.Generator, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    swelling = np.linspace(1, 900, blocks * 40)[:, None]
    emg = -500 + swelling * rng.standard_normal((blocks * 40, 2))
    eda = 2600 + 300 * np.linspace(0, 1, blocks * 2) ** 2 + 3 * rng.standard_normal(blocks * 2)
    return np.rint(emg).astype(np.int16), np.rint(eda).astype(np.uint16)


def _rails(rng: np.random.Generator, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    emg = np.where((rng.random((blocks * 40, 2)) < 0.03).cumsum(0) % 2, 32767, -32768)
    return emg.astype(np.int16), np.where((rng.random(blocks * 2) < 0.2).cumsum() % 2, 65535, 0).astype(np.uint16)


def vectors() -> dict[str, Any]:
    """The file's content; each case starts from a reset."""
    rng = np.random.default_rng(20)
    cases = {"swelling noise on an offset": _noise_with_offset(rng, 12), "rail to rail": _rails(rng, 8)}
    return {
        "about": "nb_dsp: counts of 40 ms blocks (EMG interleaved) and the features after each; every case starts from a reset. "
                 "Written by tests/vectors/make_dsp.py",
        "features": [f.name for f in SPEC.model_inputs],
        "cases": [
            {"name": name, "emg_counts": emg.reshape(-1, 80).tolist(), "eda_counts": eda.reshape(-1, 2).tolist(),
             "features": dsp.features(emg, eda).tolist()}
            for name, (emg, eda) in cases.items()
        ],
    }


def text() -> str:
    """The file's text: one block a line, so that a change of one number shows as one line."""
    rows = json.dumps(vectors(), indent=1)
    out, depth = [], 0
    for line in rows.splitlines():
        inner = line.strip()
        if depth and not inner.startswith("]"):
            out[-1] += inner + (" " if inner.endswith(",") else "")
        elif depth:
            out[-1] += inner
            depth = 0
        else:
            out.append(line)
            depth = inner == "["
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
    print(f"wrote {TARGET} ({TARGET.stat().st_size} bytes)")
