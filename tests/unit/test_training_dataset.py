"""Windows for training are the band's: same front end, baseline, scaling and clamping; those it would not score are left out."""

import numpy as np
import pytest

from nociband.dsp import features
from nociband.errors import ModelError
from nociband.signals import Channel, Event, Recording, simulator, to_counts
from nociband.training import tasks, windowed
from nociband.training.dataset import PLAIN, UNIT, Draws
from nociband.training.examples import Examples
from nociband.windows import WindowTwin, input_scale

TASK = tasks.PAIN5


def windows_of(recordings: list[Recording], draws: Draws = PLAIN) -> Examples:
    return windowed.examples(windowed.cut(recordings, TASK, draws))


def people(n: int, seconds: float = 90.0) -> list[Recording]:
    return [simulator.simulate(seconds, 3, f"P{k}") for k in range(n)]


def changed(recording: Recording, **channels: Channel) -> Recording:
    return Recording(recording.name, recording.subject, {**recording.channels, **channels}, recording.events, recording.simulated,
                     recording.source)


def test_windows_end_as_long_after_the_onset_as_the_task_says():
    recording = people(1)[0]
    windows = windows_of([recording])
    assert len(windows) == len(recording.events)
    assert [TASK.labels[i] for i in windows.target] == [e.label for e in recording.events]
    front = to_counts(recording)
    frames = features(front.emg, front.eda)
    last = int(np.floor((recording.events[1].t_s + TASK.window_end_s) * 25)) - 1
    # eda_phasic has no baseline: the window holds the frames themselves
    phasic = windowed.BRANCHES["eda"].index(1)
    assert np.array_equal(windows.inputs["eda"][1, :, phasic] * UNIT[1], frames[last - 137:last + 1, 1])


@pytest.mark.parametrize("limit", [8.0, 0.5])
def test_the_models_input_is_the_bands_to_half_a_step_and_clamped_where_the_band_clamps(limit):
    """What the network is trained on against the integer input of a band that was fed the same counts."""
    pytest.importorskip("torch")
    from nociband.training.fitting import Units

    recording, scale = people(1, 60)[0], limit / 32767  # step of the graphs' x, see docs/convert.md
    windows, std = windows_of([recording]), np.array([0.8, 0.1, 0.9, 0.7, 0.4, 0.3])
    units = Units(("eda", "emg"), {m: std[columns] for m, columns in windowed.BRANCHES.items()}, limit)
    x = np.zeros((138, 6))
    for columns, given in zip(windowed.BRANCHES.values(), units.inputs(windows), strict=True):
        x[:, columns] = given[0]
    scales = [input_scale(1 / (unit * s * scale)) for unit, s in zip(UNIT, std, strict=True)]
    front, twin = to_counts(recording), WindowTwin()
    frames = features(front.emg, front.eda)
    last = int(np.floor((recording.events[0].t_s + TASK.window_end_s) * 25)) - 1
    for i in range(last + 1):
        twin.push(front.emg[40 * i:40 * i + 40], front.eda[2 * i:2 * i + 2], front.accel[2 * i:2 * i + 2], frames[i])
    assert twin.why == 0
    off = np.abs(twin.input(scales) * scale - x)
    assert off[np.abs(x) < limit].max() <= 0.51 * scale + 1e-5 and off.max() <= 1.01 * scale  # the lower end is at -32768
    assert (np.abs(x) == limit).any() == (limit < 1)


@pytest.mark.slow
def test_windows_without_a_score_are_left_out():
    recording = people(1, 120)[0]
    n = recording.channels["eda"].samples.size
    dead = changed(recording, eda=Channel(np.zeros(n), 50, "uS"))
    with pytest.raises(ModelError, match="no usable window"):
        windows_of([dead])
    other = Recording("dead", "D", dead.channels, dead.events, (), "made")
    assert set(windows_of([recording, other]).people) == {"P0"}
    loud = recording.channels["corrugator"].samples.copy()
    at = int(recording.events[1].t_s * 100)
    loud[at:at + 200] = 5000
    kept = windows_of([changed(recording, corrugator=Channel(loud, 100, "uV", "rectified_mean"))])
    assert len(kept) == len(recording.events) - 1
    early = (Event(5.0, 5.0, "pain 1"), *recording.events, Event(118.0, 5.0, "pain 1"), Event(60.0, 1.0, "unrelated"))
    moved = Recording(recording.name, "P0", recording.channels, early, (), "made")
    assert len(windows_of([moved])) == len(recording.events)  # baseline unfinished, end of recording, no class


@pytest.mark.slow
def test_augmentation_adds_moved_windows_to_the_plain_ones_reproducibly():
    some = people(2)
    plain, more = windows_of(some), windows_of(some, Draws((0, 1), 3, 0.5, seed=1))
    assert len(more) == 6 * len(plain) and np.array_equal(more.plain().inputs["emg"], plain.inputs["emg"])
    again = windows_of(some, Draws((0, 1), 3, 0.5, seed=1))
    other = windows_of(some, Draws((0, 1), 3, 0.5, seed=2))
    assert np.array_equal(more.inputs["eda"], again.inputs["eda"]) and not np.array_equal(more.inputs["eda"], other.inputs["eda"])
