"""Sections of tasks with classes: ROC, calibration, confusion. Each takes a View and gives a Section or None."""

from __future__ import annotations

from typing import Any

import numpy as np

from nociband.evaluation import breakdowns
from nociband.evaluation.report import figures_classes, names
from nociband.evaluation.report.figures_classes import Bins, Roc
from nociband.evaluation.report.parts import Figure, Matrices, Matrix, Section, Text
from nociband.evaluation.report.reading import View, mapping

MOST_CURVES = 6
MOST_MATRICES = 6


def roc(view: View) -> Section | None:
    """ROC of each class against the rest (of two classes: of the last), a curve for each model."""
    shown = [m for m in view.informed if m in view.outcomes and view.outcomes[m].labels][:MOST_CURVES]
    panels: dict[str, dict[str, Roc]] = {}
    for model in shown:
        for label, curve in breakdowns.roc(view.outcomes[model]).items():
            if curve["fpr"] is not None:
                fpr, tpr = np.array(curve["fpr"]), np.array(curve["tpr"])
                panels.setdefault(label, {})[view.name(model)] = Roc(fpr, tpr, _area(view, model, fpr, tpr))
    if not panels:
        return None
    seeds = max(len(view.outcomes[m].runs) for m in shown)
    what = f"{view.labels[-1]} against {view.labels[0]}" if view.classes == 2 else "each class against the rest"
    caption = (
        f"{what[0].upper() + what[1:]}: all windows pooled"
        + (f", sensitivity averaged over {seeds} seeds" if seeds > 1 else "")
        + ". Numbers: area under the curve"
        + (", from the table of metrics" if view.classes == 2 else " of this class")
        + ", in the colours and the order of the models. Dashed: guessing."
    )
    title = "ROC of each model, " + what
    return Section(
        "roc",
        "Discrimination (ROC)",
        [Figure(figures_classes.roc(panels, [view.colour(m) for m in shown], "roc", title), caption)],
    )


def _area(view: View, model: str, fpr: np.ndarray, tpr: np.ndarray) -> float | None:
    """Of two classes the AUROC as judged; of more the area of this class's curve."""
    if view.classes == 2:
        value = view.metric(model, "auroc")
        return value["mean"] if value else None
    return float(np.trapz(tpr, fpr))


def calibration(view: View) -> Section | None:
    """Reliability diagrams: is a confidence of 0.7 right seven times in ten?"""
    shown: dict[str, Bins] = {}
    colours = []
    for model in (m for m in view.informed if m in view.outcomes):
        bins = breakdowns.calibration(view.outcomes[model])
        if bins:
            value = view.metric(model, "ece")
            confidence, right, windows = (
                np.array([np.nan if b[k] is None else b[k] for b in bins]) for k in ("confidence", "accuracy", "windows")
            )
            shown[view.name(model)] = Bins(confidence, right, windows, value["mean"] if value else None)
            colours.append(view.colour(model))
    if not shown:
        return None
    svg = figures_classes.reliability(shown, colours, "calibration", "Reliability diagram of each model")
    return Section("calibration", "Calibration", [Figure(svg, (
        f"Share of windows that are right against the confidence of the top class, in {breakdowns.BINS} bins; the area of a dot "
        "is the number of windows in its bin, the bars below show how confidences are spread. On the dashed line confidences "
        "mean what they say; dots below it are overconfident. ECE: expected calibration error (Guo et al. 2017). A bin with few "
        "windows says little."))])


def confusion(view: View) -> Section | None:
    """Confusion matrices, rows normalised, with counts."""
    ordered = sorted(view.models, key=lambda model: model not in view.informed)     # controls last: they are left out first
    found = [m for model in ordered if (m := _matrix(view, model))]
    if not found:
        return None
    left = names.listing([m.title for m in found[MOST_MATRICES:]]) if found[MOST_MATRICES:] else ""
    return Section("confusion", "Confusion", [Matrices(found[:MOST_MATRICES]), Text(
        "Rows are the truth and add up to 1: share of the class's windows that got this answer, and below it the number of "
        f"windows, both mean over seeds.{f' Not shown: {left}.' if left else ''}", "note")])


def _matrix(view: View, model: str) -> Matrix | None:
    stored = mapping(view.get("models", model, "confusion"))
    shares, counts = stored.get("mean"), stored.get("per_seed")
    if not shares or not counts:
        return None
    mean = np.mean(np.asarray(counts, float), axis=0)
    return Matrix(
        view.name(model),
        [str(label) for label in stored.get("labels", view.labels)],
        shares,
        [[_count(n) for n in row] for row in mean],
    )


def _count(n: Any) -> str:
    return f"{n:.0f}" if abs(n - round(n)) < 0.05 else f"{n:.1f}"
