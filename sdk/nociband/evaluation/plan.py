"""What is decided before a run: data, protocol, models, seeds, the primary metric, the tuning budget.

Read from a committed TOML file (sdk/nociband/evaluation/plans/DATASET_TASK.toml, or one of your own) or made from options; given
to nociband.evaluation.evaluate, which puts it into the result with its SHA-256 and the commit that froze it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from nociband.errors import DataError, SpecError
from nociband.evaluation.metrics import METRICS
from nociband.evaluation.models import base_of

PLANS = Path(__file__).with_name("plans")
SHIPPED = Path("nociband/evaluation/plans")    # how PLANS ends, wherever it is installed
NORMALISATIONS = ("causal", "zscore", "none")
USUAL = {"classes": "balanced_accuracy", "score": "mae"}    # primary metric by kind of task, where none is said
COMPARABLE = {name: metric.better for name, metric in METRICS.items() if metric.better in ("higher", "lower")}


@dataclass(frozen=True)
class Tuning:
    """Nested tuning: `inner_folds` by person within the training people; `metric` chooses.

    `candidates` by model replaces the model's own list of settings; "" as metric: the plan's primary one.
    """

    inner_folds: int = 3
    metric: str = ""
    candidates: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class NonInferiority:
    """`model` is to be no worse than the best of `against` by more than `margin`, in the primary metric.

    Empty `against`: every model of the run but the variants of the same one (`s0:...`, `s0@...`).
    """

    model: str
    margin: float
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a run is to do; raises SpecError when it does not hold together.

    seeds: of the fits; models that need none are fitted once. primary: "" stands for the usual one of the kind of task, as
    normalisation: "" for that of the data set. reference: the model that every other is compared with (the first when empty).
    window: keywords that go on to nociband.training.problems.load_examples. development_people: people on whom the design was
    explored; figures for the others are reported too. published: keys of published figures shown beside ours.
    """

    dataset: str
    task: str
    protocol: str = "loso"
    models: tuple[str, ...] = ("majority", "logreg")
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    primary: str = ""
    reference: str = ""
    normalisation: str = ""
    fold_seed: int = 0
    tuning: Tuning = Tuning()
    non_inferiority: NonInferiority | None = None
    window: Mapping[str, Any] = field(default_factory=dict)
    development_people: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    notes: str = ""

    def __post_init__(self) -> None:
        problems = [
            *(f"{name} is empty" for name in ("dataset", "task", "protocol", "models", "seeds") if not getattr(self, name)),
            *(f"{name} names {again!r} twice" for name in ("models", "seeds") for again in _twice(getattr(self, name))),
            *(f"{what} {metric!r} is none of {', '.join(COMPARABLE)}"
              for what, metric in (("primary", self.primary), ("tuning.metric", self.tuning.metric))
              if metric and metric not in COMPARABLE),
            *(f"a seed is a whole number >= 0, not {seed!r}" for seed in self.seeds if type(seed) is not int or seed < 0),
            *(f"the normalisation {n!r}{of} is none of {', '.join(NORMALISATIONS)}" for n, of in self._asked()
              if n and n not in NORMALISATIONS),
            *(f"{what} {model!r} is not among models" for what, model in self._named_models() if model not in self.models),
            *(f"tuning.candidates {model!r} is not among models, nor is a variant of it" for model in self.tuning.candidates
              if model not in self._with_bases(self.models)),
        ]
        if self.tuning.inner_folds < 2:
            problems.append(f"tuning.inner_folds is {self.tuning.inner_folds}; 2 or more belong there")
        if any(not c for c in self.tuning.candidates.values()):
            problems.append("a list in tuning.candidates is empty; leave the model out to use its own")
        if self.non_inferiority and not self.non_inferiority.margin > 0:
            problems.append(f"non_inferiority.margin is {self.non_inferiority.margin}; it is a difference > 0")
        if problems:
            raise SpecError(f"the plan of {self.dataset or '?'} {self.task or '?'} cannot be: " + "; ".join(problems))

    def _named_models(self) -> list[tuple[str, str]]:
        named = [("reference", self.reference)] if self.reference else []
        if self.non_inferiority:
            named += [("non_inferiority.model", self.non_inferiority.model)]
            named += [("non_inferiority.against", model) for model in self.non_inferiority.against]
        return named

    def _asked(self) -> list[tuple[str, str]]:
        """Normalisations with the words that say who asks for each."""
        return [(self.normalisation, ""), *((m.partition("@")[2], f" of the model {m!r}") for m in self.models if "@" in m)]

    @staticmethod
    def _with_bases(models: Collection[str]) -> set[str]:
        """What `tuning.candidates` may name: the models, and those that they are variants of."""
        return {*models, *map(base_of, models)}

    @property
    def higher_is_better(self) -> bool:
        """Whether more of the primary metric is better. Raises KeyError while it is not chosen."""
        return COMPARABLE[self.primary] == "higher"

    @property
    def against(self) -> str:
        """The model that the others are compared with."""
        return self.reference or self.models[0]

    @property
    def tuned(self) -> Tuning:
        """The tuning with its metric filled in."""
        return replace(self.tuning, metric=self.tuning.metric or self.primary)

    @property
    def normalisations(self) -> tuple[str, ...]:
        """The plan's own first, then those that a model asks for by `name@normalisation`."""
        return tuple(dict.fromkeys([self.normalisation, *(m.partition("@")[2] for m in self.models if "@" in m)]))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the file; reads back with `from_dict`."""
        return json.loads(json.dumps(asdict(self)))

    @property
    def sha256(self) -> str:
        """Of the plan's canonical JSON (sorted keys, no blanks): comments and order in the file do not count."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def with_changes(self, **changes: Any) -> Plan:
        """A plan with other values; what named a model that is gone goes too."""
        models = changes.get("models", self.models)
        candidates = {m: c for m, c in self.tuning.candidates.items() if m in self._with_bases(models)}
        kept: dict[str, Any] = {"tuning": replace(self.tuning, candidates=candidates),
                                "reference": self.reference if self.reference in models else ""}
        rule = self.non_inferiority
        if rule and (rule.model not in models or any(m not in models for m in rule.against)):
            kept["non_inferiority"] = None
        return replace(self, **(kept | changes))


@dataclass(frozen=True)
class Source:
    """Where a plan came from. `commit` is the last one that touched the file; `modified`: the file differs from it.

    `file` is relative to its repository; outside of one it is the name, for a plan that ships "nociband/evaluation/plans/NAME".
    `changed`: names of the values that options replaced. `frozen` when a reader can trust that the plan stood before the run.
    """

    file: str = ""
    commit: str = ""
    committed_at: str = ""
    modified: bool = False
    changed: tuple[str, ...] = ()

    @property
    def frozen(self) -> bool:
        """A committed file, not modified since, no value replaced."""
        return bool(self.commit) and not self.modified and not self.changed


def committed(dataset: str, task: str) -> Path | None:
    """The plan that ships for a task, if there is one."""
    path = PLANS / f"{dataset}_{task}.toml"
    return path if path.is_file() else None


def read(path: Path) -> tuple[Plan, Source]:
    """Read and check a plan. Raises DataError when the file cannot be read, SpecError when it says something impossible."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(f"the plan {path} cannot be read: {e}") from e
    try:
        return from_dict(tomllib.loads(text)), frozen_at(path)
    except tomllib.TOMLDecodeError as e:
        raise SpecError(f"{path} is not TOML: {e}") from e
    except SpecError as e:
        raise SpecError(f"{path}: {e}") from e


def from_dict(values: Mapping[str, Any]) -> Plan:
    """A plan of plain values (TOML, JSON); `seeds` may be a count. Raises SpecError that names the key."""
    values = dict(values)
    _known(values, {f.name for f in fields(Plan)}, "the plan")
    missing = [name for name in ("dataset", "task") if name not in values]
    if missing:
        raise SpecError(f"the plan lacks {' and '.join(missing)}")
    seeds = values.get("seeds", 5)
    if type(seeds) is int and not 1 <= seeds <= 100:
        raise SpecError(f"seeds is {seeds}; a count from 1 to 100, or a list of seeds, belongs there")
    values["seeds"] = tuple(range(seeds)) if type(seeds) is int else seeds
    values["tuning"] = _tuning(values.get("tuning", {}))
    rule = values.get("non_inferiority")
    values["non_inferiority"] = _part(NonInferiority, rule, "non_inferiority") if rule else None
    return _part(Plan, values, "the plan")


def _tuning(values: Any) -> Tuning:
    if not isinstance(values, Mapping):
        raise SpecError("tuning is a table: [tuning]")
    lists = values.get("candidates", {})
    if not isinstance(lists, Mapping) or not all(isinstance(c, list | tuple) and all(isinstance(s, Mapping) for s in c)
                                                 for c in lists.values()):
        raise SpecError("tuning.candidates holds a list of tables a model: [[tuning.candidates.logreg]]")
    candidates = {model: tuple(dict(s) for s in settings) for model, settings in lists.items()}
    return _part(Tuning, {**values, "candidates": candidates}, "tuning")


_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str, "int": int, "float": (int, float), "Tuning": Tuning, "NonInferiority | None": (NonInferiority, type(None)),
}


def _part(kind: type, values: Any, where: str) -> Any:
    """A dataclass of a table, its keys and types checked; lists become tuples."""
    if not isinstance(values, Mapping):
        raise SpecError(f"{where} is a table, not {values!r}")
    types = {f.name: str(f.type) for f in fields(kind)}
    _known(values, set(types), where)
    made = {}
    for name, value in values.items():
        kind_of = types[name]
        if kind_of.startswith("tuple["):
            element = str if "str" in kind_of else int
            if not isinstance(value, list | tuple) or any(type(v) is not element for v in value):
                raise SpecError(f"{where}: {name} is a list of {'strings' if element is str else 'whole numbers'}, not {value!r}")
            value = tuple(value)
        elif kind_of.startswith("Mapping"):
            if not isinstance(value, Mapping):
                raise SpecError(f"{where}: {name} is a table, not {value!r}")
        elif not isinstance(value, _TYPES[kind_of]) or isinstance(value, bool):
            raise SpecError(f"{where}: {name} is a {kind_of}, not {value!r}")
        made[name] = value
    try:
        return kind(**made)
    except TypeError as e:
        raise SpecError(f"{where} lacks something: {e}") from e


def _known(values: Mapping[str, Any], known: set[str], where: str) -> None:
    strangers = sorted(set(values) - known)
    if strangers:
        raise SpecError(f"{where} has no {', '.join(strangers)}; it has: {', '.join(sorted(known))}")


def _twice(values: tuple[Any, ...]) -> list[Any]:
    return [v for i, v in enumerate(values) if v in values[:i]][:1]


def ships(file: str) -> bool:
    """Whether a `Source.file` is a plan of nociband's own, wherever it is installed."""
    return Path(file).parent.parts[-len(SHIPPED.parts):] == SHIPPED.parts


def frozen_at(path: Path) -> Source:
    """What git says of a plan file; outside a repository, or without git, no commit."""
    def git(*arguments: str) -> str:
        asked = subprocess.run(["git", "-C", str(path.parent), *arguments], capture_output=True, text=True, check=True)
        return asked.stdout.strip()

    file = str(SHIPPED / path.name) if path.resolve().parent == PLANS.resolve() else path.name
    try:
        file = git("rev-parse", "--show-prefix") + path.name    # as `git ls-files --full-name`, which names tracked files alone
        commit, _, when = git("log", "-1", "--format=%H %cI", "--", path.name).partition(" ")
        modified = bool(git("status", "--porcelain", "--", path.name))
    except (OSError, subprocess.CalledProcessError):
        return Source(file)
    return Source(file, commit, when, modified)
