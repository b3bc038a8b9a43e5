"""Small seeded runs for the report's tests: made-up answers of made-up people, judged by the real code."""

from __future__ import annotations

from typing import Any

import numpy as np

from nociband.evaluation import protocols, result
from nociband.evaluation.evaluate import outcomes
from nociband.evaluation.jobs import Context, Job, JobResult
from nociband.evaluation.metrics import Outcome
from nociband.evaluation.plan import Plan, Source, from_dict
from nociband.training.examples import Examples, TaskInfo

FACES = TaskInfo(
    "fmov",
    "emotion3",
    "Which face a person is watching: angry, happy or neutral",
    "classes",
    "emotion",
    False,
    "emotion, not pain",
    ("angry", "happy", "neutral"),
    (None, None, None),
)
STRESS = TaskInfo(
    "stress_predict", "stress", "Stress or rest", "classes", "stress", False, "stress, not pain", ("rest", "stress"), (None, None)
)
PAIN = TaskInfo(
    "shock_trials",
    "pain_vas",
    "Pain that a person reports after a shock",
    "score",
    "pain",
    False,
    "",
    score_range=(0.0, 100.0),
    score_unit="VAS 0-100",
)


def run(
    task: TaskInfo,
    skills: dict[str, float],
    people: int = 8,
    windows: int = 12,
    seeds: int = 2,
    seed: int = 0,
    sittings: int = 1,
    names: str = "P{:02d}",
    **plan: Any,
) -> tuple[dict[str, Any], dict[str, Outcome]]:
    """Result and predictions of models that are right to the degree of their skill (0: they guess)."""
    rng = np.random.default_rng(seed)
    examples = _examples(task, people, windows, sittings, names, rng)
    made = from_dict(
        {
            "dataset": task.dataset,
            "task": task.task,
            "models": list(skills),
            "seeds": seeds,
            "reference": "s0",
            "primary": "balanced_accuracy" if task.classes else "mae",
        }
        | plan
    )
    context = Context(
        task,
        dict.fromkeys(made.normalisations, examples),
        protocols.folds(examples, made.protocol),
        made,
        {"P99": "the electrode came off"},
    )
    results = [
        _answer(context, Job(model, fold.index, s), skill, rng)
        for model, skill in skills.items()
        for fold in context.folds
        for s in (made.seeds if model != "majority" else made.seeds[:1])
    ]
    predictions = outcomes(results, context)
    source = Source("plans/made_up.toml", "0123456789abcdef0123456789abcdef01234567", "2026-01-02T03:04:05+00:00")
    account = result.build(context, results, predictions, source, 12.5, "serial", 0)
    return account | {"commit": {"commit": "f" * 40, "modified": False}}, predictions


def _examples(task: TaskInfo, people: int, windows: int, sittings: int, names: str, rng: np.random.Generator) -> Examples:
    n = people * windows
    subjects = np.repeat([names.format(i) for i in range(people)], windows)
    target = np.tile(np.arange(windows) % max(task.classes, 1), people) if task.classes else rng.uniform(*task.score_range, n)
    attributes = {str(s): {"sex": "f" if i % 3 else "m", "age": 20 + 3 * i} for i, s in enumerate(dict.fromkeys(subjects))}
    sitting = np.tile([f"sitting {1 + w * sittings // windows}" for w in range(windows)], people)
    return Examples({}, rng.normal(size=(n, 2)), ("a", "b"), target, subjects, sitting, np.zeros(n, int), attributes)


def _answer(context: Context, job: Job, skill: float, rng: np.random.Generator) -> JobResult:
    test = context.examples_for(job.model).of(context.folds[job.fold].test).plain()
    if context.task.classes:
        logits = rng.normal(size=(len(test), context.task.classes)) * (skill > 0)
        logits[np.arange(len(test)), test.target] += 2 * skill * rng.uniform(0, 1)
        output = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    else:
        output = 50 + skill * rng.uniform(0.5, 1) * (test.target - 50) + rng.normal(size=len(test)) * 18 * (skill > 0)
    choice = (
        ({"settings": {"C": 0.1}, "score": 0.4}, {"settings": {"C": 1}, "score": 0.5})
        if job.model == "logreg" and job.seed == 0
        else ()
    )
    return JobResult(
        job,
        test.subjects,
        test.sittings,
        test.target,
        output,
        {"C": 1} if choice else {},
        0.25,
        "made-up",
        choice,
        1 + len(choice),
    )


def faces(**options: Any) -> tuple[dict[str, Any], dict[str, Outcome]]:
    """Three classes with every baseline and three variants of S0."""
    skills = {
        "majority": 0.0,
        "logreg": 0.9,
        "random_forest": 0.7,
        "svm": 0.8,
        "cnn1d": 0.5,
        "s0": 0.85,
        "s0:no_attention": 0.7,
        "s0:eda_only": 0.2,
        "s0@none": 0.4,
    }
    return run(
        FACES,
        skills,
        development_people=["P00", "P01"],
        non_inferiority={"model": "s0", "margin": 0.03},
        tuning={"inner_folds": 3, "metric": "balanced_accuracy"},
        **options,
    )


__all__ = ["FACES", "PAIN", "STRESS", "Plan", "faces", "run"]
