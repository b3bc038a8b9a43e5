"""Signals of a Script: skin conductance, muscles, acceleration, and where asked for ECG and artefacts, as one Recording.

Takes what script.draw decided on, gives what front_end.to_counts digitises. Nothing here decides what happens, only how it looks.
"""

from __future__ import annotations

import numpy as np

from nociband.signals.front_end import EMG_RATE_HZ, band_noise
from nociband.signals.recording import Channel, Recording
from nociband.signals.simulator.artefacts import apply
from nociband.signals.simulator.ecg import ECG_HZ, render_ecg
from nociband.signals.simulator.options import level_of
from nociband.signals.simulator.script import Response, Script, stream
from nociband.signals.simulator.waves import scr_shape, slow

ENVELOPE_HZ = 100.0
EDA_HZ = 50.0
EDA_LEAST_USIEMENS = 0.05  # of skin; an open contact falls below it
SIMULATED = "physiology: simulated EDA, EMG and motion, no person"
SIMULATED_ECG = "ECG: simulated (McSharry et al. 2003), no person"
SIMULATED_RAW = "EMG: simulated at 1 kHz, noise of 20-450 Hz in a simulated envelope"
SIMULATED_ARTEFACTS = "artefacts: simulated movement and electrode contact"


def render(script: Script, seed: int) -> Recording:
    """Signals of a script; `seed` decides on noise and drift only."""
    rng, person, options = stream(seed, script.subject, 1), script.person, script.options
    channels = {"eda": Channel(_eda(script, rng), EDA_HZ, "uS")}
    envelopes = {site: _envelope(script.seconds, rest, bursts, rng) for site, rest, bursts in (
        ("corrugator", person.corrugator_uv, script.corrugator), ("zygomaticus", person.zygomaticus_uv, script.zygomaticus))}
    motion = dict(zip(("accel_x", "accel_y", "accel_z"), _motion(script.seconds, rng), strict=True))
    if options.trapezius:
        envelopes["trapezius"] = _envelope(script.seconds, person.trapezius_uv, script.trapezius, stream(seed, script.subject, 8))
    carrier = stream(seed, script.subject, 9)
    for site, envelope in envelopes.items():
        channels[site] = (Channel(_raw(envelope, carrier), EMG_RATE_HZ, "uV") if options.emg_is_raw
                          else Channel(envelope, ENVELOPE_HZ, "uV", "rectified_mean"))
    channels |= {name: Channel(samples, EDA_HZ, "g") for name, samples in motion.items()}
    if options.ecg:
        ecg = render_ecg(script.seconds, script.beats, person, stream(seed, script.subject, 10))
        channels["ecg"] = Channel(ecg, ECG_HZ, "mV")
    channels = apply(channels, script.artefacts, stream(seed, script.subject, 11))
    return Recording(script.name, script.subject, channels, script.stimuli, _simulated(script),
                     "physiological simulator (synthetic)", "Synthetic: no person was measured.")


def _simulated(script: Script) -> tuple[str, ...]:
    options = script.options
    added = ((options.emg_is_raw, SIMULATED_RAW), (options.ecg, SIMULATED_ECG), (options.artefacts.any, SIMULATED_ARTEFACTS))
    return (SIMULATED, *(text for here, text in added if here))


def _eda(script: Script, rng: np.random.Generator) -> np.ndarray:
    """float64 uS at 50 Hz: level, slow drift, SCRs, and noise of 2 nS."""
    n, person = int(round(script.seconds * EDA_HZ)), script.person
    t = np.arange(n) / EDA_HZ
    signal = person.level_usiemens * (1 + 0.03 * slow(n, EDA_HZ, 60.0, rng)) + rng.normal(0, 0.002, n)
    for scr in script.scrs:
        signal += scr.amplitude * scr_shape(t - scr.t_s, person.rise_s, person.decay_s)
    if script.options.tonic:
        signal += person.level_usiemens * _tonic_course(t, script)
    return np.maximum(signal, EDA_LEAST_USIEMENS)


def _tonic_course(t: np.ndarray, script: Script) -> np.ndarray:
    """Share of the level: the person's own drift, and a rise with each stimulus that builds up over 5 s and wears off."""
    population, person = script.options.population, script.person
    course = np.expm1(person.drift_per_minute * t / 60)
    for stimulus in script.stimuli:
        size = population.arousal.values[level_of(stimulus)] * person.responder
        if size > 0:
            after = np.maximum(t - stimulus.t_s - stimulus.duration_s, 0)
            course += size * np.clip((t - stimulus.t_s) / 5, 0, 1) * np.exp(-after / person.arousal_decay_s)
    return course


def _envelope(seconds: float, rest_uv: float, bursts: tuple[Response, ...], rng: np.random.Generator) -> np.ndarray:
    """float64 uV at 100 Hz: a resting tone that wanders by some 10%, with bursts that swell and fade over 0.3 s."""
    n = int(round(seconds * ENVELOPE_HZ))
    t = np.arange(n) / ENVELOPE_HZ
    gain = np.ones(n)
    for burst in bursts:
        rise, fade = (t - burst.t_s) / 0.3, (burst.t_s + burst.duration_s - t) / 0.3
        gain += burst.amplitude * np.clip(np.minimum(rise, fade), 0, 1)
    return rest_uv * gain * np.exp(0.1 * slow(n, ENVELOPE_HZ, 2.0, rng))


def _raw(envelope: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float64 uV at 1 kHz whose rectified mean is the envelope: E|x| of a Gaussian is sigma * sqrt(2 / pi)."""
    n = round(len(envelope) * EMG_RATE_HZ / ENVELOPE_HZ)
    sigma = np.interp(np.arange(n) / EMG_RATE_HZ, np.arange(len(envelope)) / ENVELOPE_HZ, envelope) * np.sqrt(np.pi / 2)
    return sigma * band_noise(n, rng)


def _motion(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """float64 (3, n) in g at 50 Hz: gravity along a wandering direction, 3 mg of noise; never enough to void a score."""
    n = int(round(seconds * EDA_HZ))
    tilt = np.stack([0.1 * slow(n, EDA_HZ, 30.0, rng), 0.1 * slow(n, EDA_HZ, 30.0, rng), np.ones(n)])
    return tilt / np.linalg.norm(tilt, axis=0) + rng.normal(0, 0.003, (3, n))
