"""The audit's page in a real Chromium: it opens from disk, fits its window, and plays what it shows."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, sync_playwright

from asr.cli import run
from asr.config import SAMPLE_RATE_HZ
from tests.speech import clip, silence

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not IN_CI, reason="no chromium here: `apt-get install chromium` to run these"
    ),
]
QUIET = ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """Of a folder whose one recording has two labels; what the page asks the network for fails the test."""
    data = tmp_path / "en"
    data.mkdir()
    samples = np.concatenate([silence(0.5), clip("hello_world"), silence(0.5)])
    for name, text in (("a", "Hello, world."), ("b", "something <b>else</b>")):
        soundfile.write(data / f"{name}.wav", samples, SAMPLE_RATE_HZ)
        (data / f"{name}.txt").write_text(text)
    assert run(["eval", "audit", str(data), "--out", str(tmp_path / "out")]) == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        asked: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        faults: list[str] = []
        opened.on("pageerror", lambda fault: faults.append(str(fault)))
        opened.goto((tmp_path / "out" / "audit.html").as_uri())
        yield opened
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert faults == []


def test_a_grave_finding_is_open_and_its_recordings_play(page: Page) -> None:
    """A press plays, another on the next recording takes over, another on the same stops."""
    first, second = (page.locator(f"button.play[data-sound='en/{name}']").first for name in ("a", "b"))
    first.click()
    page.wait_for_function("player.currentTime > 0")
    assert "on" in (first.get_attribute("class") or "")
    second.click()
    page.wait_for_function("!player.paused && player.src === sounds['en/b']")
    assert "on" not in (first.get_attribute("class") or "")
    second.click()
    page.wait_for_function("player.paused")


def test_the_page_fits_its_window_and_shows_labels_as_text(page: Page) -> None:
    """On a desk and on a telephone nothing is wider than the window; markup in a label is read, not run."""
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_text("something <b>else</b>").count() > 0
