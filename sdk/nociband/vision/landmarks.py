"""Finds the face in a frame: BGR image in, 478 landmarks in pixels out, with MediaPipe's face mesh (its models are in its wheel).

Which landmark is where: MediaPipe's canonical face model, github.com/google-ai-edge/mediapipe,
mediapipe/modules/face_geometry/data/canonical_face_model_uv_visualization.png. "Left" and "right" are the person's own.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator

import numpy as np

from nociband.vision.extras import face_mesh_module, opencv

LANDMARKS = 478
CONFIDENCE = 0.7

# Lines that MediaPipe's C++ parts (absl, TensorFlow Lite) print on stderr whatever the log level is.
_CHATTER = re.compile(rb"^([IWE]\d{4} |INFO: Created TensorFlow|WARNING: All log messages before absl)")


class FaceMesh:
    """MediaPipe's face mesh for one face, tracked from frame to frame; not to be shared between threads."""

    def __init__(self, detection_confidence: float = CONFIDENCE, tracking_confidence: float = CONFIDENCE) -> None:
        """Loads the models. Raises EnvironmentProblem without MediaPipe or OpenCV."""
        self._cv2 = opencv()
        with _without_chatter():
            self._mesh = face_mesh_module().FaceMesh(
                max_num_faces=1, refine_landmarks=True, static_image_mode=False,
                min_detection_confidence=detection_confidence, min_tracking_confidence=tracking_confidence,
            )
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))
        self._seen = False

    def find(self, frame: np.ndarray) -> np.ndarray | None:
        """Landmarks of the face in `frame`, uint8 BGR (h, w, 3).

        Returns float32 (478, 3): x right and y down in pixels, z in about the same scale, growing away from the camera. None
        without a face.
        """
        rgb = self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB)
        # The landmark models say hello at their first face only.
        with contextlib.nullcontext() if self._seen else _without_chatter():
            faces = self._mesh.process(rgb).multi_face_landmarks
        if not faces:
            return None
        self._seen = True
        height, width = frame.shape[:2]
        points = np.array([(p.x, p.y, p.z) for p in faces[0].landmark], np.float32)
        return points * np.array([width, height, width], np.float32)

    def close(self) -> None:
        """Frees the models."""
        self._mesh.close()


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Holds stderr back for a moment and lets through what is not MediaPipe's chatter.

    Into memory and not a pipe: a process that is started meanwhile and inherits it must not be left with a closed pipe.
    """
    if not hasattr(os, "memfd_create"):
        yield
        return
    sys.stderr.flush()
    held, stderr = os.memfd_create("stderr"), os.dup(2)
    os.dup2(held, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        with os.fdopen(held, "rb") as f:
            f.seek(0)
            for line in f:
                if not _CHATTER.match(line):
                    os.write(2, line)
