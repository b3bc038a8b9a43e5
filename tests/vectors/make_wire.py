"""Makes wire.json: frames as hex with the fields that they hold, and byte strings that no decoder may accept.

Every value is written out here by hand-readable rules and packed with struct, apart from the SDK's codec, so that the vectors
judge it and not the other way round. Run `python tests/vectors/make_wire.py` after a change of wire.toml and review the diff.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

PATH = Path(__file__).with_name("wire.json")
KINDS = {"signals": 1, "motion": 2, "features": 3, "prediction": 4, "status": 5}


def header(name: str, epoch: int, seq: int, t_us: int) -> bytes:
    """14 bytes: kind, epoch, seq, t_us."""
    return struct.pack("<BBIQ", KINDS[name], epoch, seq, t_us)


def vector(name: str, epoch: int, seq: int, t_us: int, body: bytes, fields: dict) -> dict:
    """One good frame."""
    return {"name": name, "hex": (header(name, epoch, seq, t_us) + body).hex(), "epoch": epoch, "seq": seq, "t_us": t_us,
            "fields": fields}


def good() -> list[dict]:
    """One frame of each kind with ordinary values, one with every value at a limit."""
    emg, eda = [(37 * i) % 4001 - 2000 for i in range(80)], [511, 513]
    accel = [(13 * i) % 2001 - 1000 for i in range(75)]
    features, logits = [100 * i - 1500 for i in range(30)], [-3, 0, 1200, 32767, -32768, 0, 0, 0]
    status = {"state": 1, "battery_percent": 87, "flags": 12, "samples_taken": 123456, "underruns": 2, "frames_sent": 4242,
              "frames_dropped": 3, "predictions": 123}
    prediction = {"frame_index": 524, "why": 257, "quality_percent": 93, "outputs": 5, "compute_us": 4321, "logits": logits}
    frames = [
        vector("signals", 7, 1000, 123_456_789, struct.pack("<I2H80h", 40_000, *eda, *emg),
               {"sample_index": 40_000, "eda_counts": eda, "emg_counts": emg}),
        vector("motion", 7, 1001, 123_000_000, struct.pack("<I75h", 25, *accel), {"sample_index": 25, "accel_mg": accel}),
        vector("features", 7, 1002, 123_200_000, struct.pack("<I30h", 5, *features), {"frame_index": 5, "features": features}),
        vector("prediction", 7, 1003, 123_400_000, struct.pack("<IHBBI8h", *list(prediction.values())[:-1], *logits), prediction),
        vector("status", 7, 1004, 123_500_000, struct.pack("<BBHIIIII", *status.values()), status),
    ]
    top = {"sample_index": 2**32 - 1, "eda_counts": [0, 65535], "emg_counts": [-32768, 32767] * 40}
    frames.append(vector("signals", 255, 2**32 - 1, 2**64 - 1,
                         struct.pack("<I2H80h", top["sample_index"], *top["eda_counts"], *top["emg_counts"]), top))
    return frames


def bad(frames: list[dict]) -> list[dict]:
    """Byte strings to refuse, and why."""
    signals, status = bytes.fromhex(frames[0]["hex"]), bytes.fromhex(frames[4]["hex"])
    rows = [("empty", b""), ("shorter than a header", signals[:13]), ("a header alone", signals[:14]),
            ("one byte short", signals[:-1]), ("one byte long", signals + b"\0"), ("kind 0", b"\0" + signals[1:]),
            ("kind 255", b"\xff" + signals[1:]), ("status with the body of signals", status[:14] + signals[14:]),
            ("longer than a frame may be", signals + bytes(100)), ("only zeros", bytes(244)), ("only ones", b"\xff" * 244)]
    return [{"what": what, "hex": data.hex()} for what, data in rows]


def make() -> str:
    """The file's text."""
    frames = good()
    return json.dumps({"frames": frames, "refused": bad(frames)}, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(make(), "utf-8")
