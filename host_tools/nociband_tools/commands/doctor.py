"""`nociband doctor`: what is there, what is missing and how to get it. Looks, changes nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from nociband.inference.runtime import SCHEMES


@dataclass(frozen=True)
class Finding:
    """One thing looked for: `needed_for` says which work stops without it, `advice` how to get it."""

    name: str
    found: bool
    detail: str
    needed_for: str
    advice: str = ""


# program, what it is needed for, Debian package
PROGRAMS = [
    ("gcc", "native band", "gcc libc6-dev"),
    ("arm-none-eabi-gcc", "firmware for Cortex-M", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    ("qemu-system-arm", "emulated band", "qemu-system-arm"),
    ("chromium", "tests of the monitor's page", "chromium"),
]
# import name, distribution, extra
PACKAGES = [
    ("bleak", "bleak", ""), ("rich", "rich", ""), ("bumble", "bumble", "sim"), ("platformio", "platformio", "sim"),
    ("scipy", "scipy", "sim"), ("ai_edge_litert", "ai-edge-litert", "sim"), ("cv2", "opencv-contrib-python", "fusion"),
    ("mediapipe", "mediapipe", "fusion"), ("skimage", "scikit-image", "fusion"), ("fastapi", "fastapi", "monitor"),
    ("uvicorn", "uvicorn", "monitor"), ("torch", "torch", "train"), ("tensorflow", "tensorflow", "convert"),
    ("onnx2tf", "onnx2tf", "convert"), ("pytest", "pytest", "dev"),
]
# extra: what it is for
USES = {"sim": "emulated band", "fusion": "face", "monitor": "monitor", "train": "training", "convert": "conversion",
        "dev": "tests"}


def _program(name: str, needed_for: str, package: str) -> Finding:
    path = shutil.which(name)
    detail = ""
    if path:
        try:
            reply = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20)
            detail = (reply.stdout or reply.stderr).splitlines()[0] if (reply.stdout or reply.stderr) else path
        except (OSError, subprocess.TimeoutExpired):
            detail = path
    return Finding(name, bool(path), detail, needed_for, f"as root: apt-get install -y {package}")


def _package(module: str, distribution: str, extra: str) -> Finding:
    found = importlib.util.find_spec(module) is not None
    detail = ""
    if found:
        try:
            detail = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            detail = "version unknown"
    wanted = f"nociband[{extra}]" if extra else "nociband"
    advice = "make setup" if extra in ("", "sim", "fusion", "monitor") else "make setup-all"
    return Finding(f"python package {distribution}", found, detail, USES.get(extra, "everything"),
                   f"{advice}, or pip install '{wanted}'")


def _runtime(scheme: str) -> Finding:
    """Which TensorFlow Lite runs models of a scheme on this machine: one that passes the self-test."""
    from nociband.errors import NocibandError
    from nociband.inference import runtime_for

    name, purpose = f"runtime of {scheme} models", "predictions on the host, the same as the band's"
    try:
        return Finding(name, True, str(runtime_for(scheme)), purpose)
    except NocibandError as e:
        return Finding(name, False, "", purpose, str(e))


def _data() -> Finding:
    from nociband.errors import DataError
    from nociband.signals import datasets

    purpose = "the demo on a real person (without: the simulator)"
    try:
        return Finding("real recordings", True, str(datasets.locate("oxazepam_fmov")), purpose)
    except DataError as e:
        return Finding("real recordings", False, "", purpose, str(e))


def _python() -> Finding:
    return Finding("Python 3.11", sys.version_info[:2] == (3, 11), sys.version.split()[0], "everything",
                   "as root: apt-get install -y python3 python3-venv, then make setup")


def findings() -> list[Finding]:
    """Everything that the project's commands may need, in the order of need."""
    return [_python(), *(_program(*row) for row in PROGRAMS), *(_package(*row) for row in PACKAGES),
            *(_runtime(scheme) for scheme in SCHEMES), _data()]


def command(as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False) -> None:
    """Say what is there, what is missing and how to get it. Exit status 1 when the demo cannot run."""
    rows = findings()
    demo_needs = {"gcc", "arm-none-eabi-gcc", "qemu-system-arm", "Python 3.11"}
    demo_needs |= {f"python package {d}" for _, d, extra in PACKAGES if extra in ("", "sim", "fusion", "monitor")}
    missing = [r for r in rows if not r.found]
    if as_json:
        print(json.dumps([asdict(r) for r in rows], indent=2))
    else:
        for r in rows:
            detail = r.detail if r.found else f"{r.needed_for}: {r.advice}"
            print(f"  {'ok     ' if r.found else 'MISSING'}  {r.name:38} {detail}")
        print("everything is there" if not missing else f"{len(missing)} missing; the demo "
              + ("cannot run" if any(r.name in demo_needs for r in missing) else "can run"))
    raise typer.Exit(1 if any(r.name in demo_needs for r in missing) else 0)
