"""The face side: video frames in, `FaceMeasures` records out; frames live in memory only and are never written anywhere.

Frames come from a camera, a video file or the made test clip (`source`), landmarks from MediaPipe (`landmarks`), and
`measures` and `quality` turn them into numbers. Nothing heavy is imported until a stream is opened: OpenCV, MediaPipe and
scikit-image come with the extra `nociband[fusion]`.
"""

from nociband.vision.face import FaceStream
from nociband.vision.measures import FaceMeasurer

__all__ = ["FaceMeasurer", "FaceStream"]
