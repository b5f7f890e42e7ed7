"""Secrets of clients in places where none belong: whatever refuses them, no byte of the logs holds them."""

import json
import socket as sockets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from server.access.logs import without_secrets
from server.wires import deepgram_query
from tests.server.access.keys import Made
from tests.server.fakes import ScriptedEngine
from tests.server.running import RAW, Running, eventually, running, wav
from tests.server.wires.wyoming_client import Client

SECRETS = {
    "an address with a password": ("https://anna:hunter22@hooks.example/asr?x=1", "hunter22"),
    "a user and a password": ("anna:hunter22@hooks.example", "hunter22"),
    "a key of Deepgram": ("8f3b1c0d9e7a4652b1f0c3d4e5a69788c7d6e5f4", "8f3b1c0d"),
    "a JSON Web Token": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLTEyMw", "eyJzdWIi"),
}
"""Each with the part of it that must not be logged."""
NAMES = sorted({*deepgram_query.KNOWN, "colour", "utterances", "url", "intent", "eot_threshold", "summarize"})
"""Of parameters, known and unknown."""
FIELDS = ("model", "language", "prompt", "response_format", "temperature", "hotwords", "stream", "callback_url")
SESSIONS: tuple[Callable[[str], Any], ...] = (
    lambda value: {"type": value},
    lambda value: {"type": "transcription", "audio": {"input": {"format": {"type": value}}}},
    lambda value: {"type": "transcription", "audio": {"input": {"transcription": {"model": value}}}},
    lambda value: {"type": "transcription", "audio": {"input": {"transcription": {"language": value}}}},
    lambda value: {"type": "transcription", "audio": {"input": {"turn_detection": {"type": value}}}},
    lambda value: {value: 1},
)


class Careless(httpx.Client):
    """Does not mind when a refusal cuts off what it still sends."""

    def request(self, *given: Any, **options: Any) -> Any:
        with suppress(httpx.TransportError):
            return super().request(*given, **options)


def all_requests(server: Running, right: str, value: str) -> None:
    """The value in queries, paths, bodies, forms, headers and messages of every wire."""
    headers, url, ws = {"Authorization": f"Token {right}"}, server.url, server.url.replace("http", "ws")
    asked = {"url": value}
    with Careless(headers=headers, timeout=30) as http:
        for number, name in enumerate(NAMES):
            query = f"{quote(name)}={quote(value, safe='')}"
            path = (f"/v1/listen?{RAW}", "/v2/listen?model=flux-general-en", "/v1/realtime?x=1")[number % 3]
            http.get(f"{url}{path}&{query}")
            http.post(f"{url}/v1/listen?{query}", content=b"x")
        http.get(f"{url}/v1/listen?{quote(value, safe='')}=1")
        for path in (f"/{quote(value)}", f"/v1/models/{quote(value, safe='')}", f"/v1/projects/{quote(value)}/keys"):
            http.get(url + path)
            http.post(url + path)
        for path in ("/v1/listen", "/v1/auth/grant", "/v1/realtime/client_secrets"):
            for body in (asked, {"ttl_seconds": value}, {"expires_after": value}, value):
                http.post(url + path, json=body)
        for session in SESSIONS:
            http.post(f"{url}/v1/realtime/client_secrets", json={"session": session(value)})
        for field in FIELDS:
            for route in ("transcriptions", "translations"):
                http.post(f"{url}/v1/audio/{route}", data={field: value}, files={"file": (value, wav(0.1))})
        for name in ("Origin", "Cookie", "User-Agent", "Content-Type", "X-Forwarded-For", "Referer"):
            http.post(f"{url}/v1/listen", content=b"x", headers={name: value})
        http.get(f"{url}/v1/models", headers={"Host": value.replace(" ", "")})
        http.get(f"{url}/v1/models", headers={"Authorization": f"Token {value}"})
    messages = [json.dumps({"type": "session.update", "session": session(value)}) for session in SESSIONS]
    say(f"{ws}/v1/realtime?intent=transcription", headers, *messages, json.dumps({"type": value}), value)
    start = {"type": "start", "language": value, "sampleRateHz": 8000, "format": "raw", value: value}
    say(f"{ws}/v1/jambonz", headers, json.dumps(start))
    say(f"{ws}/v1/jambonz", headers, value)
    for path in (f"/v1/listen?{RAW}", f"/v2/listen?model=flux-general-en&{RAW}"):
        say(ws + path, headers, json.dumps({"type": "Configure", "language_hint": value, value: value}), value)
    say(f"{ws}/v1/listen?{RAW}&resume={quote(value)}", headers)


def say(address: str, headers: dict[str, str], *messages: str) -> None:
    """Each message on a connection of its own."""
    for message in messages or ("",):
        with suppress(InvalidHandshake, ConnectionClosed), connect(address, additional_headers=headers) as socket:
            socket.send(message)


@pytest.mark.slow
def test_a_secret_in_the_wrong_place_is_in_no_log(keys: Made, logs: tuple[Path, Path, Path]) -> None:
    """But its refusal is: a line says which parameter or field was wrong, and of which kind."""
    wyoming = sockets.create_server(("127.0.0.1", 0))
    with running(ScriptedEngine(), wyoming=wyoming, keys_file=str(keys.file)) as server:
        for value, _ in SECRETS.values():
            all_requests(server, keys.secrets["all"], value)
            ask_wyoming(server.wyoming_port, value)
        eventually(lambda: server.metric("asr_open_streams") == 0)
    logged = b"".join(file.read_bytes() for file in logs)
    assert logged.count(b"refused ") > 100 * len(SECRETS)
    assert {what: logged.count(telling.encode()) for what, (_, telling) in SECRETS.items()} == dict.fromkeys(SECRETS, 0)
    assert keys.secrets["all"].encode() not in logged


def ask_wyoming(port: int, value: str) -> None:
    """The value in events and their data."""
    for kind in ("describe", "transcribe", value):
        client = Client(port)
        client.send(kind, {"language": value, "name": value})
        client.send("audio-start", {"rate": value})
        client.close()


@pytest.mark.parametrize(
    "value", ["it's hunter22", 'a "hunter22"', "'\"hunter22", "\\'hunter22", "hunter22" * 9, "'hunter22"]
)
def test_a_quoted_value_is_cut_out_whatever_quotes_it_has(value: str) -> None:
    """Sentences quote what they found as Python does; long ones are cut in the middle of it."""
    sentence = f"don't: found {value!r}, wanted another"
    assert without_secrets(sentence) == "don't: found '...', wanted another"
    assert "hunter22" not in without_secrets(f"found {value!r}"[:-1])


@pytest.mark.parametrize(
    "secret",
    [
        *(value for value, _ in SECRETS.values()),
        "https://hooks.example/asr?access_token=verysecret",
        "HTTPS%3A%2F%2Fanna%3Ahunter22%40hooks.example",
        "redis://:hunter22@cache:6379/0",
        "sk-proj-4Dk29sKx02mQpZ8vRt61Lw7yBn3c",
    ],
)
def test_what_may_be_a_secret_is_cut_out_where_nothing_quotes_it_too(secret: str) -> None:
    """As in a path."""
    assert without_secrets(f"/v1/models/{secret} (refused)") in (
        "/v1/models/... (refused)",
        "... (refused)",
        "/v1/models/https:... (refused)",
        "/v1/models/HTTPS:... (refused)",
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "/v1/realtime/client_secrets",
        "encoding: found 'mp4', wanted one of linear16, linear32, opus-raw (or none for Ogg, WebM, WAV, FLAC)",
        "unknown model 'whisper-tiny'; this server has whisper-tiny.en, openai/whisper-base",
        "channels: found '9', wanted 1 to 8; don't send more",
        "all 32 places are taken; try again in 5 seconds",
    ],
)
def test_what_is_no_secret_stays_readable(sentence: str) -> None:
    """An operator must see what was wrong."""
    assert without_secrets(sentence) == sentence
