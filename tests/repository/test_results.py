"""The published results are what frozen plans gave, and the guide quotes them as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nociband.evaluation import plan as plans

ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted((ROOT / "docs/results").glob("*.json"))
GUIDE = (ROOT / "docs/research.md").read_text("utf-8")


@pytest.mark.parametrize("path", RESULTS, ids=lambda p: p.stem)
def test_a_published_result_follows_the_plan_that_stands_in_the_package(path: Path) -> None:
    result = json.loads(path.read_text("utf-8"))
    plan, _ = plans.read(plans.PLANS / f"{path.stem}.toml")
    assert result["frozen"] is True and result["plan_sha256"] == plan.sha256
    assert set(plan.models) == set(result["models"])
    assert path.with_suffix(".md").exists()
    assert not Path(result["plan_source"]["file"]).is_absolute()


def test_the_guide_quotes_the_results() -> None:
    quoted = 0
    for line in GUIDE.splitlines():
        if not (found := re.match(r"\| `([\w:@]+)` \|(.*\d\.\d{3} \(.*)", line)):
            continue
        cells = [c.strip().strip("*") for c in found[2].split("|") if c.strip()]
        judged = [json.loads(path.read_text("utf-8"))["models"].get(found[1], {}) for path in RESULTS]
        if not any(judged):
            continue  # a row about something else
        known = {f'{v["mean"]:.3f} ({v["low"]:.3f} to {v["high"]:.3f})' for metrics in judged for v in metrics.values()
                 if isinstance(v.get("low"), float)}
        for cell in cells:
            assert cell == "-" or cell in known, f"{found[1]}: {cell} stands in no published result"
            quoted += cell != "-"
    assert quoted > 30
