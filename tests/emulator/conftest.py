"""The real firmware as a native process on the virtual radio, fed with a short simulated recording."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nociband.signals import to_counts
from nociband.signals.simulator import simulate
from nociband_tools.emulator.session import EmulatedBand, Options, emulated_band
from nociband_tools.firmware import build
from nociband_tools.radio.client import VirtualBackend, virtual_backend

MODEL = "synthetic_pain5"


@pytest.fixture(scope="session")
def native_firmware() -> Path:
    return build("native", MODEL)


@pytest.fixture(scope="session")
def recording(tmp_path_factory) -> Path:
    """30 s of the simulator as a file of counts."""
    counts = to_counts(simulate(30, seed=3), seed=3)
    path = tmp_path_factory.mktemp("recording") / "simulated.npz"
    np.savez(path, emg=counts.emg, eda=counts.eda, accel=counts.accel, sites=np.array(counts.sites),
             simulated=np.array(counts.simulated), source=counts.source)
    return path


@dataclass
class Bench:
    """Starts bands in this process: `async with bench.band(...) as band`, hosts with `bench.host(band)`."""

    options: Options
    folder: Path
    events: list[dict[str, Any]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def band(self, **changes: Any) -> AsyncIterator[EmulatedBand]:
        options = replace(self.options, **changes)
        async with emulated_band(options, self.events.append) as band:
            if options.press:
                band.press()
            yield band

    @contextlib.asynccontextmanager
    async def host(self, band: EmulatedBand, name: str = "host") -> AsyncIterator[VirtualBackend]:
        async with virtual_backend(band.air.address, self.folder / f"{name}.json") as backend:
            yield backend

    @property
    def fed(self) -> bytes:
        return (self.options.state / "fed.bin").read_bytes()


@pytest.fixture
def bench(native_firmware, recording, tmp_path) -> Bench:
    return Bench(Options("native", str(recording), MODEL, tmp_path / "band", native_firmware), tmp_path)
