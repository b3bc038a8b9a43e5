"""The report's sections that every task has, in the order of reading. Each takes a View and gives a Section or None.

Head and verdict, metrics, comparisons, ablations, people, subgroups, test-retest, published figures. How the run was made stands in
`provenance`, what only classes or only scores have in `sections_classes` and `sections_scores`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from nociband.evaluation import breakdowns
from nociband.evaluation.report import figures, names, published, verdict
from nociband.evaluation.report.figures import Dot, Mark
from nociband.evaluation.report.names import number, probability, signed
from nociband.evaluation.report.parts import Facts, Figure, Part, Section, Table, Text
from nociband.evaluation.report.reading import View, mapping, sequence

MOST_GROUP_MODELS = 4       # in the table of subgroups; the reference is the first
MOST_PEOPLE_MODELS = 5      # in the figure of people; more dots side by side cannot be told apart


def result(view: View) -> Section:
    """What was asked, of whom, and the answer."""
    parts: list[Part] = [Text("\n".join(verdict.sentences(view)), "verdict")]
    parts += [Text(text, "warning") for text in verdict.warnings(view)]
    points = [_dot(view, m, value) for m in view.models if (value := view.metric(m, view.primary))]
    if points:
        title = names.metric(view.primary)
        marks = [Mark(*view.chance)] if view.chance else []
        best = {"higher": " More is better.", "lower": " Less is better."}.get(names.better(view.primary), "")
        svg = figures.dots(points, marks, view.axis(view.primary), "primary", f"{title} of each model with its 95% interval", view.bounds)
        parts.append(Figure(svg, f"{title} (primary metric) of each model on people it was not trained on; whiskers are 95% bootstrap "
                                 f"intervals over people.{best}"))
    parts.append(Facts(_facts(view)))
    return Section("result", "Result", parts)


def _dot(view: View, model: str, value: Mapping[str, Any]) -> Dot:
    text = view.cell(value, view.primary).replace("\n", "  ")
    return Dot(view.name(model), value["mean"], value.get("low"), value.get("high"), text, view.colour(model), faint=model not in view.informed)


def _facts(view: View) -> list[tuple[str, str]]:
    some, people = view.some, view.get("subjects")
    who = names.count(people, "person", "people") if isinstance(people, int) else ""
    if some is not None:
        who = f"{names.count(len(some.people), 'person', 'people')}, {names.count(len(some.target), 'window')}"
    found = [("Data", f"{view.get('dataset')}, task {view.get('task')}"), ("Asked of each window", str(view.info("title") or "")),
             ("Classes", ", ".join(view.labels)), ("People", who), ("Protocol", _protocol(view.get("protocol") or view.plan("protocol"))),
             ("Primary metric", view.axis(view.primary)), ("Reference model", view.name(view.reference) if len(view.models) > 1 else "")]
    return [(term, text) for term, text in found if text]


def _protocol(name: Any) -> str:
    text = str(name or "")
    kind, _, detail = text.partition(":")
    return {"loso": "leave one subject out: each person is judged by models fitted on all others",
            "kfold": f"{detail}-fold cross-validation by person: no person stands on both sides of a fold",
            "holdout": f"fixed hold-out by person ({detail or 'default share'}): no person stands on both sides"}.get(kind, text)


def metrics(view: View) -> Section | None:
    """Every metric of every plain model with its interval."""
    columns = [m for m in view.models if any(view.metric(m, n) for n in view.metric_names)]
    rows: list[list[str]] = []
    strong: list[int] = []
    for name in view.metric_names:
        cells = [view.cell(view.get("models", model, name), name) for model in columns]
        if any(c != "–" for c in cells):
            strong += [len(rows)] if name == view.primary else []
            rows.append([_directed(name), *cells])
    if not rows:
        return None
    note = ("In brackets: 95% percentile bootstrap over people (2.5 and 97.5 percentiles); mean over seeds of the metric of all windows pooled. "
            "↑ more is better, ↓ less is better.")
    if "ece" in view.metric_names:
        note += " The calibration error of few windows is too high, of drawn samples more so: its interval may lie above it."
    reasons = _reasons(view, columns)
    return Section("metrics", "All metrics", [Table(["<Metric", *(view.name(m) for m in columns)], rows, strong=strong), Text(note, "note"),
                                              *([Text(reasons, "note")] if reasons else [])])


def _directed(name: str) -> str:
    return names.metric(name) + {"higher": " ↑", "lower": " ↓"}.get(names.better(name), "")


def _reasons(view: View, models: list[str]) -> str:
    found = dict.fromkeys(f"{names.metric(n)} of {view.name(m)}: {value['reason']}" for m in models for n in view.metric_names
                          if (value := mapping(view.get("models", m, n))).get("reason"))
    return f"Left out: {'; '.join(found)}." if found else ""


def comparisons(view: View) -> Section | None:
    """The reference against every other plain model: difference, interval, test, correction, effect size."""
    pairs = {m: pair for m in view.models if (pair := view.pair(m))}
    if not pairs:
        return None
    return Section("comparisons", "Paired comparisons", _pairs(view, pairs, "comparisons", f"{view.name(view.reference)} less the other model"))


def _pairs(view: View, pairs: Mapping[str, Mapping[str, Any]], name: str, what: str, turned: bool = False) -> list[Part]:
    """Figure and table of differences; `turned`: other less reference instead of reference less other."""
    metric = str(view.get("comparisons", "metric") or view.primary)
    each = {m: _turned(pair["difference"]) if turned else pair["difference"] for m, pair in pairs.items()}
    points = [Dot(view.name(m), d["mean"], d.get("low"), d.get("high"), verdict.gain_text(view, d).replace("\n", "  "), view.colour(m))
              for m, d in each.items() if d.get("mean") is not None]
    parts: list[Part] = []
    if points:
        title = f"difference in {names.lower(view.axis(metric))}"
        parts.append(Figure(figures.dots(points, [Mark(0, "no difference", False)], title, name, f"{title}: {what}"),
                            f"D{title[1:]}: {what}, on the same windows; 95% bootstrap intervals "
                            "over people, both models drawn together."))
    return [*parts, _tests(view, pairs, each, turned), _how_tested(view)]


def _turned(d: Mapping[str, Any]) -> dict[str, Any]:
    """The difference the other way round."""
    def minus(v: Any) -> Any:
        return None if v is None else -v
    return {"mean": minus(d.get("mean")), "low": minus(d.get("high")), "high": minus(d.get("low"))}


def _tests(view: View, pairs: Mapping[str, Mapping[str, Any]], each: Mapping[str, Mapping[str, Any]], turned: bool) -> Table:
    rows = []
    for model, pair in pairs.items():
        test = mapping(pair.get("wilcoxon"))
        effect = test.get("rank_biserial")
        effect = -effect if turned and effect is not None else effect
        n = test.get("n_nonzero", test.get("n"))
        rows.append([view.name(model), verdict.gain_text(view, each[model]), probability(test.get("p")), probability(test.get("p_holm")),
                     signed(effect, 2), "–" if n is None else str(n)])
    return Table(["<Against" if not turned else "<Variant", "Difference (95% interval)", "Wilcoxon p", "p after Holm", "Effect (rank-biserial)",
                  "People who differ"], rows)


def _how_tested(view: View) -> Text:
    m = view.get("comparisons", "m")
    many = f" for {names.count(m, 'planned comparison')}" if isinstance(m, int) else ""
    return Text(f"Wilcoxon signed-rank test on one value a person, two-sided; Holm's correction{many}. The effect is the matched-pairs rank-biserial "
                "correlation, from −1 to 1. The interval weighs windows and the test weighs people, so the two may disagree; a difference is called shown "
                "by its interval.", "note")


def ablations(view: View) -> Section | None:
    """Variants of a model (without attention, one modality alone, another normalisation) against the model itself."""
    if not view.variants:
        return None
    pairs = {m: pair for m in view.variants if (pair := view.pair(m)) and names.base(m) == view.reference}
    parts: list[Part] = [Text("What each part is worth: the model was fitted again with one thing changed, on the same folds, seeds and tuning. "
                              "Below 0 the change made it worse." if names.better(view.primary) != "lower" else
                              "What each part is worth: the model was fitted again with one thing changed, on the same folds, seeds and tuning. "
                              "Above 0 the change made it worse.")]
    if pairs:
        parts += _pairs(view, pairs, "ablations", f"the variant less {view.name(view.reference)}", turned=True)
    shown = [view.primary, *[m for m in ("balanced_accuracy", "macro_f1", "auroc", "mae", "pearson") if m != view.primary and m in view.metric_names]]
    rows = [[view.name(m), *(view.cell(view.get("models", m, n), n) for n in shown)] for m in (view.reference, *view.variants)]
    parts.append(Table(["<Variant", *(_directed(n) for n in shown)], rows, "Metrics of the variants with 95% intervals", strong=[0]))
    return Section("ablations", "Ablations", parts)


def people(view: View) -> Section | None:
    """One dot a person and model, sorted by the reference; development people marked."""
    each = {m: values for m in view.models if m in view.informed and (values := _by_person(view, m))}
    if not each:
        return None
    shown = dict(list(each.items())[:MOST_PEOPLE_MODELS])
    marked = [str(p) for p in sequence(view.plan("development_people"))]
    title = names.metric(view.primary)
    marks = [Mark(*view.chance)] if view.chance else []
    svg = figures.people({view.name(m): v for m, v in shown.items()}, [view.colour(m) for m in shown], marks, marked, view.axis(view.primary), "people",
                         f"{title} of each person and model", names.better(view.primary) != "lower")
    there = next(iter(shown.values()))
    caption = f"{title} of each person, sorted by {view.name(next(iter(shown)))}; every value is on windows of a person whom the model never saw."
    if any(p in there for p in marked):
        caption += " People on a shaded band, marked *, were looked at while the design was explored."
    left = [view.name(m) for m in each if m not in shown]
    if left:
        caption += f" Not drawn: {names.listing(left)}."
    return Section("people", "Person by person", [Figure(svg, caption), *_without_development(view)])


def _by_person(view: View, model: str) -> dict[str, float | None]:
    stored = mapping(view.get("per_subject", model)) or mapping(view.get("models", model, "per_subject"))
    if not stored and model in view.outcomes:
        stored = breakdowns.per_subject(view.outcomes[model])
    return {str(who): value.get(view.primary) for who, value in stored.items() if isinstance(value, Mapping) and view.primary in value}


def _without_development(view: View) -> list[Part]:
    """The primary metric without the people on whom the design was explored, where the run has it."""
    apart = {side: mapping(view.get("people", side, "models")) for side in ("untouched", "development")}
    if not apart["untouched"]:
        return []
    numbers = {side: len(sequence(view.get("people", side, "subjects"))) for side in apart}
    rows = [[view.name(m), view.cell(view.get("models", m, view.primary), view.primary),
             *(view.cell(_enough(mapping(apart[side].get(m)).get(view.primary), numbers[side]), view.primary) for side in apart)] for m in view.models]
    head = ["<Model", "All people", f"Untouched ({numbers['untouched']})", f"Development ({numbers['development']})"]
    return [Table(head, rows, f"{names.metric(view.primary)}, apart for the people on whom the design was explored and for those who took no part "
                  "in any choice")]


def _enough(value: Any, people: int) -> Any:
    """The metric without its interval when that would be over a handful of people."""
    return dict(mapping(value)) | ({"low": None} if people < breakdowns.FEW else {})


@lru_cache(maxsize=4)   # the page and the card both ask for it
def subgroups(view: View) -> Section | None:
    """The primary metric by the demographics that the set has."""
    shown = [m for m in view.informed if m in view.outcomes][:MOST_GROUP_MODELS]
    attributes = {str(who): mapping(value) for who, value in mapping(view.get("attributes")).items()}
    rows = []
    for attribute in breakdowns.attribute_names(attributes):
        each = {m: breakdowns.by_group(view.outcomes[m], attributes, attribute) for m in shown}
        for at, group in enumerate(next(iter(each.values()), [])):
            cells = [view.cell(judged.get(view.primary), view.primary) if (judged := mapping(each[m][at]["metrics"])) else "too few" for m in shown]
            rows.append([names.words(attribute), str(group["group"]), str(group["subjects"]), str(group["windows"]), *cells])
    if not rows:
        return None
    table = Table(["<Attribute", "<Group", "People", "Windows", *(view.name(m) for m in shown)], rows)
    return Section("subgroups", "Subgroups", [table, Text(
        f"{names.metric(view.primary)} with 95% intervals over the people of the group. Groups were not planned to be compared: this describes, and "
        f"differences between such small groups are expected by chance alone. Below {breakdowns.FEW} people no figure is given.", "note")])


def retest(view: View) -> Section | None:
    """Agreement of a person's two sittings, where there are two."""
    rows = []
    for model in (m for m in view.models if m in view.outcomes):
        found = breakdowns.retest(view.outcomes[model])
        rows += [[view.name(model), str(of), str(found["subjects"]), view.cell(value, "icc")] for of, value in mapping(found["icc"]).items()
                 if value["mean"] is not None]
    if not rows:
        return None
    return Section("retest", "Test and retest", [Table(["<Model", "<Output", "People", "ICC(2,1) (95% interval)"], rows), Text(
        "Agreement of a person's mean output from sitting to sitting. It takes what was felt as equal in all; where it was not, "
        "the figure is too low.", "note")])


def elsewhere(view: View) -> Section | None:
    """What others published, marked as not comparable."""
    groups = published.beside(str(view.get("dataset")), [str(k) for k in sequence(view.plan("published"))])
    rows = [[row.system + (" (cited)" if group.cited else ""), row.signals, group.task, group.metric, _value(row),
             "–" if group.people is None else str(group.people), group.protocol, f"{group.authors}, {group.where}"]
            for group in groups for row in group.rows]
    if not rows:
        return None
    own = view.metric(view.reference, view.primary)
    ours = [[f"{view.name(view.reference)} (this run)", "", str(view.info("title") or view.get("task")), view.axis(view.primary), view.cell(own, view.primary),
             str(len(view.some.people)) if view.some else "–", str(view.get("protocol") or "").upper(), "this report"]] if own else []
    sources = dict.fromkeys(f"{g.authors}: {g.title}" + (f", doi:{g.doi}" if g.doi else "") for g in groups)
    notes = dict.fromkeys(f"{g.authors}, {g.where}: {g.note}" for g in groups if g.note)
    return Section("published", "Published figures (their own protocol, not comparable)", [
        Text("Facts from the literature, for orientation. They were obtained by their authors' own protocol, people, windows and classes; a difference from "
             "the figures of this run says nothing about which method is better."),
        Table(["<System", "<Signals", "<Task", "<Metric", "Value", "People", "<Protocol", "<Source"], ours + rows, strong=[0] if ours else []),
        *[Text(note, "note") for note in notes],
        Text("Value: as the source reports it, ± its own spread. (cited): quoted by the source from others and not checked against the original. Sources: "
             + "; ".join(sources) + ".", "note")])


def _value(row: published.Row) -> str:
    return number(row.value) + (f"\n± {number(row.sd)}" if row.sd is not None else "")
