"""Performance as counts: what a block and a prediction cost on the emulated Cortex-M4F. Run by `nociband bench`."""

from nociband_tools.bench.measure import count_by_function, measure, models, sizes

__all__ = ["count_by_function", "measure", "models", "sizes"]
