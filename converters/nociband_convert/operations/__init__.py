"""Graphs as C, operation by operation. `GraphWriter` is the way in; importing this registers the operations of each module."""

from nociband_convert.operations import elementwise, matrix, recurrent, shape
from nociband_convert.operations.writer import GraphWriter, c_array, c_scale

__all__ = ["GraphWriter", "c_array", "c_scale", "elementwise", "matrix", "recurrent", "shape"]
