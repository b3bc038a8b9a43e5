"""Figures of tasks with classes: ROC curves and reliability diagrams. Numbers in, SVG text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nociband.evaluation.report.drawing import CARD, DASHES, DIM, FULL, GRID, SERIES, canvas, legend_below, plain, to_svg


@dataclass(frozen=True)
class Roc:
    """One curve: false- and true-positive rates (k,), rising from 0 to 1, and the area under it."""

    fpr: np.ndarray
    tpr: np.ndarray
    area: float | None


@dataclass(frozen=True)
class Bins:
    """A reliability diagram: mean confidence, share that was right and number of windows (k,) of each bin; `ece` over all."""

    confidence: np.ndarray
    right: np.ndarray
    windows: np.ndarray
    ece: float | None


def roc(panels: Mapping[str, Mapping[str, Roc]], colours: Sequence[int], name: str, label: str) -> str:
    """One panel for each entry (a class against the rest, or the positive class), one curve for each model."""
    across = min(len(panels), 3)
    down = -(-len(panels) // across)
    size = FULL / max(across, 2)
    with canvas(FULL, size * down + (0.85 if across == 1 else 0.55), down, across) as (figure, axes):
        handles: list[Any] = []
        for axis, (title, curves) in zip(axes.flat, panels.items(), strict=False):
            _unit_square(axis)
            axis.plot([0, 1], [0, 1], color=DIM, linewidth=1.1, linestyle=(0, (4, 3)))
            drawn = [
                axis.plot(
                    c.fpr,
                    c.tpr,
                    color=SERIES[colours[i] % 8],
                    linestyle=DASHES[colours[i] % 8],
                    linewidth=2.4 if i == 0 else 1.7,
                    label=model,
                    zorder=4 if i == 0 else 3,
                )[0]
                for i, (model, c) in enumerate(curves.items())
            ]
            handles = max(handles, drawn, key=len)
            if len(panels) > 1:
                axis.set_title(title)
            axis.set_xlabel("1 - specificity")
            _areas(axis, curves, colours)
        axes[0, 0].set_ylabel("sensitivity")
        for axis in list(axes.flat)[len(panels) :]:
            axis.set_visible(False)
        legend_below(figure, handles, 5)
        return to_svg(figure, name, label)


def _areas(axis: Any, curves: Mapping[str, Roc], colours: Sequence[int]) -> None:
    """The areas as text in the lower right corner, where a curve that is worth anything never goes."""
    there = [(i, c.area) for i, c in enumerate(curves.values()) if c.area is not None]
    for line, (i, area) in enumerate(reversed(there)):
        axis.text(
            0.97,
            0.04 + 0.075 * line,
            f"{area:.3f}",
            ha="right",
            fontsize=12,
            color=SERIES[colours[i] % 8],
            fontweight="bold" if i == 0 else "normal",
        )


def _unit_square(axis: Any) -> None:
    axis.set_xlim(-0.015, 1.015)
    axis.set_ylim(-0.015, 1.015)
    axis.set_box_aspect(1)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axis.set_xticks(ticks, ["0", "", "0.5", "", "1"])
    axis.set_yticks(ticks, ["0", "", "0.5", "", "1"])


def reliability(models: Mapping[str, Bins], colours: Sequence[int], name: str, label: str) -> str:
    """Small panels: share right against confidence, area of a dot as the windows in it, and how confidences are spread below."""
    across = 4 if len(models) == 4 else 3
    down = -(-len(models) // across)
    width = FULL / across
    with canvas(FULL, down * width * 1.16, 2 * down, across, height_ratios=[4, 1] * down) as (figure, axes):
        for place in range(down * across):
            upper, lower = axes[2 * (place // across), place % across], axes[2 * (place // across) + 1, place % across]
            if place >= len(models):
                upper.set_visible(False)
                lower.set_visible(False)
                continue
            model = list(models)[place]
            _reliability(upper, lower, model, models[model], SERIES[colours[place] % 8])
            if place % across == 0:
                upper.set_ylabel("share right")
        return to_svg(figure, name, label)


def _reliability(upper: Any, lower: Any, title: str, bins: Bins, colour: str) -> None:
    _unit_square(upper)
    upper.set_box_aspect(None)
    there = bins.windows > 0
    upper.plot([0, 1], [0, 1], color=DIM, linewidth=1.1, linestyle=(0, (4, 3)))
    upper.vlines(bins.confidence[there], bins.confidence[there], bins.right[there], color=colour, alpha=0.45, linewidth=1.4)
    area = 14 + 150 * bins.windows[there] / max(bins.windows.max(), 1)
    upper.scatter(bins.confidence[there], bins.right[there], s=area, color=colour, edgecolor=CARD, linewidth=0.7, zorder=3)
    upper.set_title(title)
    upper.tick_params(labelbottom=False)
    if bins.ece is not None:
        upper.text(0.97, 0.05, f"ECE {bins.ece:.3f}", ha="right", fontsize=12, transform=upper.transAxes)
    count = len(bins.windows)
    edges = np.arange(count) / count
    lower.bar(edges, bins.windows, width=0.9 / count, align="edge", color=colour, alpha=0.6)
    plain(lower, "none")
    lower.set_xlim(-0.015, 1.015)
    lower.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    lower.set_yticks([])
    lower.spines["left"].set_visible(False)
    lower.axhline(0, color=GRID, linewidth=0.8)
    lower.set_xlabel("confidence")
