"""Weights and fused scores keep their promises whatever comes in."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nociband.fusion.weigh import aged, combine, weights

qualities = st.floats(0, 1)
scores = st.floats(0, 10)


@given(qualities, qualities)
def test_weights_are_shares(band: float, face: float) -> None:
    pair = weights(band, face)
    assert all(0 <= w <= 1 for w in pair)
    assert sum(pair) == pytest.approx(1.0 if band + face > 0 else 0.0)


@given(qualities, qualities, qualities)
def test_more_quality_never_weighs_less(low: float, high: float, other: float) -> None:
    low, high = sorted((low, high))
    if low + other > 0:
        assert weights(low, other)[0] <= weights(high, other)[0]
        assert weights(other, low)[1] <= weights(other, high)[1]


@given(qualities.filter(lambda q: q > 0))
def test_a_side_alone_has_all_the_weight(quality: float) -> None:
    assert weights(quality, 0.0) == (1.0, 0.0)
    assert weights(0.0, quality) == (0.0, 1.0)


@given(scores, scores, qualities, qualities)
def test_the_score_lies_between_the_sides(band: float, face: float, band_quality: float, face_quality: float) -> None:
    value = combine(band, face, *weights(band_quality, face_quality))
    if band_quality + face_quality > 0:
        assert value is not None and min(band, face) <= value <= max(band, face)
    else:
        assert value is None


def test_equal_qualities_give_the_mean() -> None:
    assert combine(2.0, 6.0, *weights(0.5, 0.5)) == 4.0
    assert combine(2.0, 6.0, *weights(0.75, 0.25)) == 3.0


def test_a_side_without_a_score_may_not_weigh() -> None:
    with pytest.raises(ValueError, match="without a score"):
        combine(None, 5.0, 0.5, 0.5)


@given(qualities, st.floats(-10, 10), st.floats(-10, 10), st.floats(0.1, 5))
def test_quality_only_falls_with_age(quality: float, one: float, other: float, limit: float) -> None:
    young, old = sorted((one, other), key=abs)
    assert 0 <= aged(quality, old, limit) <= aged(quality, young, limit) <= quality
    assert aged(quality, limit, limit) == 0


@pytest.mark.parametrize("quality, age", [(math.nan, 0.0), (0.5, math.nan), (math.inf, 0.0), (0.5, math.inf)])
def test_what_is_not_a_number_has_no_quality(quality: float, age: float) -> None:
    assert aged(quality, age, 1.0) == 0
