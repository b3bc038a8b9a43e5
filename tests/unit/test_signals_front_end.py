"""What the virtual front end makes of recordings: rates, units, statistics of the carrier, what it declares as made up."""

import time

import numpy as np
import pytest

from nociband.dsp import features
from nociband.errors import DataError
from nociband.signals import Channel, Event, Recording, simulator, to_counts
from nociband.signals.front_end import EMG_NOISE_UV_RMS, band_noise


def recording(seconds: float = 60.0, emg_uv: float = 6.0, eda: np.ndarray | None = None, name: str = "made:1",
              **more) -> Recording:
    n = int(seconds * 100)
    emg = Channel(np.full(n, emg_uv / 1e3), 100, "mV", "rectified_mean")
    eda = np.linspace(4, 6, n) if eda is None else eda
    return Recording(name, "1", {"eda": Channel(eda, 100, "uS"), "corrugator": emg, "zygomaticus": emg}, (), (), "made", **more)


def test_shapes_rates_and_what_is_declared():
    front = to_counts(recording(10.03, emg_gain=24))
    assert front.emg.shape == (10_000, 2) and front.emg.dtype == np.int16
    assert front.eda.shape == (500,) and front.eda.dtype == np.uint16
    assert front.accel.shape == (500, 3) and front.accel.dtype == np.int16
    assert front.sites == ("corrugator", "zygomaticus") and front.seconds == 10
    assert front.simulated == ("EMG: recorded envelope, synthetic carrier, gain x24", "EMG: front-end noise 0.5 uV RMS",
                               "accelerometer: 1 g at rest")


def test_the_same_seed_gives_the_same_counts():
    a, b, c = (to_counts(recording(), seed) for seed in (3, 3, 4))
    assert np.array_equal(a.emg, b.emg) and np.array_equal(a.accel, b.accel)
    assert not np.array_equal(a.emg, c.emg) and np.array_equal(a.eda, c.eda)
    assert not np.array_equal(a.emg[:, 0], a.emg[:, 1])  # the channels' carriers are their own
    assert not np.array_equal(a.emg, to_counts(recording(name="made:2"), 3).emg)


def test_the_rectified_mean_is_the_envelope():
    front = to_counts(recording(120, emg_uv=0.25, emg_gain=24))
    rectified = np.abs(front.emg / 16).mean(axis=0)
    expected = np.hypot(0.25 * 24 * np.sqrt(np.pi / 2), EMG_NOISE_UV_RMS) * np.sqrt(2 / np.pi)
    assert np.allclose(rectified, expected, rtol=0.01)


def test_the_carrier_is_unit_gaussian_in_its_band():
    noise = band_noise(200_000, np.random.default_rng(1))
    assert noise.std() == pytest.approx(1, abs=0.01) and noise.mean() == pytest.approx(0, abs=0.01)
    assert np.mean(noise**4) == pytest.approx(3, abs=0.1)  # kurtosis of a Gaussian
    power, frequency = np.abs(np.fft.rfft(noise)) ** 2, np.fft.rfftfreq(noise.size, 1e-3)
    assert power[(frequency < 19) | (frequency > 451)].sum() / power.sum() < 1e-3


def test_the_bands_dsp_recovers_the_envelope():
    """A step from 4 to 32 uV of rectified mean comes back from the RMS envelope within 10% on average (median), once settled."""
    n = 6000
    envelope = np.where(np.arange(n) < n // 2, 4.0, 32.0)
    emg = Channel(envelope, 100, "uV", "rectified_mean")
    front = to_counts(Recording("made:step", "1", {"eda": Channel(np.full(n, 5.0), 100, "uS"), "corrugator": emg,
                                                   "zygomaticus": emg}, (), (), "made"))
    frames = features(front.emg, front.eda) / 2.0**11
    rms_uv = 2 ** frames[:, [3, 5]] / 16
    for part, uv in ((slice(200, 740), 4.0), (slice(850, 1490), 32.0)):
        mean = np.sqrt(np.mean(rms_uv[part] ** 2, axis=0)) * np.sqrt(2 / np.pi)
        assert np.allclose(mean, uv, rtol=0.1)


def test_eda_is_resampled_and_quantised():
    seconds, rate = 20, 100
    t = np.arange(seconds * rate) / rate
    front = to_counts(recording(seconds, eda=5 + np.sin(2 * np.pi * 0.2 * t)))
    at = (np.arange(front.eda.size) * 2 + 0.5) / rate  # the middle of the two samples averaged
    assert np.abs(front.eda / 512 - (5 + np.sin(2 * np.pi * 0.2 * at))).max() < 0.6 / 512 + 1e-4


def test_conductance_below_zero_reads_zero_and_large_emg_saturates():
    front = to_counts(recording(10, emg_uv=4000.0, eda=np.full(1000, -0.05)))
    assert front.eda.max() == 0
    assert front.emg.max() == 32767 and front.emg.min() == -32768


def test_raw_emg_passes_through_at_1_khz_only():
    raw = np.arange(2000) / 16.0 - 60
    channels = {"eda": Channel(np.full(100, 3.0), 50, "uS"), "forearm_flexor": Channel(raw, 1000, "uV"),
                "forearm_extensor": Channel(raw, 1000, "uV")}
    front = to_counts(Recording("made:raw", "1", channels, (), (), "made"))
    assert front.sites == ("forearm_flexor", "forearm_extensor")
    assert np.abs(front.emg[:, 0] / 16 - raw).max() < 6 * EMG_NOISE_UV_RMS
    channels["forearm_flexor"] = Channel(raw, 500, "uV")
    with pytest.raises(DataError, match="raw EMG of forearm_flexor is at 500 Hz"):
        to_counts(Recording("made:raw", "1", channels, (), (), "made"))


def tones(rate_hz: float, seconds: float = 20.0) -> np.ndarray:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    return 40 * np.sin(2 * np.pi * 60 * t) + 20 * np.sin(2 * np.pi * 90 * t) + 7


@pytest.mark.parametrize("rate_hz", [250.0, 512.0, 2000.0])
def test_raw_emg_of_another_rate_is_resampled_when_asked_and_it_is_said(rate_hz):
    raw = Channel(tones(rate_hz), rate_hz, "uV")
    channels = {"eda": Channel(np.full(100, 3.0), 5, "uS"), "trapezius": raw, "corrugator": raw, "zygomaticus": raw}
    front = to_counts(Recording("made:raw", "1", channels, (), (), "made"), sites=("trapezius", "zygomaticus"), resample_emg=True)
    assert front.sites == ("trapezius", "zygomaticus") and front.emg.shape == (20_000, 2)
    error = front.emg[500:-500] / 16 - tones(1000.0)[500:-500, None]  # away from the ends, which a filter cannot know
    assert np.sqrt(np.mean(error**2)) < 1.2 * EMG_NOISE_UV_RMS
    highest = f"{min(rate_hz, 1000) / 2:g}"
    assert f"EMG of trapezius: resampled from {rate_hz:g} Hz; nothing above {highest} Hz" in front.simulated


def test_sites_choose_and_order_the_emg_channels():
    made = {site: Channel(np.full(6000, uv), 100, "uV", "rectified_mean") for site, uv in
            (("corrugator", 2.0), ("zygomaticus", 20.0), ("trapezius", 60.0))}
    r = Recording("made:3", "1", {"eda": Channel(np.full(6000, 5.0), 100, "uS"), **made}, (), (), "made")
    assert to_counts(r).sites == ("corrugator", "zygomaticus")
    front = to_counts(r, sites=("trapezius", "corrugator"))
    assert front.sites == ("trapezius", "corrugator") and front.emg[:, 0].std() > 20 * front.emg[:, 1].std()
    with pytest.raises(DataError, match="nose is no electrode site; known: unspecified, corrugator"):
        to_counts(r, sites=("nose", "corrugator"))
    with pytest.raises(DataError, match="needs two EMG channels.*choose with sites="):
        to_counts(r, sites=("corrugator", "forearm_flexor"))


def test_an_absent_emg_channel_is_noise_alone_only_when_asked_for():
    r = recording()
    one = Recording("made:1", "1", {k: r.channels[k] for k in ("eda", "corrugator")}, (), (), "made")
    with pytest.raises(DataError, match="absent_emg='noise'"):
        to_counts(one)
    with pytest.raises(DataError, match="'refuse' or 'noise', not 'flat'"):
        to_counts(one, absent_emg="flat")
    front = to_counts(one, absent_emg="noise")
    assert front.sites == ("corrugator", "unspecified")
    assert "EMG 2 (unspecified): not recorded, front-end noise alone" in front.simulated
    assert front.emg[:, 1].std() / 16 == pytest.approx(EMG_NOISE_UV_RMS, rel=0.03)
    asked = to_counts(one, sites=("zygomaticus", "corrugator"), absent_emg="noise")
    assert "EMG 1 (zygomaticus): not recorded, front-end noise alone" in asked.simulated
    assert asked.emg[:, 1].std() > 5 * asked.emg[:, 0].std()


def test_eda_of_an_odd_faster_rate_is_averaged_over_each_period():
    t = np.arange(512 * 20) / 512
    hum = np.sin(2 * np.pi * 50 * t)  # at 50 Hz picking samples would alias it to a constant
    humming = Recording("made:hum", "1", {**recording(20).channels, "eda": Channel(5 + hum, 512, "uS")}, (), (), "made")
    front = to_counts(humming)
    assert front.eda.shape == (1000,) and np.abs(front.eda / 512 - 5).max() < 0.05


def test_what_cannot_be_digitised_is_refused():
    r = recording()
    with pytest.raises(DataError, match="no channel 'eda'"):
        to_counts(Recording("x", "1", {k: v for k, v in r.channels.items() if k != "eda"}, (), (), "made"))
    with pytest.raises(DataError, match="needs two EMG channels"):
        to_counts(Recording("x", "1", {"eda": r.channels["eda"]}, (), (), "made"))
    with pytest.raises(DataError, match="EMG of corrugator is in 'V'"):
        to_counts(Recording("x", "1", {**r.channels, "corrugator": Channel(np.ones(100), 100, "V")}, (), (), "made"))
    with pytest.raises(DataError, match="less than one block"):
        to_counts(recording(0.03))
    with pytest.raises(DataError, match="sample 3 .* is not a number"):
        Channel(np.array([0, 1, 2, np.nan]), 100, "uS")
    with pytest.raises(DataError, match="positive sampling rate"):
        Channel(np.ones(4), 0, "uS")


def test_five_minutes_take_less_than_two_seconds():
    simulated = simulator.simulate(300, 1)
    began = time.monotonic()
    to_counts(simulated)
    assert time.monotonic() - began < 2


def test_events_are_plain_values():
    assert Event(1.0, 2.0, "happy") == Event(1.0, 2.0, "happy")
