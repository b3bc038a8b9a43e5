"""Loader of the PainMonit Dataset (Gouverneur et al. 2024, Sci Data 11:1051): heat pain (PMED), physiotherapy (PMCD), 250 Hz.

    PMED: raw-data/S_01-synchronised-data.csv   Seconds; Bvp; Eda_E4; Tmp; Ibi; Hr; Resp; Eda_RB; Ecg; Emg; Heater [C]; COVAS;
                                                Heater_cleaned
    PMCD: raw-data/P01_1/P01_1.csv              Seconds; Bvp; Eda_E4; Tmp; Resp; Eda_RB; Bvp_RB; Emg; Grip; Pain rates;
                                                Pain labels
          raw-data/P01_1/P01_1_runUp.csv, noPainThreshold.txt, severePainThreshold.txt     `;` between columns, decimal comma

Confirmed by the authors' own code (github.com/gouverneurp/PMD): files, separators, 250 Hz after their synchronisation, the
cleaned heater (32 degrees C, and 10 s at one of a person's five temperatures, of which the lowest is not painful), a painless
window as the 10 s that end 5 s before a stimulus, `Pain labels` as whole numbers that are empty where nothing was asked, the
run-up as the painless part. Not confirmed: units (EDA in uS and EMG in mV are assumed; `check` reports sizes that do not fit),
where the single EMG electrode pair was (site "unspecified"), and which pain each of PMCD's labels stands for (0, 1 and 2
are expected, whole numbers up to 10 are taken; the person's two thresholds are in `attributes`).

A PMED recording is whole, so that a causal baseline is the true one. For a PMCD sitting the run-up is put before the session;
the pause between them is not in the files and is lost. There is one EMG channel: say what the second is (front_end.to_counts).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nociband.errors import DataError
from nociband.signals import registered
from nociband.signals.recording import DamagedFile, Event, Finding, Recording
from nociband.signals.registered import Access

ACCESS = Access(
    "painmonit",
    "The PainMonit Dataset",
    "the authors at the University of Luebeck and the Silesian University of Technology",
    "https://doi.org/10.6084/m9.figshare.26965159",
    "under the data use agreement that lies with it",
)
RATE_HZ = 250.0
PARTS = ("PMED", "PMCD")
REST_DEGREES, TEMPERATURES = 32.0, 5
WINDOW_S, BEFORE_S = 10.0, 5.0
# PMED: no stimulus, the warmth that is not painful, four painful temperatures
LABELS = ("baseline", "P0", "P1", "P2", "P3", "P4")
CLINICAL_LABELS = ("baseline", "pain 0", "pain 1", "pain 2")
SIGNALS = {
    "PMED": {
        "eda": "Eda_RB",
        "eda_wrist": "Eda_E4",
        "bvp": "Bvp",
        "respiration": "Resp",
        "ecg": "Ecg",
        "unspecified": "Emg",
        "temperature": "Tmp",
        "covas": "COVAS",
    },
    "PMCD": {
        "eda": "Eda_RB",
        "eda_wrist": "Eda_E4",
        "bvp": "Bvp",
        "bvp_finger": "Bvp_RB",
        "respiration": "Resp",
        "unspecified": "Emg",
        "temperature": "Tmp",
    },
}
UNITS = {
    "eda": "uS",
    "eda_wrist": "uS",
    "bvp": "",
    "bvp_finger": "",
    "respiration": "",
    "ecg": "mV",
    "unspecified": "mV",
    "temperature": "degC",
    "covas": "%",
}
NOTES = "PainMonit. Units (uS, mV) are assumed, not confirmed; the EMG's site is not known."
ESSENTIAL = ("eda", "unspecified")
FRONT_END = {"resample_emg": True, "absent_emg": "noise"}  # what front_end.to_counts needs to take a recording
_SITTING = re.compile(r"P\d+_\d+$")


def load(
    root: str | Path | None = None, part: str = "PMED", eda: str = "Eda_RB", subjects: Sequence[str] | None = None
) -> list[Recording]:
    """Recordings of PMED (one a person) or PMCD (one a sitting).

    root: the folder that holds PMED/ and PMCD/, or the part's own, or its raw-data (default: $NOCIBAND_DATA). eda: the column
    that becomes the channel "eda", "Eda_RB" (respiBAN) or "Eda_E4" (wrist); the other is "eda_wrist" or "eda_finger". Raises
    DataError: how to obtain a missing set, or what is wrong with which file, line or column.
    """
    here = _folder(root, part)
    files = _found(here, part)
    wanted = registered.chosen(list(dict.fromkeys(map(_subject, files))), subjects, here)
    return [_one(path, part, eda) for path in files if _subject(path) in wanted]


def people(root: str | Path | None = None, part: str = "PMED") -> list[str]:
    """The subjects of the part that is there. Raises DataError."""
    return list(dict.fromkeys(map(_subject, _found(_folder(root, part), part))))


def check(root: str | Path | None = None, part: str = "PMED") -> list[Finding]:
    """What is wrong with the part's files; nothing when they load and sizes are plausible. Raises DataError without the set."""
    checks = registered.Checks()
    here = _folder(root, part)
    for path in _found(here, part):
        checks.sizes(path, checks.run(_one, path, part, "Eda_RB"))
    return checks.findings


def _folder(root: str | Path | None, part: str) -> Path:
    if part not in PARTS:
        raise DataError(f"PainMonit has no part {part!r}; known: {', '.join(PARTS)}")
    inside = (part, f"{part}/raw-data", f"{part}/dataset/raw-data", "raw-data")
    return registered.folder(ACCESS, root, lambda p: bool(_found(p, part)), inside)


def _found(here: Path, part: str) -> list[Path]:
    if part == "PMED":
        return sorted(here.glob("S_*-synchronised-data.csv"))
    return sorted(p / f"{p.name}.csv" for p in here.glob("P*_*") if p.is_dir() and _SITTING.match(p.name))


def _subject(path: Path) -> str:
    """The person's number in S_01-synchronised-data.csv or P01_1.csv."""
    match = re.match(r"S_([^-]+)-|P(\d+)_", path.name)
    return (match[1] or match[2]) if match else path.stem


def _one(path: Path, part: str, eda: str) -> Recording:
    if eda not in ("Eda_RB", "Eda_E4"):
        raise DataError(f"PainMonit's EDA is in 'Eda_RB' or 'Eda_E4', not {eda!r}")
    return _experimental(path, eda) if part == "PMED" else _clinical(path, eda)


def _columns(part: str, eda: str) -> dict[str, str]:
    columns = dict(SIGNALS[part])
    if eda == "Eda_E4":
        columns["eda"] = columns.pop("eda_wrist")
        columns["eda_finger"] = "Eda_RB"
    return columns


@dataclass(frozen=True, eq=False)
class _File:
    """What is read of one file: channels by our names, other columns as they are, and what was made up or had to be left out."""

    signals: dict[str, np.ndarray]
    more: dict[str, np.ndarray]
    made_up: tuple[str, ...]
    left_out: tuple[str, ...]


def _signals(path: Path, part: str, eda: str, more: tuple[str, ...]) -> _File:
    """Read a file. A spare channel with a hole is left out; a hole in EDA or EMG raises DamagedFile."""
    columns = _columns(part, eda)
    read = registered.table(path, ("Seconds", *columns.values(), *more), ";", ",")
    registered.check_clock(path, "Seconds", read["Seconds"], RATE_HZ)
    left_out = tuple(n for n, c in columns.items() if n not in ESSENTIAL and registered.has_hole(read[c], RATE_HZ))
    whole, made_up = registered.filled({c: read[c] for n, c in columns.items() if n not in left_out}, RATE_HZ, path)
    return _File({n: whole[c] for n, c in columns.items() if n not in left_out}, {c: read[c] for c in more}, made_up, left_out)


def _notes(*files: _File) -> str:
    lost = sorted({name for file in files for name in file.left_out})
    return NOTES + (f" Left out, since more than {registered.GAP_MAX_S:g} s are missing: {', '.join(lost)}." if lost else "")


def _channels(values: dict[str, np.ndarray]) -> dict:
    return registered.channels(values, RATE_HZ, {**UNITS, "eda_finger": "uS"})


def _experimental(path: Path, eda: str) -> Recording:
    subject = _subject(path)
    file = _signals(path, "PMED", eda, ("Heater_cleaned",))
    return Recording(
        f"painmonit_pmed:{subject}",
        subject,
        _channels(file.signals),
        _stimuli(path, file.more["Heater_cleaned"]),
        file.made_up,
        f"PainMonit PMED, subject {subject}",
        _notes(file),
    )


def _stimuli(path: Path, heater: np.ndarray) -> tuple[Event, ...]:
    """Stimuli ranked by temperature within the person, and a painless window before each where the heater rested throughout."""
    where = "column 'Heater_cleaned'"
    if np.isnan(heater).any():
        raise DamagedFile(path, "temperatures are missing", f"{where}, line {int(np.argmax(np.isnan(heater))) + 2}")
    stretches = [(a, b) for a, b in registered.runs(heater) if heater[a] != REST_DEGREES]
    warm = sorted({float(heater[a]) for a, _ in stretches})
    if len(warm) != TEMPERATURES:
        said = ", ".join(f"{t:g}" for t in warm) or "none"
        raise DamagedFile(path, f"{len(warm)} stimulus temperatures ({said}) where {TEMPERATURES} belong: truncated?", where)
    window, before = int(WINDOW_S * RATE_HZ), int(BEFORE_S * RATE_HZ)
    events = []
    for start, stop in stretches:
        begin = start - before - window
        if begin >= 0 and (heater[begin:start] == REST_DEGREES).all():
            events.append(Event(begin / RATE_HZ, WINDOW_S, LABELS[0]))
        events.append(Event(start / RATE_HZ, (stop - start) / RATE_HZ, LABELS[1 + warm.index(float(heater[start]))]))
    return tuple(events)


def _clinical(path: Path, eda: str) -> Recording:
    subject, sitting = _subject(path), path.stem.rpartition("_")[2]
    run_up = _signals(path.with_name(f"{path.stem}_runUp.csv"), "PMCD", eda, ())
    session = _signals(path, "PMCD", eda, ("Pain labels",))
    rest = len(run_up.signals["eda"]) / RATE_HZ
    events = (Event(0.0, rest, CLINICAL_LABELS[0]), *_reports(path, session.more["Pain labels"], rest))
    about: dict[str, str | float] = {
        name: _threshold(path.with_name(file))
        for name, file in (("no_pain_threshold", "noPainThreshold.txt"), ("severe_pain_threshold", "severePainThreshold.txt"))
    }
    values = {
        name: np.concatenate([run_up.signals[name], session.signals[name]]) for name in session.signals if name in run_up.signals
    }
    return Recording(
        f"painmonit_pmcd:{subject}_{sitting}",
        subject,
        _channels(values),
        events,
        tuple(dict.fromkeys((*run_up.made_up, *session.made_up))),
        f"PainMonit PMCD, subject {subject}, sitting {sitting}",
        f"{_notes(run_up, session)} The run-up ({rest:.0f} s) stands before the session; the pause between them is not "
        "in the files.",
        attributes=about,
        sitting=sitting,
    )


def _reports(path: Path, labels: np.ndarray, offset_s: float) -> list[Event]:
    """Stretches of one pain label; nothing where nothing was asked."""
    events = []
    for start, stop in registered.runs(labels):
        if np.isnan(labels[start]):
            continue
        if labels[start] not in range(11):
            what = f"pain label {labels[start]:g} where whole numbers from 0 to 10 belong"
            raise DamagedFile(path, what, f"column 'Pain labels', line {start + 2}")
        events.append(Event(offset_s + start / RATE_HZ, (stop - start) / RATE_HZ, f"pain {labels[start]:g}"))
    return events


def _threshold(path: Path) -> float:
    try:
        return float(path.read_text("utf-8-sig").strip().replace(",", "."))
    except FileNotFoundError as e:
        raise DamagedFile(path, "no such file") from e
    except (ValueError, OSError) as e:
        raise DamagedFile(path, f"not a number ({e})") from e
