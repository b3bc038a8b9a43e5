"""Opens what video comes from: a camera, a video file or the made clip; yields (host time, frame), and keeps frames in memory.

A source answers one question, "which frame is due `t_s` seconds after the start?", in a thread of its own; `frames()` asks it
at a steady rate. Whoever is too slow gets later frames, never a queue of old ones.
"""

from __future__ import annotations

import asyncio
import math
import re
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np

from nociband.errors import DataError, EnvironmentProblem
from nociband.vision.extras import opencv

FPS = 8.0
WIDTH_PX = 480
FALLBACK_FILE_FPS = 25.0  # for a file that does not say its rate


class FrameSource(Protocol):
    """Where frames come from. `label` says so in every record."""

    label: str

    def read(self, t_s: float) -> np.ndarray | None:
        """The frame due `t_s` seconds after the start, uint8 BGR (h, w, 3); None at the end."""

    def close(self) -> None:
        """Frees the camera or file."""


def open_source(name: str, loop: bool = False) -> FrameSource:
    """A camera for a number ("0"), the made clip for "clip", a video file for everything else.

    `loop` starts a file again at its end; the clip has no end. Raises EnvironmentProblem without OpenCV or without that camera,
    DataError for a file that is missing or cannot be decoded. Blocks while it opens.
    """
    if re.fullmatch(r"\d+", name):
        return Camera(int(name))
    if name == "clip":
        from nociband.vision.clip import Clip
        return Clip()
    return VideoFile(Path(name), loop)


class VideoFile:
    """A video file, decoded no further than the frame that is due."""

    def __init__(self, path: Path, loop: bool = False) -> None:
        self._cv2, self._path, self._loop = opencv(), path, loop
        self.label = f"file {path.name}"
        if not path.is_file():
            raise DataError(f"no video file at {path}: give the path of one, a camera number such as 0, or clip")
        self._open()
        self._frame = self._first()

    def read(self, t_s: float) -> np.ndarray | None:
        """See FrameSource. Frames that are already late are skipped without being converted."""
        due = math.floor((t_s - self._from_s) * self._fps + 1e-6)
        while self._at < due:
            if not self._video.grab():
                if not self._loop or self._at == 0:
                    return None
                self._from_s = t_s
                self._video.release()
                self._open()
                self._frame = self._first()
                return self._frame
            self._at += 1
            self._fresh = True
        if self._fresh:
            read, frame = self._video.retrieve()
            self._fresh = False
            self._frame = frame if read else self._frame
        return self._frame

    def close(self) -> None:
        """See FrameSource."""
        self._video.release()

    _from_s = 0.0

    def _open(self) -> None:
        cv2 = self._cv2
        # FFmpeg and one thread; cv2's other readers would take a path with digits for a series of pictures.
        self._video = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._video.isOpened():
            raise DataError(f"{self._path} cannot be read as a video; convert it first: ffmpeg -i {self._path.name} video.mp4")
        fps = self._video.get(cv2.CAP_PROP_FPS)
        self._fps = fps if math.isfinite(fps) and 1 <= fps <= 1000 else FALLBACK_FILE_FPS
        self._at, self._fresh = 0, False

    def _first(self) -> np.ndarray:
        read, frame = self._video.read()
        if not read:
            self._video.release()
            raise DataError(f"{self._path} has no frame that can be decoded; it may be cut off: make or copy it again")
        return frame


class Camera:
    """A camera, read on without end so that the frame handed out is the newest."""

    def __init__(self, index: int) -> None:
        self._cv2 = cv2 = opencv()
        self.label = f"camera {index}"
        self._video = cv2.VideoCapture(index)
        if not self._video.isOpened() or not self._video.grab():
            self._video.release()
            raise EnvironmentProblem(f"camera {index} cannot be opened: look at /dev/video*, close what else uses it, "
                                     "or take a video file or clip in its place")
        self._lock, self._stop, self._lost = threading.Lock(), threading.Event(), False
        self._thread = threading.Thread(target=self._keep_up, name=self.label, daemon=True)
        self._thread.start()

    def read(self, t_s: float) -> np.ndarray | None:
        """See FrameSource; the newest frame, whatever `t_s` is. Raises EnvironmentProblem when the camera went away."""
        with self._lock:
            read, frame = (False, None) if self._lost else self._video.retrieve()
        if not read:
            raise EnvironmentProblem(f"{self.label} stopped giving frames: plug it in again and restart the face side")
        return frame

    def close(self) -> None:
        """See FrameSource."""
        self._stop.set()
        self._thread.join(timeout=2)
        self._video.release()

    def _keep_up(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                self._lost = not self._video.grab()  # waits for the camera's next frame
            if self._lost:
                return
            time.sleep(0.002)  # lets read() have the lock


async def frames(open_: Callable[[], FrameSource], *, fps: float = FPS, width_px: int = WIDTH_PX,
                 realtime: bool = True) -> AsyncGenerator[tuple[float, np.ndarray], None]:
    """Yields (host_time_s, frame) at most `fps` times a second until the source ends; frames uint8 BGR, at most `width_px` wide.

    `open_` gives the source; it is called, read and closed in one worker thread. `realtime=False` does not wait: each frame's
    time is then the start plus its place in the video.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="frames")
    call = asyncio.get_running_loop().run_in_executor
    source = None
    try:
        source = await call(pool, open_)
        start, host_start, tick = time.monotonic(), time.time(), 0
        while True:
            t_s = time.monotonic() - start if realtime else tick / fps
            frame = await call(pool, _read, source, t_s, width_px)
            if frame is None:
                return
            yield host_start + t_s, frame
            tick += 1
            if realtime:
                # The next tick from now: ticks that went by meanwhile are dropped.
                tick = max(tick, math.ceil((time.monotonic() - start) * fps))
                await asyncio.sleep(max(0.0, start + tick / fps - time.monotonic()))
    finally:
        if source is not None:
            pool.submit(source.close)
        pool.shutdown(wait=False)


def _read(source: FrameSource, t_s: float, width_px: int) -> np.ndarray | None:
    frame = source.read(t_s)
    if frame is None or frame.shape[1] <= width_px:
        return frame
    cv2 = opencv()
    return cv2.resize(frame, (width_px, round(frame.shape[0] * width_px / frame.shape[1])), interpolation=cv2.INTER_AREA)
