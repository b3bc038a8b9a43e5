"""What a section of the report is made of. Written by the section modules, laid out by templates/report.html.j2.

All text is plain: the template escapes it. Only `Figure.svg` goes into the page as it is, and only `drawing.to_svg` makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Text:
    """A paragraph; `style` "" (plain), "note" (small), "warning" or "verdict"."""

    text: str
    style: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption."""

    svg: str
    caption: str
    kind: str = "figure"


@dataclass(frozen=True)
class Table:
    """A table: columns whose heading starts with "<" are text (left), all others figures (right); `strong` rows stand out."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    strong: Sequence[int] = ()
    kind: str = "table"


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: rows are the truth. shares: of the row, 0 to 1 or None (no such window); texts: counts of each cell."""

    title: str
    labels: Sequence[str]
    shares: Sequence[Sequence[float | None]]
    texts: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Matrices:
    """Confusion matrices side by side."""

    matrices: Sequence[Matrix]
    kind: str = "matrices"


@dataclass(frozen=True)
class Facts:
    """Terms with what is to be said of them."""

    facts: Sequence[tuple[str, str]]
    kind: str = "facts"


@dataclass(frozen=True)
class Code:
    """Something to be typed or read letter by letter."""

    text: str
    kind: str = "code"


Part = Text | Figure | Table | Matrices | Facts | Code


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; one without parts is left out of the page."""

    id: str
    title: str
    parts: Sequence[Part] = field(default=())
