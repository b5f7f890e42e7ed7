"""jambonz' custom speech over a real WebSocket, with a scripted engine: the order of messages, and bad input."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.server.fakes import POISON, ScriptedEngine, words
from tests.server.running import Running, eventually, pcm, running, until_closed

pytestmark = pytest.mark.slow

START = {
    "type": "start", "language": "en-US", "format": "raw", "encoding": "LINEAR16", "interimResults": True,
    "sampleRateHz": 16_000, "options": {},
}  # fmt: skip
"""As mod_jambonz_transcribe writes it, but for the rate, which is 8000 there."""


class American(ScriptedEngine):
    languages = ("en", "en-US", "ja")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(American()) as server:
        yield server


def call(server: Running) -> ClientConnection:
    return connect(server.url.replace("http", "ws") + "/v1/jambonz", compression=None)


def said(server: Running, audio: bytes, **start: Any) -> tuple[list[dict[str, Any]], int | None]:
    with call(server) as socket:
        socket.send(json.dumps(START | start))
        socket.send(audio)
        socket.send('{"type": "stop"}')
        return until_closed(socket)


def texts(messages: list[dict[str, Any]], *, final: bool) -> list[str]:
    return [m["alternatives"][0]["transcript"] for m in messages if m["is_final"] is final]


def test_a_final_is_a_whole_utterance(server: Running) -> None:
    """Interim results have the utterance so far. The server closes after `stop`, as jambonz wants."""
    messages, code = said(server, pcm(2.7))
    assert code == 1000
    assert texts(messages, final=True) == [words(4), "w4"]
    assert texts(messages, final=False)[-1] == "w4"
    assert messages[0].items() >= {"type": "transcription", "language": "en-US", "channel": 0}.items()
    assert messages[0]["alternatives"][0]["confidence"] == 0.9
    eventually(lambda: server.metric("asr_open_streams") == 0)


def test_without_interim_results_finals_come_alone(server: Running) -> None:
    """The same finals."""
    messages, _ = said(server, pcm(2.7), interimResults=False)
    assert texts(messages, final=True) == [words(4), "w4"]
    assert len(messages) == 2


def test_settings_reach_the_model(server: Running) -> None:
    """The rate, the language, and of the application's options model and hints."""
    engine = server.service.schedulers["scripted-1"].engine
    options = {"model": "whisper-1", "hints": ["Ada", {"phrase": "lamp", "boost": 20}], "punctuation": True}
    messages, _ = said(server, pcm(0.5), sampleRateHz=8_000, language="ja", options=options)
    assert texts(messages, final=True) == [words(2)]
    assert engine.asked[-1] == ("", ("Ada", "lamp"))  # type: ignore[attr-defined]
    assert engine.opened[-1].language == "ja"  # type: ignore[attr-defined]


BAD = [
    ("hello", "not JSON"),
    ("[]", "unknown type"),
    ('{"type": "Start"}', "unknown type"),
    (json.dumps(START | {"encoding": "MULAW"}), "encoding: found 'MULAW', wanted LINEAR16"),
    (json.dumps(START | {"sampleRateHz": "8000"}), "sampleRateHz: found '8000', wanted 8000 to 48000"),
    (json.dumps(START | {"sampleRateHz": True}), "sampleRateHz: found True"),
    (json.dumps(START | {"language": ["en"]}), "language: found"),
    (json.dumps(START | {"language": "tlh"}), "'tlh'"),
    (json.dumps(START | {"options": [1]}), "options: found"),
    (json.dumps(START | {"options": {"hints": "fox"}}), "wanted a list"),
    (json.dumps(START | {"options": {"hints": [1]}}), "options.hints: found 1"),
    (json.dumps(START | {"options": {"model": "gpt-9"}}), "unknown model"),
    (b"\0\0", "before the stream's settings"),
    ('{"type": "stop"}', "without any audio"),
]


@pytest.mark.parametrize(("frame", "sentence"), BAD)
def test_what_cannot_be_served_is_an_error_and_closes(server: Running, frame: str | bytes, sentence: str) -> None:
    """In jambonz' form; a neighbour is not hurt."""
    with call(server) as neighbour, call(server) as socket:
        neighbour.send(json.dumps(START))
        neighbour.send(pcm(1.3))
        socket.send(frame)
        [error], code = until_closed(socket)
        assert (error["type"], code) == ("error", 1008)
        assert sentence in error["error"]
        neighbour.send('{"type": "stop"}')
        assert texts(until_closed(neighbour)[0], final=True) == [words(2)]
    eventually(lambda: server.metric("asr_open_streams") == 0)


def test_a_failing_model_is_an_error(server: Running) -> None:
    """1011, with the words before it."""
    messages, code = said(server, pcm(2.0) + pcm(0.5, POISON))
    assert (messages[-1]["type"], code) == ("error", 1011)


def test_plain_http_is_sent_to_websockets(server: Running) -> None:
    """As at the other addresses of sockets."""
    assert httpx.get(server.url + "/v1/jambonz").status_code == 426
