"""The monitor's web application: one page, its WebSocket, and the login page of a tablet.

What it shows comes from History; what a person asks for (pair, forget, try again) goes to the Live hub. Each browser is served at
its own pace from a cursor, so that one that is slow or gone costs nothing but its own socket.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from nociband.errors import NocibandError
from nociband_tools.live import Live
from nociband_tools.monitor.access import AccessCode, FailureLimit, Sessions
from nociband_tools.monitor.guard import COOKIE
from nociband_tools.monitor.history import Cursor, History

STATIC = Path(__file__).parent / "static"
UPDATE_S = 0.1                # ten messages a second at most
CLIENTS_MAX = 16
REQUEST_BYTES_MAX = 4096


@dataclass
class Login:
    """What a tablet needs to get in."""

    code: AccessCode
    sessions: Sessions = field(default_factory=Sessions)
    limit: FailureLimit = field(default_factory=FailureLimit)

    async def attempt(self, text: str) -> tuple[str | None, str]:
        """(token, "") when `text` is the code, else (None, what to do)."""
        wait_s = self.limit.wait_s()
        if wait_s > 0:
            return None, f"Too many wrong codes. Try again in {wait_s + 1:.0f} seconds."
        self.limit.attempt()
        if not await asyncio.to_thread(self.code.matches, text):
            return None, "That is not the access code. It was shown where the monitor was started first."
        self.limit.forgive()
        return self.sessions.begin(), ""


def build_app(live: Live, history: History, login: Login | None) -> FastAPI:
    """The application; `login` is None on 127.0.0.1."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    clients: set[int] = set()

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.websocket("/live")
    async def socket(websocket: WebSocket) -> None:
        if len(clients) >= CLIENTS_MAX:
            await websocket.close(1013)
            return
        clients.add(id(websocket))
        try:
            await websocket.accept()
            await _serve(websocket, live, history)
        except (WebSocketDisconnect, RuntimeError):
            pass        # the browser went away
        finally:
            clients.discard(id(websocket))

    if login is not None:
        _add_login(app, login)
    return app


def _add_login(app: FastAPI, login: Login) -> None:
    template = (STATIC / "login.html").read_text("utf-8")

    @app.get("/login")
    async def form() -> HTMLResponse:
        return HTMLResponse(template.replace("{{message}}", ""))

    @app.post("/login")
    async def enter(request: Request) -> Response:
        body = await _short_body(request)
        code = parse_qs(body.decode("utf-8", "replace")).get("code", [""])[0]
        token, message = await login.attempt(code)
        if token is None:
            status = 429 if message.startswith("Too many") else 401
            return HTMLResponse(template.replace("{{message}}", message), status)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="strict", path="/")
        return answer


async def _short_body(request: Request) -> bytes:
    """The body, cut where no honest form would reach."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > REQUEST_BYTES_MAX:
            return b""
    return body


async def _serve(websocket: WebSocket, live: Live, history: History) -> None:
    """Send what is new until the browser leaves; commands are read beside it."""
    cursor, sending = Cursor(), asyncio.Lock()
    reader = asyncio.create_task(_read(websocket, live, sending))
    try:
        while not reader.done():
            message = history.since(cursor)
            if message:
                async with sending:
                    await websocket.send_text(json.dumps(message, separators=(",", ":"), allow_nan=False))
            await asyncio.wait({reader}, timeout=UPDATE_S)
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _read(websocket: WebSocket, live: Live, sending: asyncio.Lock) -> None:
    while True:
        text = await websocket.receive_text()
        answer = await obey(live, text)
        async with sending:
            await websocket.send_text(json.dumps({"answer": answer}))


async def obey(live: Live, text: str) -> dict[str, Any]:
    """Carry out one command of the page. Returns {"op", "ok", "message"}; what is malformed is refused, never raised."""
    op = ""
    try:
        command = json.loads(text)
        op = command["op"] if isinstance(command, dict) and isinstance(command.get("op"), str) else ""
        if op == "pair":
            live.pair(_passkey(command.get("passkey")))
        elif op == "forget":
            await live.forget()
        elif op == "retry":
            live.retry()
        else:
            return {"op": op[:20], "ok": False, "message": "The monitor does not know this command."}
    except (ValueError, RecursionError):
        return {"op": op, "ok": False, "message": "The monitor does not understand this message."}
    except (NocibandError, OSError) as e:
        return {"op": op, "ok": False, "message": f"{str(e)[:1].upper()}{str(e)[1:]}."}
    return {"op": op, "ok": True, "message": ""}


def _passkey(value: Any) -> int:
    """Six digits, as typed; -1 for anything else, which the hub refuses in plain words."""
    return int(value) if isinstance(value, str) and len(value) == 6 and value.isascii() and value.isdigit() else -1
