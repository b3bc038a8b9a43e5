"""Sections on differences between models: paired comparisons and ablations. Each takes a View and gives a Section or None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nociband.evaluation.report import figures, names, verdict
from nociband.evaluation.report.figures import Dot, Mark
from nociband.evaluation.report.names import probability, signed
from nociband.evaluation.report.parts import Figure, Part, Section, Table, Text
from nociband.evaluation.report.reading import View, mapping
from nociband.evaluation.report.sections import directed

ALSO_SHOWN = ("balanced_accuracy", "macro_f1", "auroc", "mae", "pearson")
TESTED = ("Wilcoxon signed-rank test on one value a person, two-sided; Holm's correction{many}. The effect is the matched-pairs "
          "rank-biserial correlation, from −1 to 1. The interval weighs windows and the test weighs people, so the two may "
          "disagree; a difference is called shown by its interval.")

Pairs = Mapping[str, Mapping[str, Any]]


def comparisons(view: View) -> Section | None:
    """The reference against every other plain model: difference, interval, test, correction, effect size."""
    pairs = {m: pair for m in view.models if (pair := view.pair(m))}
    if not pairs:
        return None
    return Section("comparisons", "Paired comparisons",
                   _pairs(view, pairs, "comparisons", f"{view.name(view.reference)} less the other model"))


def ablations(view: View) -> Section | None:
    """Variants of a model (without attention, one modality alone, another normalisation) against the model itself."""
    if not view.variants:
        return None
    pairs = {m: pair for m in view.variants if (pair := view.pair(m)) and names.base(m) == view.reference}
    worse = "Above" if names.better(view.primary) == "lower" else "Below"
    parts: list[Part] = [Text("What each part is worth: the model was fitted again with one thing changed, on the same folds "
                              f"and seeds. {worse} 0 the change made it worse.")]
    if pairs:
        parts += _pairs(view, pairs, "ablations", f"the variant less {view.name(view.reference)}", turned=True)
    shown = [view.primary, *(m for m in ALSO_SHOWN if m != view.primary and m in view.metric_names)]
    rows = [[view.name(m), *(view.cell(view.get("models", m, n), n) for n in shown)] for m in (view.reference, *view.variants)]
    head = ["<Variant", *(directed(n) for n in shown)]
    table = Table(head, rows, "Metrics of the variants with 95% intervals", strong=[0])
    return Section("ablations", "Ablations", [*parts, table])


def _pairs(view: View, pairs: Pairs, name: str, what: str, turned: bool = False) -> list[Part]:
    """Figure and table of differences; `turned`: other less reference instead of reference less other."""
    metric = str(view.get("comparisons", "metric") or view.primary)
    each = {m: _turned(pair["difference"]) if turned else pair["difference"] for m, pair in pairs.items()}
    texts = {m: verdict.gain_text(view, d).replace("\n", "  ") for m, d in each.items()}
    points = [Dot(view.name(m), d["mean"], d.get("low"), d.get("high"), texts[m], view.colour(m))
              for m, d in each.items() if d.get("mean") is not None]
    parts: list[Part] = []
    if points:
        title = f"difference in {names.lower(view.axis(metric))}"
        parts.append(Figure(figures.dots(points, [Mark(0, "no difference", False)], title, name, f"{title}: {what}"),
                            f"D{title[1:]}: {what}, on the same windows; 95% bootstrap intervals over people, both models drawn "
                            "together."))
    m = view.get("comparisons", "m")
    many = f" for {names.count(m, 'planned comparison')}" if isinstance(m, int) else ""
    return [*parts, _tests(view, pairs, each, turned), Text(TESTED.format(many=many), "note")]


def _turned(d: Mapping[str, Any]) -> dict[str, Any]:
    """The difference the other way round."""
    mean, low, high = (None if d.get(key) is None else -d[key] for key in ("mean", "high", "low"))
    return {"mean": mean, "low": low, "high": high}


def _tests(view: View, pairs: Pairs, each: Pairs, turned: bool) -> Table:
    rows = []
    for model, pair in pairs.items():
        test = mapping(pair.get("wilcoxon"))
        effect = test.get("rank_biserial")
        effect = -effect if turned and effect is not None else effect
        n = test.get("n_nonzero", test.get("n"))
        rows.append([view.name(model), verdict.gain_text(view, each[model]), probability(test.get("p")),
                     probability(test.get("p_holm")), signed(effect, 2), "–" if n is None else str(n)])
    head = ["Difference (95% interval)", "Wilcoxon p", "p after Holm", "Effect (rank-biserial)", "People who differ"]
    return Table(["<Variant" if turned else "<Against", *head], rows)
