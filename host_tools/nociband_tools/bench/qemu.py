"""Runs a program on the emulated Cortex-M4F, and counts its instructions one address at a time.

Takes an ELF file, gives what the plugin count_instructions.c wrote; nociband_tools.bench attributes it to functions and models
cycles from it. Counts are repeatable to the last instruction.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from nociband.errors import EnvironmentProblem

MACHINE = ("-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "null",
           "-semihosting-config", "enable=on,target=native")
TOOLS = {"qemu-system-arm": "qemu-system-arm", "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
         "gcc": "gcc libc6-dev"}


@dataclass(frozen=True)
class Counts:
    """How often the instruction at each address ran, and how often the one behind it did not follow."""

    executed: Mapping[int, int]
    left: Mapping[int, int]


@dataclass(frozen=True)
class Function:
    """A function of the program: its first address and the one behind its last."""

    name: str
    first: int
    behind: int


@dataclass(frozen=True)
class Program:
    """An ELF file, as far as its functions go."""

    elf: Path

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """By address. Parts that the compiler split off (.part, .isra, .constprop) go by their function's name."""
        lines = run(["arm-none-eabi-readelf", "-sW", str(self.elf)]).splitlines()
        rows = {}
        for line in lines:
            if m := re.match(r"\s*\d+:\s+([0-9a-f]+)\s+(\d+)\s+FUNC\s+\S+\s+\S+\s+\d+\s+(\S+)", line):
                rows[int(m[1], 16) & ~1] = (int(m[2]), plain_name(m[3]))
        first = sorted(rows)
        ends = [*first[1:], 1 << 32]
        return tuple(Function(rows[a][1], a, a + rows[a][0] if rows[a][0] else end) for a, end in zip(first, ends, strict=True))

    def by_function(self, values: Mapping[int, int], apart: str = "") -> dict[str, int]:
        """Sums of values by address, "?" for what belongs to no function; the largest first, then by name.

        apart: what the compiler put into this function instead of calling it goes by its own name (needs -g).
        """
        names = {}
        functions = iter(self.functions)
        here: Function | None = next(functions, None)
        for address in sorted(values):
            while here is not None and address >= here.behind:
                here = next(functions, None)
            names[address] = here.name if here is not None and address >= here.first else "?"
        names |= self._inlined([address for address, name in names.items() if name == apart])
        sums: dict[str, int] = {}
        for address, value in values.items():
            sums[names[address]] = sums.get(names[address], 0) + value
        return dict(sorted(sums.items(), key=lambda kv: (-kv[1], kv[0])))

    def _inlined(self, addresses: Sequence[int]) -> dict[int, str]:
        """Of addresses in one function: which function, called there in the source, they come from."""
        if not addresses:
            return {}
        text = run(["arm-none-eabi-addr2line", "-f", "-i", "-a", "-e", str(self.elf), *map(hex, addresses)])
        blocks = re.split(r"^0x([0-9a-f]+)\n", text, flags=re.M)[1:]
        chains = {int(a, 16): block.splitlines()[::2] for a, block in zip(blocks[::2], blocks[1::2], strict=True)}
        return {address: chain[-2] for address, chain in chains.items() if len(chain) > 1}


def plain_name(symbol: str) -> str:
    """The function that a symbol is of, also when the compiler split a part off it or made a copy."""
    return re.sub(r"(\.(part|isra|constprop|cold|lto_priv)(\.\d+)?)+$", "", symbol)


def require(*tools: str) -> None:
    """Raises EnvironmentProblem that names the Debian package of the first missing tool."""
    for tool in tools:
        if shutil.which(tool) is None:
            raise EnvironmentProblem(f"{tool} is not installed: sudo apt-get install {TOOLS[tool]}")


def run(command: Sequence[str], cwd: Path | None = None, timeout_s: float = 300.0) -> str:
    """Standard output of a command. Raises EnvironmentProblem with the end of what it said when it fails or takes too long."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as e:
        raise EnvironmentProblem(f"{command[0]} did not end within {timeout_s:.0f} s") from e
    if done.returncode:
        raise EnvironmentProblem(f"{command[0]} failed ({done.returncode}): {(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout


def emulate(elf: Path, extra: Sequence[str] = (), cwd: Path | None = None, timeout_s: float = 300.0) -> None:
    """Run an image until it leaves by semihosting. Files that it opens lie in `cwd`."""
    require("qemu-system-arm")
    run(["qemu-system-arm", *MACHINE, *extra, "-kernel", str(elf)], cwd, timeout_s)


def count(elf: Path, extra: Sequence[str] = (), cwd: Path | None = None) -> Counts:
    """Run an image with the counting plugin. Raises EnvironmentProblem when QEMU or gcc is missing or the image fails."""
    require("qemu-system-arm", "gcc")
    with TemporaryDirectory(prefix="nociband-bench-") as name:
        plugin, out = Path(name) / "count_instructions.so", Path(name) / "counts.txt"
        run(["gcc", "-shared", "-fPIC", "-O2", "-o", str(plugin), str(Path(__file__).with_name("count_instructions.c"))])
        emulate(elf, ["-plugin", f"{plugin},out={out}", *extra], cwd)
        if not out.is_file():
            raise EnvironmentProblem("QEMU wrote no counts: the counting plugin ran out of room, or this QEMU takes no plugins")
        rows = [(int(a, 16), int(n), int(k)) for a, n, k in (line.split() for line in out.read_text().splitlines())]
    return Counts({a: n for a, n, _ in rows}, {a: k for a, _, k in rows if k})
