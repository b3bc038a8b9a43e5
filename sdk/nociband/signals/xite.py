"""Loader of the X-ITE Pain Database (Gruss et al. 2019, JoVE 146:e59057): heat and electrical pain, phasic and tonic.

    full set:   S001.mat, ...                     data (n, 5), stimuli (n,) a code a sample (see STIMULI), fs where it is given
    challenge:  {baseline,low_pain,med_pain}/[bio/]S008/*.mat     data (n, 5), fs, labels: 10 s segments

Confirmed by public code of the full set and of the 2025 challenge (independent of each other): `data` holds corrugator,
zygomaticus, trapezius, skin conductance and ECG in this order, about 1000 Hz, and the codes of `stimuli` as in STIMULI, with
-10 and -11 for invalid times. The challenge's page confirms 26 people with 60 segments of 10 s for each of two levels, as
.mat. Not confirmed: units (uS, and mV for EMG and ECG, are assumed; `check` reports sizes that do not fit), what `labels` of a
challenge file holds (names of the columns are used when they are text, else the order above), the baseline folder's content,
and how the reduced sub-datasets are built.

A full recording is whole, so that a causal baseline is the true one. Challenge segments come without the time before them and
do not say heat or electrical: a person's segments are joined in a drawn order (see registered.join), or joined=False keeps
them apart.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nociband.errors import DataError, EnvironmentProblem
from nociband.signals import registered
from nociband.signals.recording import DamagedFile, Event, Finding, Recording
from nociband.signals.registered import Access, Piece
from nociband.signals.xite_tables import BY_CODE, INVALID_CODES, NO_PAIN, STIMULI, SUB_DATASETS, SubDataset, describe, select

__all__ = [
    "ACCESS",
    "CHALLENGE_LABELS",
    "RATE_HZ",
    "STIMULI",
    "SUB_DATASETS",
    "SubDataset",
    "check",
    "describe",
    "load",
    "people",
    "select",
]

ACCESS = Access(
    "xite",
    "The X-ITE Pain Database",
    "the Medical Psychology group, Ulm University, with the Neuro-Information Technology "
    "group, Otto von Guericke University Magdeburg",
    "https://www.nit.ovgu.de; for the challenge's part: https://sites.google.com/view/xitepainchallenge",
    "for research only, under their agreement",
)
RATE_HZ = 1000.0
SEGMENT_S = 10.0
SEGMENT_TOLERANCE_S = 0.1
COLUMNS = ("corrugator", "zygomaticus", "trapezius", "eda", "ecg")
UNITS = {"corrugator": "mV", "zygomaticus": "mV", "trapezius": "mV", "eda": "uS", "ecg": "mV"}
CHALLENGE = {"baseline": "baseline", "low_pain": "low", "med_pain": "medium"}  # folder -> label
CHALLENGE_LABELS = tuple(CHALLENGE.values())
FRONT_END: dict[str, str] = {}  # front_end.to_counts takes a recording as it is
NOTES = "X-ITE. Units (uS, mV) are assumed, not confirmed."
_UNSOUND = "not a sound .mat file, or truncated"
_PERSON = re.compile(r"S\d+$")
_NAMES = {"corrugator": "corr", "zygomaticus": "zyg", "trapezius": "trap", "eda": r"scl|eda|gsr|conduct", "ecg": "ecg|ekg"}


def load(
    root: str | Path | None = None, layout: str = "auto", joined: bool = True, subjects: Sequence[str] | None = None
) -> list[Recording]:
    """Recordings of the challenge (one a person, or with joined=False one a segment) or of the full set (one a person).

    root: the folder that holds low_pain/ ..., or S001.mat ... (default: $NOCIBAND_DATA). Events of the full set are labelled
    as in STIMULI, and "no pain" between stimuli; `select` picks a sub-dataset. A whole recording takes hundreds of MB:
    load the full set by `subjects`. Raises DataError: how to obtain a missing set, or what is wrong with which file and variable.
    """
    here, layout = _folder(root, layout)
    if layout == "full":
        paths = {path.stem: path for path in _people(here)}
        return [_whole(paths[person]) for person in registered.chosen(list(paths), subjects, here)]
    files = _segments(here)
    return [r for person in registered.chosen(list(files), subjects, here) for r in _of_segments(person, files[person], joined)]


def people(root: str | Path | None = None, layout: str = "auto") -> list[str]:
    """The subjects that are there. Raises DataError."""
    here, layout = _folder(root, layout)
    return [path.stem for path in _people(here)] if layout == "full" else list(_segments(here))


def check(root: str | Path | None = None, layout: str = "auto") -> list[Finding]:
    """What is wrong with the files; nothing when they load and sizes are plausible. Raises DataError without the set."""
    checks = registered.Checks()
    here, layout = _folder(root, layout)
    if layout == "full":
        for path in _people(here):
            checks.sizes(path, checks.run(_whole, path))
    else:
        for person, files in (checks.run(_segments, here) or {}).items():
            for number, (path, label) in enumerate(files):
                if (piece := checks.run(_segment, path, label, number)) is not None:
                    checks.sizes(path, _apart(person, [piece])[0])
    return checks.findings


def _folder(root: str | Path | None, layout: str) -> tuple[Path, str]:
    """Where the set lies, and which layout it has."""
    if layout not in ("auto", "full", "challenge"):
        raise DataError(f"X-ITE has no layout {layout!r}; known: auto, full, challenge")

    def is_full(p: Path) -> bool:
        return layout != "challenge" and bool(_people(p))

    def is_challenge(p: Path) -> bool:
        return layout != "full" and any((p / f).is_dir() for f in CHALLENGE)

    here = registered.folder(ACCESS, root, lambda p: is_full(p) or is_challenge(p), ("bio", "full", "challenge", "train"))
    return here, "full" if is_full(here) else "challenge"


def _people(here: Path) -> list[Path]:
    return sorted(p for p in here.glob("S*.mat") if _PERSON.match(p.stem))


def _segments(here: Path) -> dict[str, list[tuple[Path, str]]]:
    """(file, label) by person. Raises DamagedFile for an empty folder."""
    found: dict[str, list[tuple[Path, str]]] = {}
    for folder, label in CHALLENGE.items():
        base = here / folder / "bio" if (here / folder / "bio").is_dir() else here / folder
        if not base.is_dir():
            if label != "baseline":  # the challenge's page names the two pain levels only
                raise DamagedFile(base, "no such folder")
            continue
        people = sorted(p for p in base.iterdir() if p.is_dir() and _PERSON.match(p.name))
        if not people:
            raise DamagedFile(base, "no person's folder (S008 ...) in it")
        for person in people:
            files = sorted(person.glob("*.mat"))
            if not files:
                raise DamagedFile(person, "no .mat file in it")
            found.setdefault(person.name, []).extend((path, label) for path in files)
    return dict(sorted(found.items()))


def _read(path: Path, needed: Iterable[str]) -> Mapping[str, Any]:
    """The variables of a .mat file up to version 7. Raises DamagedFile."""
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ModuleNotFoundError as e:
        raise EnvironmentProblem("X-ITE's .mat files need the package scipy: pip install 'nociband[train]'") from e
    try:
        content = loadmat(path)
    except NotImplementedError as e:
        raise DamagedFile(path, "a version 7.3 (HDF5) .mat file; save it as -v7") from e
    except OSError as e:  # with an errno it is the disk's, without one SciPy's word for a file that ends too soon
        raise DamagedFile(path, f"cannot be read ({e.strerror})" if e.errno else f"{_UNSOUND} ({e})") from e
    except (MatReadError, ValueError, TypeError, KeyError, IndexError, EOFError, MemoryError, zlib.error) as e:
        raise DamagedFile(path, f"{_UNSOUND} ({e})") from e
    for name in needed:
        if name not in content:
            there = ", ".join(k for k in content if not k.startswith("__")) or "none"
            raise DamagedFile(path, f"no variable {name!r}; there are {there}")
    return content


def _data(path: Path, content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """float64 (n,) by channel. Columns are found by name where `labels` holds text, else by their documented order."""
    data = np.asarray(content["data"])
    if not np.issubdtype(data.dtype, np.number) or np.iscomplexobj(data) or data.ndim != 2:
        raise DamagedFile(
            path, f"holds {data.dtype} of shape {data.shape} where numbers of shape (n, {len(COLUMNS)}) belong", "variable 'data'"
        )
    data = data.T if data.shape[0] < data.shape[1] else data
    names = _names(path, content.get("labels"), data.shape[1])
    for column, name in enumerate(names):
        bad = ~np.isfinite(data[:, column])
        if bad.any():
            raise DamagedFile(path, f"row {int(np.argmax(bad)) + 1} of {name} is not a finite number", "variable 'data'")
    return {name: data[:, column].astype(np.float64) for column, name in enumerate(names)}


def _names(path: Path, labels: Any, columns: int) -> tuple[str, ...]:
    text = [] if labels is None else _texts(labels)
    if len(text) == columns and text:
        found = tuple(next((n for n, pattern in _NAMES.items() if re.search(pattern, t, re.I)), "") for t in text)
        if sorted(found) == sorted(COLUMNS):
            return found
        raise DamagedFile(path, f"names the columns {', '.join(text)}; {', '.join(COLUMNS)} belong", "variable 'labels'")
    if columns != len(COLUMNS):
        raise DamagedFile(path, f"{columns} columns where {len(COLUMNS)} belong ({', '.join(COLUMNS)})", "variable 'data'")
    return COLUMNS


def _texts(labels: Any) -> list[str]:
    """A char matrix or a cell array of strings as a list; [] when it is neither."""
    items = np.ravel(np.asarray(labels, dtype=object)).tolist()
    texts = [str(np.ravel(i)[0]) if np.size(i) else "" for i in items]
    kinds = {np.asarray(np.ravel(i)[0]).dtype.kind for i in items if np.size(i)}
    return [t.strip() for t in texts] if kinds == {"U"} else []


def _rate(path: Path, content: Mapping[str, Any]) -> float:
    fs = np.ravel(np.asarray(content["fs"]))
    if fs.size != 1 or fs.dtype.kind not in "iuf" or not np.isfinite(fs[0]) or fs[0] <= 0:
        raise DamagedFile(path, f"holds {content['fs']!r} where one sampling rate belongs", "variable 'fs'")
    if abs(float(fs[0]) / RATE_HZ - 1) > registered.RATE_TOLERANCE:
        raise DamagedFile(path, f"{float(fs[0]):g} Hz where {RATE_HZ:g} Hz belong", "variable 'fs'")
    return RATE_HZ


def _segment(path: Path, label: str, number: int) -> Piece:
    content = _read(path, ("data", "fs"))
    _rate(path, content)
    signals = _data(path, content)
    seconds = len(signals["eda"]) / RATE_HZ
    if abs(seconds - SEGMENT_S) > SEGMENT_TOLERANCE_S:
        raise DamagedFile(
            path, f"{seconds:.2f} s where {SEGMENT_S:g} s belong at {RATE_HZ:g} Hz: another rate, or truncated", "variable 'data'"
        )
    return Piece(signals, label, number)


def _of_segments(person: str, files: list[tuple[Path, str]], joined: bool) -> list[Recording]:
    pieces = [_segment(path, label, number) for number, (path, label) in enumerate(files)]
    if not joined:
        return _apart(person, pieces)
    values, events = registered.join(pieces, person, RATE_HZ)
    return [
        Recording(
            f"xite:{person}",
            person,
            registered.channels(values, RATE_HZ, UNITS),
            events,
            (registered.DRAWN,),
            f"X-ITE challenge, subject {person}",
            NOTES,
        )
    ]


def _apart(person: str, pieces: list[Piece]) -> list[Recording]:
    return registered.apart(pieces, f"xite:{person}", person, RATE_HZ, UNITS, f"X-ITE challenge, subject {person}", NOTES)


def _whole(path: Path) -> Recording:
    """A person's recording of the full set, with an event for each stimulus and each time between two."""
    content = _read(path, ("data", "stimuli"))
    notes = NOTES
    if "fs" in content:
        _rate(path, content)
    else:
        notes += f" The file states no rate; {RATE_HZ:g} Hz is what public code uses."
    signals = _data(path, content)
    codes = np.ravel(np.asarray(content["stimuli"]))
    if len(codes) != len(signals["eda"]):
        raise DamagedFile(path, f"{len(codes)} codes for {len(signals['eda'])} samples of data", "variable 'stimuli'")
    return Recording(
        f"xite:{path.stem}",
        path.stem,
        registered.channels(signals, RATE_HZ, UNITS),
        _events(path, codes),
        (),
        f"X-ITE, subject {path.stem}",
        notes,
    )


def _events(path: Path, codes: np.ndarray) -> tuple[Event, ...]:
    events = []
    for start, stop in registered.runs(codes):
        code = codes[start]
        if code in INVALID_CODES:
            continue
        if code != 0 and code not in BY_CODE:
            raise DamagedFile(
                path,
                f"row {start + 1} has the code {code}; known: 0, {', '.join(map(str, BY_CODE))}, and "
                f"{', '.join(map(str, INVALID_CODES))} for invalid",
                "variable 'stimuli'",
            )
        events.append(Event(start / RATE_HZ, (stop - start) / RATE_HZ, NO_PAIN if code == 0 else BY_CODE[int(code)].label))
    return tuple(events)
