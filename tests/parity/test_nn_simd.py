"""The instructions of the DSP extension and their portable twins (nb_nn_simd.h) give the same bits, on an emulated Cortex-M4F."""

from __future__ import annotations

from pathlib import Path

import pytest
from _clib import FIRMWARE_LIB, compile_c
from _m4 import FLAGS, GCC, HERE, build, emulate, needs_emulator

NN = FIRMWARE_LIB / "nb_nn/src"
pytestmark = needs_emulator
TWINS = {"dsp": (), "portable": ("-DNB_NN_PORTABLE",)}


@pytest.mark.parametrize("level", ["-O2", pytest.param("-Os", marks=pytest.mark.slow)])
def test_instructions_and_portable_twins_are_equal(level: str, tmp_path: Path) -> None:
    assert "equal" in emulate(_compiled(tmp_path, level, TWINS))


def test_another_instruction_is_noticed(tmp_path: Path) -> None:
    """SMMUL with another rounding is another function."""
    source = (NN / "nb_nn_simd.h").read_text().replace("smmulr %0", "smmul %0")
    (tmp_path / "nb_nn_simd.h").write_text(source)
    with pytest.raises(AssertionError, match="probe 22"):
        emulate(_compiled(tmp_path, "-O2", {**TWINS, "dsp": (f"-I{tmp_path}",)}))


def _compiled(into: Path, level: str, twins: dict[str, tuple[str, ...]]) -> Path:
    objects = []
    for name, flags in twins.items():
        objects.append(into / f"{name}.o")
        compile_c([GCC, *FLAGS, level, *flags, f"-I{NN}", f"-DPROBE=probe_{name}", "-c", str(HERE / "_simd_probe.c"), "-o",
                   str(objects[-1])])
    return build([HERE / "_simd_m4.c", *objects], into, (level,))
