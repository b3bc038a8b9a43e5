"""nb_dsp and nb_window in C behind the twins' own interface, for the parity tests."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _clib import compile_libs, pointer, state_buffer


class NativeDsp:
    """The C libraries compiled for this machine."""

    def __init__(self, into: Path, flags: Sequence[str] = ()) -> None:
        shim = Path(__file__).with_name("_dsp_shim.c")
        self.lib = compile_libs(("nb_dsp", "nb_window"), into, [shim], flags)
        for name in ("shim_dsp_bytes", "shim_window_bytes"):
            getattr(self.lib, name).restype = ctypes.c_size_t

    def band(self) -> NativeBand:
        """A band's nb_dsp and nb_window, both reset."""
        return NativeBand(self.lib)

    def log2(self, values: np.ndarray) -> np.ndarray:
        """nb_dsp_log2 of uint64 values."""
        values, out = np.ascontiguousarray(values, np.uint64), np.zeros(len(values), np.int32)
        self.lib.shim_log2(len(values), pointer(values), pointer(out))
        return out


class NativeBand:
    """One nb_dsp_t and one nb_window_t."""

    def __init__(self, lib: ctypes.CDLL) -> None:
        self.lib = lib
        self.dsp_state = state_buffer(lib.shim_dsp_bytes())
        self.window_state = state_buffer(lib.shim_window_bytes())
        self.reset()

    def reset(self) -> None:
        """A new epoch."""
        self.lib.nb_dsp_reset(self.dsp_state)
        self.lib.nb_window_reset(self.window_state)

    def features(self, emg: np.ndarray, eda: np.ndarray) -> np.ndarray:
        """(n, 2) int16 and (n // 20,) uint16 counts to (n // 40, 6) int16, going on from the present state."""
        emg, eda = np.ascontiguousarray(emg, np.int16), np.ascontiguousarray(eda, np.uint16)
        out = np.zeros((len(emg) // 40, 6), np.int16)
        self.lib.shim_dsp_blocks(self.dsp_state, len(out), pointer(emg), pointer(eda), pointer(out))
        return out

    def push(self, emg: np.ndarray, eda: np.ndarray, accel: np.ndarray, features: np.ndarray,
             underrun: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Push every block; (why, quality_percent) after each."""
        arrays = [np.ascontiguousarray(a, t) for a, t in
                  ((emg, np.int16), (eda, np.uint16), (accel, np.int16), (features, np.int16), (underrun, np.uint8))]
        n = len(arrays[3])
        why, quality = np.zeros(n, np.uint16), np.zeros(n, np.uint8)
        self.lib.shim_window_blocks(self.window_state, n, *map(pointer, arrays), pointer(why), pointer(quality))
        return why, quality

    def input(self, scales: Sequence[tuple[int, int]]) -> np.ndarray:
        """nb_window_input: (138, 6) int16."""
        table, out = np.array(scales, np.int32), np.full((138, 6), 0x5A5A, np.int16)
        self.lib.nb_window_input(self.window_state, pointer(table), pointer(out))
        return out
