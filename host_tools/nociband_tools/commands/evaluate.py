"""`nociband evaluate`: judge models on people whom they never saw, by a plan that stood before the run.

Everything it does is nociband.evaluation; here are the options, the progress bar and the table. Guide: docs/evaluation.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nociband.evaluation.evaluate import Progress
    from nociband.evaluation.jobs import Context
    from nociband.evaluation.plan import Plan, Source


def command(
    dataset: Annotated[str, typer.Option(help="fmov, stress_predict, shock_trials, synthetic, ... (`nociband data list`).")] = "",
    task: Annotated[str, typer.Option(help="emotion3, stress, pain_vas, high_low, ...; the same list says which.")] = "",
    protocol: Annotated[str, typer.Option(help="loso, kfold:K, holdout[:SHARE or :@A,B]; the plan's when not given.")] = "",
    models: Annotated[str, typer.Option(help="Names with commas between: s0,logreg,random_forest,svm,cnn1d,majority; variants as "
                                             "s0:no_attention and s0@none; yours as package.module:Class.")] = "",
    plan: Annotated[Path | None, typer.Option(help="Plan to follow; the one that ships for the task when not given.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How many seeds each model is fitted with.")] = None,
    primary: Annotated[str, typer.Option(help="Primary metric.")] = "",
    normalisation: Annotated[str, typer.Option(help="causal, zscore or none.")] = "",
    json_to: Annotated[str, typer.Option("--json", help="Write the result to this file; - for standard output.")] = "",
    report: Annotated[Path | None, typer.Option(help="Write index.html and model_card.md into this folder.")] = None,
    engine: Annotated[str, typer.Option(help="local (processes), serial, or ray.")] = "local",
    address: Annotated[str | None, typer.Option(help="Ray: HOST:PORT of a cluster, auto, or local to start one here.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; as many as there are cores when not given.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of data sets; else $NOCIBAND_DATA, else the download cache.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder that keeps the run; else build/evaluations/PLAN_...")] = None,
    fresh: Annotated[bool, typer.Option("--fresh/--resume", help="Start over, or go on with what is finished.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Judge models by person: folds, nested tuning, intervals, paired tests, report."""
    from nociband.evaluation import engine as engines

    engines.check(engine, address)
    chosen, source = _plan(plan, {"dataset": dataset, "task": task, "protocol": protocol, "primary": primary, "seeds": seeds,
                                  "normalisation": normalisation, "models": [m.strip() for m in models.split(",") if m.strip()]})
    out = out or _folder(chosen, source)
    _check_targets(out, json_to, report, chosen)
    options = {"engine": engine, "workers": workers, "address": address, "source": source, "fresh": fresh}
    _judge(chosen, options, data, out, json_to, report, dry_run)


def _folder(plan: Plan, source: Source) -> Path:
    """build/evaluations/PLAN_PROTOCOL of the plan's file, DATASET_TASK in its place without one; _exploratory: not as frozen."""
    parts = [Path(source.file).stem if source.file else f"{plan.dataset}_{plan.task}", plan.protocol.replace(":", "")]
    return Path("build/evaluations") / "_".join([*parts, *([] if source.frozen else ["exploratory"])])


def _check_targets(out: Path, json_to: str, report: Path | None, plan: Plan) -> None:
    """What cannot be written, or shown beside the figures, is said now and not after the fits. Raises DataError, SpecError."""
    from nociband.errors import DataError
    from nociband.evaluation.report import published

    if json_to not in ("", "-") and Path(json_to).is_dir():
        raise DataError(f"--json {json_to} is a folder: name a file in it, e.g. {Path(json_to) / 'result.json'}")
    folders = {"--out": out, "--report": report, "--json": Path(json_to).parent if json_to not in ("", "-") else None}
    for option, folder in folders.items():
        for path in (folder, *folder.parents) if folder else ():
            if path.exists() and not path.is_dir():
                raise DataError(f"{option}: {path} is a file, and a folder is to be there; give another {option}")
    if report:
        published.beside(plan.dataset, plan.published)


def _judge(plan: Plan, options: dict[str, Any], data: Path | None, out: Path, json_to: str, report: Path | None,
           dry_run: bool) -> None:
    """The run with what is seen of it; `options` go on to nociband.evaluation.evaluate.evaluate."""
    from rich.console import Console

    from nociband.evaluation import evaluate as run

    console, source = Console(stderr=json_to == "-"), options["source"]
    with console.status(f"windows of {plan.dataset}"):
        context = run.prepare(plan, data)
    _say_plan(console, context.plan, source)
    if not options["fresh"]:
        run.RunFolder(out).keep_frozen(source)
    if dry_run:
        _say_work(console, context, out)
        return
    try:
        with _Bar(console, context.plan) as bar:
            result, predictions = run.evaluate(plan, out, progress=bar.advance, context=context, **options)
    except KeyboardInterrupt:
        console.print(f"stopped; what is finished is kept in {out}, and the same command goes on from there", soft_wrap=True)
        raise
    _print_result(console, result)
    _hand_over(console, result, predictions, out, json_to, report)


def _plan(path: Path | None, options: dict[str, Any]) -> tuple[Plan, Source]:
    """The plan of the file, with what the options change; or one of options alone. Raises SpecError."""
    from dataclasses import replace

    from nociband.errors import SpecError
    from nociband.evaluation import plan as plans

    given = {name: value for name, value in options.items() if value}
    path = path or plans.committed(options["dataset"], options["task"])
    if path is None:
        missing = [f"--{name}" for name in ("dataset", "task") if name not in given]
        if missing:
            raise SpecError(f"give {' and '.join(missing)}, or a --plan that names them")
        return plans.from_dict(given), plans.Source()
    plan, source = plans.read(path)
    for name in ("dataset", "task"):
        if given.get(name, getattr(plan, name)) != getattr(plan, name):
            raise SpecError(f"{path} is a plan for {name} {getattr(plan, name)!r}, not {given[name]!r}")
    wanted = {n: tuple(v) if n == "models" else tuple(range(v)) if n == "seeds" else v for n, v in given.items()}
    changes = {name: value for name, value in wanted.items() if value != getattr(plan, name)}
    return (plan.with_changes(**changes) if changes else plan), replace(source, changed=tuple(sorted(changes)))


def _say_plan(console: Any, plan: Plan, source: Source) -> None:
    if source.frozen:
        text = f"frozen in commit {source.commit[:10]} of {source.committed_at}"
    elif source.changed:
        text = f"[bold]not the frozen plan[/]: {', '.join(source.changed)} changed by options"
    elif source.file and not source.commit:
        text = "[bold]not frozen[/]: the file is in no commit; commit it before the run that you report"
    elif source.modified:
        text = "[bold]not frozen[/]: the file differs from its last commit; commit it before the run that you report"
    else:
        text = "[bold]no plan[/]: options alone; for a run that you report, write one and commit it (docs/evaluation.md)"
    console.print(f"plan {Path(source.file).name or '-'} ({plan.sha256[:12]}): {text}", soft_wrap=True, highlight=False)


def _say_work(console: Any, context: Context, out: Path) -> None:
    """People, windows, folds, fits, and what is finished already."""
    from rich.table import Table

    from nociband.evaluation import evaluate as run
    from nociband.evaluation.models import find_model, is_seeded
    from nociband.evaluation.tuning import candidates_of

    plan, everyone = context.plan, context.examples[context.plan.normalisation]
    plain, work = everyone.plain(), run.work_of(context)
    console.print(f"{plan.dataset} {plan.task}: {len(plain.people)} people, {len(plain)} windows, {len(everyone) - len(plain)} "
                  f"augmented ones to train on; {plan.protocol}: {len(context.folds)} folds", soft_wrap=True, highlight=False)
    for why in dict.fromkeys(context.excluded.values()):
        who = [person for person, reason in context.excluded.items() if reason == why]
        console.print(f"left out, {why}: {', '.join(who)}", soft_wrap=True, highlight=False)
    table = Table(_names(), "settings to choose from", "seeds", "normalisation")
    for name in plan.models:
        estimator = find_model(name)
        count = len(candidates_of(estimator, name, context.task, plan.tuning))
        table.add_row(name, str(count), str(len(plan.seeds) if is_seeded(estimator) else 1),
                      name.partition("@")[2] or plan.normalisation)
    console.print(table)
    done = run.RunFolder(out).finished(work, context)
    console.print(f"{work.jobs} jobs, {work.fits} fits; {done} jobs are finished in {out}", soft_wrap=True, highlight=False)


def _names() -> Any:
    """A column of models' names, never cut short."""
    from rich.table import Column

    return Column("model", overflow="fold")


class _Bar:
    """A bar over the jobs with the time left; beside it each model's primary metric so far, or of a frozen run the job."""

    def __init__(self, console: Any, plan: Plan) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.table import Column

        kept = [Column(no_wrap=True, min_width=width) for width in (12, 7, 7, 4, 7)]    # what is narrowed is the list of figures
        self._bar = Progress(BarColumn(12, table_column=kept[0]), MofNCompleteColumn(table_column=kept[1]),
                             TimeElapsedColumn(kept[2]), TextColumn("left", table_column=kept[3]),
                             TimeRemainingColumn(table_column=kept[4]), TextColumn("{task.description}", table_column=Column()),
                             console=console, speed_estimate_period=120)
        self._metric, self._console, self._kept = plan.primary, console, 0
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if self._kept:
            self._console.print(f"{self._kept} jobs were finished before", highlight=False)

    def advance(self, at: Progress) -> None:
        """Show where the run stands; jobs kept from before do not count for the time that is left."""
        so_far = ", ".join(f"{name} {value:.3f}" for name, value in at.running.items() if value is not None)
        self._kept = at.kept
        self._bar.update(self._task, total=at.total - at.kept, completed=at.done - at.kept,
                         description=f"{self._metric} so far: {so_far}" if so_far else at.job.model)


def _print_result(console: Any, result: dict[str, Any]) -> None:
    """A row a model: metrics with their 95% intervals; then what was to be shown."""
    from rich.table import Table

    some = next(iter(result["models"].values()))
    first = [result["primary"], *(m for m in _SHOWN if m in some and m != result["primary"])][:4]
    table = Table(_names(), *(name.replace("_", " ") for name in first), title=f"{result['dataset']} {result['task']}, "
                  f"{result['protocol']}: {result['subjects']} people, {result['windows']['judged']} windows", show_lines=True)
    for name, judged in result["models"].items():
        table.add_row(name, *(_cell(judged[metric]) for metric in first))
    console.print(table)
    if result["warning"]:
        console.print(f"[bold]{result['warning']}[/]", soft_wrap=True, highlight=False)
    if result["non_inferiority"]:
        console.print(result["non_inferiority"]["statement"], soft_wrap=True, highlight=False)
    console.print(f"{result['seconds']:.0f} s, {result['budget']['fits']} fits; below each figure its 95% interval over people",
                  highlight=False)


_SHOWN = ("balanced_accuracy", "macro_f1", "auroc", "ece", "mae", "pearson", "icc", "rmse")


def _cell(metric: dict[str, Any]) -> str:
    if metric["mean"] is None:
        return "undefined"
    return f"{metric['mean']:.3f}" + ("" if metric["low"] is None else f"\n{metric['low']:.3f} to {metric['high']:.3f}")


def _hand_over(console: Any, result: dict[str, Any], predictions: Any, out: Path, json_to: str, report: Path | None) -> None:
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    if json_to == "-":
        print(text)
    elif json_to:
        Path(json_to).parent.mkdir(parents=True, exist_ok=True)
        Path(json_to).write_text(text + "\n", encoding="utf-8")
    console.print(f"result: {json_to if json_to not in ('', '-') else out / 'result.json'}", soft_wrap=True, highlight=False)
    if report:
        from nociband.evaluation.report import write

        write(result, predictions, report)
        console.print(f"report: {report / 'index.html'}", soft_wrap=True, highlight=False)
