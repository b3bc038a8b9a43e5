"""Writes the made test clip to a video file: frames of nociband.vision.clip in, an AVI of JPEG pictures out.

Only the synthetic clip is ever written; the live path has no way to write a frame. AVI with Motion JPEG is written by hand (RIFF
chunks, as in Microsoft's "AVI RIFF File Reference"), so that no encoder and no other tool is needed; players and OpenCV read it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from nociband.errors import DataError

_HAS_INDEX = 0x10
_KEY_FRAME = 0x10


def write_clip(path: Path, seconds: float) -> int:
    """Writes `seconds` of the clip to `path`; returns the number of frames.

    Raises DataError when the file cannot be written or is not named .avi, EnvironmentProblem without the `fusion` extra.
    """
    from nociband.vision.clip import SIZE_PX, Clip, jpeg

    if path.suffix.lower() != ".avi":
        raise DataError(f"the clip is written as AVI: name it {path.with_suffix('.avi').name}")
    clip = Clip()
    pictures = [jpeg(frame) for frame in _frames(clip, seconds)]
    try:
        path.write_bytes(avi(pictures, SIZE_PX, SIZE_PX, clip.fps))
    except OSError as e:
        raise DataError(f"{path} cannot be written: {e.strerror}; choose another place") from e
    return len(pictures)


def _frames(clip, seconds: float) -> Iterator:
    for i in range(max(1, round(seconds * clip.fps))):
        yield clip.read(i / clip.fps)


def avi(pictures: list[bytes], width: int, height: int, fps: float) -> bytes:
    """JPEG `pictures` as a Motion JPEG AVI file of `fps` pictures a second."""
    rate, scale, largest = round(fps * 1000), 1000, max(map(len, pictures))
    main = struct.pack("<14I", round(1e6 / fps), round(largest * fps), 0, _HAS_INDEX, len(pictures), 0, 1, largest, width, height,
                       0, 0, 0, 0)
    stream = struct.pack("<4s4sIHHIIIIIIiI4H", b"vids", b"MJPG", 0, 0, 0, 0, scale, rate, 0, len(pictures), largest, -1, 0,
                         0, 0, width, height)
    picture_format = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"MJPG", width * height * 3, 0, 0, 0, 0)
    headers = _list(b"hdrl", _chunk(b"avih", main), _list(b"strl", _chunk(b"strh", stream), _chunk(b"strf", picture_format)))
    frames = [_chunk(b"00dc", picture) for picture in pictures]
    index, offset = [], 4
    for frame, picture in zip(frames, pictures, strict=True):
        index.append(struct.pack("<4sIII", b"00dc", _KEY_FRAME, offset, len(picture)))
        offset += len(frame)
    return _chunk(b"RIFF", b"AVI " + headers + _list(b"movi", *frames) + _chunk(b"idx1", b"".join(index)))


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _list(name: bytes, *chunks: bytes) -> bytes:
    return _chunk(b"LIST", name + b"".join(chunks))
