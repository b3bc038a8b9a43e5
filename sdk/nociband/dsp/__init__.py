"""Fixed-point signal processing, the same stages and the same bits as the band's firmware/lib/nb_dsp.

Counts come from a band (SignalBlock), a recording (nociband.signals.front_end) or a test; feature frames go to
nociband.windows and to training. `nociband.dsp.reference` holds the same stages in floating point, for tests and for reading;
it needs SciPy (extras `train`, `sim`), nothing else here does.
"""

from nociband.dsp.twin import Stages, Twin, features, features_of, log2_fixed, stages

__all__ = ["Stages", "Twin", "features", "features_of", "log2_fixed", "stages"]
