"""Loader of `stress_predict`: wrist EDA, temperature, heart rate and some acceleration of people under stress (not pain).

Files of Iqbal et al. 2022 (Sensors 22(21):8135; MIT): Raw_data/S05/{EDA,TEMP,HR,ACC}.csv as the Empatica E4 writes them (line 1
Unix time of the first sample, line 2 the rate in Hz, then one sample a line), and one table with a label a second for everybody.
Three stress tasks (Stroop test, interview, hyperventilation) with rests between. Goes to nociband.training.tasks.

What to know: S01 has no labels. The labels are those of the table, never the tags of the watch's button, some of which are 12 h
off (S17, S18, S30); they begin 9 s after the EDA. Those of S06 are whole minutes, up to 10 min away from that person's tags.
Heart rate begins 10 s after the other signals, whose first 10 s are left out, and only some people have acceleration. Nearly
every EDA touches 0 uS somewhere: the electrodes had no contact there.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from nociband.errors import DataError
from nociband.signals import tables
from nociband.signals.datasets import locate
from nociband.signals.recording import Channel, DamagedFile, Event, Finding, Recording

NAME = "stress_predict"
LABELS = ("rest", "stress")   # 0 and 1 of the table
LABEL_TABLE = Path("Processed_data") / "Improved_All_Combined_hr_rsp_binary.csv"
SCORES = Path("Processed_data") / "Questionnaires_scores.xlsx"
WITHOUT_LABELS = ("S01",)
MIN_SECONDS = 600.0
START_WITHIN_S = 60.0
# file: rate in Hz, columns, names of the channels, unit, what a number is multiplied by (E4's info.txt)
FILES = {
    "EDA": (4.0, ("eda",), "uS", 1.0),
    "TEMP": (4.0, ("temperature",), "degC", 1.0),
    "HR": (1.0, ("heart_rate",), "bpm", 1.0),
    "ACC": (32.0, ("accel_x", "accel_y", "accel_z"), "g", 1 / 64),
}
OPTIONAL = ("TEMP", "HR", "ACC")
_SHEETS = {"xl/worksheets/sheet1.xml": "stai", "xl/worksheets/sheet2.xml": "pss"}
_XML = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def folders(root: str | Path | None = None) -> dict[str, Path]:
    """Each person's folder by subject ("S01" ...), in order. Raises DataError when the data set is not found."""
    raw = locate(NAME, root) / "Raw_data"
    return {p.name: p for p in sorted(raw.iterdir()) if p.is_dir() and re.fullmatch(r"S\d\d", p.name)}


def load(root: str | Path | None = None) -> list[Recording]:
    """Every person's recording, in order of subject; S01 comes without events. Raises DataError."""
    top = locate(NAME, root)
    spans, scores = _spans(top), _scores(top)
    return [_load_person(folder, spans.get(subject), scores.get(subject, {})) for subject, folder in folders(top).items()]


def load_subject(subject: str | int, root: str | Path | None = None) -> Recording:
    """One person's recording ("S05" or 5). Raises DataError naming the subjects that are there."""
    top = locate(NAME, root)
    found = folders(top)
    key = f"S{int(subject):02d}" if str(subject).isdigit() else str(subject)
    if key not in found:
        raise DataError(f"{NAME} has no subject {subject!r} here; there are {', '.join(found)}")
    return _load_person(found[key], _spans(top).get(key), _scores(top).get(key, {}))


def check(root: str | Path | None = None) -> list[Finding]:
    """What is wrong, one Finding a person at most. Raises DataError when the data set is not there at all."""
    top = locate(NAME, root)
    findings: list[Finding] = []
    spans: Mapping[str, np.ndarray] | None = None
    try:
        spans = _spans(top)
        _scores(top)
    except DamagedFile as e:
        findings.append(e.finding)
    for subject, folder in folders(top).items():
        known = spans.get(subject) if spans is not None else np.zeros((0, 3))
        try:
            _load_person(folder, known, {})
        except DamagedFile as e:
            findings.append(e.finding)
    return findings


def people(root: str | Path | None = None) -> tuple[str, ...]:
    """The subjects that are here. Raises DataError."""
    return tuple(folders(root))


def _load_person(folder: Path, spans: np.ndarray | None, scores: Mapping[str, float]) -> Recording:
    """`spans` float64 (k, 3): begin and end in Unix seconds and the label, None without labels."""
    subject = folder.name
    if spans is None and subject not in WITHOUT_LABELS:
        raise DamagedFile(folder.parent.parent / LABEL_TABLE, f"no labels of {subject}", "column 'Participant'")
    began, channels = _signals(folder)
    length = min(c.duration_s for c in channels.values())
    return Recording(
        name=f"stress_predict:{subject}", subject=subject, channels=channels,
        events=_events(spans, began, length) if spans is not None else (), simulated=(),
        source=f"stress_predict subject {subject} (Iqbal et al. 2022, MIT)",
        notes="Stress, not pain. Wrist, Empatica E4." + (" This person has no labels." if spans is None else ""),
        attributes=scores,
    )


def _signals(folder: Path) -> tuple[float, dict[str, Channel]]:
    """Unix time at which the last of the signals begins, and the channels from then on."""
    signals = {}
    for name in FILES:
        path = folder / f"{name}.csv"
        if name not in OPTIONAL or path.is_file() or path.with_name(f"{name}.csv.gz").is_file():
            signals[name] = _e4(tables.find(path), name)
            if abs(off := signals[name][0] - signals["EDA"][0]) > START_WITHIN_S:
                raise DamagedFile(path, f"begins {off:+.0f} s from the EDA's beginning", "line 1")
    began = max(start for start, _ in signals.values())
    channels = {}
    for name, (start, samples) in signals.items():
        rate, titles, unit, scale = FILES[name]
        kept = samples[int(round((began - start) * rate)):] * scale
        if len(kept) < MIN_SECONDS * rate:
            raise DamagedFile(folder / f"{name}.csv", f"{len(kept) / rate:.0f} s of data where {MIN_SECONDS:.0f} s or more "
                              "belong: the file looks truncated")
        channels.update({title: Channel(kept[:, k], rate, unit) for k, title in enumerate(titles)})
    return began, channels


def _e4(path: Path, name: str) -> tuple[float, np.ndarray]:
    """Unix time of the first sample and float64 (n, columns) in the file's own numbers."""
    rate, titles, _, _ = FILES[name]
    separator = b"," if len(titles) > 1 else None
    lines = tables.read_bytes(path).split(b"\n", 2)
    if len(lines) < 3:
        raise DamagedFile(path, f"{len([x for x in lines if x.strip()])} lines; start, rate and samples belong here")
    head = tables.numbers(b"\n".join(lines[:2]), path, len(titles), separator)
    if (head[1] != rate).any():
        raise DamagedFile(path, f"the sampling rate is {head[1][head[1] != rate][0]:g} Hz where {rate:g} Hz belong", "line 2")
    if not 1e9 < head[0, 0] < 1e10:
        raise DamagedFile(path, f"{head[0, 0]:g} is no Unix time in seconds", "line 1")
    return float(head[0, 0]), tables.numbers(lines[2], path, len(titles), separator, first_line=3)


def _spans(top: Path) -> dict[str, np.ndarray]:
    """By subject float64 (k, 3): begin, end (Unix seconds) and label of every stretch of one label."""
    path = tables.find(top / LABEL_TABLE)
    table = tables.columns(path, ("Participant", "Time(sec)", "Label"))
    person, time, label = (tables.to_floats(table[c], path, c) for c in ("Participant", "Time(sec)", "Label"))
    if (bad := np.flatnonzero((label != 0) & (label != 1))).size:
        raise DamagedFile(path, f"column 'Label' is {label[bad[0]]:g}, neither 0 nor 1", f"line {bad[0] + 2}")
    same = person[1:] == person[:-1]
    if (bad := np.flatnonzero(same & (np.diff(time) != 1))).size:
        step = time[bad[0] + 1] - time[bad[0]]
        raise DamagedFile(path, f"column 'Time(sec)' goes on by {step:g} s where 1 s belongs", f"line {bad[0] + 3}")
    first = np.r_[0, np.flatnonzero(~same | (label[1:] != label[:-1])) + 1]
    last = np.r_[first[1:], len(label)] - 1
    if len(set(person[first].tolist())) != 1 + int((~same).sum()):
        raise DamagedFile(path, "the rows of a person do not stand together", "column 'Participant'")
    stretches = np.column_stack([time[first], time[last] + 1, label[first]])
    return {f"S{int(p):02d}": stretches[person[first] == p] for p in np.unique(person)}


def _events(spans: np.ndarray, began: float, length_s: float) -> tuple[Event, ...]:
    """The stretches in seconds of the recording, cut to it."""
    events = []
    for begin, end, label in spans:
        t, stop = max(begin - began, 0.0), min(end - began, length_s)
        if stop > t:
            events.append(Event(float(t), float(stop - t), LABELS[int(label)]))
    return tuple(events)


def _scores(top: Path) -> dict[str, dict[str, float]]:
    """Totals of the STAI and the perceived stress scale before and after, by subject; empty without the file."""
    path = top / SCORES
    if not path.is_file():
        return {}
    out: dict[str, dict[str, float]] = {}
    try:
        with zipfile.ZipFile(path) as book:
            shared = ["".join(t.text or "" for t in item.iter(_XML + "t"))
                      for item in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))]
            for member, scale in _SHEETS.items():
                rows = _sheet(book.read(member), shared)
                when, total = rows["3"], next(r for r in rows.values() if r.get("A") == "Total")
                who = ""
                for column in when:   # a person's name stands over the first of two columns
                    who = rows["1"].get(column, who)
                    if column in total:
                        out.setdefault(who, {})[f"{scale}_{when[column].lower()}"] = float(total[column])
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, StopIteration, ValueError, IndexError) as e:
        raise DamagedFile(path, f"the questionnaires' totals cannot be read ({type(e).__name__}: {e})") from e
    return out


def _sheet(xml: bytes, shared: list[str]) -> dict[str, dict[str, str]]:
    """Text by row number and column letter, in the sheet's order (ECMA-376: a cell of type "s" is an index of shared strings)."""
    rows: dict[str, dict[str, str]] = {}
    for cell in ElementTree.fromstring(xml).iter(_XML + "c"):
        value = cell.find(_XML + "v")
        if value is None or value.text is None:
            continue
        column, row = re.fullmatch(r"([A-Z]+)(\d+)", cell.get("r", "")).groups()  # type: ignore[union-attr]
        rows.setdefault(row, {})[column] = shared[int(value.text)] if cell.get("t") == "s" else value.text
    return rows
