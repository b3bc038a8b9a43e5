"""Band and face on one clock: `Prediction` and `FaceMeasures` records in, `FusedPrediction` records out; opens nothing.

`fuse()` takes two async iterators; `Fuser` is the same without asyncio. How each side is weighted is in `weigh`, how long a value
holds in `align`, and docs/fusion.md says it in words.
"""

from nociband.fusion.align import Fuser, fuse

__all__ = ["Fuser", "fuse"]
