"""`asr serve` and `asr stream`: in a process, as a user runs them, and the client's parts."""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import soundfile
from rich.console import Console

from asr.errors import ConfigError
from server.client import sources
from server.client import stream as client
from server.client.display import Display
from server.client.stream import StreamError, listen_url
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import RAW, Running, pcm, running

FOX = "the quick brown fox jumps over the lazy dog"
ASR = str(Path(sys.executable).with_name("asr"))


def asr(*arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([ASR, *arguments], input=data, capture_output=True, timeout=120, check=False)


def test_help_does_not_load_the_model_library() -> None:
    """`asr --help` answers at once."""
    code = "import sys; from asr.cli import build_app; build_app(); print('torch' in sys.modules, 'av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_file_is_streamed_and_its_words_printed(real: Running, clip: Path) -> None:
    """To a pipe: an utterance a line, nothing else."""
    done = asr("stream", str(clip), "--url", real.ws_url, "--pace", "0")
    assert " ".join(re.findall(r"[a-z]+", done.stdout.decode().lower())) == FOX
    assert (done.returncode, done.stderr) == (0, b"")


def test_raw_audio_is_streamed_from_standard_input(real: Running, clip: Path) -> None:
    """At its own rate and number of channels."""
    samples, _ = soundfile.read(clip, dtype="float32")
    stereo = sources.pcm16(samples.repeat(2))
    done = asr("stream", "-", "--channels", "2", "--url", real.url, "--pace", "0", data=stereo)
    assert b"lazy dog" in done.stdout.lower()


def test_a_port_that_is_taken_is_said_in_a_sentence() -> None:
    """Exit code 1, at once, with the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = asr("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert re.fullmatch(rb"asr: cannot listen on 127\.0\.0\.1:\d+ \(.*\); choose another with --port.*\n", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["stream", "nothing.wav"], 1, "no file at nothing.wav"),
        (["stream", "nothing.wav", "--model", "gpt-9"], 1, "refused the stream (HTTP 400): unknown model 'gpt-9'"),
        (["stream", "-", "--pace", "-1"], 2, "--pace: found -1, wanted 0 or more"),
        (["stream", "-", "--pace", "nan"], 2, "--pace: found nan, wanted 0 or more"),
        (["stream", "-"], 1, "the stream ended without any audio"),
        (["serve", "--config", "nothing.toml"], 2, "no settings file at nothing.toml"),
        (["serve", "--port", "70000"], 2, "port: found 70000, wanted 0 to 65535"),
        (["serve", "--model", "gpt-9", "--port", "0"], 1, "gpt-9"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    scripted: Running, arguments: list[str], code: int, sentence: str
) -> None:
    """One line on standard error, exit code 1 for a failure and 2 for wrong use."""
    where = ["--url", scripted.ws_url] if arguments[0] == "stream" else []
    done = asr(*arguments, *where, data=b"")
    assert sentence in done.stderr.decode()
    assert done.stderr.startswith(b"asr: ")
    assert done.stderr.count(b"\n") == 1
    assert done.returncode == code


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("ws://h:1", "ws://h:1/v1/listen?model=a"),
        ("http://h:1/", "ws://h:1/v1/listen?model=a"),
        ("https://h", "wss://h/v1/listen?model=a"),
        ("h:1", "ws://h:1/v1/listen?model=a"),
        ("ws://h:1/proxy/v1/listen?tag=x", "ws://h:1/proxy/v1/listen?tag=x&model=a"),
    ],
)
def test_addresses_are_completed(url: str, wanted: str) -> None:
    """With the path where there is none, and the parameters that are given."""
    assert listen_url(url, model="a", language=None) == wanted


@pytest.mark.parametrize(
    "url", ["ftp://h", "ws://", "", "ws://h:99999", "ws://h:0", "ws://h:x", "ws://[::1", "ws://:1"]
)
def test_addresses_that_are_none_are_refused(url: str) -> None:
    """With an example of one."""
    with pytest.raises(ConfigError, match="wanted one like ws://"):
        listen_url(url)


async def silence(*seconds: float) -> AsyncIterator[bytes]:
    for length in seconds:
        yield pcm(length)


def test_the_client_keeps_the_pace(scripted: Running) -> None:
    """Half a second of audio at double pace takes no less than a quarter; the order of words is kept."""
    heard: list[dict[str, Any]] = []

    async def stream() -> float:
        clock = asyncio.get_running_loop().time
        began = clock()
        await client.stream(f"{scripted.ws_url}?{RAW}", silence(*[0.1] * 5), heard.append, pace=2.0)
        return clock() - began

    assert asyncio.run(stream()) >= 0.25
    assert heard[0]["channel"]["alternatives"][0]["transcript"] == words(1)
    assert heard[-1]["type"] == "Metadata"


def test_the_client_says_why_it_was_refused() -> None:
    """The server's own sentence, with the status."""
    full = pytest.raises(StreamError, match=r"HTTP 503.*all 1 places are taken")
    with running(ScriptedEngine(), max_streams=1) as server, server.listen(), full:
        asyncio.run(client.stream(f"{server.ws_url}?{RAW}", silence(0.1), print))


def test_the_client_says_why_the_stream_was_ended(scripted: Running) -> None:
    """The Error message and the close code."""
    with pytest.raises(StreamError, match=r"code 1008: .*Ogg|WebM"):
        asyncio.run(client.stream(scripted.ws_url, silence(1.0), lambda message: None, pace=None))


def test_a_source_that_is_stopped_still_has_its_last_words(scripted: Running) -> None:
    """Ctrl-C at the microphone ends the recording, not the program."""
    heard: list[dict[str, Any]] = []

    async def stream() -> None:
        stop = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            for count in range(1000):
                yield pcm(0.1)
                await asyncio.sleep(0)
                if count == 11:
                    stop.set()
            pytest.fail("nobody stopped it")

        await client.stream(f"{scripted.ws_url}?{RAW}", sources.until(stop, endless()), heard.append, pace=None)

    asyncio.run(stream())
    assert heard[0]["channel"]["alternatives"][0]["transcript"] == words(2)


def result(text: str, *, final: bool, ends: bool = False) -> dict[str, Any]:
    channel = {"alternatives": [{"transcript": text.strip(), "text": text, "words": []}]}
    return {"type": "Results", "is_final": final, "speech_final": ends, "channel": channel, "lag_s": 0.0}


def test_the_display_prints_an_utterance_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe: no tail, no colours, brackets as they are, lines not broken, and the rest when the stream ends."""
    with Display(Console(force_terminal=False, width=10)) as display:
        for message in (
            result(" The [quick]", final=True),
            result(" brawn", final=False),
            result(" brown.", final=True, ends=True),
            result(" Fox", final=True),
            {"type": "Metadata"},
        ):
            display.show(message)
    assert capsys.readouterr().out == "The [quick] brown.\nFox\n"


def test_the_display_shows_the_tail_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Paler than what is committed."""
    with Display(Console(force_terminal=True, width=80, legacy_windows=False)) as display:
        display.show(result(" The quick", final=True))
        display.show(result(" brawn", final=False))
        assert "The quick\x1b[90m brawn\x1b[0m" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("height", "rows"), [(10, ["one two", "three four", "five six", "seven"]), (4, ["five six", "seven"])]
)
def test_the_display_shows_the_newest_words_however_many_there_are(height: int, rows: list[str]) -> None:
    """Lines are broken between words; where they are more than the terminal has, the last ones are seen."""
    terminal = Console(force_terminal=True, width=10, height=height, legacy_windows=False, file=StringIO())
    with Display(terminal) as display:
        display.show(result(" one two three four", final=True))
        display.show(result(" five six seven", final=False))
        seen = terminal.render_lines(display._render(), pad=False)
    assert ["".join(part.text for part in row).strip() for row in seen] == [*rows, "lag 0.0 s"]
