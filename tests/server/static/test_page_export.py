"""What leaves the page: subtitles equal to the command's, Word documents, and programs that give the same text."""

import io
import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from asr.events import Final, Word
from asr.transcripts.formats import Transcript, segments_from_finals, to_srt, to_vtt
from tests.server.access.keys import made
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running, wav
from tests.server.static.browser import CHROMIUM, NEEDS_CHROMIUM, QUIET, download

pytestmark = [pytest.mark.browser, pytest.mark.slow, NEEDS_CHROMIUM]

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_page()
        browser.close()


def open_page(page: Page, server: Running, query: str = "") -> None:
    page.goto(f"{server.url}/{query}")
    expect(page.locator("#model")).to_contain_text("scripted-1")


TEXTS = {
    "en": ' Well, it cost 285 ,950 dollars. Yes! "Really?" he said… a --> b < c & d\n\x07 and low -fat flowers',
    "vi": " Hôm nay, chúng tôi nói về MLOps. Ơ kìa! Đà Nẵng có 20 % sinh viên khoẻ mạnh… nghiêng ngả",
    "ja": "するとテンポで 巻き込んで、３月に iPhone15 を買う。 「はい」 と言った！ パー ティー２，０ ００人",
    "th": "สวัสดีครับ วันนี้ เรา พูดถึง เแ การ เรียนรู้ ② ๓ ข้อ",
}
MESSAGES = """async ([messages, duration]) => {
    const { Transcript } = await import("/static/transcript.js");
    const { toSrt, toVtt } = await import("/static/formats.js");
    const transcript = new Transcript();
    for (const message of messages) transcript.add(message, 0);
    return [toSrt(transcript.segments, duration), toVtt(transcript.segments, duration)];
}"""


def spoken(draw: random.Random, language: str) -> list[Final]:
    """Finals of some utterances: words of all lengths, also cut anywhere; pauses, and words that overlap."""
    finals: list[Final] = []
    at = draw.uniform(0, 2)
    for _ in range(draw.randint(1, 12)):
        words = []
        for text in draw.choices(TEXTS[language].split(" "), k=draw.randint(0, 14)):
            end = round(at + draw.choice([0.04, 0.3, 0.8, 2.0]), 3)
            space = " " if language in ("en", "vi") else ""
            words.append(Word(space + (text or "x") * draw.choice([1, 1, 1, 1, 9]), round(at, 3), end, 0.9))
            at = end + draw.choice([0.0, -0.01, 0.0025, 0.4])
        start = words[0].start_s if words else at
        finals.append(Final(tuple(words), start, at, language, ends_utterance=draw.random() < 0.4))
        at += draw.choice([0.0, 0.5, 3.0])
    return finals


def message(final: Final) -> dict[str, object]:
    """A final as the live wire sends it."""
    words = [{"word": word.text, "start": word.start_s, "end": word.end_s} for word in final.words]
    alternative = {"text": "".join(word.text for word in final.words), "words": words}
    flags = {"is_final": True, "speech_final": final.ends_utterance}
    return {"start": final.start_s, "duration": 0.0, "channel": {"alternatives": [alternative]}, **flags}


@pytest.mark.parametrize("language", TEXTS)
def test_subtitles_of_the_page_are_those_of_asr_transcribe(page: Page, scripted: Running, language: str) -> None:
    """Byte for byte, for the same results: long sentences, scripts without spaces, arrows, odd characters."""
    open_page(page, scripted)
    draw = random.Random(f"subtitles {language}")
    for _ in range(40):
        finals = spoken(draw, language)
        duration_s = round(max(final.end_s for final in finals) + draw.choice([-0.3, 0.0, 5.0]), 3)
        transcript = Transcript("", language, duration_s, segments_from_finals(finals))
        shown = page.evaluate(MESSAGES, [[message(final) for final in finals], duration_s])
        assert shown == [to_srt(transcript), to_vtt(transcript)]


def read_file(page: Page, folder: Path, name: str = "talk.wav") -> Path:
    recording = folder / name
    recording.write_bytes(wav(4.0))
    page.locator("#file").set_input_files(recording)
    expect(page.locator("#words")).to_contain_text("w7")
    page.wait_for_selector("body[data-phase=idle]")
    return recording


def test_a_word_document_holds_the_text_with_its_times(page: Page, scripted: Running, tmp_path: Path) -> None:
    """A ZIP archive without errors, with the parts of ECMA-376; the text, corrections too, in paragraphs with times."""
    open_page(page, scripted)
    read_file(page, tmp_path)
    page.get_by_role("button", name="Edit").click()
    page.locator(".word", has_text="w2").fill('<"Đà Nẵng" & Huế>')
    page.get_by_role("button", name="Edit").click()
    with zipfile.ZipFile(io.BytesIO(download(page, "docx"))) as archive:
        assert archive.testzip() is None
        parts = {name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist()}
    assert set(parts) == {"[Content_Types].xml", "_rels/.rels", "word/document.xml"}
    paragraphs = ["".join(run.text or "" for run in p.iter(f"{W}t")) for p in parts["word/document.xml"].iter(f"{W}p")]
    assert paragraphs == ["talk", '0:00  w0 w1 <"Đà Nẵng" & Huế> w3 w4 w5 w6 w7']
    assert {lang.get(f"{W}val") for lang in parts["word/document.xml"].iter(f"{W}lang")} == {"en"}


def test_a_refused_copy_is_reported(page: Page, scripted: Running, tmp_path: Path) -> None:
    """Neither way of the browser works: a sentence says what to do, and the text counts as not saved."""
    open_page(page, scripted)
    read_file(page, tmp_path)
    page.evaluate(
        """() => {
            navigator.clipboard.writeText = async () => { throw new DOMException("no", "NotAllowedError"); };
            document.execCommand = () => false;
        }"""
    )
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("alert")).to_contain_text("does not let this page copy")
    assert page.evaluate("() => !dispatchEvent(new Event('beforeunload', {cancelable: true}))")


NASTY = 'it\'s, a "talk"; $(one) `two` \\ Đà.wav'


@pytest.mark.parametrize("with_keys", [False, True])
def test_the_code_beside_the_result_gives_the_same_text(page: Page, tmp_path: Path, *, with_keys: bool) -> None:
    """curl, Python and JavaScript as shown, run: same text, same model, language, keyterms and prompt at the engine.

    With keys, the key comes from the environment and is in no program.
    """
    engine = ScriptedEngine()
    keys = made(tmp_path) if with_keys else None
    settings = {"keys_file": str(keys.file)} if keys else {}
    with running(engine, **settings) as server:
        page.goto(server.url)
        if keys:
            page.locator("#key").fill(keys.secrets["all"])
            page.get_by_role("button", name="Use it").click()
        expect(page.locator("#model")).to_contain_text("scripted-1")
        page.locator("#language").select_option("ja")
        page.get_by_role("button", name="Settings").click()
        page.locator("#keyterms").fill("Đà Nẵng, 'x'\n$HOME @y\n\n")
        page.locator("#prompt").fill('He said "no".\nIt\'s <;type=x> so')
        page.get_by_role("button", name="Close").click()
        read_file(page, tmp_path, NASTY)
        text = page.locator("#words").inner_text().strip()
        page.get_by_role("button", name="Code", exact=True).click()
        shown = page.locator("#programs pre").all_inner_texts()
        programs = dict(zip(["curl", "python", "javascript"], shown, strict=True))
        page.keyboard.press("Escape")
        (tmp_path / "p.py").write_text(programs["python"], encoding="utf-8")
        (tmp_path / "p.mjs").write_text(programs["javascript"], encoding="utf-8")
        commands = {
            "curl": ["sh", "-c", programs["curl"]],
            "python": [sys.executable, "p.py"],
            "javascript": ["node", "p.mjs"],
        }
        environment = {**os.environ, **({"ASR_KEY": keys.secrets["all"]} if keys else {})}
        for name, command in commands.items():
            if not shutil.which({"curl": "curl", "javascript": "node"}.get(name, command[0])):
                continue
            assert not keys or keys.secrets["all"] not in programs[name]
            ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert (ran.returncode, ran.stdout.strip()) == (0, text), (name, ran.stderr)
            assert engine.opened[-1].language == "ja", name
            assert engine.asked[-1] == ('He said "no".\nIt\'s <;type=x> so', ("Đà Nẵng, 'x'", "$HOME @y")), name
