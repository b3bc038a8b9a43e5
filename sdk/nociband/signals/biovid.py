"""Loader of the BioVid Heat Pain Database (Walter et al. 2013, CYBCO): four levels of heat; EDA, ECG, three EMG; 512 Hz.

    PartA/starting_point/samples.csv                     tab: subject_id, subject_name, class_id, ..., sample_name, ...
    PartA/biosignals_{raw,filtered}/<subject>/<sample>_bio.csv tab: time, gsr, ecg, emg_trapezius, emg_corrugator, emg_zygomaticus
    PartB/...                                            the same, recorded with EMG electrodes on the face
    PartC/biosignals_raw/<subject>.csv, PartC/stimulus/<subject>.csv   whole recordings; tab: time, label

Confirmed by several independent public loaders: separators, column names, 512 Hz, 2816 or 2817 samples (5.5 s) an excerpt, the
label as the second-last `-` token (BL1, PA1..PA4), time in microseconds (part C's stimuli are looked up in it), sex and age in
the subject's name (071309_w_21). The providers' page confirms that the maximum temperature is held for 4 s and pauses last
8-12 s. Not confirmed: the units (gsr uS, EMG and ECG uV are assumed; `check` reports sizes that do not fit), whether excerpts
are numbered in time, and whether a stimulus of part C is timed at the start of the ramp or of the plateau.

Parts A and B hold excerpts only: no signal before the stimulus, so no causal baseline of the moment before. `load` joins a
person's excerpts in a drawn order (see registered.join), which gives the running baseline something to run on but puts steps
at the seams; with joined=False each excerpt is a recording of its own. Part C has none of these troubles: prefer it for the
band's path.
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
    "biovid",
    "The BioVid Heat Pain Database",
    "the Medical Psychology group, Ulm University, which hands it out with the Neuro-Information Technology group, Otto von "
    "Guericke University Magdeburg",
    "https://www.nit.ovgu.de/BioVid.html",
    "for non-commercial research only, under their agreement",
)
RATE_HZ = 512.0
EXCERPT_S = 5.5
EXCERPT_TOLERANCE_S = 0.1
PLATEAU_S = 4.0
LABELS = ("BL1", "PA1", "PA2", "PA3", "PA4")  # class_id 0..4: no stimulus, then four temperatures
SIGNALS = {
    "eda": "gsr",
    "ecg": "ecg",
    "trapezius": "emg_trapezius",
    "corrugator": "emg_corrugator",
    "zygomaticus": "emg_zygomaticus",
}
UNITS = {"eda": "uS", "ecg": "uV", "trapezius": "uV", "corrugator": "uV", "zygomaticus": "uV"}
TIME, MICROSECOND = "time", 1e-6
FRONT_END = {"resample_emg": True}  # what front_end.to_counts needs to take a recording
NOTES = "BioVid. Units (uS, uV) are assumed, not confirmed."
_SUBJECT = re.compile(r"\d+_([wm])_(\d+)$")


def load(
    root: str | Path | None = None,
    part: str = "A",
    signals: str = "filtered",
    joined: bool = True,
    subjects: Sequence[str] | None = None,
) -> list[Recording]:
    """Recordings of part A, B or C, one a person, or with joined=False (parts A and B) one an excerpt.

    root: the folder that holds PartA ..., or the part's own (default: $NOCIBAND_DATA). signals: "filtered" or "raw"; part C is
    raw. subjects: names as in the data set, default all; a part in memory is about 1 GB. Raises DataError: how to obtain a
    missing set, or what is wrong with which file, line or column.
    """
    here = _folder(root, part)
    recordings: list[Recording] = []
    for subject in registered.chosen(_subjects(here, part), subjects, here):
        if part == "C":
            recordings.append(_whole(here, subject))
        else:
            recordings += _of_excerpts(_excerpts(here, subject, signals), subject, part, joined)
    return recordings


def people(root: str | Path | None = None, part: str = "A") -> list[str]:
    """The subjects of the part that is there. Raises DataError."""
    return _subjects(_folder(root, part), part)


def check(root: str | Path | None = None, part: str = "A", signals: str = "filtered") -> list[Finding]:
    """What is wrong with the part's files; nothing when they load and sizes are plausible. Raises DataError without the set."""
    checks = registered.Checks()
    here = _folder(root, part)
    if part == "C":
        for subject in checks.run(_subjects, here, part) or ():
            checks.sizes(here / "biosignals_raw" / f"{subject}.csv", checks.run(_whole, here, subject))
    else:
        for subject, samples in (checks.run(_samples, here) or {}).items():
            for name, label, number in samples:
                path = _path(here, subject, name, signals)
                if (piece := checks.run(_excerpt, path, label, number)) is not None:
                    checks.sizes(path, _of_excerpts([piece], subject, part, joined=False)[0])
    return checks.findings


def _folder(root: str | Path | None, part: str) -> Path:
    if part not in ("A", "B", "C"):
        raise DataError(f"BioVid has no part {part!r} with biosignals that is read here; known: A, B, C")
    marker = "stimulus" if part == "C" else "starting_point"
    return registered.folder(
        ACCESS, root, lambda p: (p / marker).is_dir() and _of_part(p, part), (f"Part{part}", f"Part{part}-Biosignals")
    )


def _of_part(folder: Path, part: str) -> bool:
    """A folder named after another part is not this one; a folder of any other name may be."""
    named = re.search(r"Part_?([A-E])\b", folder.name)
    return named is None or named[1] == part


def _subjects(here: Path, part: str) -> list[str]:
    if part != "C":
        return list(_samples(here))
    found = sorted(p.stem for p in (here / "stimulus").glob("*.csv"))
    if not found:
        raise DamagedFile(here / "stimulus", "no <subject>.csv in it")
    return found


def _samples(here: Path) -> dict[str, list[tuple[str, str, int]]]:
    """(sample name, label, number) by subject, from samples.csv. Raises DamagedFile."""
    path = here / "starting_point" / "samples.csv"
    header, body = registered.header_and_body(path, "\t")
    for column in ("subject_name", "class_id", "sample_name"):
        if column not in header:
            raise DamagedFile(path, f"no column {column!r}; there are {', '.join(map(repr, header))}", "line 1")
    at = [header.index(c) for c in ("subject_name", "class_id", "sample_name")]
    found: dict[str, list[tuple[str, str, int]]] = {}
    for number, line in enumerate(body.splitlines(), 2):
        row = line.split("\t")
        if len(row) != len(header):
            raise DamagedFile(path, f"{len(row)} columns where {len(header)} belong", f"line {number}")
        subject, class_id, name = (row[i].strip() for i in at)
        found.setdefault(subject, []).append((name, _label(path, number, class_id, name), len(found.get(subject, ()))))
    return found


def _label(path: Path, line: int, class_id: str, name: str) -> str:
    token = name.split("-")[-2] if name.count("-") else ""
    if token not in LABELS:
        raise DamagedFile(path, f"sample {name!r} has the label {token!r}; known: {', '.join(LABELS)}", f"line {line}")
    if class_id != str(LABELS.index(token)):
        raise DamagedFile(path, f"class_id is {class_id!r}, but sample {name!r} is {token}", f"line {line}")
    return token


def _path(here: Path, subject: str, name: str, signals: str) -> Path:
    if signals not in ("raw", "filtered"):
        raise DataError(f"BioVid's signals are 'raw' or 'filtered', not {signals!r}")
    kind = f"biosignals_{signals}"
    base = here / kind / kind if (here / kind / kind).is_dir() else here / kind  # unpacked archives often nest
    return base / subject / f"{name}_bio.csv"


def _excerpts(here: Path, subject: str, signals: str) -> list[Piece]:
    return [_excerpt(_path(here, subject, name, signals), label, number) for name, label, number in _samples(here)[subject]]


def _excerpt(path: Path, label: str, number: int) -> Piece:
    values, made_up, _ = _signals(path)
    seconds = len(values["eda"]) / RATE_HZ
    if abs(seconds - EXCERPT_S) > EXCERPT_TOLERANCE_S:
        raise DamagedFile(path, f"{seconds:.2f} s where {EXCERPT_S} s belong at {RATE_HZ:g} Hz: the file looks truncated")
    return Piece(values, label, number, made_up)


def _signals(path: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...], float]:
    """Channels by our names, what was made up, and the first time in microseconds."""
    columns = registered.table(path, (TIME, *SIGNALS.values()), "\t")
    times = columns.pop(TIME)
    registered.check_clock(path, TIME, times, RATE_HZ, MICROSECOND)
    whole, made_up = registered.filled(columns, RATE_HZ, path)
    return {name: whole[column] for name, column in SIGNALS.items()}, made_up, float(times[0])


def _of_excerpts(pieces: Sequence[Piece], subject: str, part: str, joined: bool) -> list[Recording]:
    name, source = f"biovid_{part.lower()}:{subject}", f"BioVid part {part}, subject {subject}"
    about = _attributes(subject)
    if joined:
        values, events = registered.join(pieces, subject, RATE_HZ)
        return [
            Recording(
                name,
                subject,
                registered.channels(values, RATE_HZ, UNITS),
                events,
                (registered.DRAWN, *registered.made_up(pieces)),
                source,
                NOTES,
                attributes=about,
            )
        ]
    return registered.apart(pieces, name, subject, RATE_HZ, UNITS, source, f"{NOTES} One excerpt of {EXCERPT_S} s.", about)


def _whole(here: Path, subject: str) -> Recording:
    """A person's part C recording: four levels as events of 4 s; a painless moment is not marked there."""
    values, made_up, begin = _signals(here / "biosignals_raw" / f"{subject}.csv")
    path = here / "stimulus" / f"{subject}.csv"
    stimuli = registered.table(path, (TIME, "label"), "\t")
    seconds = len(values["eda"]) / RATE_HZ
    events, unused = [], 0
    for line, (time, label) in enumerate(zip(stimuli[TIME], stimuli["label"], strict=True), 2):
        at = (time - begin) * MICROSECOND
        if label not in (1, 2, 3, 4):
            unused += 1
        elif not 0 <= at <= seconds:
            raise DamagedFile(path, f"a stimulus at {at:.1f} s, but the recording lasts {seconds:.1f} s", f"line {line}")
        else:
            events.append(Event(at, PLATEAU_S, LABELS[int(label)]))
    if not events:
        raise DamagedFile(path, "no stimulus with a label 1 to 4", "column 'label'")
    notes = NOTES + (f" {unused} entries of the stimulus file have labels other than 1 to 4 and are not used." if unused else "")
    return Recording(
        f"biovid_c:{subject}",
        subject,
        registered.channels(values, RATE_HZ, UNITS),
        tuple(events),
        made_up,
        f"BioVid part C, subject {subject}",
        notes,
        attributes=_attributes(subject),
    )


def _attributes(subject: str) -> dict[str, str | float]:
    match = _SUBJECT.search(subject)
    return {"sex": "female" if match[1] == "w" else "male", "age": float(match[2])} if match else {}
