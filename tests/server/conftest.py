"""Servers for the tests: fast ones with a scripted engine, and one with the real default model, shared by all."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_audioeval

from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running

CLIPS = Path(pytest_audioeval.__path__[0]) / "samples" / "audio" / "en"


@pytest.fixture
def scripted() -> Iterator[Running]:
    """For the protocol. Unreal: the engine is in the server's process, without worker and model."""
    with running(ScriptedEngine()) as server:
        yield server


@pytest.fixture(scope="session")
def real() -> Iterator[Running]:
    """The default model in two worker processes, as `asr serve` runs it, with a port for Wyoming; started once."""
    from server.address import bind
    from server.config import load_settings
    from server.workers.remote import load_engines

    engines = load_engines(load_settings(models=["whisper-tiny.en"], workers=2))
    with bind(load_settings(), 0) as wyoming, running(*engines, wyoming=wyoming) as server:
        assert not server.service.not_ready
        yield server
    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def clip() -> Path:
    """ "The quick brown fox jumps over the lazy dog.", spoken, 2.9 s."""
    return CLIPS / "quick_brown_fox.wav"
