"""The contract and what is generated from it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nociband.errors import WireError
from nociband.spec import SPEC, load

ROOT = Path(__file__).resolve().parents[2]


def _generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "nociband_tools.generate", "--root", str(root), *arguments],
                          capture_output=True, text=True)


def test_the_committed_files_are_what_the_contract_generates() -> None:
    result = _generate(ROOT, "--check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_check_fails_on_an_edited_file(tmp_path: Path) -> None:
    assert _generate(tmp_path).returncode == 0
    header = tmp_path / "firmware/lib/nb_spec/src/nb_wire_spec.h"
    header.write_text(header.read_text().replace("NB_WIRE_MAJOR 1u", "NB_WIRE_MAJOR 2u"))
    result = _generate(tmp_path, "--check")
    assert result.returncode == 1
    assert "NB_WIRE_MAJOR" in result.stdout and "make gen" in result.stderr


def test_the_headers_compile_as_strict_c11(tmp_path: Path) -> None:
    source = tmp_path / "t.c"
    headers = ("nb_wire_spec.h", "nb_features_spec.h", "nb_bridge_spec.h")
    source.write_text("".join(f'#include "{h}"\n' for h in headers) + "int main(void){return 0;}\n")
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "firmware/lib/nb_spec/src")]
    subprocess.run([shutil.which("gcc") or "gcc", *flags, "-c", str(source), "-o", str(tmp_path / "t.o")], check=True)


def test_uuids_are_distinct_and_their_two_orders_mirror_each_other() -> None:
    uuids = [SPEC.service_uuid, *(c.uuid for c in SPEC.characteristics.values())]
    assert len(set(uuids)) == len(uuids)
    header = (ROOT / "firmware/lib/nb_spec/src/nb_wire_spec.h").read_text()
    for u in uuids:
        little = ", ".join(f"0x{b:02x}" for b in u.bytes[::-1])
        big = ", ".join(f"0x{b:02x}" for b in u.bytes)
        assert little in header and big in header


def test_everything_but_info_needs_a_bond() -> None:
    assert {c.name for c in SPEC.characteristics.values() if c.security == "open"} == {"info"}


def test_a_signals_frame_fits_the_smallest_mtu_it_is_sent_at() -> None:
    longest = SPEC.records["frame_header"].size + max(r.size for r in SPEC.records.values() if r.kind)
    assert longest <= SPEC.wire["wire"]["att_mtu_signals_min"] - 3


def test_the_hash_follows_meaning_and_not_comments() -> None:
    assert load().hash == SPEC.hash
    assert len(SPEC.hash) == 64


@pytest.mark.parametrize("layout", [r for r in SPEC.records.values()], ids=lambda r: r.name)
def test_layouts_round_trip_and_refuse_what_does_not_fit(layout) -> None:
    values = {f.name: b"xyz" if f.count == 0 else 1 if f.count == 1 else np.arange(f.count) % 100 for f in layout.fields}
    raw = layout.pack(**values)
    assert len(raw) == layout.size + (3 if layout.open_ended else 0)
    back = layout.unpack(raw)
    assert all(np.array_equal(back[n], values[n]) if isinstance(values[n], np.ndarray) else back[n] == values[n] for n in values)
    with pytest.raises(WireError):
        layout.unpack(raw[: layout.size - 1])
    if not layout.open_ended:
        with pytest.raises(WireError):
            layout.unpack(raw + b"\0")
    first = layout.fields[0]
    if first.count == 1:
        with pytest.raises(WireError):
            layout.pack(**{**values, first.name: 1 << 64})
