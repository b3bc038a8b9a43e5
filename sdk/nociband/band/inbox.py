"""The bounded queue between the radio's callback and the application: raw frames in, raw frames out, and how it ended.

Frames come from band.link's callback; `Band.stream` takes them out. When the application is too slow the oldest half is thrown
away at once and counted: one gap to tell instead of many, and memory that cannot grow.
"""

from __future__ import annotations

import asyncio
from collections import deque

from nociband.errors import BandDisconnected

FRAMES_MAX = 2048       # a minute of everything


class Inbox:
    """One consumer. `frames_max` bounds what waits."""

    def __init__(self, frames_max: int = FRAMES_MAX) -> None:
        self._frames: deque[tuple[bytes, float]] = deque()
        self._frames_max = frames_max
        self._overflowed = 0
        self._ended = False
        self._error: BandDisconnected | None = None
        self._news = asyncio.Event()

    def put(self, data: bytes, received_s: float) -> None:
        """A frame arrived at this host time."""
        if len(self._frames) >= self._frames_max:
            for _ in range(self._frames_max // 2):
                self._frames.popleft()
            self._overflowed += self._frames_max // 2
        self._frames.append((data, received_s))
        self._news.set()

    def end(self) -> None:
        """Nothing more will come, as was wished."""
        self._ended = True
        self._news.set()

    def fail(self, error: BandDisconnected) -> None:
        """Nothing more will come, as was not wished; what is queued can still be taken."""
        self._error = self._error or error
        self._news.set()

    def reset(self) -> None:
        """Begin anew, on a link that is up."""
        self._frames.clear()
        self._ended, self._error, self._overflowed = False, None, 0
        self._news.clear()

    def resume(self) -> None:
        """The link is back: forget how it ended, keep what is queued."""
        self._error = None

    def take_overflow(self) -> int:
        """How many frames were thrown away since this was last asked."""
        count, self._overflowed = self._overflowed, 0
        return count

    async def get(self, timeout_s: float) -> tuple[bytes, float] | None:
        """The next frame; None at the end. Raises BandDisconnected when the link failed or nothing came for timeout_s."""
        while not self._frames:
            if self._ended:
                return None
            if self._error is not None:
                raise self._error
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), timeout_s)
            except TimeoutError:
                raise BandDisconnected(f"nothing came from the band for {timeout_s:g} s: bring it into reach and see that it "
                                       "is on, then connect again") from None
        return self._frames.popleft()
