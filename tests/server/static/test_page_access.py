"""The page of a server with keys, in a real Chromium: it asks for one, and keeps only a token. A scripted engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.server.access.keys import Made, made
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running, wav
from tests.server.static.browser import CHROMIUM, NEEDS_CHROMIUM, QUIET

pytestmark = [pytest.mark.browser, pytest.mark.slow, NEEDS_CHROMIUM]


@pytest.fixture
def keys(tmp_path: Path) -> Made:
    return made(tmp_path)


@pytest.fixture
def server(keys: Made) -> Iterator[Running]:
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        yield server


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_page()
        browser.close()


def show_key(page: Page, key: str) -> None:
    page.locator("#key").fill(key)
    page.get_by_role("button", name="Use it").click()


def read_file(page: Page, tmp_path: Path) -> None:
    recording = tmp_path / "two.wav"
    recording.write_bytes(wav(2.0))
    page.locator("#file").set_input_files(recording)
    expect(page.locator("#words")).to_contain_text("w0 w1 w2 w3")


def test_the_page_asks_for_a_key_and_keeps_a_token(page: Page, server: Running, keys: Made, tmp_path: Path) -> None:
    """A wrong key is reported. The key itself is stored nowhere; a reload goes on with the token."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("websocket", lambda socket: requests.append(socket.url))
    page.goto(server.url)
    expect(page.locator("#entry")).to_be_visible()
    show_key(page, "sw_wrong")
    expect(page.locator("#notice")).to_contain_text("a key that this server does not know")
    show_key(page, keys.secrets["all"])
    expect(page.locator("#entry")).to_be_hidden()
    expect(page.locator("#model")).to_contain_text("scripted-1")
    stored = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert "swt_" in stored
    assert keys.secrets["all"] not in stored
    read_file(page, tmp_path)
    page.reload()
    expect(page.locator("#model")).to_contain_text("scripted-1")
    expect(page.locator("#entry")).to_be_hidden()
    assert requests
    assert not [url for url in requests if "sw_" in url or "swt_" in url]


def test_a_key_that_may_not_grant_tokens_is_used_itself(
    page: Page, server: Running, keys: Made, tmp_path: Path
) -> None:
    """And kept in memory only: after a reload the page asks again."""
    page.goto(server.url)
    show_key(page, keys.secrets["only-listen"])
    expect(page.locator("#model")).to_contain_text("scripted-1")
    stored = page.evaluate("JSON.stringify([Object.entries(sessionStorage), Object.entries(localStorage)])")
    assert keys.secrets["only-listen"] not in stored
    read_file(page, tmp_path)
    page.reload()
    expect(page.locator("#entry")).to_be_visible()


def test_the_page_of_a_server_without_keys_asks_for_none(page: Page) -> None:
    """As ever."""
    with running(ScriptedEngine()) as server:
        page.goto(server.url)
        expect(page.locator("#model")).to_contain_text("scripted-1")
        expect(page.locator("#entry")).to_be_hidden()
