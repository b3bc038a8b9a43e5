"""docs/app.md against the SDK: its code compiles, its names exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import nociband
from nociband import band, errors, records

GUIDE = (Path(__file__).parents[2] / "docs/app.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.S)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_code_compiles(block: str) -> None:
    compile(block, "docs/app.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_names_exist() -> None:
    for name in re.findall(r"^\| `(\w+)` \| ", GUIDE, re.M):
        assert hasattr(records, name) or hasattr(errors, name), name
    for name in re.findall(r"`(?:await )?band\.(\w+)", GUIDE):
        assert hasattr(band.Band, name) or name in band.Band.__annotations__ or name in ("info", "manifest"), name
    for name in re.findall(r"from nociband import (.*)", GUIDE):
        assert all(hasattr(nociband, n.strip()) for n in name.split(","))
