"""Session files: everything that a band sent, as it came, with what is needed to read it again and an account of what is missing.

In: notifications and time exchanges (from a recorder that listens to nociband.band). Out: the same typed records with the same
host times as live, however the file ended. The format is in store.entries.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nociband.errors import DataError, SpecError, WireError
from nociband.manifest import Manifest
from nociband.records import Record
from nociband.spec import SPEC
from nociband.store.entries import EXCHANGE, MAGIC, RECEIVED, Entry, pack_entry, read_entries
from nociband.wire import Account, ClockFit, StreamReader

SYNC_EVERY_S = 2.0      # at most so much is lost when the power fails


class SessionWriter:
    """Appends to a new session file (mode 0600: it holds a person's signals). Use as a context manager or call `close`."""

    def __init__(self, path: Path, manifest: Manifest, about: dict[str, Any]) -> None:
        """`about`: JSON-able facts of the band for the header. Raises DataError when the file is there or cannot be made."""
        try:
            self._file: BinaryIO = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except FileExistsError as e:
            raise DataError(f"{path} is there already: choose another name, recordings are never overwritten") from e
        except OSError as e:
            raise DataError(f"{path} cannot be written ({e.strerror}): choose another folder") from e
        self._path, self._synced_s, self._ended = path, time.monotonic(), False
        header = {**about, "wire": f"{SPEC.major}.{SPEC.minor}", "spec_hash": SPEC.hash, "created_s": time.time()}
        self._write(MAGIC + pack_entry("H", json.dumps(header).encode()) + pack_entry("M", manifest.json_bytes))
        self._sync()

    def __enter__(self) -> SessionWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, epoch: int) -> None:
        """A session was started on the band."""
        self._write(pack_entry("B", bytes([epoch])))

    def exchange(self, sent_s: float, t_us: int, received_s: float) -> None:
        """A time exchange, as ClockFit takes it."""
        self._write(pack_entry("T", EXCHANGE.pack(sent_s, t_us, received_s)))

    def frame(self, data: bytes, received_s: float) -> None:
        """A notification as it came, before it is decoded."""
        self._write(pack_entry("F", RECEIVED.pack(received_s) + data))
        if time.monotonic() - self._synced_s >= SYNC_EVERY_S:
            self._sync()

    def end(self, account: Account, frames_in_all: int | None) -> None:
        """The session ended as it should (frames_in_all), or the link was lost (None); what was received, and what was not."""
        self._write(pack_entry("E", json.dumps({"account": asdict(account), "frames_in_all": frames_in_all}).encode()))
        self._sync()
        self._ended = True

    def close(self) -> None:
        """Close the file. Without `end` before, readers are told that the recording broke off."""
        if not self._file.closed:
            self._sync()
            self._file.close()

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as e:
            raise DataError(f"{self._path}: writing failed ({e.strerror}); what was written before can be read") from e

    def _sync(self) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as e:
            raise DataError(f"{self._path}: writing failed ({e.strerror}); what was written before can be read") from e
        self._synced_s = time.monotonic()


@dataclass(frozen=True)
class Completeness:
    """What a session file holds and what it does not. `whole`: it ended as it should and no frame is missing."""

    frames: int
    lost: int
    gaps: int
    ended: bool
    problems: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Nothing is missing."""
        return self.ended and not self.lost and not self.problems


class Session:
    """A session file that was opened. `about` is its header, `manifest` the model's; iterate over `records()`."""

    def __init__(self, path: Path, about: dict[str, Any], manifest: Manifest, entries: list[Entry]) -> None:
        self.path, self.about, self.manifest = path, about, manifest
        self._entries = entries

    def records(self) -> Iterator[Record]:
        """The records in order, as they were live: same values, same host times, same gaps."""
        reader = StreamReader(self.manifest, ClockFit())
        yield from self._replay(reader)

    def completeness(self) -> Completeness:
        """Reads all of it and says what is there."""
        reader = StreamReader(self.manifest, ClockFit())
        for _ in self._replay(reader):
            pass
        ended = any(e.kind == "E" and _json(e).get("frames_in_all") is not None for e in self._entries)
        problems = [e.problem for e in self._entries if e.problem]
        if not ended:
            problems.append("the recording broke off: what came after it is not in the file")
        if reader.account.damaged:
            problems.append(f"{reader.account.damaged} frames were damaged on the way ({reader.account.last_damage})")
        return Completeness(reader.account.received, reader.account.lost, reader.account.gaps, ended, tuple(problems))

    def _replay(self, reader: StreamReader) -> Iterator[Record]:
        begun = False
        for entry in self._entries:
            if entry.kind == "T":
                _exchange(reader.clock, entry)
            elif entry.kind == "B":
                if begun:
                    yield from reader.abandon()
                reader.begin(entry.payload[0])
                begun = True
            elif entry.kind == "F" and reader.clock.ready:
                yield from reader.feed(entry.payload[RECEIVED.size:], RECEIVED.unpack_from(entry.payload)[0])
            elif entry.kind == "E" and (frames := _json(entry).get("frames_in_all")) is not None:
                yield from reader.finish(int(frames))


def _exchange(clock: ClockFit, entry: Entry) -> None:
    try:
        clock.exchange(*EXCHANGE.unpack(entry.payload))
    except WireError:       # it was void when it was made, too
        return


def _json(entry: Entry) -> dict[str, Any]:
    try:
        value = json.loads(entry.payload)
    except ValueError as e:
        raise DataError(f"a session file's entry {entry.kind!r} is not JSON ({e}): it was not written by this project") from e
    return value if isinstance(value, dict) else {}


def open_session(path: Path | str) -> Session:
    """Open a session file, also one that broke off: what is whole can be read, `completeness()` says what is missing.

    Raises DataError when it is not there, not a session file, or breaks off before the manifest; SpecError when it was made
    with another specification than this SDK's.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as e:
        raise DataError(f"{path} cannot be read ({e.strerror}): give the file that `nociband record` wrote") from e
    if not data.startswith(MAGIC):
        raise DataError(f"{path} is not a session file of this project (or one of another format): `nociband record` writes them")
    entries = list(read_entries(data))
    head = {e.kind: e for e in entries[:2]}
    if "H" not in head or "M" not in head:
        raise DataError(f"{path} breaks off before the manifest ({len(data)} bytes): nothing in it can be read")
    about = _json(head["H"])
    if about.get("spec_hash") != SPEC.hash:
        raise SpecError(f"{path} was recorded with specification {str(about.get('spec_hash'))[:16]}, this SDK has "
                        f"{SPEC.hash[:16]}: read it with the release that recorded it")
    return Session(path, about, Manifest.from_json(head["M"].payload), entries[2:])
