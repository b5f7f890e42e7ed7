"""The page in English and Vietnamese: one table has every text, in both languages."""

import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.server.running import Running
from tests.server.static.browser import CHROMIUM, NEEDS_CHROMIUM, QUIET

STATIC = Path(__file__).parents[3] / "server" / "static"
BRAND = "steadyword"


def table() -> dict[str, tuple[str, str]]:
    """The entries of strings.js: key -> English, Vietnamese."""
    source = (STATIC / "strings.js").read_text(encoding="utf-8")
    text = r'"((?:[^"\\]|\\.)*)"'
    errors = (STATIC / "client" / "errors.js").read_text(encoding="utf-8")
    reasons = dict(re.findall(rf"^  (\w+):\s*{text},$", errors, re.MULTILINE))
    source = re.sub(r"\bREASONS\.(\w+)", lambda found: f'"{reasons[found[1]]}"', source)
    entries = re.findall(rf"^  (\w+): \[\s*{text},\s*{text},?\s*\],$", source, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^  \w+: \[", source, re.MULTILINE))
    return {key: (english, vietnamese) for key, english, vietnamese in entries}


def sources() -> dict[str, str]:
    """The scripts without their comments."""
    scripts = {str(p.relative_to(STATIC)): p.read_text(encoding="utf-8") for p in STATIC.rglob("*.js")}
    return {name: re.sub(r"/\*.*?\*/|(?<![:\"])//[^\n]*", "", text, flags=re.DOTALL) for name, text in scripts.items()}


def test_each_text_has_both_languages() -> None:
    """No empty text, the same values to fill in, and Vietnamese that is not the English again."""
    for key, (english, vietnamese) in table().items():
        assert english.strip(), key
        assert vietnamese.strip(), key
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", vietnamese)), key
        assert vietnamese == unicodedata.normalize("NFC", vietnamese), key
        letters = re.sub(r"\{\w+\}|[^a-z]", "", english.lower())
        assert not letters or english != vietnamese, key


def test_each_text_is_used_and_each_use_has_a_text() -> None:
    """No key without an entry, and no entry that nothing shows."""
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    scripts = "".join(text for name, text in sources().items() if name != "strings.js")
    asked = set(re.findall(r'data-t(?:-\w+)?="(\w+)"', html)) | set(re.findall(r'\bt\(\s*"(\w+)"', scripts))
    asked |= set(re.findall(r'(?:Source|Stream)Error\("(\w+)"', scripts))
    assert asked <= set(table())
    assert [key for key in table() if key not in asked and f'"{key}"' not in scripts] == []


class Literals(HTMLParser):
    """The texts of a page that stand in its source."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.path: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "input"):
            self.path.append(tag)
        self.found += [v for k, v in attrs if k in ("title", "aria-label", "placeholder", "alt") and v]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.path:
            self.path.remove(tag)

    def handle_data(self, data: str) -> None:
        if data.strip() and "noscript" not in self.path:
            self.found.append(data.strip())


def test_no_text_stands_outside_the_table() -> None:
    """Neither in the page nor in a script: names, formats and figures alone. What has no script has both languages."""
    page = Literals()
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    page.feed(html)
    allowed = re.compile(rf"{BRAND}|\.\w+|\?captions|\d+ %|0:00|[–↑↓]")
    assert [text for text in page.found if not allowed.fullmatch(text)] == []
    assert 'lang="vi"' in html.partition("<noscript>")[2]
    for name, source in sources().items():
        if name in ("strings.js", "client/errors.js", "snippets.js", "docx.js"):  # texts; programs; XML
            continue
        shown = re.sub(r".*console\.warn.*|.*new (?:Type)?Error\(.*", "", source)
        literals = re.findall(r'"((?:[^"\\\n]|\\.)*)"', shown)
        assert [text for text in literals if re.search(r"[A-Za-z]{2,} [a-z]{2,}", text) and "<" not in text] == [], name
        assert not re.search(r"showNotice\((?:`|\"\w)", shown), name


# --- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


def open_page(browser: Browser, server: Running, locale: str) -> Page:
    page = browser.new_context(locale=locale).new_page()
    page.goto(server.url)
    expect(page.locator("#model")).to_contain_text("scripted-1")
    return page


@pytest.mark.browser
@pytest.mark.slow
@NEEDS_CHROMIUM
def test_the_browsers_language_comes_first_and_the_users_choice_before_it(browser: Browser, scripted: Running) -> None:
    """Any other language is English; a choice stays over a reload, and changes texts that are on the page already."""
    for locale, start in (("vi-VN", "Bắt đầu"), ("en-GB", "Start"), ("fr-FR", "Start")):
        page = open_page(browser, scripted, locale)
        expect(page.locator("#start")).to_have_text(start)
        expect(page.locator("html")).to_have_attribute("lang", "vi" if start == "Bắt đầu" else "en")
        page.close()
    page = open_page(browser, scripted, "en-US")
    page.get_by_role("button", name="Settings").click()
    page.locator("#interface").select_option("vi")
    page.get_by_role("button", name="Đóng").click()
    expect(page.locator("#start")).to_have_text("Bắt đầu")
    expect(page.locator("#language")).to_contain_text("Tiếng Nhật")
    page.reload()
    expect(page.locator("#start")).to_have_text("Bắt đầu")
    page.close()


LATIN = """() => {
    const own = "#words, #model, #language, #interface, #programs pre, #programs h3, #overlay, h1, noscript";
    const shown = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(own)) shown.push(walker.currentNode.data);
    for (const element of document.querySelectorAll("body *")) {
        if (element.closest(own)) continue;
        for (const name of ["aria-label", "title", "placeholder"]) shown.push(element.getAttribute(name) ?? "");
    }
    const format = /(^\\.| )(txt|docx|srt|vtt|json)$|^\\?captions$|curl|Python|JavaScript/;
    return shown.filter((text) => /[a-zA-Z]/.test(text.trim().replace(format, "")));
}"""


@pytest.mark.browser
@pytest.mark.slow
@NEEDS_CHROMIUM
def test_all_that_the_page_shows_comes_from_the_table(browser: Browser, scripted: Running) -> None:
    """With a table of no Latin letters, no Latin letter is left: on the page, in its dialogs, in notices and labels."""
    page = open_page(browser, scripted, "en-US")
    page.evaluate(
        """async () => {
            const { STRINGS } = await import("/static/strings.js");
            for (const texts of Object.values(STRINGS)) {
                texts.forEach((text, i) => (texts[i] = text.replace(/\\{\\w+\\}|[a-zA-Z]/g, (x) => (x[1] ? x : "ж"))));
            }
            (await import("/static/translate.js")).speak("vi");
        }"""
    )
    assert page.evaluate(LATIN) == []
    for button in ("settings", "code", "past"):
        page.locator(f"#{button}").click()
        expect(page.locator("dialog[open]")).to_have_count(1)  # some read what they show first
        if button == "settings":
            page.locator("#test").click()
            expect(page.locator("#tested")).not_to_be_empty()
        assert page.evaluate(LATIN) == [], button
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
    page.locator("#start").click()  # no microphone here
    expect(page.get_by_role("alert")).to_contain_text("ж")
    assert page.evaluate(LATIN) == []
    page.evaluate("dispatchEvent(new DragEvent('drop', {dataTransfer: new DataTransfer()}))")
    assert page.evaluate(LATIN) == []
    page.close()
