"""Loader of `shock_trials`: electric shocks, high or low, to oneself or to another person; SCR amplitudes and ratings by trial.

SCR.csv, Ratings.csv and demographics.csv of G. Nilsonne's repository (CC0; Nilsonne et al. 2015,
doi:10.6084/m9.figshare.1558201). A table of trials, not recordings: the signals that the amplitudes come from are not part of it.
Goes to nociband.training.tasks.

What the order of the rows means. Both files are sorted into blocks: self high, other high, self low, other low, first of wave 1
(subjects 9-47), then of wave 2 (48-86). Ten rows belong to each cell of subject, condition and stimulus (Ratings.csv lacks self
high of subject 48). Nothing says when a trial took place relative to those of another cell, so there is no chronology of a
person's 40 trials. SCR.csv interleaves the people of its very first block (row by row another subject), everything else goes
subject by subject. The subjects are labelled right in both layouts: people without a usable SCR lack it in all four cells, and
56% of that block's variance lies between subjects as labelled, against 8% if it went subject by subject too.

Within a cell the order is not proven to be that of time, and SCR.csv and Ratings.csv do not go row by row together:
- amplitudes fall along a cell where habituation is to be expected (other high: slope of the square root -0.008 a row, t = -5.1
  over people), so SCR.csv is probably in time order within a cell;
- ratings do not fall; their means rise over rows 1-5, drop at row 6 and rise again, as if two runs had been joined;
- paired by their position in the cell, square root SCR and rating correlate within a cell with r = -0.05 (intensity, self high),
  -0.03 (intensity, self low), and -0.04 to 0.08 for unpleasantness; permutations of the rows give a standard deviation of 0.04.
A pairing by position (`paired_by_order`) is therefore offered for inspection and marked unverified; a rating that a model may be
trained on is the mean of the cell (`cell_means`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nociband.errors import DataError
from nociband.signals import tables
from nociband.signals.datasets import locate
from nociband.signals.recording import DamagedFile, Finding

NAME = "shock_trials"
CONDITIONS = ("self", "other")
STIMULI = ("low", "high")
TRIALS_PER_CELL = 10
VAS = (0.0, 100.0)
NA = ("NA", "")
FILES = ("SCR.csv", "Ratings.csv", "demographics.csv")
# column of demographics.csv: name here. Numbers that were known before the shocks, or describe the person.
DESCRIBES = {
    "VAS10_before": "volts_vas10_before", "VAS80_before": "volts_vas80_before", "IRI_EC": "iri_empathic_concern",
    "IRI_PD": "iri_personal_distress", "TAS.20": "tas20", "STAI.T": "stai_trait", "STAI.S": "stai_state",
    "PPI_1_C_R": "ppi_coldheartedness",
}


@dataclass(frozen=True, eq=False)
class Cells:
    """Rows of one file. subject "09" to "86", condition, stimulus: str (n,); order: int64 (n,), position in the cell from 0."""

    subject: np.ndarray
    condition: np.ndarray
    stimulus: np.ndarray
    order: np.ndarray

    def __len__(self) -> int:
        return len(self.subject)

    def keys(self) -> list[tuple[str, str, str]]:
        """(subject, condition, stimulus) of each row."""
        return list(zip(self.subject.tolist(), self.condition.tolist(), self.stimulus.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class Ratings(Cells):
    """unpleasantness, intensity: float64 (n,) on a VAS of 0-100, NaN where not given; intensity only of shocks to oneself."""

    unpleasantness: np.ndarray
    intensity: np.ndarray


@dataclass(frozen=True, eq=False)
class Trials(Cells):
    """scr: float64 (n,) amplitude in uS, 0 for no response, NaN where none could be had; `ratings` is a table of its own.

    `attributes` by subject: treatment ("oxazepam" or "placebo"), wave, included_ep and included_fmov ("yes" or "no": whether the
    study's own analysis kept the person), and numbers of questionnaires and of the shocks' calibration (volts at VAS 10 and 80).
    """

    scr: np.ndarray
    ratings: Ratings
    attributes: Mapping[str, Mapping[str, str | float]]

    @property
    def people(self) -> tuple[str, ...]:
        """The distinct subjects, sorted."""
        return tuple(sorted(set(self.subject.tolist())))

    def cell_means(self, what: str = "intensity") -> np.ndarray:
        """float64 (n,): the mean rating of each trial's cell, NaN where nobody rated. `what`: intensity or unpleasantness."""
        sums: dict[tuple[str, str, str], list[float]] = {}
        for key, value in zip(self.ratings.keys(), self._rating(what).tolist(), strict=True):
            if np.isfinite(value):
                sums.setdefault(key, []).append(value)
        return np.array([float(np.mean(sums[key])) if key in sums else np.nan for key in self.keys()])

    def paired_by_order(self, what: str = "intensity") -> np.ndarray:
        """float64 (n,): the rating at the same position of the same cell. UNVERIFIED (see the module): not to be trained on."""
        at = {(*key, k): value for key, k, value in zip(self.ratings.keys(), self.ratings.order.tolist(),
                                                         self._rating(what).tolist(), strict=True)}
        return np.array([at.get((*key, k), np.nan) for key, k in zip(self.keys(), self.order.tolist(), strict=True)])

    def _rating(self, what: str) -> np.ndarray:
        if what not in ("intensity", "unpleasantness"):
            raise DataError(f"no rating {what!r}; there are intensity and unpleasantness")
        return np.asarray(getattr(self.ratings, what))


def load(root: str | Path | None = None) -> Trials:
    """All trials. Raises DataError when the data set is missing or damaged."""
    folder = locate(NAME, root)
    cells, scr = _read(folder / "SCR.csv", ("SCR",), (0.0, 100.0))
    of_ratings, ratings = _read(folder / "Ratings.csv", ("Unpleasantness", "Intensity"), VAS)
    about = attributes(folder)
    path = tables.find(folder / "SCR.csv")
    if unknown := sorted(set(cells["subject"].tolist()) - set(about)):
        raise DamagedFile(path, f"subject {unknown[0]!r} is not in demographics.csv", "column 'Subject'")
    return Trials(**cells, scr=scr["SCR"], ratings=Ratings(**of_ratings, unpleasantness=ratings["Unpleasantness"],
                                                           intensity=ratings["Intensity"]),
                  attributes=MappingProxyType({s: about[s] for s in sorted(set(cells["subject"].tolist()))}))


def check(root: str | Path | None = None) -> list[Finding]:
    """What is wrong, one Finding a file at most. Raises DataError when the data set is not there at all."""
    folder = locate(NAME, root)
    findings = []
    for look in (lambda: _read(folder / "SCR.csv", ("SCR",), (0.0, 100.0)),
                 lambda: _read(folder / "Ratings.csv", ("Unpleasantness", "Intensity"), VAS), lambda: attributes(folder)):
        try:
            look()
        except DamagedFile as e:
            findings.append(e.finding)
    if not findings:
        try:
            load(root)
        except DamagedFile as e:
            findings.append(e.finding)
    return findings


def people(root: str | Path | None = None) -> tuple[str, ...]:
    """The subjects that are here. Raises DataError."""
    return load(root).people


def attributes(folder: Path) -> dict[str, dict[str, str | float]]:
    """By subject, what demographics.csv says; `fmov` has people of the same numbering. Raises DamagedFile."""
    path = tables.find(folder / "demographics.csv")
    table = tables.columns(path, ("Subject", "Treatment", "Wave", "Included_EP", "Included_FMOV"), tuple(DESCRIBES))
    numbers = {ours: tables.to_floats(table[theirs], path, theirs, NA) for theirs, ours in DESCRIBES.items() if theirs in table}
    out: dict[str, dict[str, str | float]] = {}
    for i, subject in enumerate(_subjects(table["Subject"], path)):
        kept = {flag.lower(): "yes" if table[flag][i] == "TRUE" else "no" for flag in ("Included_EP", "Included_FMOV")}
        out[subject] = {"treatment": table["Treatment"][i].lower(), "wave": table["Wave"][i], **kept,
                        **{name: float(v[i]) for name, v in numbers.items() if np.isfinite(v[i])}}
    return out


def _read(path: Path, values: tuple[str, ...],
          limits: tuple[float, float]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The cells' columns (fields of Cells) and the values' float64 columns by name."""
    path = tables.find(path)
    table = tables.columns(path, ("Subject", "Condition", "Stimulus", *values))
    out = {}
    for name in values:
        out[name] = tables.to_floats(table[name], path, name, NA)
        if (bad := np.flatnonzero((out[name] < limits[0]) | (out[name] > limits[1]))).size:
            raise DamagedFile(path, f"column {name!r} is {out[name][bad[0]]:g}, outside {limits[0]:g} to {limits[1]:g}",
                              f"line {bad[0] + 2}")
    subject = _subjects(table["Subject"], path)
    condition, stimulus = (_words(table[c], known, path, c) for c, known in (("Condition", CONDITIONS), ("Stimulus", STIMULI)))
    seen: dict[tuple[str, str, str], int] = {}
    order = np.empty(len(subject), np.int64)
    for i, key in enumerate(zip(subject, condition, stimulus, strict=True)):
        order[i] = seen.get(key, 0)
        seen[key] = int(order[i]) + 1
    for key, count in seen.items():
        if count != TRIALS_PER_CELL:
            raise DamagedFile(path, f"{count} trials of subject {key[0]}, {key[1]} {key[2]}, where {TRIALS_PER_CELL} belong: "
                              "the file looks truncated")
    return {"subject": np.array(subject), "condition": np.array(condition), "stimulus": np.array(stimulus), "order": order}, out


def _subjects(column: list[str], path: Path) -> list[str]:
    for i, value in enumerate(column):
        if not value.isdigit():
            raise DamagedFile(path, f"column 'Subject' is not a number ({value!r})", f"line {i + 2}")
    return [value.zfill(2) for value in column]


def _words(column: list[str], known: tuple[str, ...], path: Path, name: str) -> list[str]:
    words = [value.lower() for value in column]
    for i, word in enumerate(words):
        if word not in known:
            raise DamagedFile(path, f"column {name!r} is {column[i]!r}, none of {', '.join(known)}", f"line {i + 2}")
    return words
