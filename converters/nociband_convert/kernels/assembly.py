"""An LSTM step for the Cortex-M4F in assembly: what nb_nn_lstm_step does, an instruction at a time.

From lstm_kernel (sizes and shifts) to generated C; assembly_attention has the rest of a branch. Why assembly: a compiler keeps
neither the four sums of a unit nor whole LDMs of weights in registers through the loop (docs/kernels.md has the counts).
nb_nn_lstm.c is the same arithmetic in C; tests hold both equal.

Registers through a unit: r0-r3 sums, then the gates i, f, g, o; r11 the cell's address; r12 the stream; lr the row's values.
r4-r10 are weights and values, then constants from the stack in the order of `_CONSTANTS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nociband_convert.arithmetic.quantise import Scale

UNROLLED = 4     # units a turn of the loop in the fast form
_CHUNK = 3       # pairs of values that one LDM brings
_CONSTANTS = ("sigmoid", "tanh", "cell_tanh", "one", "added", "kept", "hidden")  # r4 to r10
_KEPT = 1 << 17  # f * c / 2^15, as SMMULR's other factor


@dataclass(frozen=True)
class Shape:
    """Sizes as in nb_nn_lstm_t; `pairs` of values in a row, `cell_shift` such that cell_factor is 3 << cell_shift."""

    inputs: int
    units: int
    row: int
    pairs: int
    packed: bool
    right: int
    cell_shift: int
    added: Scale
    hidden: Scale


def function(name: str, code: Iterable[str]) -> str:
    """`code` as a C top-level asm statement that defines the static function `name`; GNU as, Thumb-2."""
    lines = [".syntax unified", ".thumb", f'.section .text.{name},\\"ax\\",%progbits', ".balign 4", f".type {name},%function",
             ".thumb_func", f"{name}:", *code, f".size {name},.-{name}", ".text"]
    quoted = "\n".join(f'    "{line}\\n"' for line in lines)
    return f"__asm__(\n{quoted});"


def lstm_step(name: str, shape: Shape) -> str:
    """The function `void name(const nb_nn_lstm_t *lstm, int16_t *row)`."""
    return function(name, _code(name, shape))


def _code(name: str, s: Shape) -> Iterator[str]:
    unrolled = 1 if s.packed else next(n for n in (UNROLLED, 2, 1) if s.units % n == 0)
    yield from _enter(s)
    yield f".L{name}_units:"
    for _ in range(unrolled):
        yield "ldmia r12!,{r0-r3}"                      # biases
        yield from (_packed_products(s) if s.packed else _wide_products(s))
        yield f"sub lr,lr,#{4 * s.pairs}"
        yield from _gates(s)
        yield from _cell(s)
        yield from _hidden(s)
    yield f"ldr r4,[sp,#{4 * len(_CONSTANTS)}]"         # the stream's end
    yield "cmp r12,r4"
    yield f"bne.w .L{name}_units"
    yield f"add sp,sp,#{4 * len(_CONSTANTS) + 4}"
    yield "pop {r4-r11,pc}"


def _enter(s: Shape) -> Iterator[str]:
    """Constants and the stream's end to the stack, addresses to their registers."""
    words_a_unit = 4 + 4 * (-(-s.pairs // 2) if s.packed else s.pairs) + 2
    yield "push {r4-r11,lr}"
    yield "ldm r0,{r4-r7}"                              # stream, sigmoid, tanh, cell_tanh
    yield "mov r12,r4"
    yield from load("r3", 4 * words_a_unit * s.units)
    yield "add r3,r3,r12"
    yield from load("r2", _factor(s.hidden))
    yield "push {r2,r3}"
    yield "mov r8,#1"
    yield from load("r9", _factor(s.added))
    yield from load("r10", _KEPT)
    yield "push {r5-r10}"
    yield "mov lr,r1"
    yield f"add r11,r1,#{2 * (s.inputs + s.units)}"


def load(register: str, value: int) -> Iterator[str]:
    """A 32-bit constant."""
    yield f"movw {register},#{value & 0xFFFF}"
    yield f"movt {register},#{value >> 16}"


def _power_of_two(scale: Scale) -> bool:
    return scale.multiplier == 1 << 30 and scale.shift < 0


def _factor(scale: Scale) -> int:
    """The other factor of SMMULR for a power of two, of SMMLAR (with twice the product) else."""
    return 1 << (31 + scale.shift) if _power_of_two(scale) else scale.multiplier


def _wide_products(s: Shape) -> Iterator[str]:
    """Three pairs of values an LDM, the four gates' weights of a pair another."""
    for first in range(0, s.pairs, _CHUNK):
        count = min(_CHUNK, s.pairs - first)
        yield f"ldmia lr!,{{r4-r{3 + count}}}" if count > 1 else "ldmia lr!,{r4}"
        for value in range(4, 4 + count):
            yield "ldmia r12!,{r7-r10}"
            for gate in range(4):
                yield f"smlad r{gate},r{7 + gate},r{value},r{gate}"


def _packed_products(s: Shape) -> Iterator[str]:
    """Two pairs of values an LDM; a word has a gate's four weights, which SXTB16 widens two at a time."""
    for first in range(0, s.pairs, 2):
        both = first + 1 < s.pairs
        yield "ldmia lr!,{r4,r5}" if both else "ldmia lr!,{r4}"
        yield "ldmia r12!,{r6-r9}"
        for gate in range(4):
            yield f"sxtb16 r10,r{6 + gate}"
            yield f"smlad r{gate},r10,r4,r{gate}"
            if both:
                yield f"sxtb16 r10,r{6 + gate},ror #8"
                yield f"smlad r{gate},r10,r5,r{gate}"


def _gates(s: Shape) -> Iterator[str]:
    """(sum * multiplier >> 16) + half >> right, clamped to the tables; then the tables."""
    yield "ldmia r12!,{r4,r5}"                          # multipliers: i | f << 16, g | o << 16
    yield f"mov r6,#{1 << (s.right - 1)}"
    for gate, (half, word) in enumerate((("b", 4), ("t", 4), ("b", 5), ("t", 5))):
        yield f"smlaw{half} r{gate},r{gate},r{word},r6"
    for gate, bits in enumerate((11, 11, 10, 11)):
        yield f"ssat r{gate},#{bits},r{gate},asr #{s.right}"
    yield "ldm sp,{r4-r10}"
    for gate, table in enumerate(("r4", "r4", "r5", "r4")):
        yield f"ldrsh r{gate},[{table},r{gate},lsl #1]"


def _rounded(register: str, factor: str) -> Iterator[str]:
    """A product times a power of two, rounded as LiteRT does: 1 in its direction, then to the nearest, halves up."""
    yield f"orr r2,r7,{register},asr #31"
    yield f"add {register},{register},r2"
    yield f"smmulr {register},{register},{factor}"


def _cell(s: Shape) -> Iterator[str]:
    """r0: c_next = f * c + i * g, clamped and stored; r11 goes on to the next cell."""
    yield "ldrsh r5,[r11],#2"
    yield "smulbb r0,r0,r2"                             # i * g
    yield "smulbb r1,r1,r5"                             # f * c
    yield from _rounded("r0", "r8")
    yield from _rounded("r1", "r9")
    yield "add r0,r0,r1"
    yield "ssat r0,#16,r0"
    yield f"strh r0,[r11,#{2 * s.row - 2}]"


def _hidden(s: Shape) -> Iterator[str]:
    """h_next = o * tanh(c_next), tanh by its line {base, slope} in the high half."""
    yield "add r1,r0,r0,lsl #1"
    yield f"ssat r1,#17,r1,lsl #{s.cell_shift}" if s.cell_shift else "ssat r1,#17,r1"
    yield "asr r2,r1,#8"
    yield "add r2,r6,r2,lsl #3"
    yield "ldrd r4,r5,[r2]"
    yield "mla r1,r1,r5,r4"
    yield "smulbt r0,r3,r1"
    if _power_of_two(s.hidden):
        yield from _rounded("r0", "r10")
        if s.hidden.shift > -14:
            yield "ssat r0,#16,r0"
    else:
        right = -s.hidden.shift
        yield f"mov r9,#{1 << (right - 1)}"
        yield "add r2,r9,r0,asr #31"
        yield "lsl r0,r0,#1"
        yield "smmlar r0,r0,r10,r2"
        yield f"ssat r0,#16,r0,asr #{right}"
    yield f"strh r0,[r11,#{2 * (s.row - s.units) - 2}]"
