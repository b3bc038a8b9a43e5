"""Loader of the AI4Pain 2025 challenge (Fernandez Rojas et al.): electrical pain; EDA, BVP, respiration, SpO2, 100 Hz; no EMG.

    {train,validation}/{Bvp,Eda,Resp,SpO2}/<subject>.csv   comma; a column a segment, named <subject>_{Baseline,LOW,HIGH,REST}_<k>

Confirmed by several independent public loaders and the challenge's page: folders, 100 Hz, the four tokens (in any case),
columns that are padded with empty cells at their end, the same columns in a person's four files, 41 people to train on and 12
to validate on (the test set's labels were never given out). The challenge's own classes are no pain, low and high; its loaders
differ on whether a rest counts as no pain, so all four tokens are kept as labels here. Not confirmed: units (EDA in uS is
assumed; `check` reports sizes that do not fit), and that the columns stand in time: public code lists them as a baseline, then
stimuli and rests in turn with rising numbers, which only makes sense in time, and a person's segments are joined in that
order. What is lost is any pause between segments; joined=False gives one recording a segment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nociband.errors import DataError
from nociband.signals import registered
from nociband.signals.recording import DamagedFile, Event, Finding, Recording
from nociband.signals.registered import Access, Piece

ACCESS = Access(
    "ai4pain",
    "The AI4Pain challenge data",
    "the organisers, Human-Centred Technology Research Centre, University of Canberra",
    "https://sites.google.com/view/ai4pain2025",
    "for those who register, under the challenge's rules",
)
RATE_HZ = 100.0
SETS = ("train", "validation")
LABELS = ("baseline", "rest", "low", "high")
FOLDERS = {"eda": "Eda", "bvp": "Bvp", "respiration": "Resp", "spo2": "SpO2"}
UNITS = {"eda": "uS", "bvp": "", "respiration": "", "spo2": "%"}
FRONT_END = {"absent_emg": "noise"}  # what front_end.to_counts needs to take a recording
NOTES = "AI4Pain 2025. The unit of EDA (uS) is assumed, not confirmed; segments stand in the order of their columns."
_COLUMN = re.compile(r"(?:[^_]+_)?([A-Za-z]+)(?:_\d+)?$")


def load(
    root: str | Path | None = None, sets: Sequence[str] = SETS, joined: bool = True, subjects: Sequence[str] | None = None
) -> list[Recording]:
    """Recordings of the named sets, one a person, or with joined=False one a segment; attribute "set" tells the sets apart.

    root: the folder that holds train/ and validation/ (default: $NOCIBAND_DATA). Raises DataError: how to obtain a missing
    set, or what is wrong with which file, line or column.
    """
    here = _folder(root)
    of = {path.stem: which for which in sets for path in _people(here, which)}
    return [r for subject in registered.chosen(list(of), subjects, here) for r in _recordings(here, of[subject], subject, joined)]


def people(root: str | Path | None = None, sets: Sequence[str] = SETS) -> list[str]:
    """The subjects of the sets that are there. Raises DataError."""
    here = _folder(root)
    return [path.stem for which in sets for path in _people(here, which)]


def check(root: str | Path | None = None, sets: Sequence[str] = SETS) -> list[Finding]:
    """What is wrong with the files; nothing when they load and sizes are plausible. Raises DataError without the set."""
    checks = registered.Checks()
    here = _folder(root)
    for which in sets:
        for path in checks.run(_people, here, which) or ():
            for recording in checks.run(_recordings, here, which, path.stem, joined=True) or ():
                checks.sizes(path, recording)
    return checks.findings


def _folder(root: str | Path | None) -> Path:
    return registered.folder(ACCESS, root, lambda p: any((p / which).is_dir() for which in SETS), ("AI4Pain2025Dataset",))


def _people(here: Path, which: str) -> list[Path]:
    if which not in SETS:
        raise DataError(f"AI4Pain has no set {which!r} with labels; known: {', '.join(SETS)}")
    found = sorted((here / which / FOLDERS["eda"]).glob("*.csv"), key=lambda p: (len(p.stem), p.stem))
    if not found:
        raise DamagedFile(here / which / FOLDERS["eda"], "no <subject>.csv in it")
    return found


def _recordings(here: Path, which: str, subject: str, joined: bool) -> list[Recording]:
    pieces = _segments(here / which, subject)
    name, source = f"ai4pain:{subject}", f"AI4Pain 2025, {which}, subject {subject}"
    about: dict[str, str | float] = {"set": which}
    if not joined:
        return registered.apart(pieces, name, subject, RATE_HZ, UNITS, source, NOTES, about)
    edges = np.cumsum([0, *(len(p.signals["eda"]) for p in pieces)]) / RATE_HZ
    events = tuple(Event(float(a), float(b - a), p.label) for a, b, p in zip(edges[:-1], edges[1:], pieces, strict=True))
    values = {k: np.concatenate([p.signals[k] for p in pieces]) for k in pieces[0].signals}
    return [
        Recording(
            name,
            subject,
            registered.channels(values, RATE_HZ, UNITS),
            events,
            registered.made_up(pieces),
            source,
            NOTES,
            attributes=about,
        )
    ]


def _segments(base: Path, subject: str) -> list[Piece]:
    files = {
        name: base / folder / f"{subject}.csv" for name, folder in FOLDERS.items() if name == "eda" or (base / folder).is_dir()
    }
    headers = {name: registered.header_and_body(path, ",")[0] for name, path in files.items()}
    for name, header in headers.items():
        if header != headers["eda"]:
            other = sorted(set(header) ^ set(headers["eda"]))
            raise DamagedFile(
                files[name], f"its columns are not those of {files['eda']}: {', '.join(other) or 'another order'}", "line 1"
            )
    columns = headers["eda"]
    labels = [_label(files["eda"], column) for column in columns]
    values = {name: registered.table(path, columns, ",") for name, path in files.items()}
    return [
        _piece(files, values, column, label, number) for number, (column, label) in enumerate(zip(columns, labels, strict=True))
    ]


def _piece(files: dict[str, Path], values: dict[str, dict[str, np.ndarray]], column: str, label: str, number: int) -> Piece:
    signals, made_up = {}, []
    for name in files:
        whole, missing = registered.filled({column: _segment(files, values, name, column)}, RATE_HZ, files[name])
        signals[name] = whole[column]
        made_up += [f"{name}: missing samples interpolated"] if missing else []
    return Piece(signals, label, number, tuple(made_up))


def _label(path: Path, column: str) -> str:
    match = _COLUMN.match(column)
    token = match[1].lower() if match else ""
    if token not in LABELS:
        raise DamagedFile(
            path, f"column {column!r} names no segment; known: <subject>_<token>_<number> with {', '.join(LABELS)}", "line 1"
        )
    return token


def _segment(files: dict[str, Path], values: dict[str, dict[str, np.ndarray]], name: str, column: str) -> np.ndarray:
    """One segment without its padding. Raises DamagedFile when its length is not that of the person's EDA."""
    samples = values[name][column]
    length, eda = _length(samples), _length(values["eda"][column])
    if not length:
        raise DamagedFile(files[name], "no samples", f"column {column!r}")
    if length != eda:
        raise DamagedFile(
            files[name],
            f"{length} samples ({length / RATE_HZ:g} s at {RATE_HZ:g} Hz) where {files['eda']} has {eda}: "
            "another rate, or truncated",
            f"column {column!r}",
        )
    return samples[:length]


def _length(samples: np.ndarray) -> int:
    """Samples up to the padding at the end."""
    here = np.flatnonzero(~np.isnan(samples))
    return int(here[-1]) + 1 if here.size else 0
