"""Windows to count and to compare on: one fixed, any number at random, and real ones on the band's own path.

All are int16 (n, 138, 6), scaled for an int16x8 model; `for_scheme` gives those of an int8 model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from nociband.errors import DataError, ModelError
from nociband.spec import SPEC
from nociband_tools.firmware import firmware_root

FRAMES: int = SPEC.features["window"]["frames"]
INPUTS = len(SPEC.model_inputs)
KINDS = 5


def fixed() -> np.ndarray:
    """The window that instructions are counted on: firmware/bench/window.csv, int16 (138, 6), see docs/kernels.md."""
    window = np.loadtxt(firmware_root() / "bench" / "window.csv", np.int16, delimiter=",")
    if window.shape != (FRAMES, INPUTS):
        raise ModelError(f"firmware/bench/window.csv is {window.shape}, a window is ({FRAMES}, {INPUTS}); restore the file")
    return window


def random_windows(n: int, seed: int, frames: int = FRAMES, inputs: int = INPUTS) -> np.ndarray:
    """Windows int16 (n, frames, inputs) of several kinds: noise from faint to full scale, drifts, rails, steps, zeros."""
    rng = np.random.default_rng(seed)
    out = np.zeros((n, frames, inputs))
    for i in range(n):
        size = 10.0 ** rng.uniform(1, 4.6)
        kind = i % KINDS
        noise = rng.normal(0, size, (frames, inputs))
        out[i] = (noise if kind == 0 else np.cumsum(noise / 8, 0) if kind == 1 else np.sign(noise) * 40000 if kind == 2
                  else (np.arange(frames)[:, None] > rng.integers(5, 130)) * noise[:1] if kind == 3 else noise * (i > n // 2))
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def real_windows(n: int, scales: Sequence[tuple[int, int]]) -> np.ndarray:
    """Windows int16 (n, 138, 6) of FMOV's people, spread evenly over all that a band would predict on (one a second).

    Front end, DSP, baseline and `scales` (a manifest's (mult, shift)) are the band's. Raises DataError when the recordings are
    not here, ModelError when they have fewer windows.
    """
    from nociband.windows import model_inputs, prediction_ends

    if n == 0:
        return np.zeros((0, FRAMES, INPUTS), np.int16)
    frames = _frames_of_people()
    ends = [prediction_ends(len(f)) for f in frames]
    there = sum(map(len, ends))
    if n > there:
        raise ModelError(f"{n} real windows are asked for, the recordings have {there}: give --windows {there} or fewer")
    picked = np.arange(n) * there // n
    starts = np.cumsum([0, *map(len, ends)])
    return np.concatenate([model_inputs(f, e[picked[(picked >= s) & (picked < s + len(e))] - s], scales)
                           for f, e, s in zip(frames, ends, starts[:-1], strict=True)])


def _frames_of_people() -> list[np.ndarray]:
    """Feature frames (frames, 6) int16 of every recording of FMOV; computing them takes a while, so they are kept."""
    from nociband.dsp import features_of
    from nociband.signals import fmov, to_counts

    try:
        recordings = fmov.load()
    except DataError as e:
        raise DataError(f"{e}; `--windows 0` compares random windows alone") from e
    file = kept("fmov", SPEC.hash.encode(), *(r.subject.encode() for r in recordings))
    if not file.is_file():
        frames = features_of([(f.emg, f.eda) for f in (to_counts(r, seed=0) for r in recordings)])
        save(file, np.concatenate([np.column_stack([np.full(len(f), i, np.int16), f]) for i, f in enumerate(frames)]))
    rows = np.load(file)
    return [rows[rows[:, 0] == i, 1:] for i in range(len(recordings))]


def kept(what: str, *parts: bytes) -> Path:
    """A file under build/parity for something computed from `parts`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return firmware_root().parent / "build" / "parity" / f"{what}-{digest.hexdigest()[:24]}.npy"


def save(file: Path, values: np.ndarray) -> None:
    """Write it whole or not at all: another process may be looking."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=file.parent, suffix=".npy", delete=False) as temporary:
        np.save(temporary, values)
    Path(temporary.name).replace(file)


def for_scheme(windows: np.ndarray, scheme: str) -> np.ndarray:
    """The same windows in the steps of a scheme's input: as they are for int16x8, the upper eight bits (rounded) for int8."""
    return windows if scheme == "int16x8" else np.rint(windows / 256).astype(np.int16)


def random_for_scheme(n: int, seed: int, scheme: str) -> np.ndarray:
    """Random windows for a model of a scheme. An int8 model is given int16 as well and clamps what lies beyond its range: every
    other window is left as it is, faint ones within the range and loud ones far outside."""
    found = random_windows(n, seed)
    if scheme == "int8":
        found[1::2] = for_scheme(found[1::2], scheme)
    return found
