"""Who gets in: Host, Origin, cookie, access code, TLS, and what lies on the disk."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import stat
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from nociband.errors import EnvironmentProblem
from nociband_tools.monitor.access import FAILURES_MAX, AccessCode, FailureLimit, Sessions, certificate_for
from nociband_tools.monitor.server import serving

from .scripted import PAIN, Stage, course


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def no_check() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def first_message(url: str, origin: str | None, **options) -> dict:
    async with connect(url, origin=origin, **options) as socket_:
        return json.loads(await asyncio.wait_for(socket_.recv(), 5))


async def test_local_page_and_its_headers() -> None:
    async with Stage() as stage, serving(stage.live, port=0) as monitor, httpx.AsyncClient() as client:
        answer = await client.get(monitor.url)
        assert answer.status_code == 200 and "Nociband" in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
        for path in ("docs", "openapi.json", "login", "static/../access.py", "static/%2e%2e/access.py"):
            assert (await client.get(monitor.url + path)).status_code == 404, path
        message = await first_message(f"ws://127.0.0.1:{monitor.port}/live", f"http://127.0.0.1:{monitor.port}")
        assert message["state"]["link"] in ("searching", "connected")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1",
                                  "127.0.0.1.evil.example:{port}"])
async def test_a_foreign_host_header_is_refused(host: str) -> None:
    async with Stage() as stage, serving(stage.live, port=0) as monitor, httpx.AsyncClient() as client:
        answer = await client.get(monitor.url, headers={"host": host.format(port=monitor.port)})
        assert answer.status_code == 421 and "Nociband" not in answer.text


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1"])
async def test_a_socket_from_another_page_is_refused(origin: str | None) -> None:
    async with Stage() as stage, serving(stage.live, port=0) as monitor:
        with pytest.raises(InvalidStatus) as refused:
            await first_message(f"ws://127.0.0.1:{monitor.port}/live", origin and origin.format(port=monitor.port))
        assert refused.value.response.status_code == 403


async def test_with_listen_nothing_is_shown_without_the_code(tmp_path: Path) -> None:
    async with Stage() as stage, serving(stage.live, port=0, listen="127.0.0.1", state_dir=tmp_path / "s") as monitor:
        assert monitor.url.startswith("https://")
        own = monitor.url.rstrip("/")
        with pytest.raises(httpx.HTTPError):        # plain HTTP finds nobody
            async with httpx.AsyncClient() as plain:
                await plain.get(f"http://127.0.0.1:{monitor.port}/")
        async with httpx.AsyncClient(verify=no_check(), base_url=own) as client:
            page = await client.get("/")
            assert page.status_code == 303 and page.headers["location"] == "/login"
            with pytest.raises(InvalidStatus):
                await first_message(own.replace("https", "wss") + "/live", own, ssl=no_check())
            post = {"headers": {"origin": own}}
            assert (await client.post("/login", data={"code": "AAAAA-AAAAA"}, **post)).status_code == 401
            assert (await client.post("/login", data={"code": monitor.access_code})).status_code == 403
            assert (await client.post("/login", data={"code": monitor.access_code}, headers={"origin": "https://evil.example"})
                    ).status_code == 403
            right = await client.post("/login", data={"code": monitor.access_code.lower()}, **post)
            assert right.status_code == 303
            cookie = right.headers["set-cookie"]
            for part in ("__Host-nociband=", "HttpOnly", "Secure", "SameSite=strict", "Path=/"):
                assert part in cookie
            assert (await client.get("/")).status_code == 200
            name = cookie.split(";")[0]
        message = await first_message(own.replace("https", "wss") + "/live", own, ssl=no_check(),
                                      additional_headers={"cookie": name})
        assert "state" in message
        with pytest.raises(InvalidStatus):
            await first_message(own.replace("https", "wss") + "/live", "https://evil.example", ssl=no_check(),
                                additional_headers={"cookie": name})
        with pytest.raises(InvalidStatus):
            await first_message(own.replace("https", "wss") + "/live", own, ssl=no_check(),
                                additional_headers={"cookie": "__Host-nociband=guess"})


async def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    async with Stage() as stage, serving(stage.live, port=0, listen="127.0.0.1", state_dir=tmp_path) as monitor:
        own = monitor.url.rstrip("/")
        async with httpx.AsyncClient(verify=no_check(), base_url=own, headers={"origin": own}) as client:
            answers = await asyncio.gather(*(client.post("/login", data={"code": "WRONG"}) for _ in range(FAILURES_MAX + 3)))
            assert sorted(a.status_code for a in answers) == [401] * FAILURES_MAX + [429] * 3
            late = await client.post("/login", data={"code": monitor.access_code})
            assert late.status_code == 429 and "Try again in" in late.text
            assert (await client.post("/login", content=b"code=" + b"A" * 100_000)).status_code == 429


async def test_what_lies_on_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with Stage() as stage, serving(stage.live, port=0, listen="127.0.0.1", state_dir=folder) as monitor:
        code, fingerprint = monitor.access_code, monitor.fingerprint
        assert code is not None
    assert mode(folder) == 0o700
    for name in ("key.pem", "access-code.json", "certificate.pem"):
        assert mode(folder / name) == 0o600, name
    assert all(code not in p.read_text() and code.replace("-", "") not in p.read_text() for p in folder.iterdir())
    async with Stage() as stage, serving(stage.live, port=0, listen="127.0.0.1", state_dir=folder) as monitor:
        assert monitor.access_code is None and monitor.fingerprint == fingerprint
    async with Stage() as stage, serving(stage.live, port=0, listen="127.0.0.1", state_dir=folder, new_code=True) as monitor:
        assert monitor.access_code not in (None, code)


def test_codes_sessions_and_the_limit(tmp_path: Path) -> None:
    access, code = AccessCode.open(tmp_path)
    assert access.matches(code) and access.matches(code.replace("-", " ").lower())
    assert not access.matches("") and not access.matches("x" * 10**6)
    again, nothing = AccessCode.open(tmp_path)
    assert nothing is None and again.matches(code)
    (tmp_path / "access-code.json").write_text("{}")
    with pytest.raises(EnvironmentProblem, match="--new-code"):
        AccessCode.open(tmp_path)
    now = [0.0]
    sessions, limit = Sessions(lambda: now[0]), FailureLimit(lambda: now[0])
    token = sessions.begin()
    assert sessions.holds(token) and not sessions.holds(None) and not sessions.holds("")
    for _ in range(FAILURES_MAX):
        assert limit.wait_s() == 0
        limit.attempt()
    assert limit.wait_s() > 0
    now[0] = 61.0
    assert limit.wait_s() == 0
    now[0] = 13 * 3600.0
    assert not sessions.holds(token)


def test_the_certificate_names_the_address_and_is_renewed_for_another(tmp_path: Path) -> None:
    first = certificate_for("127.0.0.1", tmp_path)
    assert certificate_for("127.0.0.1", tmp_path).fingerprint == first.fingerprint
    assert certificate_for("192.0.2.7", tmp_path).fingerprint != first.fingerprint
    certificate_for("0.0.0.0", tmp_path)
    (tmp_path / "certificate.pem").write_text("damaged")
    assert len(certificate_for("127.0.0.1", tmp_path).fingerprint) == 95


async def test_a_port_in_use_and_an_address_of_another_machine() -> None:
    stage = Stage()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        with pytest.raises(EnvironmentProblem, match=f"port {s.getsockname()[1]} is in use.*--port 0"):
            async with serving(stage.live, port=s.getsockname()[1]):
                pass
    with pytest.raises(EnvironmentProblem, match="--listen"):
        async with serving(stage.live, port=0, listen="192.0.2.1"):
            pass


async def test_what_is_malformed_is_refused_and_commands_reach_the_hub() -> None:
    async with Stage(PAIN, asks=True) as stage, serving(stage.live, port=0) as monitor:
        own = f"http://127.0.0.1:{monitor.port}"
        async with connect(own.replace("http", "ws") + "/live", origin=own) as socket_:

            async def ask(text: str) -> dict:
                await socket_.send(text)
                while "answer" not in (message := json.loads(await asyncio.wait_for(socket_.recv(), 5))):
                    pass
                return message["answer"]

            for bad in ("", "[]", "{}", "nonsense", '{"op": 1}', '{"op": "stop"}', "[" * 2000, '{"op":"pair"}',
                        '{"op":"pair","passkey":"12345"}', '{"op":"pair","passkey":"\uff11\uff12\uff13\uff14\uff15\uff16"}',
                        '{"op":"pair","passkey":-1}', '{"op":"forget"}'):
                assert (await ask(bad))["ok"] is False, bad
            assert (await ask('{"op":"retry"}'))["ok"] is True
            assert (await ask('{"op":"pair","passkey":"000042"}'))["ok"] is True
            await asyncio.sleep(0.3)
            assert stage.passkeys == [42] and stage.live.state.link == "connected"
            assert (await ask('{"op":"forget"}'))["ok"] is True
            assert stage.band.calls == ["forget"]


async def test_a_browser_that_reads_nothing_does_not_slow_the_band() -> None:
    async with Stage(PAIN, history_s=600, camera=False) as stage, serving(stage.live, port=0) as monitor:
        deaf = socket.create_connection(("127.0.0.1", monitor.port))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.sendall(f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{monitor.port}\r\nOrigin: http://127.0.0.1:{monitor.port}\r\n"
                     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        await stage.play(course(PAIN, stage.clock(), 590, with_face=False))
        assert stage.live.state.counters.predictions == 590 and stage.live.state.counters.dropped == 0
        deaf.close()
