"""`nociband bench quantisation`: how well integer forms of trained models agree with floating point, person by person.

From model folders as `nociband train` leaves them, and the recordings that they were trained on, through the converter's forms
(nociband_convert.ablation, run by LiteRT's reference kernels) to figures with intervals. Every form is judged on validation
people, on whom decisions were made; held-out people, whom neither training nor converter has seen, judge the finished ones alone.
Two sets of windows each: those around labelled events, and those that a band would predict on all through the recording.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from nociband.errors import ModelError

if TYPE_CHECKING:
    from nociband_convert.ablation import Form
    from nociband_convert.source import Trained

SIDES = ("validation", "held_out")
PER_PERSON = 120
FINISHED = (("int8", "logits"), ("int8", "tuned"), ("int16x8", "scales"))
_NEEDED = ("model.pt", "training.json", "calibration.npz", "quantised.pt")
_DIGITS = 5


@dataclass(frozen=True, eq=False)
class Windows:
    """Relative windows `x` (n, 138, 6) with their people; `target` (n,) their classes, None where nothing is labelled."""

    x: np.ndarray
    people: np.ndarray
    target: np.ndarray | None


def of_people(account: dict[str, Any], side: str, per_person: int = PER_PERSON) -> dict[str, Windows]:
    """`labelled` and `continuous` windows of one side of a model's split; `account` is what training.json says of the training.

    The way is the band's, as in training: front end, integer DSP, running baseline, rules of trust. Raises DataError when the
    recordings are not here.
    """
    from nociband.dsp import features_of
    from nociband.signals import to_counts
    from nociband.training import tasks, windowed
    from nociband.training.dataset import PLAIN, UNIT, trusted
    from nociband.windows import prediction_ends

    task = tasks.find(account["task"], account["dataset"])
    recordings = [r for r in tasks.recordings(task) if r.subject in account["subjects"][side]]
    cuts = windowed.cut(recordings, task, PLAIN)
    labelled = Windows(np.concatenate([windowed.normalised(c.frames, c.ends, "causal") for c in cuts]) * UNIT,
                       np.repeat([c.recording.subject for c in cuts], [len(c.ends) for c in cuts]),
                       np.concatenate([c.labels for c in cuts]))
    fronts = [to_counts(r, 0, **task.front_end) for r in recordings]
    parts, people = [], []
    for recording, front, frames in zip(recordings, fronts, features_of([(f.emg, f.eda) for f in fronts]), strict=True):
        ends = prediction_ends(len(frames))
        ends = ends[trusted(front, ends)]
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, min(per_person, len(ends))).astype(int))]
        parts.append(windowed.normalised(frames, ends, "causal") * UNIT)
        people += [recording.subject] * len(ends)
    return {"labelled": labelled, "continuous": Windows(np.concatenate(parts), np.array(people), None)}


def measure(folder: Path, per_person: int = PER_PERSON, tell: Callable[[str], None] = lambda what: None) -> dict[str, Any]:
    """Every form of one model on validation people, the finished ones on held-out people; minutes. The folder is not changed:
    without quantised.pt in it, a copy is fine-tuned. Raises ModelError and DataError.
    """
    from nociband.training import quantised
    from nociband_convert import ablation

    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder of a trained model; `nociband train` makes one, docs/research.md says how")
    with TemporaryDirectory(prefix="nociband-quantisation-") as copy:
        for file in (f for f in folder.iterdir() if f.name in _NEEDED):
            shutil.copy(file, copy)
        if not (Path(copy) / quantised.TUNED_NAME).is_file():
            tell("fine-tuning")
            quantised.fine_tune(Path(copy))
        trained, tuned = ablation.load(Path(copy))
    account = trained.info["training"]
    result: dict[str, Any] = {"dataset": account["dataset"], "synthetic": trained.info["synthetic"],
                              "hidden": trained.network.config.hidden, "classes": [c["label"] for c in trained.info["classes"]]}
    with TemporaryDirectory(prefix="nociband-quantisation-") as work:
        tell("conversion")
        forms = ablation.forms(trained, Path(work), tuned)
        for side in SIDES:
            tell(f"windows of {side} people")
            windows = of_people(account, side, per_person)
            judged = [f for f in forms if side == "validation" or (f.scheme, f.name) in FINISHED]
            result[side] = []
            for form in judged:
                tell(f"{side}: {form.scheme} {form.name}")
                sets = {name: _judge(trained, form, w) for name, w in windows.items()}
                result[side].append({"scheme": form.scheme, "form": form.name, "decision": form.decision, **sets})
            if side == "validation":
                result["roundings"] = {n: round(e, _DIGITS) for n, e in
                                       ablation.roundings(trained, trained.normalised(windows["continuous"].x)).items()}
    return result


def _judge(trained: Trained, form: Form, windows: Windows) -> dict[str, Any]:
    from nociband_convert import ablation

    x = trained.normalised(windows.x)
    reference, got = ablation.floating(trained, x), form.run(x)
    return compare(reference, got, windows.people, windows.target)


def compare(reference: np.ndarray, got: np.ndarray, people: np.ndarray, target: np.ndarray | None) -> dict[str, Any]:
    """Figures of logits `got` (n, classes) against the floating-point `reference`, with intervals over people (n,).

    agreement: same class; agreement_by_class: of the windows to which floating point gives a class, the share that keeps it.
    With `target` also accuracy and balanced accuracy of both and what integers lose, in shares. Errors: of probabilities, and of
    logits (where a range clips them on purpose, large errors of logits far below the winner are meant).
    """
    from nociband.training import metrics

    names, person = np.unique(people, return_inverse=True)
    classes = reference.shape[1]
    draws = metrics.draw_people(len(names))
    by_float, by_integer = reference.argmax(1), got.argmax(1)
    same = metrics.confusion_by(person, by_float, by_integer, len(names), classes)
    error, off = _softmax(got) - _softmax(reference), got - reference
    figures = {
        "windows": len(reference), "people": len(names), "agreement": _interval(metrics.accuracy, draws, same),
        "agreement_by_class": [_rounded(r) for r in metrics.recalls(same.sum(axis=0))],
        "ties": _rounded((np.sort(got, 1)[:, -1] == np.sort(got, 1)[:, -2]).mean()),
        "probability_error": {"rms": _rounded(np.sqrt((error**2).mean())), "max": _rounded(np.abs(error).max())},
        "logit_error": {"rms": _rounded(np.sqrt((off**2).mean())), "max": _rounded(np.abs(off).max()),
                        "spread": _rounded(reference.std())},
    }
    if target is None:
        return figures
    tables = [metrics.confusion_by(person, target, chosen, len(names), classes) for chosen in (by_float, by_integer)]
    for name, metric in (("accuracy", metrics.accuracy), ("balanced_accuracy", metrics.balanced_accuracy)):
        exact, integer = (_interval(metric, draws, t) for t in tables)
        figures[name] = {"float": exact, "integer": integer, "loss": _interval(_loss_of(metric), draws, np.stack(tables, axis=1))}
    return figures


def _loss_of(metric: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    """Of a pair of tables, floating point first: what the second has less."""
    return lambda pair: metric(pair[..., 0, :, :]) - metric(pair[..., 1, :, :])


def _interval(metric: Callable[[np.ndarray], Any], draws: np.ndarray, each: np.ndarray) -> dict[str, Any]:
    """A figure of tables (people, ...) with the percentile bootstrap over people."""
    low, high = np.nanpercentile(metric(np.tensordot(draws, each, axes=1)), [2.5, 97.5])
    return {"value": _rounded(metric(each.sum(axis=0))), "ci95": [_rounded(low), _rounded(high)]}


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _rounded(value: Any) -> float | None:
    return None if np.isnan(value) else round(float(value), _DIGITS)


def document(results: dict[str, Any], per_person: int) -> dict[str, Any]:
    """What --json writes."""
    return {"windows_a_person": per_person, "kernels": "LiteRT, BUILTIN_REF", "models": results}


def markdown(document: dict[str, Any]) -> str:
    """Its tables: held-out people first, then the ablation, then single roundings."""
    models = document["models"]
    return "\n".join([*_held_out(models), *_ablation(models), *_roundings(models)])


def _held_out(models: dict[str, Any]) -> list[str]:
    lines = ["## People that training never saw", "",
             "| model | form | windows | agreement with float | by class (labelled) | accuracy, float | integer | loss, points |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for name, model in models.items():
        for row in model["held_out"]:
            near, on = row["labelled"], row["continuous"]
            accuracy = near["accuracy"]
            both = f"{_share(near['agreement'])} labelled; {_share(on['agreement'])} continuous"
            lines.append(f"| {name} | {row['scheme']} {row['form']} | {near['windows']} + {on['windows']} | {both} | "
                         f"{' '.join(_bare(s) for s in near['agreement_by_class'])} | {_share(accuracy['float'])} | "
                         f"{_share(accuracy['integer'])} | {_points(accuracy['loss'])} |")
    return [*lines, ""]


def _ablation(models: dict[str, Any]) -> list[str]:
    lines = ["## Ablation, on validation people", "",
             "| model | scheme | form | decision | agreement, labelled | continuous | probability error, rms | max |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for name, model in models.items():
        for row in model["validation"]:
            agreement, error = (row["continuous"][k] for k in ("agreement", "probability_error"))
            lines.append(f"| {name} | {row['scheme']} | {row['form']} | {row['decision']} | "
                         f"{_bare(row['labelled']['agreement']['value'])} | {_share(agreement)} | {error['rms']:.4f} | "
                         f"{error['max']:.3f} |")
    return [*lines, ""]


def _roundings(models: dict[str, Any]) -> list[str]:
    names = list(next(iter(models.values()))["roundings"])
    lines = ["## One rounding at a time (int8, predicted in torch; rms of the logits' error, % of their spread)", "",
             f"| model | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    for name, model in models.items():
        lines.append(f"| {name} | {' | '.join(format(100 * model['roundings'][n], '.2f') for n in names)} |")
    return [*lines, ""]


def _bare(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"


def _share(figure: dict[str, Any]) -> str:
    return f"{_bare(figure['value'])} ({_bare(figure['ci95'][0])}-{_bare(figure['ci95'][1])})"


def _points(figure: dict[str, Any]) -> str:
    low, high = figure["ci95"]
    return f"{100 * figure['value']:.1f} ({100 * low:.1f} to {100 * high:.1f})"
