"""Where frames come from: pace, late frames, ends and loops, and everything that can be wrong with a source."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nociband.errors import DataError, EnvironmentProblem
from nociband.vision import source as sources
from nociband.vision.extras import opencv

FPS = 20.0
COUNT = 30


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.5 s of grey frames, each brighter than the one before."""
    frames = [np.full((48, 64, 3), 8 * i, np.uint8) for i in range(COUNT)]
    return make_video(tmp_path_factory.mktemp("video") / "ramp.avi", frames)


def make_video(path: Path, frames: list[np.ndarray]) -> Path:
    cv2 = opencv()
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def number(frame: np.ndarray) -> int:
    """Which frame of the ramp this is."""
    return round(float(frame.mean()) / 8)


def test_a_file_gives_the_frame_that_is_due(video: Path) -> None:
    source = sources.open_source(str(video))
    assert source.label == "file ramp.avi"
    due = []
    for t_s in (0.0, 0.01, 0.05, 0.06, 0.5, 1.45):
        frame = source.read(t_s)
        assert frame is not None and frame.shape == (48, 64, 3) and frame.dtype == np.uint8
        due.append(number(frame))
    assert due == [0, 0, 1, 1, 10, 29]
    assert source.read(1.6) is None
    source.close()


def test_a_file_can_go_round(video: Path) -> None:
    source = sources.open_source(str(video), loop=True)
    due = [number(frame) for t_s in (0.0, 1.0, 1.6, 1.7, 2.6, 3.2, 3.3) if (frame := source.read(t_s)) is not None]
    assert due == [0, 20, 0, 2, 20, 0, 2]
    source.close()


async def test_frames_come_at_the_videos_pace(video: Path) -> None:
    start, got = time.monotonic(), []
    async for host_time_s, frame in sources.frames(lambda: sources.open_source(str(video)), fps=10):
        got.append((host_time_s, number(frame)))
        assert abs(host_time_s - time.time()) < 1
    assert 1.3 <= time.monotonic() - start <= 3
    assert 8 <= len(got) <= 16
    assert all(abs((t - got[0][0]) * FPS - n) <= 1.5 for t, n in got)


async def test_who_is_slow_gets_later_frames_and_no_queue(video: Path) -> None:
    start, got = time.monotonic(), []
    async for _, frame in sources.frames(lambda: sources.open_source(str(video)), fps=20):
        got.append(number(frame))
        await asyncio.sleep(0.4)
    assert time.monotonic() - start < 4
    assert len(got) <= 5 and np.diff(got).min() >= 6


async def test_without_real_time_every_tick_comes_at_once(video: Path) -> None:
    start = time.monotonic()
    got = [(t, number(f)) async for t, f in sources.frames(lambda: sources.open_source(str(video)), fps=10, realtime=False)]
    assert time.monotonic() - start < 1.4
    assert [n for _, n in got] == list(range(0, COUNT, 2))
    assert np.diff([t for t, _ in got]) == pytest.approx(0.1, abs=1e-5)


async def test_wide_frames_are_made_smaller_and_small_ones_left(video: Path) -> None:
    for limit, width in ((32, 32), (480, 64)):
        stream = sources.frames(lambda: sources.open_source(str(video)), width_px=limit)
        _, frame = await anext(stream)
        await stream.aclose()
        assert frame.shape == (width * 48 // 64, width, 3)


async def test_the_event_loop_goes_on_while_a_source_blocks() -> None:
    class Slow:
        label = "slow"
        threads: set[str] = set()

        def read(self, t_s: float) -> np.ndarray:
            self.threads.add(threading.current_thread().name)
            time.sleep(0.3)
            return np.zeros((4, 4, 3), np.uint8)

        def close(self) -> None:
            self.threads.add(threading.current_thread().name)

    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    heart, stream = asyncio.create_task(beat()), sources.frames(Slow)
    await anext(stream)
    await stream.aclose()
    heart.cancel()
    assert beats >= 8
    assert Slow.threads and not any(name.startswith("Main") for name in Slow.threads)


@pytest.mark.parametrize("name, words", [
    ("nowhere.mp4", "no video file at nowhere.mp4"), (".", "no video file at"),
])
def test_a_file_that_is_not_there(name: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=words):
        sources.open_source(name)


@pytest.mark.parametrize("name, content", [("empty.mp4", b""), ("text.avi", b"not a video\n" * 50), ("0001.png", b"\x89PNG")])
def test_a_file_that_is_no_video(name: str, content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=name):
        sources.open_source(str(path))
    assert capfd.readouterr().err == "", "FFmpeg's own lines are kept from the user"


def test_a_file_that_is_cut_off(video: Path, tmp_path: Path) -> None:
    whole = video.read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(whole[:len(whole) // 2])
    source = sources.open_source(str(path))
    frames = [source.read(i / FPS) for i in range(COUNT)]
    assert frames[0] is not None and frames[-1] is None, "what is there is shown; then it ends"
    path.write_bytes(whole[:3000])
    with pytest.raises(DataError, match="cut.avi"):
        sources.open_source(str(path))


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(EnvironmentProblem, match="camera 97 cannot be opened.*/dev/video"):
        sources.open_source("97")


class FakeVideo:
    """A camera of 50 frames a second that can be unplugged."""

    def __init__(self, index: int) -> None:
        self.frames, self.plugged, self.released = 0, True, False

    def isOpened(self) -> bool:
        return True

    def grab(self) -> bool:
        time.sleep(0.02)
        self.frames += self.plugged
        return self.plugged

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.full((4, 4, 3), self.frames % 256, np.uint8)

    def release(self) -> None:
        self.released = True


def test_a_camera_gives_its_newest_frame_and_says_when_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "opencv", lambda: SimpleNamespace(VideoCapture=FakeVideo))
    camera = sources.open_source("0")
    video = camera._video  # type: ignore[attr-defined]
    time.sleep(0.5)
    frame = camera.read(0.0)
    assert frame is not None and camera.label == "camera 0"
    assert frame[0, 0, 0] >= 5, "frames nobody asked for are passed over"
    video.plugged = False
    time.sleep(0.1)
    with pytest.raises(EnvironmentProblem, match="camera 0 stopped giving frames"):
        camera.read(1.0)
    camera.close()
    assert video.released


@pytest.mark.parametrize("module, name", [
    ("cv2", "OpenCV"), ("mediapipe.python.solutions", "MediaPipe"), ("skimage", "scikit-image"),
])
def test_without_the_extra_the_error_names_it(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nociband.vision import extras

    extras.opencv.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    needed = {"OpenCV": extras.opencv, "MediaPipe": extras.face_mesh_module, "scikit-image": extras.astronaut}[name]
    with pytest.raises(EnvironmentProblem, match=rf"{name}.*nociband\[fusion\]"):
        needed()
