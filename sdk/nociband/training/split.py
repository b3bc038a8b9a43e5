"""Splits by person: nobody's windows stand on two sides. Names in, a Split out; run and fitting select windows by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nociband.errors import ModelError


@dataclass(frozen=True)
class Split:
    """People by what they are used for: to fit, to stop and choose, and - once, at the end - to judge.

    Raises ModelError when a person stands on two sides or a side is empty.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    held_out: tuple[str, ...]

    def __post_init__(self) -> None:
        sides = (self.train, self.validation, self.held_out)
        if not all(sides):
            raise ModelError("a split needs at least one person to train, one to validate and one held out")
        everyone = [s for side in sides for s in side]
        twice = sorted({s for s in everyone if everyone.count(s) > 1})
        if twice:
            raise ModelError(f"these people stand in a split twice: {', '.join(twice)}")

    def side_of(self, subject: str) -> str:
        """"train", "validation" or "held_out". Raises ModelError for a stranger."""
        for side in ("train", "validation", "held_out"):
            if subject in getattr(self, side):
                return side
        raise ModelError(f"person {subject!r} is not in this split")

    def to_dict(self) -> dict[str, list[str]]:
        """As plain lists for training.json."""
        return {"train": list(self.train), "validation": list(self.validation), "held_out": list(self.held_out)}


def by_subject(subjects: Iterable[str], seed: int, share: float = 0.22) -> Split:
    """Draw a split of the distinct subjects: `share` of them (at least one) to validate, as many held out, the rest to train.

    The same subjects (in any order) and seed give the same split. Raises ModelError for fewer than three people.
    """
    names = sorted(set(subjects))
    side = max(1, round(share * len(names)))
    if len(names) < 2 * side + 1:
        raise ModelError(f"{len(names)} people are too few to train, validate and hold out: give at least {max(3, 2 * side + 1)}")
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    return Split(*(tuple(sorted(part)) for part in (order[2 * side:], order[:side], order[side:2 * side])))


def validation_people(subjects: Iterable[str], seed: int, share: float = 0.22) -> tuple[str, ...]:
    """Draw who validates among training people, for early stopping: `share` of them, at least one, never all.

    The same subjects (in any order) and seed give the same people. Raises ModelError for fewer than two people.
    """
    names = sorted(set(subjects))
    if len(names) < 2:
        raise ModelError(f"{len(names)} people are too few to train and validate; give two, or set validation_share to 0")
    count = min(max(1, round(share * len(names))), len(names) - 1)
    return tuple(sorted(names[i] for i in np.random.default_rng(seed).permutation(len(names))[:count]))
