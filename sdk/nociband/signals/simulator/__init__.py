"""A physiological simulator of pain responses, all synthetic and labelled so: EDA, EMG, motion, and on request ECG and artefacts.

Not a substitute for data of people: it exercises the path and trains a model that carries "synthetic" in its name. `draw`
decides what happens (a Script, the truth), `render` makes the Recording of it; `simulate` does both. `Options` says what is to
be simulated, `Population` holds every distribution with its source. Goes to front_end.to_counts. Guide: docs/simulator.md.
"""

from __future__ import annotations

from nociband.signals.recording import Recording
from nociband.signals.simulator.artefacts import Artefact
from nociband.signals.simulator.ecg import ECG_HZ
from nociband.signals.simulator.options import LABELS, TONIC_LABELS, Artefacts, Options, Protocol, level_of
from nociband.signals.simulator.population import LEVELS, ByLevel, Distribution, Person, Population, table
from nociband.signals.simulator.render import EDA_HZ, ENVELOPE_HZ, SIMULATED, render
from nociband.signals.simulator.script import Response, Script, draw
from nociband.signals.simulator.waves import scr_shape

__all__ = ["ECG_HZ", "EDA_HZ", "ENVELOPE_HZ", "LABELS", "LEVELS", "SIMULATED", "TONIC_LABELS", "Artefact", "Artefacts", "ByLevel",
           "Distribution", "Options", "Person", "Population", "Protocol", "Recording", "Response", "Script", "draw", "level_of",
           "render", "scr_shape", "simulate", "table"]


def simulate(seconds: float, seed: int, subject: str = "S01", options: Options | None = None) -> Recording:
    """A recording of `seconds` of one made-up person. Same arguments, same recording; another subject, another person."""
    return render(draw(seconds, seed, subject, options), seed)
