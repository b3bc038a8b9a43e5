"""The bench counts the same instructions at every run, and the image keeps its budgets."""

from __future__ import annotations

import pytest

from nociband_tools.bench import measure, models


@pytest.mark.slow
def test_counts_repeat_to_the_instruction_and_budgets_hold() -> None:
    name = models()[0]
    first, second = measure(name), measure(name)
    assert first == second
    assert 1_000 < first["instructions_per_block_dsp"] < 20_000
    assert 200_000 < first["instructions_per_prediction_model"] < 25_000_000
    size = first["size"]
    assert 0 < size["flash_bytes"] <= size["flash_budget_bytes"] <= 1 << 20
    assert 0 < size["ram_bytes"] <= size["ram_budget_bytes"] <= 256 << 10
