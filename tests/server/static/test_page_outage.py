"""No word is lost on the page when the server goes away: a real Chromium, a server that is stopped and started again.

A scripted engine, whose words follow from the length of the audio alone: so every missing or doubled word is seen.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.server.fakes import ScriptedEngine, words
from tests.server.running import Running, running, wav
from tests.server.static.browser import CHROMIUM, NEEDS_CHROMIUM, PATIENCE_MS, QUIET, download

pytestmark = [pytest.mark.browser, pytest.mark.slow, NEEDS_CHROMIUM]

FAKE_MICROPHONE = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *FAKE_MICROPHONE])
        page = browser.new_page(viewport={"width": 390, "height": 600})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


def read(page: Page) -> list[str]:
    """Every word on the page, pale ones too."""
    return page.locator("#words").inner_text().split()


def speak(page: Page, server: Running, until: str) -> None:
    page.goto(server.url)
    expect(page.locator("#model")).to_contain_text("scripted-1")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#words")).to_contain_text(until)


def press_stop(page: Page) -> None:
    page.locator("#start").click()


def at(server: Running) -> dict[str, int]:
    return {"port": int(server.url.rsplit(":", 1)[1])}


def test_stop_while_the_server_is_away_keeps_every_word_and_sends_the_rest(page: Page) -> None:
    """Pale words stay, marked as unsure; "Send the rest" makes them final, with what was said meanwhile."""
    with running(ScriptedEngine(), drain_timeout_s=0.1) as server:
        speak(page, server, "w6")
        before = read(page)
    expect(page.get_by_role("alert")).to_contain_text("The connection broke")
    page.wait_for_timeout(1500)  # speech during the outage
    press_stop(page)
    expect(page.get_by_role("alert")).to_contain_text("Press Stop again")
    press_stop(page)
    expect(page.get_by_role("alert")).to_contain_text("have no final text yet")
    assert read(page)[: len(before)] == before
    with running(ScriptedEngine(), **at(server)):
        page.get_by_role("button", name="Send the rest").click()
        page.wait_for_selector("body[data-phase=idle]")
        expect(page.get_by_role("alert")).to_be_hidden()
    said = read(page)
    second = len(said) - said[::-1].index("w0") - 1  # the engine counts from 0 in each stream
    assert said == [*words(second).split(), *words(len(said) - second).split()]
    minutes, seconds = page.locator("#elapsed").inner_text().split(":")
    assert len(said) >= 2 * (60 * int(minutes) + int(seconds)) - 2  # two words a second; each stream ends within one
    expect(page.locator("#words .unsure")).to_have_count(0)


def test_a_server_that_takes_connections_and_does_not_answer_is_waited_for(page: Page) -> None:
    """As one that loads its model: the page asks again until the server answers, and then goes on."""
    with running(ScriptedEngine(), drain_timeout_s=0.1) as server:
        speak(page, server, "w2")
    with socket.create_server(("127.0.0.1", at(server)["port"])):
        expect(page.get_by_role("alert")).to_contain_text("The connection broke")
        page.wait_for_timeout(2000)
    before = len(read(page))
    with running(ScriptedEngine(), **at(server)):
        page.evaluate("dispatchEvent(new Event('online'))")
        page.wait_for_function(
            "n => document.getElementById('words').innerText.split(/\\s+/).length > n + 4", arg=before
        )
        press_stop(page)
        page.wait_for_selector("body[data-phase=idle]")


@pytest.mark.parametrize("status", [426, 502])
def test_what_a_proxy_says_while_the_server_starts_ends_nothing(page: Page, status: int) -> None:
    """Only a refusal for good ends a stream that was open: 426 says that a WebSocket would be accepted now."""
    with running(ScriptedEngine(), drain_timeout_s=0.1) as server:
        speak(page, server, "w2")
        refused = iter(range(5))
        page.route("**/v1/listen?*", lambda route: (next(refused, None), route.fulfill(status=status, body="{}")))
    page.get_by_role("button", name="Retry now").click()
    page.wait_for_timeout(1500)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.unroute("**/v1/listen?*")
    with running(ScriptedEngine(), **at(server)):
        expect(page.get_by_role("alert")).to_contain_text("Connected again")
        press_stop(page)
        page.wait_for_selector("body[data-phase=idle]")


def test_a_wrong_file_leaves_the_text(page: Page, scripted: Running, tmp_path: Path) -> None:
    """Whatever is wrong with it: the text goes when there is another one."""
    page.goto(scripted.url)
    expect(page.locator("#model")).to_contain_text("scripted-1")
    good = tmp_path / "good.wav"
    good.write_bytes(wav(2.0))
    page.locator("#file").set_input_files(good)
    expect(page.locator("#words")).to_contain_text("w0 w1 w2 w3")
    page.on("dialog", lambda dialog: dialog.accept())
    for name, content in {"notes.txt": b"no sound", "empty.wav": b"", "cut.mp3": b"ID3" + bytes(40)}.items():
        (tmp_path / name).write_bytes(content)
        page.locator("#file").set_input_files(tmp_path / name)
        expect(page.locator("#notice.error")).to_be_visible()
        page.wait_for_selector("body[data-phase=idle]")
        assert read(page) == ["w0", "w1", "w2", "w3"]


def test_a_page_with_text_that_was_not_saved_asks_before_it_closes(
    page: Page, scripted: Running, tmp_path: Path
) -> None:
    """Also when nothing is being recorded; a copied or downloaded text needs no question."""
    page.goto(scripted.url)
    expect(page.locator("#model")).to_contain_text("scripted-1")
    asks = "() => !dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert not page.evaluate(asks)
    (tmp_path / "good.wav").write_bytes(wav(2.0))
    page.locator("#file").set_input_files(tmp_path / "good.wav")
    expect(page.locator("#words")).to_contain_text("w3")
    page.wait_for_selector("body[data-phase=idle]")
    assert page.evaluate(asks)
    download(page, "txt")
    assert not page.evaluate(asks)


def test_the_newest_words_stay_in_sight_until_the_user_scrolls_up(page: Page, scripted: Running) -> None:
    """A notice that takes room ends no following; "Jump to latest" begins it again."""
    page.goto(scripted.url)
    final = "{words: Array.from({length: 400}, (_, i) => ({text: ` word${i}`, start: i, end: i + 1})), paragraph: true}"
    hidden = (
        "() => { const p = document.getElementById('paper'); return p.scrollHeight - p.scrollTop - p.clientHeight }"
    )
    page.evaluate(f"import('/static/text.js').then((text) => text.showFinal({final}))")
    page.evaluate("import('/static/view.js').then((view) => view.showNotice('A long notice. '.repeat(20)))")
    page.wait_for_function(f"() => ({hidden})() < 2")
    page.locator("#paper").hover()
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"() => ({hidden})() > 200")
    page.evaluate(f"import('/static/text.js').then((text) => text.showFinal({final}))")
    assert page.evaluate(hidden) > 300
    page.get_by_role("button", name="Jump to latest").click()
    page.wait_for_function(f"() => ({hidden})() < 2")
