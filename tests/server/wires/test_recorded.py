"""What real clients sent (recorded/*.json, made by scripts/clients/record.py), sent again to a scripted engine.

So their messages are tried without the clients, which clash with our environment.
"""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
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
UPLOADS = [each for each in RECORDED if "method" in each.values[0]]  # type: ignore[operator]
WYOMING = [each for each in RECORDED if each.values[0]["path"] == "wyoming"]  # type: ignore[call-overload,index]
CONNECTIONS = [each for each in RECORDED if each not in UPLOADS + WYOMING]
PIECE_BYTES = 32_000
UPLOADERS = ("deepgram_sdk_3_uploads", "javascript_sdks_uploads", "livekit_plugins_uploads", "python_sdks_uploads")
CLIENTS = (
    *UPLOADERS,
    "deepgram_sdk_3",
    "javascript_sdks",
    "livekit_plugins",
    "pipecat_services",
    "python_sdks",
    "wyoming",
)


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


def wav(size: int) -> bytes:
    """A WAV file of silence, as long in bytes as the recorded file."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros((size - 44) // 2, np.int16), 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def body_of(request: dict[str, Any]) -> bytes:
    """The recorded body, a file's content as silence."""
    if "parts" not in request:
        return wav(request["binary_bytes"])
    boundary = request["content_type"].partition("boundary=")[2].strip('"').encode()
    body = b""
    for part in request["parts"]:
        content = wav(part["bytes"]) if "bytes" in part else part["text"].encode()
        body += b"--" + boundary + b"\r\n" + part["head"].encode() + b"\r\n\r\n" + content + b"\r\n"
    return body + b"--" + boundary + b"--\r\n"


@pytest.mark.parametrize("request_", UPLOADS)
def test_a_recorded_upload_gets_its_words(server: Running, request_: dict[str, Any]) -> None:
    """In the form of its API; with `stream` as events."""
    headers = {"content-type": request_["content_type"]}
    answer = httpx.post(server.url + request_["path"], content=body_of(request_), headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    if "/v1/listen" in request_["path"]:
        text = answer.json()["results"]["channels"][0]["alternatives"][0]["transcript"]
    elif answer.headers["content-type"].startswith("text/event-stream"):
        text = json.loads(answer.text.split("data: ")[-2].strip())["text"]
    else:
        text = answer.json()["text"]
    assert text.startswith("w0 w1")


def test_there_are_uploads_of_each_api() -> None:
    """Of Deepgram's SDKs and OpenAI's, in Python and JavaScript, with and without events."""
    paths = {upload.values[0]["path"].partition("?")[0] for upload in UPLOADS}  # type: ignore[union-attr]
    assert paths == {"/v1/listen", "/v1/audio/transcriptions"}
    assert len(UPLOADS) >= 12
