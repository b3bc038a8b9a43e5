"""Figures of tasks with a score: estimate against truth with a line a person, and Bland-Altman. Numbers in, SVG text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nociband.evaluation.report.drawing import CARD, DIM, FULL, INK, SERIES, WARN, canvas, plain, to_svg

MOST_DOTS = 1500  # of one panel; more only make the page heavy


@dataclass(frozen=True)
class Cloud:
    """Estimates and truths of one model (n,), whose they are (n,) str, and the lines of Bland and Altman where there are any."""

    truth: np.ndarray
    estimate: np.ndarray
    subjects: np.ndarray
    bias: float | None = None
    lower: float | None = None
    upper: float | None = None


def _panels(models: Mapping[str, Cloud]) -> tuple[int, int, float]:
    across = min(max(len(models), 2), 3)
    down = -(-len(models) // across)
    return across, down, FULL / across


def _thinned(cloud: Cloud) -> np.ndarray:
    """Places of at most MOST_DOTS windows, evenly spread: the same ones each time."""
    n = len(cloud.truth)
    return np.arange(n) if n <= MOST_DOTS else np.linspace(0, n - 1, MOST_DOTS).astype(int)


def scatter(
    models: Mapping[str, Cloud], colours: Sequence[int], span: tuple[float, float], unit: str, name: str, label: str
) -> str:
    """Estimate against truth: a dot a window, a thin line a person (least squares), the line of equality."""
    across, down, width = _panels(models)
    with canvas(FULL, down * width + 0.1, down, across) as (figure, axes):
        for place, axis in enumerate(axes.flat):
            if place >= len(models):
                axis.set_visible(False)
                continue
            model = list(models)[place]
            cloud, colour = models[model], SERIES[colours[place] % 8]
            some = _thinned(cloud)
            axis.plot(span, span, color=DIM, linewidth=1.2, linestyle=(0, (4, 3)))
            axis.scatter(cloud.truth[some], cloud.estimate[some], s=13, color=colour, alpha=0.3, linewidth=0)
            for line in _lines(cloud):
                axis.plot(*line, color=colour, linewidth=1, alpha=0.75)
            axis.set_xlim(span)
            axis.set_ylim(min(span[0], np.percentile(cloud.estimate, 0.5)), max(span[1], np.percentile(cloud.estimate, 99.5)))
            axis.set_box_aspect(1)
            axis.set_title(model)
            axis.set_xlabel(f"reported{unit}")
            if place % across == 0:
                axis.set_ylabel(f"estimated{unit}")
        return to_svg(figure, name, label)


def _lines(cloud: Cloud) -> list[tuple[Any, Any]]:
    """Each person's least-squares line over the range of what they reported; people with fewer than 3 windows have none."""
    lines = []
    for person in np.unique(cloud.subjects):
        theirs = cloud.subjects == person
        x, y = cloud.truth[theirs], cloud.estimate[theirs]
        if len(x) >= 3 and np.ptp(x) > 0:
            slope, offset = np.polyfit(x, y, 1)
            ends = np.array([x.min(), x.max()])
            lines.append((ends, slope * ends + offset))
    return lines


def bland_altman(models: Mapping[str, Cloud], colours: Sequence[int], unit: str, name: str, label: str) -> str:
    """Difference (estimate less truth) against their mean, with bias and limits of agreement (Bland and Altman 1986)."""
    across, down, width = _panels(models)
    everything = np.concatenate([c.estimate - c.truth for c in models.values()])
    reach = float(np.abs(everything).max()) * 1.08 or 1.0
    with canvas(FULL, down * width * 0.95 + 0.1, down, across) as (figure, axes):
        for place, axis in enumerate(axes.flat):
            if place >= len(models):
                axis.set_visible(False)
                continue
            model = list(models)[place]
            cloud, some = models[model], _thinned(models[model])
            plain(axis, "y")
            axis.scatter(
                (cloud.estimate[some] + cloud.truth[some]) / 2,
                cloud.estimate[some] - cloud.truth[some],
                s=13,
                color=SERIES[colours[place] % 8],
                alpha=0.35,
                linewidth=0,
            )
            axis.axhline(0, color=DIM, linewidth=0.9)
            _limits(axis, cloud)
            axis.set_ylim(-reach, reach)
            axis.set_title(model)
            axis.set_xlabel(f"mean of both{unit}")
            if place % across == 0:
                axis.set_ylabel("estimated - reported")
        return to_svg(figure, name, label)


def _limits(axis: Any, cloud: Cloud) -> None:
    """Bias and limits of agreement as lines with their values."""
    for at, text, colour in (
        (cloud.bias, "bias", INK),
        (cloud.lower, "lower limit", WARN),
        (cloud.upper, "upper limit", WARN),
    ):
        if at is not None:
            axis.axhline(at, color=colour, linewidth=1.5, linestyle="-" if text == "bias" else (0, (5, 2)))
            axis.annotate(
                f"{text} {at:+.1f}".replace("-", "−"),
                (1, at),
                xycoords=("axes fraction", "data"),
                xytext=(-3, 4),
                va="bottom",
                textcoords="offset points",
                ha="right",
                fontsize=11.5,
                color=colour,
                bbox={"facecolor": CARD, "alpha": 0.7, "linewidth": 0, "pad": 0.4},
            )
