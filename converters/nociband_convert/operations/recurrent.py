"""UNIDIRECTIONAL_SEQUENCE_LSTM of the int8 scheme: a window from zero state, as lstm_int8 has it.

LiteRT keeps the state of an LSTM from run to run until it is reset; the C begins each run at zero.
"""

from __future__ import annotations

from nociband_convert.kernels import lstm_int8
from nociband_convert.operations.writer import GraphWriter, writes
from nociband_convert.tflite import Graph, Op

_FUNCTION = """
static void {name}(const int8_t *x, int8_t *hs)
{{
    static int16_t wide[{size}];
    for (uint32_t i = 0; i < {size}; i++) {{
        wide[i] = x[i];
    }}
    {call}
}}"""


@writes("UNIDIRECTIONAL_SEQUENCE_LSTM")
def unidirectional_sequence_lstm(w: GraphWriter, op: Op) -> None:
    x, hs = w.ends(op)
    name = f"{w.name}_{len(w.calls)}"
    alone = Graph(w.graph.name, w.graph.tensors, (op,), {"x": op.inputs[0]}, {"hs": op.outputs[0]})
    lstm = lstm_int8.emit(f"{name}_lstm", alone, "small", str(x.shape[-1]))
    w.constants += [c for c in lstm.constants if c not in w.constants]  # two LSTMs share their curve
    w.constants += [lstm.code, _FUNCTION.format(name=f"{name}_window", size=x.size, call=lstm.call("wide", "hs"))]
    w.macs += lstm.macs
    w.static_bytes += 2 * x.size
    w.calls.append(f"{name}_window({w.at(op.inputs[0])}, {w.at(op.outputs[0])})")
