"""The build: from nothing and without the registry, the chosen model, the budgets, and what is not in the image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from nociband.errors import EnvironmentProblem, ModelError
from nociband_tools import firmware
from tests.firmware.conftest import MODEL

NOWHERE = "http://127.0.0.1:9"  # nobody listens: whoever tries to fetch something fails


def pio(folder: Path, core: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pio run` as a user types it, with an own core directory and no way to the registry."""
    variables = {k: v for k, v in os.environ.items() if k != "NOCIBAND_MODEL" and not k.startswith("PLATFORMIO_")}
    variables |= {"PLATFORMIO_CORE_DIR": str(core), "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
                  "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no", "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE,
                  "http_proxy": NOWHERE, "https_proxy": NOWHERE}
    if not core.exists():
        subprocess.run([sys.executable, str(folder / "tools" / "pio_offline.py")], env=variables, check=True)
    return subprocess.run([sys.executable, "-m", "platformio", "run", *arguments], cwd=folder, env=variables,
                          capture_output=True, text=True, timeout=240)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The firmware folder as a fresh clone has it."""
    target = tmp_path / "firmware"
    shutil.copytree(firmware.firmware_root(), target, ignore=shutil.ignore_patterns(".pio", "__pycache__"))
    return target


@pytest.mark.slow
def test_pio_run_from_nothing_then_over_budget(copy: Path, tmp_path: Path) -> None:
    done = pio(copy, tmp_path / "core")
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = (copy / "models" / MODEL / "manifest.json").read_bytes()
    for program in ("native/program", "qemu/firmware.elf"):
        assert manifest in (copy / ".pio" / "build" / program).read_bytes()
    (copy / "size_budgets.json").write_text(json.dumps({"qemu": {"flash": 1000, "ram": 1_000_000}}))
    done = pio(copy, tmp_path / "core", "-e", "qemu")
    assert done.returncode != 0 and "over the budget of size_budgets.json: flash" in done.stdout + done.stderr


@pytest.mark.slow
def test_custom_model_selects(copy: Path, tmp_path: Path) -> None:
    other = next(p.parent for p in sorted((copy / "models").glob("*/nb_model_data.c")) if p.parent.name != MODEL)
    ini = copy / "platformio.ini"
    ini.write_text(ini.read_text().replace(f"custom_model = {MODEL}", f"custom_model = {other.name}"))
    assert pio(copy, tmp_path / "core", "-e", "native").returncode == 0
    assert (other / "manifest.json").read_bytes() in (copy / ".pio/build/native/program").read_bytes()
    ini.write_text(ini.read_text().replace(f"custom_model = {other.name}", "custom_model = nowhere"))
    done = pio(copy, tmp_path / "core", "-e", "native")
    assert done.returncode != 0 and "no model 'nowhere'" in done.stdout + done.stderr and MODEL in done.stdout + done.stderr


@pytest.mark.slow
def test_image_fits_the_part_and_has_no_heap() -> None:
    with firmware.build("qemu", MODEL).open("rb") as f:
        elf = ELFFile(f)
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        names = {symbol.name for symbol in table.iter_symbols()}
        ends = [(s["p_vaddr"], s["p_vaddr"] + s["p_memsz"]) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
    for start, end in ends:
        assert end <= 0x100000 or (start >= 0x20000000 and end <= 0x20040000), (hex(start), hex(end))
    assert not names & {"malloc", "_malloc_r", "_sbrk", "free", "printf", "__aeabi_dadd"}
    assert {"Reset_Handler", "nb_model_run", "nb_dsp_block"} <= names


def test_a_changed_model_is_built_anew(tmp_path: Path) -> None:
    """A model by its path, changed in place: the next build carries the change, and one after it has nothing to do."""
    model = tmp_path / "altered"
    shutil.copytree(firmware.firmware_root() / "models" / MODEL, model)
    out = firmware.build("native", model).parents[1]
    try:
        with (model / "nb_model_data.c").open("a") as f:
            f.write('\nconst char nb_test_mark[] = "a mark that nothing else has";\n')
        program = firmware.build("native", model)
        assert b"a mark that nothing else has" in program.read_bytes()
        before = program.stat().st_mtime_ns
        assert firmware.build("native", str(model)).stat().st_mtime_ns == before
    finally:
        shutil.rmtree(out)


def test_nothing_runs_when_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    program = firmware.build("native", MODEL)
    monkeypatch.setattr(firmware, "_run_platformio", lambda *_: pytest.fail("PlatformIO ran"))
    assert firmware.build("native", MODEL) == program


def test_clear_messages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"no model 'nowhere'.*{MODEL}"):
        firmware.build("native", "nowhere")
    with pytest.raises(EnvironmentProblem, match="native, native_asan, qemu"):
        firmware.build("esp8266", MODEL)
    monkeypatch.setenv("PATH", str(tmp_path))
    for env, line in (("qemu", "apt-get install gcc-arm-none-eabi"), ("native", "apt-get install gcc")):
        with pytest.raises(EnvironmentProblem, match=line):
            firmware._require(env)


def test_a_broken_model_says_why(tmp_path: Path) -> None:
    model = tmp_path / "broken"
    model.mkdir()
    (model / "nb_model_data.c").write_text("#error this model does not compile\n")
    with pytest.raises(EnvironmentProblem, match="this model does not compile"):
        firmware.build("native", model)
    shutil.rmtree(firmware.firmware_root().parent / "build" / "firmware" / firmware._key(model))
