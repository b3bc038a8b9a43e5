"""A step of the integer LSTM for the Cortex-M4F in assembly: what nb_nn_lstm_int8_step does, an instruction at a time.

From lstm_int8 (sizes, factors, shifts) to generated C. nb_nn_lstm_int8.c is the same arithmetic in C; tests hold both equal.

Registers through a unit: r0-r3 the gates i, f, g, o; r11 the cell's address; r12 the stream; lr values of h and x, then free.
r4-r10 are values and weights, the input sums, at last the curve's addresses. What is constant lies on the stack, see `_Frame`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nociband_convert.arithmetic import lstm_curves
from nociband_convert.arithmetic.quantise import Scale
from nociband_convert.kernels.assembly import function, load

UNROLLED = 2     # units a turn of the loop in the fast form
_CHUNK = 3       # pairs of values that one LDM brings
# UQADD16 saturates at 65535: with this added first, that is where the curve has come to its end.
_CLAMP = 65536 - lstm_curves.ROWS


@dataclass(frozen=True)
class Shape:
    """Sizes and factors as in nb_nn_lstm_int8_t; `columns` of h and `inputs` of x as padded, `words` of the stream a unit."""

    columns: int
    inputs: int
    units: int
    words: int
    packed: bool
    input: Sequence[Scale]
    recurrent: Sequence[Scale]
    recurrent_left: Sequence[int]
    output: Scale
    cell_right: int
    cell_left: int
    clip: int


class _Frame:
    """Offsets from sp: the curve's lines and steps, both again for indices after UQADD16, its addend; factors; addresses."""

    CURVE, CLAMP, OUTPUT, INPUT, RECURRENT, STATE, END, SIZE = 0, 16, 20, 24, 40, 56, 60, 64


def step(name: str, shape: Shape) -> str:
    """The function `void name(const nb_nn_lstm_int8_t *lstm, int16_t *state)`."""
    return function(name, _code(name, shape))


def _code(name: str, s: Shape) -> Iterator[str]:
    yield from _enter(s)
    yield f".L{name}_units:"
    for _ in range(UNROLLED if not s.packed and s.units % UNROLLED == 0 else 1):
        yield f"ldr lr,[sp,#{_Frame.STATE}]"
        yield from _packed_products(s) if s.packed else _wide_products(s)
        yield from _recurrent(s)
        yield from _input_products(s)
        yield from _gates(s)
        yield "ldm sp,{r4-r8}"
        for gate in (0, 1, 3):
            yield from _sigmoid(s, f"r{gate}")
        yield from _tanh(s, "r2", 1)
        yield from _cell(s)
        yield from _hidden(s)
    yield f"ldr r4,[sp,#{_Frame.END}]"
    yield "cmp r12,r4"
    yield f"bne.w .L{name}_units"
    yield f"add sp,sp,#{_Frame.SIZE}"
    yield "pop {r4-r11,pc}"


def _enter(s: Shape) -> Iterator[str]:
    line_bytes = 4 if s.packed else 2
    step_bytes = _CLAMP // 2 if s.packed else _CLAMP
    yield "push {r4-r11,lr}"
    yield f"sub sp,sp,#{_Frame.SIZE}"
    yield "ldm r0,{r4-r6}"                              # stream, lines, steps
    yield "mov r12,r4"
    yield f"strd r5,r6,[sp,#{_Frame.CURVE}]"
    yield from load("r7", (_CLAMP >> lstm_curves.BLOCK_BITS) * line_bytes)
    yield "sub r5,r5,r7"
    yield from load("r7", step_bytes)
    yield "sub r6,r6,r7"
    yield f"strd r5,r6,[sp,#{_Frame.CURVE + 8}]"
    yield from load("r4", _CLAMP)
    yield from load("r5", s.output.multiplier)
    yield f"strd r4,r5,[sp,#{_Frame.CLAMP}]"
    for at, scales in ((_Frame.INPUT, s.input), (_Frame.RECURRENT, s.recurrent)):
        for first in (0, 2):
            yield from load("r4", scales[first].multiplier)
            yield from load("r5", scales[first + 1].multiplier)
            yield f"strd r4,r5,[sp,#{at + 4 * first}]"
    yield from load("r5", 4 * s.words * s.units)
    yield "add r5,r5,r12"
    yield f"strd r1,r5,[sp,#{_Frame.STATE}]"
    yield from load("r4", 2 * (s.columns + s.inputs))
    yield "add r11,r1,r4"


def _wide_products(s: Shape) -> Iterator[str]:
    """h: three pairs of values an LDM, the four gates' weights of a pair another."""
    pairs = s.columns // 2
    for first in range(0, pairs, _CHUNK):
        count = min(_CHUNK, pairs - first)
        yield f"ldmia lr!,{{r4-r{3 + count}}}" if count > 1 else "ldr r4,[lr],#4"
        for value in range(count):
            yield "ldmia r12!,{r7-r10}"
            for gate in range(4):
                yield _product(gate, f"r{7 + gate}", f"r{4 + value}", first + value == 0)


def _packed_products(s: Shape) -> Iterator[str]:
    """h: two pairs of values an LDM; a word has a gate's four weights, which SXTB16 widens two at a time."""
    for four in range(s.columns // 4):
        yield "ldmia lr!,{r4,r5}"
        yield "ldmia r12!,{r6-r9}"
        for gate in range(4):
            yield f"sxtb16 r10,r{6 + gate}"
            yield _product(gate, "r10", "r4", four == 0)
            yield f"sxtb16 r10,r{6 + gate},ror #8"
            yield _product(gate, "r10", "r5", False)


def _product(gate: int, weights: str, values: str, first: bool) -> str:
    return f"smuad r{gate},{weights},{values}" if first else f"smlad r{gate},{weights},{values},r{gate}"


def _rescale(target: str, source: str, factor: str, right: int, half: str, spare: str) -> Iterator[str]:
    """All but the last shift to the right; `half` holds 2^(right - 1). Half away from zero: 1 less if negative."""
    if right:
        yield f"smmlar {spare},{source},{factor},{half}"
        yield f"add {target},{spare},{target},asr #31"
    else:
        yield f"smmulr {target},{source},{factor}"


def _half(register: str, scale: Scale, before: Scale | None) -> Iterator[str]:
    """2^(right - 1), unless the factor before had the same."""
    if scale.shift < 0 and (before is None or before.shift != scale.shift):
        yield f"mov {register},#{1 << (-scale.shift - 1)}"


def _right(scale: Scale) -> int:
    return max(-scale.shift, 0)


def _recurrent(s: Shape) -> Iterator[str]:
    """r0-r3: the sums over h on the gates' scale, but for the shift."""
    yield f"ldrd r4,r5,[sp,#{_Frame.RECURRENT}]"
    yield f"ldrd r6,r7,[sp,#{_Frame.RECURRENT + 8}]"
    before = None
    for gate, (scale, left) in enumerate(zip(s.recurrent, s.recurrent_left, strict=True)):
        yield from _half("r8", scale, before)
        if left:
            yield f"lsl r9,r{gate},#{left}"
        yield from _rescale(f"r{gate}", "r9" if left else f"r{gate}", f"r{4 + gate}", _right(scale), "r8", "r10")
        before = scale if scale.shift < 0 else before


def _input_products(s: Shape) -> Iterator[str]:
    """r4-r7: biases and the sums over x, which lies behind h."""
    yield "ldmia r12!,{r4-r7}"
    for _ in range(s.inputs // 2):
        yield "ldr r8,[lr],#4"
        for gate in (0, 2):
            yield "ldmia r12!,{r9,r10}"
            yield f"smlad r{4 + gate},r9,r8,r{4 + gate}"
            yield f"smlad r{5 + gate},r10,r8,r{5 + gate}"


def _gates(s: Shape) -> Iterator[str]:
    """r0-r3: the gates in steps of 2^-12; LiteRT saturates after the input, and again with the hidden state added."""
    before = None
    for gate, (scale, recurrent) in enumerate(zip(s.input, s.recurrent, strict=True)):
        if gate % 2 == 0:
            yield f"ldrd r8,r9,[sp,#{_Frame.INPUT + 4 * gate}]"
        yield from _half("lr", scale, before)
        yield from _rescale(f"r{4 + gate}", f"r{4 + gate}", f"r{8 + gate % 2}", _right(scale), "lr", "r10")
        yield _saturated(f"r{4 + gate}", 16, _right(scale))
        shift = f",asr #{_right(recurrent)}" if _right(recurrent) else ""
        yield f"add r{gate},r{4 + gate},r{gate}{shift}"
        yield f"ssat r{gate},#16,r{gate}"
        before = scale if scale.shift < 0 else before


def _saturated(register: str, bits: int, right: int) -> str:
    return f"ssat {register},#{bits},{register}" + (f",asr #{right}" if right else "")


def _sign_and_size(register: str) -> Iterator[str]:
    yield f"asr r9,{register},#31"
    yield f"eor {register},{register},r9"
    yield f"sub {register},{register},r9"


def _curve(s: Shape, v: str, lines: str, steps: str) -> Iterator[str]:
    """v: its curve. r10 and lr are used."""
    yield f"lsr r10,{v},#{lstm_curves.BLOCK_BITS}"
    if not s.packed:
        yield f"ldrsh r10,[{lines},r10,lsl #1]"
        yield f"ldrb {v},[{steps},{v}]"
        yield f"add {v},{v},r10"
        return
    yield f"ldr r10,[{lines},r10,lsl #2]"               # start | slope << 16
    yield f"and lr,{v},#{(1 << lstm_curves.BLOCK_BITS) - 1}"
    yield "smulbt lr,lr,r10"
    yield "sxth r10,r10"
    yield f"add r10,r10,lr,asr #{lstm_curves.SLOPE_BITS}"
    yield f"lsr lr,{v},#3"
    yield f"ldr lr,[{steps},lr,lsl #2]"
    yield f"lsl {v},{v},#2"
    yield f"ror lr,lr,{v}"                              # by v modulo 8 nibbles
    yield "and lr,lr,#15"
    yield f"add {v},r10,lr"


def _sigmoid(s: Shape, gate: str) -> Iterator[str]:
    yield from _sign_and_size(gate)
    yield from _curve(s, gate, "r4", "r5")
    yield f"eor {gate},r9,{gate},lsl #1"
    yield f"add {gate},{gate},#16384"


def _tanh(s: Shape, value: str, left: int) -> Iterator[str]:
    """The sign stays in r9."""
    yield from _sign_and_size(value)
    yield f"usat {value},#16,{value}" + (f",lsl #{left}" if left else "")
    yield f"uqadd16 {value},{value},r8"
    yield from _curve(s, value, "r6", "r7")
    yield f"ssat {value},#16,{value},lsl #2"
    yield f"eor {value},{value},r9"
    yield f"sub {value},{value},r9"


def _cell(s: Shape) -> Iterator[str]:
    """r0: c = f * c + i * g, stored; r11 goes on to the next cell. Sigmoids are positive: products have c's and g's signs."""
    yield "ldrsh r9,[r11]"
    yield "mov r10,#16384"
    yield "smlabb r1,r1,r9,r10"
    yield "add r1,r1,r9,asr #31"
    if s.cell_right != 15:
        yield f"mov r10,#{1 << (s.cell_right - 1)}"
    yield "smlabb r0,r0,r2,r10"
    yield "add r0,r0,r2,asr #31"
    yield "asr r1,r1,#15"
    yield f"add r0,r1,r0,asr #{s.cell_right}"
    yield "ssat r0,#16,r0"
    if s.clip:
        yield f"movw r10,#{s.clip}"
        yield from ("cmp r0,r10", "it gt", "movgt r0,r10", "cmn r0,r10", "it lt", "rsblt r0,r10,#0")
    yield "strh r0,[r11],#2"


def _hidden(s: Shape) -> Iterator[str]:
    """h = o * tanh(c), stored behind the cells."""
    right = _right(s.output)
    yield from _tanh(s, "r0", s.cell_left)
    yield f"ldr r10,[sp,#{_Frame.OUTPUT}]"
    yield "smulbb r0,r3,r0"
    yield "lsl r0,r0,#1"
    if right:
        yield f"mov lr,#{1 << (right - 1)}"
        yield "smmlar r0,r0,r10,lr"
        yield "add r0,r0,r9"
    else:
        yield "smmulr r0,r0,r10"
    yield _saturated("r0", 8, right)
    yield f"strh r0,[r11,#{2 * s.columns - 2}]"
