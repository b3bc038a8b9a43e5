"""What will happen to a made-up person: stimuli, SCRs, muscle bursts, heart beats and artefacts, all written down as a Script.

Takes Options and a seed, gives the truth that render makes signals of and that tests hold them against. The generators of
random numbers are separate, so that an option that is switched on changes nothing of what was drawn without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from nociband.errors import DataError
from nociband.signals.recording import Event
from nociband.signals.simulator.artefacts import Artefact, draw_artefacts
from nociband.signals.simulator.ecg import draw_beats
from nociband.signals.simulator.options import LABELS, TONIC_LABELS, Options, Protocol, level_of
from nociband.signals.simulator.population import Person, Population, draw_person

MUSCLES = ("corrugator", "zygomaticus", "trapezius")
TONIC_SCR_SHARE = 0.5  # of a phasic one's size; our choice
TONIC_BURST_EVERY_S = 8.0  # our choice
HABITUATED_LEAST = 0.2  # an SCR does not shrink below this share of the first; our choice


@dataclass(frozen=True)
class Response:
    """One SCR (amplitude in uS) or EMG burst (times the rest) from `t_s` on; `cause`: which stimulus, None when spontaneous."""

    t_s: float
    amplitude: float
    duration_s: float = 0.0
    cause: int | None = None


@dataclass(frozen=True)
class Script:
    """Everything that will happen: the truth against which signals can be checked.

    `beats` are the R peaks in s, from the last before the start to the first after the end (empty without an ECG);
    `artefacts` is in order of time.
    """

    name: str
    subject: str
    seconds: float
    person: Person
    stimuli: tuple[Event, ...]
    scrs: tuple[Response, ...]
    corrugator: tuple[Response, ...]
    zygomaticus: tuple[Response, ...]
    trapezius: tuple[Response, ...] = ()
    beats: tuple[float, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    options: Options = Options()


def stream(seed: int, subject: str, *purpose: int) -> np.random.Generator:
    """The generator of one purpose: none the script as it always was, 1 noise; later purposes have numbers of their own."""
    return np.random.default_rng([seed, crc32(subject.encode()), *purpose])


def draw(seconds: float, seed: int, subject: str = "S01", options: Options | None = None) -> Script:
    """Decide on a person, a protocol and the responses to it. Raises DataError for less than a second."""
    if not seconds >= 1:
        raise DataError(f"the simulator needs at least 1 s, got {seconds}")
    options = options or Options()
    population, rng = options.population, stream(seed, subject)
    person = draw_person(population, rng, stream(seed, subject, 2))
    stimuli = _draw_stimuli(seconds, options.protocol, rng, stream(seed, subject, 3))
    bursts = _draw_bursts(seconds, person, stimuli, population, rng)
    scrs = _draw_scrs(seconds, person, stimuli, population, rng)
    if options.habituation:
        scrs = _habituated(scrs, stimuli, person)
    tonic = stream(seed, subject, 4)
    scrs = _in_order(scrs + _tonic_scrs(person, stimuli, population, tonic))
    muscles = [_in_order(bursts[k] + _tonic_bursts(person, stimuli, _sizes(population)[k], population, tonic)) for k in range(2)]
    trapezius = _draw_trapezius(person, stimuli, population, stream(seed, subject, 5)) if options.trapezius else ()
    beats = draw_beats(seconds, person, stimuli, population, stream(seed, subject, 6)) if options.ecg else ()
    sites = MUSCLES if options.trapezius else MUSCLES[:2]
    artefacts = draw_artefacts(seconds, options.artefacts, sites, stream(seed, subject, 7))
    return Script(f"simulator:{subject}", subject, seconds, person, stimuli, scrs, muscles[0], muscles[1], trapezius, beats,
                  artefacts, options)


def _in_order(responses: tuple[Response, ...]) -> tuple[Response, ...]:
    return tuple(sorted(responses, key=lambda r: r.t_s))


def _sizes(population: Population) -> tuple[tuple[float, ...], ...]:
    return population.corrugator_burst.values, population.zygomaticus_burst.values, population.trapezius_burst.values


def _draw_stimuli(seconds: float, protocol: Protocol, rng: np.random.Generator, tonic: np.random.Generator) -> tuple[Event, ...]:
    """Levels in shuffled rounds, so that none is rare, with tonic stimuli between rounds where the protocol has them."""
    stimuli: list[Event] = []
    t, rounds = protocol.first_s, 0
    waiting: list[int] = []
    while True:
        if not waiting:
            if protocol.tonic_every and rounds and rounds % protocol.tonic_every == 0:
                length = float(tonic.uniform(*protocol.tonic_s))
                if t + length > seconds:
                    return tuple(stimuli)
                stimuli.append(Event(t, length, TONIC_LABELS[protocol.tonic_levels[tonic.integers(len(protocol.tonic_levels))]]))
                t += length + float(tonic.uniform(*protocol.tonic_pause_s))
            waiting = rng.permutation(len(protocol.levels)).tolist()
            rounds += 1
        length = float(rng.uniform(*protocol.phasic_s))
        if t + length > seconds:
            return tuple(stimuli)
        stimuli.append(Event(t, length, LABELS[protocol.levels[waiting.pop()]]))
        t += length + float(rng.uniform(*protocol.pause_s))


def _draw_scrs(seconds: float, person: Person, stimuli: tuple[Event, ...], population: Population,
               rng: np.random.Generator) -> tuple[Response, ...]:
    responses = []
    for i, stimulus in enumerate(stimuli):
        latency, spread = population.scr_latency_s.draw(rng), population.scr_spread.draw(rng)
        amplitude = population.scr_usiemens.values[level_of(stimulus)] * person.scr_gain * spread * person.responder
        if amplitude > 0:
            responses.append(Response(stimulus.t_s + latency, amplitude, cause=i))
    for _ in range(rng.poisson(person.spontaneous_per_minute * seconds / 60)):
        t, amplitude = rng.uniform(0, seconds), population.spontaneous_usiemens.draw(rng)
        if person.responder:
            responses.append(Response(t, amplitude))
    return _in_order(tuple(responses))


def _habituated(scrs: tuple[Response, ...], stimuli: tuple[Event, ...], person: Person) -> tuple[Response, ...]:
    """SCRs to the k-th painful stimulus times 1 - habituation * ln(k): amplitude falls on the logarithm of the trial number."""
    painful = [i for i, stimulus in enumerate(stimuli) if level_of(stimulus) > 0]
    share = {i: max(HABITUATED_LEAST, 1 - person.habituation * float(np.log(k + 1))) for k, i in enumerate(painful)}
    return tuple(r if r.cause is None else Response(r.t_s, r.amplitude * share[r.cause], r.duration_s, r.cause) for r in scrs)


def _tonic_scrs(person: Person, stimuli: tuple[Event, ...], population: Population,
                rng: np.random.Generator) -> tuple[Response, ...]:
    """While a tonic stimulus lasts, more SCRs than at rest, each smaller than the first."""
    responses = []
    for i, stimulus in enumerate(stimuli):
        if stimulus.label not in TONIC_LABELS:
            continue
        size = TONIC_SCR_SHARE * population.scr_usiemens.values[level_of(stimulus)] * person.scr_gain * person.responder
        for _ in range(rng.poisson(population.tonic_scr_per_minute.draw(rng) * stimulus.duration_s / 60)):
            t, spread = stimulus.t_s + rng.uniform(4.0, stimulus.duration_s), population.scr_spread.draw(rng)
            if size > 0:
                responses.append(Response(t, size * spread, cause=i))
    return tuple(responses)


def _draw_bursts(seconds: float, person: Person, stimuli: tuple[Event, ...], population: Population,
                 rng: np.random.Generator) -> tuple[tuple[Response, ...], tuple[Response, ...]]:
    """Bursts of the corrugator and the zygomaticus: one a stimulus, and a few movements that have nothing to do with pain."""
    out: tuple[list[Response], list[Response]] = ([], [])
    for i, stimulus in enumerate(stimuli):
        level, delay, length = level_of(stimulus), population.burst_delay_s.draw(rng), population.burst_s.draw(rng)
        for k, sizes in enumerate(_sizes(population)[:2]):
            amplitude = sizes[level] * person.emg_gain * population.burst_spread.draw(rng)
            if amplitude > 0:
                out[k].append(Response(stimulus.t_s + delay, amplitude, length, i))
    for _ in range(rng.poisson(population.stray_per_minute.draw(rng) * seconds / 60)):
        k, t, amplitude = rng.integers(2), rng.uniform(0, seconds), population.stray_burst.draw(rng)
        out[k].append(Response(t, amplitude, population.stray_s.draw(rng)))
    return _in_order(tuple(out[0])), _in_order(tuple(out[1]))


def _tonic_bursts(person: Person, stimuli: tuple[Event, ...], sizes: tuple[float, ...], population: Population,
                  rng: np.random.Generator) -> tuple[Response, ...]:
    """While a tonic stimulus lasts the muscle comes back again and again, half as strong as at its onset."""
    responses = []
    for i, stimulus in enumerate(stimuli):
        if stimulus.label not in TONIC_LABELS:
            continue
        for _ in range(rng.poisson(stimulus.duration_s / TONIC_BURST_EVERY_S)):
            t, spread = rng.uniform(4.0, stimulus.duration_s), population.burst_spread.draw(rng)
            length = population.burst_s.draw(rng)
            amplitude = 0.5 * sizes[level_of(stimulus)] * person.emg_gain * spread
            if amplitude > 0:
                responses.append(Response(stimulus.t_s + t, amplitude, length, i))
    return tuple(responses)


def _draw_trapezius(person: Person, stimuli: tuple[Event, ...], population: Population,
                    rng: np.random.Generator) -> tuple[Response, ...]:
    """One burst a stimulus, as of the face but with times of its own, and the tonic ones."""
    sizes, responses = population.trapezius_burst.values, []
    for i, stimulus in enumerate(stimuli):
        delay, length = population.burst_delay_s.draw(rng), population.burst_s.draw(rng)
        amplitude = sizes[level_of(stimulus)] * person.emg_gain * population.burst_spread.draw(rng)
        if amplitude > 0:
            responses.append(Response(stimulus.t_s + delay, amplitude, length, i))
    return _in_order(tuple(responses) + _tonic_bursts(person, stimuli, sizes, population, rng))
