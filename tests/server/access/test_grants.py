"""Short-lived tokens over HTTP, in Deepgram's and OpenAI's forms, and what they open."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.server.access.keys import Made
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running

pytestmark = pytest.mark.slow

GRANT, SECRETS = "/v1/auth/grant", "/v1/realtime/client_secrets"


@pytest.fixture(scope="module")
def server(keys: Made) -> Iterator[Running]:
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        yield server


def post(server: Running, key: str, path: str, body: Any = None) -> httpx.Response:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return httpx.post(server.url + path, content=content, headers={"Authorization": f"Token {key}"})


def opens(server: Running, token: str, path: str, method: str = "GET") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    if method != "WS":
        return httpx.request(method, server.url + path, headers=headers).status_code
    try:
        with connect(server.url.replace("http", "ws") + path, additional_headers=headers):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize("path", [GRANT, SECRETS])
def test_a_token_streams_and_neither_grants_nor_looks_at_the_server(server: Running, keys: Made, path: str) -> None:
    """A client secret is for live streams only."""
    body = post(server, keys.secrets["all"], path).json()
    token = body["access_token"] if path == GRANT else body["value"]
    assert opens(server, token, "/v1/listen?encoding=linear16&sample_rate=16000", "WS") == 101
    assert opens(server, token, "/v1/realtime?intent=transcription", "WS") == 101
    assert opens(server, token, "/v1/models") == 200
    assert opens(server, token, "/v1/listen", "POST") == (400 if path == GRANT else 403)
    for forbidden, method in ((GRANT, "POST"), (SECRETS, "POST"), ("/metrics", "GET"), ("/v1/operate/usage", "GET")):
        assert opens(server, token, forbidden, method) == 403


def test_the_answers_have_the_forms_of_the_apis(server: Running, keys: Made) -> None:
    """Defaults: 30 s and 600 s. They are not to be cached."""
    granted = post(server, keys.secrets["only-grant"], GRANT, {"ttl_seconds": 45})
    assert granted.json().keys() == {"access_token", "expires_in"}
    assert granted.json()["expires_in"] == 45
    assert post(server, keys.secrets["all"], GRANT).json()["expires_in"] == 30
    session = {
        "type": "transcription",
        "audio": {"input": {"transcription": {"model": "scripted-1", "language": "ja"}}},
    }
    secret = post(server, keys.secrets["all"], SECRETS, {"expires_after": {"seconds": 60}, "session": session})
    body = secret.json()
    assert body["value"].startswith("ek_")
    assert abs(body["expires_at"] - time.time() - 60) < 10
    assert body["session"]["type"] == "transcription"
    assert body["session"]["audio"]["input"]["transcription"]["language"] == "ja"
    assert {granted.headers["cache-control"], secret.headers["cache-control"]} == {"no-store"}


def test_a_connection_by_a_client_secret_begins_with_its_settings(server: Running, keys: Made) -> None:
    """As at OpenAI: whoever made the secret has chosen them."""
    session = {
        "type": "transcription",
        "audio": {"input": {"transcription": {"language": "ja"}, "turn_detection": None}},
    }
    secret = post(server, keys.secrets["all"], SECRETS, {"session": session}).json()["value"]
    offered: Any = ["realtime", f"openai-insecure-api-key.{secret}"]
    with connect(
        server.url.replace("http", "ws") + "/v1/realtime?intent=transcription", subprotocols=offered
    ) as socket:
        created = json.loads(socket.recv(timeout=30))
    assert created["session"]["audio"]["input"]["transcription"]["language"] == "ja"
    assert created["session"]["audio"]["input"]["turn_detection"] is None


def test_a_client_secret_of_a_server_without_keys_has_its_settings_too() -> None:
    """Any key is taken there, and so is any that is none."""
    with running(ScriptedEngine()) as server:
        session = {"audio": {"input": {"transcription": {"language": "ja"}}}}
        secret = post(server, "any", SECRETS, {"session": session}).json()["value"]
        for key, language in ((secret, "ja"), (secret[:-2] + "AA", None), ("any", None), ("swt_x.y", None)):
            address = server.url.replace("http", "ws") + "/v1/realtime?intent=transcription"
            with connect(address, additional_headers={"Authorization": f"Bearer {key}"}) as socket:
                created = json.loads(socket.recv(timeout=30))
            assert created["session"]["audio"]["input"]["transcription"].get("language") == language


@pytest.mark.parametrize("ttl", [0, -1, 3601, 1e300, "60", True, [], {}, 0.5])
def test_a_lifetime_that_makes_no_sense_is_refused(server: Running, keys: Made, ttl: Any) -> None:
    """400 with the limits."""
    answer = post(server, keys.secrets["all"], GRANT, {"ttl_seconds": ttl})
    assert (answer.status_code, answer.json()["err_code"]) == (400, "INVALID_BODY")
    answer = post(server, keys.secrets["all"], SECRETS, {"expires_after": {"seconds": 7201 if ttl == 3601 else ttl}})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "expires_after")


@pytest.mark.parametrize("body", [b"{", b"[]", b"5", b"\xff", b"[" * 9000, b"x" * 20_000, b'{"a":' * 3000])
@pytest.mark.parametrize("path", [GRANT, SECRETS])
def test_a_body_that_is_no_object_is_refused(server: Running, keys: Made, path: str, body: bytes) -> None:
    """Never 500."""
    assert post(server, keys.secrets["all"], path, body).status_code in (400, 413)


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"type": "realtime"}, "session.type"),
        ([], "session"),
        ({"audio": {"input": {"transcription": {"prompt": "x" * 3500}}}}, "session"),
        ({"audio": {"input": {"transcription": {"model": "nobody"}}}}, "model"),
        ({"audio": {"input": {"format": {"type": "audio/x"}}}}, "session.audio.input.format.type"),
    ],
)
def test_settings_that_cannot_be_served_are_refused(server: Running, keys: Made, session: Any, param: str) -> None:
    """When the secret is made, not when it is used."""
    answer = post(server, keys.secrets["all"], SECRETS, {"session": session})
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["param"] == param


def test_a_stranger_gets_no_token(server: Running) -> None:
    """Nor does a page of another origin, nor one of our own without a key."""
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}):
        assert httpx.post(server.url + GRANT, headers=headers).status_code == 401
        assert httpx.post(server.url + SECRETS, headers=headers).status_code == 401
