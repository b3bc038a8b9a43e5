"""What a clinician sees, in a real browser: scores and why there is none, classes, the lost band, pairing and forgetting."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from nociband.errors import BandDisconnected, PairingError
from nociband_tools.monitor.server import serving

from .scripted import EMOTION, PAIN, Stage, course, prediction

pytestmark = pytest.mark.asyncio(loop_scope="session")
SCALE = re.compile(r"/\s*10\b|0\s*[-–]\s*10|out of 10|of 10\b", re.I)
# How many different colours a plot's canvas has, coarsely.
COLOURS = """id => {
  const c = document.querySelector(id + " canvas"), seen = new Set();
  const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200) seen.add((d[i] >> 5) << 10 | (d[i + 1] >> 5) << 5 | d[i + 2] >> 5);
  return seen.size;
}"""
WITHOUT_TEMPLATES = "document.documentElement.outerHTML.replace(/<template[^]*?<\\/template>/g, '')"
FOCUSED = "(e => e.id || e.dataset.span || e.className)(document.activeElement)"


async def text_of(page: Any) -> str:
    return await page.inner_text("body")


async def wait_text(page: Any, text: str) -> None:
    await page.get_by_text(text).filter(visible=True).first.wait_for(timeout=8000)


def past(model: Any, seconds: float = 60, **options: Any):
    """A session that began `seconds` ago and goes on."""
    return course(model, time.time() - seconds, seconds + 60, **options)


async def test_a_pain_model_shows_the_fused_and_the_band_only_score(page: Any) -> None:
    async with Stage(PAIN, history_s=60, simulated=("person: a simulator",)) as stage, serving(stage.live, port=0) as monitor:
        stage.start(past(PAIN))
        await page.goto(monitor.url)
        await wait_text(page, "Band connected")
        await page.wait_for_selector("#score")
        assert re.fullmatch(r"\d+\.\d", await page.inner_text("#score"))
        assert await page.inner_text("#score-of") == "/ 10"
        for tile in ("fused", "band", "face"):
            assert re.fullmatch(r"\d+\.\d", await page.inner_text(f"#tile-{tile} .num"))
        fused, band, face = [float(await page.inner_text(f"#tile-{t} .num")) for t in ("fused", "band", "face")]
        assert min(band, face) <= fused <= max(band, face)
        body = await text_of(page)
        for words in ("not a medical device", "person, face", PAIN.warning, "83 %", "Quality",
                      "fused with the band", "Corrugator", "Zygomaticus"):
            assert words in body
        await page.click("#simulated summary")
        assert await page.locator("#simulated-list li").all_inner_texts() == ["person: a simulator", "face: synthetic clip"]
        assert re.fullmatch(r"Score \d+ of 10", await page.text_content("#announcer"))
        assert re.search(r"\d\.\d\d µS", await page.inner_text("#eda-reading"))


async def test_the_curves_are_drawn(page: Any) -> None:
    async with Stage(PAIN, history_s=60) as stage, serving(stage.live, port=0) as monitor:
        stage.start(past(PAIN))
        await page.goto(monitor.url)
        await page.wait_for_selector("#score")
        for plot in ("trend", "eda", "phasic", "emg"):
            assert await page.evaluate(COLOURS, f"#{plot}-plot") > 3, plot


async def test_a_model_that_is_not_of_pain_has_classes_and_no_scale_of_ten(page: Any) -> None:
    async with Stage(EMOTION, history_s=60) as stage, serving(stage.live, port=0) as monitor:
        stage.start(past(EMOTION))
        await page.goto(monitor.url)
        await wait_text(page, EMOTION.warning)
        await page.wait_for_selector("#likeliest")
        assert (await page.inner_text("#likeliest")).lower() in EMOTION.labels
        assert await page.locator("#classes .class").count() == 3
        shares = [int(v.split()[0]) for v in await page.locator("#classes .pc").all_inner_texts()]
        assert 99 <= sum(shares) <= 101
        body = await text_of(page)
        assert not SCALE.search(body) and "score" not in body.lower()
        assert await page.locator("#score").count() == 0
        assert "/ 10" not in await page.evaluate(WITHOUT_TEMPLATES)
        assert "shown, not fused" in body
        assert stage.live.state.counters.fused_updates == 0


@pytest.mark.parametrize(("why", "words"), [
    (("baseline_unfinished",), "Still learning this person's resting level"),
    (("eda_electrode_off",), "The skin conductance electrodes have no contact with the skin"),
    (("motion", "saturation"), "There is too much movement"),
    (("electrode_site",), "The electrodes are not on the muscles that this model needs"),
])
async def test_no_score_says_why(page: Any, why: tuple[str, ...], words: str) -> None:
    async with Stage(PAIN, history_s=10, camera=False) as stage, serving(stage.live, port=0) as monitor:
        stage.start(past(PAIN, 10, why=why, with_face=False))
        await page.goto(monitor.url)
        await wait_text(page, "No score")
        await wait_text(page, words)
        assert not await page.is_visible("#score")
        assert (await page.text_content("#announcer")).startswith("No score: ")
        assert "No camera is used" in await text_of(page)


async def test_without_a_face_the_band_alone_gives_the_score(page: Any) -> None:
    async with Stage(PAIN, history_s=60) as stage, serving(stage.live, port=0) as monitor:
        stage.start(past(PAIN, face_lost=(0, 1e9)))
        await page.goto(monitor.url)
        await page.wait_for_selector("#score")
        await wait_text(page, "The camera sees no face")
        assert await page.inner_text("#tile-fused .num") == await page.inner_text("#tile-band .num")
        assert await page.inner_text("#tile-fused .sub") == "band alone"
        assert await page.inner_text("#tile-face .num") == "–"


async def test_a_lost_band_is_said_and_its_values_are_greyed(page: Any) -> None:
    async with Stage(PAIN, history_s=40, camera=False) as stage, serving(stage.live, port=0) as monitor:
        await stage.play(course(PAIN, time.time() - 40, 40, with_face=False))
        await page.goto(monitor.url)
        await page.wait_for_selector("#score")
        stage.connect_errors = [BandDisconnected("the band does not answer")] * 1000
        stage.put(BandDisconnected("the link to the band was lost"))
        await wait_text(page, "Band lost")
        await wait_text(page, "No score")
        assert await page.get_attribute("body", "data-link") == "lost"
        await page.wait_for_selector("#eda-plot.stale")
        await page.wait_for_selector("#battery.stale")
        assert "Trying to reconnect" in await text_of(page)
        stage.connect_errors.clear()
        await wait_text(page, "Band connected")
        stage.put(prediction(time.time(), PAIN, 900, 4.0))
        await page.wait_for_selector("#score")
        assert stage.live.state.counters.reconnections == 1


async def test_no_class_of_a_lost_band_and_no_score_without_the_monitor(page: Any) -> None:
    """What is old is no result: it is not even shown grey."""
    async with Stage(EMOTION, history_s=40, camera=False) as stage, serving(stage.live, port=0) as monitor:
        await stage.play(course(EMOTION, time.time() - 40, 40, with_face=False))
        await page.goto(monitor.url)
        await page.wait_for_selector("#likeliest")
        stage.connect_errors = [BandDisconnected("the band does not answer")] * 1000
        stage.put(BandDisconnected("the link to the band was lost"))
        await wait_text(page, "Band lost")
        await page.wait_for_selector("#likeliest", state="hidden", timeout=2000)
        assert set(await page.locator("#classes .pc").all_inner_texts()) == {"–"}
    async with Stage(PAIN, history_s=60) as stage:
        async with serving(stage.live, port=0) as monitor:
            stage.start(past(PAIN))
            await page.goto(monitor.url)
            await page.wait_for_selector("#score")
        await wait_text(page, "The monitor does not answer")
        await page.wait_for_selector("#score", state="hidden", timeout=2000)
        assert await page.inner_text("#tile-fused .num") == "–"


async def test_pairing_with_the_passkey_and_forgetting(page: Any) -> None:
    async with Stage(PAIN, asks=True) as stage, serving(stage.live, port=0) as monitor:
        await page.goto(monitor.url)
        await wait_text(page, "Pair a band")
        await page.fill("#passkey", "012345")
        await page.press("#passkey", "Enter")
        await wait_text(page, "Band connected")
        assert stage.passkeys == [12345]
        assert not await page.is_visible("#pairing")
        await page.click("#band-button")
        await page.click("#forget-button")
        await wait_text(page, "The bond is deleted")
        assert stage.band.calls == []
        await page.click("#forget-yes")
        await wait_text(page, "The band is forgotten")
        assert stage.band.calls == ["forget"]
        assert stage.live.state.needs_passkey and stage.live.state.model is None


async def test_a_wrong_passkey_is_said(page: Any) -> None:
    async with Stage(PAIN, asks=True) as stage, serving(stage.live, port=0) as monitor:
        await page.goto(monitor.url)
        await wait_text(page, "Pair a band")
        stage.asks_then_fails = PairingError("the passkey was wrong: read it again from the label")
        await page.fill("#passkey", "000001")
        await page.click("#pair-form button")
        await wait_text(page, "The passkey was wrong")
        stage.asks_then_fails = None
        await page.fill("#passkey", "000002")
        await page.press("#passkey", "Enter")
        await wait_text(page, "Band connected")
        assert stage.passkeys == [1, 2]


async def test_the_page_fits_a_tablet_and_can_be_used_by_keyboard(page: Any) -> None:
    shown = {"simulated": ("simulated person",), "source": "oxazepam_fmov subject 16 (G. Nilsonne, CC0)"}
    async with Stage(PAIN, history_s=60, **shown) as stage, serving(stage.live, port=0) as monitor:
        stage.start(past(PAIN))
        await page.goto(monitor.url)
        await page.wait_for_selector("#score")
        for width, height in ((390, 9999), (1024, 768), (768, 1024), (1280, 800)):      # the first, a phone, scrolls
            await page.set_viewport_size({"width": width, "height": height})
            box = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
            assert box[0] <= width and box[1] <= height + 8, (width, height, box)
            brand, tools = [await page.locator(part).bounding_box() for part in (".brand", ".tools")]
            assert tools["y"] < brand["y"] + brand["height"], "the header keeps one row, however long the source's name"
        for button in await page.locator("button:visible").all():
            size = await button.bounding_box()
            assert size["width"] >= 44 and size["height"] >= 44
        seen = set()
        for _ in range(8):
            await page.keyboard.press("Tab")
            seen.add(await page.evaluate(FOCUSED))
        assert {"skip", "band-button", "theme-button", "60", "120", "600"} <= seen
        before = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        await page.click("#theme-button")
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != before


async def test_when_the_monitor_ends_the_page_says_so(page: Any) -> None:
    async with Stage(PAIN, history_s=40) as stage:
        async with serving(stage.live, port=0) as monitor:
            stage.start(past(PAIN, 40))
            await page.goto(monitor.url)
            await page.wait_for_selector("#score")
        await wait_text(page, "The monitor does not answer")
        assert await page.is_visible("#no-score")


async def test_with_listen_a_browser_needs_the_access_code(page: Any, tmp_path: Path) -> None:
    async with Stage(PAIN, history_s=40) as stage, \
            serving(stage.live, port=0, listen="127.0.0.1", state_dir=tmp_path / "state") as monitor:
        stage.start(past(PAIN, 40))
        await page.goto(monitor.url)
        assert page.url == f"{monitor.url}login"
        await page.fill("#code", monitor.access_code)
        await page.press("#code", "Enter")
        await wait_text(page, "Band connected")
        cookie = (await page.context.cookies())[0]
        assert cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Strict"
