"""The made test clip: a portrait warped by its landmarks so that it acts a pain-like expression, for demos and tests.

The face is scikit-image's public-domain astronaut. Its landmarks are found once, moved as brows, lids, nose and lips move, and
the picture follows piecewise affine on a triangulation of the landmarks. Frames are made in memory, carry the word SYNTHETIC,
and show geometry alone: no person was in pain, and nothing about real faces can be concluded from them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nociband.errors import ModelError
from nociband.vision.extras import astronaut, opencv
from nociband.vision.landmarks import FaceMesh
from nociband.vision.measures import EYE_CORNERS

LABEL = "synthetic clip: warped astronaut portrait (public domain)"
SIZE_PX = 480
LEVELS = 40
# One round: neutral until 6 s, then the expression comes, stays and goes.
PERIOD_S = 12.0
_TIMES_S, _INTENSITIES = (0.0, 6.0, 7.5, 10.0, 11.5, PERIOD_S), (0.0, 0.0, 1.0, 1.0, 0.0, 0.0)

_CROP = (5, 105, 240)  # y, x and side of the square around the face in the 512 x 512 picture
_BROWS = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285)
_UPPER_LIDS = (246, 161, 160, 159, 158, 157, 173, 466, 388, 387, 386, 385, 384, 398)
_LID_FOLDS = (247, 30, 29, 27, 28, 56, 190, 467, 260, 259, 257, 258, 286, 414)  # each above its upper lid
_LOWER_LIDS = (7, 163, 144, 145, 153, 154, 155, 249, 390, 373, 374, 380, 381, 382)
_LOWER_NOSE = (98, 129, 327, 358, 64, 294, 48, 278, 2, 97, 326, 1, 4, 5, 19, 94, 44, 274, 45, 275, 220, 440, 115, 344, 49, 279)
_UPPER_LIP = (40, 39, 37, 0, 267, 269, 270, 80, 81, 82, 13, 312, 311, 310)
_LOWER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324, 146, 91, 181, 84, 17, 314, 405, 321, 375)
_CHIN = (152, 148, 377, 176, 400, 171, 396, 175, 199, 200, 18, 83, 313)

# act: landmarks that move, by how much at intensity 1 (right, down; in inter-ocular distances), and how far neighbours follow
_MOVES = {
    "brow_lowering": (_BROWS, (0.0, 0.14), 0.10),
    "nose_wrinkling": (_LOWER_NOSE, (0.0, -0.13), 0.10),
    "upper_lip_raising": (_UPPER_LIP, (0.0, -0.11), 0.06),
    "mouth_opening": (_LOWER_LIP + _CHIN, (0.0, 0.30), 0.10),
}
_STAYS = {
    "brow_lowering": (*_UPPER_LIDS, *_LID_FOLDS, *_LOWER_LIDS, 33, 133, 362, 263),
    "nose_wrinkling": (33, 133, 362, 263, 61, 291, *_UPPER_LIP),
    "upper_lip_raising": (2, 97, 326, 98, 327, 61, 291, *_LOWER_LIP),
    "mouth_opening": (61, 291, *_UPPER_LIP),
}
_CLOSING = 0.9  # share of the lid gap that full eye closing takes
ACTS = ("brow_lowering", "eye_closing", "nose_wrinkling", "upper_lip_raising", "mouth_opening")


def intensity(t_s: float) -> float:
    """How strongly the expression is acted `t_s` seconds into the clip, 0-1."""
    return float(np.interp(t_s % PERIOD_S, _TIMES_S, _INTENSITIES))


class Clip:
    """The portrait and its warps. Making one takes MediaPipe's start-up time; each expression level is drawn once and kept."""

    label = LABEL
    fps = 12.0

    def __init__(self, size_px: int = SIZE_PX) -> None:
        """Draws at `size_px` square. Raises EnvironmentProblem without the `fusion` extra."""
        self._cv2 = opencv()
        y, x, side = _CROP
        portrait = np.ascontiguousarray(astronaut()[y:y + side, x:x + side, ::-1])
        self._portrait = self._cv2.resize(portrait, (size_px, size_px), interpolation=self._cv2.INTER_CUBIC)
        self._points = _landmarks(self._portrait)
        right, left = (self._points[list(c)].mean(axis=0) for c in EYE_CORNERS)
        self._eyes = left - right
        self._fixed = _border(self._points, size_px)
        self._triangles = _triangulate(self._cv2, np.vstack([self._points, self._fixed]), size_px)
        self._drawn: dict[int, np.ndarray] = {}

    def read(self, t_s: float) -> np.ndarray | None:
        """The frame at `t_s` seconds, uint8 BGR (size, size, 3), read-only; the clip repeats without end."""
        level = round(intensity(t_s) * LEVELS)
        if level not in self._drawn:
            frame = self.draw(dict.fromkeys(ACTS, level / LEVELS))
            frame.setflags(write=False)
            self._drawn[level] = frame
        return self._drawn[level]

    def draw(self, acts: Mapping[str, float]) -> np.ndarray:
        """The face with each act of `acts` at its intensity (0-1): uint8 BGR (size, size, 3), labelled."""
        moved = self._points + sum((self._shift(act, level) for act, level in acts.items()), np.zeros_like(self._points))
        frame = self._warp(np.vstack([moved, self._fixed]).astype(np.float32))
        at, font = (10, frame.shape[0] - 12), self._cv2.FONT_HERSHEY_SIMPLEX
        for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            self._cv2.putText(frame, "SYNTHETIC: made test clip, nobody is in pain", at, font, 0.55, colour, thickness)
        return frame

    def close(self) -> None:
        """Forgets the drawn frames."""
        self._drawn.clear()

    def _shift(self, act: str, level: float) -> np.ndarray:
        """How far each landmark moves, float64 (468, 2) in pixels."""
        shift = np.zeros_like(self._points)
        if act == "eye_closing":
            upper, lower, folds = list(_UPPER_LIDS), list(_LOWER_LIDS), list(_LID_FOLDS)
            shift[upper] = shift[folds] = level * _CLOSING * (self._points[lower] - self._points[upper])
            return shift
        anchors, (right, down), reach = _MOVES[act]
        distance = np.hypot(*self._eyes)
        across, along = self._eyes, np.array([-self._eyes[1], self._eyes[0]])
        gaps = np.linalg.norm(self._points[:, None] - self._points[list(anchors)][None], axis=2).min(axis=1)
        follow = np.exp(-0.5 * (gaps / (reach * distance)) ** 2)
        follow[list(_STAYS[act])] = 0
        return level * follow[:, None] * (right * across + down * along)

    def _warp(self, moved: np.ndarray) -> np.ndarray:
        """Each triangle's pixels, taken from where its corners came from."""
        cv2, size = self._cv2, self._portrait.shape[0]
        home = np.vstack([self._points, self._fixed]).astype(np.float32)
        owner = np.zeros((size, size), np.int32)
        maps = np.zeros((len(self._triangles), 2, 3))
        for i, corners in enumerate(self._triangles):
            cv2.fillConvexPoly(owner, np.round(moved[corners]).astype(np.int32), i)
            maps[i] = cv2.getAffineTransform(moved[corners], home[corners])
        y, x = np.mgrid[:size, :size].astype(np.float64)
        m = maps[owner]
        from_x = m[..., 0, 0] * x + m[..., 0, 1] * y + m[..., 0, 2]
        from_y = m[..., 1, 0] * x + m[..., 1, 1] * y + m[..., 1, 2]
        return cv2.remap(self._portrait, from_x.astype(np.float32), from_y.astype(np.float32), cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_REPLICATE)


def jpeg(frame: np.ndarray, quality_percent: int = 90) -> bytes:
    """`frame`, uint8 BGR, as a JPEG in memory; for whoever writes the made clip, and only that, to a file."""
    cv2 = opencv()
    return cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality_percent])[1].tobytes()


def _landmarks(portrait: np.ndarray) -> np.ndarray:
    """The portrait's landmarks without the irises, float64 (468, 2)."""
    mesh = FaceMesh()
    try:
        found = mesh.find(portrait)
    finally:
        mesh.close()
    if found is None:
        raise ModelError("MediaPipe finds no face in scikit-image's astronaut; check their versions (`nociband doctor`)")
    return found[:468, :2].astype(np.float64)


def _border(points: np.ndarray, size_px: int) -> np.ndarray:
    """Points that never move: a ring around the face and the picture's edge, float64 (n, 2)."""
    centre = points.mean(axis=0)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = 1.35 * np.abs(points - centre).max()
    ring = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    steps = np.linspace(0, size_px - 1, 5)
    edge = [(x, y) for x in steps for y in steps if x in (0, size_px - 1) or y in (0, size_px - 1)]
    inside = ((ring > 2) & (ring < size_px - 3)).all(axis=1)
    return np.vstack([ring[inside], edge])


def _triangulate(cv2, points: np.ndarray, size_px: int) -> np.ndarray:
    """Delaunay triangulation of `points` (n, 2): corner indices, int (triangles, 3)."""
    plane = cv2.Subdiv2D((-1, -1, size_px + 2, size_px + 2))
    for x, y in points:
        plane.insert((float(x), float(y)))
    corners = plane.getTriangleList().reshape(-1, 3, 2)
    corners = corners[((corners >= -1) & (corners <= size_px)).all(axis=(1, 2))]
    gaps = np.linalg.norm(corners[:, :, None] - points[None, None], axis=3)
    return gaps.argmin(axis=2)
