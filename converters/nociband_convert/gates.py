"""Judges a conversion by the limits in gates.toml: agreement with floating point, accuracy, and cost on the band.

From parity.quality, and from whoever could measure the cost (the command does, where the ARM compiler and QEMU are), to the table
that the command prints. A measure that nobody took is not a gate that was passed: its verdict is "not judged".
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nociband.errors import ModelError

if TYPE_CHECKING:
    from nociband_convert.parity.bits import Compared
    from nociband_convert.parity.quality import Quality

FILE = Path(__file__).with_name("gates.toml")
COSTS = ("instructions_per_window", "flash_bytes", "ram_bytes")
_BITS, _EMULATED = "windows unlike LiteRT", "emulated logits unlike LiteRT"
_ADVICE = {
    "agreement": "the weights' 8 bits cost too much: train with more weight decay or dropout, or give more calibration windows; "
                 "int16x8 needs less of it than int8",
    "accuracy loss": "too many windows changed from right to wrong: as for agreement, and look at which class lost recall",
    **dict.fromkeys((_BITS, _EMULATED), "a fault of the generator or of nb_nn, not of the model: report it with the .tflite "
                                        "files; `nociband bench parity` shows where"),
    "instructions_per_window": "train with fewer hidden units; --packing fast spends flash to save instructions",
    "flash_bytes": "train with fewer hidden units; --packing small spends instructions to save flash",
    "ram_bytes": "train with fewer hidden units",
}


@dataclass(frozen=True)
class Verdict:
    """One gate. `value` None: nobody measured it, `why_not` says why. `most`: the limit is an upper one."""

    gate: str
    limit: float
    value: float | None
    most: bool
    why_not: str = ""

    @property
    def passed(self) -> bool | None:
        """None when it was not judged."""
        if self.value is None:
            return None
        return self.value <= self.limit if self.most else self.value >= self.limit

    @property
    def advice(self) -> str:
        """What to do when it failed."""
        return _ADVICE[self.gate]

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        verdict = {True: "passed", False: "failed", None: "not judged"}[self.passed]
        return {"gate": self.gate, "limit": self.limit, "value": self.value, "verdict": verdict, "why_not": self.why_not}


def limits(path: Path = FILE) -> dict[str, Any]:
    """The file's content. Raises ModelError when it lacks a limit or one is not a number."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        wanted = [raw["quality"]["accuracy_loss_max"], *(raw["quality"]["agreement_min"][s] for s in ("int16x8", "int8"))]
        wanted += [raw["cost"][packing][f"{cost}_max"] for packing in ("fast", "small") for cost in COSTS]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as e:
        raise ModelError(f"{path} does not hold the gates of a conversion ({type(e).__name__}: {e}); restore it") from e
    if not all(isinstance(w, (int, float)) and not isinstance(w, bool) for w in wanted):
        raise ModelError(f"{path}: every limit must be a number; restore it")
    return raw


def judge_quality(quality: Quality, scheme: str, path: Path = FILE) -> list[Verdict]:
    """Agreement and accuracy loss of a conversion to `scheme`."""
    limit = limits(path)["quality"]
    return [Verdict("agreement", limit["agreement_min"][scheme], quality.agreement, most=False),
            Verdict("accuracy loss", limit["accuracy_loss_max"], quality.accuracy_loss, most=True)]


def judge_bits(compared: Compared | str) -> Verdict:
    """The generated C beside LiteRT's reference kernels: no window may differ, whatever a file says."""
    if isinstance(compared, str):
        return Verdict(_BITS, 0, None, most=True, why_not=compared)
    return Verdict(_BITS, 0, compared.mismatches, most=True)


def judge_emulated(cost: Mapping[str, int] | str) -> Verdict:
    """The assembly beside LiteRT: logits of the one window whose cost was measured on the emulated band."""
    if isinstance(cost, str):
        return Verdict(_EMULATED, 0, None, most=True, why_not=cost)
    return Verdict(_EMULATED, 0, cost["unlike_litert"], most=True)


def judge_cost(cost: Mapping[str, int] | str, packing: str, path: Path = FILE) -> list[Verdict]:
    """Budgets of the model on the band; `cost` maps COSTS to what was measured, or is the reason why nothing was."""
    limit = limits(path)["cost"][packing]
    if isinstance(cost, str):
        return [Verdict(name, limit[f"{name}_max"], None, most=True, why_not=cost) for name in COSTS]
    return [Verdict(name, limit[f"{name}_max"], cost[name], most=True) for name in COSTS]


@dataclass(frozen=True)
class Judged:
    """A conversion's quality and verdicts, to be compared with another's; `cost` as measured, None when it was not."""

    quality: Quality
    verdicts: tuple[Verdict, ...]
    cost: Mapping[str, Any] | None

    @property
    def instructions(self) -> int | None:
        """Executed instructions a window."""
        return None if self.cost is None else self.cost["instructions_per_window"]

    @property
    def passed(self) -> bool:
        """True unless a gate failed."""
        return all(v.passed is not False for v in self.verdicts)

    @property
    def _rank(self) -> tuple[float, float]:
        return self.quality.agreement, self.quality.accuracy_integer


def better(by_scheme: Mapping[str, Judged]) -> tuple[str | None, str]:
    """Which scheme to ship, and why: the better by quality at equal or lower cost, and where those disagree by quality.

    None when each fails a gate. Equal in all that was measured: the first.
    """
    names = [name for name, judged in by_scheme.items() if judged.passed]
    if not names:
        return None, "none passes its gates"
    first = max(names, key=lambda n: by_scheme[n]._rank)
    if len(by_scheme) == 1:
        return first, "the only one"
    if len(names) == 1:
        return first, "the only one that passes its gates"
    rest = [n for n in names if n != first]
    mine, others = by_scheme[first].instructions, [by_scheme[n].instructions for n in rest]
    if mine is None or None in others:
        return first, "the better by quality; cost was not measured"
    cheapest = min(n for n in others if n is not None)
    equal = all(by_scheme[n]._rank == by_scheme[first]._rank for n in rest)
    if equal and cheapest < mine:
        return min(rest, key=lambda n: by_scheme[n].instructions or 0), "equal in quality at lower cost"
    if mine <= cheapest:
        return first, f"{'equal' if equal else 'the better'} in quality at equal or lower cost"
    return first, f"the better by quality, for {mine / cheapest - 1:.0%} more instructions"
