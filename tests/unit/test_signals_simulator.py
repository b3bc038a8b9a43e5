"""The simulator keeps to the physiology that its docstring quotes, is seeded, and says that it is synthetic."""

import numpy as np
import pytest

from nociband.errors import DataError
from nociband.signals import simulator, to_counts

PEOPLE = [simulator.draw(600, 7, f"P{k}") for k in range(40)]
RECORDINGS = [simulator.render(script, 7) for script in PEOPLE[:20]]


def test_the_same_arguments_give_the_same_recording():
    a, b = simulator.simulate(60, 1), simulator.simulate(60, 1)
    assert a.events == b.events
    assert all(np.array_equal(a.channels[k].samples, b.channels[k].samples) for k in a.channels)
    for other in (simulator.simulate(60, 2), simulator.simulate(60, 1, "S02")):
        assert not np.array_equal(a.channels["eda"].samples, other.channels["eda"].samples)


def test_it_says_that_it_is_synthetic():
    recording = simulator.simulate(60, 1)
    assert any("simulated" in s for s in recording.simulated) and "synthetic" in recording.source
    front = to_counts(recording)
    assert any("no person" in s for s in front.simulated) and "synthetic" in front.source
    assert not any("recorded" in s for s in front.simulated)


def test_scrs_begin_one_to_three_seconds_after_their_stimulus():
    latencies = [r.t_s - s.stimuli[r.cause].t_s for s in PEOPLE for r in s.scrs if r.cause is not None]
    assert len(latencies) > 300
    assert 1.0 <= min(latencies) < 1.1 and 2.9 < max(latencies) <= 3.0


def test_scr_shape_rises_and_recovers_as_quoted():
    t = np.arange(0, 30, 0.01) - 2.0
    for rise, decay in ((0.6, 2.0), (0.9, 4.5)):
        shape = simulator.scr_shape(t, rise, decay)
        peak = shape.argmax()
        assert shape.max() == pytest.approx(1, abs=1e-4) and np.all(shape[t <= 0] == 0)
        assert 1.0 <= t[peak] <= 3.0
        assert 2.0 <= t[peak + np.flatnonzero(shape[peak:] < 0.5)[0]] - t[peak] <= 10.0


def test_protocol():
    for script in PEOPLE:
        labels = [e.label for e in script.stimuli]
        assert max(labels.count(x) for x in simulator.LABELS) - min(labels.count(x) for x in simulator.LABELS) <= 1
        assert script.stimuli[0].t_s >= 20 and script.stimuli[-1].t_s + script.stimuli[-1].duration_s <= 600
        assert all(4.5 <= e.duration_s <= 5.5 for e in script.stimuli)
        pauses = [b.t_s - a.t_s - a.duration_s for a, b in zip(script.stimuli, script.stimuli[1:], strict=False)]
        assert min(pauses) >= 8 and max(pauses) <= 12


def test_about_one_in_ten_does_not_respond_and_then_not_at_all():
    people = [simulator.draw(60, seed).person for seed in range(600)]
    assert 0.07 < np.mean([not p.responder for p in people]) < 0.13
    silent = next(s for s in (simulator.draw(300, seed) for seed in range(100)) if not s.person.responder)
    assert silent.scrs == ()


def test_amplitudes_grow_with_the_level():
    for kind in ("scrs", "corrugator", "zygomaticus"):
        by_level = [[] for _ in simulator.LABELS]
        for script in PEOPLE:
            for r in getattr(script, kind):
                if r.cause is not None:
                    by_level[simulator.LABELS.index(script.stimuli[r.cause].label)].append(r.amplitude)
        assert by_level[0] == []
        means = [np.mean(values) for values in by_level[1:]]
        assert all(a < b for a, b in zip(means, means[1:], strict=False))


def test_the_signals_themselves_grow_with_the_level_and_the_corrugator_most():
    """Mean over people: EMG envelope in the stimulus against the 4 s before it; EDA 3-8 s after onset against its start."""
    rise = np.zeros((3, simulator.LEVELS))
    for recording in RECORDINGS:
        for row, name in enumerate(("corrugator", "zygomaticus", "eda")):
            channel = recording.channels[name]
            for event in recording.events:
                at, hz = int(event.t_s * channel.rate_hz), int(channel.rate_hz)
                before = channel.samples[at - 4 * hz:at].mean() if row < 2 else channel.samples[at]
                after = channel.samples[at:at + 5 * hz].mean() if row < 2 else channel.samples[at + 3 * hz:at + 8 * hz].max()
                rise[row, simulator.LABELS.index(event.label)] += (after / before - 1) if row < 2 else after - before
    assert np.all(np.diff(rise[0]) > 0) and np.all(np.diff(rise[2, 1:]) > 0)
    assert rise[0, 4] > 3 * rise[1, 4] > 0


def test_levels_stay_within_what_the_band_trusts():
    for recording in RECORDINGS[:5]:
        front = to_counts(recording)
        assert 0.05 <= recording.channels["eda"].samples.min() and recording.channels["eda"].samples.max() < 60
        magnitude = np.sqrt(np.square(front.accel.astype(float)).sum(axis=1))
        assert np.abs(magnitude - 1000).mean() < 20
        assert np.count_nonzero(np.abs(front.emg.astype(int)) >= 32760) == 0


def test_too_short_is_refused():
    with pytest.raises(DataError, match="at least 1 s"):
        simulator.simulate(0.5, 1)
