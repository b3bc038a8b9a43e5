"""Sections on how a run was made: data, tuning, plan, limits, how to repeat it. Each takes a View and gives a Section or None."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nociband.evaluation.plan import SHIPPED, ships
from nociband.evaluation.report import names
from nociband.evaluation.report.parts import Code, Facts, Part, Section, Table, Text
from nociband.evaluation.report.reading import View, mapping, sequence

COMMON = 12  # characters of a commit that are shown


def plan(view: View) -> Section | None:
    """The plan as it was, its hash, and whether it was frozen before the run."""
    text, sha256 = view.get("plan"), view.get("plan_sha256") or view.get("plan", "sha256")
    if not text and not sha256:
        return None
    source = mapping(view.get("plan_source"))
    facts = [
        ("Frozen before the run", _frozen(view, source)),
        ("File", _file(source)),
        ("SHA-256", str(sha256 or "")),
        ("Notes", str(view.plan("notes") or "")),
    ]
    parts: list[Part] = [Facts([(term, value) for term, value in facts if value])]
    if isinstance(text, Mapping):
        parts.append(Code(_readable(text)))
    elif text:
        parts.append(Code(str(text)))
    return Section("plan", "Plan", parts)


def _file(source: Mapping[str, Any]) -> str:
    file = str(source.get("file") or "")
    return f"{Path(file).name}, which ships with nociband" if ships(file) else file


def _frozen(view: View, source: Mapping[str, Any]) -> str:
    if view.get("frozen"):
        when = f", {source['committed_at']}" if source.get("committed_at") else ""
        return f"yes: committed as {str(source.get('commit', ''))[:COMMON]}{when}, not changed since"
    if view.get("frozen") is None:
        return ""
    if source.get("changed"):
        return f"no: options replaced {names.listing([str(c) for c in source['changed']])}"
    return (
        "no: the file differs from its commit"
        if source.get("modified")
        else "no: the plan is not a committed file; these figures are exploratory"
    )


def _readable(values: Mapping[str, Any]) -> str:
    """JSON, one line for each value of the first level."""
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(lines)


def tuning(view: View) -> Section | None:
    """What was chosen how often, and how much was tried."""
    rows = []
    for model, folds in mapping(view.get("tuning")).items():
        folds = [mapping(f) for f in sequence(folds)]
        chosen = Counter(_settings(f.get("chosen")) for f in folds)
        tried = max((len(sequence(f.get("tried"))) for f in folds), default=0)
        text = "; ".join(
            f"{settings} ({n} of {len(folds)} folds)"
            for settings, n in sorted(chosen.items(), key=lambda item: (-item[1], item[0]))
        )
        rows.append([view.name(model), str(tried), text])
    budget = mapping(view.get("budget"))
    spent = [
        [view.name(m), str(v.get("jobs", "–")), str(v.get("fits", "–")), _duration(v.get("compute_seconds"))]
        for m, v in mapping(budget.get("models")).items()
    ]
    if not rows and not spent:
        return None
    said = mapping(view.plan("tuning"))
    inner = said.get("inner_folds")
    parts: list[Part] = []
    if rows:
        parts += [
            Text(
                "Settings were chosen within the training people of each fold"
                + (f", by {inner}-fold cross-validation by person" if inner else "")
                + (f" on {names.metric(said['metric'])}" if said.get("metric") else "")
                + "; the judged person took no part."
            ),
            Table(["<Model", "Candidates", "<Chosen"], rows),
        ]
    if spent:
        parts.append(Table(["<Model", "Fold x seed", "Fits, tuning included", "Time of one core"], spent, "Budget"))
    return Section("tuning", "Tuning and budget", parts)


def _settings(value: Any) -> str:
    return ", ".join(f"{k} = {v}" for k, v in mapping(value).items()) or "defaults"


def _duration(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
        return "–"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def data(view: View) -> Section | None:
    """Who was judged and who was left out, and why."""
    windows, excluded = mapping(view.get("windows")), mapping(view.get("excluded"))
    by_class = mapping(windows.get("by_class"))
    development = [str(p) for p in sequence(view.plan("development_people"))]
    facts = [
        ("People judged", str(view.get("subjects") or "")),
        ("Windows judged", str(windows.get("judged") or "")),
        ("Of each class", ", ".join(f"{label}: {n}" for label, n in by_class.items())),
        ("Augmented copies", f"{windows['augmented']}, only ever trained on" if windows.get("augmented") else ""),
        ("Normalisation", names.normalisation(str(view.plan("normalisation") or ""))),
        ("Folds", str(len(sequence(view.get("folds"))) or "")),
        ("Development people", ", ".join(development)),
        ("Seeds", _seeds(view)),
    ]
    parts: list[Part] = [Facts([(term, text) for term, text in facts if text])]
    if excluded:
        reasons: dict[str, list[str]] = {}
        for who, why in excluded.items():
            reasons.setdefault(str(why), []).append(str(who))
        rows = [[why, str(len(people)), ", ".join(people)] for why, people in reasons.items()]
        parts.append(Table(["<Why left out", "People", "<Who"], rows))
    return Section("data", "People and windows", parts) if excluded or any(text for _, text in facts) else None


def _seeds(view: View) -> str:
    seeds = view.get("seeds")
    if not isinstance(seeds, Mapping):
        return ", ".join(map(str, sequence(seeds or view.plan("seeds"))))
    sets: dict[str, list[str]] = {}
    for model, each in seeds.items():
        sets.setdefault(", ".join(map(str, sequence(each))), []).append(view.name(model))
    if len(sets) == 1:
        only, planned = next(iter(sets)), len(sequence(view.plan("seeds")))
        return f"{only} (one is enough: it changes nothing here)" if planned > 1 and "," not in only else only
    common = max(sets, key=lambda s: len(sets[s]))
    return "; ".join(
        [
            common,
            *(f"{names.listing(models)}: {each} (the seed changes nothing)" for each, models in sets.items() if each != common),
        ]
    )


def repeat(view: View) -> Section | None:
    """Versions, commit and the command."""
    commit = view.get("commit")
    code = mapping(commit).get("commit") if isinstance(commit, Mapping) else commit
    code = f"{code}{' with changes that are not committed' if mapping(commit).get('modified') else ''}" if code else ""
    seconds, budget = view.get("seconds"), mapping(view.get("budget"))
    workers = f" on {names.count(budget['workers'], 'worker')}" if isinstance(budget.get("workers"), int) else ""
    engine = f", engine {budget['engine']}" if budget.get("engine") else ""
    versions = [(str(k), str(v)) for k, v in mapping(view.get("versions")).items()]
    facts = [("Commit", code), *versions, ("Time", "" if seconds is None else _duration(seconds) + workers + engine)]
    return Section("repeat", "How to repeat it", [
        Text("With the same commit, versions and data this command gives the same figures:"), Code(command(view)),
        Facts([(term, text) for term, text in facts if text])])


def command(view: View) -> str:
    """The command line of this run: its plan, where that is not the task's usual one, and the options that changed it."""
    dataset, task = str(view.get("dataset")), str(view.get("task"))
    words = ["nociband", "evaluate", "--dataset", dataset, "--task", task]
    source = mapping(view.get("plan_source"))
    file, changed = str(source.get("file") or ""), sequence(source.get("changed"))
    if file and not (ships(file) and Path(file).stem == f"{dataset}_{task}"):   # the usual one is found by the task's name
        words += ["--plan", str("sdk" / SHIPPED / Path(file).name) if ships(file) else file]
    options = {"protocol": view.get("protocol"), "models": ",".join(view.result["models"]),
               "seeds": len(sequence(view.plan("seeds"))), "primary": view.primary, "normalisation": view.plan("normalisation")}
    words += [word for name, value in options.items() if value and (not file or name in changed)
              for word in (f"--{name}", str(value))]
    return shlex.join([*words, "--json", "result.json", "--report", "report"])


def limits(view: View) -> Section:
    """What the figures are not."""
    of = view.info("of")
    lines = [
        "Not a medical device; for research. Nothing here shows that a model helps, or is safe for, any patient.",
        "Figures are for the people, the device, the stimuli and the windows named above. They say nothing about other people, "
        "about time between the judged windows, or about everyday life.",
        "Intervals cover the drawing of people and of nothing else: not the choice of data set, windows or features.",
    ]
    if of == "pain":
        lines.append("Pain is what a person says it is. A model's output is an estimate from signals and never replaces asking.")
    return Section("limits", "What this does not show", [Text(line) for line in lines])
