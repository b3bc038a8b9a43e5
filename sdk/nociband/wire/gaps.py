"""Which frames are missing: follows the sequence numbers of the stream and says where they have holes.

Numbers come from decoded frames (wire.reader); Gap records go to the application. Sequence numbers are u32 in an epoch and
start at 0; epochs are u8. Both are compared modulo their size, so that a wrap is not a hole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nociband.records import Gap

SEQ_MODULUS = 1 << 32
HOLES_KEPT = 1024


class Verdict(Enum):
    """What a frame is to the sequence so far."""

    NEXT = "next"              # take it
    LATE = "late"              # fills a hole that was reported
    DUPLICATE = "duplicate"    # was taken before
    STALE = "stale"            # of another session than the one that is followed


@dataclass
class _Hole:
    first: int
    count: int


class GapDetector:
    """Follows one session (epoch) at a time; a session is begun by `begin`, or by the first frame of an epoch not seen before.

    A frame of the session before the current one is stale: it was on its way when the new one began. Memory is bounded:
    of very many holes only the newest can still be recognised as filled late.
    """

    def __init__(self) -> None:
        self.epoch: int | None = None
        self.expected = 0
        self._previous: int | None = None
        self._pinned = False
        self._holes: list[_Hole] = []

    def begin(self, epoch: int) -> None:
        """A session was started and answered with this epoch: only its frames count from now on."""
        self._turn_to(epoch)
        self._pinned = True

    def push(self, epoch: int, seq: int) -> tuple[Verdict, Gap | None]:
        """Judge a frame; with a hole before it, the Gap that says so (to be told before the frame)."""
        if epoch != self.epoch:
            if self._pinned or epoch == self._previous:
                return Verdict.STALE, None
            self._turn_to(epoch)
        ahead = (seq - self.expected) % SEQ_MODULUS
        if ahead >= SEQ_MODULUS // 2:
            return (Verdict.LATE if self._fill(seq) else Verdict.DUPLICATE), None
        gap = self._open(ahead) if ahead else None
        self.expected = (seq + 1) % SEQ_MODULUS
        return Verdict.NEXT, gap

    def finish(self, frames: int) -> Gap | None:
        """The session is over and had so many frames: the Gap of those missing at its end, if any."""
        missing = (frames - self.expected) % SEQ_MODULUS
        if self.epoch is None or not 0 < missing < SEQ_MODULUS // 2:
            return None
        gap = self._open(missing)
        self.expected = frames % SEQ_MODULUS
        return gap

    def _turn_to(self, epoch: int) -> None:
        if epoch != self.epoch:
            self._previous = self.epoch
        self.epoch, self.expected, self._holes = epoch, 0, []

    def _open(self, count: int) -> Gap:
        assert self.epoch is not None
        self._holes = [*self._holes[-HOLES_KEPT + 1:], _Hole(self.expected, count)]
        return Gap(self.epoch, self.expected, count)

    def _fill(self, seq: int) -> bool:
        """Take `seq` out of the hole that it belongs to; False when there is none."""
        for i, hole in enumerate(self._holes):
            at = (seq - hole.first) % SEQ_MODULUS
            if at < hole.count:
                after = _Hole((seq + 1) % SEQ_MODULUS, hole.count - at - 1)
                hole.count = at
                self._holes[i:i + 1] = [h for h in (hole, after) if h.count]
                return True
        return False
