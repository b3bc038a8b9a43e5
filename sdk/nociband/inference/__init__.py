"""The band's model on the host, bit for bit: `Model` runs a model folder, `runtime_for` says on which TensorFlow Lite.

Needs ai-edge-litert; where only tflite-runtime is installed it serves for what it computes rightly. No torch, no TensorFlow.
"""

from nociband.inference.model import BRANCHES, FRAMES, GRAPHS, INPUTS, Model
from nociband.inference.runtime import Runtime, runtime_for

__all__ = ["BRANCHES", "FRAMES", "GRAPHS", "INPUTS", "Model", "Runtime", "runtime_for"]
