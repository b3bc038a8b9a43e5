"""Who is simulated: every distribution of the simulator in one place, each with its unit and where its numbers come from.

`Population` is drawn from by script.draw; change one with dataclasses.replace. docs/simulator.md holds its table, a test keeps
the two together. A source that begins with "ours" is the simulator's own choice and rests on no measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

import numpy as np

from nociband.errors import DataError

LEVELS = 5

_DAWSON = "Dawson, Schell and Filion 2007"
_SHOCK = "oxazepam_shock_trials, 65 people, ten strong shocks each"
_FMOV = "oxazepam_fmov, 27 people"
_NUNAN = "Nunan, Sandercock and Brodie 2010"
_MCSHARRY = "McSharry et al. 2003"


@dataclass(frozen=True)
class Distribution:
    """`kind` and its two numbers: uniform (low, high), normal (mean, SD), lognormal (median, SD of the logarithm), chance
    (probability, unused), fixed (value, unused). `clip` bounds what is drawn. Raises DataError for numbers that make none.
    """

    kind: str
    a: float
    b: float
    unit: str
    source: str
    clip: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        good = {
            "uniform": self.a <= self.b, "normal": self.b >= 0, "lognormal": self.a > 0 and self.b >= 0,
            "chance": 0 <= self.a <= 1, "fixed": True,
        }
        if self.kind not in good:
            raise DataError(f"unknown distribution {self.kind!r}; known: {', '.join(good)}")
        if not good[self.kind] or not math.isfinite(self.a) or not math.isfinite(self.b):
            raise DataError(f"{self.kind}({self.a:g}, {self.b:g}) {self.unit} is not a distribution; see its docstring")
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            raise DataError(f"clip {self.clip} leaves nothing; give (low, high)")

    def draw(self, rng: np.random.Generator) -> float:
        """One value; a chance gives 1.0 when it happens. A fixed value takes nothing from the generator."""
        if self.kind == "fixed":
            return self.a
        if self.kind == "chance":
            return float(rng.random() < self.a)
        if self.kind == "lognormal":
            value = rng.lognormal(np.log(self.a), self.b)
        else:
            value = (rng.uniform if self.kind == "uniform" else rng.normal)(self.a, self.b)
        return float(value if self.clip is None else np.clip(value, *self.clip))

    def __str__(self) -> str:
        text = {
            "uniform": f"uniform {self.a:g} to {self.b:g}", "normal": f"normal, mean {self.a:g}, SD {self.b:g}",
            "lognormal": f"log-normal, median {self.a:g}, SD of ln {self.b:g}", "chance": f"probability {self.a:g}",
            "fixed": f"{self.a:g}",
        }[self.kind]
        return text + (f", kept within {self.clip[0]:g} to {self.clip[1]:g}" if self.clip else "")


@dataclass(frozen=True)
class ByLevel:
    """One value for each pain level 0 to 4, before a person's own gain. Raises DataError for another number of them."""

    values: tuple[float, ...]
    unit: str
    source: str

    def __post_init__(self) -> None:
        if len(self.values) != LEVELS or not all(math.isfinite(v) and v >= 0 for v in self.values):
            raise DataError(f"give {LEVELS} values from 0 up, one a pain level; got {self.values}")

    def __str__(self) -> str:
        return " / ".join(f"{v:g}" for v in self.values)


def _of(kind: str, a: float, b: float, unit: str, source: str, clip: tuple[float, float] | None = None) -> Distribution:
    return field(default=Distribution(kind, a, b, unit, source, clip))


def _by(values: tuple[float, ...], unit: str, source: str) -> ByLevel:
    return field(default=ByLevel(values, unit, source))


@dataclass(frozen=True)
class Population:
    """Every distribution and every size that grows with the pain level. Order is that of docs/simulator.md."""

    # Skin conductance, of a person.
    level_usiemens: Distribution = _of("lognormal", 6, 0.5, "uS", f"range: {_DAWSON}; shape ours ({_FMOV}: median 9.3, SD of ln "
                                       "0.44)", (2, 20))
    scr_gain: Distribution = _of("lognormal", 1, 0.4, "times", f"ours ({_SHOCK}: SD of ln of people's mean SCR 0.57)")
    non_responder: Distribution = _of("chance", 0.1, 0, "", "Boucsein 2012; Braithwaite et al. 2013")
    spontaneous_per_minute: Distribution = _of("uniform", 1, 3, "1/min", f"{_DAWSON}; {_FMOV}: median 3.0 above 0.03 uS, those "
                                               "evoked by faces included")
    rise_s: Distribution = _of("uniform", 0.6, 0.9, "s", "time constant, about Alexander et al. 2005 (0.75 s); spread ours")
    decay_s: Distribution = _of("uniform", 2.0, 4.5, "s", "time constant, from Alexander et al. 2005 (2 s) up, so that recovery "
                                f"by half takes 2-10 s ({_DAWSON}); spread ours")
    # Skin conductance, of a response.
    scr_latency_s: Distribution = _of("uniform", 1, 3, "s", f"{_DAWSON}; Levinson and Edelberg 1985")
    scr_usiemens: ByLevel = _by((0.0, 0.08, 0.22, 0.5, 1.0), "uS", f"top: {_DAWSON} (0.2-1.0 uS); growth ours")
    scr_spread: Distribution = _of("lognormal", 1, 0.3, "times", f"ours ({_SHOCK}: within-person SD of ln 0.42)")
    spontaneous_usiemens: Distribution = _of("lognormal", 0.08, 0.6, "uS", "ours")
    habituation: Distribution = _of("normal", 0.1, 0.1, "per ln(trial)", "shape: Rossmann and Vossel (amplitude on the log "
                                    "of the stimulus number); direction: van der Miesen et al. 2025; size ours "
                                    f"({_SHOCK}: none, slope +0.05 in the order of the file)", (-0.2, 0.4))
    drift_per_minute: Distribution = _of("normal", -0.02, 0.02, "1/min", f"{_FMOV}: median -0.019, 10-90 % -0.040 to +0.010")
    arousal: ByLevel = _by((0.0, 0.005, 0.01, 0.02, 0.04), "of the level", "ours: the level's rise after a stimulus")
    arousal_decay_s: Distribution = _of("fixed", 40, 0, "s", "ours")
    tonic_scr_per_minute: Distribution = _of("uniform", 4, 10, "1/min", "ours: SCRs while a tonic stimulus lasts")
    # Muscles. Rest is the rectified mean; bursts are in multiples of it.
    corrugator_uv: Distribution = _of("lognormal", 5, 0.4, "uV", "ours")
    zygomaticus_uv: Distribution = _of("lognormal", 4, 0.4, "uV", "ours")
    trapezius_uv: Distribution = _of("lognormal", 4, 0.4, "uV", "ours")
    emg_gain: Distribution = _of("lognormal", 1, 0.3, "times", "ours")
    corrugator_burst: ByLevel = _by((0.0, 0.6, 1.5, 3.2, 6.5), "x rest", "above the zygomaticus: Prkachin 1992; sizes ours")
    zygomaticus_burst: ByLevel = _by((0.0, 0.1, 0.25, 0.6, 1.2), "x rest", "see corrugator")
    trapezius_burst: ByLevel = _by((0.0, 0.15, 0.4, 0.9, 1.8), "x rest", "recorded in Walter et al. 2013, Gruss et al. 2019; "
                                   "sizes ours")
    burst_delay_s: Distribution = _of("uniform", 0.3, 1.5, "s", "ours")
    burst_s: Distribution = _of("uniform", 1.5, 4, "s", "ours")
    burst_spread: Distribution = _of("lognormal", 1, 0.3, "times", "ours")
    stray_per_minute: Distribution = _of("fixed", 2, 0, "1/min", "ours: movements of the face that have nothing to do with pain")
    stray_burst: Distribution = _of("lognormal", 1, 0.6, "x rest", "ours")
    stray_s: Distribution = _of("uniform", 0.3, 1.5, "s", "ours")
    # Heart.
    rr_ms: Distribution = _of("normal", 926, 90, "ms", _NUNAN, (600, 1300))
    sdnn_ms: Distribution = _of("normal", 50, 16, "ms", _NUNAN, (15, 110))
    lf_hf: Distribution = _of("lognormal", 1.3, 0.5, "ratio", f"mean normalised powers 52 to 40 of {_NUNAN}; spread ours")
    breathing_hz: Distribution = _of("fixed", 0.25, 0, "Hz", _MCSHARRY)
    ecg_mv: Distribution = _of("lognormal", 1.0, 0.25, "mV", "R peak; ours", (0.5, 2.0))
    heart_gain: Distribution = _of("lognormal", 1, 0.4, "times", "ours")
    heart_bpm: ByLevel = _by((0.0, 0.5, 1.5, 3.0, 5.0), "1/min", "larger and steeper with intensity, over 20 s long: Moeltner et "
                             "al. 1990; Loggia et al. 2011; sizes ours")
    heart_peak_s: Distribution = _of("fixed", 5, 0, "s", "ours, within Moeltner et al. 1990")
    tonic_heart_bpm: ByLevel = _by((0.0, 1.0, 2.5, 5.0, 7.5), "1/min", "top: 11 % (Tousignant-Laflamme et al. 2005); rest ours")


@dataclass(frozen=True)
class Person:
    """What differs between people. EMG rests in uV of rectified mean, `level_usiemens` the skin conductance level.

    Fields are named after the distributions of Population that they were drawn from.
    """

    level_usiemens: float
    scr_gain: float
    responder: bool
    spontaneous_per_minute: float
    rise_s: float
    decay_s: float
    corrugator_uv: float
    zygomaticus_uv: float
    emg_gain: float
    trapezius_uv: float
    habituation: float
    drift_per_minute: float
    rr_ms: float
    sdnn_ms: float
    lf_hf: float
    breathing_hz: float
    ecg_mv: float
    heart_gain: float
    heart_peak_s: float
    arousal_decay_s: float


# The first nine come from the generator that stimuli and responses are drawn from too: their order may not change, or every
# recording of a seed becomes another. Later ones have a generator of their own and are only ever added at the end.
FIRST = ("level_usiemens", "scr_gain", "non_responder", "spontaneous_per_minute", "rise_s", "decay_s", "corrugator_uv",
         "zygomaticus_uv", "emg_gain")
LATER = tuple(f.name for f in fields(Person))[len(FIRST):]


def draw_person(population: Population, first: np.random.Generator, later: np.random.Generator) -> Person:
    """One person; `first` is the generator shared with the script, `later` that of what was added since."""
    values = {name: getattr(population, name).draw(first) for name in FIRST}
    values |= {name: getattr(population, name).draw(later) for name in LATER}
    silent = values.pop("non_responder")
    return Person(responder=not silent, **values)


def table(population: Population | None = None) -> str:
    """The distributions as a Markdown table, one a row: name, distribution, unit, source."""
    population = population or Population()
    rows = [(f.name, getattr(population, f.name)) for f in fields(population)]
    return "\n".join(["| name | distribution (or levels 0-4) | unit | source |", "| --- | --- | --- | --- |"]
                     + [f"| `{name}` | {value} | {value.unit} | {value.source} |" for name, value in rows])
