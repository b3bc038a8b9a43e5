"""The published results are what frozen plans gave, and the guide quotes them as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nociband.evaluation import plan as plans

ROOT = Path(__file__).resolve().parents[2]
# These come from no plan: tests/firmware/test_bench_kernels.py and tests/unit/test_bench_quantisation.py hold them to documents.
MEASURED = {"kernels", "quantisation"}
RESULTS = sorted(p for p in (ROOT / "docs/results").glob("*.json") if p.stem not in MEASURED)
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
    results = [json.loads(path.read_text("utf-8")) for path in RESULTS]
    quoted = 0
    for line in GUIDE.splitlines():
        if not (found := re.match(r"\| `([\w:@]+)` \|(.*\d\.\d{3} \(.*)", line)):
            continue
        known = {cell for result in results for cell in _cells(result, found[1])}
        if not known:
            continue  # a row about something else
        for cell in filter(None, (c.strip() for c in found[2].split("|"))):
            assert cell == "-" or cell in known, f"{found[1]}: {cell} stands in no published result"
            quoted += cell != "-"
    assert quoted > 60


def _cells(result: dict, model: str) -> list[str]:
    """Every figure of a model as the guide writes it, and the difference that the reference model has to it."""
    judged = result["models"].get(model, {}).values()
    cells = [f'{v["mean"]:.3f} ({v["low"]:.3f} to {v["high"]:.3f})' for v in judged if isinstance(v.get("low"), float)]
    if model in result["comparisons"]["pairs"]:
        d = result["comparisons"]["pairs"][model]["difference"]
        cells.append(f'{d["mean"]:+.3f} ({d["low"]:+.3f} to {d["high"]:+.3f})')
    return cells
