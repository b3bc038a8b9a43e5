"""A .tflite file as plain objects, or a ModelError that says why not: `read`. To change one: `opened`, `rename`, `packed`."""

from nociband_convert.tflite.graph import Graph, Op, Tensor
from nociband_convert.tflite.objects import opened, packed, rename
from nociband_convert.tflite.reader import FILE_BYTES_MAX, MALFORMED, read
from nociband_convert.tflite.rules import SUPPORTED

__all__ = ["FILE_BYTES_MAX", "MALFORMED", "SUPPORTED", "Graph", "Op", "Tensor", "opened", "packed", "read", "rename"]
