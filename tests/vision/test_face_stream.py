"""The live face side from source to record, and that no frame ever reaches a disk."""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import nociband.vision
from nociband.errors import DataError
from nociband.vision import FaceStream
from nociband.vision.clip import LABEL, PERIOD_S, Clip, intensity
from tests.vision.test_source import make_video


async def test_the_clip_acts_and_its_record_says_synthetic() -> None:
    async with FaceStream("clip", realtime=False) as faces:
        records = []
        async for measures in faces:
            records.append(measures)
            if len(records) == int(8 * PERIOD_S):
                break
    assert {r.source for r in records} == {LABEL} and LABEL.startswith("synthetic")
    start = records[0].host_time_s
    neutral = [r.score for r in records if r.score is not None and intensity(r.host_time_s - start) == 0]
    acting = [r.score for r in records if r.score is not None and intensity(r.host_time_s - start) == 1]
    assert len(neutral) > 10 and len(acting) > 10
    assert max(neutral) < 2 < 5 < np.median(acting)
    assert records[0].why == ("baseline_unfinished",)


async def test_live_it_gives_at_least_five_updates_a_second() -> None:
    async with FaceStream("clip") as faces:
        await anext(faces)
        start, count = time.monotonic(), 0
        async for measures in faces:
            count += 1
            assert abs(measures.host_time_s - time.time()) < 1
            if time.monotonic() - start >= 2:
                break
    assert count >= 10


async def test_no_face_in_the_video_is_a_state_and_not_a_crash(tmp_path: Path) -> None:
    black = make_video(tmp_path / "black.avi", [np.zeros((120, 160, 3), np.uint8)] * 20)
    async with FaceStream(str(black), realtime=False) as faces:
        records = [m async for m in faces]
    assert len(records) == 8
    assert all((r.why, r.score, r.quality, r.brow_lowering) == (("no_face",), None, 0.0, None) for r in records)


async def test_a_face_that_leaves_comes_back_to_its_own_neutral(tmp_path: Path, clip: Clip) -> None:
    face, empty = clip.draw({}), np.full((480, 480, 3), 90, np.uint8)
    video = make_video(tmp_path / "leaves.avi", [face] * 80 + [empty] * 30 + [face] * 40)
    async with FaceStream(str(video), realtime=False) as faces:
        records = [m async for m in faces]
    whys = [r.why for r in records]
    assert whys[0] == ("baseline_unfinished",) and ("no_face",) in whys and whys[-1] == ()
    assert records[-1].score is not None and records[-1].score < 1


async def test_a_source_that_cannot_be_read_raises_at_the_first_step(tmp_path: Path) -> None:
    faces = FaceStream(str(tmp_path / "nothing.mp4"))
    with pytest.raises(DataError, match="nothing.mp4"):
        await anext(faces)
    await faces.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(faces)


async def test_cancelling_closes_the_source(clip: Clip) -> None:
    class Watched:
        label, closed = "watched", False

        def read(self, t_s: float) -> np.ndarray | None:
            return clip.read(t_s)

        def close(self) -> None:
            self.closed = True

    watched = Watched()

    async def watch() -> None:
        async for _ in FaceStream(lambda: watched):
            pass

    task = asyncio.create_task(watch())
    await asyncio.sleep(0.8)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.2)
    assert watched.closed


# --- Frames are never written ----------------------------------------------------------------------------------------------

_WATCHED_RUN = """
    import asyncio, os, sys
    opened = []
    def audit(event, args):
        if event != "open" or not isinstance(args[0], str):
            return
        path, mode, flags = args
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or any(c in (mode or "") for c in "wax+"):
            opened.append(path)
    from nociband.vision import FaceStream, extras
    extras.opencv(), extras.face_mesh_module(), extras.astronaut()  # what libraries write when imported is no frame
    sys.addaudithook(audit)
    async def main():
        async with FaceStream(sys.argv[1], realtime=False) as faces:
            count = 0
            async for measures in faces:
                count += 1
                if count == 40:
                    break
        return count
    assert asyncio.run(main()) == 40
    print(opened)
"""


@pytest.mark.parametrize("kind", ["clip", "file"])
def test_the_live_path_writes_nothing(kind: str, tmp_path: Path, clip: Clip) -> None:
    """Watched from inside, for what Python opens, and from outside, for what C++ leaves in any folder it may write to."""
    source = "clip" if kind == "clip" else str(make_video(tmp_path / "face.avi", [clip.draw({})] * 120))
    folders = {name: tmp_path / name.lower() for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "CWD")}
    for folder in folders.values():
        folder.mkdir()
    fonts = tmp_path / "fonts"  # matplotlib, which MediaPipe imports, keeps a list of fonts
    env = os.environ | {name: str(folder) for name, folder in folders.items() if name != "CWD"} | {"MPLCONFIGDIR": str(fonts)}
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(_WATCHED_RUN), source], cwd=folders["CWD"], env=env,
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
    assert run.stderr == "", "MediaPipe's chatter is kept from the user"
    assert [p for folder in folders.values() for p in folder.rglob("*") if p.is_file()] == []


def test_vision_has_no_code_that_could_write_a_frame() -> None:
    writers = {"imwrite", "imwritemulti", "imwriteanimation", "VideoWriter", "write_bytes", "write_text", "tofile", "save",
               "savez", "open"}
    for path in Path(nociband.vision.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            assert name not in writers, f"{path.name}: {name}"
