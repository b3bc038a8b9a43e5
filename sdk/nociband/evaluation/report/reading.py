"""The result of a run as the report's sections ask for it: what is missing is None or empty, never an error.

Takes the result dict of nociband.evaluation.evaluate (its form: docs/evaluation.md) and the Outcomes of its models; the sections
take a View. Only a result without a data set, a task or models is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nociband.errors import DataError
from nociband.evaluation.metrics import METRICS, Outcome
from nociband.evaluation.report import names

CHANCE_IS_SHARE = ("balanced_accuracy", "sensitivity")
IN_SCORE_UNIT = ("mae", "rmse", "bland_altman_bias", "bland_altman_lower", "bland_altman_upper")
GREY = 7  # place in drawing.SERIES


@dataclass(frozen=True, eq=False)
class View:
    """`result` with `outcomes` by model. Raises DataError when the result names no data set, no task or no model."""

    result: Mapping[str, Any]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lacking = [name for name in ("dataset", "task", "models") if not self.result.get(name)]
        if lacking:
            raise DataError(
                f"the result has no {names.listing(lacking)}: a report is written from what `nociband evaluate --json` writes"
            )

    def get(self, *path: str) -> Any:
        """What stands under these keys, or None."""
        value: Any = self.result
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def plan(self, key: str) -> Any:
        """A value of the plan, or None."""
        return self.get("plan", key)

    def info(self, key: str) -> Any:
        """What the task says of itself (title, of, synthetic, warning, ...), or None."""
        value = self.get(key)
        return self.get("task_info", key) if value is None else value

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Plain models (no variants), the reference first."""
        plain = [m for m in self.result["models"] if not names.is_variant(m)] or list(self.result["models"])
        return tuple(sorted(plain, key=lambda m: m != self.reference))

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """Ablations and other normalisations of a model that is there too."""
        return tuple(m for m in self.result["models"] if names.is_variant(m) and m not in self.models)

    @cached_property
    def reference(self) -> str:
        """The model that the others are compared with: the comparison's, the plan's, "s0", the first that looks at signals."""
        there = self.result["models"]
        informed = [m for m in there if names.base(m) not in names.BLIND]
        wanted = (self.get("comparisons", "reference"), self.plan("reference"), "s0", *informed[:1])
        return next((m for m in wanted if m in informed), next(iter(there)))

    @cached_property
    def primary(self) -> str:
        """Name of the primary metric; where none is said, the first of the reference model."""
        said = self.result.get("primary") or self.plan("primary")
        if said:
            return str(said)
        default = "mae" if self.is_score else "balanced_accuracy"
        known = self.metric_names
        return default if default in known or not known else known[0]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; none for a score."""
        said = self.get("labels") or self.get("task_info", "labels")
        if said:
            return tuple(map(str, said))
        return next((o.labels for o in self.outcomes.values() if o.labels), ())

    @property
    def classes(self) -> int:
        """Number of classes; 0 for a score."""
        return len(self.labels)

    @cached_property
    def is_score(self) -> bool:
        """Whether a score is estimated; where the result does not say, its metrics do."""
        kind = self.info("kind")
        if kind:
            return kind == "score"
        return not self.labels and any(m in METRICS and METRICS[m].kind == "score" for m in self.metric_names)

    @cached_property
    def metric_names(self) -> tuple[str, ...]:
        """Metrics that any model has, in the order of METRICS, then as they come."""
        there = dict.fromkeys(
            m
            for model in self.result["models"].values()
            for m, v in model.items()
            if isinstance(v, Mapping) and "mean" in v and m != "confusion"
        )
        return tuple([m for m in METRICS if m in there] + [m for m in there if m not in METRICS])

    def metric(self, model: str, name: str) -> Mapping[str, Any] | None:
        """{"mean", "low", "high", ...} of a model, or None when it has no value."""
        value = self.get("models", model, name)
        return value if isinstance(value, Mapping) and value.get("mean") is not None else None

    def pair(self, other: str) -> Mapping[str, Any] | None:
        """The paired comparison of the reference with `other`, or None."""
        if self.get("comparisons", "reference") != self.reference:
            return None
        found = self.get("comparisons", "pairs", other)
        return found if isinstance(found, Mapping) and isinstance(found.get("difference"), Mapping) else None

    @cached_property
    def some(self) -> Outcome | None:
        """An outcome from which people and windows can be counted."""
        return self.outcomes.get(self.reference) or next(iter(self.outcomes.values()), None)

    @cached_property
    def chance(self) -> tuple[float, str] | None:
        """What the primary metric is without any knowledge, and what that is called; None where it depends on the data."""
        if self.primary in CHANCE_IS_SHARE and self.classes:
            return 1 / self.classes, "chance"
        if self.primary == "accuracy" and self.some is not None:
            return float(np.bincount(self.some.target).max() / len(self.some.target)), "most frequent class"
        if self.primary in ("auroc", "auroc_within_subject"):
            return 0.5, "chance"
        return (0.0, "no agreement") if self.primary in ("kappa", "pearson", "pearson_within_subject", "icc") else None

    @cached_property
    def bounds(self) -> tuple[float, float] | None:
        """Limits of the primary metric: an axis never goes beyond them."""
        if self.primary in ("kappa", "pearson", "pearson_within_subject", "icc"):
            return -1, 1
        return (0, np.inf) if self.is_score else (0, 1)

    @cached_property
    def best_other(self) -> str | None:
        """The rival whose primary metric is best; a control that looks at no signal where there is no other."""
        known = [(v["mean"], m) for some in (self.informed, self.models) for m in some
                 if m != self.reference and (v := self.metric(m, self.primary))]
        known = [(mean, m) for mean, m in known if m in self.informed] or known
        if not known:
            return None
        pick = min if names.better(self.primary) == "lower" else max
        return pick(known, key=lambda item: item[0])[1]

    @cached_property
    def informed(self) -> tuple[str, ...]:
        """Plain models that look at the signals: neither the majority class (of a score: the mean) nor the clock."""
        return tuple(m for m in self.models if names.base(m) not in names.BLIND)

    def colour(self, model: str) -> int:
        """A model's place in the series of colours: the same in every figure; grey for one that does not look at the signals."""
        plain = model if model in self.models else names.base(model)
        return self.informed.index(plain) if plain in self.informed else GREY

    def name(self, model: str) -> str:
        """A model's name in words."""
        return names.model(model, score=self.is_score)

    def digits(self, metric: str) -> int:
        """Digits after the point that a metric is written with: 3, and fewer for one in the score's unit on a wide scale."""
        if metric not in IN_SCORE_UNIT:
            return 3
        span = sequence(self.info("score_range"))
        return 1 if len(span) == 2 and span[1] - span[0] >= 50 else 2

    def axis(self, metric: str) -> str:
        """A metric's title with its unit."""
        unit = self.info("score_unit")
        return f"{names.metric(metric)} ({unit})" if unit and metric in IN_SCORE_UNIT else names.metric(metric)

    def cell(self, value: Any, metric: str) -> str:
        """Value and interval of a metric for a table, a line each: "0.430" and "(0.380 to 0.482)"."""
        value, digits = mapping(value), self.digits(metric)
        if value.get("mean") is None:
            return "–"
        low, high = value.get("low"), value.get("high")
        span = "" if low is None or high is None else f"\n({names.interval(low, high, digits)})"
        return names.number(value["mean"], digits) + span


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    """The value if it is a list or tuple, else an empty one."""
    return value if isinstance(value, list | tuple) else ()
