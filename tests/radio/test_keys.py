"""The key file: for its owner only, whole, and forgetful when told."""

from __future__ import annotations

import json
import stat

import pytest
from bumble.keys import PairingKeys

from nociband.errors import DataError
from nociband_tools.radio.keys import KeyFile


def _keys() -> PairingKeys:
    return PairingKeys(ltk=PairingKeys.Key(bytes(16), authenticated=True))


async def test_only_the_owner_reads_it_also_after_an_update(tmp_path) -> None:
    keys = KeyFile(tmp_path / "new" / "keys.json")
    await keys.update("AA", _keys())
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700
    assert [p.name for p in keys.path.parent.iterdir()] == ["keys.json"]


async def test_bonds_and_the_own_address_outlive_the_process(tmp_path) -> None:
    first = KeyFile(tmp_path / "keys.json")
    await first.update("AA", _keys())
    again = KeyFile(tmp_path / "keys.json")
    assert again.address == first.address and again.address.is_static
    assert again.peek("AA").ltk.authenticated
    await again.delete_all()
    assert first.peek("AA") is None and KeyFile(tmp_path / "keys.json").address == first.address


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"address": "x"}), "\udcff"])
def test_a_damaged_file_says_what_to_do(tmp_path, content) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match="delete it and pair again"):
        KeyFile(path)
