"""Windows for training are the band's: same front end, baseline and scaling; those that it would not score are left out."""

import numpy as np
import pytest

from nociband.dsp import features
from nociband.errors import ModelError
from nociband.signals import Channel, Event, Recording, simulator, to_counts
from nociband.training import dataset, tasks
from nociband.training.dataset import PLAIN, Draws
from nociband.windows import WindowTwin, input_scale

TASK = tasks.PAIN5
SCALE = 8.0 / 32767  # of the model's input, see docs/convert.md


def people(n: int, seconds: float = 90.0) -> list[Recording]:
    return [simulator.simulate(seconds, 3, f"P{k}") for k in range(n)]


def changed(recording: Recording, **channels: Channel) -> Recording:
    return Recording(recording.name, recording.subject, {**recording.channels, **channels}, recording.events, recording.simulated,
                     recording.source)


def test_windows_end_as_long_after_the_onset_as_the_task_says():
    recording = people(1)[0]
    windows = dataset.build([recording], TASK)
    assert len(windows) == len(recording.events)
    assert [TASK.labels[i] for i in windows.labels] == [e.label for e in recording.events]
    front = to_counts(recording)
    frames = features(front.emg, front.eda)
    last = int(np.floor((recording.events[1].t_s + TASK.window_end_s) * 25)) - 1
    # eda_phasic has no baseline: the window holds the frames themselves
    assert np.array_equal(windows.relative[1, :, 1], frames[last - 137:last + 1, 1])


def test_the_models_input_is_the_bands_to_half_a_step():
    """Scaled windows against the integer input of a band that was fed the same counts."""
    recording = people(1, 60)[0]
    windows, std = dataset.build([recording], TASK), np.array([0.8, 0.1, 0.9, 0.7, 0.4, 0.3])
    scales = [input_scale(1 / (unit * s * SCALE)) for unit, s in zip(dataset.UNIT, std, strict=True)]
    front, twin = to_counts(recording), WindowTwin()
    frames = features(front.emg, front.eda)
    last = int(np.floor((recording.events[0].t_s + TASK.window_end_s) * 25)) - 1
    for i in range(last + 1):
        twin.push(front.emg[40 * i:40 * i + 40], front.eda[2 * i:2 * i + 2], front.accel[2 * i:2 * i + 2], frames[i])
    assert twin.why == 0
    assert np.abs(twin.input(scales) * SCALE - windows.scaled(std)[0]).max() <= 0.51 * SCALE + 1e-5


@pytest.mark.slow
def test_windows_without_a_score_are_left_out():
    recording = people(1, 120)[0]
    n = recording.channels["eda"].samples.size
    dead = changed(recording, eda=Channel(np.zeros(n), 50, "uS"))
    with pytest.raises(ModelError, match="no usable window"):
        dataset.build([dead], TASK)
    other = Recording("dead", "D", dead.channels, dead.events, (), "made")
    assert set(dataset.build([recording, other], TASK).subjects) == {"P0"}
    loud = recording.channels["corrugator"].samples.copy()
    at = int(recording.events[1].t_s * 100)
    loud[at:at + 200] = 5000
    kept = dataset.build([changed(recording, corrugator=Channel(loud, 100, "uV", "rectified_mean"))], TASK)
    assert len(kept) == len(recording.events) - 1
    early = (Event(5.0, 5.0, "pain 1"), *recording.events, Event(118.0, 5.0, "pain 1"), Event(60.0, 1.0, "unrelated"))
    moved = Recording(recording.name, "P0", recording.channels, early, (), "made")
    assert len(dataset.build([moved], TASK)) == len(recording.events)  # baseline unfinished, end of recording, no class


@pytest.mark.slow
def test_augmentation_multiplies_and_moves_windows_reproducibly():
    some = people(2)
    plain, more = dataset.build(some, TASK), dataset.build(some, TASK, Draws((0, 1), 3, 0.5, seed=1))
    assert len(more) == 6 * len(plain)
    again = dataset.build(some, TASK, Draws((0, 1), 3, 0.5, seed=1))
    assert np.array_equal(more.relative, again.relative)
    assert not np.array_equal(more.relative, dataset.build(some, TASK, Draws((0, 1), 3, 0.5, seed=2)).relative)
    assert PLAIN.jitter_s == 0 and PLAIN.carrier_seeds == (0,)


def test_selection_by_people_and_the_input_scale():
    windows = dataset.build(people(3), TASK)
    mine = windows.of(["P1"])
    assert set(mine.subjects) == {"P1"} and len(windows.of(["P0", "P2"])) + len(mine) == len(windows)
    std = dataset.input_std(windows)
    assert std.shape == (6,) and np.all(std > 0)
    x = windows.scaled(std)
    assert x.dtype == np.float32 and np.abs(x).max() <= 8 and 0.5 < np.median(np.sqrt(np.mean(x**2, axis=(0, 1)))) < 2
    still = dataset.WindowSet(np.zeros((2, 138, 6)), np.zeros(2, np.int64), np.array(["a", "b"]))
    with pytest.raises(ModelError, match="eda_tonic never moves"):
        dataset.input_std(still)
