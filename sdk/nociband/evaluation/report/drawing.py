"""Matplotlib figures as SVG that goes straight into a page: same input, same bytes; colours and letters follow the page.

Figures are drawn in the light theme's colours; `to_svg` replaces each by the CSS variable of the same role, so one drawing
serves the light page, the dark page and paper. Text stays text (it can be searched, and is read aloud).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Role on the page -> colour in the light theme. No two are alike: a colour is found again in the SVG by its value.
INK, DIM, LINE, GRID, CARD, WARN = "#10202e", "#51626f", "#d5dde4", "#e3e9ee", "#fefefe", "#9a5b00"
SERIES = ("#0067a5", "#c24e00", "#00785a", "#8b3a77", "#5b5fc7", "#7a6200", "#b0004b", "#3c5a6b")
_VARIABLES = {
    INK: "--ink",
    DIM: "--dim",
    LINE: "--line",
    GRID: "--grid",
    CARD: "--card",
    WARN: "--warn",
    **{colour: f"--k{i}" for i, colour in enumerate(SERIES, 1)},
}
DASHES = ("-", (0, (5, 1.6)), (0, (1.4, 1.2)), (0, (6, 1.6, 1.4, 1.6)), (0, (3, 1)), (0, (8, 2)), (0, (1, 2)), (0, (4, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
FULL = 10.0  # inches; at 72 units an inch the page shows it 720 to 860 pixels wide, so 13 is 12 to 15 pixels

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nociband",
    "font.family": "DejaVu Sans",
    "font.size": 13,
    "text.color": INK,
    "axes.edgecolor": DIM,
    "axes.labelcolor": INK,
    "axes.titlesize": 13.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.labelsize": 13,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.9,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12.5,
    "lines.linewidth": 1.9,
    "legend.frameon": False,
    "legend.fontsize": 12.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.unicode_minus": True,
    "figure.constrained_layout.use": True,
    "path.simplify": True,
    "axes.prop_cycle": "",
    "text.usetex": False,
    "text.parse_math": False,
    "axes.formatter.useoffset": False,
}


@contextmanager
def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure of `width` x `height` inches with (rows, columns) axes in the house's style; nothing global is changed."""
    import matplotlib
    from cycler import cycler
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = dict(matplotlib.rcParamsDefault) | _STYLE | {"axes.prop_cycle": cycler(color=SERIES)}
    style.pop("backend", None)
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(rows, columns, squeeze=False, **options)
        yield figure, axes


def to_svg(figure: Figure, name: str, label: str) -> str:
    """The figure as `<svg>` for an HTML page; `name` is unique on the page and prefixes every id, `label` is read aloud.

    Call it within `canvas`. Neither a date nor an address of any kind is left in it.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.S)
    head = re.match(r"<svg[^>]*>", text)
    assert head is not None
    box = re.search(r'viewBox="[^"]*"', head.group())
    assert box is not None
    text = (
        f'<svg {box.group()} role="img" aria-label="{escape(label, quote=True)}" preserveAspectRatio="xMidYMid meet">'
        + text[head.end() :]
    )
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r"<style[^>]*>\*\{stroke-linejoin: round; stroke-linecap: butt\}</style>", "", text)
    return _own_ids(_own_colours(text), name).strip()


def _own_colours(text: str) -> str:
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text.replace("'DejaVu Sans'", "var(--figure-font)")


def _own_ids(text: str, name: str) -> str:
    """Ids that something refers to get the figure's name before them and a number; all others go."""
    wanted = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', text))
    numbers = count(1)
    new = {old: f"{name}-{next(numbers)}" for old in wanted}
    text = re.sub(r' id="([^"]*)"', lambda m: f' id="{new[m.group(1)]}"' if m.group(1) in new else "", text)
    return re.sub(r'((?:href="|url\()#)([^")]+)', lambda m: m.group(1) + new[m.group(2)], text)


def plain(axis: Any, grid: str = "both") -> None:
    """Axes with lines of the grid along one direction only ("x", "y"), or "none"."""
    axis.grid(False)
    if grid != "none":
        axis.grid(True, axis=grid)


def legend_below(figure: Figure, handles: list[Any], columns: int = 4) -> None:
    """One legend for all axes of the figure, below them."""
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), handlelength=2.6, columnspacing=1.6
    )
