"""The text on the page: paragraphs, past transcripts, playing, correcting. A real Chromium, a scripted engine."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.server.running import Running, wav
from tests.server.static.browser import CHROMIUM, NEEDS_CHROMIUM, QUIET, download, wait_until_kept

pytestmark = [pytest.mark.browser, pytest.mark.slow, NEEDS_CHROMIUM]


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_context()
        browser.close()


@pytest.fixture
def page(context: BrowserContext, scripted: Running) -> Iterator[Page]:
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(scripted.url)
    expect(page.locator("#model")).to_contain_text("scripted-1")
    yield page
    page.close()
    assert errors == []


def read_file(page: Page, tmp_path: Path, seconds: float = 2.0) -> None:
    recording = tmp_path / "talk.wav"
    recording.write_bytes(wav(seconds))
    page.locator("#file").set_input_files(recording)
    expect(page.locator("#words")).to_contain_text(f"w{int(seconds * 2) - 1}")
    page.wait_for_selector("body[data-phase=idle]")


def test_paragraphs_begin_at_pauses_and_sentences_and_never_grow_without_end(page: Page) -> None:
    """21 minutes of speech without a pause are paragraphs that can be read; only the words before it decide."""
    run = """async ([texts, gap_s]) => {
        const { Transcript } = await import("/static/transcript.js");
        const transcript = new Transcript();
        const words = texts.map((text, i) => ({ text, start: i * (0.4 + gap_s), end: i * (0.4 + gap_s) + 0.4 }));
        transcript.commit(words);
        const whole = transcript.paragraphs;
        transcript.clear();
        words.forEach((word) => transcript.commit([word]));
        return [whole, transcript.paragraphs];
    }"""
    sentences = [f" word{i}{'.' if i % 12 == 11 else ''}" for i in range(3600)]
    plain = [f" word{i}" for i in range(3600)]
    for texts, most in ((sentences, 650), (plain, 950)):
        whole, one_by_one = page.evaluate(run, [texts, 0.1])
        assert whole == one_by_one
        assert " ".join(whole) == "".join(texts).strip()
        assert max(map(len, whole)) < most
        assert min(map(len, whole[:-1])) > 250
    assert page.evaluate(run, [[" one", " two"], 2.5])[0] == ["one", "two"]


def test_a_reload_and_a_closed_tab_lose_no_word(
    page: Page, context: BrowserContext, tmp_path: Path, scripted: Running
) -> None:
    """The text is on the device: a reload shows it, another tab offers it, the list has it, and Delete removes it."""
    read_file(page, tmp_path)
    wait_until_kept(page)
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("#words")).to_contain_text("w0 w1 w2 w3")
    page.goto("about:blank")
    other = context.new_page()
    other.goto(scripted.url)
    other.get_by_role("button", name="Open it").click()
    expect(other.locator("#words")).to_contain_text("w0 w1 w2 w3")
    other.get_by_role("button", name="Past transcripts").click()
    other.get_by_role("button", name="Delete the transcript").first.click()
    expect(other.locator("#archived li")).to_have_count(0)
    other.close()


def test_nothing_is_kept_when_the_switch_is_off(page: Page, tmp_path: Path) -> None:
    """The switch stays off over a reload."""
    page.get_by_role("button", name="Past transcripts").click()
    page.get_by_label("Keep transcripts on this device").uncheck()
    page.get_by_role("button", name="Close").click()
    read_file(page, tmp_path)
    page.wait_for_timeout(300)
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("#model")).to_contain_text("scripted-1")
    assert page.locator("#words").inner_text() == ""
    page.get_by_role("button", name="Past transcripts").click()
    expect(page.locator("#archived li")).to_have_count(0)
    page.get_by_label("Keep transcripts on this device").check()


def test_a_word_is_played_and_corrected(page: Page, tmp_path: Path) -> None:
    """A click plays from the word; a correction is in what is copied, and what was recognised is kept beside it."""
    read_file(page, tmp_path)
    page.locator(".word", has_text="w2").click()
    expect(page.get_by_role("button", name="Play")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Play")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Edit").click()
    page.locator(".word", has_text="w2").fill("hello")
    page.get_by_role("button", name="Edit").click()
    expect(page.locator("#words")).to_contain_text("w0 w1 hello w3")
    assert download(page, "txt").decode() == "w0 w1 hello w3\n"
    assert b"\nw0 w1 hello w3\n" in download(page, "srt")
    wait_until_kept(page)
    kept = page.evaluate("import('/static/history.js').then(async (h) => (await h.list())[0].state.finals)")
    assert [word["text"] for final in kept for word in final["words"]] == [" w0", " w1", " w2", " w3"]
    written = json.loads(download(page, "json"))
    assert written["text"] == "w0 w1 hello w3"
    assert written["segments"][0]["words"][2] == {"text": " hello", "start_s": 1, "end_s": 1.5, "recognised": " w2"}


def test_the_text_has_its_language(page: Page, tmp_path: Path) -> None:
    """The one that was chosen, or that was found: a screen reader speaks Vietnamese as Vietnamese."""
    page.locator("#language").select_option("ja")
    read_file(page, tmp_path)
    expect(page.locator("#words")).to_have_attribute("lang", "ja")


def test_several_files_are_read_one_after_the_other(page: Page, tmp_path: Path) -> None:
    """Each below the last, with a break between; one that is no sound is named, and stops no other one."""
    files = [tmp_path / name for name in ("notes.txt", "one.wav", "two.wav")]
    files[0].write_bytes(b"no sound")
    for file in files[1:]:
        file.write_bytes(wav(2.0))
    page.locator("#file").set_input_files(files)
    expect(page.locator("#words p")).to_have_count(2)
    expect(page.locator("#words p.recording")).to_have_count(1)
    expect(page.locator("#file")).to_have_value("")
    assert page.locator("#words").inner_text().split() == ["w0", "w1", "w2", "w3"] * 2
    expect(page.get_by_role("alert")).to_contain_text("notes.txt")
