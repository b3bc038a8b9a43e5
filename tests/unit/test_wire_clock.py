"""The clock fit against simulated clocks: the true time is always within the stated uncertainty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nociband.errors import WireError
from nociband.wire import ClockFit

EPOCH_S = 1.79e9


class Pair:
    """A host clock, a device clock that drifts against it, and a link with jitter."""

    def __init__(self, seed: int, drift: float, jitter_s: float, asymmetry: float = 0.5) -> None:
        self.rng, self.drift, self.jitter_s, self.asymmetry = np.random.default_rng(seed), drift, jitter_s, asymmetry
        self.offset_s = float(self.rng.uniform(-1000, 1000))

    def device_us(self, host_s: float) -> int:
        return round(((host_s - EPOCH_S) * (1 - self.drift) + 5000 + self.offset_s) * 1e6)

    def exchange(self, clock: ClockFit, host_s: float) -> None:
        there = 0.002 + self.rng.exponential(self.jitter_s) * self.asymmetry
        back = 0.002 + self.rng.exponential(self.jitter_s) * (1 - self.asymmetry)
        clock.exchange(host_s, self.device_us(host_s + there), host_s + there + back)

    def error_s(self, clock: ClockFit, host_s: float) -> tuple[float, float]:
        told, uncertainty = clock.to_host(self.device_us(host_s))
        return abs(told - host_s), uncertainty


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1e-4, 1e-4), st.sampled_from([0.0, 0.002, 0.02]), st.floats(0, 1))
def test_the_truth_is_within_the_uncertainty(seed, drift, jitter_s, asymmetry) -> None:
    pair, clock = Pair(seed, drift, jitter_s, asymmetry), ClockFit()
    for i in range(8):
        pair.exchange(clock, EPOCH_S + 0.05 * i)
    for t in range(0, 300, 5):
        host_s = EPOCH_S + t
        if t % 10 == 0:
            pair.exchange(clock, host_s)
        error, uncertainty = pair.error_s(clock, host_s)
        assert error <= uncertainty + 2e-6
        clock.arrival(pair.device_us(host_s), host_s + 0.003 + float(pair.rng.exponential(jitter_s)))
        error, uncertainty = pair.error_s(clock, host_s)
        assert error <= uncertainty + 2e-6
    assert clock.steps == 0
    assert abs(clock.drift - pair.drift / (1 - pair.drift)) <= clock.drift_uncertainty + 1e-9


def test_drift_is_learned_and_uncertainty_falls() -> None:
    pair, clock = Pair(1, 40e-6, 0.005), ClockFit()
    pair.exchange(clock, EPOCH_S)
    first = pair.error_s(clock, EPOCH_S)[1]
    for t in range(1, 600, 10):
        pair.exchange(clock, EPOCH_S + t)
    assert clock.drift == pytest.approx(40e-6, abs=15e-6)
    assert clock.drift_uncertainty < 20e-6
    error, uncertainty = pair.error_s(clock, EPOCH_S + 600)
    assert uncertainty < 0.005 and error < uncertainty and first > 0


def test_half_the_round_trip_is_the_uncertainty_of_one_exchange() -> None:
    clock = ClockFit()
    clock.exchange(100.0, 5_000_000, 100.010)
    told, uncertainty = clock.to_host(5_000_000)
    assert told == pytest.approx(100.005) and uncertainty == pytest.approx(0.005)
    assert clock.to_host(15_000_000)[1] > uncertainty           # it grows with age
    assert clock.to_device_us(100.005) == pytest.approx(5_000_000, abs=2)


def test_a_slow_exchange_after_a_quick_one_changes_nothing() -> None:
    clock = ClockFit()
    clock.exchange(100.0, 5_000_000, 100.002)
    before = clock.to_host(5_500_000)
    clock.exchange(100.1, 5_500_000, 101.0)
    assert clock.to_host(5_500_000)[1] <= before[1]


def test_arrivals_tighten_what_an_asymmetric_exchange_left_open() -> None:
    clock = ClockFit()
    clock.exchange(100.0, 5_000_000, 100.100)       # truly 100.001: the answer was slow
    clock.arrival(5_200_000, 100.204)               # truly sent at 100.201
    told, uncertainty = clock.to_host(5_000_000)
    assert uncertainty < 0.003 and abs(told - 100.001) <= uncertainty


@pytest.mark.parametrize("step_s", [-5.0, 5.0, 3600.0])
def test_a_clock_that_was_set_is_noticed_and_followed(step_s: float) -> None:
    clock = ClockFit()
    for t in range(5):
        clock.exchange(100.0 + t, int((5 + t) * 1e6), 100.004 + t)
    clock.exchange(110.0 + step_s, 15_000_000, 110.004 + step_s)
    assert clock.steps == 1
    assert clock.to_host(15_000_000)[0] == pytest.approx(110.002 + step_s)


def test_what_cannot_be_is_refused() -> None:
    clock = ClockFit()
    with pytest.raises(WireError, match="get_time"):
        clock.to_host(0)
    with pytest.raises(WireError, match="get_time"):
        clock.to_device_us(0.0)
    with pytest.raises(WireError, match="set back"):
        clock.exchange(100.0, 1, 99.0)
    with pytest.raises(WireError):
        clock.exchange(float("nan"), 1, 99.0)
    clock.arrival(1, 5.0)       # before any exchange it says nothing
    assert not clock.ready
    clock.exchange(100.0, 5_000_000, 100.002)
    clock.arrival(5_000_000, 90.0)      # arrived before it was sent
    assert clock.to_host(5_000_000)[0] == pytest.approx(100.001)


def test_memory_stays_bounded_over_a_day() -> None:
    pair, clock = Pair(3, -20e-6, 0.003), ClockFit()
    for t in range(0, 86_400, 60):
        pair.exchange(clock, EPOCH_S + t)
        error, uncertainty = pair.error_s(clock, EPOCH_S + t + 30)
        assert error <= uncertainty + 2e-6
    assert len(clock._buckets) <= 90 and clock.steps == 0
