"""`asr bench resume` and `asr bench server` at a running server: with a key, and where there is no place at once."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import pytest_audioeval

from asr.cli import run
from eval.bench import resume
from tests.eval.output import json_line
from tests.server.access.keys import Made, made
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, pcm, running

pytestmark = pytest.mark.slow

SPOKEN = Path(next(iter(pytest_audioeval.__path__))) / "samples" / "audio" / "en" / "quick_brown_fox.wav"


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    shutil.copy(SPOKEN, tmp_path / "fox.wav")
    row = {"audio_filepath": "fox.wav", "text": "the quick brown fox", "duration": 2.9, "language": "en"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row), encoding="utf-8")
    return tmp_path


@pytest.fixture
def keys(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def server(keys: Made) -> Iterator[Running]:
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        yield server


COMMANDS = {
    "server": ["--streams", "1"],
    "resume": ["--streams", "2", "--pace", "8", "--seed", "5"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_asks_for_a_key_is_measured_with_it(
    command: str, spoken: Path, server: Running, keys: Made, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """The key comes from an environment variable, and stands in nothing that is printed."""
    options = ["bench", command, "--data", str(spoken), "--url", server.url, *COMMANDS[command]]
    plain = partial(resume.compare, vad_events=False, breaks=0)  # scripted starts of speech depend on the pace
    monkeypatch.setattr(resume, "compare", plain)
    monkeypatch.setenv("SERVER_KEY", keys.secrets["all"])
    assert run([*options, "--key-env", "SERVER_KEY"]) == 0
    shown = capsys.readouterr()
    table = json_line(shown.out)
    assert table["different"] == [] if command == "resume" else table["levels"][0]["failed"] == 0
    assert keys.secrets["all"] not in shown.out + shown.err


@pytest.mark.parametrize("command", COMMANDS)
def test_without_the_key_the_refusal_is_the_servers(command: str, spoken: Path, server: Running, capsys) -> None:
    """A sentence, not a figure."""
    assert run(["bench", command, "--data", str(spoken), "--url", server.url, *COMMANDS[command]]) != 0
    assert "found no key" in capsys.readouterr().err


def test_streams_that_find_no_place_come_back_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """More at once than a server has places is no fault of it: nothing is lost."""
    monkeypatch.setattr(resume, "RETRY_S", 0.1)
    with running(ScriptedEngine(), max_streams=1, max_resume_s=1.0) as server:
        load = {"streams": 4, "at_once": 4, "seed": 1, "pace": 4.0, "breaks": 0, "vad_events": False}
        outcome = asyncio.run(resume.compare(server.ws_url, [pcm(1.5)], **load))  # type: ignore[arg-type]
    assert (outcome.streams, outcome.different) == (4, [])
    assert outcome.refused > 0
