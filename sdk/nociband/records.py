"""The typed records of the live path, as frozen dataclasses: what `band.stream()`, vision and fusion yield.

Device times are microseconds since the band's boot; host times are Unix seconds with an uncertainty (see wire.clock).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nociband.spec import SPEC

_SIGNALS = SPEC.features["signals"]
_Q = np.array([f.q for f in SPEC.model_inputs])
_INDEX = {f.name: i for i, f in enumerate(SPEC.model_inputs)}


@dataclass(frozen=True)
class Stamp:
    """Where a record stands: session number, frame number, device time and host time."""

    epoch: int
    seq: int
    t_us: int
    host_time_s: float
    host_uncertainty_s: float


@dataclass(frozen=True, eq=False)
class SignalBlock(Stamp):
    """40 ms of raw samples. `emg_counts` int16 (40, 2); `eda_counts` uint16 (2,); `received_s` host arrival, Unix seconds."""

    sample_index: int
    emg_counts: np.ndarray
    eda_counts: np.ndarray
    received_s: float

    @property
    def emg_uv(self) -> np.ndarray:
        """EMG in microvolts, float64 (40, 2)."""
        return self.emg_counts / _SIGNALS["emg"]["counts_per_unit"]

    @property
    def eda_usiemens(self) -> np.ndarray:
        """Skin conductance in microsiemens, float64 (2,)."""
        return self.eda_counts / _SIGNALS["eda"]["counts_per_unit"]


@dataclass(frozen=True, eq=False)
class MotionBlock(Stamp):
    """0.5 s of accelerometer samples: `accel_mg` int16 (25, 3)."""

    sample_index: int
    accel_mg: np.ndarray


@dataclass(frozen=True, eq=False)
class FeatureBlock(Stamp):
    """Five feature frames: `features` int16 (5, 6) in the order and scales of features.toml."""

    frame_index: int
    features: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """Features in their units, float64 (5, 6)."""
        return self.features / 2.0**_Q

    @property
    def eda_tonic_usiemens(self) -> np.ndarray:
        """Tonic skin conductance, float64 (5,)."""
        return self.values[:, _INDEX["eda_tonic"]]

    @property
    def eda_phasic_usiemens(self) -> np.ndarray:
        """Phasic skin conductance, float64 (5,)."""
        return self.values[:, _INDEX["eda_phasic"]]

    @property
    def emg_envelope_uv(self) -> np.ndarray:
        """RMS envelope of both EMG channels in microvolts, float64 (5, 2)."""
        counts = 2.0 ** self.values[:, [_INDEX["emg1_env"], _INDEX["emg2_env"]]]
        return counts / _SIGNALS["emg"]["counts_per_unit"]


@dataclass(frozen=True, eq=False)
class Prediction(Stamp):
    """The model's output for the window that ends at `frame_index`.

    `labels` and `probabilities` (float64, sum 1) come from the manifest's classes and the band's integer `logits`; both are
    empty while there is no output. `score` is 0-10 for a model of pain when `why` is empty, else None. `quality` is 0-1.
    """

    frame_index: int
    score: float | None
    labels: tuple[str, ...]
    probabilities: np.ndarray
    quality: float
    why: tuple[str, ...]
    logits: tuple[int, ...]
    compute_us: int
    of: str = "pain"

    @property
    def label(self) -> str | None:
        """The likeliest class, None while there is no output or no trust in it."""
        return self.labels[int(np.argmax(self.probabilities))] if self.labels and not self.why else None


@dataclass(frozen=True)
class Gap:
    """`lost` frames of `epoch` from `first_seq` on did not reach the application.

    `why`: "not_received" (lost on the way, or dropped by the band while there was no link or credit), "damaged" (bytes that
    do not decode), "slow_consumer" (the application did not fetch them in time) or "band_restarted" (or another host
    began a session of its own: the rest of that one is gone with the band's memory; `lost` is then the least it can be).
    """

    epoch: int
    first_seq: int
    lost: int
    why: str = "not_received"


@dataclass(frozen=True)
class Status(Stamp):
    """The band's own account of itself."""

    state: str
    battery_percent: int
    flags: tuple[str, ...]
    samples_taken: int
    underruns: int
    frames_sent: int
    frames_dropped: int
    predictions: int


@dataclass(frozen=True)
class FaceMeasures:
    """Geometric pain-related measures of one video frame, each 0-1; all None without a face.

    `score` is the measures' 0-10 estimate (relative to the person's own neutral face), `quality` 0-1, `why` the reasons
    for a missing score. `source` says where the frames came from; it begins with "synthetic" for the made clip.
    """

    host_time_s: float
    brow_lowering: float | None
    eye_closing: float | None
    nose_wrinkling: float | None
    upper_lip_raising: float | None
    mouth_opening: float | None
    score: float | None
    quality: float
    why: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class FusedPrediction:
    """Band and face on one clock. `score` is None when neither side can be trusted; weights sum to 1, or are both 0."""

    host_time_s: float
    score: float | None
    band_score: float | None
    face_score: float | None
    band_weight: float
    face_weight: float
    quality: float
    why: tuple[str, ...] = ()


Record = SignalBlock | MotionBlock | FeatureBlock | Prediction | Gap | Status
