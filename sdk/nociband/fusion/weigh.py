"""Weighs two scores by their qualities: numbers in, weights and a score out; pure functions.

Each side's weight is its share of the qualities' sum, so that a side that is trusted twice as much counts twice as much.
Qualities are the sides' own, 0-1, and are not calibrated against each other: the weights say which side saw more clearly, not
which is right.
"""

from __future__ import annotations

import math


def aged(quality: float, age_s: float, limit_s: float) -> float:
    """`quality` of a value that is `age_s` old: little lost at first, nothing left at `limit_s`; `quality * (1 - (age/limit)^2)`.

    A value from the future (a clock that is off) loses as much as one from the past. 0 for what is not a number.
    """
    if not (math.isfinite(quality) and math.isfinite(age_s)):
        return 0.0
    share = min(abs(age_s) / limit_s, 1.0)
    return min(max(quality, 0.0), 1.0) * (1.0 - share * share)


def weights(band_quality: float, face_quality: float) -> tuple[float, float]:
    """(band, face) weights in proportion to the qualities (0-1 each): they sum to 1, or are both 0 when both qualities are."""
    total = band_quality + face_quality
    if total <= 0:
        return 0.0, 0.0
    band = band_quality / total
    return band, 1.0 - band


def combine(band_score: float | None, face_score: float | None, band_weight: float, face_weight: float) -> float | None:
    """The weighted score, between the two; None when no side has both a score and a weight.

    A side without a score must come with weight 0 (ValueError otherwise).
    """
    sides = [(s, w) for s, w in ((band_score, band_weight), (face_score, face_weight)) if w > 0]
    if not sides:
        return None
    scores = [s for s, _ in sides if s is not None]
    if len(scores) < len(sides):
        raise ValueError("a side without a score has a weight")
    value = sum(s * w for s, w in zip(scores, (w for _, w in sides), strict=True))
    return min(max(value, min(scores)), max(scores))  # rounding must not leave the span of the two
