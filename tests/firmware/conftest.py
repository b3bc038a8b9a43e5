"""Builds the bands once and starts them behind a bare virtual board."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nociband_tools.firmware import build
from tests.firmware import virtual_board
from tests.firmware.virtual_board import Board

MODEL = "fmov_emotion3"


@dataclass(frozen=True)
class Bands:
    """One kind of emulated band."""

    kind: str
    elf: Path
    nvm: Path

    def start(self, nvm: Path | None = None) -> AbstractAsyncContextManager[Board]:
        """A band with its own empty memory, or `nvm` to go on with one."""
        launch = virtual_board.qemu if self.kind == "qemu" else virtual_board.native
        return virtual_board.board(launch(self.elf, nvm or self.nvm))


def bands(kind: str, folder: Path) -> Bands:
    """Build (once) and describe a kind: native, native_asan or qemu."""
    if kind == "qemu" and not shutil.which("qemu-system-arm"):
        pytest.fail("qemu-system-arm is not installed: sudo apt-get install qemu-system-arm")
    return Bands(kind, build(kind, MODEL), folder / "nvm.bin")


@pytest.fixture(params=["native", pytest.param("qemu", marks=pytest.mark.slow)])
def band(request: pytest.FixtureRequest, tmp_path: Path) -> Bands:
    """Both emulated bands in turn."""
    return bands(request.param, tmp_path)


@pytest.fixture
def hardened(tmp_path: Path) -> Bands:
    """The native band under the address and undefined-behaviour sanitizers: it aborts on the first wrong access."""
    return bands("native_asan", tmp_path)


@dataclass(frozen=True)
class Counts:
    """What a front end would deliver: emg int16 (20 n, 2), eda uint16 (n,), accel int16 (n, 3)."""

    emg: np.ndarray
    eda: np.ndarray
    accel: np.ndarray

    def messages(self, first: int = 0) -> list[bytes]:
        """As `samples` messages, from slot `first` on."""
        return virtual_board.slots(self.emg[20 * first:], self.eda[first:], self.accel[first:])


@pytest.fixture
def counts() -> Callable[[float], Counts]:
    """Seeded counts: EMG noise with a burst each second, a moving EDA, gravity with a little tremor."""
    def make(seconds: float) -> Counts:
        rng = np.random.default_rng(7)
        n = round(50 * seconds)
        t = np.arange(20 * n) / 1000
        emg = rng.normal(0, 1, (20 * n, 2)) * (100 + 900 * (np.sin(2 * np.pi * t)[:, None] > 0.7))
        eda = 2000 + 300 * np.sin(np.arange(n) / 60) + rng.normal(0, 2, n)
        accel = np.array([0, 0, 1000]) + rng.normal(0, 8, (n, 3))
        return Counts(emg.round().astype(np.int16), eda.round().astype(np.uint16), accel.round().astype(np.int16))
    return make
