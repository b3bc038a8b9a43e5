"""Runs the monitor's web application beside the Live hub, in the same event loop.

    async with serving(live, port=8600) as monitor:
        print(monitor.url)
        await live.run()

Port 0 takes a free one. With `listen` the page is for a tablet: TLS and an access code, both made on first use.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from nociband.errors import EnvironmentProblem
from nociband_tools.live import Live, Subscription
from nociband_tools.monitor.access import (
    AccessCode,
    Certificate,
    certificate_for,
    default_state_dir,
    prepare_state_dir,
)
from nociband_tools.monitor.app import Login, build_app
from nociband_tools.monitor.guard import Guard
from nociband_tools.monitor.history import History

PORT = 8600
QUEUE_LIMIT = 4096
_WILDCARDS = ("0.0.0.0", "::", "")


@dataclass(frozen=True)
class Running:
    """A monitor that serves. `access_code` is there only when it was made just now: show it, it is not kept."""

    url: str
    port: int
    access_code: str | None = None
    fingerprint: str | None = None

    def __str__(self) -> str:
        return self.url


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the program that owns the event loop decides when to end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(live: Live, *, port: int = PORT, listen: str | None = None, state_dir: Path | None = None,
                  new_code: bool = False) -> AsyncIterator[Running]:
    """Serve `live` until the block ends. Raises EnvironmentProblem when the port is in use or the state folder cannot be."""
    with contextlib.closing(_bound(listen or "127.0.0.1", port)) as bound:
        port = bound.getsockname()[1]
        login, certificate, code = None, None, None
        if listen is not None:
            folder = prepare_state_dir(state_dir or default_state_dir())
            access, code = AccessCode.open(folder, new_code)
            login, certificate = Login(access), certificate_for(listen, folder)
        history = History(lambda: live.state, live.clock)
        app = Guard(build_app(live, history, login), port, login.sessions if login else None)
        subscription = live.subscribe(QUEUE_LIMIT)
        feeding = asyncio.create_task(_feed(subscription, history))
        try:
            async with _web_server(app, bound, certificate):
                yield Running(_url(listen, port), port, code, certificate.fingerprint if certificate else None)
        finally:
            live.unsubscribe(subscription)
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


async def _feed(subscription: Subscription, history: History) -> None:
    async for record in subscription:
        history.add(record)


@contextlib.asynccontextmanager
async def _web_server(app: Guard, bound: socket.socket, certificate: Certificate | None) -> AsyncIterator[None]:
    config = uvicorn.Config(app, log_config=None, log_level="warning", access_log=False, lifespan="off", ws="websockets-sansio",
                            ws_max_size=4096, ws_ping_interval=10.0, ws_ping_timeout=10.0, timeout_graceful_shutdown=1,
                            server_header=False, proxy_headers=False,
                            ssl_certfile=certificate.certificate if certificate else None,
                            ssl_keyfile=certificate.key if certificate else None)
    config.load()
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        while not server.started and not running.done():
            await asyncio.sleep(0.01)
        if running.done():
            running.result()
            raise EnvironmentProblem("the monitor's web server did not start")
        yield
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await running


def _bound(address: str, port: int) -> socket.socket:
    """A bound socket, so that a port in use is noticed before anything else starts."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
        bound.listen(64)
    except (OSError, OverflowError) as e:
        bound.close()
        if isinstance(e, OSError) and e.errno == errno.EADDRINUSE:
            raise EnvironmentProblem(f"port {port} is in use: stop what uses it (another monitor?), or choose a free port "
                                     "with --port 0") from e
        raise EnvironmentProblem(f"the monitor cannot listen on {address} port {port} ({e}): choose an address of this machine "
                                 "with --listen and a port from 0 to 65535 with --port") from e
    bound.setblocking(False)
    return bound


def _url(listen: str | None, port: int) -> str:
    if listen is None:
        return f"http://127.0.0.1:{port}/"
    host = socket.gethostname() if listen in _WILDCARDS else listen
    return f"https://{f'[{host}]' if ':' in host else host}:{port}/"
