"""The figures that every report has: dots with whiskers, differences about zero, one dot a person.

Takes plain names and numbers, gives SVG text (see drawing.to_svg); what is drawn was worked out elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nociband.evaluation.report import drawing
from nociband.evaluation.report.drawing import DIM, FULL, INK, MARKERS, SERIES, WARN, canvas, plain, to_svg


@dataclass(frozen=True)
class Dot:
    """One value with its 95% interval (None: no interval); `text` stands to the right of it, `colour` is a place in SERIES."""

    label: str
    mean: float
    low: float | None
    high: float | None
    text: str = ""
    colour: int = 0
    faint: bool = False


@dataclass(frozen=True)
class Mark:
    """A vertical line across a dot-and-whisker figure: chance, no difference, a margin."""

    at: float
    label: str
    dashed: bool = True


def dots(
    points: Sequence[Dot],
    marks: Sequence[Mark],
    axis_label: str,
    name: str,
    label: str,
    bounds: tuple[float, float] | None = None,
) -> str:
    """Dots with whiskers, one row each, first on top, and vertical marks; `bounds` is what the axis never goes beyond."""
    height = 1.0 + 0.4 * len(points) + (0.3 if marks else 0)
    with canvas(FULL, height) as (figure, axes):
        axis = axes[0, 0]
        plain(axis, "x")
        for row, point in enumerate(points):
            _dot(axis, row, point)
        low, high = _range(points, marks, bounds)
        axis.set_xlim(low, high)
        axis.set_ylim(len(points) - 0.4, -0.6)
        axis.set_yticks(range(len(points)), [point.label for point in points])
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.set_xlabel(axis_label)
        for row, point in enumerate(points):
            axis.annotate(
                point.text,
                (1.0, row),
                xycoords=("axes fraction", "data"),
                xytext=(12, 0),
                textcoords="offset points",
                va="center",
                ha="left",
                fontsize=12.5,
                color=DIM if point.faint else INK,
                annotation_clip=False,
            )
        _marks(axis, marks, low, high)
        return to_svg(figure, name, label)


def _dot(axis: Any, row: int, point: Dot) -> None:
    colour, alpha = SERIES[point.colour % len(SERIES)], 0.55 if point.faint else 1.0
    if point.low is not None and point.high is not None:
        axis.plot([point.low, point.high], [row, row], color=colour, alpha=alpha, linewidth=2.4, solid_capstyle="butt")
        for end in (point.low, point.high):
            axis.plot([end, end], [row - 0.13, row + 0.13], color=colour, alpha=alpha, linewidth=2)
    axis.plot([point.mean], [row], marker=MARKERS[point.colour % len(MARKERS)], markersize=9, color=colour, alpha=alpha)


def _range(points: Sequence[Dot], marks: Sequence[Mark], bounds: tuple[float, float] | None) -> tuple[float, float]:
    at = [v for p in points for v in (p.mean, p.low, p.high) if v is not None] + [m.at for m in marks]
    low, high = min(at), max(at)
    margin = max(0.06 * (high - low), 0.01 * max(abs(low), abs(high)), 1e-6)
    low, high = low - margin, high + margin
    return (max(low, bounds[0] - margin / 3), min(high, bounds[1] + margin / 3)) if bounds else (low, high)


def _marks(axis: Any, marks: Sequence[Mark], low: float, high: float) -> None:
    """Lines with their names above the axes: near the right end to the left of the line, and one above another where crowded."""
    level, last = 0, -np.inf
    for mark in sorted(marks, key=lambda m: m.at):
        axis.axvline(mark.at, color=DIM, linewidth=1.3, linestyle=(0, (4, 3)) if mark.dashed else "-", zorder=0.9)
        share = (mark.at - low) / (high - low)
        level = level + 1 if share - last < 0.3 else 0
        last = share
        side = "right" if share > 0.8 else "left"
        axis.annotate(
            mark.label,
            (mark.at, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if side == "right" else 4, 3 + 14 * level),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize=12,
            color=DIM,
            annotation_clip=False,
        )


def people(
    values: Mapping[str, Mapping[str, float | None]],
    colours: Sequence[int],
    marks: Sequence[Mark],
    marked: Sequence[str],
    axis_label: str,
    name: str,
    label: str,
    ascending: bool = True,
) -> str:
    """One dot a person and model: people side by side, sorted by the first model of `values`; `marked` ones stand on a band.

    `values`: by model, then by person; None: not defined for that person.
    """
    first = next(iter(values.values()))
    order = sorted(first, key=lambda p: (first[p] is None, (first[p] or 0.0) * (1 if ascending else -1), p))
    with canvas(FULL, 4.1) as (figure, axes):
        axis = axes[0, 0]
        plain(axis, "y")
        for at, person in enumerate(order):
            if person in marked:
                axis.axvspan(at - 0.5, at + 0.5, color=WARN, alpha=0.14, linewidth=0, zorder=0.5)
            there = [v for model in values.values() if (v := model.get(person)) is not None]
            if there:
                axis.plot([at, at], [min(there), max(there)], color=drawing.LINE, linewidth=1.2, zorder=0.8)
        for mark in marks:
            _level(axis, mark)
        handles = _person_dots(axis, values, colours, order)
        _person_axis(axis, order, marked)
        axis.set_ylabel(axis_label)
        drawing.legend_below(figure, handles, 5)
        return to_svg(figure, name, label)


def _level(axis: Any, mark: Mark) -> None:
    """A dashed line across the axes with its name above its left end."""
    axis.axhline(mark.at, color=DIM, linewidth=1.3, linestyle=(0, (4, 3)), zorder=0.9)
    axis.annotate(
        mark.label,
        (0, mark.at),
        xycoords=("axes fraction", "data"),
        xytext=(3, 2),
        textcoords="offset points",
        fontsize=11.5,
        color=DIM,
    )


def _person_axis(axis: Any, order: Sequence[str], marked: Sequence[str]) -> None:
    """Names below, upright where they would run into each other; of a crowd every second or third."""
    step = max(1, -(-len(order) // 44))
    shown = range(0, len(order), step)
    upright = len(order) > 14 or max(map(len, order)) > 4
    labels = [order[i] + ("*" if order[i] in marked else "") for i in shown]
    axis.set_xticks(shown, labels, rotation=90 if upright else 0, fontsize=11)
    axis.set_xlim(-0.7, len(order) - 0.3)
    axis.tick_params(axis="x", length=0)


def _person_dots(
    axis: Any, values: Mapping[str, Mapping[str, float | None]], colours: Sequence[int], order: Sequence[str]
) -> list[Any]:
    """Dots of each model, set a little beside each other so that equal ones are seen; gives the handles of the legend."""
    shifts = np.linspace(-0.26, 0.26, len(values)) if len(values) > 1 else [0.0]
    size = 7.5 if len(order) <= 40 else 5
    handles = []
    for i, (model, each) in enumerate(values.items()):
        at = [(k + shifts[i], each[p]) for k, p in enumerate(order) if each.get(p) is not None]
        handles += axis.plot(
            [x for x, _ in at],
            [y for _, y in at],
            linestyle="none",
            marker=MARKERS[colours[i] % 8],
            markersize=size if i == 0 else size - 1.5,
            color=SERIES[colours[i] % 8],
            alpha=1 if i == 0 else 0.75,
            markeredgewidth=0,
            label=model,
            zorder=4 if i == 0 else 3,
        )
    return handles
