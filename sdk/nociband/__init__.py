"""Nociband: receive, judge and fuse what a pain-monitoring research wristband measures. Not a medical device."""

from nociband.errors import NocibandError
from nociband.records import (
    FaceMeasures,
    FeatureBlock,
    FusedPrediction,
    Gap,
    MotionBlock,
    Prediction,
    SignalBlock,
    Status,
)

__version__ = "0.1.0"
__all__ = [
    "Band", "FaceMeasures", "FeatureBlock", "FusedPrediction", "Gap", "MotionBlock", "NocibandError", "Prediction",
    "SignalBlock", "Status", "find_band",
]


def __getattr__(name: str):
    """`Band` and `find_band` load the Bluetooth stack only when they are asked for."""
    if name in ("Band", "find_band"):
        from nociband import band

        return getattr(band, name)
    raise AttributeError(f"module 'nociband' has no attribute {name!r}")
