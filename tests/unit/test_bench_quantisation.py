"""The figures of `nociband bench quantisation`: by hand on small tables, windows from the band's own path, the guide's tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nociband.training import tasks
from nociband_tools.bench import quantisation

RESULTS = Path(__file__).resolve().parents[2] / "docs/results"


def _logits(classes: list[int], margin: float = 1.0) -> np.ndarray:
    return np.eye(3)[classes] * margin


def test_figures_by_hand() -> None:
    people = np.repeat(["a", "b"], [4, 2])
    reference, got = _logits([0, 0, 1, 2, 1, 1], 2.0), _logits([0, 1, 1, 2, 1, 0], 2.0)
    figures = quantisation.compare(reference, got, people, np.array([0, 0, 0, 2, 1, 1]))
    assert figures["windows"] == 6 and figures["people"] == 2 and figures["ties"] == 0
    assert figures["agreement"] == {"value": 0.66667, "ci95": [0.5, 0.75]}  # b alone: 1 of 2; a alone: 3 of 4
    assert figures["agreement_by_class"] == [0.5, 0.66667, 1.0]
    assert figures["logit_error"] == {"rms": round(np.sqrt(2 * 4 * 2 / 18), 5), "max": 2.0, "spread": round(reference.std(), 5)}
    top = np.exp(2) / (np.exp(2) + 2)
    assert figures["probability_error"]["max"] == pytest.approx(top - (1 - top) / 2, abs=1e-5)
    accuracy = figures["accuracy"]
    assert (accuracy["float"]["value"], accuracy["integer"]["value"]) == (round(5 / 6, 5), 0.5)
    assert accuracy["loss"]["value"] == round(1 / 3, 5) and accuracy["loss"]["ci95"] == [0.25, 0.5]
    assert figures["balanced_accuracy"]["float"]["value"] == round((2 / 3 + 1 + 1) / 3, 5)


def test_ties_are_counted_and_unlabelled_windows_have_no_accuracy() -> None:
    reference = _logits([0, 1, 2, 2])
    got = reference.copy()
    got[1, 0] = got[1, 1]
    figures = quantisation.compare(reference, got, np.array(["a", "a", "b", "b"]), None)
    assert figures["ties"] == 0.25 and figures["agreement"]["value"] == 0.75 and "accuracy" not in figures
    assert figures["agreement_by_class"] == [1.0, 0.0, 1.0]


def test_a_class_that_never_occurs_has_no_share() -> None:
    figures = quantisation.compare(_logits([0, 0]), _logits([0, 1]), np.array(["a", "b"]), None)
    assert figures["agreement_by_class"] == [0.5, None, None]


@pytest.mark.slow
def test_windows_of_people_are_theirs_alone() -> None:
    account = {"task": "pain5", "dataset": "synthetic", "subjects": {"held_out": ["T003", "T010"]}}
    windows = quantisation.of_people(account, "held_out", per_person=7)
    labelled, continuous = windows["labelled"], windows["continuous"]
    assert set(labelled.people) == {"T003", "T010"} and labelled.x.shape == (len(labelled.people), 138, 6)
    assert labelled.target is not None and set(labelled.target) == set(range(len(tasks.PAIN5.labels)))
    assert [list(continuous.people).count(p) for p in ("T003", "T010")] == [7, 7] and continuous.target is None
    assert continuous.x.shape == (14, 138, 6) and continuous.x.std(axis=(0, 1)).min() > 0


def test_the_page_has_the_tables_of_its_figures() -> None:
    document = json.loads((RESULTS / "quantisation.json").read_text("utf-8"))
    assert quantisation.markdown(document).strip() in (RESULTS / "quantisation.md").read_text("utf-8")
