"""The page in a real Chromium with recordings as its microphone, on the real server with the default model."""

import asyncio
import itertools
import random
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect, sync_playwright
from websockets.sync.client import connect

from asr.events import Word
from asr.transcripts import subtitles
from eval.bench.broken_network import Break, BrokenNetwork, Plan
from server.client.overlap import Overlap
from server.client.protocol import listen_url
from tests.server.running import ServerProcess
from tests.server.static.browser import CHROMIUM, NEEDS_CHROMIUM, QUIET, download
from tests.speech import RATE_HZ, clip, silence

pytestmark = [pytest.mark.browser, NEEDS_CHROMIUM]

PATIENCE_MS = 120_000  # for what takes as long as the machine takes; nothing is asserted on time


def recording(path: Path, *parts: str | float) -> Path:
    """A recording of clips (by name) and silences (in seconds), in the format that the path's suffix names."""
    pieces = [silence(part) if isinstance(part, float) else clip(part) for part in parts]
    soundfile.write(path, np.concatenate(pieces), RATE_HZ)
    return path


def plain(text: str) -> list[str]:
    """The words alone: no case, no punctuation, digits spelt out (the model writes either)."""
    digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    found = re.findall(r"[a-z]+|\d+", text.lower())
    return [digits[int(word)] if word.isdigit() and int(word) <= 10 else word for word in found]


# --- the real server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("server"))
    yield running.wait_until_ready()
    running.stop()


# --- the real browser


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    assert CHROMIUM, "CI needs chromium: .ci/run installs it"
    with sync_playwright() as running:
        yield running


Open = Callable[..., Page]


def microphone_flags(spoken: Path | None, answer: str = "allow") -> list[str]:
    """A recording as Chromium's microphone, played once from its opening, and the user's answer to the permission."""
    flags = [f"--use-fake-ui-for-media-stream={answer}"]
    if spoken:
        flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={spoken}%noloop"]
    return flags


@pytest.fixture
def open_page(playwright: Playwright, server: ServerProcess) -> Iterator[Open]:
    """Opens the page, each time in a new browser. Fails if there is an error in a console at the end."""
    browsers: list[Browser] = []
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        refused = message.text.startswith(
            ("Failed to load resource", "WebSocket connection")
        )  # some tests provoke these
        if message.type == "error" and not refused:
            errors.append(message.text)

    def open_it(
        spoken: Path | None = None,
        *,
        answer: str = "allow",
        at: str = "",
        model: str = "whisper-tiny.en",
        **context: object,
    ) -> Page:
        flags = [*QUIET, *microphone_flags(spoken, answer)]
        browsers.append(playwright.chromium.launch(executable_path=CHROMIUM, args=flags))
        page = context_of(browsers[-1], **context).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(at or server.url)
        expect(page.get_by_role("combobox", name="Model")).to_have_value(model)
        return page

    yield open_it
    for browser in browsers:
        browser.close()
    assert errors == []


def context_of(browser: Browser, **settings: object) -> BrowserContext:
    return browser.new_context(**{"accept_downloads": True, **settings})  # type: ignore[arg-type]


def start(page: Page) -> None:
    """Presses Start and waits until the microphone is open, or the page says why it is not."""
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_selector("body:not([data-phase=opening])")


def stop(page: Page) -> None:
    page.get_by_role("button", name="Stop").click()
    wait_idle(page)


def wait_idle(page: Page) -> None:
    page.wait_for_selector("body[data-phase=idle]")


def wait_for_word(page: Page, word: str, within: str = "#words") -> None:
    words = {"dog": "dog", "ten": "(ten|10)", "fox": "fox", "three": "(three|3)"}[word]
    expect(page.locator(within)).to_contain_text(re.compile(words, re.IGNORECASE), timeout=PATIENCE_MS)


def wait_for_second(page: Page, second: int) -> None:
    """Waits until the page has recorded this many seconds (under ten)."""
    expect(page.locator("#elapsed")).to_have_text(re.compile(f"^0:0[{second}-9]$"), timeout=PATIENCE_MS)


def finals(page: Page) -> str:
    return "".join(page.locator("#words .final").all_text_contents())


@contextmanager
def watching(page: Page) -> Iterator[list[str]]:
    """Every state of the committed text, in order; complete when the context ends."""
    page.evaluate(
        """() => {
            const read = () => [...document.querySelectorAll("#words .final")].map((e) => e.textContent).join("");
            window.seen = [read()];
            new MutationObserver(() => window.seen.at(-1) === read() || window.seen.push(read()))
              .observe(document.getElementById("words"), {childList: true, subtree: true, characterData: true});
        }"""
    )
    states: list[str] = []
    yield states
    states += page.evaluate("window.seen")


FOX = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]
COUNT = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


# --- the microphone


@pytest.mark.slow
def test_spoken_words_appear_and_committed_ones_never_change(open_page: Open, tmp_path: Path) -> None:
    """The main job: speech into the microphone becomes text on the page; committed text only grows at its end."""
    page = open_page(recording(tmp_path / "spoken.wav", 1.0, "quick_brown_fox", 1.5, "counting", 4.0))
    with watching(page) as states:
        start(page)
        wait_for_word(page, "fox")
        wait_for_word(page, "ten", within="#words .final >> nth=-1")
        stop(page)
    assert plain(finals(page)) == FOX + COUNT
    assert all(after.startswith(before) for before, after in pairwise(states))
    expect(page.locator("#words .tail")).to_have_text("")
    for figure in ("shown after", "stays after", "lag"):
        expect(page.locator(".figures")).to_contain_text(re.compile(rf"{figure} \d+\.\d s"))


def test_stop_in_the_middle_of_speech_waits_for_the_last_word(open_page: Open, tmp_path: Path) -> None:
    """Stop sends the rest of the microphone's audio and waits for its text: no tail remains, no word is lost."""
    page = open_page(recording(tmp_path / "spoken.wav", 1.1, "quick_brown_fox", 30.0))
    start(page)
    wait_for_second(page, 4)  # the speech ends 10 ms before that
    stop(page)
    assert plain(finals(page)) == FOX
    expect(page.get_by_role("meter")).to_have_attribute("aria-valuenow", "0")


@pytest.mark.slow
def test_a_second_recording_continues_below_the_first(open_page: Open, tmp_path: Path) -> None:
    """Start, Stop, Start keeps the text; times continue where the first recording ended."""
    page = open_page(recording(tmp_path / "spoken.wav", 0.5, "quick_brown_fox", 30.0))
    for _ in range(2):
        start(page)
        wait_for_second(page, 4)
        stop(page)
    assert plain(finals(page)) == FOX + FOX
    starts = [int(m) for m in re.findall(r"00:00:(\d\d),\d{3} -->", download(page, "srt").decode())]
    assert starts == sorted(starts)
    assert starts[-1] >= 4


def test_a_refused_microphone_is_explained(open_page: Open, tmp_path: Path) -> None:
    """The sentence says what happened and what to do; the page stays usable."""
    page = open_page(recording(tmp_path / "spoken.wav", 1.0), answer="deny")
    start(page)
    expect(page.get_by_role("alert")).to_contain_text("not allowed to use the microphone")
    expect(page.get_by_role("button", name="Start")).to_be_enabled()


def test_a_missing_microphone_is_explained(open_page: Open) -> None:
    """Unreal in one point: the machine may have a microphone, so the browser's answer is scripted."""
    page = open_page()
    page.evaluate(
        """() => { navigator.mediaDevices.getUserMedia = async () => {
            throw new DOMException("Requested device not found", "NotFoundError"); } }"""
    )
    start(page)
    expect(page.get_by_role("alert")).to_contain_text("No microphone was found")


def test_the_delay_until_shown_counts_every_new_word(open_page: Open) -> None:
    """Not only the last word of an update, which waited least. A word shown before is not counted again."""
    shown = open_page().evaluate(
        """async () => {
            const { Delays } = await import("/static/delays.js");
            const delays = new Delays({ spokenAt_s: (position_s) => performance.now() / 1000 - (10 - position_s) });
            const words = (...ends) => ends.map((end) => ({ end }));
            delays.add({ start: 0, duration: 9, is_final: false }, words(7, 8, 9.5), 0);
            delays.add({ start: 0, duration: 9, is_final: false }, words(6, 8, 9), 0);
            return delays.shown.values.map(Math.round);
        }"""
    )
    assert shown == [3, 2, 1]


# --- the connection


@pytest.mark.slow
def test_a_broken_connection_is_mended_without_losing_a_word(
    open_page: Open, playwright: Playwright, tmp_path: Path
) -> None:
    """The server dies mid-stream; speech until the next one is up is kept and becomes text, once."""
    mortal = ServerProcess(tmp_path).wait_until_ready()
    page = open_page(recording(tmp_path / "spoken.wav", 0.5, "quick_brown_fox", 3.0, "counting", 60.0), at=mortal.url)
    start(page)
    wait_for_word(page, "dog", within="#words .final >> nth=-1")
    mortal.kill()
    expect(page.get_by_role("alert")).to_contain_text("The connection broke. Trying again")
    mortal.start()
    try:
        wait_for_word(page, "ten")
        stop(page)
    finally:
        mortal.stop()
    assert plain(finals(page)) == FOX + COUNT


@contextmanager
def breaking(url: str, after_bytes: int) -> Iterator[tuple[str, BrokenNetwork]]:
    """A proxy before the server that resets each connection after so many bytes from the browser; its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    following = itertools.repeat(Plan(Break.RST, after_bytes, 1e6, 0.05))
    network = BrokenNetwork("127.0.0.1", urlsplit(url).port or 0, following)
    asyncio.run_coroutine_threadsafe(network.__aenter__(), loop).result(30)
    try:
        yield f"http://127.0.0.1:{network.port}/", network
    finally:
        asyncio.run_coroutine_threadsafe(network.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@pytest.mark.slow
def test_a_connection_that_breaks_again_and_again_is_resumed(
    open_page: Open, server: ServerProcess, tmp_path: Path
) -> None:
    """The page says so, goes on with the stream that the server kept, and loses and repeats nothing."""
    with breaking(server.url, after_bytes=200_000) as (url, network):
        page = open_page(recording(tmp_path / "spoken.wav", 0.5, "quick_brown_fox", 1.5, "counting", 60.0), at=url)
        page.evaluate(
            """() => {
                window.notices = [];
                const notice = document.getElementById("notice");
                new MutationObserver(() => window.notices.push(notice.textContent)).observe(notice, {childList: true});
            }"""
        )
        with watching(page) as states:
            start(page)
            wait_for_word(page, "ten", within="#words .final >> nth=-1")
            stop(page)
        assert plain(finals(page)) == FOX + COUNT
        assert all(after.startswith(before) for before, after in pairwise(states))
        assert network.broken >= 2
        said = page.evaluate("window.notices")
        assert any("Trying again" in notice for notice in said)
        assert "Connected again." in said
    with urlopen(f"{server.url}metrics", timeout=30) as answer:
        counted = re.search(r'asr_resumes_total{outcome="resumed"} (\d+)', answer.read().decode())
    assert counted
    assert int(counted[1]) >= 2


def test_the_page_drops_repeated_words_as_the_client_does(open_page: Open) -> None:
    """`server/static/client/overlap.js` and `server/client/overlap.py` agree, word for word."""
    draw = random.Random(18)
    run = """async ([known, words]) => {
        const { Overlap } = await import("/static/client/overlap.js");
        const overlap = new Overlap(known);
        return [words.map((word) => overlap.covers(word)), words.map((word) => overlap.knows(word))];
    }"""
    page = open_page()
    for _ in range(40):
        rows = []
        for count in (draw.randrange(6), draw.randrange(1, 9)):
            ends = sorted(draw.uniform(10.0, 14.0) for _ in range(count))
            rows.append([Word(draw.choice([" a", " A,", " b", " été", "。"]), end - 0.4, end, 0.9) for end in ends])
        known, words = rows
        listed = [[{"text": w.text, "start": w.start_s, "end": w.end_s} for w in row] for row in rows]
        overlap = Overlap(known)
        later = overlap.later(words)
        covered = [word not in later for word in words]
        new = [bool(overlap.new([word])) for word in words]
        assert page.evaluate(run, listed) == [covered, [not is_new for is_new in new]]


@pytest.mark.slow
def test_a_full_server_says_so_and_takes_the_next_try(open_page: Open, tmp_path: Path) -> None:
    """The server takes one stream: a second one is refused as full, and admitted when the first has gone."""
    small = ServerProcess(tmp_path, "max_streams = 1\n").wait_until_ready()
    page = open_page(recording(tmp_path / "spoken.wav", 0.5, "quick_brown_fox", 30.0), at=small.url)
    try:
        with connect(listen_url(small.url, encoding="linear16", sample_rate=RATE_HZ)):
            start(page)
            expect(page.get_by_role("alert")).to_contain_text("The server is full")
            wait_idle(page)
        start(page)
        wait_for_word(page, "fox")
        stop(page)
    finally:
        small.stop()


@pytest.mark.slow
def test_a_server_that_is_gone_is_explained(open_page: Open, tmp_path: Path) -> None:
    """A page left open after its server has gone."""
    gone = ServerProcess(tmp_path).wait_until_ready()
    page = open_page(recording(tmp_path / "spoken.wav", 5.0), at=gone.url)
    gone.stop()
    start(page)
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    wait_idle(page)


# --- files


def choose(page: Page, path: Path) -> None:
    page.set_input_files("#file", path)
    expect(page.locator("#file")).to_have_value("", timeout=PATIENCE_MS)  # the page clears it when it is done


def test_a_file_becomes_text_that_can_be_copied_and_downloaded(
    open_page: Open, server: ServerProcess, tmp_path: Path
) -> None:
    """A recording that the browser decodes is streamed; each format holds the page's text."""
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    choose(page, recording(tmp_path / "lecture.wav", 0.5, "quick_brown_fox", 3.0, "counting", 0.5))
    text = page.locator("#words").inner_text()
    assert plain(text) == FOX + COUNT
    assert page.locator("#words p").count() == 2  # a pause of three seconds is a paragraph
    assert plain(download(page, "txt").decode()) == FOX + COUNT
    for suffix, point in (("srt", ","), ("vtt", r"\.")):
        file = download(page, suffix).decode()
        cues = re.findall(rf"(\d\d:\d\d:\d\d{point}\d{{3}}) --> (\d\d:\d\d:\d\d{point}\d{{3}})\n((?:.+\n)+)", file)
        assert [word for *_, said in cues for word in plain(said)] == FOX + COUNT
        times = [at for start_s, end_s, _ in cues for at in (start_s, end_s)]
        assert times == sorted(times)
    page.get_by_role("button", name="Copy").click()
    assert plain(page.evaluate("navigator.clipboard.readText()")) == FOX + COUNT


def test_a_file_that_the_browser_cannot_decode_is_read_by_the_server(open_page: Open, tmp_path: Path) -> None:
    """Chromium cannot decode AIFF: the page uploads the file to the transcription endpoint instead."""
    page = open_page()
    choose(page, recording(tmp_path / "old.aiff", "quick_brown_fox"))
    assert plain(finals(page)) == FOX
    assert plain(download(page, "srt").decode().split("\n", 2)[2]) == FOX


def test_a_file_that_is_no_audio_gets_the_servers_words(open_page: Open, tmp_path: Path) -> None:
    """The server's own sentence is shown, and the page stays usable."""
    page = open_page()
    (tmp_path / "letter.wav").write_text("Dear reader, this is no sound at all.", encoding="utf-8")
    page.set_input_files("#file", tmp_path / "letter.wav")
    expect(page.locator("#notice.error")).to_be_visible()
    assert len(plain(page.locator("#notice").inner_text())) > 3
    wait_idle(page)


def test_text_that_was_not_saved_is_not_replaced_without_asking(open_page: Open, tmp_path: Path) -> None:
    """Clearing asks first; "no" leaves the text, and saved text is cleared without asking."""
    page = open_page()
    file = recording(tmp_path / "first.wav", "quick_brown_fox")
    choose(page, file)
    questions: list[str] = []
    page.once("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss()))
    page.get_by_role("button", name="Clear").click()
    assert "not been copied or downloaded" in questions[0]
    assert plain(finals(page)) == FOX
    download(page, "txt").decode()
    page.get_by_role("button", name="Clear").click()
    assert finals(page) == ""


# --- hands, eyes and screens


def test_everything_works_from_the_keyboard(open_page: Open, tmp_path: Path) -> None:
    """Tab reaches the controls in order, the focus is visible and stays; Space and Enter press them."""
    page = open_page(recording(tmp_path / "spoken.wav", 0.5, "quick_brown_fox", 30.0))
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["model", "language", "settings", "paper", "start", "choose"]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    # The file dialog is replaced: whether headless Chromium reports it varies from run to run.
    page.evaluate("document.getElementById('file').onclick = () => { document.title = 'choosing'; return false; }")
    page.keyboard.press("Enter")
    expect(page).to_have_title("choosing")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    wait_for_word(page, "fox")
    assert page.evaluate("document.activeElement.id") == "start"
    page.keyboard.press("Enter")
    wait_idle(page)
    assert page.evaluate("document.activeElement.id") == "start"


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_everything_without_scrolling_sideways(open_page: Open, tmp_path: Path, width: int) -> None:
    """With text, a notice and all controls; a touch target is at least 38 pixels high."""
    page = open_page(viewport={"width": width, "height": 640}, has_touch=True, is_mobile=True)
    choose(page, recording(tmp_path / "spoken.wav", "counting", 3.0, "quick_brown_fox"))
    page.evaluate("import('/static/view.js').then((view) => view.showNotice('A long notice. '.repeat(8)))")
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = [button.bounding_box() for button in page.get_by_role("button").all()]
    assert all(box and box["height"] >= 38 and box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
    assert page.locator("#paper").bounding_box()["height"] > 100  # type: ignore[index]


def test_only_committed_words_are_read_aloud(open_page: Open, tmp_path: Path) -> None:
    """A screen reader reads finals once (a polite log) and never the changing tail."""
    page = open_page(recording(tmp_path / "spoken.wav", 0.5, "quick_brown_fox", 30.0))
    expect(page.get_by_role("log")).to_have_attribute("aria-live", "polite")
    start(page)
    page.wait_for_selector("#words .tail:not(:empty)")
    expect(page.locator("#words .tail")).to_have_attribute("aria-live", "off")
    stop(page)


def test_nothing_is_loaded_from_other_hosts(open_page: Open, server: ServerProcess) -> None:
    """Page, styles, scripts and icon come from the server, and the page's own policy forbids anything else."""
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.reload(wait_until="networkidle")
    assert len(asked) >= 5
    assert all(url.startswith(server.url) for url in asked)
    assert answer is not None
    assert "default-src 'self'" in answer.headers["content-security-policy"]


# --- the page's pure parts, in the browser that runs them


def test_subtitles_have_times_blank_lines_and_escapes(open_page: Open) -> None:
    """SubRip and WebVTT as specified (w3.org/TR/webvtt1): times, blank lines, escapes."""
    page = open_page()
    words = [
        [{"text": " Is", "start": 0.5, "end": 0.7}, {"text": " 3<4?", "start": 0.7, "end": 1.25}],
        [{"text": " Yes.", "start": 3661.0, "end": 3661.5}],
    ]
    run = "async ([name, words]) => (await import('/static/formats.js'))[name](words)"
    assert page.evaluate(run, ["toSrt", words]) == (
        "1\n00:00:00,500 --> 00:00:01,333\nIs 3<4?\n\n2\n01:01:01,000 --> 01:01:01,833\nYes.\n"
    )
    assert page.evaluate(run, ["toVtt", words]) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.333\nIs 3&lt;4?\n\n01:01:01.000 --> 01:01:01.833\nYes.\n"
    )


def test_subtitles_are_those_of_the_command_line(open_page: Open) -> None:
    """The limits and the cues of `asr.transcripts.subtitles`."""
    page = open_page()
    for name in ("LINE_CHARS", "MAX_LINES", "MAX_CUE_S", "MIN_CUE_S", "READING_CHARS_PER_S"):
        limit = page.evaluate("async (name) => (await import('/static/formats.js'))[name]", name)
        assert limit == getattr(subtitles, name)
    texts = [
        [f" word{'s' * (i % 5)}" for i in range(35)],
        [
            *"すると毛羽立ちやすいので、「テンポ」で巻き込んでおいて中盤じっくり見せるiPhone15を使い3月に始めるパーティーのことです"
            * 2
        ],
        [part for i in range(20) for part in (f" {i}", ",9", "50", " low", "-fat", " flower", "ened")],
        [" Rindfleischetikettierungsüberwachungsaufgaben", "übertragung", " และ", "กี่", "วัน", "👩‍👧" * 40],
    ]
    run = "async ([words, duration]) => (await import('/static/formats.js')).cues([words], duration)"
    for parts in texts:
        words = [Word(part, i * (0.1 + i / 900), i * (0.1 + i / 900) + 0.1, 1.0) for i, part in enumerate(parts)]
        listed = [{"text": word.text, "start": word.start_s, "end": word.end_s} for word in words]
        duration_s = words[-1].end_s + 0.05
        expected = [
            {"start_ms": cue.start_ms, "end_ms": cue.end_ms, "lines": list(cue.lines)}
            for cue in subtitles.cues_of([words], duration_s)
        ]
        assert page.evaluate(run, [listed, duration_s]) == expected


def test_the_page_counts_columns_as_the_command_line_does(open_page: Open) -> None:
    """For every character of Python's Unicode, whose East Asian Width the page's table repeats."""
    page = open_page()
    characters = [
        chr(code) for code in range(0x20, 0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")
    ]
    run = "async (text) => { const {width} = await import('/static/formats.js'); return [...text].map(width) }"
    assert page.evaluate(run, "".join(characters)) == [subtitles.width(char) for char in characters]


def test_words_keep_what_joins_them(open_page: Open) -> None:
    """The joined words are the text, with spaces where the language writes them."""
    page = open_page()
    run = (
        "async (results) => "
        "(await import('/static/client/words.js')).wordsOf(results, 10).map((w) => [w.text, w.start])"
    )

    def pieces(text: str | None, transcript: str, *words: tuple[str, str]) -> list[list[object]]:
        listed = [{"word": w, "punctuated_word": p, "start": i, "end": i + 1} for i, (w, p) in enumerate(words)]
        alternative = {"transcript": transcript, "words": listed} | ({} if text is None else {"text": text})
        found: list[list[object]] = page.evaluate(run, {"channel": {"alternatives": [alternative]}})
        return found

    assert pieces(" Oh, no!", "Oh, no!", ("oh", "Oh,"), ("no", "no!")) == [[" Oh,", 10], [" no!", 11]]
    assert pieces("你好。", "你好。", ("你", "你"), ("好", "好。")) == [["你", 10], ["好。", 11]]
    assert pieces(None, "Oh, no!", ("oh", "Oh,"), ("no", "no!")) == [[" Oh,", 10], [" no!", 11]]


def test_the_tail_stays_after_a_final_and_goes_with_the_utterance(open_page: Open) -> None:
    """No flicker between a final and the next interim; an utterance's last final clears the tail, words or not."""
    page = open_page()
    run = """async (said) => {
        const transcript = new (await import("/static/transcript.js")).Transcript();
        return said.map((results) => {
            transcript.add(results, 0);
            return transcript.tail.map(({ text }) => text).join("");
        });
    }"""

    def results(*words: str, start: int, **flags: bool) -> dict[str, object]:
        listed = [{"word": word, "start": start + i, "end": start + i + 1} for i, word in enumerate(words)]
        alternative = {"text": "".join(f" {word}" for word in words), "words": listed}
        return {"start": start, "duration": len(words), "channel": {"alternatives": [alternative]}} | flags

    interim, first = results("red", "uh", start=0), results("red", start=0, is_final=True)
    for ending in ("speech_final", "from_finalize"):
        last = results(start=1, is_final=True, **{ending: True})
        assert page.evaluate(run, [interim, first, last]) == [" red uh", " uh", ""]


def test_a_live_tape_drops_its_oldest_audio_and_reads_across_chunks(open_page: Open) -> None:
    """Five minutes are kept; positions remain those of the whole recording."""
    page = open_page()
    kept = page.evaluate(
        """async () => {
            const { LiveTape } = await import("/static/client/tape.js");
            const tape = new LiveTape(10);
            for (let i = 0; i < 310; i += 1) tape.push(Int16Array.from({ length: 10 }, (_, k) => i * 10 + k));
            return [tape.start, tape.end, [...tape.read(108, 4)], tape.read(3095, 10).length];
        }"""
    )
    assert kept == [100, 3100, [108, 109, 110, 111], 5]


@pytest.mark.slow
def test_a_ctc_model_serves_the_page_with_a_note_on_its_style(open_page: Open, tmp_path: Path, learned: Path) -> None:
    """Its words appear as Whisper's do; Whisper has no note on capitals and punctuation."""
    note = "capitals and punctuation are what it learned"
    expect(open_page().get_by_text(note)).to_be_hidden()
    server = ServerProcess(tmp_path, model=str(learned)).wait_until_ready()
    try:
        spoken = recording(tmp_path / "spoken.wav", 0.5, "quick_brown_fox", 30.0)
        page = open_page(spoken, at=server.url, model=str(learned))
        expect(page.get_by_text(note)).to_be_visible()
        start(page)
        wait_for_second(page, 5)
        stop(page)
    finally:
        server.stop()
    assert len({*plain(finals(page))} & {*FOX}) >= 5
