"""The run's answer in plain sentences, and no more than its intervals carry.

Takes a View; gives texts for the head of the report and for the model card. A difference whose interval includes 0 is "not
shown", whatever its sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nociband.evaluation.report import names
from nociband.evaluation.report.names import interval, number, signed
from nociband.evaluation.report.reading import View, mapping


def sentences(view: View) -> list[str]:
    """What the run shows of the reference model: against the best other, against no knowledge, against the planned margin."""
    value = view.metric(view.reference, view.primary)
    if value is None:
        return [f"{names.metric(view.primary)} of {view.name(view.reference)} is undefined in this run: nothing is shown."]
    found = [_against_best(view, value), _against_nothing(view, value), _criterion(view)]
    return [text for text in found if text]


def with_interval(view: View, value: Mapping[str, Any]) -> str:
    """The primary metric as "0.430 (95% interval 0.380 to 0.482)"."""
    low, high, digits = value.get("low"), value.get("high"), view.digits(view.primary)
    span = "no interval" if low is None or high is None else f"95% interval {interval(low, high, digits)}"
    return f"{number(value['mean'], digits)} ({span})"


def gain_text(view: View, difference: Mapping[str, Any]) -> str:
    """A difference in the primary metric as "−0.010" and "(−0.050 to +0.030)", a line each."""
    digits = view.digits(view.primary)
    span = interval(difference.get("low"), difference.get("high"), digits, sign=True)
    return f"{signed(difference.get('mean'), digits)}\n({span})"


def _against_best(view: View, value: Mapping[str, Any]) -> str:
    head = f"{names.sentence(view.name(view.reference))}: {names.lower(view.axis(view.primary))} {with_interval(view, value)}."
    other = view.best_other
    if other is None:
        return head
    against = view.metric(other, view.primary)
    pair = view.pair(other)
    assert against is not None
    if pair is None or pair.get("metric", view.primary) != view.primary:
        return f"{head} The best other model is {view.name(other)}, {with_interval(view, against)}; the run compares no pairs."
    return f"{head} {_difference(view, other, against['mean'], pair['difference'])}"


def _difference(view: View, other: str, mean: float, difference: Mapping[str, Any]) -> str:
    digits = view.digits(view.primary)
    by, low, high = difference.get("mean"), difference.get("low"), difference.get("high")
    if by is None:
        return f"Its difference from {view.name(other)} ({number(mean, digits)}) is undefined."
    where = "equal to" if round(by, digits) == 0 else f"{number(abs(by), digits)} {'above' if by > 0 else 'below'}"
    text = f"That is {where} the best other model, {view.name(other)} ({number(mean, digits)}); "
    if low is None or high is None:
        return f"{text}the difference has no interval: nothing is shown."
    text += f"the difference's 95% interval, {interval(low, high, digits, sign=True)}, "
    return text + _shown(view, by, low, high)


def _shown(view: View, by: float, low: float, high: float) -> str:
    if low <= 0 <= high:
        return "includes 0: not shown to be better or worse."
    ahead = (by > 0) == (names.better(view.primary) != "lower")
    return f"excludes 0: shown to be {'better' if ahead else 'worse'} on these people."


def _against_nothing(view: View, value: Mapping[str, Any]) -> str:
    """Against chance where that is a number; else against the model that does not look at the signals."""
    low, high, digits = value.get("low"), value.get("high"), view.digits(view.primary)
    if view.chance is None:
        return _against_blind(view)
    if low is None or high is None:
        return ""
    at, what = view.chance
    at = round(at, 4)   # as the metrics themselves
    if low > at:
        return f"Its interval lies above {what} ({number(at, digits)})."
    if high < at:
        return f"Its interval lies below {what} ({number(at, digits)})."
    return f"Its interval includes {what} ({number(at, digits)}): not shown to be better than that."


def _against_blind(view: View) -> str:
    blind = next((m for m in view.models if m not in view.informed and m != view.best_other), None)
    pair = view.pair(blind) if blind else None
    if blind is None or pair is None or pair["difference"].get("low") is None:
        return ""
    by, low, high = (pair["difference"][key] for key in ("mean", "low", "high"))
    digits = view.digits(view.primary)
    return (
        f"Its difference from the {view.name(blind)}, which looks at no signal, is {signed(by, digits)}; its 95% interval, "
        f"{interval(low, high, digits, sign=True)}, {_shown(view, by, low, high)}"
    )


def _criterion(view: View) -> str:
    """Whether the plan's criterion (no worse than the best baseline by more than a margin) was met."""
    rule = mapping(view.get("non_inferiority"))
    if rule.get("margin") is None or rule.get("point") is None:
        return ""
    side = "above" if names.better(str(rule.get("metric", view.primary))) == "lower" else "below"
    model, against = view.name(str(rule.get("model", view.reference))), view.name(str(rule.get("against", "")))
    text = f"Planned criterion: {model} not more than {rule['margin']:g} {side} {against}. "
    if not rule["point"]:
        return text + "Missed: the estimate itself is worse by more than that."
    if rule.get("interval"):
        return text + "Met, by the whole 95% interval."
    return text + "Met by the estimate; the interval does not exclude a larger loss, so it is not shown."


def warnings(view: View) -> list[str]:
    """What must be known before any figure is read: what was not measured, and what so few windows can show."""
    found = []
    of, warning = view.info("of"), view.info("warning")
    if view.info("synthetic"):
        found.append(
            "The signals are synthetic. No person was measured: the figures show that the path works, and nothing about people."
        )
    if of and of != "pain":
        found.append(f"The data are of {of}, not of pain. No figure here is one of pain recognition.")
    if warning and not found:
        found.append(f"{names.sentence(str(warning)).rstrip('.')}.")
    return found + [text for text in (_unplanned(view), _clock(view), _reach(view)) if text]


def _unplanned(view: View) -> str:
    """A run whose plan may have been written after its figures were seen says so where the figures are."""
    if view.get("frozen") is not False:
        return ""
    return ("No frozen plan stood before this run (see Plan): its figures are exploratory. A plan is frozen when it was "
            "committed before, is unchanged since, and no option replaced a part of it.")


def _clock(view: View) -> str:
    """Where the time of the session alone tells something of the answer, that must be known of every other figure."""
    clock = next((m for m in view.models if names.base(m) == "clock"), None)
    value = view.metric(clock, view.primary) if clock else None
    if clock is None or value is None or value.get("low") is None or not _tells(view, value):
        return ""
    text = (f"The {view.name(clock)}, which looks at no signal, reaches {with_interval(view, value)}: what came when was alike "
            "from person to person. A model whose input drifts with time could do as well and read nothing from the body.")
    pair = view.pair(clock)
    low, high = (pair["difference"].get(end) for end in ("low", "high")) if pair else (None, None)
    beaten = low is not None and high is not None and (high < 0 if names.better(view.primary) == "lower" else low > 0)
    return text + ("" if beaten else f" {names.sentence(view.name(view.reference))} is not shown to beat it.")


def _tells(view: View, value: Mapping[str, Any]) -> bool:
    """Whether a control's interval lies on the better side of no knowledge (chance, or the majority's figure)."""
    majority = next((found for m in view.models if names.base(m) == "majority" and (found := view.metric(m, view.primary))), None)
    at = view.chance[0] if view.chance else majority["mean"] if majority else None
    if at is None:
        return False
    return value["high"] < at if names.better(view.primary) == "lower" else value["low"] > at


def _reach(view: View) -> str:
    """What this many people and windows can and cannot prove, from the run's own figures."""
    some = view.some
    if some is None or len(some.people) < 2:
        return ""
    each = some.windows
    windows = f"{each.min()}" if each.min() == each.max() else f"{each.min()} to {each.max()} (median {np.median(each):.0f})"
    found = [f"{names.count(len(some.people), 'person', 'people')} with {windows} windows each."]
    if view.classes and view.primary in ("accuracy", "balanced_accuracy"):
        n, share = float(np.median(each)), 1 / view.classes
        spread = 1.96 * np.sqrt(share * (1 - share) / n)
        found.append(
            f"On that many windows of one person, a guesser's accuracy lies within ±{spread:.2f} of chance 19 times in 20: "
            + ("such a set cannot say for whom a model works." if spread > 0.15 else "a single person's figure is rough.")
        )
    return " ".join([*found, _resolution(view)]).strip()


def _resolution(view: View) -> str:
    """The least difference that this run can tell from none, as its own intervals show it."""
    digits = view.digits(view.primary)
    halves = [
        (d["high"] - d["low"]) / 2 for m in view.informed if (p := view.pair(m)) and (d := p["difference"]).get("low") is not None
    ]
    if not halves:
        return "What holds for these people need not hold for others, other places or other devices."
    least = number(float(np.median(halves)), digits)
    return (f"It can show differences between models on average over people, if they are larger than about {least} (half the "
            "width of their 95% intervals here); it cannot tell smaller ones from none, nor prove that what holds for these "
            "people holds for others, in other places or with other devices.")
