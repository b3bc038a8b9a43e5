"""Reference figures of a data set, read from published.toml: what others published, and anchors of our own that nobody did.

They are shown beside a run's figures, each marked as what it is, never mixed with them.

Keys are those of a plan's `published`: GROUP (of the run's own data set) or DATASET.GROUP. Goes to nociband.evaluation.report.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from nociband.errors import SpecError

FILE = Path(__file__).parent.parent / "published.toml"


@dataclass(frozen=True)
class Row:
    """One figure: `value` as the source reports it (shares as fractions), `sd` its own +- or None."""

    system: str
    value: float
    signals: str = ""
    sd: float | None = None


@dataclass(frozen=True)
class Published:
    """One table or sentence of a source; see the head of published.toml for what the fields mean. `own`: the source is us."""

    key: str
    authors: str
    title: str
    doi: str
    where: str
    task: str
    metric: str
    protocol: str
    rows: tuple[Row, ...] = field(default=())
    classes: int | None = None
    people: int | None = None
    cited: bool = False
    own: bool = False
    note: str = ""


@cache
def load(path: Path = FILE) -> Mapping[str, tuple[Published, ...]]:
    """All published figures by data set. Raises SpecError that names the entry which does not hold together."""
    with path.open("rb") as file:
        table = tomllib.load(file)
    sources: Mapping[str, Mapping[str, Any]] = table.pop("source", {})
    return {
        dataset: tuple(_group(f"{dataset}.{key}", value, sources) for key, value in groups.items())
        for dataset, groups in table.items()
    }


def _group(key: str, value: Mapping[str, Any], sources: Mapping[str, Mapping[str, Any]]) -> Published:
    values = dict(value)
    try:
        source = sources[values.pop("source")]
        rows = tuple(Row(**row) for row in values.pop("rows"))
        return Published(
            key=key, authors=source["authors"], title=source["title"], doi=source.get("doi", ""), rows=rows,
            own=source.get("own", False), **values
        )
    except (KeyError, TypeError) as e:
        raise SpecError(f"published.toml, [{key}]: {e}") from e


def beside(dataset: str, keys: Iterable[str] = ()) -> tuple[Published, ...]:
    """What a report on `dataset` shows: the named groups in that order, or all of the data set when none is named.

    Raises SpecError for a key that is not there.
    """
    everything = load()
    if not (keys := tuple(keys)):
        return everything.get(dataset, ())
    by_key = {group.key: group for groups in everything.values() for group in groups}
    chosen = []
    for key in keys:
        found = by_key.get(f"{dataset}.{key}") or by_key.get(key)
        if found is None:
            raise SpecError(f"published.toml has no figures named {key!r} for {dataset}; it has: {', '.join(sorted(by_key))}")
        chosen.append(found)
    return tuple(chosen)
