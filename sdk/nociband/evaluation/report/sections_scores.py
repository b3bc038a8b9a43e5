"""Sections of tasks with a score: estimate against report, and agreement. Each takes a View and gives a Section or None."""

from __future__ import annotations

import numpy as np

from nociband.evaluation.report import figures_scores
from nociband.evaluation.report.figures_scores import Cloud
from nociband.evaluation.report.parts import Figure, Section, Table, Text
from nociband.evaluation.report.reading import View

MOST_PANELS = 6
LIMITS = ("bland_altman_bias", "bland_altman_lower", "bland_altman_upper")


def _clouds(view: View) -> tuple[dict[str, Cloud], list[int]]:
    """Estimates (mean over seeds) of each model that answers at all with finite numbers, and its colour."""
    clouds: dict[str, Cloud] = {}
    colours = []
    for model in view.informed:
        outcome = view.outcomes.get(model)
        if outcome is None or outcome.labels or not np.isfinite(outcome.runs).all() or len(clouds) == MOST_PANELS:
            continue
        lines = [value["mean"] if (value := view.metric(model, name)) else None for name in LIMITS]
        clouds[view.name(model)] = Cloud(
            outcome.target.astype(float), outcome.runs.mean(axis=0), np.asarray(outcome.subjects), *lines
        )
        colours.append(view.colour(model))
    return clouds, colours


def _unit(view: View) -> str:
    unit = view.info("score_unit")
    return f" ({unit})" if unit else ""


def _span(view: View, clouds: dict[str, Cloud]) -> tuple[float, float]:
    stated = view.info("score_range")
    if isinstance(stated, list | tuple) and len(stated) == 2 and stated[0] < stated[1]:
        return float(stated[0]), float(stated[1])
    truth = np.concatenate([c.truth for c in clouds.values()])
    return float(truth.min()), float(max(truth.max(), truth.min() + 1))


def scatter(view: View) -> Section | None:
    """Estimate against what was reported, with a line for each person."""
    clouds, colours = _clouds(view)
    if not clouds:
        return None
    svg = figures_scores.scatter(
        clouds, colours, _span(view, clouds), _unit(view), "scatter", "Estimated against reported score of each model"
    )
    return Section("scatter", "Estimate and report", [Figure(svg, (
        "A dot is a window, the estimate being the mean over seeds; a thin line is a person (least squares over the range that "
        "they reported), by a model that never saw them. Dashed: equality. Lines flatter than that: estimates shrink towards "
        "the mean; lines at different heights: the model misses people's own levels."))])


def agreement(view: View) -> Section | None:
    """Bland-Altman plots and limits."""
    clouds, colours = _clouds(view)
    if not clouds:
        return None
    svg = figures_scores.bland_altman(clouds, colours, _unit(view), "bland-altman", "Bland-Altman plot of each model")
    rows = []
    for model in view.models:
        values = [view.metric(model, name) for name in LIMITS]
        if all(values):
            rows.append([view.name(model), *(view.cell(v, n) for n, v in zip(LIMITS, values, strict=True))])
    table = [Table(["<Model", "Bias", "Lower limit", "Upper limit"], rows)] if rows else []
    return Section("agreement", "Agreement (Bland-Altman)", [Figure(svg, (
        "Difference between estimate and report against their mean. Bias: mean difference. Limits of agreement: bias ∓ 1.96 "
        "standard deviations (Bland and Altman 1986); about 95% of windows lie between them.")), *table, Text(
            "In brackets: 95% bootstrap intervals over people. Limits take windows as independent, which several of one person "
            "are not.",
            "note")])
