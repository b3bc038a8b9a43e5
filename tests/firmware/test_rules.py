"""Pairing window, bonds and sampler with a clock and a memory of the test's own (rules_harness.c), under the sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

from nociband_tools.firmware import firmware_root

SOURCES = ("lib/nb_band/src/nb_bonds.c", "lib/nb_band/src/nb_pairing.c", "lib/nb_wire/src/nb_crc16.c", "src/app/sampler.c")


def test_rules(tmp_path: Path) -> None:
    root = firmware_root()
    folders = ["src/app", *(f"lib/{name}/src" for name in ("nb_spec", "nb_wire", "nb_band"))]
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", *(f"-I{root / folder}" for folder in folders),
                    str(Path(__file__).with_name("rules_harness.c")), *(str(root / s) for s in SOURCES),
                    "-o", str(tmp_path / "rules")], check=True)
    done = subprocess.run([tmp_path / "rules"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
