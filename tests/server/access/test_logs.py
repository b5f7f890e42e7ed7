"""What is logged about streams, uploads and refusals, and what never is: words, audio, keys, tokens."""

import json
from contextlib import suppress
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from server.access.keys import new_key
from server.access.logs import LineLimit, redacted
from tests.server.access.keys import SPELLINGS, made
from tests.server.fakes import ScriptedEngine
from tests.server.running import CLOSE, RAW, eventually, pcm, running, until_closed, wav


def entries(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.slow
def test_a_line_for_each_stream_and_upload_and_nothing_secret_in_any_byte(
    tmp_path: Path, logs: tuple[Path, Path, Path]
) -> None:
    """Keys, right and wrong, in every spelling and in places where none belongs; tokens; prompts; recognised words."""
    requests, audit, _ = logs
    keys = made(tmp_path)
    right, wrong = keys.secrets["all"], new_key()
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        where = server.ws_url
        with server.listen(f"{RAW}&prompt=secretprompt&keyterm=secretterm", **ws(SPELLINGS["Token"](right))) as socket:
            socket.send(pcm(2.0))
            socket.send(CLOSE)
            messages, _ = until_closed(socket)
        headers = {"Authorization": f"Bearer {right}"}
        files = {"file": ("secretname.wav", wav(1.0))}
        uploaded = httpx.post(server.url + "/v1/audio/transcriptions", files=files, headers=headers)
        token = httpx.post(server.url + "/v1/auth/grant", headers=headers).json()["access_token"]
        secret = httpx.post(server.url + "/v1/realtime/client_secrets", headers=headers).json()["value"]
        secrets = [right, wrong, token, secret, token[:-9] + "AAAAAAAAA", keys.secrets["not-listen"]]
        for key in secrets:
            for spell in SPELLINGS.values():
                attempt(f"{where}?{RAW}", **ws(spell(key)))
            for query in (f"token={key}", f"{RAW}&model={key}", f"{RAW}&{key}=1", f"{RAW}&language={key}"):
                attempt(f"{where}?{query}", additional_headers=headers)
            attempt(f"{server.url.replace('http', 'ws')}/{key}", additional_headers=headers)
            for path in (f"/v1/models/{key}", f"/{key}", f"/v1/models?api_key={key}"):
                httpx.get(server.url + path, headers=headers)
            httpx.post(server.url + "/v1/audio/transcriptions", data={"model": key}, files=files, headers=headers)
        httpx.get(f"{server.url}/v1/listen?{RAW}", headers=headers)  # asks what a WebSocket would get: no stream
        eventually(lambda: any(entry.get("kind") == "stream" for entry in entries(requests)))
    logged = b"".join(file.read_bytes() for file in logs)
    assert len(logged) > 20_000
    for secret in (*secrets, "secretprompt", "secretterm", "secretname", "w0 w1", "w0"):
        assert secret.encode() not in logged, secret
    assert wrong[3:].encode() not in logged
    assert {entry["kind"] for entry in entries(requests)} == {"stream", "POST"}
    stream = next(entry for entry in entries(requests) if entry["kind"] == "stream")
    assert stream["request_id"] == messages[-1]["request_id"]
    wanted = {"key": "all", "path": "/v1/listen", "model": "scripted-1", "audio_s": 2.0, "code": 1000}
    assert stream | wanted == stream
    assert stream["weights_sha256"] == ScriptedEngine.weights_sha256
    upload = next(entry for entry in entries(requests) if entry["kind"] == "POST")
    assert uploaded.status_code == 200
    assert (upload["key"], upload["audio_s"], upload["code"]) == ("all", 1.0, 200)
    reasons = {entry["reason"] for entry in entries(audit) if entry["event"] == "refused"}
    assert {"UnknownKey", "KeyInAddress", "Scope"} <= reasons
    assert {entry["address"] for entry in entries(audit) if entry["event"] == "refused"} == {"127.0.0.1"}


@pytest.mark.slow
def test_the_token_of_a_resumable_stream_is_in_no_log(tmp_path: Path, logs: tuple[Path, Path, Path]) -> None:
    """Used, with another key, too late, and in places where none belongs: whoever has it could take the stream over."""
    keys = made(tmp_path)
    right, other = (keys.secrets[name] for name in ("all", "only-listen"))
    tokens = []
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        with server.listen(f"{RAW}&resumable=30", **ws(SPELLINGS["Token"](right))) as socket:
            tokens.append(json.loads(socket.recv())["resume"])
            socket.send(pcm(1.0))
            socket.socket.shutdown(SHUT_RDWR)  # without a farewell
        eventually(lambda: server.metric("asr_detached_streams") == 1)
        for key in (other, right, right):  # another's, its own, and again: its successor has been used
            with suppress(InvalidStatus), server.listen(f"resume={tokens[0]}", **ws(SPELLINGS["Token"](key))) as socket:
                tokens.append(json.loads(socket.recv())["resume"])
                socket.send(CLOSE)
                until_closed(socket)
        shown, url = SPELLINGS["Token"](right), server.url
        for token in tokens:
            for query in (f"resume=x&sequence={token}", f"{RAW}&model={token}", f"{RAW}&resume={token}&offset={token}"):
                attempt(f"{server.ws_url}?{query}", **ws(shown))
            attempt(f"{url.replace('http', 'ws')}/v2/listen?model=flux-general-en&resume={token}", **ws(shown))
            for path in (f"/v1/listen?resume={token}", f"/v1/models/{token}", f"/v1/listen/{token}"):
                httpx.get(url + path, headers=shown["headers"])
            httpx.post(f"{url}/v1/listen?resume={token}", headers=shown["headers"], content=b"x")
    assert len(tokens) >= 2
    logged = b"".join(file.read_bytes() for file in logs)
    assert logged.count(b"refused") > 10
    assert [token for token in tokens if token.encode() in logged] == []


def ws(shown: dict[str, Any]) -> dict[str, Any]:
    return {"additional_headers": shown.get("headers"), "subprotocols": shown.get("subprotocols")}


def attempt(address: str, **options: Any) -> None:
    with suppress(InvalidStatus), connect(address, **options):
        pass


def test_what_looks_like_a_key_is_cut_out_of_any_text() -> None:
    """Wherever a client has put it."""
    key = new_key()
    assert redacted(f"unknown model '{key}'; try") == "unknown model 'sw_...'; try"
    assert redacted("ek_abc and swt_a.b") == "ek_abc and swt_a.b"


def test_a_flood_of_refusals_does_not_fill_the_disk() -> None:
    """200 lines at once, then 10 a second; the next line says how many are missing."""
    now = [0.0]
    limit = LineLimit(lambda: now[0])
    assert [limit.passed() for _ in range(1000)] == [0] * 200 + [None] * 800
    now[0] += 0.11
    assert [limit.passed() for _ in range(3)] == [800, None, None]
    now[0] += 3600.0
    assert limit.passed() == 2
