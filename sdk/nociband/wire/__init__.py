"""The wire without I/O: frames to records, holes in the sequence, device time to host time.

Bytes come from nociband.band or nociband.store; layouts from spec/wire.toml; records go back to them.
"""

from nociband.wire.clock import ClockFit
from nociband.wire.codec import Frame, decode_frame, encode_frame, peek_epoch, peek_kind
from nociband.wire.gaps import GapDetector, Verdict
from nociband.wire.reader import Account, StreamReader

__all__ = ["Account", "ClockFit", "Frame", "GapDetector", "StreamReader", "Verdict", "decode_frame", "encode_frame", "peek_epoch",
           "peek_kind"]
