"""The keys of one end of the virtual radio: its own address and what it bonded with, in one JSON file that only its owner reads.

Bumble's own key file is readable by everyone (mode 0644), and its reader is asynchronous, so that the state of a link could be
reported before the key behind it is known.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from bumble import hci
from bumble.keys import KeyStore, PairingKeys

from nociband.errors import DataError


def random_static_address() -> str:
    """A random static device address (Core specification, Vol 6, Part B, 1.3.2.1): the two highest bits are 1."""
    raw = bytearray(secrets.token_bytes(6))
    raw[0] |= 0xC0
    return ":".join(f"{b:02X}" for b in raw)


class KeyFile(KeyStore):
    """Own address and peers' keys in `path` (created with mode 0600, its folder with 0700), read anew at each use.

    Raises DataError when the file is not a key file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = self._load()
        if "address" not in content:
            content = {"address": random_static_address(), "peers": {}}
            self._save(content)
        self.address = hci.Address(content["address"], hci.Address.RANDOM_DEVICE_ADDRESS)

    def _load(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text("utf-8"))
            if not isinstance(content, dict) or not isinstance(content.get("peers"), dict):
                raise ValueError("not a key file")
        except FileNotFoundError:
            return {}
        except (ValueError, UnicodeDecodeError) as e:
            raise DataError(f"{self.path} is not a file of Bluetooth keys ({e}): delete it and pair again") from e
        return content

    def _save(self, content: dict[str, Any]) -> None:
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            json.dump(content, out, indent=1, sort_keys=True)
        os.replace(temporary, self.path)

    def peek(self, peer: str) -> PairingKeys | None:
        """The keys of `peer` (Bumble's text of its address), None when there is no bond."""
        keys = self._load().get("peers", {}).get(peer)
        return None if keys is None else PairingKeys.from_dict(keys)

    async def get(self, name: str) -> PairingKeys | None:
        """See peek."""
        return self.peek(name)

    async def get_all(self) -> list[tuple[str, PairingKeys]]:
        """Every bond."""
        return [(name, PairingKeys.from_dict(keys)) for name, keys in self._load().get("peers", {}).items()]

    async def update(self, name: str, keys: PairingKeys) -> None:
        """Store a bond; what was known of that peer before is replaced."""
        content = self._load()
        content["peers"][name] = keys.to_dict()
        self._save(content)

    async def delete(self, name: str) -> None:
        """Forget one peer; no error when it is not known."""
        content = self._load()
        if content["peers"].pop(name, None) is not None:
            self._save(content)

    async def delete_all(self) -> None:
        """Forget every peer; the own address stays."""
        self._save({**self._load(), "peers": {}})
