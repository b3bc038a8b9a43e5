"""What stands before every request to the monitor: Host and Origin checks, the session cookie, response headers.

An ASGI wrapper, so that the WebSocket passes through it too. Locally only this machine's own names are a valid Host; with
TLS and an access code the cookie decides, and Origin must be the page's own.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Any

from nociband_tools.monitor.access import Sessions

COOKIE = "__Host-nociband"
OPEN_PATHS = ("/login", "/static/")       # what a browser needs before it has the cookie
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
                               "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",     # "no-referrer" would make the login form's own Origin "null"
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Guard:
    """Wraps `app`. `sessions` is None on 127.0.0.1, where no code is asked for; `port` is set once the socket is bound."""

    def __init__(self, app: Any, port: int, sessions: Sessions | None) -> None:
        self._app, self._sessions = app, sessions
        self._local_hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """ASGI: refuse, send to the login page, or hand on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(_with_headers(send), *refusal)

    def _refusal(self, scope: dict[str, Any], headers: dict[str, str]) -> tuple[int, str, str] | None:
        """(status, text, location) when the request may not pass."""
        host, websocket = headers.get("host", ""), scope["type"] == "websocket"
        if self._sessions is None and host.lower() not in self._local_hosts:
            return 421, "Open the monitor by its own address, as it was printed.", ""
        origin = headers.get("origin")
        own = f"{'http' if self._sessions is None else 'https'}://{host}"
        changes = websocket or scope.get("method") not in ("GET", "HEAD")
        if (changes and origin is None) or (origin is not None and origin.lower() != own.lower()):
            return 403, "This request came from another page.", ""
        if self._sessions is None or (not websocket and scope["path"].startswith(OPEN_PATHS)):
            return None
        if not self._sessions.holds(cookie_of(headers.get("cookie", ""))):
            return 303, "Enter the access code first.", "/login"
        return None


def cookie_of(header: str) -> str | None:
    """The session token in a Cookie header."""
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _with_headers(send: Any) -> Any:
    async def wrapped(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *_RAW_HEADERS]}
        await send(message)

    return wrapped


async def _answer(send: Any, status: int, text: str, location: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if location:
        headers.append((b"location", location.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
