"""Secrets of clients in places where none belong: whatever refuses them, no byte of the logs holds them."""

import json
import logging
import re
import socket as sockets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from server.access.logs import known_address, known_path, without_values
from server.http.refusals import KNOWN_VALUES
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
    "a plain word": ("swordfish", "swordfish"),
    "a word and a number": ("hunter23", "hunter23"),
    "three letters": ("Qzj", "Qzj"),
    "a PIN": ("90471183", "90471183"),
    "a sentence": ("open sesame, wanted", "sesame"),
    "quotes": ("it's \"zanzibar", "zanzibar"),
}
"""Each with the part of it that must not be logged."""
NAMES = sorted({*deepgram_query.KNOWN, "colour", "utterances", "url", "intent", "eot_threshold", "summarize"})
"""Of parameters, known and unknown."""
_TOKEN_ONLY = {ord(c): "-" for c in " ,:/?=@\"'"}
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


def all_requests(server: Running, right: str, value: str, names: Sequence[str]) -> None:
    """The value in queries, paths, bodies, forms, headers and messages of every wire."""
    headers, url, ws = {"Authorization": f"Token {right}"}, server.url, server.url.replace("http", "ws")
    asked = {"url": value}
    with Careless(headers=headers, timeout=30) as http:
        for number, name in enumerate(names):
            query = f"{quote(name)}={quote(value, safe='')}"
            path = (f"/v1/listen?{RAW}", "/v2/listen?model=flux-general-en", "/v1/realtime?x=1")[number % 3]
            http.get(f"{url}{path}&{query}")
            http.post(f"{url}/v1/listen?{query}", content=b"x")
        http.get(f"{url}/v1/listen?{quote(value, safe='')}=1")
        for path in (f"/{quote(value)}", f"/v1/models/{quote(value, safe='')}", f"/v1/projects/{quote(value)}/keys"):
            http.get(url + path)
            http.post(url + path)
        for path in ("/v1/listen", "/v1/auth/grant", "/v1/realtime/client_secrets"):
            for body in (asked, {"ttl_seconds": value}, {"expires_after": value}, {value: 1}, value):
                http.post(url + path, json=body)
        for session in SESSIONS:
            http.post(f"{url}/v1/realtime/client_secrets", json={"session": session(value)})
        for field in FIELDS:
            for route in ("transcriptions", "translations"):
                http.post(f"{url}/v1/audio/{route}", data={field: value}, files={"file": (value, wav(0.1))})
        for name in ("Origin", "Cookie", "User-Agent", "Content-Type", "X-Forwarded-For", "Referer"):
            http.post(f"{url}/v1/listen", content=b"x", headers={name: value})
        http.request(value.translate(_TOKEN_ONLY), f"{url}/v1/listen?token=x")
        http.get(f"{url}/v1/models?token=x", headers={"X-Forwarded-For": value})
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
def test_a_secret_in_the_wrong_place_is_in_no_log(
    keys: Made, logs: tuple[Path, Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """But its refusal is: a line says which parameter or field was wrong, and of which kind."""
    wyoming = sockets.create_server(("127.0.0.1", 0))
    with running(ScriptedEngine(), wyoming=wyoming, keys_file=str(keys.file)) as server:
        for number, (value, _) in enumerate(SECRETS.values()):
            all_requests(server, keys.secrets["all"], value, NAMES[number % 3 :: 3])
            ask_wyoming(server.wyoming_port, value)
        eventually(lambda: server.metric("asr_open_streams") == 0)
    printed = capfd.readouterr()
    logged = b"".join(file.read_bytes() for file in logs) + printed.out.encode() + printed.err.encode()
    assert logged.count(b"refused ") > 60 * len(SECRETS)
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
    "value", ["it's hunter22", 'a "hunter22"', "'\"hunter22", "\\'hunter22", "hunter22" * 9, "'hunter22", "hunter22"]
)
def test_a_quoted_value_is_cut_out_whatever_quotes_it_has(value: str) -> None:
    """Sentences quote what they found as Python does, bytes too; long ones are cut in the middle of it."""
    for quoted in (repr(value), repr(value.encode())):
        sentence = f"don't: found {quoted}, wanted another"
        assert without_values(sentence).replace("b'", "'") == "don't: found '...', wanted another"
        assert "hunter22" not in without_values(f"found {quoted}"[:-1])


@pytest.mark.parametrize(
    "secret",
    [
        *(value for value, _ in list(SECRETS.values())[:4]),
        "https://hooks.example/asr?access_token=verysecret",
        "HTTPS%3A%2F%2Fanna%3Ahunter22%40hooks.example",
        "redis://:hunter22@cache:6379/0",
        "sk-proj-4Dk29sKx02mQpZ8vRt61Lw7yBn3c",
    ],
)
def test_what_may_be_a_secret_is_cut_out_where_nothing_quotes_it_too(secret: str) -> None:
    """As in the sentence of a library."""
    assert without_values(f"cannot read {secret} (refused)") in (
        "cannot read ... (refused)",
        "cannot read https:... (refused)",
        "cannot read HTTPS:... (refused)",
        "cannot read redis:... (refused)",
    )


def test_what_the_request_gave_is_cut_out_unquoted_too() -> None:
    """And numbers of more than three digits, but not those that were wanted."""
    given = ("summarize", "hunter", "v2")
    assert without_values("summarize=hunter is not supported", {"summarize"}, given) == "summarize=... is not supported"
    assert without_values("rate: found 471147, wanted 8000 or 16000") == "rate: found ..., wanted 8000 or 16000"


@pytest.mark.parametrize(
    "sentence",
    [
        "encoding: found 'linear16', wanted one of linear16, linear32, opus-raw (or none for Ogg, WebM, WAV, FLAC)",
        "model whisper-tiny.en does not know language 'german'; it knows en",
        "channels: found '9', wanted 1 to 8; don't send more",
        "all 32 places are taken; try again in 5 seconds",
        "unknown parameter 'callback'; known are encoding, sample_rate",
    ],
)
def test_what_is_known_stays_readable(sentence: str) -> None:
    """An operator must see what was wrong."""
    assert without_values(sentence, KNOWN_VALUES) == sentence


def test_a_path_and_an_address_are_known_or_are_not_logged() -> None:
    """`/v1/models/swordfish`; behind a proxy anyone can send any client's address."""
    assert known_path("/v1/realtime/client_secrets") == "/v1/realtime/client_secrets"
    assert known_path("/v1/models/swordfish//x") == "/v1/models/...//..."
    assert [known_address(text) for text in ("127.0.0.1", "::1", "fe80::1%eth0", "swordfish", "")] == [
        "127.0.0.1",
        "::1",
        "fe80::1",
        "",
        "",
    ]


@pytest.mark.parametrize("name", ["steadyword.server", "uvicorn.error", "asyncio"])
def test_a_traceback_says_where_and_not_which_value(name: str, logs: tuple[Path, Path, Path]) -> None:
    """A fault of the server, whose exception repeats what the client sent."""
    try:
        try:
            raise KeyError("swordfish")
        except KeyError:
            int("hunter23")
    except ValueError as error:
        logging.getLogger(name).error("Task exception was never retrieved: %r", str(error)[:0], exc_info=error)
    try:
        raise ValueError("found 'hunter23' in\n  '  swordfish'\n    - 'hunter23'\n  File 'hunter23'\n\n    'swordfish'")
    except ValueError as error:
        error.add_note("a worker said:\n  'swordfish'")
        logging.getLogger(name).error("several lines", exc_info=error)
    logging.getLogger("asyncio").error("exception=%r", ValueError("swordfish"))
    logged = logs[2].read_text()
    assert "in test_a_traceback_says_where" in logged
    assert "KeyError: '...'" in logged
    assert "ValueError: invalid literal for int() with base 10: '...'" in logged
    code = re.compile(r"  File .*\n    .*\n(?: +[~^]+\n)?")
    assert len(code.findall(logged)) >= 3
    assert not re.search("swordfish|hunter23", code.sub("", logged))
