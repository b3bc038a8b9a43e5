"""The network alone as a program: its generated C, nb_nn and a harness (firmware/bench/harness), without a band around it.

Takes the C text of nociband_convert.to_c; gives an ELF file for the emulated Cortex-M4F, or a shared object for this machine. The
linker script keeps the harness apart from what the model costs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nociband_tools.bench.qemu import Program, require, run
from nociband_tools.firmware import firmware_root

MODEL_BEGINS = 0x10000      # as in harness.ld: what lies below is the harness
CPU = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
OPTIMISATION = {"fast": "-O2", "small": "-Os"}
FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Werror")
TRACED = ("nb_nn_branch", "nb_nn_lstm_int8")    # kernels that trace.c wraps, to look at the hidden states
TRACE = ("-DNB_TRACE", *(f"-Wl,--wrap={name}" for name in TRACED))
_LIBS = ("nb_spec", "nb_window", "nb_model", "nb_nn")


@dataclass(frozen=True)
class Image(Program):
    """A linked model. Bytes: `text` and `rodata` in flash, `data` in flash and RAM, `bss` in RAM."""

    text: int
    rodata: int
    data: int
    bss: int

    @property
    def flash(self) -> int:
        """Kernels, weights and tables, with what they pull from libgcc and the C library."""
        return self.text + self.rodata + self.data


def harness() -> Path:
    """The folder of the harness's sources."""
    return firmware_root() / "bench" / "harness"


def build_native(text: str, into: Path) -> Path:
    """A shared object for this machine with nb_model_run and trace.h's functions, -O2 and warnings as errors.

    Raises EnvironmentProblem when gcc is missing or something does not compile.
    """
    require("gcc")
    source, library = into / "model.c", into / "model.so"
    source.write_text(text)
    sources = [str(p) for p in (source, harness() / "trace.c", *_kernels())]
    run(["gcc", *FLAGS, "-O2", "-fPIC", "-shared", *TRACE, *_includes(), *sources, "-o", str(library)])
    return library


def build_arm(text: str, packing: str, into: Path, traced: bool = False) -> Image:
    """Compile generated C for the Cortex-M4F as the build `packing` (fast: -O2, small: -Os) and link it in the folder `into`.

    traced: look at the hidden states (trace.h); what is to be counted is not. Raises EnvironmentProblem when a tool is missing or
    something does not compile.
    """
    trace = TRACE if traced else ()
    require("arm-none-eabi-gcc")
    into.mkdir(parents=True, exist_ok=True)
    (into / "model.c").write_text(text)
    # As the band's build has them; -g costs nothing on the band, and tells what was inlined into what.
    sections = ("-ffunction-sections", "-fdata-sections", "-g")
    # The harness must not call the C library, so that what is linked from it is the model's.
    own = [harness() / "main.c", harness() / "trace.c"]
    kernels = [into / "model.c", *_kernels()]
    for sources, flags in ((own, ["-O2", "-ffreestanding", "-fno-tree-loop-distribute-patterns"]),
                           (kernels, [OPTIMISATION[packing], *sections])):
        run(["arm-none-eabi-gcc", *CPU, *FLAGS, *flags, *trace[:1], *_includes(), "-c", *map(str, sources)], into)
    elf = into / "model.elf"
    objects = [f"{p.stem}.o" for p in (*own, *kernels)]
    run(["arm-none-eabi-gcc", *CPU, *objects, "-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", *trace,
         f"-T{harness() / 'harness.ld'}", "-o", str(elf)], into)
    sizes = run(["arm-none-eabi-size", "-A", "-d", str(elf)])
    section = {m[1]: int(m[2]) for m in re.finditer(r"^(\.\S+)\s+(\d+)", sizes, re.M)}
    return Image(elf, section.get(".text", 0), section.get(".rodata", 0) + section.get(".ARM.exidx", 0), section.get(".data", 0),
                 section.get(".bss", 0))


def _kernels() -> list[Path]:
    return sorted((firmware_root() / "lib/nb_nn/src").glob("*.c"))


def _includes() -> list[str]:
    return [f"-I{harness()}", *(f"-I{firmware_root() / 'lib' / lib / 'src'}" for lib in _LIBS)]
