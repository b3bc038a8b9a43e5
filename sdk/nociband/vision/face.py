"""The live face side: the name of a video source in, an async stream of `FaceMeasures` out.

Decoding and the face mesh run in worker threads; the event loop only passes results on. Frames are handed on in
memory and forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import numpy as np

from nociband.records import FaceMeasures
from nociband.vision import source as sources
from nociband.vision.landmarks import FaceMesh
from nociband.vision.measures import BASELINE_S, FaceMeasurer
from nociband.vision.quality import Quality, assess


class FaceStream:
    """Measures of the face in a video source, some eight times a second.

        async with FaceStream("clip") as faces:
            async for measures in faces:
                show(measures.score, measures.why)

    `source` is a camera number ("0"), a video file or "clip", or a function that opens a FrameSource. The source is opened
    at the first step, where EnvironmentProblem and DataError are raised as `sources.open_source` says.
    """

    def __init__(self, source: str | Callable[[], sources.FrameSource], *, fps: float = sources.FPS,
                 width_px: int = sources.WIDTH_PX, loop: bool = False, realtime: bool = True,
                 baseline_s: float = BASELINE_S) -> None:
        name = source
        self._open = (lambda: sources.open_source(name, loop)) if isinstance(name, str) else name
        self._fps, self._width_px, self._realtime, self._baseline_s = fps, width_px, realtime, baseline_s
        self._label = ""
        self._measures = self._run()

    def __aiter__(self) -> FaceStream:
        return self

    async def __anext__(self) -> FaceMeasures:
        return await self._measures.__anext__()

    async def __aenter__(self) -> FaceStream:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the camera or file; the stream ends."""
        await self._measures.aclose()

    async def _run(self) -> AsyncGenerator[FaceMeasures, None]:
        pool = ThreadPoolExecutor(1, thread_name_prefix="face")
        call = asyncio.get_running_loop().run_in_executor
        mesh, measurer = None, FaceMeasurer(baseline_s=self._baseline_s)
        frames = sources.frames(self._open_labelled, fps=self._fps, width_px=self._width_px, realtime=self._realtime)
        try:
            async for host_time_s, frame in frames:
                if mesh is None:
                    mesh = await call(pool, FaceMesh)
                    measurer.source = self._label
                yield await call(pool, _measure, mesh, measurer, host_time_s, frame)
        finally:
            await frames.aclose()
            if mesh is not None:
                pool.submit(mesh.close)
            pool.shutdown(wait=False)

    def _open_labelled(self) -> sources.FrameSource:
        source = self._open()
        self._label = source.label
        return source


def _measure(mesh: FaceMesh, measurer: FaceMeasurer, host_time_s: float, frame: np.ndarray) -> FaceMeasures:
    landmarks = mesh.find(frame)
    quality = Quality(0.0, ("no_face",)) if landmarks is None else assess(frame, landmarks)
    return measurer.measure(host_time_s, landmarks, quality)
