"""What is asked of windows before they are cut: how many an event (Draws), the features' unit, and the band's rules of trust.

To nociband.training.tasks, which says what suits a task, and to windowed, which cuts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nociband.signals import FrontEnd
from nociband.signals.front_end import BLOCKS_PER_S
from nociband.spec import SPEC
from nociband.windows import FRAMES

UNIT = 2.0 ** np.array([f.q for f in SPEC.model_inputs])  # integers of a feature in one of its units
_TRUST, _SIGNALS = SPEC.features["trust"], SPEC.features["signals"]


@dataclass(frozen=True)
class Draws:
    """How many windows are cut from an event: one for each carrier seed and copy. The first is the plain window, where the event
    says; the others are moved by up to `jitter_s`."""

    carrier_seeds: tuple[int, ...] = (0,)
    copies: int = 1
    jitter_s: float = 0.0
    seed: int = 0


PLAIN = Draws()  # what validation and held-out people are judged on


def trusted(front: FrontEnd, ends: np.ndarray) -> np.ndarray:
    """bool (len(ends),): no EDA electrode off, no saturation in the window, by the limits of features.toml."""
    frames = len(front.emg) * BLOCKS_PER_S // _SIGNALS["emg"]["rate_hz"]
    eda = front.eda.reshape(frames, -1)
    off = (eda < _TRUST["eda_off_below_counts"]).any(axis=1)
    rails = (np.abs(front.emg.astype(np.int32)) >= _SIGNALS["emg"]["saturation_counts"]).reshape(frames, -1).sum(axis=1)
    rails += (eda >= _SIGNALS["eda"]["saturation_counts"]).sum(axis=1)
    ok = [not off[e - FRAMES + 1:e + 1].any() and rails[e - FRAMES + 1:e + 1].sum() <= _TRUST["saturated_samples_max"]
          for e in ends]
    return np.array(ok, bool)
