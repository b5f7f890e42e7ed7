"""The Chromium that drives the page, and how it is started."""

import os
import shutil
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None and not IN_CI, reason="no chromium here: `apt-get install chromium` to run these"
)
PATIENCE_MS = 60_000
"""For what takes as long as a busy machine takes; nothing is asserted on time."""
expect.set_options(timeout=PATIENCE_MS)

QUIET = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]


def download(page: Page, suffix: str) -> bytes:
    """The page's text as a file of this format."""
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"Download as {suffix}").click()
    assert waiting.value.suggested_filename.endswith(f".{suffix}")
    return Path(waiting.value.path()).read_bytes()


def wait_until_kept(page: Page) -> None:
    """Waits until the page's text is on the device."""
    is_kept = """async () => {
        const { ofThisTab } = await import("/static/history.js");
        const { transcript } = await import("/static/state.js");
        const kept = await ofThisTab();
        return JSON.stringify(kept?.state.finals) === JSON.stringify(transcript.state.finals);
    }"""
    until_s = time.monotonic() + 60
    while not page.evaluate(is_kept):  # wait_for_function takes the promise itself for true
        assert time.monotonic() < until_s, "the text is not kept"
        page.wait_for_timeout(50)
