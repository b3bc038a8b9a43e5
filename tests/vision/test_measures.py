"""Each measure answers to its own movement, in the right direction, whatever the size, place and roll of the face."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nociband.vision.clip import ACTS, PERIOD_S, Clip, intensity
from nociband.vision.extras import opencv
from nociband.vision.landmarks import FaceMesh
from nociband.vision.measures import BLINK_S, FaceMeasurer, Geometry, geometry, score, shares
from nociband.vision.quality import Quality
from tests.vision.conftest import Find

GOOD = Quality(1.0)


# What the mesh makes of each act at full intensity: it smooths single movements, brows and nose most.
@pytest.mark.parametrize("act, least", [
    ("brow_lowering", 0.5), ("eye_closing", 0.8), ("nose_wrinkling", 0.3), ("upper_lip_raising", 0.8), ("mouth_opening", 0.8),
])
def test_a_measure_answers_to_its_own_warp(act: str, least: float, clip: Clip, find: Find, neutral: np.ndarray) -> None:
    at_rest = geometry(neutral)
    answers = [shares(geometry(_found(find, clip.draw({act: level}))), at_rest)[ACTS.index(act)] for level in (0.0, 0.5, 1.0)]
    assert answers[0] <= 0.05
    assert answers[0] <= answers[1] <= answers[2]
    assert answers[2] >= least


@pytest.mark.parametrize("act", ["brow_lowering", "nose_wrinkling", "mouth_opening"])
def test_an_act_of_one_part_leaves_the_eyes_and_the_score_of_others_low(act: str, clip: Clip, find: Find,
                                                                        neutral: np.ndarray) -> None:
    now = shares(geometry(_found(find, clip.draw({act: 1.0}))), geometry(neutral))
    assert now.eye_opening <= 0.1
    assert max(value for name, value in zip(ACTS, now, strict=True) if name != act) <= 0.5


def test_the_score_follows_the_acted_intensity(clip: Clip) -> None:
    """Pearson's r over one round of the clip at 8 frames a second is at least 0.95 (0.99 when this was written)."""
    mesh, measurer = FaceMesh(), FaceMeasurer("clip")
    acted, scored = [], []
    for t_s in np.arange(0, PERIOD_S, 1 / 8):
        frame = clip.read(t_s)
        assert frame is not None
        measures = measurer.measure(1000 + t_s, mesh.find(frame), GOOD)
        if measures.score is not None:
            acted.append(intensity(t_s))
            scored.append(measures.score)
    mesh.close()
    assert len(scored) >= 70
    assert np.corrcoef(acted, scored)[0, 1] >= 0.95
    assert max(s for a, s in zip(acted, scored, strict=True) if a == 0) <= 1.5
    assert max(scored) >= 6


@settings(max_examples=50)
@given(st.floats(0.3, 4), st.floats(-180, 180), st.floats(-500, 500), st.floats(-500, 500))
def test_size_roll_and_place_of_the_landmarks_do_not_matter(neutral: np.ndarray, scale: float, roll_deg: float, right: float,
                                                           down: float) -> None:
    angle = np.radians(roll_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = scale * neutral[:, :2].astype(float) @ turn + (right, down)
    np.testing.assert_allclose(geometry(moved), geometry(neutral), atol=1e-6)


@pytest.mark.parametrize("roll_deg, scale", [(15, 1.0), (-15, 1.0), (0, 0.6), (20, 0.7)])
def test_size_and_roll_of_the_picture_hardly_matter(roll_deg: float, scale: float, clip: Clip, find: Find,
                                                    neutral: np.ndarray) -> None:
    cv2, frame = opencv(), clip.draw({})
    size = frame.shape[0]
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), roll_deg, scale)
    found = _found(find, cv2.warpAffine(frame, turn, (size, size), borderMode=cv2.BORDER_REPLICATE))
    now = shares(geometry(found), geometry(neutral))
    assert score(now.brow_height, now.eye_opening, now.nose_length, now.lip_depth) <= 1.5


@pytest.mark.parametrize("parts, value", [
    ((0, 0, 0, 0), 0.0), ((1, 1, 1, 1), 10.0), ((1, 0, 0, 0), 3.125), ((0, 0, 1, 0), 3.125), ((0, 0, 0.5, 1), 3.125),
    ((0, 0.7, 0, 0), 2.1875), ((0, 1, 0, 0), 3.75),
])
def test_the_score_sums_as_pspi_does(parts: tuple[float, float, float, float], value: float) -> None:
    assert score(*parts) == pytest.approx(value)


def test_both_eyes_at_one_point_is_no_face() -> None:
    with pytest.raises(ValueError, match="one point"):
        geometry(np.zeros((478, 3), np.float32))


def test_there_is_no_score_before_the_baseline(neutral: np.ndarray) -> None:
    measurer = FaceMeasurer("clip", baseline_s=2.0, baseline_frames=4)
    records = [measurer.measure(t, neutral, GOOD) for t in np.arange(0, 3, 0.5)]
    assert [r.why for r in records[:4]] == [("baseline_unfinished",)] * 4
    assert all(r.brow_lowering is None and r.score is None for r in records[:4])
    assert all(r.why == () and r.score == 0 and r.brow_lowering == 0 for r in records[4:])
    assert {r.source for r in records} == {"clip"}


def test_frames_that_cannot_be_trusted_are_not_neutral(neutral: np.ndarray) -> None:
    measurer = FaceMeasurer(baseline_s=1.0, baseline_frames=2)
    for t in range(5):
        assert measurer.measure(t, neutral, Quality(0.1, ("dark",))).why == ("dark", "baseline_unfinished")
    assert measurer.neutral is None


def test_the_baseline_is_a_median_and_then_stays(neutral: np.ndarray) -> None:
    measurer = FaceMeasurer(baseline_s=1.0, baseline_frames=5)
    outlier = neutral.copy()
    outlier[[13, 14], 1] += (0, 200)
    for t, face in zip(np.arange(0, 1.26, 0.25), (outlier, *[neutral] * 5), strict=True):
        measurer.measure(t, face, GOOD)
    assert measurer.neutral == pytest.approx(geometry(neutral))
    assert measurer.measure(9.0, outlier, GOOD).mouth_opening == 1.0
    assert measurer.neutral == pytest.approx(geometry(neutral))


def test_no_face_and_a_bad_frame_have_no_score(neutral: np.ndarray) -> None:
    measurer = FaceMeasurer(baseline_s=0.0, baseline_frames=1)
    measurer.measure(0.0, neutral, GOOD)
    gone = measurer.measure(1.0, None, GOOD)
    assert (gone.why, gone.score, gone.quality, gone.mouth_opening) == (("no_face",), None, 0.0, None)
    bad = measurer.measure(2.0, neutral, Quality(0.2, ("blurred",)))
    assert (bad.why, bad.score, bad.quality) == (("blurred",), None, 0.2)
    assert bad.mouth_opening == 0, "the measures are shown, only the score is withheld"


def test_a_blink_is_shown_and_not_scored(neutral: np.ndarray) -> None:
    shut = neutral.copy()
    for up, low in ((160, 144), (158, 153), (385, 380), (387, 373)):
        shut[up] = shut[low]
    measurer = FaceMeasurer(baseline_s=0.0, baseline_frames=1)
    times = np.arange(0, 3, 0.125)
    blink = [measurer.measure(t, shut if 1.0 <= t < 1.2 else neutral, GOOD) for t in times]
    assert max(r.eye_closing or 0 for r in blink) == 1.0
    assert max(r.score or 0 for r in blink) == 0
    kept_shut = [measurer.measure(10 + t, shut, GOOD) for t in np.arange(0, 2 * BLINK_S, 0.125)]
    assert kept_shut[-1].score == pytest.approx(3.75)


def test_geometry_and_measures_have_one_order() -> None:
    assert Geometry._fields == ("brow_height", "eye_opening", "nose_length", "lip_depth", "mouth_gap")
    assert ACTS == ("brow_lowering", "eye_closing", "nose_wrinkling", "upper_lip_raising", "mouth_opening")


def _found(find: Find, frame: np.ndarray) -> np.ndarray:
    found = find(frame)
    assert found is not None
    return found
