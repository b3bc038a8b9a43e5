"""Turns landmarks into the five pain-related measures and their score: landmarks and a quality in, `FaceMeasures` out.

All lengths are taken after the eye line is turned level, in units of the distance between the eyes' centres, so size, place
and roll of the face in the picture do not matter. Each measure is the change from the person's own neutral face (a median
over the first seconds), as a share of a full movement.

This is a geometric estimate in the manner of PSPI, the Prkachin and Solomon Pain Intensity scale (Prkachin & Solomon 2008,
Pain 139:267-274, doi:10.1016/j.pain.2008.04.010). It is not a coding by FACS coders, and it is not validated.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from nociband.records import FaceMeasures
from nociband.vision.quality import Quality

# Landmark indices of MediaPipe's face mesh; of each pair the person's right side comes first.
EYE_CORNERS = ((33, 133), (362, 263))                           # outer and inner
UNDER_EYES = (35, 265)                                          # on the bone below the outer corners
UNDER_EYES_SPAN = 1.8                                           # their distance in inter-ocular distances, roughly
EYE_LIDS = (((160, 144), (158, 153)), ((385, 380), (387, 373)))  # (upper, lower) at the thirds of each eye
BROW_LOWER_EDGE = (46, 53, 52, 65, 55, 276, 283, 282, 295, 285)
NOSE_WINGS = (98, 129, 327, 358)                                # they rise when the nose wrinkles; the tip hardly does
UPPER_LIP_EDGE = (37, 0, 267)                                   # upper border of the red of the upper lip
INNER_LIPS = ((82, 87), (13, 14), (312, 317))                   # (upper, lower) in the middle of the mouth


class Geometry(NamedTuple):
    """What is measured on one face. Lengths in inter-ocular distances; `eye_opening` is a ratio."""

    brow_height: float
    eye_opening: float
    nose_length: float
    lip_depth: float
    mouth_gap: float


# The change from neutral at which a measure is 1, in Geometry's units (`eye_opening`: as a share of the neutral opening).
# Chosen by hand from the distances on a face: a brow stands 0.3 above its eye and can come down by about a third.
FULL_CHANGE = Geometry(brow_height=-0.08, eye_opening=-0.75, nose_length=-0.07, lip_depth=-0.09, mouth_gap=0.30)
DEAD_SHARE = 0.15       # changes below this share of a full one are the mesh's own jitter
CLOSED_FROM = 0.7       # PSPI counts closed eyes (AU43) apart; here it ramps from this share of closing up to 1
BLINK_S = 0.6           # eyes closed for less than half of this do not enter the score
BASELINE_S = 3.0
BASELINE_FRAMES = 10
PSPI_MAX = 16.0


def geometry(landmarks: np.ndarray) -> Geometry:
    """Measures a face, float (478, 3) or (478, 2) in pixels, x right and y down.

    The eye opening is the eye aspect ratio of Soukupova & Cech 2016 ("Real-time eye blink detection using facial
    landmarks"), the mean of both eyes.
    """
    face = aligned(landmarks)
    y = face[:, 1]
    gap = [face[low, 1] - face[up, 1] for up, low in INNER_LIPS]
    return Geometry(
        brow_height=float(-y[list(BROW_LOWER_EDGE)].mean()),
        eye_opening=float(np.mean([_eye_aspect_ratio(face, c, lids) for c, lids in zip(EYE_CORNERS, EYE_LIDS, strict=True)])),
        nose_length=float(y[list(NOSE_WINGS)].mean()),
        lip_depth=float(y[list(UPPER_LIP_EDGE)].mean()),
        mouth_gap=float(np.mean(gap)),
    )


def aligned(landmarks: np.ndarray) -> np.ndarray:
    """The face with the eye line level, the inter-ocular distance as unit and 0 midway between the inner eye corners.

    Returns float64 (478, 2). Raises ValueError when both eyes are at one point. Line and unit come from the points under the
    outer corners: the corners themselves are moved by closing lids (on the made clip the mesh puts them 3% further apart).
    """
    points = np.asarray(landmarks, np.float64)[:, :2]
    axis = points[UNDER_EYES[1]] - points[UNDER_EYES[0]]
    span = float(np.hypot(*axis))
    if span == 0:
        raise ValueError("both eyes are at one point")
    cos, sin = axis / span
    level = np.array([[cos, -sin], [sin, cos]])  # applied from the right: turns the eye line onto the x axis
    middle = points[[inner for _, inner in EYE_CORNERS]].mean(axis=0)
    return (points - middle) @ level * UNDER_EYES_SPAN / span


def _eye_aspect_ratio(face: np.ndarray, corners: tuple[int, int], lids: tuple[tuple[int, int], ...]) -> float:
    opening = np.mean([np.hypot(*(face[up] - face[low])) for up, low in lids])
    return float(opening / np.hypot(*(face[corners[0]] - face[corners[1]])))


def shares(now: Geometry, neutral: Geometry) -> Geometry:
    """The change from neutral as a share of a full movement, each 0-1, under Geometry's names."""
    change = [b - a for a, b in zip(neutral, now, strict=True)]
    change[1] /= max(neutral.eye_opening, 1e-6)
    raw = [c / full for c, full in zip(change, FULL_CHANGE, strict=True)]
    return Geometry(*(float(np.clip((r - DEAD_SHARE) / (1 - DEAD_SHARE), 0, 1)) for r in raw))


def score(brow: float, eye: float, nose: float, lip: float) -> float:
    """0-10 from measures of 0-1, in the manner of PSPI = AU4 + max(AU6, AU7) + max(AU9, AU10) + AU43, which goes from 0 to 16.

    Brow lowering stands for AU4 (0-5), eye closing for the narrowing by AU6 and AU7 (0-5) and, when nearly complete, for
    AU43 (0-1), nose wrinkling for AU9 and upper-lip raising for AU10 (0-5). PSPI leaves mouth opening out, and so does this.
    """
    closed = float(np.clip((eye - CLOSED_FROM) / (1 - CLOSED_FROM), 0, 1))
    return 10 / PSPI_MAX * (5 * brow + 5 * eye + 5 * max(nose, lip) + closed)


class FaceMeasurer:
    """From landmarks to measures, frame by frame, for one person; causal: nothing later than the frame is used.

    The first `baseline_s` seconds in which the face is seen well, and at least `baseline_frames` frames, are taken as neutral;
    until then there is no score. A face that is in pain already when the stream starts is measured against that.
    """

    def __init__(self, source: str = "", baseline_s: float = BASELINE_S, baseline_frames: int = BASELINE_FRAMES) -> None:
        self.neutral: Geometry | None = None
        self.source = source
        self._baseline_s, self._baseline_frames = baseline_s, baseline_frames
        self._baseline: list[tuple[float, Geometry]] = []
        self._eyes: deque[tuple[float, float]] = deque()

    def measure(self, host_time_s: float, landmarks: np.ndarray | None, quality: Quality) -> FaceMeasures:
        """One frame's record; `landmarks` float32 (478, 3) or None without a face, `quality` as quality.assess() gives it."""
        if landmarks is None:
            return self._record(host_time_s, None, None, 0.0, ("no_face",))
        face = geometry(landmarks)
        if self.neutral is None and not quality.why:
            self._learn(host_time_s, face)
        if self.neutral is None:
            return self._record(host_time_s, None, None, quality.value, (*quality.why, "baseline_unfinished"))
        now = shares(face, self.neutral)
        lasting_eye = self._without_blinks(host_time_s, now.eye_opening)
        value = None if quality.why else score(now.brow_height, lasting_eye, now.nose_length, now.lip_depth)
        return self._record(host_time_s, now, value, quality.value, quality.why)

    def _learn(self, host_time_s: float, face: Geometry) -> None:
        self._baseline.append((host_time_s, face))
        long_enough = host_time_s - self._baseline[0][0] >= self._baseline_s
        if long_enough and len(self._baseline) >= self._baseline_frames:
            self.neutral = Geometry(*np.median([g for _, g in self._baseline], axis=0).tolist())
            self._baseline.clear()

    def _without_blinks(self, host_time_s: float, eye_closing: float) -> float:
        self._eyes.append((host_time_s, eye_closing))
        while self._eyes[0][0] < host_time_s - BLINK_S:
            self._eyes.popleft()
        return float(np.median([e for _, e in self._eyes]))

    def _record(self, host_time_s: float, now: Geometry | None, value: float | None, quality: float,
                why: tuple[str, ...]) -> FaceMeasures:
        brow, eye, nose, lip, mouth = now or (None,) * 5
        return FaceMeasures(
            host_time_s=host_time_s, brow_lowering=brow, eye_closing=eye, nose_wrinkling=nose, upper_lip_raising=lip,
            mouth_opening=mouth, score=value, quality=quality, why=why, source=self.source,
        )
