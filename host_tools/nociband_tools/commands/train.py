"""`nociband train`: fit a model on a data set, split by person, and write the folder that `nociband convert` takes.

Everything it does is nociband.training.run; here are the options, the progress bar and the report. Guide: docs/research.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nociband.training.loop import Epoch


def command(
    dataset: Annotated[str, typer.Option(help="fmov (recorded, emotion) or synthetic (simulator, pain).")],
    task: Annotated[str, typer.Option(help="emotion3 (fmov) or pain5 (synthetic).")],
    name: Annotated[str | None, typer.Option(help="Name of the model; DATASET_TASK when not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; build/models/NAME when not given.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of data sets; else $NOCIBAND_DATA, else the download cache.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 60,
    hidden: Annotated[int, typer.Option(min=1, help="Hidden units of each branch.")] = 16,
    seed: Annotated[int, typer.Option(help="Of weights, order and noise.")] = 0,
    split_seed: Annotated[int, typer.Option(help="Of who trains, validates and is held out.")] = 0,
    people: Annotated[int, typer.Option(min=3, help="Synthetic only: how many.")] = 48,
    seconds: Annotated[float, typer.Option(min=60, help="Synthetic only: of each person.")] = 360.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from OUT/checkpoint.pt.")] = False,
) -> None:
    """Train a model, split by person, and report it beside its baselines."""
    from dataclasses import replace

    from rich.console import Console

    from nociband.training import run, tasks

    console = Console()
    chosen = tasks.find(task, dataset)
    name = name or f"{dataset}_{task}"
    out = out or Path("build/models") / name
    with console.status(f"recordings of {dataset}"):
        recordings = tasks.recordings(chosen, data, people, seconds)
    hyper = replace(chosen.hyper, epochs=epochs, hidden=hidden, seed=seed)
    with _Progress(console, len(recordings), epochs) as progress:
        report = run.train(recordings, chosen, name, out, hyper, split_seed, resume=resume, on_epoch=progress.advance)
    _print_report(console, report, out)


class _Progress:
    """A bar over the epochs with the time left, and where the losses stand."""

    def __init__(self, console: Any, people: int, epochs: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                             TextColumn("left"), TimeRemainingColumn(), console=console)
        self._task = self._bar.add_task(f"windows of {people} people", total=epochs)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, epoch: Epoch) -> None:
        """Show an epoch that is done."""
        text = (f"loss {epoch.train_loss:.4f}, validation {epoch.validation_loss:.4f}, "
                f"balanced accuracy {epoch.validation_balanced_accuracy:.3f}")
        self._bar.update(self._task, completed=epoch.epoch + 1, description=text)


def _print_report(console: Any, report: dict[str, Any], out: Path) -> None:
    from rich.table import Table

    training = report["training"]
    subjects = ", ".join(f"{len(people)} {side.replace('_', ' ')}" for side, people in training["subjects"].items())
    console.print(f"{report['name']} ({report['warning']}): {subjects}; best of {training['epochs_run']} epochs: "
                  f"{training['best_epoch']}; {training['seconds']:.0f} s")
    table = Table("people", "model", "balanced accuracy (95% CI over people)", "macro-F1 (95% CI)")
    for side, judged in training["metrics"].items():
        for model, m in judged.items():
            table.add_row(side.replace("_", " "), model.replace("_", " "), _with_interval(m["balanced_accuracy"]),
                          _with_interval(m["macro_f1"]))
    console.print(table)
    for person, why in training["excluded"].items():
        console.print(f"excluded: {person} ({why})")
    console.print(f"written: {out}. Next: nociband convert {out} --out firmware/models/{report['name']}")


def _with_interval(metric: dict[str, Any]) -> str:
    low, high = metric["ci95"]
    return f"{metric['value']:.3f} ({low:.3f}-{high:.3f})"
