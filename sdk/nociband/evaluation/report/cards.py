"""The model card: what a model of a run is for, on whom it was judged and how well, after Mitchell et al. (2019).

Takes the same View as the page; templates/model_card.md.j2 lays it out. Text from a data set is escaped for Markdown.
"""

from __future__ import annotations

import re
from typing import Any

from nociband.evaluation.report import names, provenance, sections, sections_pairs, sections_people, verdict
from nociband.evaluation.report.parts import Section, Table
from nociband.evaluation.report.reading import View, mapping

NOT_MEDICAL = "Not a medical device; for research."


def escape(text: Any) -> str:
    """Plain text in Markdown: nothing in it becomes HTML, a cell's end, emphasis or a link."""
    text = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", re.sub(r"\s+", " ", text))


def lead(view: View) -> str:
    """One sentence on what was judged, and how."""
    plain = [view.name(m) for m in view.models]
    shown = names.listing(plain) if len(plain) <= 6 else f"{len(plain)} models"
    people = view.get("subjects") or (len(view.some.people) if view.some else None)
    of = f" ({names.count(people, 'person', 'people')})" if isinstance(people, int) else ""
    variants = f", with {names.count(len(view.variants), 'variant')}" if view.variants else ""
    return f"{names.sentence(shown)}{variants}, on the data set {view.get('dataset')}{of}, judged by {_protocol(view)}."


def _protocol(view: View) -> str:
    name = str(view.get("protocol") or view.plan("protocol") or "a protocol that the result does not name")
    kind, _, detail = name.partition(":")
    return {
        "loso": "leave-one-subject-out",
        "kfold": f"{detail}-fold cross-validation by person",
        "holdout": "a fixed hold-out by person",
    }.get(kind, name)


def written_by(view: View) -> str:
    """Which version of the software wrote it."""
    version = view.get("versions", "nociband")
    return f"Written by nociband {version}." if version else "Written by nociband."


def card(view: View) -> dict[str, Any]:
    """What the template lays out, as escaped text: lists of sentences, (term, text) facts and tables."""
    return {
        "title": escape(f"{view.name(view.reference)}: {view.info('title') or view.get('task')}"),
        "not_medical": NOT_MEDICAL,
        "details": _escaped(_details(view)),
        "intended": [escape(t) for t in _intended(view)],
        "out_of_scope": [escape(t) for t in _out_of_scope(view)],
        "factors": _tables(sections_people.subgroups(view))[:1],   # tests between groups stand in the page
        "verdict": [escape(t) for t in verdict.sentences(view)],
        "metrics": _tables(sections.metrics(view)),
        "comparisons": _tables(sections_pairs.comparisons(view)),
        "ablations": _tables(sections_pairs.ablations(view)),
        "data": _escaped(_data(view)),
        "excluded": _tables(provenance.data(view)),
        "training": escape(_training(view)),
        "ethics": [escape(t) for t in _ethics(view)],
        "caveats": [escape(t) for t in verdict.warnings(view)]
        + [escape(t.text) for t in provenance.limits(view).parts if hasattr(t, "text")],
        "command": provenance.command(view),
        "footer": escape(written_by(view)),
    }


def _escaped(facts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(escape(term), escape(text)) for term, text in facts if text]


def _tables(section: Section | None) -> list[dict[str, Any]]:
    """The section's tables; a heading that starts with "<" is a column of text."""
    return [
        {
            "head": [escape(h.removeprefix("<")) for h in part.head],
            "text": [h.startswith("<") for h in part.head],
            "rows": [[escape(c) for c in row] for row in part.rows],
            "caption": escape(part.caption),
        }
        for part in (section.parts if section else ())
        if isinstance(part, Table) and part.rows
    ]


def _details(view: View) -> list[tuple[str, str]]:
    commit = view.get("commit")
    code = str(mapping(commit).get("commit") or "") if isinstance(commit, dict) else str(commit or "")
    if mapping(commit).get("modified"):
        code += ", with changes that are not committed"
    kind = (
        f"classes: {', '.join(view.labels)}"
        if view.labels
        else "a score" + (f" ({view.info('score_unit')})" if view.info("score_unit") else "")
    )
    return [
        ("Model", view.name(view.reference)),
        ("Name in the laboratory", view.reference),
        ("Output", kind),
        ("Software", f"nociband {view.get('versions', 'nociband') or ''}".strip()),
        ("Commit", code),
        ("Licence", "Apache-2.0"),
        ("Plan (SHA-256)", str(view.get("plan_sha256") or "")),
        (
            "Paper",
            "Wang et al. 2025, doi:10.1016/j.compbiomed.2025.111260 (the "
            "architecture; what the paper does not say was chosen here)"
            if names.base(view.reference).startswith("s0")
            else "",
        ),
    ]


def _intended(view: View) -> list[str]:
    of = view.info("of") or "what it was trained on"
    found = [
        f"Research on recognising {of} from signals of a wristband, by people who can judge these figures.",
        "Comparison with other models on the same data, folds and seeds.",
    ]
    if view.info("synthetic"):
        found.append("Tests of software and hardware: it was fitted on simulated signals.")
    return found


def _out_of_scope(view: View) -> list[str]:
    found = [
        "Diagnosis, treatment, triage, dosing, or any decision on a person.",
        "Deciding whether somebody's report of pain is to be believed.",
        "People, devices, electrode sites and stimuli other than those it was judged on.",
    ]
    if view.info("of") != "pain":
        found.append("Recognising pain: it was not trained on pain.")
    return found


def _data(view: View) -> list[tuple[str, str]]:
    windows = mapping(view.get("windows"))
    return [
        ("Data set", str(view.get("dataset"))),
        ("Task", f"{view.get('task')}" + (f": {view.info('title')}" if view.info("title") else "")),
        ("People", str(view.get("subjects") or "")),
        ("Windows judged", str(windows.get("judged") or "")),
        ("Of each class", ", ".join(f"{label}: {n}" for label, n in mapping(windows.get("by_class")).items())),
        ("Protocol", _protocol(view)),
        ("Primary metric", names.metric(view.primary)),
        ("Normalisation", names.normalisation(str(view.plan("normalisation") or ""))),
        ("Warning", str(view.info("warning") or "")),
    ]


def _training(view: View) -> str:
    if str(view.get("protocol") or "").startswith("holdout"):
        return "The people of the same data set who were not held out; settings were chosen among them alone."
    return (
        "The same data set: in each fold the people who are not judged in it, settings chosen among them alone. A model that is "
        "fitted on everyone to be shipped was never judged itself; these figures are those of its siblings from the folds."
    )


def _ethics(view: View) -> list[str]:
    found = [
        "Skin conductance and muscle activity are health data; they can identify a person and tell what that person did not "
        "mean to say. "
        "Record them with consent only, and keep them no longer than needed."
    ]
    if sections_people.subgroups(view) is None:
        found.append(
            "The data set carries no demographics, so whether the model serves some people worse than others is unknown."
        )
    else:
        found.append("Whether the model serves some people worse than others cannot be told from groups this small; see Factors.")
    if view.info("of") == "pain":
        found.append("Pain is subjective. A low estimate must never be a reason to withhold relief.")
    return found
