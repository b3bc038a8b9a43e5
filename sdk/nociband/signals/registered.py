"""What the loaders of registered (access-controlled) data sets share: where they are, how to obtain them, their tables.

These sets cannot be downloaded by this project: each needs an agreement with its holders. biovid, xite, painmonit and ai4pain
read them by the layouts that public code and papers describe, which were never checked against the data; what a loader could
not confirm stands in its docstring and in `Recording.notes`. Every damaged file is a DamagedFile that names line, column or
rate.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ParamSpec, TypeVar
from zlib import crc32

import numpy as np

from nociband.errors import DataError
from nociband.signals.recording import Channel, DamagedFile, Event, Finding, Recording
from nociband.signals.tables import read_bytes

P = ParamSpec("P")
T = TypeVar("T")
RATE_TOLERANCE = 0.01
JUMP_S = 0.1  # a clock that leaps further than this is a hole in the recording
GAP_MAX_S = 1.0  # missing samples up to this long are interpolated and declared, longer ones are refused
DRAWN = "order of the excerpts: drawn, the data set does not confirm it"
# Values whose unit no source confirms are compared with what the assumed unit allows (Boucsein 2012: skin conductance of 1-40 uS;
# De Luca et al. 2010: surface EMG of some uV at rest to 10 mV at most).
PLAUSIBLE = MappingProxyType({"uS": (0.01, 100.0), "uV": (0.05, 10_000.0), "mV": (5e-5, 10.0)})


@dataclass(frozen=True)
class Access:
    """How a registered data set is obtained: who holds it, where to ask, on what terms."""

    name: str
    title: str
    holder: str
    where: str
    terms: str

    def __str__(self) -> str:
        return (
            f"{self.title} is not ours to hand out: ask {self.holder} ({self.where}); {self.terms}. Then name its folder "
            f"with --data FOLDER, or put it at $NOCIBAND_DATA/{self.name}"
        )


@dataclass(frozen=True, eq=False)
class Piece:
    """One excerpt of a person: signals (n,) by channel name at one rate, what was happening, and what of it was made up."""

    signals: Mapping[str, np.ndarray]
    label: str
    number: int
    made_up: tuple[str, ...] = ()


def folder(access: Access, root: str | Path | None, holds: Callable[[Path], bool], aliases: Sequence[str] = ()) -> Path:
    """The folder for which `holds` is true: `root` (else $NOCIBAND_DATA), or its subfolder of the set's name or an alias.

    Raises DataError that says where it looked and how to obtain the set.
    """
    base = Path(root) if root is not None else Path(named) if (named := os.environ.get("NOCIBAND_DATA")) else None
    if base is None:
        raise DataError(f"no folder given and NOCIBAND_DATA is not set. {access}")
    inside = [base / name for name in (access.name, *aliases)]
    candidates = [base, *inside, *(base / access.name / name for name in aliases)]
    for candidate in candidates:
        if candidate.is_dir() and holds(candidate):
            return candidate
    why = "does not exist" if not base.exists() else f"does not hold {access.title} in a layout that is known here"
    raise DataError(f"{base} {why}. {access}")


def chosen(known: Sequence[str], subjects: Sequence[str] | None, where: Path) -> Sequence[str]:
    """`subjects`, or all that are known. Raises DataError naming what is there for one that is not."""
    if unknown := sorted(set(subjects or ()) - set(known)):
        raise DataError(f"{where}: no subject {', '.join(unknown)}; there are {', '.join(known)}")
    return known if subjects is None else subjects


class Checks:
    """Goes on where a loader would stop, and gathers what is wrong in `findings`."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def run(self, step: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | None:
        """What the step gives, or None when it found damage, which is noted."""
        try:
            return step(*args, **options)
        except DamagedFile as e:
            self.findings.append(e.finding)
        return None

    def sizes(self, path: Path, recording: Recording | None) -> None:
        """Note channels whose size does not fit their unit."""
        self.findings += implausible(path, recording) if recording is not None else []


def table(
    path: Path, names: Sequence[str], separator: str, decimal: str = ".", optional: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Columns by name of a table whose first line names them, float64 (rows,); an empty cell is NaN.

    Every one of `names` must be there, those of `optional` are read where they are. Raises DamagedFile naming column and line.
    """
    header, body = header_and_body(path, separator)
    for name in names:
        if name not in header:
            raise DamagedFile(path, f"no column {name!r}; there are {', '.join(map(repr, header))}", "line 1")
    wanted = [name for name in (*names, *optional) if name in header]
    if decimal != ".":
        body = body.replace(decimal, ".")
    body = _name_empty_cells(body.rstrip("\n"), separator)
    lines = body.count("\n") + 1
    try:
        if body.count(separator) != (len(header) - 1) * lines:
            raise ValueError("columns")
        values = np.loadtxt(
            io.StringIO(body), delimiter=separator, usecols=[header.index(n) for n in wanted], ndmin=2, comments=None
        )
    except ValueError:
        raise _first_fault(body, path, header, wanted, separator) from None
    if np.isinf(values).any():
        row, column = (int(v) for v in np.argwhere(np.isinf(values))[0])
        raise DamagedFile(path, f"column {wanted[column]!r} is {values[row, column]}, not a finite number", f"line {row + 2}")
    return dict(zip(wanted, np.ascontiguousarray(values.T), strict=True))


def header_and_body(path: Path, separator: str) -> tuple[list[str], str]:
    """Names in the first line, and the rest. Raises DamagedFile when either is missing or the file is not text."""
    try:
        text = read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as e:
        raise DamagedFile(path, f"byte {e.start} is not text (UTF-8)") from e
    first, _, body = text.partition("\n")
    if not first.strip():
        raise DamagedFile(path, "the file is empty")
    if not body.strip():
        raise DamagedFile(path, "nothing follows the header", "line 1")
    return [name.strip().strip('"') for name in first.split(separator)], body


def _name_empty_cells(body: str, separator: str) -> str:
    while separator * 2 in body:
        body = body.replace(separator * 2, f"{separator}nan{separator}")
    body = body.replace(f"{separator}\n", f"{separator}nan\n").replace(f"\n{separator}", f"\nnan{separator}")
    return f"{'nan' if body.startswith(separator) else ''}{body}{'nan' if body.endswith(separator) else ''}"


def _first_fault(body: str, path: Path, header: Sequence[str], wanted: Sequence[str], separator: str) -> DamagedFile:
    for number, line in enumerate(body.splitlines(), 2):
        row = line.split(separator)
        if len(row) != len(header):
            return DamagedFile(path, f"{len(row)} columns where {len(header)} belong", f"line {number}")
        for name, value in zip(header, row, strict=True):
            try:
                float(value if name in wanted else 0)
            except ValueError:
                return DamagedFile(path, f"column {name!r} is not a number ({value.strip()!r})", f"line {number}")
    return DamagedFile(path, "the table has blank lines or odd line ends")


def check_clock(path: Path, column: str, times: np.ndarray, rate_hz: float, seconds_per_unit: float = 1.0) -> None:
    """Raise DamagedFile when a time column runs backwards, leaps, or does not run at the stated rate."""
    where = f"column {column!r}"
    if len(times) < 2 or not np.isfinite(times).all():
        raise DamagedFile(path, "fewer than two times" if len(times) < 2 else "times are missing", where)
    steps = np.diff(times) * seconds_per_unit
    if (steps < 0).any():
        raise DamagedFile(path, "time runs backwards", f"{where}, line {int(np.argmax(steps < 0)) + 3}")
    usual = steps[steps <= 10 * max(float(np.median(steps)), 1 / rate_hz)]
    measured = 1 / max(float(usual.mean()), 1e-12)
    if abs(measured / rate_hz - 1) > RATE_TOLERANCE:
        raise DamagedFile(path, f"runs at {measured:.6g} Hz where {rate_hz:g} Hz belong", where)
    if steps.max() > JUMP_S:
        raise DamagedFile(path, f"{steps.max():.3f} s are missing", f"{where}, line {int(np.argmax(steps)) + 3}")


def filled(values: Mapping[str, np.ndarray], rate_hz: float, path: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Columns with short gaps interpolated, and what to declare as made up. Raises DamagedFile for a gap over GAP_MAX_S."""
    whole = {name: _fill(samples, rate_hz, path, name) for name, samples in values.items()}
    return whole, tuple(f"{name}: missing samples interpolated" for name in values if np.isnan(values[name]).any())


def _fill(values: np.ndarray, rate_hz: float, path: Path, column: str) -> np.ndarray:
    missing = np.isnan(values)
    if not missing.any():
        return values
    for start, stop in runs(missing):
        if missing[start] and (missing.all() or (stop - start) / rate_hz > GAP_MAX_S):
            raise DamagedFile(
                path,
                f"{stop - start} samples ({(stop - start) / rate_hz:.1f} s) are missing",
                f"column {column!r}, line {start + 2}",
            )
    at = np.arange(len(values))
    return np.interp(at, at[~missing], values[~missing])


def has_hole(values: np.ndarray, rate_hz: float) -> bool:
    """Whether more than GAP_MAX_S is missing (NaN) at a stretch."""
    missing = np.isnan(values)
    return bool(missing.all()) or any(missing[a] and (b - a) / rate_hz > GAP_MAX_S for a, b in runs(missing))


def runs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """(start, stop) of each stretch of equal values; NaN equals NaN."""
    same = (values[1:] == values[:-1]) | ((values[1:] != values[1:]) & (values[:-1] != values[:-1]))
    edges = [0, *(np.flatnonzero(~same) + 1).tolist(), len(values)]
    yield from zip(edges[:-1], edges[1:], strict=True) if len(values) else ()


def implausible(path: Path, recording: Recording) -> list[Finding]:
    """Findings for channels whose size does not fit their unit, which no source may have confirmed."""
    findings = []
    for name, channel in recording.channels.items():
        low, high = PLAUSIBLE.get(channel.unit, (0.0, np.inf))
        size = float(np.median(np.abs(channel.samples)) if channel.unit == "uS" else np.std(channel.samples))
        if name == "eda" or channel.unit in ("uV", "mV"):
            if not low <= size <= high:
                findings.append(
                    Finding(
                        path,
                        f"{size:.3g} {channel.unit} {'in the middle' if channel.unit == 'uS' else 'of spread'}, "
                        f"where {low:g} to {high:g} are plausible: a dead channel, or another unit",
                        f"channel {name!r}",
                    )
                )
    return findings


def join(pieces: Sequence[Piece], subject: str, rate_hz: float) -> tuple[dict[str, np.ndarray], tuple[Event, ...]]:
    """Pieces of one person after each other in a drawn order that is the same each time, and an event for each.

    The order is drawn, from the person's name, because the sets do not confirm that pieces are numbered in time; kept in file
    order, all painless ones would stand together and a running baseline would know them by their place.
    """
    order = np.random.default_rng(crc32(subject.encode())).permutation(len(pieces))
    drawn = [pieces[i] for i in order]
    events, at = [], 0
    for piece in drawn:
        n = len(next(iter(piece.signals.values())))
        events.append(Event(at / rate_hz, n / rate_hz, piece.label))
        at += n
    return {name: np.concatenate([p.signals[name] for p in drawn]) for name in drawn[0].signals}, tuple(events)


def apart(pieces: Sequence[Piece], name: str, subject: str, rate_hz: float, units: Mapping[str, str], source: str, notes: str,
          attributes: Mapping[str, str | float] = MappingProxyType({})) -> list[Recording]:
    """Each piece as a recording of its own, `name`:number, with one event over all of it."""
    return [Recording(f"{name}:{p.number:03d}", subject, channels(p.signals, rate_hz, units),
                      (Event(0.0, len(p.signals["eda"]) / rate_hz, p.label),), p.made_up, source, notes, attributes=attributes)
            for p in pieces]


def made_up(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """What was made up in any of the pieces, once each."""
    return tuple(dict.fromkeys(what for piece in pieces for what in piece.made_up))


def channels(signals: Mapping[str, np.ndarray], rate_hz: float, units: Mapping[str, str]) -> dict[str, Channel]:
    """Channels of one rate, each with its unit."""
    return {name: Channel(np.asarray(samples, np.float64), rate_hz, units[name]) for name, samples in signals.items()}
