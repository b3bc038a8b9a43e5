"""What the kernels may cost, and what others cost: firmware/bench/budgets.toml and reference.toml beside measured figures."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nociband.errors import EnvironmentProblem
from nociband_tools.firmware import firmware_root

Results = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]   # shape -> scheme -> build -> figures


@dataclass(frozen=True)
class Check:
    """One budget and the figure that was measured."""

    what: str
    key: str
    limit: int
    measured: int

    @property
    def kept(self) -> bool:
        """Whether the figure is within the budget."""
        return self.measured <= self.limit


def read(name: str) -> dict[str, Any]:
    """A table of firmware/bench. Raises EnvironmentProblem when it is missing or damaged."""
    file = firmware_root() / "bench" / name
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as e:
        raise EnvironmentProblem(f"{file} cannot be read ({e}): restore it") from e


def check(results: Results, limits: Mapping[str, Any]) -> list[Check]:
    """Every budget whose build was measured, in the file's order."""
    found = []
    for shape, schemes in limits.items():
        for scheme, builds in schemes.items():
            for build, keys in builds.items():
                figures = results.get(shape, {}).get(scheme, {}).get(build)
                if figures is not None:
                    found += [Check(f"{shape} {scheme} {build}", key, limit, figures[key]) for key, limit in keys.items()]
    return found
