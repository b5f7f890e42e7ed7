"""`asr serve` and `asr stream` in a process, as a user runs them."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from server.client.protocol import pcm16
from tests.server.access.keys import made
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running

FOX = "the quick brown fox jumps over the lazy dog"
ASR = str(Path(sys.executable).with_name("asr"))


def asr(*arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([ASR, *arguments], input=data, capture_output=True, timeout=120, check=False)


def test_help_does_not_load_the_model_library() -> None:
    """`asr --help` answers immediately."""
    code = "import sys; from asr.cli import build_app; build_app(); print('torch' in sys.modules, 'av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_file_is_streamed_and_its_words_printed(real: Running, clip: Path) -> None:
    """To a pipe: an utterance a line, nothing else."""
    done = asr("stream", str(clip), "--url", real.ws_url, "--pace", "0")
    assert " ".join(re.findall(r"[a-z]+", done.stdout.decode().lower())) == FOX
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_the_key_of_a_server_comes_from_the_environment(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the refusal says what is wanted. Never as an option: other users see a process's arguments."""
    keys = made(tmp_path)
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        refused = asr("stream", str(clip), "--url", server.url, "--pace", "0")
        assert refused.returncode == 1
        assert b"refused the stream (HTTP 401): found no key, wanted the header" in refused.stderr
        monkeypatch.setenv("ASR_KEY", keys.secrets["only-listen"])
        done = asr("stream", str(clip), "--url", server.url, "--pace", "0")
        assert (done.returncode, done.stdout.split()[:2]) == (0, [b"w0", b"w1"])


def test_raw_audio_is_streamed_from_standard_input(real: Running, clip: Path) -> None:
    """At its own rate and number of channels."""
    samples, _ = soundfile.read(clip, dtype="float32")
    stereo = pcm16(samples.repeat(2))
    done = asr("stream", "-", "--channels", "2", "--url", real.url, "--pace", "0", data=stereo)
    assert b"lazy dog" in done.stdout.lower()


def test_a_taken_port_is_reported_in_a_sentence() -> None:
    """Exit code 1, before any model is loaded, with a remedy."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = asr("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert re.fullmatch(rb"asr: cannot listen on 127\.0\.0\.1:\d+ \(.*\); choose another with --port.*\n", done.stderr)


def test_the_first_line_says_what_is_loaded() -> None:
    """On standard error, before the imports, which take seconds; standard output has the address when it answers."""
    done = asr("serve", "--port", "0", "--model", "nowhere")
    first, second, rest = done.stderr.split(b"\n")
    assert (first, rest) == (b"asr: loading nowhere", b"")
    assert second.startswith(b"asr: no model named 'nowhere'")
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.model
@pytest.mark.slow
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
        (["serve", "--engine", "spark"], 2, "unknown --engine 'spark'; wanted local or ray"),
        (["serve", "--engine", "ray", "--replicas", "0"], 2, "--replicas: found '0'"),
    ],
)
def test_failures_are_reported_in_a_sentence(scripted: Running, arguments: list[str], code: int, sentence: str) -> None:
    """One line on standard error, exit code 1 for a failure and 2 for wrong use."""
    where = ["--url", scripted.ws_url] if arguments[0] == "stream" else []
    done = asr(*arguments, *where, data=b"")
    assert sentence in done.stderr.decode()
    assert done.stderr.startswith(b"asr: ")
    assert done.stderr.count(b"\n") == 1
    assert done.returncode == code
