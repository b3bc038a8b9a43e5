"""The result of a run as plain values: what --json writes, what the report and the model's manifest quote.

Takes a run's jobs and predictions from nociband.evaluation.evaluate. The keys are documented in docs/evaluation.md and stable:
SCHEMA rises when one is taken away or changes its meaning.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import nociband
from nociband.evaluation import breakdowns, metrics, statistics
from nociband.evaluation.jobs import Context, JobResult
from nociband.evaluation.metrics import Outcome
from nociband.evaluation.models import base_of
from nociband.evaluation.plan import Plan, Source

SCHEMA = 1


def build(context: Context, results: Sequence[JobResult], predictions: Mapping[str, Outcome], source: Source, seconds: float,
          engine: str, kept: int) -> dict[str, Any]:
    """The whole result."""
    plan, task = context.plan, context.task
    judged = {name: metrics.judge(outcome) for name, outcome in predictions.items()}
    seeds = {name: sorted({r.job.seed for r in results if r.job.model == name}) for name in predictions}
    return {
        "schema": SCHEMA, "dataset": plan.dataset, "task": plan.task, "title": task.title, "kind": task.kind, "of": task.of,
        "labels": list(task.labels), "score_unit": task.score_unit, "score_range": list(task.score_range),
        "synthetic": task.synthetic, "warning": task.warning, "protocol": plan.protocol,
        **_people(context), "excluded": dict(context.excluded), "seeds": seeds, "seconds": seconds,
        "primary": plan.primary, "higher_is_better": plan.higher_is_better, "models": judged,
        "comparisons": statistics.compare(predictions, plan.against, plan.primary) if len(predictions) > 1 else None,
        "non_inferiority": _non_inferiority(plan, judged, predictions),
        "people": _explored(plan, predictions),
        "per_subject": {name: breakdowns.per_subject(outcome) for name, outcome in predictions.items()},
        "folds": [fold.to_dict() for fold in context.folds], "tuning": _tuning(results, context),
        "plan": plan.to_dict(), "plan_sha256": plan.sha256, "frozen": source.frozen, "plan_source": asdict(source),
        "budget": _budget(results, engine, kept), "versions": _versions(), "commit": commit(),
        "identities": {name: context.identity_of(name) for name in predictions},
    }


def _people(context: Context) -> dict[str, Any]:
    """Who was judged on how much; demographics of them, as the data set gives them."""
    everyone = context.examples[context.plan.normalisation]
    plain = everyone.plain().of(name for fold in context.folds for name in fold.test)
    windows: dict[str, Any] = {"judged": len(plain), "augmented": int((everyone.draw > 0).sum())}
    if context.task.kind == "classes":
        counts = np.bincount(plain.target, minlength=context.task.classes)
        windows["by_class"] = {label: int(n) for label, n in zip(context.task.labels, counts, strict=True)}
    attributes = {who: _plain(everyone.attributes[who]) for who in plain.people if everyone.attributes.get(who)}
    return {"subjects": len(plain.people), "windows": windows, "attributes": attributes}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """NumPy scalars as Python's, NaN as None (JSON has neither)."""
    found = {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
    return {name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in found.items()}


def _non_inferiority(plan: Plan, judged: Mapping[str, Any], predictions: Mapping[str, Outcome]) -> dict[str, Any] | None:
    rule = plan.non_inferiority
    if rule is None:
        return None
    against = rule.against or tuple(m for m in plan.models if base_of(m) != base_of(rule.model))
    if not against:
        return None
    best = statistics.best(judged, plan.primary, against)
    pair = statistics.paired(predictions[rule.model], predictions[best], plan.primary)
    verdict = statistics.non_inferiority(pair, rule.margin, rule.model, best)
    return verdict | {"among": list(against), "wilcoxon": pair["wilcoxon"]}


def _explored(plan: Plan, predictions: Mapping[str, Outcome]) -> dict[str, Any]:
    """Figures for those on whom the design was explored and for the others, apart; a side of fewer than 2 people has none."""
    one = next(iter(predictions.values()))
    sides = {"development": [p for p in one.people if p in plan.development_people],
             "untouched": [p for p in one.people if p not in plan.development_people]}
    found: dict[str, Any] = {}
    for side, names in sides.items():
        parts = {m: o.where(np.isin(o.subjects, names)) for m, o in predictions.items()} if len(names) > 1 else {}
        both = bool(plan.development_people and parts)
        found[side] = {"subjects": names, "models": {m: metrics.judge(part) for m, part in parts.items()} if both else None,
                       "comparisons": statistics.compare(parts, plan.against, plan.primary) if both and len(parts) > 1 else None}
    return found


def _tuning(results: Sequence[JobResult], context: Context) -> dict[str, list[dict[str, Any]]]:
    """By model that had a choice: each fold's chosen settings and every candidate's score on the inner folds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for r in results:
        if r.choice:
            found.setdefault(r.job.model, []).append({"fold": context.folds[r.job.fold].name, "chosen": dict(r.settings),
                                                      "tried": [dict(c) for c in r.choice]})
    return found


def _budget(results: Sequence[JobResult], engine: str, kept: int) -> dict[str, Any]:
    by_model: dict[str, dict[str, Any]] = {}
    for r in results:
        one = by_model.setdefault(r.job.model, {"jobs": 0, "fits": 0, "compute_seconds": 0.0})
        one["jobs"] += 1
        one["fits"] += r.fits
        one["compute_seconds"] = round(one["compute_seconds"] + r.seconds, 3)
    return {"engine": engine, "workers": len({r.worker for r in results}), "jobs": len(results), "jobs_kept": kept,
            "fits": sum(r.fits for r in results), "compute_seconds": round(sum(r.seconds for r in results), 3),
            "models": by_model}


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"nociband": nociband.__version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", "scikit-learn", "torch", "ray"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | {"machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"}


def commit() -> dict[str, Any]:
    """{"commit", "modified"} of the code that runs; commit "" outside a repository."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout.strip()

    root = Path(nociband.__file__).parent
    try:
        return {"commit": git("rev-parse", "HEAD"), "modified": bool(git("status", "--porcelain", "--", "."))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": "", "modified": False}
