"""What an evaluation found, short enough for a model's manifest: which plan was judged, on whom, and the figures that decide.

Reads a result of `nociband evaluate --json` (docs/evaluation.md), gives a dict to nociband.training.run, which hands it on to
the manifest that the band serves. The figures are of models fitted anew in every fold, not of the one model that is shipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nociband.errors import ModelError

SCHEMA = 1
MODELS = ("s0", "logreg", "majority", "clock")  # the model of the band, and what it is measured against
_KEYS = {"dataset": str, "task": str, "protocol": str, "subjects": int, "plan_sha256": str, "frozen": bool, "primary": str,
         "models": dict}


def read(path: Path, dataset: str, task: str) -> dict[str, Any]:
    """Dataset, task, protocol, subjects (how many), plan_sha256, frozen, primary, and of each of MODELS that was judged the
    primary metric's mean, low and high (None where undefined).

    Raises ModelError for a file that is no result, or is of another data set or task.
    """
    result = _result(path)
    if (result["dataset"], result["task"]) != (dataset, task):
        raise ModelError(f"{path} judges {result['dataset']} {result['task']}, not {dataset} {task}: give the evaluation of "
                         "what is trained")
    judged = {name: _figure(path, name, result) for name in MODELS if name in result["models"]}
    if "s0" not in judged:
        raise ModelError(f"{path} does not judge s0, which is what is trained; it judges "
                         f"{', '.join(result['models']) or 'nothing'}")
    return {key: result[key] for key in _KEYS if key != "models"} | {"models": judged}


def _result(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise ModelError(f"{path} cannot be read as a result of `nociband evaluate --json` ({e})") from e
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise ModelError(f"{path} is not a result of `nociband evaluate --json` of this version (schema {SCHEMA})")
    wrong = [key for key, kind in _KEYS.items() if type(result.get(key)) is not kind]
    if wrong:
        raise ModelError(f"{path}: {', '.join(wrong)} missing or of the wrong type; see docs/evaluation.md")
    return result


def _figure(path: Path, name: str, result: dict[str, Any]) -> dict[str, float | None]:
    model, primary = result["models"][name], result["primary"]
    metric = model.get(primary) if isinstance(model, dict) else None
    figure = {key: metric.get(key) for key in ("mean", "low", "high")} if isinstance(metric, dict) else {}
    if not figure or not all(v is None or (type(v) in (int, float) and abs(v) < float("inf")) for v in figure.values()):
        raise ModelError(f"{path}: models.{name}.{primary} has no mean, low and high; see docs/evaluation.md")
    return figure
