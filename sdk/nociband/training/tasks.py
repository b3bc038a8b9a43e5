"""What a model is trained to tell apart: classes, the events that show them, and where the recordings come from.

A Task names everything that ends up in the manifest; `recordings` gives nociband.training.dataset its material.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nociband.errors import ModelError
from nociband.signals import Recording, fmov, simulator
from nociband.signals.front_end import EMG_SITES
from nociband.training.config import TrainingConfig


@dataclass(frozen=True)
class Task:
    """Classes in the order of the model's outputs; `values` on the 0-10 scale, None for what is not pain.

    A window is labelled by an event and ends `window_end_s` after the event's onset. `hyper` is what suits the task; how it was
    chosen stands beside it.
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
    hyper: TrainingConfig = TrainingConfig()


# Few windows (about 250) and weak responses: slow and strongly regularised. Chosen by 5-fold cross-validation over the people who
# train and validate at split seed 0, from 9 settings; the held-out people took no part. The window ends 7 s after the onset:
# clips last about 6 s, and the recorded envelope trails by its 1 s of averaging.
EMOTION3 = Task(
    name="emotion3", dataset="fmov", title="Which face a person is watching: angry, happy or neutral", of="emotion",
    synthetic=False, warning="emotion, not pain", labels=fmov.LABELS, values=(None, None, None),
    window_end_s=7.0, hyper=TrainingConfig(learning_rate=1e-3, weight_decay=1e-2, dropout=0.5, noise=0.3),
)
PAIN5 = Task(
    name="pain5", dataset="synthetic", title="Pain level 0-4 of the physiological simulator", of="pain", synthetic=True,
    warning="trained on synthetic signals: not valid for people", labels=simulator.LABELS, values=(0.0, 2.5, 5.0, 7.5, 10.0),
)
TASKS = {task.name: task for task in (EMOTION3, PAIN5)}


def find(name: str, dataset: str) -> Task:
    """The task of that name on that data set. Raises ModelError naming what there is."""
    task = TASKS.get(name)
    if task is None or task.dataset != dataset:
        known = ", ".join(f"--dataset {t.dataset} --task {t.name}" for t in TASKS.values())
        raise ModelError(f"no task {name!r} on data set {dataset!r}; there are: {known}")
    return task


def recordings(task: Task, root: str | Path | None = None, people: int = 48, seconds: float = 360.0,
               seed: int = 0) -> list[Recording]:
    """One recording a person. `root` is the folder of data sets; `people`, `seconds` and `seed` make the synthetic ones.

    Raises DataError when the data set is missing or damaged.
    """
    if task.dataset == "fmov":
        return fmov.load(root)
    return [simulator.simulate(seconds, seed, f"T{k:03d}") for k in range(people)]
