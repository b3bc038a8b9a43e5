"""Judges how far a frame's landmarks can be trusted: frame and landmarks in, a quality of 0-1 and the reasons against it out.

Four things are looked at: the size of the face, how far the head is turned, light and sharpness. Each gives 0-1, and the
worst one counts. The limits are chosen by hand for MediaPipe's mesh and are no measure of accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nociband.vision.extras import opencv

# (value at which a factor is 0, value at which it is 1)
EYE_DISTANCE_PX = (16.0, 48.0)
YAW_DEG = (45.0, 15.0)
PITCH_DEG = (40.0, 15.0)
BRIGHT_PARTS = (25.0, 90.0)      # 95th percentile of the face's grey levels, of 255
SHARPNESS = (0.002, 0.02)        # variance of the Laplacian over the variance of the grey levels
REASON_BELOW = 0.3               # a factor below this is a reason for no score
FACE_PX = 128                    # sharpness is judged on the face at this width, so that it does not depend on the camera's
PITCH_OFFSET_DEG = 10.0          # what the line from forehead to chin leans by on the portrait, which looks straight on


@dataclass(frozen=True)
class Quality:
    """`value` 0-1; `why` the reasons for no score, empty when there are none."""

    value: float
    why: tuple[str, ...] = ()


def assess(frame: np.ndarray, landmarks: np.ndarray) -> Quality:
    """Quality of `landmarks`, float32 (478, 3), in `frame`, uint8 BGR (h, w, 3)."""
    right, left = landmarks[[33, 133], :2].mean(axis=0), landmarks[[362, 263], :2].mean(axis=0)
    yaw, pitch = head_angles(landmarks)
    light, sharpness = _light_and_sharpness(frame, landmarks)
    factors = {
        "face_small": _share(float(np.hypot(*(left - right))), EYE_DISTANCE_PX),
        "turned_away": min(_share(abs(yaw), YAW_DEG), _share(abs(pitch), PITCH_DEG)),
        "dark": _share(light, BRIGHT_PARTS),
        "blurred": _share(sharpness, SHARPNESS),
    }
    return Quality(min(factors.values()), tuple(name for name, share in factors.items() if share < REASON_BELOW))


def head_angles(landmarks: np.ndarray) -> tuple[float, float]:
    """Yaw and pitch of the head in degrees, roughly, from the mesh's own depth: 0 when it looks into the camera.

    Yaw from the line between the outer eye corners, pitch from the one between forehead (10) and chin (152).
    """
    across, down = landmarks[263] - landmarks[33], landmarks[152] - landmarks[10]
    yaw = np.degrees(np.arctan2(across[2], np.hypot(across[0], across[1])))
    pitch = np.degrees(np.arctan2(down[2], np.hypot(down[0], down[1])))
    return float(yaw), float(pitch) - PITCH_OFFSET_DEG


def _light_and_sharpness(frame: np.ndarray, landmarks: np.ndarray) -> tuple[float, float]:
    """Bright parts of the face (grey level) and its sharpness.

    The brightest twentieth is looked at, not the mean, and the Laplacian is set against the face's own contrast: dark skin in
    good light must not count as darkness.
    """
    cv2 = opencv()
    height, width = frame.shape[:2]
    x0, y0 = np.clip(landmarks[:, :2].min(axis=0), 0, (width - 2, height - 2)).astype(int)
    x1, y1 = np.clip(landmarks[:, :2].max(axis=0), (x0 + 2, y0 + 2), (width, height)).astype(int)
    grey = cv2.cvtColor(frame[y0:y1, x0:x1], cv2.COLOR_BGR2GRAY)
    tall = max(2, round(FACE_PX * grey.shape[0] / grey.shape[1]))
    grey = cv2.resize(grey, (FACE_PX, tall), interpolation=cv2.INTER_AREA)
    sharpness = cv2.Laplacian(grey, cv2.CV_64F).var() / max(float(grey.var()), 1.0)
    return float(np.percentile(grey, 95)), float(sharpness)


def _share(value: float, limits: tuple[float, float]) -> float:
    none, full = limits
    return float(np.clip((value - none) / (full - none), 0, 1))
