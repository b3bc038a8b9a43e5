"""Windows around events: what each may know of the time after it, which there are, and that the judged ones stay as they are."""

import os
from dataclasses import replace

import numpy as np
import pytest

from nociband.dsp import features
from nociband.errors import ModelError
from nociband.signals import Channel, Event, Recording, datasets, fmov, simulator, to_counts
from nociband.training import problems, tasks, windowed
from nociband.training.dataset import Draws
from nociband.training.windowed import BRANCHES, NAMES, UNIT, cut, examples, normalised
from nociband.windows import BASELINE_MIN, FRAMES, input_scale, model_inputs

TASK = tasks.PAIN5
REAL = pytest.mark.skipif("NOCIBAND_DATA" not in os.environ or not datasets.available("oxazepam_fmov"),
                          reason="NOCIBAND_DATA does not hold oxazepam_fmov")
NEVER_BEFORE_S = BASELINE_MIN / 25
SECONDS = 55  # of a made recording


@pytest.fixture(scope="module")
def person() -> Recording:
    return simulator.simulate(SECONDS, 3, "P0")


@pytest.fixture(scope="module")
def plain(person):
    return examples(cut([person], TASK))


def frames_of(recording: Recording) -> np.ndarray:
    front = to_counts(recording)
    return features(front.emg, front.eda)


def with_samples(recording: Recording, change) -> Recording:
    """`change(samples, times)` on every channel."""
    return replace(recording, channels={
        name: Channel(change(c.samples.copy(), np.arange(c.samples.size) / c.rate_hz), c.rate_hz, c.unit, c.kind)
        for name, c in recording.channels.items()})


def with_events(recording: Recording, *at: tuple[float, str]) -> Recording:
    return replace(recording, events=tuple(Event(t, 5.0, label) for t, label in at))


def same_inputs(a, b, rows=slice(None)) -> bool:
    return all(np.array_equal(a.inputs[k][rows], b.inputs[k][rows]) for k in a.inputs) and np.array_equal(
        a.features[rows], b.features[rows])


@pytest.mark.slow
def test_what_comes_after_a_window_changes_it_only_where_the_whole_recording_is_normalised(person, plain):
    """Every channel, at the electrodes, is another one after the first window's end."""
    end_s = float(plain.elapsed_s[0])
    later = cut([with_samples(person, lambda x, t: np.where(t > end_s, 1.4 * x + 0.5, x))], TASK)
    made = cut([person], TASK)
    for how, looks_ahead in (("causal", False), ("none", False), ("zscore", True)):
        a, b = examples(made, how), examples(later, how)
        assert len(a) == len(b) >= 2 and not same_inputs(a, b, slice(1, None))
        assert same_inputs(a, b, slice(0, 1)) is not looks_ahead


@pytest.mark.parametrize("end", [BASELINE_MIN - 1, 700, 900])
def test_frame_by_frame_no_later_frame_is_known(end, person):
    frames = frames_of(person)
    noise = np.random.default_rng(0).integers(-3000, 3000, frames[end + 1:].shape)
    other = np.concatenate([frames[:end + 1], noise]).astype(np.int16)
    for how, same in (("causal", True), ("none", True), ("zscore", False)):
        assert np.array_equal(normalised(frames, [end], how), normalised(other, [end], how)) is same
    cut_short = normalised(frames[:end + 1], [end], "causal")
    assert np.array_equal(cut_short, normalised(frames, [end], "causal"))


def test_causal_windows_are_what_the_band_gives_its_model(person, plain):
    std = np.array([0.8, 0.1, 0.9, 0.7, 0.4, 0.3])
    step = 8.0 / 32767
    scales = [input_scale(1 / (unit * s * step)) for unit, s in zip(UNIT, std, strict=True)]
    ends = np.round(plain.elapsed_s * 25).astype(int) - 1
    band = model_inputs(frames_of(person), ends, scales) * step * std
    ours = np.concatenate([plain.inputs["eda"], plain.inputs["emg"]], axis=2)[:, :, np.argsort(BRANCHES["eda"] + BRANCHES["emg"])]
    inside = np.abs(ours) < 7.99 * std  # beyond, the band saturates
    assert inside.mean() > 0.95 and np.abs(band - ours)[inside].max() <= 0.51 * step * std.max() + 1e-4


@pytest.mark.slow
def test_the_level_of_the_skin_is_in_none_and_not_in_causal(person, plain):
    shifted = cut([replace(person, channels={**person.channels, "eda": Channel(person.channel("eda").samples + 2.0, 50, "uS")})],
                  TASK)
    other, other_none, none = examples(shifted), examples(shifted, "none"), examples(cut([person], TASK), "none")
    tonic, phasic = NAMES.index("eda_tonic"), NAMES.index("eda_phasic")
    assert BRANCHES["eda"] == [tonic, phasic] == [0, 1]
    assert np.allclose(other_none.inputs["eda"][:, :, 0] - none.inputs["eda"][:, :, 0], 2.0, atol=2 / UNIT[tonic])
    assert np.allclose(other.inputs["eda"][:, :, 0], plain.inputs["eda"][:, :, 0], atol=3 / UNIT[tonic])
    assert np.allclose(other.inputs["eda"][:, :, 1], plain.inputs["eda"][:, :, 1], atol=2 / UNIT[phasic])
    assert np.array_equal(other.inputs["emg"], plain.inputs["emg"])
    assert np.array_equal(other_none.inputs["emg"], none.inputs["emg"])


def test_zscore_is_of_the_whole_recording(person):
    frames = frames_of(person)
    values = frames / UNIT
    at = np.arange(600, 600 + FRAMES)
    expected = (values[at] - values.mean(axis=0)) / values.std(axis=0)
    assert np.allclose(normalised(frames, [600 + FRAMES - 1], "zscore")[0], expected)
    still = np.full((800, 6), 7, np.int16)
    assert not normalised(still, [700], "zscore").any()  # what never moves is at its mean


def test_each_event_gives_one_window_with_its_label_at_its_time(person, plain):
    assert len(plain) == len(person.events) and not plain.draw.any()
    assert [TASK.labels[k] for k in plain.target] == [e.label for e in person.events]
    assert all(0 <= e.t_s + TASK.window_end_s - s < 0.04 for e, s in zip(person.events, plain.elapsed_s, strict=True))
    assert set(plain.subjects) == {"P0"} and set(plain.sittings) == {person.name} and plain.attributes == {"P0": {}}
    assert plain.inputs["eda"].shape == (len(plain), FRAMES, 2) and plain.inputs["emg"].shape == (len(plain), FRAMES, 4)
    assert plain.inputs["eda_descriptors"].shape == (len(plain), 11, 12)
    assert plain.inputs["emg_descriptors"].shape == (len(plain), 11, 24)


def test_no_window_before_the_baseline_or_beyond_the_end(person):
    first, last = NEVER_BEFORE_S - TASK.window_end_s, SECONDS - TASK.window_end_s
    out, inside = (-3.0, 0.0, 5.0, first - 0.03, last + 0.05, 500.0), (first + 0.01, 33.0, last)
    made = examples(cut([with_events(person, *((t, "pain 1") for t in out), *((t, "pain 2") for t in inside))], TASK))
    assert made.target.tolist() == [2, 2, 2] and np.allclose(made.elapsed_s, [NEVER_BEFORE_S, 38.5, SECONDS], atol=0.04)
    assert made.elapsed_s.min() >= NEVER_BEFORE_S and made.elapsed_s.max() <= SECONDS


@pytest.mark.slow
def test_no_window_that_the_band_would_not_score(person):
    """Electrodes off from 40 to 41 s cost the windows that hold a moment of it, and no other."""
    off = replace(person, channels={**person.channels, "eda": Channel(
        np.where(np.abs(np.arange(SECONDS * 50) / 50 - 40.5) < 0.5, 0, person.channel("eda").samples), 50, "uS")})
    onsets = [25.0, 34.0, 34.7, 37.0, 40.4, 41.3, 46.0]  # windows are onset - 0.02 to onset + 5.5
    made = examples(cut([with_events(off, *((t, "pain 3") for t in onsets))], TASK))
    assert np.allclose(made.elapsed_s, [30.5, 39.5, 46.8, 51.5], atol=0.04)
    loud = with_samples(person, lambda x, t: np.where(np.abs(t - 40.5) < 0.5, 5000, x) if x.size == SECONDS * 100 else x)
    assert np.allclose(examples(cut([with_events(loud, *((t, "pain 3") for t in onsets))], TASK)).elapsed_s, made.elapsed_s)


@pytest.mark.slow
def test_other_labels_give_no_window_and_nothing_left_is_an_error(person):
    of_one = replace(TASK, labels=("pain 1",), values=(2.5,))
    with pytest.raises(ModelError, match="no usable window for the classes pain 1 in 1 recordings"):
        cut([with_events(person, (5.0, "pain 1"), (40.0, "angry"))], of_one)
    assert len(examples(cut([with_events(person, (40.0, "angry"), (45.0, "pain 1"))], of_one))) == 1


def test_a_class_that_no_event_shows_is_named_where_labels_are_left_over(person):
    events = [with_events(person, (30.0, "none"), (40.0, "pain")), with_events(person, (30.0, "pain"))]
    with pytest.raises(ModelError, match="^no event is labelled 'strong'; events are labelled none, pain. The labels of"):
        cut(events, replace(TASK, labels=("none", "strong"), values=(0.0, 10.0)))
    with pytest.raises(ModelError, match="^no event is labelled 'no' or 'yes'; events are labelled pain"):
        cut(events[1:], replace(TASK, labels=("no", "yes"), values=(0.0, 10.0)))
    lacking = cut([with_events(person, (40.0, "none"))], replace(TASK, labels=("none", "pain"), values=(0.0, 10.0)))
    assert [c.labels.tolist() for c in lacking] == [[0]]     # part of a data set may lack a class


@pytest.mark.slow
@pytest.mark.parametrize("draws", [Draws((0,), 3, 0.6), Draws((0, 5, 2), 2, 1.5, seed=9)])
def test_judged_windows_are_the_same_whatever_the_augmentation(draws, person, plain):
    second = simulator.simulate(40, 3, "P1")
    alone, more = examples(cut([person, second], TASK)), examples(cut([person, second], TASK, draws))
    judged = more.plain()
    assert same_inputs(alone, judged) and np.array_equal(alone.target, judged.target)
    assert np.array_equal(alone.elapsed_s, judged.elapsed_s) and np.array_equal(alone.subjects, judged.subjects)
    assert same_inputs(plain, alone.of(["P0"]))  # nor does it matter who else is there
    number = len(draws.carrier_seeds) * draws.copies
    assert set(more.draw.tolist()) == set(range(number)) and len(more) <= number * len(alone)
    for person_, target, end_s in zip(more.subjects, more.target, more.elapsed_s, strict=True):
        own = alone.where((alone.subjects == person_) & (alone.target == target))  # each copy is near an event of its label
        assert np.abs(own.elapsed_s - end_s).min() <= draws.jitter_s + 0.041
    assert np.unique(more.elapsed_s).size > len(alone)
    again = examples(cut([person, second], TASK, draws))
    assert same_inputs(more, again) and np.array_equal(more.draw, again.draw)


@pytest.mark.slow
def test_another_carrier_changes_the_muscle_and_not_the_skin(person, plain):
    more = examples(cut([person], TASK, Draws((0, 1))))
    other = more.where(more.draw == 1)
    assert np.array_equal(other.inputs["eda"], plain.inputs["eda"])
    assert not np.array_equal(other.inputs["emg"], plain.inputs["emg"])


@pytest.mark.parametrize("draws", [Draws((1, 2)), Draws(()), Draws((0, 0)), Draws((0,), 0), Draws((0,), 1, -1.0)])
def test_draws_without_the_plain_window_are_refused(draws, person):
    with pytest.raises(ModelError, match="distinct seeds of which the first is 0"):
        cut([person], TASK, draws)


def test_responses_are_counted_in_microsiemens_whatever_the_normalisation(person):
    cuts = cut([person], TASK)
    made = {how: examples(cuts, how) for how in windowed.NORMALISATIONS}
    at = [made["causal"].feature_names.index(n) for n in ("scr_count", "scr_rise_sum", "scr_rise_max")]
    assert made["causal"].features[:, at[2]].max() > 0.1
    for how in ("zscore", "none"):
        assert np.array_equal(made[how].features[:, at], made["causal"].features[:, at])


def test_an_unknown_normalisation_names_those_there_are():
    with pytest.raises(ModelError, match="unknown normalisation 'band'; known: causal, zscore, none"):
        examples([], "band")


@REAL
@pytest.mark.slow
def test_a_real_person_gives_a_window_a_clip():
    one = fmov.load_subject("24")
    made = examples(cut([one], tasks.EMOTION3))
    assert [tasks.EMOTION3.labels[k] for k in made.target] == [e.label for e in one.events] and len(made) == 12
    onsets = np.array([e.t_s for e in one.events])
    assert np.all((onsets + 7.0 - made.elapsed_s >= 0) & (onsets + 7.0 - made.elapsed_s < 0.04))
    end_s = made.elapsed_s[5]
    later = with_samples(one, lambda x, t: np.where(t > end_s, x[::-1], x))
    assert same_inputs(made, examples(cut([later], tasks.EMOTION3)), slice(0, 6))


@REAL
@pytest.mark.slow
def test_all_real_people_and_who_is_left_out():
    loaded = problems.load_examples("fmov", "emotion3")
    made = loaded.examples
    assert len(made) == 323 and len(made.people) == 27 and not made.draw.any()
    assert loaded.excluded == {"25": "no usable window"}
    each = {p: int((made.subjects == p).sum()) for p in made.people}
    assert max(each.values()) == 12 and sum(n < 12 for n in each.values()) <= 1
    zscored = problems.load_examples("fmov", "emotion3", normalisation="zscore").examples  # the same windows
    assert np.array_equal(zscored.elapsed_s, made.elapsed_s) and np.array_equal(zscored.target, made.target)
    assert not np.array_equal(zscored.inputs["eda"], made.inputs["eda"])
