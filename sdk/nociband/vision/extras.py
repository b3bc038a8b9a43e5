"""Imports OpenCV, MediaPipe and scikit-image when vision first needs them, and says which extra has them when they are missing.

Every module of vision takes them from here, inside functions: `import nociband.vision` stays light, and the seconds that
MediaPipe takes to import are spent in the worker thread and not in the event loop.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from nociband.errors import EnvironmentProblem


@functools.cache
def opencv() -> ModuleType:
    """`cv2`, on one thread and silent; raises EnvironmentProblem when it is not installed."""
    # A damaged video or a missing camera is reported by our own errors; OpenCV's lines on stderr would only repeat them.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with _needed("OpenCV"):
        import cv2
    cv2.setLogLevel(0)
    cv2.setNumThreads(1)  # frames are small: a pool of threads costs more than it gives beside the emulated band
    return cv2


def face_mesh_module() -> ModuleType:
    """`mediapipe.solutions.face_mesh`; raises EnvironmentProblem when MediaPipe is not installed."""
    # MediaPipe imports TensorFlow where it finds it, for documentation decorators alone: 3 s and 300 MB. A None here makes
    # that import fail as if TensorFlow were absent, which MediaPipe provides for.
    hide = "tensorflow" not in sys.modules
    if hide:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        with _needed("MediaPipe"):
            from mediapipe.python.solutions import face_mesh
        return face_mesh
    finally:
        if hide:
            sys.modules.pop("tensorflow", None)


def astronaut() -> np.ndarray:
    """scikit-image's public-domain portrait of Eileen Collins (NASA), uint8 RGB (512, 512, 3), out of its wheel."""
    with _needed("scikit-image"):
        from skimage import data
    return data.astronaut()


@contextlib.contextmanager
def _needed(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as e:  # also a wheel whose system library is missing
        raise EnvironmentProblem(
            f"the face side needs {name}: pip install 'nociband[fusion]' (or `make setup`); the import said: {e}") from e
