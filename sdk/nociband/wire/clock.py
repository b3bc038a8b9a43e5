"""Device time to host time: bounds from time exchanges and arrivals in, host seconds with a guaranteed uncertainty out.

Exchanges come from the control point's get_time, arrivals from the stream. No estimate is trusted beyond what causality says:
the band read its clock after the request left and before the answer came (so the offset lies in an interval as wide as the
round trip), and a frame was sent before it arrived (an upper bound). Every such bound widens with age by what two clocks
can drift apart; the offset at a moment lies in the intersection of all. Slow exchanges and late frames thus drop out by
themselves (minimum-delay filtering as in NTP, RFC 5905 section 10; lower envelope of one-way delays as in Moon, Skelly and
Towsley, "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nociband.errors import WireError

DRIFT_MAX = 200e-6       # two crystals at their worst, and a host whose clock is being slewed
DRIFT_WANDER = 5e-6      # how much the drift itself may change within a session (temperature)
BUCKET_S = 10.0          # the tightest bounds of each such stretch are kept
BUCKETS_MAX = 90         # for a quarter of an hour
LOG_MAX = 64             # raw exchanges that a recorder which comes later can still write down


@dataclass
class _Bucket:
    """The tightest bounds on the offset (host minus device, seconds) of one stretch of device time, and when each was made."""

    index: int
    low: float = -math.inf
    low_at_s: float = 0.0
    high: float = math.inf
    high_at_s: float = 0.0


class ClockFit:
    """Host time of a band's clock. Host times are Unix seconds, device times microseconds since the band's boot.

    `exchanges` counts what was used, `steps` how often a clock was found to have jumped (all earlier bounds are then void).
    `log` holds the latest raw exchanges (sent_s, t_us, received_s); `on_exchange` is called with each new one.
    """

    def __init__(self) -> None:
        self._buckets: deque[_Bucket] = deque(maxlen=BUCKETS_MAX)
        self._table: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None
        self._drift = (-DRIFT_MAX, DRIFT_MAX)
        self.exchanges = 0
        self.steps = 0
        self.log: deque[tuple[float, int, float]] = deque(maxlen=LOG_MAX)
        self.on_exchange: Callable[[float, int, float], None] | None = None

    @property
    def ready(self) -> bool:
        """True when there is at least one exchange."""
        return self.exchanges > 0

    @property
    def drift(self) -> float:
        """Host seconds gained on a device second; 0 until it is known. See `drift_uncertainty`."""
        return sum(self._drift) / 2

    @property
    def drift_uncertainty(self) -> float:
        """Half the width of the interval in which `drift` lies."""
        return (self._drift[1] - self._drift[0]) / 2

    def exchange(self, sent_s: float, t_us: int, received_s: float) -> None:
        """One get_time: host time before the request, the band's answer, host time after it.

        Raises WireError when received_s is before sent_s: the host's clock was set in between and the pair is void.
        """
        if not (math.isfinite(sent_s) and math.isfinite(received_s)) or received_s < sent_s:
            raise WireError("time exchange: the answer came before the question; the host's clock was set back, ask again")
        device_s = t_us * 1e-6
        low, high = sent_s - device_s, received_s - device_s
        if self.exchanges and self._contradicts(device_s, low, high):
            self._forget()
        bucket = self._bucket(device_s)
        if low + _widening(bucket.low_at_s, device_s) >= bucket.low:
            bucket.low, bucket.low_at_s = low, device_s
        if high - _widening(bucket.high_at_s, device_s) <= bucket.high:
            bucket.high, bucket.high_at_s = high, device_s
        self.exchanges += 1
        self._refit()
        self.log.append((sent_s, t_us, received_s))
        if self.on_exchange is not None:
            self.on_exchange(sent_s, t_us, received_s)

    def arrival(self, t_us: int, received_s: float) -> None:
        """A frame whose content was complete at device time t_us arrived. Cheap; used between exchanges."""
        device_s = t_us * 1e-6
        high = received_s - device_s
        if not self.exchanges or not math.isfinite(high):
            return
        low_now, high_now = self._interval(device_s)
        if low_now <= high < high_now:      # below low_now it arrived before it was sent: a clock was set; an exchange will tell
            bucket = self._bucket(device_s)
            if high - _widening(bucket.high_at_s, device_s) <= bucket.high:
                bucket.high, bucket.high_at_s = high, device_s
                self._table = None

    def to_host(self, t_us: int) -> tuple[float, float]:
        """(host time, uncertainty), both in seconds: the true host time is within +-uncertainty.

        Raises WireError before the first exchange.
        """
        if not self.exchanges:
            raise WireError("device time has no host time yet: exchange times (get_time) first")
        device_s = t_us * 1e-6
        low, high = self._interval(device_s)
        return device_s + (low + high) / 2, max(high - low, 0.0) / 2

    def to_device_us(self, host_s: float) -> int:
        """The device time at a host time, to within the uncertainty of to_host. Raises WireError before the first exchange."""
        if not self.exchanges:
            raise WireError("host time has no device time yet: exchange times (get_time) first")
        device_s = self._buckets[-1].high_at_s
        for _ in range(2):      # the offset hardly changes over the distance that is left after the first step
            device_s = host_s - sum(self._interval(device_s)) / 2
        return round(device_s * 1e6)

    def _contradicts(self, device_s: float, low: float, high: float) -> bool:
        low_now, high_now = self._interval(device_s)
        return low > high_now or high < low_now or low_now > high_now

    def _forget(self) -> None:
        self._buckets.clear()
        self._drift, self._table = (-DRIFT_MAX, DRIFT_MAX), None
        self.steps += 1
        self.exchanges = 0

    def _bucket(self, device_s: float) -> _Bucket:
        index = int(device_s // BUCKET_S)
        if not self._buckets or self._buckets[-1].index != index:
            self._buckets.append(_Bucket(index, low_at_s=device_s, high_at_s=device_s))
        return self._buckets[-1]

    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        if self._table is None:
            rows = np.array([(b.low, b.low_at_s, b.high, b.high_at_s) for b in self._buckets], np.float64).reshape(-1, 4)
            self._table = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
        return self._table

    def _interval(self, device_s: float) -> tuple[float, float]:
        """Where the offset lies at a device time: every bound is carried there by the slowest and the fastest drift."""
        low, low_at, high, high_at = self._arrays()
        slow, fast = self._drift
        since_low, since_high = device_s - low_at, device_s - high_at
        lows = low + np.minimum(slow * since_low, fast * since_low)
        highs = high + np.maximum(slow * since_high, fast * since_high)
        return float(lows.max()), float(highs.min())

    def _refit(self) -> None:
        """The drift's interval from every pair of bounds, apart enough in time to say something."""
        self._table = None
        low, low_at, high, high_at = self._arrays()
        known = np.isfinite(low) & np.isfinite(high)
        low, low_at, high, high_at = low[known], low_at[known], high[known], high_at[known]
        slow, fast = -DRIFT_MAX, DRIFT_MAX
        up_to = low_at[None, :] - high_at[:, None]          # from an upper bound at i to a later lower bound at j
        down_to = high_at[None, :] - low_at[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            at_least = np.where(up_to > BUCKET_S / 2, (low[None, :] - high[:, None]) / up_to, -np.inf)
            at_most = np.where(down_to > BUCKET_S / 2, (high[None, :] - low[:, None]) / down_to, np.inf)
        if known.any():
            slow = max(slow, float(at_least.max()) - DRIFT_WANDER)
            fast = min(fast, float(at_most.min()) + DRIFT_WANDER)
        self._drift = (slow, fast) if slow <= fast else (-DRIFT_MAX, DRIFT_MAX)


def _widening(since_s: float, until_s: float) -> float:
    """How far apart the clocks may have drifted between two device times, in seconds."""
    return DRIFT_MAX * abs(until_s - since_s)
