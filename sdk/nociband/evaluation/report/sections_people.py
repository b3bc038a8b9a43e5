"""Sections on people: one by one, by demographics, from sitting to sitting. Each takes a View and gives a Section or None."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from nociband.evaluation import breakdowns, statistics
from nociband.evaluation.report import figures, names
from nociband.evaluation.report.figures import Mark
from nociband.evaluation.report.parts import Figure, Part, Section, Table, Text
from nociband.evaluation.report.reading import View, mapping, sequence

MOST_DRAWN = 5      # models in the figure of people: more dots side by side cannot be told apart
MOST_LISTED = 3     # models in the table of subgroups that a tablet shows whole; the reference is the first


def people(view: View) -> Section | None:
    """One dot a person and model, sorted by the reference; development people marked."""
    each = {m: values for m in view.informed if (values := _by_person(view, m))}
    if not each:
        return None
    shown = dict(list(each.items())[:MOST_DRAWN])
    marked = [str(p) for p in sequence(view.plan("development_people"))]
    title = names.metric(view.primary)
    svg = figures.people({view.name(m): v for m, v in shown.items()}, [view.colour(m) for m in shown],
                         [Mark(*view.chance)] if view.chance else [], marked, view.axis(view.primary), "people",
                         f"{title} of each person and model", names.better(view.primary) != "lower")
    first = next(iter(shown))
    caption = (f"{title} of each person, sorted by {view.name(first)}; every value is on windows of a person whom the model "
               "never saw in training.")
    if any(p in shown[first] for p in marked):
        caption += " People on a shaded band, marked *, were looked at while the design was explored."
    if left := [view.name(m) for m in each if m not in shown]:
        caption += f" Not drawn: {names.listing(left)}."
    return Section("people", "Person by person", [Figure(svg, caption), *_without_development(view)])


def _by_person(view: View, model: str) -> dict[str, float | None]:
    stored = mapping(view.get("per_subject", model))
    if not stored and model in view.outcomes:
        stored = breakdowns.per_subject(view.outcomes[model])
    there = {str(who): mapping(value).get(view.primary) for who, value in stored.items()}
    return there if any(value is not None for value in there.values()) else {}


def _without_development(view: View) -> list[Part]:
    """The primary metric without the people on whom the design was explored, where the run has it."""
    apart = {side: mapping(view.get("people", side, "models")) for side in ("untouched", "development")}
    if not apart["untouched"]:
        return []
    numbers = {side: len(sequence(view.get("people", side, "subjects"))) for side in apart}

    def side(model: str, name: str) -> str:
        value = mapping(mapping(apart[name].get(model)).get(view.primary))
        enough: dict[str, Any] = {} if numbers[name] >= breakdowns.FEW else {"low": None}
        return view.cell({**value, **enough}, view.primary)

    rows = [[view.name(m), view.cell(view.get("models", m, view.primary), view.primary), *(side(m, name) for name in apart)]
            for m in view.models]
    head = ["<Model", "All people", f"Others ({numbers['untouched']})", f"Development ({numbers['development']})"]
    return [Table(head, rows, f"{names.metric(view.primary)}, apart for those on whom the design was explored, as the plan says, "
                              f"and for the others; no interval over fewer than {breakdowns.FEW} people")]


@lru_cache(maxsize=4)   # the page and the card both ask for it
def subgroups(view: View) -> Section | None:
    """The primary metric by the demographics that the set has."""
    shown = [m for m in view.informed if m in view.outcomes][:MOST_LISTED]
    attributes = {str(who): mapping(value) for who, value in mapping(view.get("attributes")).items()}
    rows = [row for attribute in breakdowns.attribute_names(attributes) for row in _groups(view, shown, attributes, attribute)]
    if not rows:
        return None
    table = Table(["<Attribute", "<Group", "People", "Windows", *(view.name(m) for m in shown)], rows)
    return Section("subgroups", "Subgroups", [table, *_between(view, attributes), Text(
        f"{names.metric(view.primary)} with 95% intervals over the people of the group. Groups were not planned to be compared: "
        "this describes, and differences between such small groups are expected by chance alone. "
        f"Below {breakdowns.FEW} people no figure is given.", "note")])


def _between(view: View, attributes: Mapping[str, Mapping[str, Any]]) -> list[Part]:
    """The reference model's people of one group against those of another, wherever both groups are large enough."""
    if view.reference not in view.outcomes:
        return []
    outcome = view.outcomes[view.reference]
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    for attribute in breakdowns.attribute_names(attributes):
        known = [who for group, members in breakdowns.groups(outcome.people, attributes, attribute).items()
                 if group != breakdowns.NOT_RECORDED for who in members]
        told = statistics.between_groups(outcome.where(np.isin(outcome.subjects, known)), attributes, attribute, view.primary)
        pairs |= {(attribute, groups): pair for groups, pair in told["pairs"].items() if pair["p"] is not None}
    if not pairs:
        return []
    adjusted = statistics.holm({f"{i}": pair["p"] for i, pair in enumerate(pairs.values())})["p"]
    rows = [[names.words(attribute), _short(groups).replace(" | ", " against "), " and ".join(map(str, pair["n"])),
             " and ".join(names.number(median) for median in pair["medians"]), names.number(pair["u"], 1),
             names.signed(pair["cliffs_delta"], 2), names.probability(adjusted[f"{i}"])]
            for i, ((attribute, groups), pair) in enumerate(pairs.items())]
    head = ["<Attribute", "<Groups", "People", "Medians", "Mann-Whitney U", "Cliff's delta", "p (Holm)"]
    return [Table(head, rows, f"{view.name(view.reference)}, {names.lower(names.metric(view.primary))} of each person: groups of "
                              f"{breakdowns.FEW} people or more; delta is above 0 where the first group's values are higher; p "
                              f"adjusted for {names.count(len(rows), 'comparison')} by Holm")]


def _groups(view: View, models: list[str], attributes: Mapping[str, Mapping[str, Any]], attribute: str) -> list[list[str]]:
    each = [breakdowns.by_group(view.outcomes[m], attributes, attribute) for m in models]
    return [[names.words(attribute), _short(str(of_group[0]["group"])), str(of_group[0]["subjects"]), str(of_group[0]["windows"]),
             *(view.cell(row["metrics"].get(view.primary), view.primary) if row["metrics"] else "too few" for row in of_group)]
            for of_group in zip(*each, strict=True)]


def _short(group: str) -> str:
    """A group's name with numbers of two digits after the point at most."""
    return re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found.group()):.2f}", group)


def retest(view: View) -> Section | None:
    """Agreement of a person's sittings, where there are two or more."""
    rows = []
    for model in (m for m in view.models if m in view.outcomes):
        found = breakdowns.retest(view.outcomes[model])
        rows += [[view.name(model), str(of), str(found["subjects"]), view.cell(value, "icc")]
                 for of, value in mapping(found["icc"]).items() if value["mean"] is not None]
    if not rows:
        return None
    return Section("retest", "Test and retest", [Table(["<Model", "<Output", "People", "ICC(2,1) (95% interval)"], rows), Text(
        "Agreement of a person's mean output from sitting to sitting. It takes what was felt as equal in all; where it was not, "
        "the figure is too low.", "note")])
