"""Who trains and who is judged: leave-one-subject-out, k-fold and hold-out, always by person, never by window.

Names of people (or Examples) and a protocol's name in, Folds out. The engine fits one job a fold and seed; nested tuning splits a
fold's training people again with `inner_folds`. A Fold with a person on both sides cannot be made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nociband.errors import ModelError
from nociband.training.examples import Examples

KNOWN = "loso (leave one subject out), kfold:K (e.g. kfold:5), holdout or holdout:SHARE (e.g. holdout:0.25), holdout:@NAME,NAME"
HOLDOUT_SHARE = 0.25
_SPEAKING = ("fold ", "inner ", "hold-out")     # how the names of folds of several people begin


@dataclass(frozen=True)
class Fold:
    """One division of people into those a model is fitted on and those it is judged on.

    Raises ModelError when a person stands on both sides or twice on one, or when a side is empty.
    """

    index: int
    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise ModelError(f"{self.words}: {', '.join(both)} would be judged by a model that was trained on them")
        for side in ("train", "test"):
            names = getattr(self, side)
            if not names:
                raise ModelError(f"{self.words}: no person to {side}")
            if len(set(names)) != len(names):
                raise ModelError(f"{self.words}: a person stands twice in {side}")

    @property
    def words(self) -> str:
        """How a message names it: "fold 1 of 5" as it is, a person's as "fold 'p07'"."""
        return self.name if self.name.startswith(_SPEAKING) else f"fold {self.name!r}"

    def sides(self, examples: Examples) -> tuple[Examples, Examples]:
        """(windows to fit on, augmented copies included; plain windows to judge). Raises ModelError when a side has none."""
        train, test = examples.of(self.train), examples.of(self.test).plain()
        for side, part in (("train", train), ("test", test)):
            if not len(part):
                raise ModelError(f"{self.words}: the people to {side} have no window")
        return train, test

    def to_dict(self) -> dict[str, object]:
        """As plain values for the report's JSON."""
        return {"index": self.index, "name": self.name, "train": list(self.train), "test": list(self.test)}


def folds(people: Iterable[str] | Examples, protocol: str, seed: int = 0) -> tuple[Fold, ...]:
    """The folds of a protocol; the same people (in any order) and seed give the same folds.

    "loso": as many folds as people, named after the one who is judged. "kfold:K": K folds whose sizes differ by one person at
    most. "holdout[:SHARE]": one fold, SHARE of the people (0.25) judged. "holdout:@A,B": these people judged. With loso and
    kfold everybody is judged exactly once. Raises ModelError for an unknown protocol or too few people.
    """
    names = _names(people)
    kind, _, rest = protocol.strip().partition(":")
    if kind == "loso" and not rest:
        made = _loso(names)
    elif kind == "kfold" and rest.isdecimal():
        made = _kfold(names, int(rest), seed, "fold {} of {}")
    elif kind == "holdout":
        return (_holdout(names, rest, protocol, seed),)
    else:
        raise ModelError(f"unknown protocol {protocol!r}; known are: {KNOWN}")
    each_judged_once(made, names)
    return made


def inner_folds(train_people: Iterable[str], k: int, seed: int = 0) -> tuple[Fold, ...]:
    """k subject-grouped folds within a fold's training people, to choose settings by; fewer when there are fewer people.

    Raises ModelError for fewer than two people or k below 2.
    """
    names = _names(train_people)
    if k < 2:
        raise ModelError(f"nested tuning needs 2 or more inner folds, not {k}")
    return _kfold(names, min(k, len(names)), seed, "inner fold {} of {}")


def each_judged_once(made: Iterable[Fold], people: Iterable[str]) -> None:
    """Raises ModelError unless every person is judged in exactly one fold and nobody else is."""
    judged = [name for fold in made for name in fold.test]
    wrong = sorted(set(judged) ^ set(people)) or sorted({name for name in judged if judged.count(name) > 1})
    if wrong:
        raise ModelError(f"not judged exactly once: {', '.join(wrong)}")


def _names(people: Iterable[str] | Examples) -> tuple[str, ...]:
    names = people.people if isinstance(people, Examples) else tuple(sorted({str(p) for p in people}))
    if len(names) < 2:
        raise ModelError(f"{len(names)} people are too few to train on some and judge on others: two or more are needed")
    return names


def _fold(names: tuple[str, ...], index: int, name: str, train: np.ndarray, test: np.ndarray) -> Fold:
    return Fold(index, name, tuple(names[i] for i in sorted(train)), tuple(names[i] for i in sorted(test)))


def _loso(names: tuple[str, ...]) -> tuple[Fold, ...]:
    from sklearn.model_selection import LeaveOneGroupOut

    parts = LeaveOneGroupOut().split(names, groups=names)
    return tuple(_fold(names, i, names[test[0]], train, test) for i, (train, test) in enumerate(parts))


def _kfold(names: tuple[str, ...], k: int, seed: int, title: str) -> tuple[Fold, ...]:
    from sklearn.model_selection import GroupKFold

    if not 2 <= k <= len(names):
        raise ModelError(f"{k} folds of {len(names)} people cannot be made: give 2 to {len(names)} folds (loso: one a person)")
    parts = GroupKFold(k, shuffle=True, random_state=seed).split(names, groups=names)
    return tuple(_fold(names, i, title.format(i + 1, k), train, test) for i, (train, test) in enumerate(parts))


def _holdout(names: tuple[str, ...], rest: str, protocol: str, seed: int) -> Fold:
    if rest.startswith("@"):
        test = tuple(sorted({name.strip() for name in rest[1:].split(",") if name.strip()}))
        strangers = sorted(set(test) - set(names))
        if not test:
            raise ModelError(f"protocol {protocol!r} names nobody to hold out; known are: {KNOWN}")
        if strangers:
            raise ModelError(f"protocol {protocol!r}: {', '.join(strangers)} cannot be held out; there are {', '.join(names)}")
        return Fold(0, "hold-out", tuple(n for n in names if n not in test), test)
    from sklearn.model_selection import GroupShuffleSplit

    try:
        share = float(rest) if rest else HOLDOUT_SHARE
    except ValueError:
        raise ModelError(f"protocol {protocol!r}: {rest!r} is not a share; known are: {KNOWN}") from None
    if not 0 < share < 1:
        raise ModelError(f"protocol {protocol!r}: the share of people held out lies between 0 and 1")
    size = min(max(1, round(share * len(names))), len(names) - 1)
    train, test_rows = next(GroupShuffleSplit(1, test_size=size, random_state=seed).split(names, groups=names))
    return _fold(names, 0, "hold-out", train, test_rows)
