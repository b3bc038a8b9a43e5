"""Headless Chromium for the page's tests. Without it they are skipped with a reason; in CI (CI=true) that is a failure."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

CHROMIUM_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]


def _missing(what: str) -> None:
    text = f"{what}: install Debian's chromium (apt-get install chromium) and the extra nociband[dev] to test the page"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(text)
    pytest.skip(text)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Any]:
    """One Chromium with a fresh profile for the whole run."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        _missing("no Chromium")
    try:
        from playwright.async_api import async_playwright
    except ModuleNotFoundError:
        _missing("no playwright")
    async with async_playwright() as p:
        chromium = await p.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Any) -> AsyncIterator[Any]:
    """A page the size of a tablet; errors in its console, blocked resources and requests to elsewhere fail the test."""
    context = await browser.new_context(viewport={"width": 1024, "height": 768}, ignore_https_errors=True)
    page = await context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda e: trouble.append(str(e)))
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" and "WebSocket" not in m.text else None)
    page.on("request", lambda r: trouble.append(r.url) if "127.0.0.1" not in r.url else None)
    yield page
    await context.close()
    assert trouble == []
