"""What the kernels may cost, and what others cost: firmware/bench/budgets.toml and tflm.json, beside measured figures."""

from __future__ import annotations

import json
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


def limits() -> dict[str, Any]:
    """The budgets: shape -> scheme -> build -> figure -> limit. Raises EnvironmentProblem when the file is missing or damaged."""
    return tomllib.loads(_text("budgets.toml"))


def others() -> dict[str, dict[str, int]]:
    """What TensorFlow Lite Micro with CMSIS-NN needs for each fixed shape, in the faster of its forms: instructions_per_window,
    flash_bytes, ram_bytes. Raises EnvironmentProblem when the file is missing or damaged."""
    try:
        figures = {shape: f["cmsis_nn"]["pooled"] for shape, f in json.loads(_text("tflm.json"))["shapes"].items()}
        return {shape: {"instructions_per_window": f["instructions_per_window"], "flash_bytes": f["text_bytes"],
                        "ram_bytes": f["arena_bytes"] + f["stack_bytes"]} for shape, f in figures.items()}
    except (ValueError, KeyError, TypeError) as e:
        raise EnvironmentProblem(f"firmware/bench/tflm.json is not what it was ({e}): restore it") from e


def _text(name: str) -> str:
    file = firmware_root() / "bench" / name
    try:
        return file.read_text("utf-8")
    except OSError as e:
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
