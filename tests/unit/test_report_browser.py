"""The report in a real browser: no error, no request, nothing wider than the screen. Skipped without Chromium, but not in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _report_runs import PAIN, faces, run

from nociband.evaluation import report

pytestmark = pytest.mark.slow
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]


def _missing(what: str) -> None:
    text = f"{what}: install Debian's chromium (apt-get install chromium) and the extra nociband[dev] to test the report's page"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(text)
    pytest.skip(text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        _missing("no Chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        _missing("no playwright")
    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    made = {"classes": faces(people=28), "score": run(PAIN, {"majority": 0.0, "logreg": 0.5, "s0": 0.7}, people=20, sittings=2)}
    return {name: report.write(result, predictions, folder / name) for name, (result, predictions) in made.items()}


@pytest.mark.parametrize("width", [1280, 768, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["classes", "score"])
def test_the_page_opens_clean_and_fits(browser: Any, pages: dict[str, Path], name: str, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    page, trouble, requests = context.new_page(), [], []
    page.on("pageerror", lambda e: trouble.append(str(e)))
    page.on("console", lambda m: trouble.append(m.text))
    page.on("request", lambda r: requests.append(r.url))
    page.goto(pages[name].as_uri())
    assert trouble == [] and requests == [pages[name].as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    drawn = page.evaluate("""[...document.querySelectorAll('figure svg')].map(s => {
        const box = s.getBoundingClientRect();
        const out = [...s.querySelectorAll('text')].filter(t => {
            const b = t.getBoundingClientRect(); return b.left < box.left - 12 || b.right > box.right + 12; });
        return [box.width, out.map(t => t.textContent)]; })""")
    assert len(drawn) >= 5
    assert all(w > 0.8 * (width - 90) or width == 1280 for w, _ in drawn)
    assert [t for _, texts in drawn for t in texts] == [], "text of a figure runs out of it"
    ink, paper = page.evaluate("[getComputedStyle(document.querySelector('figure svg text')).fill, "
                               "getComputedStyle(document.querySelector('section')).backgroundColor]")
    light = [sum(map(int, c.removeprefix("rgb(").rstrip(")").split(","))) for c in (ink, paper)]
    assert (light[0] < light[1] - 300) if scheme == "light" else (light[0] > light[1] + 300), "text cannot be read on its ground"
    context.close()


def test_paper_is_white_whatever_the_screen(browser: Any, pages: dict[str, Path]) -> None:
    context = browser.new_context(viewport={"width": 690, "height": 1000}, color_scheme="dark")
    page = context.new_page()
    page.emulate_media(media="print")
    page.goto(pages["classes"].as_uri())
    ground, ink = page.evaluate("[getComputedStyle(document.documentElement).backgroundColor, "
                                "getComputedStyle(document.body).color]")
    assert ground == "rgb(255, 255, 255)" and ink == "rgb(16, 32, 46)"
    assert not page.is_visible("nav")
    cut = page.evaluate("[...document.querySelectorAll('table')].filter(t => t.scrollWidth > 690).map(t => t.textContent)")
    assert cut == [], "a table is cut at the paper's edge"
    context.close()
