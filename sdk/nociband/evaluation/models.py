"""The models of a run by their names, and one fit of one of them.

Takes a name from a plan, gives the Estimator (the laboratory's own from nociband.training.estimators, or one of yours), the
settings that it may be given, and what it answers after a fit. nociband.evaluation.tuning and jobs call it.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nociband.errors import ModelError
from nociband.training.examples import Estimator, Examples, TaskInfo

SUM_TOLERANCE = 1e-4    # of the probabilities of a window: float32 networks do not sum to 1 more closely


def find_model(name: str) -> Estimator:
    """The estimator of a name: the laboratory's own, or yours as `package.module:ClassOrFunction`; "@..." at its end is ignored.

    Yours is called without arguments and gives an Estimator. Raises ModelError when there is none, or when it is not whole.
    """
    plain = name.partition("@")[0]
    if not _is_own(plain):
        if re.fullmatch(r"\w+(\.\w+)+:?", plain):
            raise ModelError(f"the model {plain!r} names no class: a model of yours is package.module:Class, "
                             f"e.g. {plain.rstrip(':')}:Mine")
        from nociband.training import estimators

        return estimators.find(plain)
    return _whole(plain, _made(plain))


def _made(plain: str) -> Any:
    """What the class or function of that name gives. Raises ModelError when it cannot be imported or raises."""
    module, _, attribute = plain.partition(":")
    try:
        make = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as e:
        from nociband.training import estimators

        others = "" if "." in module else f"; the laboratory's own are: {', '.join(estimators.names())}"
        raise ModelError(f"the model {plain!r} cannot be imported ({e}): it is package.module:Class, importable from here "
                         f"(set PYTHONPATH to its folder){others}") from e
    except Exception as e:  # a module of somebody else's: whatever it raises
        raise ModelError(f"the model {plain!r} cannot be imported: its module raises {type(e).__name__}: {e}") from e
    try:
        return make()
    except Exception as e:
        raise ModelError(f"the model {plain!r} cannot be made: it is called without arguments, and raises "
                         f"{type(e).__name__}: {e}") from e


def _whole(plain: str, made: Any) -> Estimator:
    """`made`, when it has what an Estimator has. Raises ModelError that names what is missing."""
    missing = [] if isinstance(getattr(made, "name", None), str) else ["a name (str)"]
    missing += [f"{method}({arguments})" for method, arguments in _METHODS.items() if not callable(getattr(made, method, None))]
    if missing:
        raise ModelError(f"the model {plain!r} lacks {' and '.join(missing)}; docs/evaluation.md has a whole one")
    return made


_METHODS = {"candidates": "task", "fit": "train, task, seed, settings"}


def _is_own(plain: str) -> bool:
    """Whether it is a module and a class: "mylab.models:Mine", and "mine:Mine" where "mine" is none of the laboratory's."""
    found = re.fullmatch(r"(\w+(?:\.\w+)*):\w+", plain)
    return found is not None and ("." in found[1] or found[1] not in _laboratory())


@cache
def _laboratory() -> frozenset[str]:
    from nociband.training import estimators

    return frozenset(name.partition(":")[0] for name in estimators.names())


def base_of(name: str) -> str:
    """The model of which a name is a variant: "s0" of "s0:no_attention" and "s0@none"; yours keeps its path."""
    plain = name.partition("@")[0]
    return plain if _is_own(plain) else plain.partition(":")[0]


def own_source(name: str) -> str:
    """SHA-256 of the module of a model of your own; "" for the laboratory's, which `code_version` covers."""
    if not _is_own(base_of(name)):
        return ""
    return hashlib.sha256(Path(inspect.getfile(type(find_model(name)))).read_bytes()).hexdigest()


def is_seeded(estimator: Estimator) -> bool:
    """False for a model that gives the same whatever the seed is (`seeded = False`): one seed is enough."""
    return bool(getattr(estimator, "seeded", True))


def check_settings(estimator: Estimator, name: str, settings: Mapping[str, Any]) -> None:
    """Raises ModelError, naming model and setting, for settings that one of the laboratory's own models does not have.

    The fit would say so too, but only when its job starts. What a model of your own takes is for its `fit` to say.
    """
    from nociband.training.estimators import Classical
    from nociband.training.networks import NetworkEstimator

    if isinstance(estimator, NetworkEstimator):
        try:
            estimator.config.with_settings({**settings, **estimator.off})
        except ModelError as e:
            raise ModelError(f"{name}: {e}") from e
    elif isinstance(estimator, Classical):
        known = estimator.grid[0]
        if strange := sorted(set(settings) - set(known)):
            raise ModelError(f"{name}: unknown settings {', '.join(strange)}; known: {', '.join(known) or 'none'}")
        for setting, value in settings.items():     # every one of them is a strength or a count
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ModelError(f"{name}: {setting} is a number above 0, not {value!r}")


def fit_and_answer(estimator: Estimator, train: Examples, test: Examples, task: TaskInfo, seed: int,
                   settings: Mapping[str, Any]) -> np.ndarray:
    """Output for `test` after a fit on `train`; float64 (n, classes) or (n,). Raises ModelError for another output."""
    predictor = estimator.fit(train, task, seed, settings)
    output = np.asarray(predictor(replace(test, target=np.zeros_like(test.target))), np.float64)
    wanted = (len(test), task.classes) if task.kind == "classes" else (len(test),)
    if output.shape != wanted or not np.isfinite(output).all():
        raise ModelError(f"{estimator.name} must answer with finite numbers of shape {wanted}; shape {output.shape}, "
                         f"{int((~np.isfinite(output)).sum())} not finite")
    if task.kind == "classes" and (output.min() < -SUM_TOLERANCE or np.abs(output.sum(axis=1) - 1).max() > SUM_TOLERANCE):
        raise ModelError(f"{estimator.name} must answer with probabilities; a window's sum to "
                         f"{output.sum(axis=1)[np.abs(output.sum(axis=1) - 1).argmax()]:.4f}, the least is {output.min():.4f}")
    return output
