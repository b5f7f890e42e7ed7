"""A server that loads its models answers: it lives, it is not ready, and it takes no stream yet."""

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from asr.events import Final
from server.address import bind
from server.client.protocol import Message
from server.client.resuming import ResumingStream
from server.client.sources import file_chunks
from server.config import load_settings
from server.starting import Starting
from tests.server.certificates import certificate, trusting
from tests.server.fakes import ScriptedEngine
from tests.server.running import FOX, ServerProcess, eventually, plain, running


def get(url: str, **headers: str) -> tuple[int, Any, str]:
    """Status, headers and body, of refusals too."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers, refusal.read().decode()


@contextmanager
def starting(**changes: Any) -> Iterator[tuple[Starting, socket.socket, str]]:
    settings = replace(load_settings(), port=0, models=("large",), **changes)
    with bind(settings) as listening, Starting(listening, settings) as one:
        yield one, listening, "{}:{}".format(*listening.getsockname())


def test_it_lives_and_is_not_ready() -> None:
    """Probes get an answer at once, each on a connection of its own."""
    with starting() as (_, _, where):
        status, headers, body = get(f"http://{where}/healthz")
        assert (status, json.loads(body), headers["connection"]) == (200, {"status": "ok"}, "close")
        status, headers, body = get(f"http://{where}/readyz")
        assert (status, json.loads(body)["reason"]) == (503, "large is loading")


@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/listen", "/v1/realtime", "/static/app.js", "/unknown"])
def test_everything_else_is_refused_for_now(path: str) -> None:
    """In the form of both APIs, with the time to try again."""
    with starting() as (_, _, where):
        status, headers, body = get(f"http://{where}{path}")
        assert (status, headers["retry-after"]) == (503, "5")
        assert json.loads(body)["err_code"] == "SERVER_LOADING"
        assert json.loads(body)["error"]["code"] == "server_loading"
        assert json.loads(body)["err_msg"] == "large is loading; try again in 5 seconds"


def test_a_stream_is_refused_before_the_upgrade() -> None:
    """It does not hang until the client gives up."""
    with starting() as (_, _, where), pytest.raises(InvalidStatus) as refusal:
        connect(f"ws://{where}/v1/listen?encoding=linear16&sample_rate=16000")
    assert refusal.value.response.status_code == 503


def test_a_browser_gets_a_page_that_loads_again() -> None:
    """With the headers of every page here."""
    with starting() as (_, _, where):
        status, headers, body = get(f"http://{where}/", Accept="text/html")
        assert status == 503
        assert 'http-equiv="refresh"' in body
        assert "default-src 'self'" in headers["content-security-policy"]


def test_other_host_names_get_nothing() -> None:
    """As from the server that is ready."""
    with starting() as (_, _, where):
        assert get(f"http://{where}/readyz", Host="evil.example")[0] == 403


def test_it_speaks_tls_where_the_server_does(tmp_path: Path) -> None:
    """A probe by https."""
    chain, key = certificate(tmp_path, "own")
    with (
        starting(tls_cert=str(chain), tls_key=str(key)) as (_, _, where),
        urllib.request.urlopen(f"https://{where}/healthz", context=trusting(chain), timeout=20) as answer,
    ):
        assert answer.status == 200


def test_no_connection_is_lost_when_the_server_takes_over() -> None:
    """Clients that ask all the time get an answer each time, first from the one and then from the other.

    Twenty times: a connection that comes just as the listener closes was lost in one of a few.
    """
    with running(ScriptedEngine()) as server:
        listening = server.server.servers[0].sockets[0]
        settings = replace(load_settings(), models=("large",))
        for _ in range(20):
            stop = threading.Event()
            with (
                socket.socket(fileno=listening.dup().detach()) as shared,
                Starting(shared, settings) as one,
                ThreadPoolExecutor() as pool,
            ):
                seen: list[bool] = []
                asking = [pool.submit(_ask, server.url, seen, stop) for _ in range(6)]
                try:
                    eventually(lambda seen=seen: any(seen))
                    one.end()
                    ended = len(seen)
                    eventually(lambda seen=seen, ended=ended: len(seen) > ended + 60)
                finally:
                    stop.set()
                for each in asking:
                    each.result(30)
            assert not any(seen[-15:])


def _ask(url: str, seen: list[bool], stop: threading.Event) -> None:
    while not stop.is_set():
        seen.append("large is loading" in get(f"{url}/readyz")[2])


def streamed(clip: Path, process: ServerProcess, states: list[str]) -> list[str]:
    """The words of our own client."""
    events: list[Message] = []
    url = f"ws://127.0.0.1:{process.port}/v1/listen?encoding=linear16&sample_rate=16000"
    stream = ResumingStream(url, events.append, bytes_per_s=32_000, frame_bytes=2, on_state=states.append)
    asyncio.run(stream.run(file_chunks(clip)))
    return [word.text for message in events if isinstance(message.event, Final) for word in message.event.words]


@pytest.mark.model
@pytest.mark.slow
def test_the_command_answers_before_its_model_is_loaded(tmp_path: Path, clip: Path) -> None:
    """`asr serve`: /readyz is 503 with the reason, then 200. A client that began before is served then."""
    process = ServerProcess(tmp_path)
    states: list[str] = []
    words: list[str] = []
    client = threading.Thread(target=lambda: words.extend(streamed(clip, process, states)))
    try:
        reasons = set()
        deadline = time.monotonic() + 200
        status = 0
        while status != 200:
            assert time.monotonic() < deadline
            try:
                status, _, body = get(f"{process.url}readyz")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.02)  # it does not listen yet
                continue
            if status == 503:
                if not reasons:
                    client.start()
                reasons.add(json.loads(body)["reason"])
                assert get(f"{process.url}healthz")[0] == 200
        assert "whisper-tiny.en is loading" in reasons
        client.join(60)
        assert states[0] == "the server is loading; trying again"
        assert plain("".join(words)) == FOX
    finally:
        process.stop()
