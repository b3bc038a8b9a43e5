"""What the band's analogue front end and converters would make of a recording: ADC counts at the contract's rates.

Takes a Recording, gives a FrontEnd. Training and the emulator's replayer both start here, so that a model is trained on what
nb_dsp makes of the very path that it is later run on. What is made up on the way is listed in `FrontEnd.simulated`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from zlib import crc32

import numpy as np

from nociband.errors import DataError, EnvironmentProblem
from nociband.signals.recording import Channel, Recording
from nociband.spec import SPEC

_SIGNALS = SPEC.features["signals"]
EMG_RATE_HZ: int = _SIGNALS["emg"]["rate_hz"]
EDA_RATE_HZ: int = _SIGNALS["eda"]["rate_hz"]
BLOCKS_PER_S: int = 1_000_000 // SPEC.features["block"]["us"]
EMG_PER_EDA = EMG_RATE_HZ // EDA_RATE_HZ
EMG_SITES = ("corrugator", "zygomaticus")  # of emg1, emg2 when a recording has both
CARRIER_BAND_HZ = (20.0, 450.0)  # surface EMG, De Luca et al. 2010, J Biomech 43(8)
EMG_NOISE_UV_RMS = 0.5  # input-referred noise of a low-power biopotential front end, white over 0-500 Hz
ACCEL_NOISE_MG_RMS = 3.0
_MICRO = {"uV": 1.0, "mV": 1e3}


@dataclass(frozen=True, eq=False)
class FrontEnd:
    """Counts as the converters deliver them, whole 40 ms blocks, `n` EMG samples.

    `emg` int16 (n, 2) in 1/16 uV, `eda` uint16 (n / 20,) in 1/512 uS, `accel` int16 (n / 20, 3) in mg. `sites` names the
    muscle of each EMG channel, `simulated` what was made up, `source` where the rest comes from.
    """

    emg: np.ndarray
    eda: np.ndarray
    accel: np.ndarray
    sites: tuple[str, str]
    simulated: tuple[str, ...]
    source: str
    notes: str = ""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.emg) / EMG_RATE_HZ


def to_counts(recording: Recording, seed: int = 0, *, sites: tuple[str, str] | None = None, resample_emg: bool = False,
              absent_emg: str = "refuse") -> FrontEnd:
    """Digitise a recording. The same recording, seed and options give the same counts.

    sites: which muscles become emg1 and emg2; by default corrugator and zygomaticus, else the two that there are. resample_emg:
    take raw EMG of another rate than the front end's, which cannot bring back what was never recorded. absent_emg: "refuse" a
    recording without the EMG channels, or give a missing one the front end's "noise" alone. Both are declared in `simulated`.
    Raises DataError when a channel is missing, has an unknown unit, or the recording is shorter than one block,
    EnvironmentProblem when resampling is asked for without SciPy.
    """
    blocks = int(recording.duration_s * BLOCKS_PER_S + 1e-9)
    if blocks < 1:
        raise DataError(f"{recording.name}: {recording.duration_s:.3f} s is less than one block of 40 ms")
    rng = np.random.default_rng([seed, crc32(recording.name.encode())])
    named, recorded = _sites(recording, sites, absent_emg)
    n = blocks * EMG_RATE_HZ // BLOCKS_PER_S
    simulated = list(recording.simulated)
    emg = np.empty((n, 2), np.int16)
    for k, site in enumerate(named):
        microvolts = _emg_microvolts(recording, site, n, rng, simulated, resample_emg) if recorded[k] else np.zeros(n)
        if not recorded[k]:
            simulated.append(f"EMG {k + 1} ({site}): not recorded, front-end noise alone")
        emg[:, k] = _emg_counts(microvolts, n, rng, simulated)
    eda = _eda_counts(recording.channel("eda"), n // EMG_PER_EDA)
    accel = _accel_counts(recording, n // EMG_PER_EDA, rng, simulated)
    return FrontEnd(emg, eda, accel, named, tuple(dict.fromkeys(simulated)), recording.source, recording.notes)


def _sites(recording: Recording, asked: tuple[str, str] | None, absent: str) -> tuple[tuple[str, str], tuple[bool, bool]]:
    """The muscle of each EMG channel, and whether it was recorded."""
    if absent not in ("refuse", "noise"):
        raise DataError(f"absent_emg is 'refuse' or 'noise', not {absent!r}")
    here = [name for name in recording.channels if name in SPEC.sites]
    named = asked or (EMG_SITES if set(EMG_SITES) <= set(here) else (here[0], here[1]) if len(here) == 2 else None)
    if named is None and absent == "noise" and len(here) < 2:
        named = (here[0] if here else "unspecified", "unspecified")
    if named is not None and (unknown := set(named) - set(SPEC.sites)):
        raise DataError(f"{', '.join(sorted(unknown))} is no electrode site; known: {', '.join(SPEC.sites)}")
    recorded = None if named is None else (named[0] in here, named[1] in here and named[1] != named[0])
    if named is None or recorded is None or (absent == "refuse" and not all(recorded)):
        raise DataError(f"{recording.name}: needs two EMG channels named after electrode sites ({', '.join(SPEC.sites)}), has "
                        f"{', '.join(sorted(recording.channels))}. Of more than two choose with sites=; with fewer, "
                        "absent_emg='noise' gives a missing channel the front end's noise alone, and says so")
    return (named[0], named[1]), recorded


def _emg_microvolts(recording: Recording, site: str, n: int, rng: np.random.Generator, simulated: list[str],
                    resample: bool) -> np.ndarray:
    """float64 (n or more,) at the front end's rate. An envelope modulates a carrier; a raw signal may be resampled."""
    channel = recording.channel(site)
    if channel.unit not in _MICRO:
        raise DataError(f"{recording.name}: EMG of {site} is in {channel.unit!r}; known units: {', '.join(_MICRO)}")
    microvolts = channel.samples * (_MICRO[channel.unit] * recording.emg_gain)
    if channel.kind == "rectified_mean":
        # E|x| of a Gaussian is sigma * sqrt(2 / pi): so corrected, the rectified mean equals the envelope.
        sigma = np.maximum(_at_rate(microvolts, channel.rate_hz, EMG_RATE_HZ, n), 0) * np.sqrt(np.pi / 2)
        gain = f", gain x{recording.emg_gain:g}" if recording.emg_gain != 1 else ""
        simulated.append(f"EMG: {'simulated' if recording.simulated else 'recorded'} envelope, synthetic carrier{gain}")
        return sigma * band_noise(n, rng)
    if channel.rate_hz == EMG_RATE_HZ:
        return microvolts
    if not resample:
        raise DataError(f"{recording.name}: raw EMG of {site} is at {channel.rate_hz:g} Hz; the front end takes "
                        f"{EMG_RATE_HZ} Hz. resample_emg=True resamples it, and says so")
    try:
        from scipy.signal import resample_poly
    except ModuleNotFoundError as e:
        raise EnvironmentProblem("resampling EMG needs the package scipy: pip install 'nociband[train]'") from e
    ratio = Fraction(EMG_RATE_HZ / channel.rate_hz).limit_denominator(10_000)
    highest = min(channel.rate_hz, EMG_RATE_HZ) / 2
    simulated.append(f"EMG of {site}: resampled from {channel.rate_hz:g} Hz; nothing above {highest:g} Hz")
    return resample_poly(microvolts, ratio.numerator, ratio.denominator, padtype="line")


def _emg_counts(microvolts: np.ndarray, n: int, rng: np.random.Generator, simulated: list[str]) -> np.ndarray:
    """int16 (n,), with the front end's own noise."""
    noise = EMG_NOISE_UV_RMS * rng.standard_normal(n)
    simulated.append(f"EMG: front-end noise {EMG_NOISE_UV_RMS:g} uV RMS")
    return _quantise(microvolts[:n] + noise, _SIGNALS["emg"]["counts_per_unit"], np.int16)


def band_noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of unit variance with a flat spectrum over 20-450 Hz and none outside, float64 (n,) at 1 kHz."""
    size = 1 << max(n, 2).bit_length()  # a power of two keeps the FFT quick; the surplus is cut off
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequency = np.fft.rfftfreq(size, 1 / EMG_RATE_HZ)
    spectrum[(frequency < CARRIER_BAND_HZ[0]) | (frequency > CARRIER_BAND_HZ[1])] = 0
    share = (CARRIER_BAND_HZ[1] - CARRIER_BAND_HZ[0]) / (EMG_RATE_HZ / 2)
    return np.fft.irfft(spectrum, size)[:n] / np.sqrt(share)


def _eda_counts(channel: Channel, n: int) -> np.ndarray:
    """uint16 (n,); conductance below zero, as a dead channel gives, reads as zero."""
    if channel.unit != "uS":
        raise DataError(f"EDA is in {channel.unit!r}; the front end takes uS")
    return _quantise(_at_rate(channel.samples, channel.rate_hz, EDA_RATE_HZ, n), _SIGNALS["eda"]["counts_per_unit"], np.uint16)


def _accel_counts(recording: Recording, n: int, rng: np.random.Generator, simulated: list[str]) -> np.ndarray:
    """int16 (n, 3) in mg; without an accelerometer in the recording, 1 g along z with a little noise."""
    names = ("accel_x", "accel_y", "accel_z")
    if all(name in recording.channels for name in names):
        g = [_at_rate((c := recording.channels[name]).samples, c.rate_hz, EDA_RATE_HZ, n) for name in names]
        return _quantise(1000 * np.stack(g, axis=1), 1, np.int16)
    simulated.append("accelerometer: 1 g at rest")
    return _quantise(np.array([0.0, 0.0, 1000.0]) + ACCEL_NOISE_MG_RMS * rng.standard_normal((n, 3)), 1, np.int16)


def _at_rate(samples: np.ndarray, rate_hz: float, target_hz: float, n: int) -> np.ndarray:
    """`n` samples at `target_hz`: means over each period of a faster signal, linear interpolation of a slower one."""
    ratio = rate_hz / target_hz
    if ratio > 1 and ratio == int(ratio):
        whole = samples[: len(samples) // int(ratio) * int(ratio)].reshape(-1, int(ratio)).mean(axis=1)
        return whole[:n]
    if ratio > 1:  # periods that begin and end within a sample: differences of the running sum
        total = np.concatenate([[0.0], np.cumsum(samples)])
        return np.diff(np.interp(np.arange(n + 1) * ratio, np.arange(len(total)), total)) / ratio
    return np.interp(np.arange(n) / target_hz, np.arange(len(samples)) / rate_hz, samples)


def _quantise(values: np.ndarray, counts_per_unit: float, dtype: type) -> np.ndarray:
    limits: np.iinfo = np.iinfo(dtype)
    return np.clip(np.rint(values * counts_per_unit), limits.min, limits.max).astype(dtype)
