"""What a model is trained to tell apart: classes, the events that show them, and where the recordings come from.

A Task names everything that ends up in the manifest; `recordings` gives nociband.training.windowed its material.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nociband.errors import DataError, ModelError
from nociband.signals import Recording, ai4pain, biovid, fmov, painmonit, registry, simulator, xite
from nociband.signals.front_end import EMG_SITES
from nociband.signals.xite_tables import NO_PAIN
from nociband.training.config import TrainingConfig
from nociband.training.dataset import Draws
from nociband.training.examples import TaskInfo


@dataclass(frozen=True)
class Task:
    """Classes in the order of the model's outputs; `values` on the 0-10 scale, None for what is not pain.

    A window is labelled by an event and ends `window_end_s` after the event's onset. `front_end` is what front_end.to_counts
    needs to take the recordings. `hyper` and `draws` (augmented copies of training windows) are what `nociband train` takes
    unless told otherwise; how they were chosen stands beside them.
    """

    name: str
    dataset: str
    title: str
    of: str
    synthetic: bool
    warning: str
    labels: tuple[str, ...]
    values: tuple[float | None, ...]
    window_end_s: float = 5.5
    sites: tuple[str, str] = EMG_SITES
    front_end: Mapping[str, Any] = field(default_factory=dict)
    hyper: TrainingConfig = TrainingConfig()
    draws: Draws = Draws(carrier_seeds=(0, 1, 2, 3), copies=2, jitter_s=0.6)

    @property
    def info(self) -> TaskInfo:
        """The task as a question, which is what estimators and judges know of it."""
        return TaskInfo(self.dataset, self.name, self.title, "classes", self.of, self.synthetic, self.warning, self.labels,
                        self.values)


def _of_pain(name: str, dataset: str, title: str, labels: tuple[str, ...], warning: str, **more: Any) -> Task:
    """A task of stimulus intensity. Classes are spread evenly over 0-10: an order, not a measured pain."""
    top = max(len(labels) - 1, 1)
    values = more.pop("values", tuple(round(10 * k / top, 2) for k in range(len(labels))))
    return Task(name, dataset, title, "pain", more.pop("synthetic", False), warning, labels, values, **more)


# Few windows (about 250) and weak responses: strongly regularised, averaged weights, clamped at 3 standard deviations. Chosen
# on the people who train and validate at split seed 0 (plans/fmov_emotion3.toml names them). The window ends 7 s after the onset:
# clips last about 6 s, and the recorded envelope trails by its 1 s of averaging.
EMOTION3 = Task(
    name="emotion3", dataset="fmov", title="Which face a person is watching: angry, happy or neutral", of="emotion",
    synthetic=False, warning="emotion, not pain", labels=fmov.LABELS, values=(None, None, None),
    window_end_s=7.0,
    hyper=TrainingConfig(epochs=12, schedule="cosine", ema=0.98, weight_decay=0.0, dropout=0.5, noise=0.3, input_limit=3.0),
    draws=Draws(carrier_seeds=(0, 1, 2), copies=2, jitter_s=1.5),
)
PAIN5 = _of_pain("pain5", "synthetic", "Pain level 0-4 of the physiological simulator", simulator.LABELS,
                 "trained on synthetic signals: not valid for people", synthetic=True)
_INTENSITY = "intensity of a stimulus, not pain as it is felt"
_BIOVID = [
    _of_pain("pain5", "biovid_a", "BioVid part A: no stimulus or one of four temperatures", biovid.LABELS, _INTENSITY,
             front_end=biovid.FRONT_END),
    _of_pain("pain_or_not", "biovid_a", "BioVid part A: no stimulus or the highest temperature", biovid.LABELS[::4], _INTENSITY,
             front_end=biovid.FRONT_END),
]
_GRADES = {"low": 10 / 3, "medium": 20 / 3, "high": 10.0}


def _of_xite(name: str) -> Task:
    """One of the 11 sub-datasets. A tonic stimulus is judged half a minute in."""
    sub = xite.SUB_DATASETS[name]
    values = tuple(round(next((v for grade, v in _GRADES.items() if grade in label), 0.0), 2) for label in sub.classes)
    title = f"X-ITE {name}: {'phasic' if sub.phasic else 'tonic'} {' and '.join(sub.modalities)} pain" + (
        ", reduced (how the published set is reduced is not confirmed)" if sub.reduced else "")
    return _of_pain(name, "xite", title, sub.classes, _INTENSITY, values=values, window_end_s=5.5 if sub.phasic else 30.0,
                    front_end=xite.FRONT_END)


STIMULUS_S = 10.0  # of an AI4Pain stimulus
_OTHERS = [
    _of_pain("pain6", "painmonit", "PainMonit experimental: no heat or one of five temperatures", painmonit.LABELS, _INTENSITY,
             window_end_s=9.0, front_end=painmonit.FRONT_END),
    _of_pain("pain4", "ai4pain", "AI4Pain 2025: baseline, rest, low or high electrical stimulus", ai4pain.LABELS, _INTENSITY,
             values=(0.0, 0.0, 5.0, 10.0), window_end_s=9.0, front_end=ai4pain.FRONT_END),
]
TASKS = {(task.dataset, task.name): task for task in (EMOTION3, PAIN5, *_BIOVID, *map(_of_xite, xite.SUB_DATASETS), *_OTHERS)}


def find(name: str, dataset: str) -> Task:
    """The task of that name on that data set. Raises ModelError naming what there is."""
    if (dataset, name) not in TASKS:
        raise unknown(name, dataset, TASKS)
    return TASKS[dataset, name]


def unknown(name: str, dataset: str, known: Collection[tuple[str, str]]) -> ModelError:
    """The error for a (dataset, task) that is none of `known`: of a data set that nobody knows, or of a task."""
    sets = ", ".join(dict.fromkeys(d for d, _ in known))
    try:
        dataset_now = registry.find(dataset).name
    except DataError:
        return ModelError(f"unknown data set {dataset!r}; there are: {sets} (`nociband data list` says more)")
    if dataset_now != dataset:
        return ModelError(f"no task {name!r} on data set {dataset!r}, which is called {dataset_now} now")
    if own := [t for d, t in known if d == dataset]:
        return ModelError(f"no task {name!r} on data set {dataset!r}, which has: {', '.join(own)}")
    return ModelError(f"no task {name!r} on data set {dataset!r}, which has none here; those that have: {sets}")


def recordings(task: Task, root: str | Path | None = None, people: int = 48, seconds: float = 360.0,
               seed: int = 0) -> list[Recording]:
    """One recording a person. `root` is the folder of data sets; `people`, `seconds` and `seed` make the synthetic ones.

    Raises DataError when the data set is missing or damaged.
    """
    if task.dataset == "synthetic":
        return [simulator.simulate(seconds, seed, f"T{k:03d}") for k in range(people)]
    if task.dataset == "xite":
        return [_long_enough(r, task) for r in xite.select(xite.load(root), task.name)]
    if task.dataset == "ai4pain":
        return [_late_baseline(r) for r in ai4pain.load(root)]
    return registry.find(task.dataset).load(root)


def _long_enough(recording: Recording, task: Task) -> Recording:
    """Without painless times that end before the window: it would end in the next stimulus and bear the wrong label."""
    events = (e for e in recording.events if e.label != NO_PAIN or e.duration_s >= task.window_end_s)
    return replace(recording, events=tuple(events))


def _late_baseline(recording: Recording) -> Recording:
    """With the last seconds of a long baseline for all of it: it opens the recording, where the band has no baseline yet."""
    events = (replace(e, t_s=e.t_s + e.duration_s - STIMULUS_S, duration_s=STIMULUS_S)
              if e.label == ai4pain.LABELS[0] and e.duration_s > STIMULUS_S else e for e in recording.events)
    return replace(recording, events=tuple(events))
