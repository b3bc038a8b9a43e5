"""Graphs as C, operation by operation. `GraphWriter` is the way in; importing this registers the operations of each module."""

from nociband_convert.operations import elementwise, matrix, recurrent, shape
from nociband_convert.operations.writer import GraphWriter

__all__ = ["GraphWriter", "elementwise", "matrix", "recurrent", "shape"]
