"""The command that measures what uploads cost a live stream. On a scripted engine its figures measure nothing."""

import argparse
import asyncio

import pytest

from asr.self_test import SAMPLE
from scripts.uploads_cost import measure
from tests.server.fakes import ScriptedEngine
from tests.server.running import running

pytestmark = pytest.mark.slow


def test_it_runs_uploads_beside_the_stream_and_compares_both(capsys: pytest.CaptureFixture[str]) -> None:
    """Uploads that end too early are a fault, and so is a ratio above the limit."""
    options = argparse.Namespace(uploads=2, minutes=8.0, rounds=1, seconds=2.0, audio=SAMPLE, max_ratio=1e9)
    with running(ScriptedEngine(step_s=0.05)) as server:
        assert asyncio.run(measure(server.url, options)) == []
        assert "beside 2 uploads" in capsys.readouterr().out
        options.minutes, options.max_ratio = 0.05, 0.0
        ended, late = asyncio.run(measure(server.url, options))
    assert ended.startswith("2 uploads ended before")
    assert late == "live words wait for uploads"
