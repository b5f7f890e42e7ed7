"""The page against WCAG 2.2 AA: axe-core in themes, languages and sizes; keyboard alone; forced colours."""

from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.server.running import Running
from tests.server.static.browser import CHROMIUM, IN_CI, NEEDS_CHROMIUM, QUIET

AXE = "axe_playwright_python"
NEEDS_AXE = pytest.mark.skipif(find_spec(AXE) is None and not IN_CI, reason=f"no {AXE} here: make setup installs it")
pytestmark = [pytest.mark.browser, pytest.mark.slow, NEEDS_CHROMIUM]

LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHECK = """async (levels) => (await axe.run(document, { runOnly: levels })).violations.map(({ id, nodes }) =>
     `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`)"""
WRITE = """async (count) => {
    const { transcript, page, enter } = await import("/static/state.js");
    const { showFinal, showTail } = await import("/static/text.js");
    const words = Array.from({ length: count }, (_, i) => ({ text: ` học${i}.`, start: i, end: i + 0.5 }));
    transcript.commit(words.slice(0, -2)).forEach(showFinal);
    transcript.commit(words.slice(-2, -1), { unsure: true }).forEach(showFinal);
    transcript.tail = words.slice(-1);
    showTail(transcript.tail, false);
    enter("idle");
    document.getElementById("words").lang = "vi";
    (await import("/static/view.js")).showNotice("The connection broke.", "busy", ["Retry now", () => {}]);
}"""
LOOKS: dict[str, dict[str, Any]] = {
    "light, English": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark, Vietnamese, phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "locale": "vi-VN"},
    "light, Vietnamese, 320 px": {
        "viewport": {"width": 320, "height": 568},
        "color_scheme": "light",
        "locale": "vi-VN",
    },
    "dark, English, landscape": {"viewport": {"width": 740, "height": 360}, "color_scheme": "dark"},
    "forced colours": {"viewport": {"width": 1280, "height": 800}, "forced_colors": "active"},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


def open_page(browser: Browser, server: Running, **look: Any) -> Page:
    page = browser.new_context(**look).new_page()
    page.goto(server.url)
    expect(page.locator("#model")).to_contain_text("scripted-1")
    return page


def overflow(page: Page) -> int:
    """How far the page is wider than the window, in pixels."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@NEEDS_AXE
@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing(browser: Browser, scripted: Running, look: str) -> None:
    """Empty, with text and a notice and search, in each dialog; and nothing scrolls sideways."""
    page = open_page(browser, scripted, **LOOKS[look])
    page.evaluate(files(AXE).joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = {"empty": page.evaluate(CHECK, LEVELS)}
    page.evaluate(WRITE, 60)
    page.locator("#search").click()
    page.locator("#query").fill("hoc1")
    found["text"] = page.evaluate(CHECK, LEVELS)
    sideways = {"text": overflow(page)}
    for dialog in ("settings", "code", "past", "download"):
        page.locator(f"#{dialog}").click()
        expect(page.locator("dialog[open], :popover-open")).to_have_count(1)
        found[dialog] = page.evaluate(CHECK, LEVELS)
        sideways[dialog] = overflow(page)
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open], :popover-open")).to_have_count(0)
    page.close()
    assert {state: each for state, each in found.items() if each} == {}
    assert set(sideways.values()) == {0}


@NEEDS_AXE
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_high_contrast_is_seven_to_one(browser: Browser, scripted: Running, theme: str) -> None:
    """The switch: axe's rule for level AAA, for all text, pale words too. It stays on over a reload."""
    page = open_page(browser, scripted, color_scheme=theme)
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("High contrast").check()
    page.get_by_role("button", name="Close").click()
    page.reload()
    page.evaluate(WRITE, 30)
    page.evaluate(files(AXE).joinpath("axe.min.js").read_text(encoding="utf-8"))
    rule = "async () => (await axe.run(document, { runOnly: { type: 'rule', values: ['color-contrast-enhanced'] },"
    rule += " rules: { 'color-contrast-enhanced': { enabled: true } } })).violations.flatMap(({ nodes }) => nodes)"
    assert [node["failureSummary"] for node in page.evaluate(rule)] == []
    page.close()


def test_the_keyboard_reaches_everything_and_comes_back(browser: Browser, scripted: Running) -> None:
    """Tab reaches each control that can be used, each with a visible focus in sight; dialogs give the focus back."""
    page = open_page(browser, scripted, viewport={"width": 390, "height": 640})
    page.evaluate(WRITE, 60)
    state = """() => {
        const element = document.activeElement;
        const { top, bottom } = element.getBoundingClientRect();
        const isInSight = top >= -1 && bottom <= innerHeight + 1;
        if (element === document.body) return ["", "", true];
        return [element.id || element.textContent, getComputedStyle(element).outlineStyle, isInSight];
    }"""
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, outline, in_sight = page.evaluate(state)
        if not name:  # behind the last one
            break
        reached.append(name)
        assert (outline, in_sight) == ("solid", True), name
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("body > :not(dialog) :is(button, select, input, textarea), #paper")]
            .filter((e) => !e.disabled && e.checkVisibility()).map((e) => e.id || e.textContent)"""
    )
    assert set(wanted) <= set(reached)
    for opener, dialog in {
        "settings": "configuration",
        "code": "snippets",
        "past": "archive",
        "download": "formats",
    }.items():
        page.locator(f"#{opener}").focus()
        page.keyboard.press("Enter")
        expect(page.locator(f"#{dialog}")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(f"#{dialog}")).to_be_hidden()
        assert page.evaluate("document.activeElement.id") == opener
    page.locator("#search").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("HOC5")
    expect(page.locator("#hits")).to_have_text("1 of 10")  # học5, học50 to học59; the last ones are pale or unsure
    page.keyboard.press("Escape")
    expect(page.locator("#finder")).to_be_hidden()
    page.close()


@pytest.mark.parametrize("size", [{"width": 320, "height": 568}, {"width": 740, "height": 360}])
def test_small_screens_leave_room_for_the_text(browser: Browser, scripted: Running, size: dict[str, int]) -> None:
    """A phone upright and on its side, with text and a notice, also with the largest letters."""
    page = open_page(browser, scripted, viewport=size, locale="vi-VN")
    page.evaluate(WRITE, 60)
    page.locator("#settings").click()
    page.locator("#size").select_option("300")
    page.keyboard.press("Escape")
    assert overflow(page) == 0
    assert page.evaluate("document.getElementById('paper').scrollWidth <= document.getElementById('paper').clientWidth")
    assert page.locator("#paper").bounding_box()["height"] >= 120  # type: ignore[index]
    page.close()


def test_a_recording_without_words_shows_its_whole_name(browser: Browser, scripted: Running) -> None:
    """On a narrow phone the name is broken; there is no paragraph, so no time without a word."""
    page = open_page(browser, scripted, viewport={"width": 320, "height": 568})
    page.evaluate(
        """async () => {
            const { showNotice } = await import("/static/view.js");
            const { showTail } = await import("/static/text.js");
            showTail([]);
            showNotice(`No speech was found in ${"common_voice_vi_22028467".repeat(4)}.opus.`, "busy");
        }"""
    )
    assert overflow(page) == 0
    expect(page.locator("#notice")).to_contain_text("2028467.opus.")
    expect(page.locator("#words p")).to_have_count(0)
    expect(page.locator("#empty")).to_be_visible()
    page.close()
