"""`nociband monitor`: the live page of one band, for clinic and bench.

Finds a band with the system's Bluetooth, or an emulated one through its virtual radio; adds the face; serves the page until
Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import webbrowser
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import typer

from nociband.errors import DataError
from nociband_tools.connect import Target, backend_of, check_radio

NO_FACE = "none"
# What is not real behind --radio when nobody says it more exactly; the page shows what stands before the colon.
EMULATED = ("signals: simulated, or replayed with a made-up EMG carrier, as `nociband emulate` says when it starts",
            "band: its firmware, emulated", "radio: software, no air time")


def command(
    radio: Annotated[str | None, typer.Option(help="HOST:PORT of an emulated band's virtual radio; without it the system's "
                                                   "Bluetooth is used.")] = None,
    passkey: Annotated[int | None, typer.Option(min=0, max=999_999, help="Pair with this; without it the page asks.")] = None,
    face: Annotated[str, typer.Option(help="clip (a made face), a camera number such as 0, a video file, or none.")] = NO_FACE,
    listen: Annotated[str | None, typer.Option(help="Serve a tablet on this address, with TLS and an access code.")] = None,
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes a free one.")] = 8600,
    state: Annotated[Path | None, typer.Option(help="Folder for keys, certificate and access code.")] = None,
    new_code: Annotated[bool, typer.Option("--new-code", help="Make a new access code; the old one ends.")] = False,
    simulated: Annotated[list[str] | None, typer.Option(help="What is not real, to be shown on the page; repeatable.")] = None,
    source: Annotated[str, typer.Option(help="What the band measures, to be shown on the page.")] = "",
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in this machine's browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line when ready.")] = False,
) -> None:
    """Show a band live in the browser: signals, score or why there is none, the face. Research software, not a medical device."""
    from nociband_tools.live import Live
    from nociband_tools.monitor.access import default_state_dir

    folder = state or default_state_dir()
    labels = tuple(simulated or ()) or (EMULATED if radio else ())
    live = Live(band_connector(radio, folder), face=face_source(face), passkey=passkey, source=source, simulated=labels)
    asyncio.run(_serve(live, {"port": port, "listen": listen, "state_dir": folder, "new_code": new_code}, open_page, as_json))


async def _serve(live: Any, options: dict[str, Any], open_page: bool, as_json: bool) -> None:
    from nociband_tools.monitor.server import serving

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serving(live, **options) as running:
        _say_ready(running, as_json)
        if open_page:
            webbrowser.open(running.url)
        runner = asyncio.create_task(live.run())
        await stopped.wait()
        await live.stop()
        await runner


def _say_ready(running: Any, as_json: bool) -> None:
    if as_json:
        facts = {"event": "ready", "url": running.url, "port": running.port, "access_code": running.access_code,
                 "fingerprint": running.fingerprint}
        print(json.dumps({k: v for k, v in facts.items() if v is not None}), flush=True)
        return
    print(f"The monitor is at {running.url}  (Ctrl-C ends it). Research software, not a medical device.")
    if running.access_code:
        print(f"Access code, shown only now: {running.access_code}")
    elif running.fingerprint:
        print("The access code is the one shown at first use; --new-code makes another.")
    if running.fingerprint:
        print("The certificate is this machine's own, so the tablet warns once. Before you accept, compare its SHA-256:")
        print(f"  {running.fingerprint}")
    sys.stdout.flush()


def band_connector(radio: str | None, folder: Path):
    """What Live calls to reach a band. `folder` keeps the virtual radio's bonds; a real one's are the operating system's.

    Raises EnvironmentProblem when `radio` is not HOST:PORT.
    """
    check_radio(radio)
    target = Target(radio, state=folder)

    @contextlib.asynccontextmanager
    async def connect(ask) -> AsyncIterator[Any]:
        from nociband.band import Band, find_band

        async with backend_of(target) as backend:
            found = await find_band(timeout_s=target.timeout_s, backend=backend)
            async with Band.connect(found, passkey=ask, backend=backend) as band:
                yield band

    return connect


def face_source(name: str):
    """What Live calls for face measures, None for "none". `name`: clip, a camera number or a video file.

    Raises DataError when it is neither: now, not when everything else is running.
    """
    if name == NO_FACE:
        return None
    if name != "clip" and not name.isdecimal() and not Path(name).is_file():
        raise DataError(f"no video file at {name}: give the path of one, a camera number such as 0, clip or none")

    async def measures() -> AsyncIterator[Any]:
        from nociband.vision import FaceStream

        async with FaceStream(name) as faces:
            async for m in faces:
                yield m

    return measures
