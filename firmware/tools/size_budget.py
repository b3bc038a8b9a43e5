"""PlatformIO post script: fail the build when the image outgrows firmware/size_budgets.json.

Flash is .vectors + .text + .ARM.exidx + .data; RAM is .data + .bss + .stack. A budget is raised by hand, with the reason in
the commit.
"""

import json
import subprocess
import sys
from pathlib import Path

Import("env")  # noqa: F821  (SCons puts it here)

FLASH = {".vectors", ".text", ".ARM.exidx", ".data"}
RAM = {".data", ".bss", ".stack"}


def measure(elf, size_tool):
    """Bytes of flash and RAM of an ELF file, from `size -A`."""
    rows = [line.split() for line in subprocess.run([size_tool, "-A", "-d", elf], check=True, capture_output=True,
                                                    text=True).stdout.splitlines()]
    sections = {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[0].startswith(".")}
    return {kind: sum(sections.get(name, 0) for name in names) for kind, names in (("flash", FLASH), ("ram", RAM))}


def check(target, source, env):  # noqa: ARG001  (SCons calls it so)
    """Print used and allowed; a non-zero result fails the build."""
    budget = json.loads(Path(env.subst("$PROJECT_DIR"), "size_budgets.json").read_text()).get(env["PIOENV"])
    if budget is None:
        return 0
    used = measure(str(target[0]), env.subst("$SIZETOOL"))
    over = [kind for kind in budget if used[kind] > budget[kind]]
    for kind, allowed in budget.items():
        print(f"{kind}: {used[kind]} of {allowed} bytes")
    if over:
        print(f"over the budget of size_budgets.json: {', '.join(over)}", file=sys.stderr)
    return len(over)


PROGRAM = "$BUILD_DIR/${PROGNAME}${PROGSUFFIX}"
env.Depends(PROGRAM, "$PROJECT_DIR/size_budgets.json")  # noqa: F821  (a lower budget is checked though nothing else changed)
env.AddPostAction(PROGRAM,  # noqa: F821
                  env.VerboseAction(check, "Comparing with size_budgets.json"))  # noqa: F821
