#!/usr/bin/env python3
"""Prepare a PlatformIO core directory that needs no registry, from what pip installed.

    PLATFORMIO_CORE_DIR=DIR python firmware/tools/pio_offline.py

`pio run` would fetch two packages for our default environments: `tool-scons`, which pip has as SCons, and the platform
`native`, which is a page of SCons rules for the host's gcc. Both are laid out here under the names that PlatformIO looks for,
so that platformio.ini stays the ordinary one. docs/adr/0003-ports-and-virtual-board.md says why.
"""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

NATIVE_VERSION = "1.2.1"
NATIVE_PLATFORM = '''from platformio.public import PlatformBase


class NativePlatform(PlatformBase):
    def is_embedded(self):
        return False
'''
NATIVE_BUILDER = r'''from SCons.Script import Default, DefaultEnvironment

env = DefaultEnvironment()
env.Replace(PROGNAME="program", SIZETOOL="size", SIZEPROGREGEXP=r"^(?:\.text|\.rodata)\s+(\d+).*",
            SIZECHECKCMD="$SIZETOOL -A -d $SOURCES", SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES")
program = env.BuildProgram()
env.AddPlatformTarget("size", program, env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE"), "Program size", "")
env.AddPlatformTarget("exec", [program], [env.VerboseAction("$SOURCE $PROGRAM_ARGS", "Executing $SOURCE")], "Execute", "")
Default([program])
'''


def tool_scons_version(scons: str, wanted: str) -> str:
    """PlatformIO's number for a SCons release (4.11.1 -> 4.41101.0); exits when this PlatformIO wants another."""
    a, b, c = (int(part) for part in scons.split("."))
    version = f"4.{a}{b:02d}{c:02d}.0"
    if wanted.lstrip("~^").rsplit(".", 1)[0] != version.rsplit(".", 1)[0]:
        sys.exit(f"this PlatformIO wants tool-scons {wanted}, pip has SCons {scons}: install the pair that constraints.txt names")
    return version


def lay_out(target: Path, kind: str, name: str, version: str, manifest: dict, files: dict[str, str]) -> None:
    """Write a package folder as PlatformIO's package manager would have left it, in one rename."""
    spec = {"owner": "platformio", "id": None, "name": name, "requirements": None, "uri": None}
    manifest_file = "platform.json" if kind == "platform" else "package.json"
    contents = {".piopm": json.dumps({"type": kind, "name": name, "version": version, "spec": spec}),
                manifest_file: json.dumps({"name": name, "version": version, **manifest}), **files}
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target.parent))
    for path, text in contents.items():
        (fresh / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).write_text(text)
    fresh.chmod(0o755)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def prepare(core: Path) -> None:
    """Lay out both packages under `core`."""
    from platformio.dependencies import get_core_dependencies

    version = tool_scons_version(importlib.metadata.version("scons"), get_core_dependencies()["tool-scons"])
    spec = importlib.util.find_spec("SCons")
    if spec is None or spec.origin is None:
        sys.exit("SCons is not installed here: pip install scons")
    scons = str(Path(spec.origin).parents[1])
    lay_out(core / "packages" / "tool-scons", "tool", "tool-scons", version, {"description": "SCons from PyPI", "system": "*"},
            {"scons.py": f"import sys\nsys.path.insert(0, {scons!r})\nfrom SCons.Script import main\nmain()\n"})
    lay_out(core / "platforms" / "native", "platform", "native", NATIVE_VERSION,
            {"title": "Native", "description": "The host's gcc", "engines": {"platformio": "^6"}, "packages": {},
             "frameworks": {}}, {"platform.py": NATIVE_PLATFORM, "builder/main.py": NATIVE_BUILDER})


if __name__ == "__main__":
    core_dir = os.environ.get("PLATFORMIO_CORE_DIR")
    if not core_dir:
        sys.exit("set PLATFORMIO_CORE_DIR to the folder to prepare")
    prepare(Path(core_dir).expanduser().absolute())
    print(f"ready without the registry: {core_dir}")
