"""What can be read off simulated signals falls where the sources say; every effect does what it is switched on for."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.signal import butter, find_peaks, sosfiltfilt

from nociband.errors import DataError
from nociband.signals import simulator
from nociband.signals.simulator import Options, Protocol, Script, level_of

STRONG = Options(protocol=Protocol(levels=(4,), pause_s=(30.0, 40.0)))  # one SCR has died away before the next


def _crossing(signal: np.ndarray, level: float) -> float:
    """Index at which a falling signal first passes `level`; nan when it never does."""
    below = np.flatnonzero(signal < level)
    return float(below[0]) if below.size else np.nan


def _read_scrs(script: Script, eda: np.ndarray, hz: float) -> np.ndarray:
    """Trough-to-peak scoring as by hand, without a look at the truth: (n, 4) latency, rise, half recovery in s, amplitude in uS.

    Onset is where the slope first passes a tenth of its largest value. Stimuli with a spontaneous SCR near by are left out.
    """
    smooth = sosfiltfilt(butter(2, 2.0, fs=hz, output="sos"), eda)
    spontaneous = np.array([r.t_s for r in script.scrs if r.cause is None])
    rows = []
    for stimulus in script.stimuli:
        if np.any((spontaneous > stimulus.t_s - 15) & (spontaneous < stimulus.t_s + 20)) or stimulus.t_s + 20 > script.seconds:
            continue
        y = smooth[int(stimulus.t_s * hz):int((stimulus.t_s + 18) * hz)]
        peak = int(y[:int(8 * hz)].argmax())
        slope = np.gradient(y[:peak + 1])
        onset = int(np.flatnonzero(slope > 0.1 * slope.max())[0])
        amplitude = y[peak] - y[onset]
        recovery = _crossing(y[peak:], y[peak] - amplitude / 2)
        rows.append((onset / hz, (peak - onset) / hz, recovery / hz, amplitude))
    return np.array(rows).reshape(-1, 4)


@pytest.fixture(scope="module")
def read() -> np.ndarray:
    """SCRs to strong stimuli of 40 responders, as read off the signals."""
    rows = []
    for k in range(50):
        script = simulator.draw(300, 11, f"R{k}", STRONG)
        if script.person.responder:
            rows.append(_read_scrs(script, simulator.render(script, 11).channels["eda"].samples, simulator.EDA_HZ))
    return np.concatenate(rows)


def test_read_off_latency_rise_recovery_and_amplitude_are_those_of_the_literature(read):
    """Dawson, Schell and Filion 2007: latency 1-3 s, rise 1-3 s, recovery by half 2-10 s. 0.2 s of slack for reading an onset."""
    assert len(read) > 80 and np.isnan(read).any(axis=1).mean() < 0.05  # a drift can hide the recovery
    latency, rise, recovery, amplitude = np.nanquantile(read, [0.05, 0.95], axis=0).T
    assert 0.9 <= latency[0] < 1.4 and 2.7 < latency[1] <= 3.2
    assert 0.9 <= rise[0] and rise[1] <= 3.0
    assert 1.9 <= recovery[0] and recovery[1] <= 10.0
    assert np.nanmedian(read[:, 3]) == pytest.approx(1.0, abs=0.25)  # level 4 aims at 1 uS for the middle person
    assert amplitude[0] > 0.2


def test_spontaneous_scrs_come_one_to_three_times_a_minute():
    rates = []
    for k in range(40):
        script = simulator.draw(600, 3, f"S{k}", Options(protocol=Protocol(levels=(0,))))
        if script.person.responder:
            rates.append(len(script.scrs) / 10)
    assert 1.6 < np.mean(rates) < 2.4 and np.std(rates) > 0.4


def test_habituation_shrinks_later_responses_and_changes_nothing_else():
    ratios = []
    for k in range(40):
        plain = simulator.draw(600, 5, f"H{k}", STRONG)
        habituated = simulator.draw(600, 5, f"H{k}", Options(protocol=STRONG.protocol, habituation=True))
        assert [r.t_s for r in plain.scrs] == [r.t_s for r in habituated.scrs]
        assert plain.corrugator == habituated.corrugator
        pairs = [(a, b) for a, b in zip(plain.scrs, habituated.scrs, strict=True)]
        assert all(a.amplitude == b.amplitude for a, b in pairs if a.cause is None)
        for a, b in pairs:
            if a.cause is not None:
                share = 1 - plain.person.habituation * np.log(a.cause + 1)
                assert b.amplitude / a.amplitude == pytest.approx(max(share, 0.2))
        ratios += [b.amplitude / a.amplitude for a, b in pairs if a.cause is not None and a.cause >= 9]
    assert np.mean(ratios) < 0.85 and max(ratios) > 1  # people differ: a few sensitise


def test_tonic_level_drifts_down_and_rises_with_pain():
    trends, rises = [], []
    for k in range(30):
        script = simulator.draw(200, 9, f"D{k}", Options(tonic=True))
        with_tonic = simulator.render(script, 9).channels["eda"].samples
        without = simulator.simulate(200, 9, f"D{k}").channels["eda"].samples
        share = (with_tonic - without) / script.person.level_usiemens
        quiet = int(20 * simulator.EDA_HZ)
        trends.append(share[quiet] * 3)  # per minute, before the first stimulus
        strong = next((e for e in script.stimuli if level_of(e) == 4), None)
        if strong is not None and script.person.responder:
            at = int((strong.t_s + strong.duration_s) * simulator.EDA_HZ)
            rises.append(share[at] - share[int(strong.t_s * simulator.EDA_HZ)])
    assert -0.03 < np.mean(trends) < -0.01
    assert 0.02 < np.mean(rises) < 0.05


def test_tonic_stimuli_last_a_minute_and_go_on_hurting():
    options = Options(protocol=Protocol(tonic_every=1))
    scripts = [simulator.draw(900, 2, f"T{k}", options) for k in range(10)]
    tonic = [(s, i, e) for s in scripts for i, e in enumerate(s.stimuli) if e.label in simulator.TONIC_LABELS]
    assert len(tonic) > 30 and all(58 <= e.duration_s <= 62 and level_of(e) > 0 for _, _, e in tonic)
    for script in scripts:
        ends = [e.t_s + e.duration_s for e in script.stimuli]
        assert all(later.t_s - end >= 8 for end, later in zip(ends, script.stimuli[1:], strict=False)) and ends[-1] <= 900
    late = [r.t_s - e.t_s for s, i, e in tonic for r in s.scrs if r.cause == i and s.person.responder]
    assert np.mean(np.array(late) > 10) > 0.6
    assert np.mean([sum(b.cause == i for b in s.corrugator) for s, i, _ in tonic]) > 4


def test_the_trapezius_is_a_third_muscle_that_leaves_the_face_as_it_was():
    with_it, without = simulator.simulate(120, 4, options=Options(trapezius=True)), simulator.simulate(120, 4)
    assert set(with_it.channels) - set(without.channels) == {"trapezius"}
    assert all(np.array_equal(c.samples, with_it.channels[name].samples) for name, c in without.channels.items())
    levels: list[list[float]] = [[] for _ in range(5)]
    for k in range(20):
        script = simulator.draw(600, 4, f"M{k}", Options(trapezius=True))
        for burst in script.trapezius:
            levels[level_of(script.stimuli[burst.cause])].append(burst.amplitude)
    assert levels[0] == [] and np.all(np.diff([np.mean(values) for values in levels[1:]]) > 0)


def test_raw_emg_has_the_envelope_as_its_rectified_mean_and_lies_within_20_to_450_hz():
    script = simulator.draw(60, 6, options=Options(raw_emg=True))
    raw, envelope = simulator.render(script, 6).channels["corrugator"], simulator.simulate(60, 6).channels["corrugator"]
    assert (raw.kind, raw.rate_hz, raw.samples.size) == ("raw", 1000, 60_000)
    assert np.abs(raw.samples).reshape(-1, 10_000).mean(1) == pytest.approx(envelope.samples.reshape(-1, 1000).mean(1), rel=0.08)
    power, hz = np.square(np.abs(np.fft.rfft(raw.samples))), np.fft.rfftfreq(raw.samples.size, 1e-3)
    assert power[(hz > 18) & (hz < 452)].sum() > 0.98 * power.sum()


def _r_peaks(ecg: np.ndarray) -> np.ndarray:
    """R peaks in s from the signal alone: band-pass of 5-20 Hz, squared, smoothed, then the top of each beat."""
    hz = simulator.ECG_HZ
    band = sosfiltfilt(butter(2, (5, 20), "bandpass", fs=hz, output="sos"), ecg)
    energy = np.convolve(np.square(band), np.ones(25) / 25, "same")
    found, _ = find_peaks(energy, distance=int(0.3 * hz), height=0.2 * np.quantile(energy, 0.98))
    return np.array([max(0, i - 20) + ecg[max(0, i - 20):i + 21].argmax() for i in found]) / hz


def test_r_peaks_read_off_the_ecg_are_the_beats_of_the_script():
    for k in range(8):
        script = simulator.draw(120, 8, f"E{k}", Options(ecg=True))
        channel = simulator.render(script, 8).channels["ecg"]
        assert (channel.unit, channel.rate_hz, channel.samples.size) == ("mV", 250, 30_000)
        beats = np.array([b for b in script.beats if 0.3 < b < 119.7])
        peaks = _r_peaks(channel.samples)
        peaks = peaks[(peaks > 0.15) & (peaks < 119.85)]
        assert np.abs(peaks[:, None] - beats).min(axis=0).max() < 0.012 and abs(len(peaks) - len(beats)) <= 2
        heights = channel.samples[np.rint(beats * 250).astype(int)]
        assert np.median(heights) == pytest.approx(script.person.ecg_mv, rel=0.1)


def test_heart_rhythm_has_the_mean_and_spread_of_the_person_and_breathing_in_it():
    quiet = Options(protocol=Protocol(levels=(0,)), ecg=True)
    errors, spreads, power_of_breath = [], [], []
    for k in range(20):
        script = simulator.draw(600, 10, f"B{k}", quiet)
        rr = 1000 * np.diff(script.beats)
        errors.append(rr.mean() / script.person.rr_ms - 1)
        spreads.append(rr.std() / script.person.sdnn_ms)
        even = CubicSpline(script.beats[:-1], rr)(np.arange(0, 590, 0.25))
        power, hz = np.square(np.abs(np.fft.rfft(even - even.mean()))), np.fft.rfftfreq(even.size, 0.25)
        low, high = power[(hz > 0.04) & (hz < 0.15)].sum(), power[(hz >= 0.15) & (hz < 0.4)].sum()
        power_of_breath.append(low / high / script.person.lf_hf)
    assert np.abs(errors).max() < 0.03
    assert np.mean(spreads) == pytest.approx(1, abs=0.1)
    assert np.median(power_of_breath) == pytest.approx(1, abs=0.35)  # beats sample the fast wave, so some of it is lost


def test_the_heart_quickens_with_pain_and_more_with_more():
    """Mean over people of the rate 2-10 s after the onset against the 8 s before, by level (Moeltner et al. 1990)."""
    change: list[list[float]] = [[] for _ in range(5)]
    options = Options(protocol=Protocol(pause_s=(25.0, 30.0)), ecg=True)
    for k in range(40):
        script = simulator.draw(600, 12, f"Q{k}", options)
        beats = np.array(script.beats)
        for e in script.stimuli[:-1]:
            spans = (e.t_s - 8, e.t_s), (e.t_s + 2, e.t_s + 10)
            rate = [60 / np.diff(beats[(beats > a) & (beats < b)]).mean() for a, b in spans]
            change[level_of(e)].append(rate[1] - rate[0])
    means = [float(np.mean(values)) for values in change]
    assert abs(means[0]) < 0.7 and means[4] > means[3] > means[2] > means[0]
    assert 3.0 < means[4] < 6.0


@pytest.mark.parametrize("wrong", [
    lambda: Protocol(levels=(5,)), lambda: Protocol(pause_s=(5.0, 1.0)), lambda: Protocol(phasic_s=(0.0, 1.0)),
    lambda: Protocol(tonic_every=-1), lambda: simulator.Artefacts(motion_per_minute=-1),
    lambda: simulator.Artefacts(fidget_per_minute=float("nan")), lambda: simulator.Distribution("gamma", 1, 1, "s", "x"),
    lambda: simulator.Distribution("lognormal", 0, 1, "s", "x"), lambda: simulator.Distribution("chance", 1.2, 0, "", "x"),
    lambda: simulator.ByLevel((1.0,), "uS", "x"), lambda: level_of(simulator.simulate(60, 1).events[0].__class__(0, 1, "happy")),
])
def test_what_cannot_be_simulated_is_refused(wrong):
    with pytest.raises(DataError):
        wrong()
