"""A physiological simulator of pain responses: EDA, two facial EMG envelopes and small motion, all synthetic and labelled so.

Not a substitute for data of people: it exercises the path and trains a model that carries "synthetic" in its name. `draw`
decides what happens (a Script), `render` makes the Recording of it; `simulate` does both. Goes to front_end.to_counts.

Where the numbers come from:
- SCRs begin 1-3 s after the stimulus, rise for 1-3 s, recover by half in 2-10 s; skin conductance level 2-20 uS; 1-3
  spontaneous SCRs a minute: Dawson, Schell and Filion 2007, The electrodermal system (Handbook of Psychophysiology, 3rd ed.).
- Bi-exponential shape, time constants about 0.75 s and 2 s: Alexander et al. 2005, J Neurosci Methods 146(1).
- About one person in ten does not respond electrodermally: Boucsein 2012, Electrodermal Activity, 2nd ed.
- Brow lowering (corrugator) is the most frequent facial action in pain, smiling muscles the least: Prkachin 1992, Pain 51(3).
- Stimuli of some 5 s in random order with pauses of 8-12 s, as in heat-pain protocols: Walter et al. 2013, BioVid (CYBCO).
How amplitudes grow with the level, and every spread between people, are this simulator's own choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from nociband.errors import DataError
from nociband.signals.recording import Channel, Event, Recording

LEVELS = 5
LABELS = tuple(f"pain {level}" for level in range(LEVELS))
ENVELOPE_HZ = 100.0
EDA_HZ = 50.0
FIRST_STIMULUS_S = 25.0  # the band's baseline takes 20 s
STIMULUS_S = (4.5, 5.5)
PAUSE_S = (8.0, 12.0)
SCR_LATENCY_S = (1.0, 3.0)
SPONTANEOUS_PER_MINUTE = (1.0, 3.0)
NON_RESPONDERS = 0.1
# By level, before the person's own gain: SCR amplitude in uS, and how many times the resting EMG a burst adds.
SCR_USIEMENS = (0.0, 0.08, 0.22, 0.5, 1.0)
CORRUGATOR_BURST = (0.0, 0.6, 1.5, 3.2, 6.5)
ZYGOMATICUS_BURST = (0.0, 0.1, 0.25, 0.6, 1.2)
SIMULATED = "physiology: simulated EDA, EMG and motion, no person"


@dataclass(frozen=True)
class Person:
    """What differs between people. EMG rests in uV of rectified mean, `level_usiemens` the skin conductance level."""

    level_usiemens: float
    scr_gain: float
    responder: bool
    spontaneous_per_minute: float
    rise_s: float
    decay_s: float
    corrugator_uv: float
    zygomaticus_uv: float
    emg_gain: float


@dataclass(frozen=True)
class Response:
    """One SCR (amplitude in uS) or EMG burst (times the rest) from `t_s` on; `cause`: which stimulus, None when spontaneous."""

    t_s: float
    amplitude: float
    duration_s: float = 0.0
    cause: int | None = None


@dataclass(frozen=True)
class Script:
    """Everything that will happen: the truth against which signals can be checked."""

    name: str
    subject: str
    seconds: float
    person: Person
    stimuli: tuple[Event, ...]
    scrs: tuple[Response, ...]
    corrugator: tuple[Response, ...]
    zygomaticus: tuple[Response, ...]


def simulate(seconds: float, seed: int, subject: str = "S01") -> Recording:
    """A recording of `seconds` of one made-up person. Same arguments, same recording; another subject, another person."""
    script = draw(seconds, seed, subject)
    return render(script, seed)


def draw(seconds: float, seed: int, subject: str = "S01") -> Script:
    """Decide on a person, a protocol and the responses to it. Raises DataError for less than a second."""
    if not seconds >= 1:
        raise DataError(f"the simulator needs at least 1 s, got {seconds}")
    rng = np.random.default_rng([seed, crc32(subject.encode())])
    person = _draw_person(rng)
    stimuli = _draw_stimuli(seconds, rng)
    bursts = _draw_bursts(seconds, person, stimuli, rng)
    scrs = _draw_scrs(seconds, person, stimuli, rng)
    return Script(f"simulator:{subject}", subject, seconds, person, stimuli, scrs, bursts[0], bursts[1])


def _draw_person(rng: np.random.Generator) -> Person:
    return Person(
        level_usiemens=float(np.clip(rng.lognormal(np.log(6), 0.5), 2, 20)), scr_gain=float(rng.lognormal(0, 0.4)),
        responder=bool(rng.random() >= NON_RESPONDERS), spontaneous_per_minute=float(rng.uniform(*SPONTANEOUS_PER_MINUTE)),
        rise_s=float(rng.uniform(0.6, 0.9)), decay_s=float(rng.uniform(2.0, 4.5)),
        corrugator_uv=float(rng.lognormal(np.log(5), 0.4)),
        zygomaticus_uv=float(rng.lognormal(np.log(4), 0.4)), emg_gain=float(rng.lognormal(0, 0.3)),
    )


def _draw_stimuli(seconds: float, rng: np.random.Generator) -> tuple[Event, ...]:
    """Levels 0-4 in shuffled rounds, so that none is rare; level 0 is a stimulus of no intensity, labelled like the others."""
    stimuli: list[Event] = []
    t = FIRST_STIMULUS_S
    waiting: list[int] = []
    while True:
        if not waiting:
            waiting = rng.permutation(LEVELS).tolist()
        length = float(rng.uniform(*STIMULUS_S))
        if t + length > seconds:
            return tuple(stimuli)
        stimuli.append(Event(t, length, LABELS[waiting.pop()]))
        t += length + float(rng.uniform(*PAUSE_S))


def _draw_scrs(seconds: float, person: Person, stimuli: tuple[Event, ...], rng: np.random.Generator) -> tuple[Response, ...]:
    responses = []
    for i, stimulus in enumerate(stimuli):
        latency, spread = rng.uniform(*SCR_LATENCY_S), rng.lognormal(0, 0.3)
        amplitude = SCR_USIEMENS[LABELS.index(stimulus.label)] * person.scr_gain * spread * person.responder
        if amplitude > 0:
            responses.append(Response(stimulus.t_s + latency, amplitude, cause=i))
    for _ in range(rng.poisson(person.spontaneous_per_minute * seconds / 60)):
        t, amplitude = rng.uniform(0, seconds), rng.lognormal(np.log(0.08), 0.6)
        if person.responder:
            responses.append(Response(t, amplitude))
    return tuple(sorted(responses, key=lambda r: r.t_s))


def _draw_bursts(seconds: float, person: Person, stimuli: tuple[Event, ...],
                 rng: np.random.Generator) -> tuple[tuple[Response, ...], tuple[Response, ...]]:
    """Bursts of the corrugator and the zygomaticus: one a stimulus, and a few movements that have nothing to do with pain."""
    out: tuple[list[Response], list[Response]] = ([], [])
    for i, stimulus in enumerate(stimuli):
        level, delay, length = LABELS.index(stimulus.label), rng.uniform(0.3, 1.5), rng.uniform(1.5, 4.0)
        for k, sizes in enumerate((CORRUGATOR_BURST, ZYGOMATICUS_BURST)):
            amplitude = sizes[level] * person.emg_gain * rng.lognormal(0, 0.3)
            if amplitude > 0:
                out[k].append(Response(stimulus.t_s + delay, amplitude, length, i))
    for _ in range(rng.poisson(2 * seconds / 60)):
        k, t, amplitude, length = rng.integers(2), rng.uniform(0, seconds), rng.lognormal(0, 0.6), rng.uniform(0.3, 1.5)
        out[k].append(Response(t, amplitude, length))
    return tuple(sorted(out[0], key=lambda r: r.t_s)), tuple(sorted(out[1], key=lambda r: r.t_s))


def render(script: Script, seed: int) -> Recording:
    """Signals of a script; `seed` decides on noise and drift only."""
    rng = np.random.default_rng([seed, crc32(script.subject.encode()), 1])
    channels = {
        "eda": Channel(_eda(script, rng), EDA_HZ, "uS"),
        "corrugator": Channel(_envelope(script.seconds, script.person.corrugator_uv, script.corrugator, rng), ENVELOPE_HZ, "uV",
                              "rectified_mean"),
        "zygomaticus": Channel(_envelope(script.seconds, script.person.zygomaticus_uv, script.zygomaticus, rng), ENVELOPE_HZ,
                               "uV", "rectified_mean"),
    }
    for name, samples in zip(("accel_x", "accel_y", "accel_z"), _motion(script.seconds, rng), strict=True):
        channels[name] = Channel(samples, EDA_HZ, "g")
    return Recording(script.name, script.subject, channels, script.stimuli, (SIMULATED,), "physiological simulator (synthetic)",
                     "Synthetic: no person was measured.")


def scr_shape(t_s: np.ndarray, rise_s: float, decay_s: float) -> np.ndarray:
    """Bi-exponential SCR of unit peak that begins at 0: exp(-t / decay) - exp(-t / rise), zero before (Alexander et al. 2005)."""
    peak_s = np.log(decay_s / rise_s) * rise_s * decay_s / (decay_s - rise_s)
    peak = np.exp(-peak_s / decay_s) - np.exp(-peak_s / rise_s)
    u = np.maximum(t_s, 0)
    return (np.exp(-u / decay_s) - np.exp(-u / rise_s)) / peak


def _eda(script: Script, rng: np.random.Generator) -> np.ndarray:
    """float64 uS at 50 Hz: level, slow drift, SCRs, and noise of 2 nS."""
    n, person = int(round(script.seconds * EDA_HZ)), script.person
    t = np.arange(n) / EDA_HZ
    signal = person.level_usiemens * (1 + 0.03 * _slow(n, EDA_HZ, 60.0, rng)) + rng.normal(0, 0.002, n)
    for scr in script.scrs:
        signal += scr.amplitude * scr_shape(t - scr.t_s, person.rise_s, person.decay_s)
    return np.maximum(signal, 0.05)


def _envelope(seconds: float, rest_uv: float, bursts: tuple[Response, ...], rng: np.random.Generator) -> np.ndarray:
    """float64 uV at 100 Hz: a resting tone that wanders by some 10%, with bursts that swell and fade over 0.3 s."""
    n = int(round(seconds * ENVELOPE_HZ))
    t = np.arange(n) / ENVELOPE_HZ
    gain = np.ones(n)
    for burst in bursts:
        swell, fade = (t - burst.t_s) / 0.3, (burst.t_s + burst.duration_s - t) / 0.3
        gain += burst.amplitude * np.clip(np.minimum(swell, fade), 0, 1)
    return rest_uv * gain * np.exp(0.1 * _slow(n, ENVELOPE_HZ, 2.0, rng))


def _motion(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """float64 (3, n) in g at 50 Hz: gravity along a wandering direction, 3 mg of noise; never enough to void a score."""
    n = int(round(seconds * EDA_HZ))
    tilt = np.stack([0.1 * _slow(n, EDA_HZ, 30.0, rng), 0.1 * _slow(n, EDA_HZ, 30.0, rng), np.ones(n)])
    return tilt / np.linalg.norm(tilt, axis=0) + rng.normal(0, 0.003, (3, n))


def _slow(n: int, rate_hz: float, period_s: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth random course, float64 (n,), unit variance in the long run: random knots every `period_s` / 2, cosine-joined."""
    at = np.arange(n) / rate_hz / (period_s / 2)
    knots = rng.standard_normal(int(at[-1]) + 2) * np.sqrt(4 / 3)  # a cosine blend of two knots has a mean square of 3/4
    index = at.astype(int)
    blend = (1 - np.cos(np.pi * (at - index))) / 2
    return knots[index] * (1 - blend) + knots[index + 1] * blend
