"""What the user sets on the page: source of sound, language, words to expect, letters; search and captions.

A real Chromium with its fake microphone, which beeps once a second; a scripted engine.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running, wav
from tests.server.static.browser import CHROMIUM, NEEDS_CHROMIUM, PATIENCE_MS, QUIET

pytestmark = [pytest.mark.browser, pytest.mark.slow, NEEDS_CHROMIUM]

FAKE_MICROPHONE = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *FAKE_MICROPHONE])
        yield browser.new_context()
        browser.close()


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def server(engine: ScriptedEngine) -> Iterator[Running]:
    with running(engine) as server:
        yield server


@pytest.fixture
def page(context: BrowserContext, server: Running) -> Iterator[Page]:
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server.url)
    expect(page.locator("#model")).to_contain_text("scripted-1")
    yield page
    page.close()
    assert errors == []


def close_dialog(page: Page) -> None:
    page.get_by_role("button", name="Close").click()


def speak(page: Page, until: str) -> None:
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#words")).to_contain_text(until)


def stop(page: Page) -> None:
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("body[data-phase=idle]")


def test_a_source_is_chosen_and_tested_before_anything_is_sent(page: Page, engine: ScriptedEngine) -> None:
    """The meter shows its sound, no stream is opened, closing the settings ends it; the choice stays over a reload."""
    before = len(engine.opened)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="Test the sound").click()
    expect(page.get_by_role("meter", name="Level of the test")).to_be_visible()
    page.wait_for_function("() => document.getElementById('trial').ariaValueNow > 20")
    chosen = page.locator("#source option", has_text="Fake").first.get_attribute("value")
    page.locator("#source").select_option(chosen)
    page.wait_for_function("() => document.getElementById('trial').ariaValueNow > 20")
    close_dialog(page)
    page.wait_for_function("() => document.getElementById('trial').ariaValueNow === '0'")
    assert len(engine.opened) == before
    page.reload()
    expect(page.locator("#source")).to_have_value(chosen or "")
    page.evaluate(
        """() => {
            window.asked = [];
            const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = (wanted) => (window.asked.push(wanted), open(wanted));
        }"""
    )
    speak(page, "w1")
    stop(page)
    assert page.evaluate("window.asked.map(({ audio }) => audio.deviceId.exact)") == [chosen]
    page.evaluate("localStorage.clear()")


def test_the_sound_of_a_tab_becomes_text(page: Page) -> None:
    """Unreal in one point: nobody can choose in the browser's dialog here, so its answer is a tone beside a picture."""
    page.evaluate(
        """() => {
            const answer = (withSound) => async () => {
                const audio = new AudioContext();
                const [tone, out] = [audio.createOscillator(), audio.createMediaStreamDestination()];
                tone.connect(out);
                tone.start();
                const picture = document.createElement("canvas");
                picture.getContext("2d");
                const tracks = [...picture.captureStream().getTracks(), ...(withSound ? out.stream.getTracks() : [])];
                window.sharing = new MediaStream(tracks);
                return window.sharing;
            };
            window.share = (withSound) => (navigator.mediaDevices.getDisplayMedia = answer(withSound));
        }"""
    )
    page.get_by_role("button", name="Settings").click()
    page.locator("#source").select_option("shared")
    close_dialog(page)
    page.evaluate("share(false)")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("has no sound")
    assert page.evaluate("sharing.getTracks().every(({ readyState }) => readyState === 'ended')")
    page.evaluate("share(true)")
    speak(page, "w2")
    page.evaluate("sharing.getAudioTracks()[0].dispatchEvent(new Event('ended'))")  # "Stop sharing"
    page.wait_for_selector("body[data-phase=idle]")
    expect(page.get_by_role("alert")).to_contain_text("the sharing ended")
    assert page.evaluate("sharing.getTracks().every(({ readyState }) => readyState === 'ended')")
    page.evaluate("localStorage.clear()")


def test_words_to_expect_go_with_the_recording(page: Page, engine: ScriptedEngine) -> None:
    """Each line once, without empty ones."""
    page.get_by_role("button", name="Settings").click()
    page.locator("#keyterms").fill("  Đà Nẵng \n\nMLOps\nĐà Nẵng")
    page.locator("#prompt").fill("Buổi học hôm nay")
    close_dialog(page)
    speak(page, "w1")
    stop(page)
    assert engine.asked[-1] == ("Buổi học hôm nay", ("Đà Nẵng", "MLOps"))


def test_the_language_that_was_found_is_shown_and_can_be_kept(page: Page, engine: ScriptedEngine) -> None:
    """While the recording runs: the stream goes on in that language, and no half second is without its word."""
    page.locator("#language").select_option(label="Detect")
    opened = len(engine.opened)
    speak(page, "w2")
    expect(page.locator("#found")).to_contain_text("Found: English.")
    page.get_by_role("button", name="Keep to it").click()
    expect(page.locator("#found")).to_be_hidden()
    expect(page.locator("#language")).to_have_value("en")
    expect(page.get_by_role("alert").first).to_have_text("Connected again.")  # in the other stream
    before = len(page.locator("#words").inner_text().split())
    page.wait_for_function(
        "n => document.getElementById('words').innerText.trim().split(/\\s+/).length > n + 4", arg=before
    )
    stop(page)
    assert len(engine.opened) == opened + 2
    said = page.locator("#words").inner_text().split()
    minutes, seconds = page.locator("#elapsed").inner_text().split(":")
    assert len(said) >= 2 * (60 * int(minutes) + int(seconds)) - 2
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_full_server_is_waited_for_if_the_user_wants(context: BrowserContext) -> None:
    """Without a microphone opened meanwhile; the recording begins by itself once another stream has ended."""
    with running(ScriptedEngine(), max_streams=1) as server:
        page = context.new_page()
        page.goto(server.url)
        expect(page.locator("#model")).to_contain_text("scripted-1")
        with server.listen():
            page.get_by_role("button", name="Start", exact=True).click()
            expect(page.get_by_role("alert")).to_contain_text("The server is full")
            page.get_by_role("button", name="Start when there is room").click()
            expect(page.get_by_role("alert")).to_contain_text("Waiting for room")
            expect(page.locator("body")).to_have_attribute("data-phase", "idle")
        expect(page.locator("#words")).to_contain_text("w1")
        stop(page)
        page.close()


def test_letters_and_contrast_stay_over_a_reload(page: Page) -> None:
    """On the text, not on the controls."""
    letters = "parseFloat(getComputedStyle(document.getElementById('paper')).fontSize)"
    before = page.evaluate(letters)
    page.get_by_role("button", name="Settings").click()
    page.locator("#size").select_option("220")
    page.get_by_label("High contrast").check()
    close_dialog(page)
    page.reload()
    assert page.evaluate(letters) == pytest.approx(2.2 * before)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    page.evaluate("localStorage.clear()")


SEARCHED = [" Hôm", " nay", " học", " đi", "ện", " tử.", " Học", " o\u0323\u0302c", " hoc", " HỌC", " a.b", " dien"]


def test_search_finds_words_with_and_without_marks(page: Page) -> None:
    """Across words; in any case; marks count if they are asked for; NFD and NFC are the same; no pattern is special."""
    page.evaluate(
        """async (texts) => {
            const { transcript, enter } = await import("/static/state.js");
            const { showFinal } = await import("/static/text.js");
            transcript.commit(texts.map((text, i) => ({ text, start: i, end: i + 1 }))).forEach(showFinal);
            enter("idle");
        }""",
        SEARCHED,
    )
    page.get_by_role("button", name="Search", exact=True).click()
    expected = {
        "hoc": 4,
        "học": 3,
        "HỌC": 3,
        "nay hoc dien": 1,
        "điện": 1,
        "dien": 2,
        "ộc": 1,
        "a.b": 1,
        ".": 2,
        "zz": 0,
    }
    for query, count in expected.items():
        page.get_by_role("searchbox").fill(query)
        expect(page.locator("#hits")).to_have_text(f"1 of {count}" if count else "Not found")
    page.get_by_role("searchbox").fill("hoc")
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#hits")).to_have_text("4 of 4")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#hits")).to_have_text("1 of 4")


def test_captions_stand_in_a_window_on_top(page: Page, context: BrowserContext) -> None:
    """The newest words, pale ones too; closing it is seen."""
    with context.expect_page() as opened:
        page.get_by_role("button", name="Captions").click()
    window = opened.value
    speak(page, "w5")
    expect(window.locator("#overlay")).to_contain_text("w5")
    stop(page)
    window.close()
    expect(page.get_by_role("button", name="Captions")).to_have_attribute("aria-pressed", "false")


def test_the_view_of_captions_listens_by_itself(
    context: BrowserContext, server: Running, engine: ScriptedEngine
) -> None:
    """For OBS: no control, no ground but under the words, options in the address; nothing is kept on the device."""
    page = context.new_page()
    page.goto(f"{server.url}/?captions&language=ja&keyterm=MLOps&keyterm=Hu%E1%BA%BF")
    expect(page.locator("#overlay")).to_contain_text("w5")
    assert page.locator("button:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    assert engine.opened[-1].language == "ja"
    assert engine.asked[-1] == ("", ("MLOps", "Huế"))
    assert page.evaluate("import('/static/history.js').then(async (h) => (await h.list()).length)") == 0
    page.close()


def test_a_declined_question_reads_no_file(page: Page, tmp_path: Path) -> None:
    """Of several files none is read once the user wants to keep the text before."""
    files = [tmp_path / f"{i}.wav" for i in range(3)]
    for file in files:
        file.write_bytes(wav(1.0))
    page.locator("#file").set_input_files(files[0])
    expect(page.locator("#words")).to_contain_text("w1")
    page.wait_for_selector("body[data-phase=idle]")
    questions: list[str] = []
    page.on("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss())[1])
    page.locator("#file").set_input_files(files)
    expect(page.locator("#file")).to_have_value("")
    assert page.locator("#words").inner_text().split() == ["w0", "w1"]
    assert len(questions) == 1


def test_the_sound_that_is_kept_is_bounded(page: Page) -> None:
    """The oldest recordings go first; the newest stays, however long."""
    kept = page.evaluate(
        """async () => {
            const { keepTape, page } = await import("/static/state.js");
            page.tapes = [];
            for (const bytes of [100e6, 100e6, 100e6, 500e6]) {
                keepTape({ bytes });
                (window.counts ??= []).push(page.tapes.length);
            }
            return window.counts;
        }"""
    )
    assert kept == [1, 2, 2, 1]
