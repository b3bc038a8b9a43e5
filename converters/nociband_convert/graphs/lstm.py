"""Finds the LSTM step in an explicit-gate graph: which tensor is which state, and which layer makes which gate.

From tflite to scales (which sets the quantisation) and lstm_kernel (which packs the weights). A step is
c_next = f * c + i * g and h_next = o * tanh(c_next), with i, f, o logistic and g tanh, each of one fully connected layer of
concat(x, h).
"""

from __future__ import annotations

from dataclasses import dataclass

from nociband.errors import ModelError
from nociband_convert.tflite import Graph, Op

GATES = ("i", "f", "g", "o")  # PyTorch's order, and that of the packed weights
WIDTH_MAX = 1024
"""Elements of x and h together; the kernel's assembly is unrolled over them."""


@dataclass(frozen=True)
class LstmStep:
    """Tensor numbers of a step in `graph`. `gates`: its layers in the order of GATES; `kept` is f * c, `added` i * g."""

    graph: Graph
    x: int
    h: int
    c: int
    h_next: int
    c_next: int
    kept: int
    added: int
    cell_tanh: int
    gates: tuple[Op, ...]

    @property
    def joined(self) -> int:
        """concat(x, h), what the gates take."""
        return self.gates[0].inputs[0]

    @property
    def preactivations(self) -> tuple[int, ...]:
        """What the gates' layers give, in the order of GATES."""
        return tuple(gate.outputs[0] for gate in self.gates)

    @property
    def units(self) -> int:
        """Hidden units."""
        return self.graph.tensors[self.h].size

    @property
    def inputs(self) -> int:
        """Channels of x."""
        return self.graph.tensors[self.x].size


def find(graph: Graph) -> LstmStep:
    """The step that `graph` is, named by the converter or by TensorFlow. Raises ModelError when it is something else."""
    outputs = set(graph.outputs.values())
    x, h, c = (named(graph, n) for n in ("x", "h", "c"))
    sums = [op for op in graph.ops if op.kind == "ADD"]
    products = [op for op in graph.ops if op.kind == "MUL"]
    if len(sums) != 1 or len(products) != 3 or sums[0].outputs[0] not in outputs:
        raise _not_a_step(graph, f"{len(sums)} additions, {len(products)} products")
    made = {_role(op, outputs, c): op for op in products}
    if len(made) != 3 or set(sums[0].inputs) != {made["kept"].outputs[0], made["added"].outputs[0]}:
        raise _not_a_step(graph, "its products cannot be told apart")
    forget = _gate(graph, made["kept"], "LOGISTIC")
    enter, candidate = _gate(graph, made["added"], "LOGISTIC"), _gate(graph, made["added"], "TANH")
    leave, squashed = _gate(graph, made["h_next"], "LOGISTIC"), _gate(graph, made["h_next"], "TANH")
    if squashed.inputs[0] != sums[0].outputs[0]:
        raise _not_a_step(graph, "h_next is not made of tanh(c_next)")
    layers = tuple(_layer(graph, op) for op in (enter, forget, candidate, leave))
    step = LstmStep(graph, x, h, c, made["h_next"].outputs[0], sums[0].outputs[0], made["kept"].outputs[0],
                    made["added"].outputs[0], squashed.outputs[0], layers)
    _check_joined(step)
    _check_sizes(step)
    return step


def named(graph: Graph, name: str) -> int:
    """The input that ONNX called `name`, under TensorFlow's name of it or its own. Raises ModelError."""
    found = [number for given, number in graph.inputs.items() if given in (name, f"serving_default_{name}:0")]
    if len(found) != 1:
        raise ModelError(f"{graph.name}: no input {name} among {sorted(graph.inputs)}")
    return found[0]


def _role(product: Op, outputs: set[int], cell: int) -> str:
    if product.outputs[0] in outputs:
        return "h_next"
    return "kept" if cell in product.inputs else "added"


def _gate(graph: Graph, product: Op, kind: str) -> Op:
    made = [op for op in map(graph.producer, product.inputs) if op is not None and op.kind == kind]
    if len(made) != 1:
        raise _not_a_step(graph, f"a product of {len(made)} {kind}")
    return made[0]


def _layer(graph: Graph, activation: Op) -> Op:
    layer = graph.producer(activation.inputs[0])
    if layer is None or layer.kind != "FULLY_CONNECTED" or len(layer.inputs) != 3:
        raise _not_a_step(graph, "a gate is not a fully connected layer with bias")
    return layer


def _check_joined(step: LstmStep) -> None:
    join = step.graph.producer(step.joined)
    one = len({gate.inputs[0] for gate in step.gates}) == 1
    if not one or join is None or join.kind != "CONCATENATION":
        raise _not_a_step(step.graph, "the gates do not take one concat(x, h)")
    parts = []
    for number in join.inputs:  # h, and x too, may be brought to the common scale first
        rescaled = step.graph.producer(number)
        parts.append(rescaled.inputs[0] if rescaled is not None and rescaled.kind == "QUANTIZE" else number)
    if parts != [step.x, step.h]:
        raise _not_a_step(step.graph, "the gates do not take x, then h")


def _check_sizes(step: LstmStep) -> None:
    tensors, width = step.graph.tensors, step.inputs + step.units
    states = (step.c, step.h_next, step.c_next, step.kept, step.added, step.cell_tanh, *step.preactivations)
    fit = tensors[step.joined].size == width and all(tensors[t].size == step.units for t in states)
    if not fit or any(tensors[gate.inputs[1]].shape != (step.units, width) for gate in step.gates):
        raise _not_a_step(step.graph, f"its sizes do not belong together (x has {step.inputs} elements, h {step.units})")
    if width > WIDTH_MAX:
        raise ModelError(f"{step.graph.name}: x and h have {width} elements together, at most {WIDTH_MAX} are possible; make the "
                         "LSTM smaller")


def _not_a_step(graph: Graph, why: str) -> ModelError:
    return ModelError(f"{graph.name} is not a single LSTM step: {why}")
