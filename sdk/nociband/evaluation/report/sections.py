"""Sections that every task has: the result, all metrics, reference figures. Each takes a View and gives a Section or None.

Differences between models stand in `sections_pairs`, people and groups of them in `sections_people`, what only classes or only
scores have in `sections_classes` and `sections_scores`, how the run was made in `provenance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nociband.evaluation.report import figures, names, published, verdict
from nociband.evaluation.report.figures import Dot, Mark
from nociband.evaluation.report.names import number
from nociband.evaluation.report.parts import Facts, Figure, Part, Section, Table, Text
from nociband.evaluation.report.reading import View, mapping, sequence

MOST_COLUMNS = 6    # models side by side in a table that a tablet shows whole
PROTOCOLS = {
    "loso": "leave one subject out: each person is judged by models fitted on all others",
    "kfold": "DETAIL-fold cross-validation by person: no person stands on both sides of a fold",
    "holdout": "fixed hold-out by person (DETAIL): no person stands on both sides",
}


def result(view: View) -> Section:
    """What was asked, of whom, and the answer."""
    parts: list[Part] = [Text("\n".join(verdict.sentences(view)), "verdict")]
    parts += [Text(text, "warning") for text in verdict.warnings(view)]
    points = [_dot(view, m, value) for m in view.models if (value := view.metric(m, view.primary))]
    if points:
        title = names.metric(view.primary)
        marks = [Mark(*view.chance)] if view.chance else []
        best = {"higher": " More is better.", "lower": " Less is better."}.get(names.better(view.primary), "")
        label = f"{title} of each model with its 95% interval"
        svg = figures.dots(points, marks, view.axis(view.primary), "primary", label, view.bounds)
        parts.append(Figure(svg, f"{title} (primary metric) of each model on people it was not trained on; whiskers are 95% "
                                 f"bootstrap intervals over people.{best}"))
    parts.append(Facts(_facts(view)))
    return Section("result", "Result", parts)


def _dot(view: View, model: str, value: Mapping[str, Any]) -> Dot:
    text = view.cell(value, view.primary).replace("\n", "  ")
    return Dot(view.name(model), value["mean"], value.get("low"), value.get("high"), text, view.colour(model),
               faint=model not in view.informed)


def _facts(view: View) -> list[tuple[str, str]]:
    some, people = view.some, view.get("subjects")
    who = names.count(people, "person", "people") if isinstance(people, int) else ""
    if some is not None:
        who = f"{names.count(len(some.people), 'person', 'people')}, {names.count(len(some.target), 'window')}"
    kind, _, detail = str(view.get("protocol") or view.plan("protocol") or "").partition(":")
    protocol = PROTOCOLS.get(kind, f"{kind}:{detail}".rstrip(":")).replace("DETAIL", detail or "default share")
    found = [("Data", f"{view.get('dataset')}, task {view.get('task')}"), ("Asked of each window", str(view.info("title") or "")),
             ("Classes", ", ".join(view.labels)), ("People", who), ("Protocol", protocol),
             ("Primary metric", view.axis(view.primary)),
             ("Reference model", view.name(view.reference) if len(view.models) > 1 else "")]
    return [(term, text) for term, text in found if text]


def metrics(view: View) -> Section | None:
    """Every metric of every plain model with its interval."""
    known = [m for m in view.models if any(view.metric(m, n) for n in view.metric_names)]
    if not known:
        return None
    informed, controls = ([m for m in known if (m in view.informed) is wanted] for wanted in (True, False))
    if len(known) <= MOST_COLUMNS:
        informed, controls = known, []
    tables = [_metrics(view, some) for some in _in_columns(informed)]
    tables += [_metrics(view, some, "Controls, which look at no signal") for some in _in_columns(controls)]
    note = ("With each value its 95% percentile bootstrap interval over people (2.5 and 97.5 percentiles). A value is the metric "
            "of all windows pooled, mean over seeds. ↑ more is better, ↓ less is better.")
    if "ece" in view.metric_names:
        note += " The calibration error of few windows is too high, of drawn samples more so: its interval may lie above it."
    if any(view.metric(m, "auroc_same_time") for m in known):
        note += (" A model that reads the time alone has an AUROC at the same time below 0.5, since the person who is judged is "
                 "missing among those it learned the order from: an interval above 0.5 shows more than time; others, nothing.")
    there = [n for n in view.metric_names if n in names.MEANINGS and any(view.metric(m, n) for m in known)]
    facts = Facts([(names.metric(n), names.MEANINGS[n]) for n in there])
    words: list[Part] = [Text("What each of them says:"), facts] if there else []
    return Section("metrics", "All metrics",
                   [*tables, *(Text(text, "note") for text in (note, _reasons(view, known)) if text), *words])


def _in_columns(models: list[str]) -> list[list[str]]:
    """Models in as few tables as stay readable, of about the same width."""
    tables = -(-len(models) // MOST_COLUMNS)
    width = -(-len(models) // tables) if tables else 1
    return [models[at:at + width] for at in range(0, len(models), width)]


def _metrics(view: View, models: list[str], caption: str = "") -> Table:
    rows: list[list[str]] = []
    strong: list[int] = []
    for name in view.metric_names:
        cells = [view.cell(view.get("models", model, name), name) for model in models]
        if any(c != "–" for c in cells):
            strong += [len(rows)] if name == view.primary else []
            rows.append([directed(name), *cells])
    return Table(["<Metric", *(view.name(m) for m in models)], rows, caption, strong=strong)


def directed(name: str) -> str:
    """A metric's title with an arrow to its better side."""
    return names.metric(name) + {"higher": " ↑", "lower": " ↓"}.get(names.better(name), "")


def _reasons(view: View, models: list[str]) -> str:
    found: dict[tuple[str, str], list[str]] = {}
    for model in models:
        for name in view.metric_names:
            if reason := mapping(view.get("models", model, name)).get("reason"):
                found.setdefault((names.metric(name), str(reason)), []).append(view.name(model))
    texts = [f"{title}{'' if len(whose) == len(models) else f' of {names.listing(whose)}'}: {reason}"
             for (title, reason), whose in found.items()]
    return f"Left out: {'; '.join(texts)}." if texts else ""


def elsewhere(view: View) -> Section | None:
    """What others published and what we found earlier, marked as such and as not comparable."""
    groups = published.beside(str(view.get("dataset")), [str(k) for k in sequence(view.plan("published"))])
    rows = [[f"{row.system}{_origin(group)}\n{row.signals}", group.task, group.metric, _value(row),
             "–" if group.people is None else str(group.people), f"{group.protocol}\n{group.authors}, {group.where}"]
            for group in groups for row in group.rows]
    if not rows:
        return None
    ours = _ours(view)
    head = ["<System and signals", "<Task", "<Metric", "Value", "People", "<Protocol and source"]
    sources = dict.fromkeys(f"{g.authors}: {g.title}" + (f", doi:{g.doi}" if g.doi else "") for g in groups)
    notes = dict.fromkeys(f"{g.authors}, {g.where}: {g.note}" for g in groups if g.note)
    return Section("published", "Reference figures (their own protocol, not comparable)", [
        Text("Facts for orientation. They were obtained by their own protocol, on their own people, windows and classes; a "
             "difference from the figures of this run says nothing about which method is better."),
        Table(head, ours + rows, strong=[0] if ours else []), *(Text(note, "note") for note in notes),
        Text(f"Value: as the source reports it, ± its own spread. {_origins(groups)} Sources: {'; '.join(sources)}.", "note")])


def _origin(group: published.Published) -> str:
    return " (our own, unpublished)" if group.own else " (published, cited)" if group.cited else " (published)"


def _origins(groups: Iterable[published.Published]) -> str:
    """What the marks mean, of those that are there."""
    meanings = {" (published, cited)": "quoted by the source from others and not checked against the original",
                " (our own, unpublished)": "an earlier analysis of this project, which nobody else reviewed"}
    marks = {_origin(group) for group in groups}
    return " ".join(f"{mark.strip()}: {meaning}." for mark, meaning in meanings.items() if mark in marks)


def _ours(view: View) -> list[list[str]]:
    """This run's own figure, as a row among the published ones."""
    own = view.metric(view.reference, view.primary)
    if own is None:
        return []
    return [[f"{view.name(view.reference)} (this run)", str(view.info("title") or view.get("task")), view.axis(view.primary),
             view.cell(own, view.primary), str(len(view.some.people)) if view.some else "–",
             f"{str(view.get('protocol') or '').upper()}\nthis report"]]


def _value(row: published.Row) -> str:
    return number(row.value) + (f"\n± {number(row.sd)}" if row.sd is not None else "")
