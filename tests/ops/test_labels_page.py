"""The labels page in a real browser, by keyboard alone: hear, compare, correct, save, skip; wide and on a phone."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from asr.ledger import Draws, Ledger
from ops.labelling.app import create_app
from server.address import address, bind
from server.clips.store import ClipStore
from server.config import load_settings
from tests.ops.kept_speech import TEXT, TOKEN, ledger_with_estimate, paired
from tests.ops.trials import NAME, NEW, OLD
from tests.server.static.browser import CHROMIUM, NEEDS_CHROMIUM, QUIET

pytestmark = [pytest.mark.browser, pytest.mark.slow, NEEDS_CHROMIUM]
OTHER = TEXT.replace("some", "sum")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledger_with_estimate(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "clips")


@pytest.fixture
def place(ledger: Ledger, store: ClipStore) -> Iterator[str]:
    """The address of the page. Two utterances wait, and in the first the releases differ."""
    paired(ledger, store, (OTHER, TEXT))
    with bind(load_settings(), 0) as listening:
        config = uvicorn.Config(create_app(ledger, store, "ann", TOKEN), log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"{address(listening)}/"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)


@pytest.fixture
def page(browser: Browser, place: str) -> Iterator[Page]:
    errors: list[str] = []
    page = browser.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.goto(f"{place}#token={TOKEN}")
    yield page
    page.close()
    assert errors == []


def test_a_person_labels_everything_by_keyboard(page: Page, ledger: Ledger) -> None:
    """The texts are shown without their releases; the right one is chosen, the other utterance corrected."""
    expect(page.get_by_text("2 to label")).to_be_visible()
    expect(page.locator("#sound")).to_have_js_property("readyState", 4)
    assert sorted([page.locator("#first").inner_text(), page.locator("#second").inner_text()]) == sorted([TEXT, OTHER])
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("status")).to_have_text("Choose which text is right first.")
    right = 1 if page.locator("#first").inner_text() == TEXT else 2
    page.keyboard.press(f"Alt+{right}")
    expect(page.get_by_label("Write every word")).to_have_value(TEXT)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("1 to label")).to_be_visible()
    expect(page.locator("#task")).to_be_visible()
    expect(page.locator("#choices")).to_be_hidden()
    page.keyboard.press("Control+End")
    page.keyboard.type(" indeed")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("status")).to_have_text("Nothing waits for a label.")
    [choice] = Draws(ledger).choices(NAME)
    assert {choice.first: "first", choice.second: "second"}[OLD] == choice.choice
    whole = {label.release: label.errors for label in ledger.labels(NAME) if "/" not in label.stream_id}
    assert whole == {OLD: 1, NEW: 2}


def test_a_clip_is_skipped_and_one_that_is_forgotten_disappears(page: Page, store: ClipStore) -> None:
    expect(page.locator("#choices")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Write every word")).to_have_value(TEXT)
    expect(page.locator("#task")).to_be_visible()
    expect(page.locator("#choices")).to_be_hidden()
    store.forget("anna")
    page.keyboard.press("Escape")
    expect(page.get_by_role("status")).to_have_text("Nothing waits for a label.")
    expect(page.locator("#task")).to_be_hidden()


def test_the_page_fits_a_phone(page: Page) -> None:
    """390 px wide: nothing to scroll to the side, buttons as large as a thumb."""
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("#choices")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in page.get_by_role("button").all():
        box = button.bounding_box()
        assert box
        assert box["height"] >= 44


def test_without_the_token_there_is_no_word(browser: Browser, place: str) -> None:
    page = browser.new_page()
    page.goto(place)
    expect(page.get_by_role("status")).to_contain_text("found another token")
    assert TEXT not in page.content()
    page.close()
