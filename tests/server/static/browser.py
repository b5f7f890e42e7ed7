"""The Chromium that drives the page, and how it is started."""

import os
import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None and not IN_CI, reason="no chromium here: `apt-get install chromium` to run these"
)
QUIET = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
