"""`nociband train`: fit a model on a data set, split by person, and write the folder that `nociband convert` takes.

Everything it does is nociband.training.run; here are the options, the progress bar and the report. Guide: docs/research.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nociband.training.checkpoint import Epoch
    from nociband.training.config import TrainingConfig
    from nociband.training.fitting import Preview


def command(
    dataset: Annotated[str, typer.Option(help="fmov, synthetic, or a registered set: biovid_a, xite, ...")],
    task: Annotated[str, typer.Option(help="emotion3 (fmov), pain5 (synthetic), ...; tasks of the band's window.")],
    name: Annotated[str | None, typer.Option(help="Name of the model; DATASET_TASK when not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; build/models/NAME when not given.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of data sets; else $NOCIBAND_DATA, else the download cache.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings, over those of the task.")] = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the settings as TOML and stop.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained and for how long, and stop.")] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Over the settings.")] = None,
    hidden: Annotated[int | None, typer.Option(min=1, help="Hidden units of each LSTM, over the settings.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights, order and noise, over the settings.")] = None,
    split_seed: Annotated[int, typer.Option(help="Of who trains, validates and is held out.")] = 0,
    people: Annotated[int, typer.Option(min=3, help="Synthetic only: how many.")] = 48,
    seconds: Annotated[float, typer.Option(min=60, help="Synthetic only: of each person.")] = 360.0,
    evaluation: Annotated[Path | None, typer.Option(help="Result of `nociband evaluate`, for the manifest.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from OUT/checkpoint.pt.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard events to OUT/tensorboard.")] = False,
) -> None:
    """Train a model, split by person, and report it beside its baselines."""
    from rich.console import Console

    from nociband.training import evidence, tasks
    from nociband.training.config import load

    chosen = tasks.find(task, dataset)
    given = {"epochs": epochs, "hidden": hidden, "seed": seed}
    settings = load(config, chosen.hyper) if config else chosen.hyper
    settings = settings.with_settings({k: v for k, v in given.items() if v is not None})
    if print_config:
        typer.echo(settings.to_toml(), nl=False)
        return
    evaluated = evidence.read(evaluation, dataset, task) if evaluation else None
    from nociband.training import run

    console = Console()
    name = name or f"{dataset}_{task}"
    out = out or Path("build/models") / name
    with console.status(f"recordings of {dataset}"):
        recordings = tasks.recordings(chosen, data, people, seconds)
    if dry_run:
        _print_preview(console, run.preview(recordings, chosen, settings, split_seed), settings, name)
        return
    with _Progress(console, len(recordings), settings.epochs) as progress:
        report = run.train(recordings, chosen, name, out, settings, split_seed, resume=resume, tensorboard=tensorboard,
                           on_epoch=progress.advance, evaluation=evaluated)
    _print_report(console, report, out)


def _print_preview(console: Any, preview: Preview, settings: TrainingConfig, name: str) -> None:
    train, validation = (preview.people[side] for side in ("train", "validation"))
    console.print(f"{name}: {preview.windows} windows of {len(train)} people to train, {preview.validation_windows} of "
                  f"{len(validation)} to validate; nothing was written")
    console.print(f"network: {preview.parameters} parameters, {preview.multiply_accumulates} multiply-accumulates a window; "
                  f"up to {settings.epochs} epochs, at most about {preview.seconds:.0f} s here")


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
                f"balanced accuracy {epoch.validation_score:.3f}")
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
    if evaluated := training.get("evaluation"):
        figures = ", ".join(f"{model} {_rounded(m['mean'])} ({_rounded(m['low'])}-{_rounded(m['high'])})"
                            for model, m in evaluated["models"].items())
        console.print(f"evaluated with {evaluated['protocol']} on {evaluated['subjects']} people, plan "
                      f"{'frozen' if evaluated['frozen'] else 'not frozen'}: {evaluated['primary']} {figures}")
    for person, why in training["excluded"].items():
        console.print(f"excluded: {person} ({why})")
    console.print(f"written: {out}. Next: nociband convert {out} --out firmware/models/{report['name']}")


def _rounded(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _with_interval(metric: dict[str, Any]) -> str:
    low, high = metric["ci95"]
    return f"{metric['value']:.3f} ({low:.3f}-{high:.3f})"
