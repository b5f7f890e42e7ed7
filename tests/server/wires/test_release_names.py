"""The wires without metadata of their own name the release that gave the words, over real sockets."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from asr.config import SAMPLE_RATE_HZ
from server.address import bind
from server.config import load_settings
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, pcm, running, until_closed
from tests.server.wires.wyoming_client import Client

pytestmark = pytest.mark.slow
RELEASE = "m/7"


@pytest.fixture(scope="module", params=[RELEASE, ""])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Running, int, str]]:
    """A server whose model is a release of a ledger, or is none; its Wyoming port."""
    engine = ScriptedEngine()
    engine.release = request.param
    listening = bind(load_settings(), 0)
    with closing(listening), running(engine, wyoming=listening) as server:
        yield server, listening.getsockname()[1], request.param


def _socket(server: Running, path: str) -> ClientConnection:
    return connect(f"{server.url.replace('http', 'ws')}{path}", compression=None)


def _named(message: dict[str, Any]) -> str:
    assert message.get("release") != ""
    return str(message.get("release", ""))


def test_flux_names_it_in_each_turn_info(served: tuple[Running, int, str]) -> None:
    server, _, release = served
    with _socket(server, f"/v2/listen?encoding=linear16&sample_rate={SAMPLE_RATE_HZ}&model=scripted-1") as socket:
        socket.send(pcm(2.7))
        socket.send('{"type": "CloseStream"}')
        messages = [one for one in until_closed(socket)[0] if one["type"] == "TurnInfo"]
    assert {_named(message) for message in messages} == {release}


def test_realtime_names_it_where_a_transcript_is_complete(served: tuple[Running, int, str]) -> None:
    server, _, release = served
    with _socket(server, "/v1/realtime?intent=transcription") as socket:
        audio = {"format": {"type": "audio/pcm", "rate": 24_000}, "turn_detection": None}
        for event in (
            {"type": "session.update", "session": {"type": "transcription", "audio": {"input": audio}}},
            {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm(3.0)).decode()},
            {"type": "input_audio_buffer.commit"},
        ):
            socket.send(json.dumps(event))
        while not (message := json.loads(socket.recv(timeout=30)))["type"].endswith("transcription.completed"):
            assert message["type"] != "error", message
    assert _named(message) == release


def test_wyoming_names_it_in_the_transcript(served: tuple[Running, int, str]) -> None:
    _, port, release = served
    with closing(Client(port)) as client:
        client.say(2.7)
        [transcript] = [data for kind, data in client.until("transcript-stop") if kind == "transcript"]
    assert _named(transcript) == release
