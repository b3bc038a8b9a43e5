"""The attention of a branch for the Cortex-M4F in assembly: what nb_nn_pool, nb_nn_weight and nb_nn_gather do.

From branch (sizes and constants) to generated C. nb_nn_branch.c is the same arithmetic in C; tests hold both equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nociband_convert.arithmetic.quantise import Channel, Scale
from nociband_convert.kernels.assembly import function, load

_PAIRS = 8         # words that one LDM brings to `pool`
_TAPS = 4          # to `weight`
_UNROLLED = 4      # pairs a turn of the loop in `gather`
_WEIGHT = 1 << 17  # h * weight / 2^15, as SMMULR's other factor


class Attention(NamedTuple):
    """What the code has as immediates; see nb_nn_attention_t."""

    units: int
    kernel: int
    mean: Scale
    convolution: Channel


def pool(name: str, a: Attention) -> str:
    """`nb_nn_pool_t name`."""
    return function(name, _pool(a))


def weight(name: str, a: Attention) -> str:
    """`nb_nn_weight_t name`."""
    return function(name, _weight(a))


def gather(name: str, a: Attention) -> str:
    """`nb_nn_gather_t name`."""
    return function(name, _gather(name, a.units // 2))


def _pool(a: Attention) -> Iterator[str]:
    """r0 sum, r2 largest (two halves), r4-r11 pairs, r12 1 | 1 << 16; SSUB16 is for its flags alone."""
    pairs = a.units // 2
    yield "push {r4-r11,lr}"
    yield "mov r12,#0x10001"
    yield "mov r0,#0"
    yield "ldr r2,[r1]"
    for first in range(0, pairs, _PAIRS):
        count = min(_PAIRS, pairs - first)
        yield f"ldmia r1!,{{r4-r{3 + count}}}" if count > 1 else "ldmia r1!,{r4}"
        for register in range(4, 4 + count):
            yield f"smlad r0,r{register},r12,r0"
            yield f"ssub16 lr,r{register},r2"
            yield f"sel r2,r{register},r2"
    yield "sxth r4,r2"
    yield "cmp r4,r2,asr #16"
    yield "it lt"
    yield "asrlt r4,r2,#16"
    right = -a.mean.shift
    yield f"mov r5,#{1 << (right - 1)}"
    yield "add r5,r5,r0,asr #31"
    yield "lsl r0,r0,#1"
    yield from load("r6", a.mean.multiplier)
    yield "smmlar r0,r0,r6,r5"
    yield f"ssat r0,#16,r0,asr #{right}"
    yield "pkhbt r4,r4,r0,lsl #16"
    yield "str r4,[r3]"
    yield "pop {r4-r11,pc}"


def _weight(a: Attention) -> Iterator[str]:
    """r2 the sum; r0 the taps' address after that of the attention, r1 the pooled values'."""
    right = a.convolution.right - 16
    yield "push {r4-r11}"
    yield "ldm r0,{r0,r2,r12}"                          # taps, sigmoid, bias
    for first in range(0, a.kernel, _TAPS):
        count = min(_TAPS, a.kernel - first)
        for address, register in (("r0", 4), ("r1", 8)):
            many = f"r{register}-r{register + count - 1}" if count > 1 else f"r{register}"
            yield f"ldmia {address}!,{{{many}}}"
        for tap in range(count):
            yield f"smlad r12,r{4 + tap},r{8 + tap},r12"
    yield from load("r4", a.convolution.multiplier << 16)
    yield f"mov r5,#{1 << (right - 1)}"
    yield "smmla r12,r12,r4,r5"
    yield f"ssat r12,#11,r12,asr #{right}"
    yield "ldrsh r0,[r2,r12,lsl #1]"
    yield "pop {r4-r11}"
    yield "bx lr"


def _gather(name: str, pairs: int) -> Iterator[str]:
    """r0, r1 the steps' h, r2 their weights, r3 the sums, r12 the largest; r10 1, r11 2^17; lr the first step's pair."""
    unrolled = next(n for n in range(_UNROLLED, 0, -1) if pairs % n == 0)
    yield "push {r4-r11,lr}"
    yield "add r4,r0,r3,lsl #1"                         # where the first step's h ends
    yield "ldrd r3,r12,[sp,#36]"
    yield "push {r4,r5}"
    yield "mov r10,#1"
    yield f"mov r11,#{_WEIGHT}"
    yield f".L{name}_pairs:"
    for _ in range(unrolled):
        yield "ldr r4,[r0],#4"
        yield from _weighted("r6", "smulbb", "r7", "smultb")
        yield "ldrd r8,r9,[r3]"
        yield "add r8,r8,r6"
        yield "add r9,r9,r7"
        yield "pkhbt lr,r6,r7,lsl #16"
        yield "ldr r4,[r1],#4"
        yield from _weighted("r6", "smulbt", "r7", "smultt")
        yield "add r8,r8,r6"
        yield "add r9,r9,r7"
        yield "strd r8,r9,[r3],#8"
        yield "pkhbt r6,r6,r7,lsl #16"
        yield "ssub16 r7,r6,lr"
        yield "sel r6,r6,lr"
        yield "ldr r4,[r12]"
        yield "ssub16 r7,r6,r4"
        yield "sel r6,r6,r4"
        yield "str r6,[r12],#4"
    yield "ldr r4,[sp]"
    yield "cmp r0,r4"
    yield f"bne.w .L{name}_pairs"
    yield "add sp,sp,#8"
    yield "pop {r4-r11,pc}"


def _weighted(low: str, product_low: str, high: str, product_high: str) -> Iterator[str]:
    """Both halves of r4 times a half of r2, rounded as nb_nn_branch.c's `weighted`."""
    for register, product in ((low, product_low), (high, product_high)):
        yield f"{product} {register},r4,r2"
        yield f"orr r5,r10,{register},asr #31"
        yield f"add {register},{register},r5"
        yield f"smmulr {register},{register},r11"
