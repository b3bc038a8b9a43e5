"""Trials of the shock study: no label in what a model sees, scales of the person's own, and what the published trials give."""

import csv
import gzip
import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from nociband.errors import ModelError
from nociband.signals import datasets, shock_trials
from nociband.signals.shock_trials import Ratings, Trials
from nociband.training import problems
from nociband.training.shocks import examples

REAL = pytest.mark.skipif("NOCIBAND_DATA" not in os.environ or not datasets.available("shock_trials"),
                          reason="NOCIBAND_DATA does not hold shock_trials")


def made(people: int = 4) -> Trials:
    """Ten trials a cell; the first person has one NaN amplitude, the last nobody's rating of low shocks."""
    rng = np.random.default_rng(6)
    cells = [(f"{p + 10}", c, s, k) for p in range(people) for c in ("self", "other") for s in ("high", "low") for k in range(10)]
    subject, condition, stimulus = (np.array(column) for column in list(zip(*cells, strict=True))[:3])
    order = np.array([k for *_, k in cells])
    scr = rng.gamma(2.0, 0.3, len(cells)) * (1 + (stimulus == "high"))
    scr[3] = np.nan
    intensity = np.where(condition == "self", 20.0 + 50 * (stimulus == "high") + order, np.nan)
    intensity[(subject == f"{people + 9}") & (stimulus == "low")] = np.nan
    ratings = Ratings(subject, condition, stimulus, order, unpleasantness=intensity, intensity=intensity)
    return Trials(subject, condition, stimulus, order, scr=scr, ratings=ratings, attributes={"10": {"wave": "1"}})


def test_shocks_to_oneself_with_an_amplitude_are_the_examples():
    trials, found = made(), examples(made(), "high_low")
    assert len(found) == 4 * 20 - 1 and np.isfinite(found.features).all() and not found.draw.any()
    mine = (trials.condition == "self") & np.isfinite(trials.scr)
    assert np.array_equal(found.features[:, 0], np.sqrt(trials.scr[mine]))
    assert found.target.dtype == np.int64 and np.array_equal(found.target, trials.stimulus[mine] == "high")
    assert np.isnan(found.elapsed_s).all() and found.inputs["eda"].shape == (79, 1, 2)
    assert found.attributes["10"] == {"wave": "1"} and found.attributes["11"] == {}


@pytest.mark.parametrize("how", ["zscore", "none"])
def test_the_label_is_not_in_what_a_model_sees(how):
    trials = made()
    swapped = replace(trials, stimulus=np.random.default_rng(1).permutation(trials.stimulus))
    a, b = examples(trials, "high_low", how), examples(swapped, "high_low", how)
    assert not np.array_equal(a.target, b.target)
    assert a.features.tobytes() == b.features.tobytes() and a.inputs["eda"].tobytes() == b.inputs["eda"].tobytes()


def test_nor_is_the_rating():
    trials = made()
    rated = replace(trials.ratings, intensity=100 - trials.ratings.intensity)
    a, b = examples(trials, "pain_vas"), examples(replace(trials, ratings=rated), "pain_vas")
    assert not np.array_equal(a.target, b.target) and np.array_equal(a.features, b.features)


def test_the_scale_is_of_all_own_trials_rated_or_not():
    """Were it of rated trials alone, a person with ratings of high shocks only would be scaled by the label."""
    both, rated = examples(made(), "high_low"), examples(made(), "pain_vas")
    there = {(s, f): row for s, f, row in zip(both.subjects, both.features[:, 0], both.features, strict=True)}
    last = rated.subjects == "13"
    assert last.sum() == 10 and (both.subjects == "13").sum() == 20
    assert all(np.array_equal(there[s, row[0]], row) for s, row in zip(rated.subjects, rated.features, strict=True))


def test_within_the_person_means_that_others_do_not_matter():
    trials = made()
    louder = replace(trials, scr=np.where(trials.subject == "10", trials.scr, trials.scr * 9))
    a, b = examples(trials, "high_low"), examples(louder, "high_low")
    first = a.subjects == "10"
    assert np.array_equal(a.features[first], b.features[first]) and np.array_equal(a.inputs["eda"][first], b.inputs["eda"][first])
    assert np.allclose(a.features[:, 1:], b.features[:, 1:], atol=1e-9)  # own scale: a person's gain is gone
    for person in a.people:
        own = a.features[a.subjects == person]
        assert abs(own[:, 1].mean()) < 1e-9 and own[:, 1].std() == pytest.approx(1)
        assert sorted(own[:, 2]) == pytest.approx((np.arange(len(own)) + 0.5) / len(own) - 0.5)


def test_someone_who_never_responds_is_finite():
    trials = made()
    found = examples(replace(trials, scr=np.where(trials.subject == "11", 0.0, trials.scr)), "high_low")
    assert not found.features[found.subjects == "11"].any()


def test_none_is_the_amplitude_alone():
    found = examples(made(), "high_low", "none")
    assert found.feature_names == ("sqrt_scr",)
    assert np.array_equal(found.inputs["eda"][:, 0, 0], found.features[:, 0].astype(np.float32))
    assert not found.inputs["eda"][:, 0, 1].any()


def test_what_cannot_be_is_refused_with_the_reason():
    with pytest.raises(ModelError, match="without their order in time, so 'causal' cannot be computed; there are: zscore, none"):
        examples(made(), "high_low", "causal")
    with pytest.raises(ModelError, match="know the tasks high_low and pain_vas, not 'pain'"):
        examples(made(), "pain")


@REAL
def test_amplitude_alone_separates_within_people_as_known():
    """Mean over people of the area under the curve, by ranks of the plain amplitudes: 0.886 over 67 people."""
    loaded = problems.load_examples("shock_trials", "high_low")
    found = loaded.examples
    assert len(found.people) == 67 and set(loaded.excluded.values()) == {"no usable response"} and len(loaded.excluded) == 11
    areas = []
    for person in found.people:
        high, low = (found.features[(found.subjects == person) & (found.target == k), 0] for k in (1, 0))
        areas.append(mannwhitneyu(high, low).statistic / (len(high) * len(low)))
    assert np.mean(areas) == pytest.approx(0.886, abs=0.001)


@REAL
def test_ratings_are_the_means_of_the_file_s_rows():
    folder = Path(datasets.locate("shock_trials"))
    path = next(p for name in ("Ratings.csv", "Ratings.csv.gz") if (p := folder / name).is_file())
    with (gzip.open(path, "rt") if path.suffix == ".gz" else path.open()) as file:
        given = defaultdict(list)
        for row in csv.DictReader(file):
            if row["Condition"] == "Self" and row["Intensity"] not in ("", "NA"):
                given[row["Subject"].zfill(2), row["Stimulus"].lower()].append(float(row["Intensity"]))
    loaded = problems.load_examples("shock_trials", "pain_vas")
    found, trials = loaded.examples, shock_trials.load()
    kinds = {(s, round(float(np.sqrt(a)), 12), k) for s, a, k, c in
             zip(trials.subject, trials.scr, trials.stimulus, trials.condition, strict=True) if c == "self" and np.isfinite(a)}
    for subject, size, target in zip(found.subjects, found.features[:, 0], found.target, strict=True):
        means = [np.mean(given[subject, k]) for k in ("low", "high") if (subject, round(float(size), 12), k) in kinds]
        assert min(abs(np.array(means) - target)) < 1e-9
    rated = {s for s, _ in given}
    assert set(loaded.excluded.values()) == {"no rating", "no usable response"}
    assert {p for p, why in loaded.excluded.items() if why == "no rating"}.isdisjoint(rated) and set(found.people) <= rated
    assert found.target.min() >= 0 and found.target.max() <= 100
