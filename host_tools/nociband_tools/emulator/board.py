"""The virtual board: what the factory wrote on the band and its label, its button and battery, and the folder that keeps it.

The state folder holds identity.json (serial number and passkey, drawn at first use), radio_keys.json (the virtual radio's keys),
nvm.bin (the band's own memory), fed.bin and firmware.log. One emulator at a time uses it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nociband.errors import DataError, EnvironmentProblem
from nociband.spec import SPEC
from nociband_tools.radio.bridge import Channel

SERIAL_BYTES = 8
BATTERY_PERCENT = 100


@dataclass(frozen=True)
class Identity:
    """`serial` eight ASCII characters, `passkey` 1-999999."""

    serial: str
    passkey: int

    @property
    def label(self) -> str:
        """The passkey as the label shows it."""
        return f"{self.passkey:06d}"


class StateFolder:
    """One emulated band's files. Raises EnvironmentProblem when the folder cannot be used or another emulator uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock: IO[str] = (self.path / "lock").open("w")
        except OSError as e:
            raise EnvironmentProblem(f"the state folder {self.path} cannot be used ({e.strerror or e}): choose another with "
                                     "--state") from e
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise EnvironmentProblem(f"another emulated band runs on {self.path}: stop it, or choose another folder with "
                                     "--state") from None

    def identity(self) -> Identity:
        """This band's identity, drawn when the folder is new. Raises DataError when the file is damaged."""
        file = self.path / "identity.json"
        try:
            content = json.loads(file.read_text("utf-8"))
            identity = Identity(str(content["serial"]), int(content["passkey"]))
            if len(identity.serial.encode("ascii")) != SERIAL_BYTES or not 0 < identity.passkey <= 999_999:
                raise ValueError("out of range")
        except FileNotFoundError:
            identity = Identity(f"EM{secrets.token_hex(3).upper()}", 1 + secrets.randbelow(999_999))
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as out:
                json.dump({"serial": identity.serial, "passkey": identity.passkey}, out)
        except (ValueError, KeyError, TypeError) as e:
            raise DataError(f"{file} is damaged ({e}): delete the folder to make a new band") from e
        return identity

    def close(self) -> None:
        """Let another emulator have the folder."""
        self._lock.close()


def introduce(board: Channel, identity: Identity, sites: tuple[str, str]) -> None:
    """Tell the band what the factory wrote and what its battery has."""
    board.send("identity", serial=identity.serial.encode("ascii"), passkey=identity.passkey,
               sites=bytes(SPEC.sites[s] for s in sites))
    board.send("battery", percent=BATTERY_PERCENT)
