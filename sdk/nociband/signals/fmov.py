"""Loader of `oxazepam_fmov`: EDA and two facial EMG of people who watch angry, happy and neutral faces (emotion, not pain).

Text files of G. Nilsonne's repository (CC0), one a person, plain or gzip-compressed, 8 tab-separated columns at 100 Hz
(codebook and FMOV_Preprocessing.R there). The raw EMG columns are every tenth sample of a 1 kHz recording without an
anti-alias filter, so the rectified and averaged ones (computed at 1 kHz) are used. Goes to front_end.to_counts.
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from nociband.errors import DataError
from nociband.signals.datasets import locate
from nociband.signals.recording import Channel, Event, Recording

NAME = "oxazepam_fmov"
RATE_HZ = 100.0
COLUMNS = 8
LABELS = ("angry", "happy", "neutral")  # columns 5, 6, 7
ONSETS_PER_LABEL = 4
CLIP_S = 6.0  # the response window of the study's own analysis, FMOV_Preprocessing.R
MIN_SECONDS = 60.0
# Rectified values at rest are 0.03-1.2 uV (people's medians; the recorder's band and averaging are not known), below the
# step of a 1/16 uV front end once a carrier is added. x24 puts the typical rest at 4 uV, and the largest burst at 380 uV.
EMG_GAIN = 24.0
_FILE = re.compile(r"(\d+)_FMOV_preprocessed\.txt(\.gz)?$")


def files(root: str | Path | None = None) -> dict[str, Path]:
    """Path of each person's file by subject ("10" ...), in order. Raises DataError when the data set is not found."""
    folder = locate(NAME, root)
    found = {m[1]: p for p in sorted(folder.iterdir()) if (m := _FILE.search(p.name))}
    if not found:
        raise DataError(f"{folder}: no file named <subject>_FMOV_preprocessed.txt(.gz)")
    return found


def load(root: str | Path | None = None) -> list[Recording]:
    """Every person's recording, in order of subject. Raises DataError."""
    return [load_file(path) for path in files(root).values()]


def load_subject(subject: str | int, root: str | Path | None = None) -> Recording:
    """One person's recording. Raises DataError naming the subjects that are there."""
    found = files(root)
    key = str(subject).zfill(2)
    if key not in found:
        raise DataError(f"{NAME} has no subject {subject!r} here; there are {', '.join(found)}")
    return load_file(found[key])


def load_file(path: str | Path) -> Recording:
    """Read one file. Raises DataError that says what is wrong with which file and line."""
    path = Path(path)
    match = _FILE.search(path.name)
    subject = match[1] if match else path.name.split(".")[0]
    table = _table(path)
    if len(table) < MIN_SECONDS * RATE_HZ:
        raise DataError(f"{path}: {len(table) / RATE_HZ:.1f} s of data where {MIN_SECONDS:.0f} s or more belong: "
                        "the file looks truncated")
    return Recording(
        name=f"fmov:{subject}", subject=subject,
        channels={
            "eda": Channel(table[:, 0], RATE_HZ, "uS"),
            "zygomaticus": Channel(table[:, 3], RATE_HZ, "mV", "rectified_mean"),
            "corrugator": Channel(table[:, 4], RATE_HZ, "mV", "rectified_mean"),
        },
        events=_events(table, path), simulated=(),
        source=f"oxazepam_fmov subject {subject} (G. Nilsonne, CC0)",
        notes=f"Emotion, not pain. EMG: recorded as rectified mean at 100 Hz; the front end's gain is x{EMG_GAIN:g}.",
        emg_gain=EMG_GAIN,
    )


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except FileNotFoundError as e:
        raise DataError(f"{path}: no such file") from e
    except EOFError as e:
        raise DataError(f"{path}: the gzip file is truncated ({len(data)} bytes); fetch it again") from e
    except (gzip.BadGzipFile, zlib.error) as e:
        raise DataError(f"{path}: not a sound gzip file ({e}); fetch it again") from e
    except OSError as e:
        raise DataError(f"{path}: cannot be read ({e.strerror or e})") from e


def _table(path: Path) -> np.ndarray:
    """float64 (samples, 8), finite. The whole file is parsed at once; only a damaged one is searched line by line."""
    text = _read(path)
    if not text.strip():
        raise DataError(f"{path}: the file is empty")
    values = text.split()
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    try:
        if len(values) != COLUMNS * lines:
            raise ValueError("columns")
        table = np.array(values, np.float64).reshape(-1, COLUMNS)
    except ValueError:
        raise DataError(_first_fault(text, path)) from None
    if not np.isfinite(table).all():
        row, column = (int(v) for v in np.argwhere(~np.isfinite(table))[0])
        raise DataError(f"{path}, line {row + 1}: column {column + 1} is {table[row, column]}, not a finite number")
    return table


def _first_fault(text: bytes, path: Path) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        row = line.split()
        if len(row) != COLUMNS:
            return f"{path}, line {number}: {len(row)} columns where {COLUMNS} belong"
        for column, value in enumerate(row, 1):
            try:
                float(value)
            except ValueError:
                return f"{path}, line {number}: column {column} is not a number ({value.decode(errors='replace')!r})"
    return f"{path}: the table has blank lines or odd line ends"


def _events(table: np.ndarray, path: Path) -> tuple[Event, ...]:
    """Onsets: where a trigger falls from 5 to 0 (FMOV_Preprocessing.R)."""
    events = []
    for column, label in enumerate(LABELS, COLUMNS - len(LABELS)):
        high = table[:, column] > 2.5
        onsets = np.flatnonzero(high[:-1] & ~high[1:]) + 1
        if len(onsets) != ONSETS_PER_LABEL:
            raise DataError(f"{path}: {len(onsets)} onsets of {label!r} where {ONSETS_PER_LABEL} belong: "
                            "the file looks truncated")
        events += [Event(float(at) / RATE_HZ, CLIP_S, label) for at in onsets]
    return tuple(sorted(events, key=lambda e: e.t_s))
