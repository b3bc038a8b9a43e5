"""Builds the band's firmware with PlatformIO, for the emulator, the demo and the tests.

Takes a checkout's firmware/ folder and a model; gives the path of the ELF file. Needs no network: PlatformIO's core directory is
laid out from what pip installed (firmware/tools/pio_offline.py) and kept in ~/.cache/nociband. Outputs go to
build/firmware/<model>, one folder a model, so that going back to another model costs nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nociband.errors import EnvironmentProblem, ModelError

PROGRAMS = {"native": "program", "native_asan": "program", "qemu": "firmware.elf",
            "qemu_bench": "firmware.elf"}
_NEEDS = {"native": ("gcc", "gcc"), "native_asan": ("gcc", "gcc"),
          "qemu": ("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")}
_NEEDS["qemu_bench"] = _NEEDS["qemu"]
_SOURCES = ("platformio.ini", "size_budgets.json", "lib", "src", "ld", "platforms", "tools")


def firmware_root() -> Path:
    """The firmware folder of the checkout that this package runs from. Raises EnvironmentProblem when there is none."""
    root = Path(__file__).resolve().parents[2] / "firmware"
    if not (root / "platformio.ini").is_file():
        raise EnvironmentProblem(f"{root} is not there: firmware can be built only from a checkout of the repository, "
                                 "installed with `make setup` or `pip install -e .`")
    return root


def model_folder(model: str | Path) -> Path:
    """The folder of a model given by name (under firmware/models) or by path. Raises ModelError when it holds no C model."""
    models = firmware_root() / "models"
    folder = Path(model).expanduser().resolve() if isinstance(model, Path) or "/" in model else models / model
    if not (folder / "nb_model_data.c").is_file():
        known = ", ".join(sorted(p.parent.name for p in models.glob("*/nb_model_data.c"))) or "none"
        raise ModelError(f"no model '{model}': {folder}/nb_model_data.c does not exist. Models here: {known}. "
                         "`nociband convert` makes one")
    return folder


def model_manifest(model: str | Path) -> dict[str, Any]:
    """What a model says of itself, unchecked; whether it holds together is for a band's host to find out.

    Raises ModelError when there is no such model, or its manifest.json is not a JSON object.
    """
    file = model_folder(model) / "manifest.json"
    try:
        content = json.loads(file.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
    except (OSError, ValueError) as e:
        raise ModelError(f"{file} cannot be read ({e}): convert the model again") from e
    return content


def build(env: str = "native", model: str | Path = "fmov_emotion3") -> Path:
    """Build environment `env` of platformio.ini with `model` (a name or a folder); the ELF file.

    Does nothing but look when no source has changed. Raises EnvironmentProblem when a compiler or PlatformIO is missing or the
    build fails, ModelError when there is no such model.
    """
    if env not in PROGRAMS:
        raise EnvironmentProblem(f"there is no firmware environment '{env}': take one of {', '.join(PROGRAMS)}")
    folder = model_folder(model)
    out = firmware_root().parent / "build" / "firmware" / _key(folder)
    program, stamp = out / env / PROGRAMS[env], out / f"{env}.stamp"
    out.mkdir(parents=True, exist_ok=True)
    with _lock(out / ".lock"):
        now = _fingerprint(folder)
        if not (program.is_file() and stamp.is_file() and stamp.read_text() == now):
            stamp.unlink(missing_ok=True)
            _require(env)
            _run_platformio(env, folder, out)
            stamp.write_text(now)
    return program


def _key(folder: Path) -> str:
    """A folder name for a model's build: its own when it is one of ours, else with a hash of where it lies."""
    if folder.parent == firmware_root() / "models":
        return folder.name
    return f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def _fingerprint(folder: Path) -> str:
    """Changes whenever a source file, the model or the Python environment does (by path, size and time)."""
    root = firmware_root()
    digest = hashlib.sha256(sys.prefix.encode())
    for top in (*(root / name for name in _SOURCES), folder):
        for path in [top] if top.is_file() else sorted(p for p in top.rglob("*.[chjlps]*") if p.is_file()):
            if "__pycache__" not in path.parts:
                state = path.stat()
                digest.update(f"{path} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One build at a time in a folder, also between processes."""
    with path.open("w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _require(env: str) -> None:
    """Raises EnvironmentProblem when the compiler or PlatformIO is not there."""
    compiler, packages = _NEEDS[env]
    if shutil.which(compiler) is None:
        raise EnvironmentProblem(f"{compiler} is not installed: sudo apt-get install {packages}")
    for module in ("platformio", "SCons"):
        if importlib.util.find_spec(module) is None:
            raise EnvironmentProblem(f"the Python package {module} is not here: `make setup`, or pip install 'nociband[sim]'")


def core_dir() -> Path:
    """PlatformIO's core directory: PLATFORMIO_CORE_DIR when set, else one of our own outside the checkout."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("PLATFORMIO_CORE_DIR") or cache / "nociband" / "platformio").expanduser()


def _environment(folder: Path, out: Path) -> dict[str, str]:
    return {**os.environ, "PLATFORMIO_CORE_DIR": str(core_dir()), "PLATFORMIO_WORKSPACE_DIR": str(out / "pio"),
            "PLATFORMIO_BUILD_DIR": str(out), "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
            "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no", "PLATFORMIO_NO_ANSI": "true", "NOCIBAND_MODEL": str(folder)}


def _run_platformio(env: str, folder: Path, out: Path) -> None:
    """`pio run`, preparing the core directory first when it is not this Python's."""
    variables = _environment(folder, out)
    core = core_dir()
    core.mkdir(parents=True, exist_ok=True)
    with _lock(core / ".nociband.lock"):  # PlatformIO's package managers do not expect company
        prepared = core / ".prepared"
        if not prepared.is_file() or prepared.read_text() != sys.prefix:
            _call([sys.executable, str(firmware_root() / "tools" / "pio_offline.py")], variables, "prepare PlatformIO")
            prepared.write_text(sys.prefix)
        _call([sys.executable, "-m", "platformio", "run", "-d", str(firmware_root()), "-e", env], variables,
              f"build the firmware ({env}, {folder.name})")


def _call(command: list[str], variables: dict[str, str], what: str) -> None:
    """Run it; raises EnvironmentProblem with the lines that tell why it failed."""
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        telling = [line for line in lines if any(word in line for word in ("error", "Error", "over the budget", "undefined"))]
        raise EnvironmentProblem(f"could not {what}:\n" + "\n".join((telling or lines)[-20:]))
