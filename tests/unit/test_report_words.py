"""What the report says in words: every metric and normalisation explained, an unplanned run called so, reasons once each."""

from __future__ import annotations

from typing import Any

import pytest

from nociband.evaluation.metrics import METRICS
from nociband.evaluation.plan import NORMALISATIONS
from nociband.evaluation.report import names, provenance, sections, verdict
from nociband.evaluation.report.parts import Facts, Table
from nociband.evaluation.report.reading import View

UNKNOWN = {"mean": None, "reason": "the time is not known"}


def view_of(**more: Any) -> View:
    models = {name: {"auroc": {"mean": 0.8, "low": 0.7, "high": 0.9}, "auroc_same_time": UNKNOWN} for name in ("s0", "logreg")}
    return View({"dataset": "d", "task": "t", "labels": ["a", "b"], "models": models, "primary": "auroc"} | more)


def texts(section: Any) -> list[str]:
    return [part.text for part in section.parts if hasattr(part, "text")]


def test_every_metric_and_normalisation_is_explained() -> None:
    assert set(names.MEANINGS) == set(METRICS) and set(names.NORMALISATIONS) == set(NORMALISATIONS)


@pytest.mark.parametrize(("name", "words"), [
    ("s0:no_attention", "S0 without attention"), ("lab.models:Forest", "Forest (lab.models)"),
    ("lab.models:Forest@none", "Forest (lab.models), normalisation none"),
    ("mine:Forest@none", "Forest (mine), normalisation none")])
def test_a_model_of_ones_own_is_no_variant_of_its_module(name: str, words: str) -> None:
    assert names.model(name) == words and names.is_variant(name) is (name != "lab.models:Forest")


def test_the_metrics_that_are_shown_are_explained_beneath() -> None:
    section = sections.metrics(view_of())
    assert section is not None
    facts = [part for part in section.parts if isinstance(part, Facts)]
    assert [term for term, _ in facts[0].facts] == ["AUROC"] and "0.5 is guessing" in facts[0].facts[0][1]


def test_a_reason_that_all_models_share_is_given_once() -> None:
    said = [text for text in texts(sections.metrics(view_of())) if text.startswith("Left out")]
    assert said == ["Left out: AUROC at the same time: the time is not known."]


@pytest.mark.parametrize(("frozen", "said"), [(False, True), (True, False), (None, False)])
def test_figures_without_a_frozen_plan_are_called_exploratory(frozen: bool | None, said: bool) -> None:
    assert any("exploratory" in text for text in verdict.warnings(view_of(frozen=frozen))) is said


def test_people_left_out_stand_together_by_reason() -> None:
    section = provenance.data(view_of(excluded={"P1": "no rating", "P2": "no answer", "P3": "no rating"}))
    assert section is not None
    table = next(part for part in section.parts if isinstance(part, Table))
    assert table.rows == [["no rating", "2", "P1, P3"], ["no answer", "1", "P2"]]


@pytest.mark.parametrize(("seeds", "words"), [
    ({"logreg": [0]}, "0 (one is enough: it changes nothing here)"), ({"s0": [0, 1], "logreg": [0, 1]}, "0, 1"),
    ({"s0": [0, 1], "logreg": [0]}, "0, 1; logistic regression: 0 (the seed changes nothing)")])
def test_seeds_say_when_one_is_enough(seeds: dict[str, list[int]], words: str) -> None:
    section = provenance.data(view_of(seeds=seeds, plan={"seeds": [0, 1]}))
    assert section is not None
    facts = next(part for part in section.parts if isinstance(part, Facts))
    assert dict(facts.facts)["Seeds"] == words
