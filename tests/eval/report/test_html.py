"""The page: it is one file that stands alone, and it works in a browser."""

import re
import shutil
from pathlib import Path

import pytest

from eval.report.html import PageOptions, recording_cards, write_report
from eval.report.systems import systems_of
from eval.runs.folder import Run
from tests.eval.fakes import said
from tests.eval.run_folders import run_of


def test_the_page_is_one_file_that_asks_for_nothing(run: Run, tmp_path: Path) -> None:
    """No address in it leads out; texts of labels and models cannot become markup."""
    write_report([run], tmp_path, PageOptions())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>v" not in page
    assert "<b>audio" not in page
    namespaces = re.sub(r"http://www\.w3\.org/\d{4}/\w+", "", page)
    for outward in (r"https?://", r"@import", r"url\((?!#)", r"<link", r"href=\"(?!#)", r"<[^>]+ src="):
        assert not re.search(outward, namespaces), outward
    assert page.count("<svg") >= 2
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert markdown.startswith("# Choose better: 3.8 points less WER than worse, half the CPU in one run.")


def test_a_recording_is_listed_once_with_what_every_system_made_of_it() -> None:
    """Right words as themselves, edits as pairs; times only where words were streamed."""
    traces = [said("a x", reference="a b", mode=mode, speaker="s") for mode in ("offline", "replay")]
    (card,) = recording_cards(systems_of([run_of("r", traces)]), {("d", "u"): "data:audio/mpeg;base64,"})
    assert (card.id, card.speaker, card.audio, card.joiner) == ("u", "s", "data:audio/mpeg;base64,", " ")
    offline, replay = card.systems
    assert offline.edits == replay.edits == ("a", ("b", "x"))
    assert (replay.errors, replay.words) == (1, 2)
    assert offline.times == ()
    assert replay.times == ((" a", 1.0, 9.0, 9.0, 9.0), (" x", 2.0, 9.0, 9.0, 9.0))


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine")
def test_the_page_works_from_a_file_at_both_widths(run: Run, tmp_path: Path) -> None:
    """In a real browser, without a server: recordings are listed, ordered and searched, a timeline opens, nothing is
    wider than the window, no script fails and nothing is fetched."""
    from playwright.sync_api import sync_playwright

    write_report([run], tmp_path, PageOptions())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width in (1280, 400):
            page = browser.new_page(viewport={"width": width, "height": 900})
            failures, fetched = [], []
            page.on("pageerror", lambda error, failures=failures: failures.append(str(error)))
            page.on("request", lambda request, fetched=fetched: fetched.append(request.url))
            page.goto((tmp_path / "report.html").as_uri())
            assert page.locator("article").count() == 12
            page.locator("#find").fill("chào")
            assert page.locator("article").count() == 1
            assert page.locator("article .text").first.get_attribute("lang") == "vi"
            page.locator("#find").fill("u4")
            page.locator("article details summary").first.click()
            page.locator("article .timeline svg").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert failures == []
            assert len(fetched) == 1
        browser.close()
