"""A face that is small, turned away, dark or blurred says so."""

from __future__ import annotations

import numpy as np
import pytest

from nociband.vision.clip import Clip
from nociband.vision.extras import opencv
from nociband.vision.quality import assess, head_angles


def test_the_portrait_is_good(clip: Clip, neutral: np.ndarray) -> None:
    quality = assess(clip.draw({}), neutral)
    assert (quality.value, quality.why) == (1.0, ())


def test_darkness(clip: Clip, neutral: np.ndarray) -> None:
    dark = [assess((clip.draw({}) * light).astype(np.uint8), neutral) for light in (0.5, 0.3, 0.12, 0.0)]
    assert [q.why for q in dark[:3]] == [(), (), ("dark",)]
    assert "dark" in dark[3].why and dark[3].value == 0
    assert dark[0].value > dark[1].value > dark[2].value


def test_dark_skin_in_good_light_is_not_darkness(clip: Clip, neutral: np.ndarray) -> None:
    frame = clip.draw({}).astype(float)
    deep = (255 * (frame / 255) ** 2.2).astype(np.uint8)  # darkens the skin, leaves highlights and the white of the eyes
    assert assess(deep, neutral).why == ()


def test_blur(clip: Clip, neutral: np.ndarray) -> None:
    cv2, frame = opencv(), clip.draw({})
    blurred = [assess(cv2.GaussianBlur(frame, (0, 0), sigma), neutral) for sigma in (1, 2, 4, 8)]
    values = [q.value for q in blurred]
    assert values == sorted(values, reverse=True)
    assert [q.why for q in blurred] == [(), (), ("blurred",), ("blurred",)]


def test_a_small_face(clip: Clip, neutral: np.ndarray) -> None:
    cv2, frame = opencv(), clip.draw({})
    small = [assess(cv2.resize(frame, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), neutral * np.float32(share))
             for share in (0.5, 0.25)]
    assert [q.why for q in small] == [(), ("face_small",)]


@pytest.mark.parametrize("axis, index", [("yaw", 0), ("pitch", 1)])
def test_a_head_that_turns_away(axis: str, index: int, clip: Clip, neutral: np.ndarray) -> None:
    def turned(degrees: float) -> np.ndarray:
        angle, other = np.radians(degrees), 0 if axis == "yaw" else 1
        centre = neutral.mean(axis=0)
        points = (neutral - centre).astype(float)
        a, z = points[:, other].copy(), points[:, 2].copy()
        points[:, other], points[:, 2] = np.cos(angle) * a - np.sin(angle) * z, np.sin(angle) * a + np.cos(angle) * z
        return (points + centre).astype(np.float32)

    frame = clip.draw({})
    for degrees in (-40, 0, 25, 40):
        angle = head_angles(turned(degrees))[index] - head_angles(neutral)[index]
        assert angle == pytest.approx(degrees, abs=2)
    assert assess(frame, turned(10)).why == ()
    assert assess(frame, turned(40)).why == ("turned_away",)
    assert assess(frame, turned(-40)).why == ("turned_away",)


def test_a_face_that_hangs_out_of_the_frame_is_judged_by_what_is_in_it(clip: Clip, neutral: np.ndarray) -> None:
    for shift in ((-300, 0, 0), (300, 300, 0), (5000, -5000, 0)):
        quality = assess(clip.draw({}), neutral + np.array(shift, np.float32))
        assert 0 <= quality.value <= 1
