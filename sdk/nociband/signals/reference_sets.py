"""Loaders of three small open sets without pain in them, for work on filters, front ends and EDA algorithms.

- `myo_forearm_emg`: eight EMG channels of the forearm, 200 Hz, int8 counts, wrist gestures (A. Francic, MIT); files
  <person>-<session>/<gesture>.txt, comma-separated, the last column says rest (0) or the gesture.
- `biosppy`: examples of BioSPPy (BSD): two EMG and one EDA at 1 kHz, 12-bit counts; nobody is named, each file is a person here.
- `neurokit`: an example of NeuroKit (MIT): 150 s of one person's EDA, ECG and respiration at 100 Hz; four events, of which the
  photosensor's falling edge tells.

Counts have the unit "": the amplifiers' gains are not known. Tests and notebooks use these; no task is built on them.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from nociband.errors import DataError
from nociband.signals import tables
from nociband.signals.datasets import locate
from nociband.signals.recording import Channel, DamagedFile, Event, Finding, Recording

GESTURES = ("rest", "flexion", "extension", "radial deviation", "ulnar deviation", "pronation", "supination", "fist")
MYO_HZ, MYO_CHANNELS, MYO_MIN_S = 200.0, 8, 30.0
BIOSPPY_HZ, BIOSPPY_BITS = 1000.0, 12
BIOSPPY_FILES = {"emg.txt": "EMG", "emg_1.txt": "EMG", "eda.txt": "EDA"}
NEUROKIT_HZ, NEUROKIT_FILE = 100.0, "bio_eventrelated_100hz.csv"
_MYO_FILE = re.compile(r"([0-7])\.txt(\.gz)?$")
_MYO_FOLDER = re.compile(r"(\d{5})-(\d+)$")


def load(root: str | Path | None = None, name: str = "neurokit") -> list[Recording]:
    """Every recording of the set `name`. Raises DataError."""
    return [_READ[name](path) for path in files(root, name)]


def check(root: str | Path | None = None, name: str = "neurokit") -> list[Finding]:
    """What is wrong, one Finding a file at most. Raises DataError when the data set is not there at all."""
    findings = []
    for path in files(root, name):
        try:
            _READ[name](path)
        except DamagedFile as e:
            findings.append(e.finding)
    return findings


def people(root: str | Path | None = None, name: str = "neurokit") -> tuple[str, ...]:
    """The subjects that are here. Raises DataError."""
    return tuple(sorted({_myo_name(path)[0] if name == "myo_forearm_emg" else path.name for path in files(root, name)}))


def files(root: str | Path | None = None, name: str = "neurokit") -> list[Path]:
    """Every recording's file, in order (what should be there, in sets of a fixed number). Raises DataError."""
    folder = locate(name, root)
    if name != "myo_forearm_emg":
        wanted = BIOSPPY_FILES if name == "biosppy" else (NEUROKIT_FILE,)
        return [folder / file for file in wanted]
    found = sorted(p for p in folder.glob("*-*/*.txt*") if _MYO_FILE.search(p.name) and _MYO_FOLDER.search(p.parent.name))
    if not found:
        raise DataError(f"{folder}: no file named <person>-<session>/<gesture>.txt(.gz)")
    return found


def _myo_name(path: Path) -> tuple[str, str, int]:
    folder, file = _MYO_FOLDER.search(path.parent.name), _MYO_FILE.search(path.name)
    assert folder and file    # `files` gives no others
    return folder[1], folder[2], int(file[1])


def _myo(path: Path) -> Recording:
    subject, sitting, gesture = _myo_name(path)
    table = tables.numbers(tables.read_bytes(path), path, MYO_CHANNELS + 1, b",")
    if len(table) < MYO_MIN_S * MYO_HZ:
        raise DamagedFile(path, f"{len(table) / MYO_HZ:.1f} s of data where {MYO_MIN_S:.0f} s or more belong: "
                          "the file looks truncated")
    if (bad := np.argwhere(np.abs(table[:, :-1] + 0.5) > 128)).size:
        row, column = (int(v) for v in bad[0])
        raise DamagedFile(path, f"column {column + 1} is {table[row, column]:g}, outside -128 to 127", f"line {row + 1}")
    label = table[:, -1]
    if (wrong := np.flatnonzero((label != 0) & (label != gesture))).size:
        raise DamagedFile(path, f"column {MYO_CHANNELS + 1} is {label[wrong[0]]:g}, neither 0 nor {gesture}",
                          f"line {wrong[0] + 1}")
    first = np.r_[0, np.flatnonzero(np.diff(label)) + 1]
    events = tuple(Event(float(a / MYO_HZ), float((b - a) / MYO_HZ), GESTURES[int(label[a])])
                   for a, b in zip(first, np.r_[first[1:], len(label)], strict=True))
    return Recording(
        name=f"myo_forearm_emg:{subject}-{sitting}/{gesture}", subject=subject, sitting=f"{sitting}/{gesture}", events=events,
        channels={f"forearm{k + 1}": Channel(table[:, k], MYO_HZ, "") for k in range(MYO_CHANNELS)}, simulated=(),
        source=f"myo_forearm_emg {path.parent.name} (A. Francic, MIT)", notes="Gestures, not pain. int8 counts of a Myo armband.")


def _biosppy(path: Path) -> Recording:
    """Header lines begin with #; they state rate and resolution."""
    path = tables.find(path)
    text = tables.read_bytes(path)
    head = [line.decode(errors="replace") for line in text.split(b"\n", 8)[:8] if line.startswith(b"#")]
    stated = {key.strip("# ").strip(): value.strip() for key, _, value in (line.partition(":=") for line in head)}
    kind = BIOSPPY_FILES[path.name.removesuffix(".gz")]
    for key, wanted in (("Sampling Rate (Hz)", f"{BIOSPPY_HZ:.2f}"), ("Resolution", str(BIOSPPY_BITS)), ("Labels", kind)):
        if stated.get(key) != wanted:
            raise DamagedFile(path, f"states {key} {stated.get(key, '(nothing)')} where {wanted} belongs", "header")
    body = text.split(b"\n", len(head))[-1]
    samples = tables.numbers(body, path, 1, first_line=len(head) + 1)[:, 0]
    if (bad := np.flatnonzero((samples < 0) | (samples >= 1 << BIOSPPY_BITS))).size:
        raise DamagedFile(path, f"{samples[bad[0]]:g} is outside {BIOSPPY_BITS} bits", f"line {bad[0] + len(head) + 1}")
    return Recording(name=f"biosppy:{path.name.split('.')[0]}", subject=path.name.split(".")[0],
                     channels={kind.lower(): Channel(samples, BIOSPPY_HZ, "")}, events=(), simulated=(),
                     source=f"BioSPPy example {path.name} (BSD)", notes=f"{BIOSPPY_BITS}-bit counts of an unknown gain.")


def _neurokit(path: Path) -> Recording:
    units = {"ECG": ("ecg", ""), "EDA": ("eda", "uS"), "RSP": ("respiration", "")}
    path = tables.find(path)
    table = tables.columns(path, (*units, "Photosensor"))
    light = tables.to_floats(table["Photosensor"], path, "Photosensor") > 2.5
    onsets = np.flatnonzero(light[:-1] & ~light[1:]) + 1
    ends = np.r_[np.flatnonzero(~light[:-1] & light[1:]) + 1, len(light)]
    events = tuple(Event(float(at / NEUROKIT_HZ), float((ends[ends > at][0] - at) / NEUROKIT_HZ), "picture") for at in onsets)
    channels = {ours: Channel(tables.to_floats(table[theirs], path, theirs), NEUROKIT_HZ, unit)
                for theirs, (ours, unit) in units.items()}
    return Recording(name="neurokit:bio_eventrelated", subject="1", channels=channels, events=events, simulated=(),
                     source=f"NeuroKit example {NEUROKIT_FILE} (MIT)", notes="Pictures, not pain.")


_READ = {"myo_forearm_emg": _myo, "biosppy": _biosppy, "neurokit": _neurokit}
