"""Loader of `fmov`: EDA and two facial EMG of people who watch angry, happy and neutral faces (emotion, not pain).

Text files of G. Nilsonne's repository (CC0), one a person, plain or gzip-compressed, 8 tab-separated columns at 100 Hz
(codebook and FMOV_Preprocessing.R there). The raw EMG columns are every tenth sample of a 1 kHz recording without an
anti-alias filter, so the rectified and averaged ones (computed at 1 kHz) are used. Goes to front_end.to_counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nociband.errors import DataError
from nociband.signals import shock_trials, tables
from nociband.signals.datasets import available, locate
from nociband.signals.recording import Channel, DamagedFile, Event, Finding, Recording

NAME = "fmov"
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
    about = attributes(root)
    return [load_file(path, about.get(subject, {})) for subject, path in files(root).items()]


def load_subject(subject: str | int, root: str | Path | None = None) -> Recording:
    """One person's recording. Raises DataError naming the subjects that are there."""
    found = files(root)
    key = str(subject).zfill(2)
    if key not in found:
        raise DataError(f"{NAME} has no subject {subject!r} here; there are {', '.join(found)}")
    return load_file(found[key], attributes(root).get(key, {}))


def check(root: str | Path | None = None) -> list[Finding]:
    """What is wrong, one Finding a file at most. Raises DataError when the data set is not there at all."""
    findings = []
    for path in files(root).values():
        try:
            load_file(path)
        except DamagedFile as e:
            findings.append(e.finding)
    return findings


def people(root: str | Path | None = None) -> tuple[str, ...]:
    """The subjects that are here. Raises DataError."""
    return tuple(files(root))


def attributes(root: str | Path | None = None) -> dict[str, dict[str, str | float]]:
    """Treatment, wave and more by subject, from the demographics.csv of `shock_trials` when that is here too, else empty.

    The two sets are two experiments with the same people: this one's published analysis (FMOV_Analyses_of_EMG.R) merges that file
    by subject, and its column Included_FMOV names these people. Raises DataError when the file is damaged.
    """
    if not available(shock_trials.NAME, root):
        return {}
    return shock_trials.attributes(locate(shock_trials.NAME, root))


def load_file(path: str | Path, attributes: Mapping[str, str | float] | None = None) -> Recording:
    """Read one file; `attributes` is what is known of the person. Raises DataError: what is wrong with which file and line."""
    path = Path(path)
    match = _FILE.search(path.name)
    subject = match[1] if match else path.name.split(".")[0]
    table = tables.numbers(tables.read_bytes(path), path, COLUMNS)
    if len(table) < MIN_SECONDS * RATE_HZ:
        raise DamagedFile(path, f"{len(table) / RATE_HZ:.1f} s of data where {MIN_SECONDS:.0f} s or more belong: "
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
        emg_gain=EMG_GAIN, attributes=attributes or {},
    )


def _events(table: np.ndarray, path: Path) -> tuple[Event, ...]:
    """Onsets: where a trigger falls from 5 to 0 (FMOV_Preprocessing.R)."""
    events = []
    for column, label in enumerate(LABELS, COLUMNS - len(LABELS)):
        high = table[:, column] > 2.5
        onsets = np.flatnonzero(high[:-1] & ~high[1:]) + 1
        if len(onsets) != ONSETS_PER_LABEL:
            raise DamagedFile(path, f"{len(onsets)} onsets of {label!r} where {ONSETS_PER_LABEL} belong: "
                              "the file looks truncated", f"column {column + 1}")
        events += [Event(float(at) / RATE_HZ, CLIP_S, label) for at in onsets]
    return tuple(sorted(events, key=lambda e: e.t_s))
