"""Cycles of a Cortex-M4 modelled from executed instructions, by the instruction timings of its Technical Reference Manual.

Takes the counts of nociband_tools.bench.qemu and a disassembly. QEMU knows no pipeline: this is a model with the assumptions
below, not a measurement; it stands beside the instructions, never in their place. Rules: Arm 100166 (Cortex-M4 Technical
Reference Manual r0p1), 3.3.1 and 3.3.2, and 7.2.3 for the floating-point unit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nociband_tools.bench.qemu import Counts, run

REFILL = 2          # pipeline refill after a taken branch: the manual says 1 to 3
DIVISION = 12       # SDIV, UDIV: 2 to 12
ASSUMPTIONS = (
    "zero wait states, no contention for the bus, the store buffer never full",
    f"a taken branch costs {REFILL} more cycles (the manual: 1 to 3), taken branches are counted exactly",
    f"a division takes {DIVISION} cycles (the manual: 2 to 12)",
    "a single load takes 2 cycles, or 1 behind a single load whose result is not in its address",
    "a store takes 1 cycle, with a register in its offset 2, or 1 behind a load",
    "LDM, STM, PUSH and POP of N registers take 1 + N, LDRD and STRD 3",
    "a load or store whose address the instruction before it computed waits 1 cycle",
    "multiplications, SMLAD and their like, saturation and packing take 1; an instruction that IT skips takes as long as if run",
)

_CONDITION = re.compile(r"^((?:ldr|str)(?:sb|sh|b|h|d)?|(?:ldm|stm)(?:ia|db)?|push|pop|blx?|bx?|[su]div)"
                        r"(?:eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)$")
_BRANCHES = re.compile(r"^(blx?|bx?|cbn?z|tb[bh])$")
_SINGLE_LOAD = re.compile(r"^ldr(b|h|sb|sh|t|bt|ht|ex)?$")
_SINGLE_STORE = re.compile(r"^str(b|h|t|bt|ht|ex)?$")
_MULTIPLE = re.compile(r"^(ldm|stm|push|pop|vldm|vstm|vpush|vpop)")
_SLOW = {"sdiv": DIVISION, "udiv": DIVISION, "mrs": 2, "msr": 2, "vdiv": 14, "vsqrt": 14, "vmla": 3, "vmls": 3, "vfma": 3,
         "vfms": 3}
_WRITES_NOTHING = {"cmp", "cmn", "tst", "teq", "nop", "it", "bkpt"}
_ALIASES = {"sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15, "sb": 9}


@dataclass(frozen=True)
class Instruction:
    """One line of the disassembly. Registers are numbers; `address_of` are those that make a memory address."""

    name: str
    operands: str
    size: int

    @property
    def written(self) -> frozenset[int]:
        """The registers that it computes; of a long multiplication both."""
        if self.name in _WRITES_NOTHING or self.name.startswith(("str", "stm", "push", "v")) or _BRANCHES.match(self.name):
            return frozenset()
        count = 2 if re.match(r"^([us]mull|[us]mlal|umaal|smlald|smlsld|ldrd)", self.name) else 1
        return frozenset(_registers(",".join(self.operands.split(",")[:count])))

    @property
    def address_of(self) -> frozenset[int]:
        """The registers in brackets, or the base of a multiple transfer."""
        if _MULTIPLE.match(self.name):
            base = "sp" if "pop" in self.name or "push" in self.name else self.operands.split(",")[0]
            return frozenset(_registers(base))
        inside = re.search(r"\[(.*?)\]", self.operands)
        return frozenset(_registers(inside[1])) if inside else frozenset()

    @property
    def transferred(self) -> int:
        """Registers of a multiple transfer, in words."""
        listed = re.search(r"\{(.*)\}", self.operands)
        return sum(_span(part) for part in listed[1].split(",")) if listed else 0


def disassemble(elf: Path) -> dict[int, Instruction]:
    """Every instruction of the program by its address."""
    text = run(["arm-none-eabi-objdump", "-d", str(elf)])
    found = {}
    for line in text.splitlines():
        if m := re.match(r"^\s+([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(\S+)\s*([^;@<]*)", line):
            name = m[3].split(".")[0]
            conditional = _CONDITION.match(name)
            found[int(m[1], 16)] = Instruction(conditional[1] if conditional else name, m[4].strip(),
                                               len(m[2].replace(" ", "")) // 2)
    return found


def model(counts: Counts, program: Mapping[int, Instruction], refill: int = REFILL) -> dict[int, int]:
    """Cycles spent at each address, by the assumptions above."""
    cycles = {}
    earlier: tuple[Instruction, int] | None = None    # the one just before in memory, and how often it did not leave
    expected = -1
    for address in sorted(counts.executed):
        instruction = program.get(address)
        if instruction is None:
            continue
        times, left = counts.executed[address], counts.left.get(address, 0)
        cycles[address] = times * _alone(instruction) + left * refill
        if earlier is not None and address == expected:
            cycles[address] += earlier[1] * _change(earlier[0], instruction)
        earlier, expected = (instruction, times - left), address + instruction.size
    return cycles


def _alone(i: Instruction) -> int:
    """Cycles of an instruction by itself, without a pipeline refill."""
    if _MULTIPLE.match(i.name):
        return 1 + i.transferred
    if i.name in ("ldrd", "strd"):
        return 3
    if i.name in ("vldr", "vstr"):
        return 3 if i.operands.startswith("d") else 2
    if i.name in ("tbb", "tbh") or _SINGLE_LOAD.match(i.name):
        return 2
    if _SINGLE_STORE.match(i.name):
        return 2 if len(i.address_of) > 1 else 1
    return _SLOW.get(i.name, 1)


def _change(before: Instruction, i: Instruction) -> int:
    """What the instruction before adds to or takes from a load or store."""
    if not i.address_of:
        return 0
    if _SINGLE_LOAD.match(before.name):
        pipelined = (_SINGLE_LOAD.match(i.name) or _SINGLE_STORE.match(i.name)) and not before.written & i.address_of
        return -1 if pipelined and _alone(i) > 1 else 0
    computed = not _MULTIPLE.match(before.name) and not before.address_of
    return 1 if computed and before.written & i.address_of else 0


def _registers(text: str) -> list[int]:
    return [int(m[1]) if m[1] else _ALIASES[m[0]] for m in re.finditer(r"\b(?:r(\d+)|sl|fp|ip|sp|lr|pc|sb)\b", text)]


def _span(part: str) -> int:
    """Words in one entry of a register list: "r4", "r4-r7", "d8-d9"."""
    ends = [end.strip() for end in part.split("-")]
    words = 2 if ends[0].startswith("d") else 1
    numbers = [_ALIASES[end] if end in _ALIASES else int(end[1:]) for end in ends]
    return words * (numbers[-1] - numbers[0] + 1)
