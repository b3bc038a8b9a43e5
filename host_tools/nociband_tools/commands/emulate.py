"""`nociband emulate`: an emulated band with its virtual radio, until Ctrl-C."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer

from nociband.errors import EnvironmentProblem


class Board(enum.StrEnum):
    """What runs the firmware."""

    qemu = "qemu"
    native = "native"


def command(
    band: Annotated[Board, typer.Option(help="qemu: Cortex-M4F; native: a process of this machine")] = Board.qemu,
    source: Annotated[str, typer.Option(help="fmov[:SUBJECT], simulator[:SEED], or a recording")] = "simulator",
    model: Annotated[str | None, typer.Option(help="the model the firmware carries (default: one that fits the source)")] = None,
    state: Annotated[Path, typer.Option(help="folder that keeps this band's identity, keys and memory")] = Path("build/band"),
    firmware: Annotated[Path | None, typer.Option(help="firmware to run instead of building it")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port of the radio on 127.0.0.1 (0: a free one)")] = 0,
    press: Annotated[bool, typer.Option(help="press the button at the start, so that a host can pair")] = True,
    fault: Annotated[str | None, typer.Option(help="inject a fault: drop-frame, flip-feature or flip-sample, [:N]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line an event")] = False,
) -> None:
    """Run an emulated band: its firmware, the virtual board around it and a virtual Bluetooth radio.

    The button is pressed at the start, when a line `b` is typed, and on SIGUSR1. Exit status: 0 stopped, 1 the band ended by
    itself or did not come up, 2 something is missing or in use.
    """
    import asyncio
    import signal

    from nociband_tools.emulator.session import Options, run

    chosen = model or ("fmov_emotion3" if source.startswith("fmov") else "synthetic_pain5")
    source = _unseen(source, chosen)
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the emulator runs and takes both itself
        program = _firmware(firmware, band.value, chosen)
        options = Options(band.value, source, chosen, state, program, port, press, fault)
        status = asyncio.run(run(options, _print_json if as_json else _print_text))
    except KeyboardInterrupt:
        status = 0
    raise typer.Exit(status)


def _unseen(source: str, model: str) -> str:
    from nociband_tools.emulator.source import unseen
    from nociband_tools.firmware import model_manifest

    return unseen(source, model_manifest(model))


def _firmware(given: Path | None, band: str, model: str) -> Path:
    if given is None:
        from nociband_tools.firmware import build

        return build(band, model)
    if not given.is_file():
        raise EnvironmentProblem(f"no firmware at {given}: leave --firmware out to build it")
    return given.resolve()


def _print_json(event: dict[str, Any]) -> None:
    import json

    print(json.dumps(event), flush=True)


def _print_text(event: dict[str, Any]) -> None:
    match event["event"]:
        case "ready":
            text = "\n".join((
                f"Nociband {event['serial'][-4:]} is on the air (emulated: {event['band']}, model {event['model']}).",
                f"  radio    {event['hci']}",
                f"  passkey  {event['passkey']}",
                f"  replays  {event['source']}",
                f"  try      nociband stream --radio {event['hci']} --passkey {event['passkey']}",
                f"           nociband monitor --radio {event['hci']} --passkey {event['passkey']} --face clip",
                *(f"  simulated: {what}" for what in event["simulated"]),
                f"Press b and Enter, or send SIGUSR1 to {event['pid']}, to press its button. Ctrl-C stops it."))
        case "band_exit":
            text = f"The band ended ({event['why']}); its log is {event['log']}"
        case "failed":
            text = f"The emulated {event['what'].replace('_', ' ')} failed: {event['why']}"
        case "looped":
            text = f"The recording has ended and begins again (time {event['times']})."
        case "fault":
            text = f"Fault injected: {event['name']} at {event['n']}"
        case _:
            return
    print(text, flush=True)
