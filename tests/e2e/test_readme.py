"""The README's example, run to the letter against an emulated band."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from nociband.band import discovery
from nociband_tools.radio.client import virtual_backend

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)[1]


def test_the_example_has_ten_lines() -> None:
    imports_and_run = ("import", "from", "asyncio.run")
    lines = [line for line in EXAMPLE.splitlines() if line.strip() and not line.startswith(imports_and_run)]
    assert len(lines) <= 10


@pytest.mark.slow
async def test_the_example_runs_as_it_stands(tmp_path: Path, monkeypatch, capsys) -> None:
    """Only the Bluetooth stack is another: the virtual radio where the system's would be."""
    emulator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "nociband_tools.cli", "emulate", "--band", "native", "--source", "simulator", "--json", "--state",
        str(tmp_path / "band"), stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL)
    try:
        ready = {"event": ""}
        while ready["event"] != "ready":
            ready = json.loads(await asyncio.wait_for(emulator.stdout.readline(), 120))
        async with virtual_backend(ready["hci"], keys=tmp_path / "keys.json") as backend:
            monkeypatch.setattr(discovery, "SystemBackend", lambda: backend)
            code = EXAMPLE.replace("asyncio.run(main(", "example = (main(")
            scope: dict = {}
            monkeypatch.setattr("builtins.input", lambda _: str(ready["passkey"]))
            exec(compile(code, "README.md", "exec"), scope)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(scope["example"], 12)
    finally:
        emulator.terminate()
        await emulator.wait()
    printed = capsys.readouterr().out.splitlines()
    assert sum("[" in line and "None" not in line for line in printed) > 100       # skin conductance, 25 times a second
    assert any("baseline_unfinished" in line for line in printed)                   # predictions say why there is no score
    assert not any(line.startswith("lost") for line in printed)
