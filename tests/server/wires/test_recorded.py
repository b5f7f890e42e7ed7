"""What real clients sent (recorded/*.json, made by scripts/clients/record.py), sent again to a scripted engine.

So their messages are tried without the clients, which clash with our environment.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from server.address import bind
from server.config import load_settings
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running
from tests.server.wires.wyoming_client import Client

pytestmark = pytest.mark.slow

RECORDED = [
    pytest.param(connection, id=f"{file.stem}-{number}")
    for file in sorted((Path(__file__).parent / "recorded").glob("*.json"))
    for number, connection in enumerate(json.loads(file.read_text(encoding="utf-8")))
]
CONNECTIONS = [each for each in RECORDED if each.values[0]["path"] != "wyoming"]  # type: ignore[call-overload,index]
WYOMING = [each for each in RECORDED if each not in CONNECTIONS]
PIECE_BYTES = 32_000
CLIENTS = ("deepgram_sdk_3", "javascript_sdks", "livekit_plugins", "pipecat_services", "python_sdks", "wyoming")


class American(ScriptedEngine):
    name = "whisper-tiny.en"  # the name that a client found in the description
    languages = ("en", "en-US", "ja")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with bind(load_settings(), 0) as wyoming, running(American(), wyoming=wyoming) as server:
        yield server


def send(socket: ClientConnection, message: dict[str, Any]) -> None:
    """The message; audio as silence of its length."""
    for kind in ("binary_bytes", "appended_bytes"):
        for start in range(0, message.get(kind, 0), PIECE_BYTES):
            audio = bytes(min(PIECE_BYTES, message[kind] - start))
            if kind == "binary_bytes":
                socket.send(audio)
            else:
                text = base64.b64encode(audio).decode()
                socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": text}))
    if "type" in message:
        socket.send(json.dumps(message))


def answers(socket: ClientConnection, is_last: Any) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    try:
        while not (seen and is_last(seen[-1])):
            seen.append(json.loads(socket.recv(timeout=30)))
    except ConnectionClosed:
        pass
    return seen


def is_completed(message: dict[str, Any]) -> bool:
    return str(message["type"]).endswith("transcription.completed")


def test_there_are_connections_of_each_client() -> None:
    """To each of the live wires; of each client with a script."""
    files = {Path(__file__).parent / "recorded" / f"{name}.json" for name in CLIENTS}
    assert [file.name for file in files if not file.exists()] == []
    assert WYOMING
    paths = {connection.values[0]["path"].partition("?")[0] for connection in CONNECTIONS}  # type: ignore[union-attr]
    assert paths == {"/v1/listen", "/v2/listen", "/v1/realtime"}
    assert len(CONNECTIONS) >= 18


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_a_recorded_client_gets_its_words_and_no_error(server: Running, connection: dict[str, Any]) -> None:
    """A final text, in the form of its wire."""
    path = connection["path"]
    with connect(server.url.replace("http", "ws") + path, compression=None) as socket:
        for message in connection["sent"]:
            send(socket, message)
        if "realtime" not in path and connection["sent"][-1].get("type") != "CloseStream":
            socket.send('{"type": "CloseStream"}')  # such clients just leave
        messages = answers(socket, is_completed)
    assert not [message for message in messages if message["type"] in ("Error", "error", "ConfigureFailure")]
    if "realtime" in path:
        assert messages[-1]["transcript"].startswith("w0")
    elif "v2" in path:
        assert "EndOfTurn" in [message.get("event") for message in messages]
    else:
        finals = [m for m in messages if m["type"] == "Results" and m["is_final"]]
        assert finals[0]["channel"]["alternatives"][0]["transcript"].startswith("w0")
        assert messages[-1]["type"] == "Metadata"


@pytest.mark.parametrize("connection", WYOMING)
def test_a_recorded_wyoming_client_is_answered(server: Running, connection: dict[str, Any]) -> None:
    """A description, or the words of its audio."""
    client = Client(server.wyoming_port)
    form: dict[str, Any] = {}
    for message in connection["sent"]:
        form = message["data"] if message.get("type") == "audio-start" else form
        if "payload_bytes" in message:
            client.send("audio-chunk", form, bytes(message["payload_bytes"]))
        else:
            client.send(message["type"], message["data"])
    if connection["sent"][-1]["type"] == "describe":
        assert client.until("info")[-1][1]["asr"][0]["models"]
    else:
        [text] = [data["text"] for kind, data in client.until("transcript-stop") if kind == "transcript"]
        assert text.startswith("w0 w1")
    client.close()
