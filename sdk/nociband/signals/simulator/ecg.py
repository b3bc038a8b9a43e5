"""An electrocardiogram with pain in its rhythm, after McSharry, Clifford, Tarassenko and Smith 2003, IEEE Trans Biomed Eng 50(3).

draw_beats decides on the R peaks: a tachogram with a low- and a high-frequency wave (as in the paper), to whose rate each
stimulus adds beats a minute. render_ecg makes the signal: of the paper's equations of motion the first two only say that the
state runs around the unit circle once a beat; started on the circle it stays there, so the angle is known, and the third,
linear in z, is solved as a filter instead of step by step.
"""

from __future__ import annotations

import numpy as np

from nociband.signals.recording import Event
from nociband.signals.simulator.options import TONIC_LABELS, level_of
from nociband.signals.simulator.population import Person, Population

ECG_HZ = 250.0
# Table I of the paper, P Q R S T: angles in rad, sizes, widths in rad.
ANGLES = np.array([-np.pi / 3, -np.pi / 12, 0.0, np.pi / 12, np.pi / 2])
SIZES = np.array([1.2, -5.0, 30.0, -7.5, 0.75])
WIDTHS = np.array([0.25, 0.1, 0.1, 0.1, 0.4])
BASELINE_MV = 0.15  # the breathing baseline's amplitude, of the paper
LF_HZ, BAND_HZ = 0.1, 0.01  # centre of the low-frequency wave and the width of both, of the paper
NOISE_MV = 0.01  # our choice
_INSIDE_HZ = 1000.0  # rate at which the model runs
_TACHOGRAM_HZ = 4.0
_LEAD_S = 10.0  # of beats before the start, in which the model's state settles (its time constant is 1 s)
_RR_S = (0.33, 2.0)  # what is still a heart: 30 to 180 beats a minute


def draw_beats(seconds: float, person: Person, stimuli: tuple[Event, ...], population: Population,
               rng: np.random.Generator) -> tuple[float, ...]:
    """Times of the R peaks in s, from the last before 0 to the first after `seconds`.

    They are where the integral of the rate passes a whole number.
    """
    n = int((seconds + 2 * _LEAD_S) * _TACHOGRAM_HZ)
    rr_s = (person.rr_ms + person.sdnn_ms * _waves(n, person, rng)) / 1000
    grid = np.arange(int((seconds + 2 * _LEAD_S) * 100)) / 100
    rate = 1 / np.interp(grid, np.arange(n) / _TACHOGRAM_HZ, np.clip(rr_s, *_RR_S))
    rate += heart_response(grid - _LEAD_S, person, stimuli, population) / 60
    turns = np.cumsum(np.clip(rate, 1 / _RR_S[1], 1 / _RR_S[0])) / 100
    beats = np.interp(np.arange(1, int(turns[-1])), turns, grid) - _LEAD_S
    first = np.flatnonzero(beats < 0)[-1]
    return tuple(float(t) for t in beats[first:np.flatnonzero(beats > seconds)[0] + 1])


def _waves(n: int, person: Person, rng: np.random.Generator) -> np.ndarray:
    """float64 (n,) at 4 Hz, unit standard deviation over the whole: two Gaussian bands of the spectrum with random phases."""
    size = max(n, int(512 * _TACHOGRAM_HZ))  # enough frequencies within a band of 0.01 Hz; the surplus is cut off
    f = np.fft.rfftfreq(size, 1 / _TACHOGRAM_HZ)
    power = sum(share * np.exp(-np.square((f - centre) / BAND_HZ) / 2)
                for share, centre in ((person.lf_hf, LF_HZ), (1.0, person.breathing_hz)))
    wave = np.fft.irfft(np.sqrt(power) * np.exp(2j * np.pi * rng.random(len(f))), size)
    return wave[:n] / wave.std()


def heart_response(t_s: np.ndarray, person: Person, stimuli: tuple[Event, ...], population: Population) -> np.ndarray:
    """Beats a minute above the person's own rhythm, float64 like `t_s`.

    After a phasic stimulus u / peak * exp(1 - u / peak); a tonic one lifts the rate with a time constant of 10 s, and it falls
    back with the same.
    """
    out, peak_s = np.zeros_like(t_s), person.heart_peak_s
    for stimulus in stimuli:
        u, level = np.maximum(t_s - stimulus.t_s, 0), level_of(stimulus)
        if stimulus.label in TONIC_LABELS:
            after = np.maximum(u - stimulus.duration_s, 0)
            course = np.exp(-after / 10) - np.exp(-u / 10)
            out += population.tonic_heart_bpm.values[level] * person.heart_gain * course
        else:
            out += population.heart_bpm.values[level] * person.heart_gain * u / peak_s * np.exp(1 - u / peak_s)
    return out


def render_ecg(seconds: float, beats: tuple[float, ...], person: Person, rng: np.random.Generator) -> np.ndarray:
    """float64 mV at 250 Hz. R peaks stand at `beats` and are `person.ecg_mv` high on average."""
    n, step = int(round(seconds * ECG_HZ)), int(_INSIDE_HZ / ECG_HZ)
    t = np.arange(-_LEAD_S, n / ECG_HZ, 1 / _INSIDE_HZ)
    times = _with_lead(np.array(beats), seconds)
    angle = 2 * np.pi * np.interp(t, times, np.arange(len(times)))
    distance = np.remainder(angle[:, None] - ANGLES + np.pi, 2 * np.pi) - np.pi
    forcing = -(SIZES * distance * np.exp(-np.square(distance / WIDTHS) / 2)).sum(axis=1)
    heart = _relax(forcing)
    at = np.rint((np.array(beats[:-1]) + _LEAD_S) * _INSIDE_HZ).astype(int)
    rise = np.median(heart[at] - np.median(heart))
    base = _relax(BASELINE_MV * np.sin(2 * np.pi * person.breathing_hz * t))
    signal = (heart - np.median(heart)) * (person.ecg_mv / rise) + base
    return signal[int(_LEAD_S * _INSIDE_HZ)::step][:n] + rng.normal(0, NOISE_MV, n)


def _with_lead(beats: np.ndarray, seconds: float) -> np.ndarray:
    """The beats, with evenly spaced ones before and after, so that every sample lies between two."""
    before = np.arange(beats[0], -_LEAD_S - 2, beats[0] - beats[1])[::-1]
    after = np.arange(beats[-1], seconds + 4, beats[-1] - beats[-2])
    return np.concatenate([before[:-1], beats, after[1:]])


def _relax(forcing: np.ndarray) -> np.ndarray:
    """z of dz/dt = forcing - z, from rest; exact for a forcing that is constant over each step of 1 ms."""
    from scipy.signal import lfilter  # here, so that a simulation without an ECG needs NumPy alone

    keep = np.exp(-1 / _INSIDE_HZ)
    return lfilter([(1 - keep) / 2, (1 - keep) / 2], [1, -keep], forcing)
