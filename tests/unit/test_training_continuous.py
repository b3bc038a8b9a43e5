"""Minutes of wrist EDA: what each window may know, which label it bears, and running statistics that stay right for an hour."""

import math
import os
from dataclasses import replace

import numpy as np
import pytest

from nociband.errors import ModelError
from nociband.signals import Channel, Event, Recording, datasets, stress_predict
from nociband.training import problems
from nociband.training.continuous import CHANNELS, LIMIT, described, examples, normalised

LABELS = ("rest", "stress")
SECONDS = 900


def walk(seconds: float = SECONDS, seed: int = 0) -> np.ndarray:
    """EDA at 4 Hz in uS: a level that wanders, with responses on it."""
    rng = np.random.default_rng(seed)
    n = int(seconds * 4)
    level = 4 + np.cumsum(0.01 * rng.standard_normal(n))
    hits = (rng.random(n) < 0.02) * rng.uniform(0.05, 0.5, n)
    return np.maximum(level + np.convolve(hits, np.exp(-np.arange(60) / 12))[:n], 0.2)


def person(*spans: tuple[float, float, str], eda: np.ndarray | None = None, name: str = "S07") -> Recording:
    events = tuple(Event(a, b - a, label) for a, b, label in spans or ((0, 404, "rest"), (404, SECONDS, "stress")))
    return Recording(f"made:{name}", name, {"eda": Channel(walk() if eda is None else eda, 4.0, "uS")}, events, (), "made")


def same(a, b, rows=slice(None)) -> bool:
    return all(np.array_equal(a.inputs[k][rows], b.inputs[k][rows]) for k in a.inputs) and np.array_equal(
        a.features[rows], b.features[rows])


@pytest.mark.parametrize(("how", "looks_ahead"), [("causal", False), ("none", False), ("zscore", True)])
def test_what_comes_after_a_window_changes_it_only_where_the_whole_recording_is_normalised(how, looks_ahead):
    made = examples([person()], LABELS, how)
    for k in (0, 20, 50):
        later = walk()
        later[np.arange(later.size) / 4 > made.elapsed_s[k]] *= 3
        other = examples([person(eda=later)], LABELS, how)
        assert same(made, other, slice(0, k + 1)) is not looks_ahead
        assert not same(made, other, slice(k + 1, k + 2))


def test_what_comes_before_a_window_is_known_to_causal_alone_of_the_three_that_see_no_future():
    earlier = walk()
    earlier[:400] += 2.0  # the first 100 s; the last window begins ten minutes later, where the filters have forgotten it
    for how, changes in (("causal", True), ("none", False)):
        made, other = examples([person()], LABELS, how), examples([person(eda=earlier)], LABELS, how)
        assert np.allclose(made.inputs["eda"][-1], other.inputs["eda"][-1], atol=1e-5) is not changes


def test_a_part_of_a_recording_gives_the_beginning_of_the_whole():
    whole = examples([person()], LABELS)
    part = examples([person((0, 404, "rest"), (404, 500, "stress"), eda=walk()[:2000])], LABELS)
    assert len(part) == (500 - 180) // 10 + 1
    # but for the last window, whose last quarter of a second lies between two samples of which one is no more there
    assert same(part.where(np.arange(len(part) - 1)), whole.where(np.arange(len(part) - 1)))
    assert np.abs(part.inputs["eda"][-1] - whole.inputs["eda"][len(part) - 1]).max() < 0.05


def test_windows_end_where_they_say_and_no_earlier_than_something_is_known():
    made = examples([person()], LABELS)
    assert made.elapsed_s.tolist() == list(range(180, SECONDS + 1, 10))
    raw = described(person())
    none = examples([person()], LABELS, "none")
    assert np.array_equal(none.inputs["eda"][3], raw[(210 - 120) // 2:210 // 2].astype(np.float32))
    assert made.inputs["eda"].shape == (len(made), 60, 4) and made.inputs["eda_descriptors"].shape == (len(made), 12, 12)
    assert not made.draw.any() and set(made.subjects) == {"S07"} and set(made.sittings) == {"made:S07"}
    each = examples([person()], LABELS, window_s=60, every_s=4)
    assert each.elapsed_s.tolist() == list(range(120, SECONDS + 1, 4)) and each.inputs["eda"].shape[1] == 30


def test_the_label_is_what_held_for_more_than_half():
    made = examples([person((0, 400, "rest"), (400, 700, "stress"), (700, SECONDS, "rest"))], LABELS, every_s=2)
    for end, label in zip(made.elapsed_s, made.target, strict=True):
        stressed = max(0, min(end, 700) - max(end - 120, 400))
        assert stressed != 60 and label == (stressed > 60)
    assert {460.0, 760.0}.isdisjoint(made.elapsed_s)  # half and half has no label
    assert {458.0, 462.0, 758.0, 762.0} <= set(made.elapsed_s)


def test_a_stretch_without_a_label_gives_no_window():
    made = examples([person((0, 300, "rest"), (340, 600, "stress"), (600, 800, "walk"))], LABELS)
    assert made.elapsed_s.tolist() == [*range(180, 301, 10), *range(460, 601, 10)]
    assert (made.target == (made.elapsed_s > 320)).all()


def test_people_without_labels_are_left_out():
    both = examples([person(), replace(person(name="S01"), events=())], LABELS)
    assert both.people == ("S07",)
    with pytest.raises(ModelError, match="no window of 120 s with a label in 1 recordings"):
        examples([replace(person(), events=())], LABELS)
    with pytest.raises(ModelError, match="no window of 1200 s"):
        examples([person()], LABELS, window_s=1200)


@pytest.mark.parametrize("window", [{"window_s": 0}, {"window_s": -120}, {"every_s": 0}, {"every_s": -10},
                                    {"window_s": math.nan}])
def test_windows_of_no_length_are_refused(window):
    with pytest.raises(ModelError, match="both are of 2 s or more"):
        examples([person()], LABELS, **window)


def test_short_windows_have_as_many_descriptors_as_steps():
    assert examples([person()], LABELS, window_s=12).inputs["eda_descriptors"].shape[1:] == (6, 12)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_running_statistics_are_welfords_for_an_hour(offset):
    rng = np.random.default_rng(1)
    steps = offset + np.cumsum(rng.normal(0, [0.01, 0.1, 0.001, 0.3], (1800, 4)), axis=0)
    mean, squares = np.zeros(4), np.zeros(4)
    expected = np.empty_like(steps)
    for k, x in enumerate(steps, 1):
        before = mean
        mean = mean + (x - mean) / k
        squares = squares + (x - before) * (x - mean)
        expected[k - 1] = np.clip((x - mean) / np.sqrt(squares / k + 1e-4), -LIMIT, LIMIT)
    assert np.abs(normalised(steps, "causal") - expected).max() < (1e-9 if not offset else 1e-3)
    whole = (steps - steps.mean(axis=0)) / np.sqrt(steps.var(axis=0) + 1e-4)
    assert np.allclose(normalised(steps, "zscore"), np.clip(whole, -LIMIT, LIMIT)) and normalised(steps, "none") is steps


def test_a_flat_signal_and_a_leap_stay_within_bounds():
    flat = normalised(np.full((500, 4), 3.7), "causal")
    assert np.abs(flat).max() < 1e-5
    leap = np.zeros((500, 4))
    leap[400] = 1e6
    assert np.abs(normalised(leap, "causal")).max() == LIMIT and np.isfinite(normalised(leap, "causal")).all()


def test_what_is_described_of_known_signals():
    still = described(person(eda=np.full(3600, 5.0)))
    assert still.shape == (450, 4) and CHANNELS[0] == "log_tonic" and np.allclose(still[:, 0], np.log10(5.01), atol=1e-6)
    assert np.allclose(still[:, 1], 0, atol=1e-9) and np.allclose(still[:, 2:], -2, atol=1e-6)  # log10 of the floor, 0.01 uS
    up = np.full(3600, 5.0)
    up[2000:] = 6.0  # at 500 s
    step = described(person(eda=up))
    assert np.allclose(step[:249], still[:249], atol=1e-6) and step[250, 1] > 0.2 and step[249:252, 3].max() > -0.5
    assert step[-1, 0] == pytest.approx(np.log10(6.01), abs=1e-3)
    assert np.isfinite(described(person(eda=np.zeros(3600)))).all()  # no contact


def test_an_unknown_normalisation_names_those_there_are():
    with pytest.raises(ModelError, match="unknown normalisation 'band'; known: causal, zscore, none"):
        examples([person()], LABELS, "band")


@pytest.mark.skipif("NOCIBAND_DATA" not in os.environ or not datasets.available("stress_predict"),
                    reason="NOCIBAND_DATA does not hold stress_predict")
@pytest.mark.slow
def test_the_real_people():
    loaded = problems.load_examples("stress_predict", "stress")
    made = loaded.examples
    recordings = {r.subject: r for r in stress_predict.load()}
    assert loaded.excluded == {"S01": "no labels"} and set(made.people) == set(recordings) - {"S01"}
    assert made.elapsed_s.min() >= 180 and np.isfinite(made.features).all()
    for k in np.random.default_rng(0).choice(len(made), 200, replace=False):
        end, held = made.elapsed_s[k], 0.0
        for event in recordings[made.subjects[k]].events:
            inside = min(end, event.t_s + event.duration_s) - max(end - 120, event.t_s)
            held += max(0.0, inside) * (event.label == LABELS[made.target[k]])
        assert held > 58  # of 120 s, less a step that a change of label falls into
        assert end <= recordings[made.subjects[k]].channel("eda").duration_s
    assert all(len(np.unique(made.of([p]).target)) == 2 for p in made.people)
