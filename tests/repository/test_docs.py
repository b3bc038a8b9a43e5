"""What the documents promise is there: links lead somewhere, commands, options and make targets exist, and no tracked file
names the machine on which it was written.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from nociband_tools.cli import build_app

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|^ {4,}\S[^\n]*$|`[^`\n]+`", re.M | re.S)
COMMAND = re.compile(r"(?<!from )(?<!import )\bnociband ([a-z]+)((?: +[^\s`#|]+)*)")
TARGET = re.compile(r"\bmake ([a-z]+(?:-[a-z]+)*)")
# Folders of a builder's machine, and mirrors of package registries. Patterns, so that this file does not name what it forbids.
FOREIGN = re.compile(r"(?<![\w.~])/(?:work|root|Users)/|(?<![\w.~])/home/\w|artifactory|"
                     r"https?://[^\s\"']*/(?:simple|pypi|npm)/|--(?:extra-)?index-url", re.I)


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _documents() -> list[Path]:
    found = _tracked("*.md")
    assert len(found) > 10
    return found


def _code(document: Path) -> str:
    return "\n".join(CODE.findall(document.read_text("utf-8")))


def _options(command: Any, words: list[str]) -> set[str]:
    """A command's options, or those of the one in its group that the next word names."""
    if words and words[0] in (group := getattr(command, "commands", {})):
        return _options(group[words[0]], words[1:])
    return {o for p in command.params for o in (*p.opts, *p.secondary_opts)}


def test_relative_links_lead_somewhere() -> None:
    broken = [f"{d.relative_to(ROOT)}: {target}" for d in _documents() for target in LINK.findall(d.read_text("utf-8"))
              if "://" not in target and not (d.parent / target.split("#")[0]).exists()]
    assert broken == []


def test_commands_and_their_options_exist() -> None:
    commands = typer.main.get_command(build_app()).commands
    wrong, seen = [], set()
    for document in _documents():
        for name, rest in COMMAND.findall(_code(document)):
            seen.add(name)
            options = _options(commands[name], rest.split()) if name in commands else set()
            unknown = [o for o in re.findall(r"(?<=\s)--[a-z][a-z-]*", rest) if o not in options | {"--help"}]
            if name not in commands or unknown:
                wrong.append(f"{document.relative_to(ROOT)}: nociband {name} {' '.join(unknown)}")
    assert wrong == [] and {"emulate", "stream", "monitor", "train", "convert"} <= seen


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    wrong = [f"{d.relative_to(ROOT)}: make {name}" for d in _documents() for name in TARGET.findall(_code(d))
             if name not in targets]
    assert wrong == []


def test_no_file_names_the_machine_on_which_it_was_written() -> None:
    named = []
    for path in _tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:      # a picture
            continue
        if path != Path(__file__).resolve():
            named += [f"{path.relative_to(ROOT)}: {match}" for match in FOREIGN.findall(text)]
    assert named == []


def test_what_ships_of_others_is_in_the_notice() -> None:
    notice = (ROOT / "NOTICE").read_text("utf-8")
    vendored = {p.parts[p.parts.index("vendor") + 1].split("-")[0] for p in _tracked("*/vendor/*")}
    shipped = {p.parent.name for p in _tracked("firmware/models/*/manifest.json")}
    assert vendored and shipped
    assert [name for name in vendored | shipped if name.lower() not in notice.lower()] == []
