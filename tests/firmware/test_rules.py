"""What would take hours, power cuts or a bad radio to show: firmware sources with a test's own clock, memory and radio.

Each harness is C that calls the sources, compiled with the sanitizers: rules_harness.c pairing window, bonds and sampler;
band_harness.c and trust_harness.c the whole application (band_board.h); clock_harness.c the Cortex-M4F's clock.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nociband_tools.firmware import firmware_root, model_folder
from tests.firmware.conftest import MODEL

RULES = ("lib/nb_band/src/nb_bonds.c", "lib/nb_band/src/nb_pairing.c", "lib/nb_wire/src/nb_crc16.c", "src/app/sampler.c")
BAND = ("src/app/*.c", *(f"lib/{name}/src/*.c" for name in ("nb_wire", "nb_band", "nb_window", "nb_dsp", "nb_nn", "nb_model")))


@pytest.mark.parametrize(("harness", "sources"), [("rules", RULES), ("band", BAND), ("trust", BAND), ("clock", ())])
def test_rules(harness: str, sources: tuple[str, ...], tmp_path: Path) -> None:
    root = firmware_root()
    folders = [root / "src/app", root / "src/port/qemu", *root.glob("lib/*/src")]
    model = model_folder(MODEL) / "nb_model_data.c"
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", f'-DNB_MODEL_SOURCE="{model}"', *(f"-I{folder}" for folder in folders),
                    str(Path(__file__).with_name(f"{harness}_harness.c")),
                    *(str(path) for pattern in sources for path in sorted(root.glob(pattern))),
                    "-o", str(tmp_path / harness)], check=True)
    done = subprocess.run([tmp_path / harness], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
