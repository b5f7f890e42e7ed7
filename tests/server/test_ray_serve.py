"""The server on Ray Serve: two replicas on a cluster of this machine. Unreal: the engines are scripted."""

import asyncio
import dataclasses
import json
import os
import signal
import socket as sockets
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from ray import serve
from websockets.asyncio.client import connect as aconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from eval.runs.local_server import free_port
from eval.runs.process_usage import descendants
from server.config import ServerSettings, load_settings
from server.http.relay import LOST
from server.ray_router import OWNER, load_of, owner_of
from server.ray_serve import NAME, Replicas, serving
from server.streams.owners import Owners
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, RAW, pcm, transcript, until_closed

pytestmark = pytest.mark.slow


def scripted(settings: ServerSettings) -> Sequence[ScriptedEngine]:
    return [ScriptedEngine()]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server of two replicas, whose streams have 10 s when they go."""
    import ray

    settings = dataclasses.replace(load_settings(), port=free_port(), max_load=99.0, drain_timeout_s=2.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")  # on a busy machine it starts slowly
        ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False)
        try:
            with serving(settings, None, Replicas(2, 2, grace_s=10.0), scripted) as at:
                yield f"{at.replace('http', 'ws')}/v1/listen"
        finally:
            ray.shutdown()


def listen(url: str, query: str) -> ClientConnection:
    return connect(f"{url}?{query}", compression=None, open_timeout=60)


def first(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while (message := json.loads(socket.recv(timeout=60)))["type"] != kind:
        pass
    return message  # type: ignore[no-any-return]


def owner(session: dict[str, Any]) -> str:
    return owner_of(f"resume={session['resume']}".encode())


def test_streams_are_shared_out_and_have_their_words(url: str) -> None:
    """Four that come at once: two on each replica, although no report of their load has come yet."""
    with listen(url, f"{RAW}&resumable=30") as a, listen(url, f"{RAW}&resumable=30") as b:
        owners = [owner(first(socket, "Session")) for socket in (a, b)]
        assert len(set(owners)) == 2
        for socket in (a, b):
            socket.send(pcm(2.0))
            socket.send(CLOSE)
            messages, code = until_closed(socket)
            assert (transcript(messages), code) == (words(4), 1000)


def test_a_broken_stream_goes_on_with_its_replica(url: str) -> None:
    """Whichever replica has less to do: the token names the one that keeps it."""
    with listen(url, f"{RAW}&resumable=30") as socket:
        session = first(socket, "Session")
        socket.send(pcm(1.0))
        while first(socket, "Received")["received_bytes"] < 32_000:
            pass
        socket.socket.shutdown(sockets.SHUT_RDWR)
    for _ in range(2):
        time.sleep(0.5)
        with listen(url, f"resume={session['resume']}&sequence=0") as socket:
            before, session = owner(session), first(socket, "Session")
            assert (session["received_bytes"], owner(session)) == (32_000, before)
            socket.send(json.dumps({"type": "KeepAlive"}))
            first(socket, "Received")
            socket.socket.shutdown(sockets.SHUT_RDWR)
    with listen(url, f"resume={session['resume']}&sequence=0") as socket:
        socket.send(pcm(1.0))
        socket.send(CLOSE)
        messages, code = until_closed(socket)
    assert (transcript(messages), code) == (words(4), 1000)


def test_streams_at_once_are_shared_out(url: str) -> None:
    """Also where they come within one turn of the event loop; one replica may have more, whose load was less before."""

    async def one() -> str:
        async with aconnect(f"{url}?{RAW}&resumable=30", compression=None, open_timeout=60) as socket:
            while (message := json.loads(await socket.recv()))["type"] != "Session":
                pass
            await asyncio.sleep(1.0)
            return owner(message)

    async def all_of_them() -> Counter[str]:
        return Counter(await asyncio.gather(*(one() for _ in range(8))))

    assert len(asyncio.run(all_of_them())) == 2


def test_a_token_of_no_replica_is_410(url: str) -> None:
    """As on one server."""
    token = Owners(f"{OWNER}nobody", b"s" * 32).new_token()
    with pytest.raises(InvalidStatus) as refused, listen(url, f"resume={token}&sequence=0"):
        pass
    assert refused.value.response.status_code == 410


def test_clients_of_a_replica_that_dies_are_told(url: str) -> None:
    """By the code after which clients resume, from the proxy, which lives. The other replica's streams go on."""
    with ExitStack() as opened:
        sockets_of: dict[str, list[ClientConnection]] = defaultdict(list)
        while len(sockets_of) < 2:
            socket = opened.enter_context(listen(url, f"{RAW}&resumable=30"))
            sockets_of[owner(first(socket, "Session"))].append(socket)
        replicas = [pid for pid in descendants(os.getpid()) if title(pid).startswith("ray::ServeReplica")]
        assert len(replicas) == 2
        os.kill(replicas[0], signal.SIGKILL)
        with ThreadPoolExecutor(32) as pool:
            ends = [set(pool.map(end_of, some)) for some in sockets_of.values()]
    assert {("", LOST[0])} in ends
    assert {(words(4), 1000)} in ends


def end_of(socket: ClientConnection) -> tuple[str, int]:
    """The words and the close code of a stream of 2 s, its audio sent now and its end 5 s later."""
    with suppress(ConnectionClosed):
        socket.send(pcm(2.0))
        time.sleep(5.0)
        socket.send(CLOSE)
    messages, code = until_closed(socket)
    return transcript(messages), code


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def test_streams_of_a_replica_that_goes_have_their_last_words(url: str) -> None:
    """A stream that is longer than the grace ends as in a shutdown. The last test: the application is gone."""
    with listen(url, RAW) as socket:
        socket.send(pcm(1.0))  # half an utterance: its words are not final yet
        serve.delete(NAME, _blocking=False)
        messages, code = until_closed(socket)
    assert (transcript(messages), code) == (words(2), 1012)


def test_load_counts_before_requests() -> None:
    """A replica that is behind comes last; without a report, requests since then count."""
    idle, busy, late = {"load": 0.1, "open": 9}, {"load": 0.8, "open": 1}, {"load": 0.1, "lag_s": 3.0}
    assert load_of(idle, 3) < load_of(busy, 0) < load_of(late, 0)
    assert load_of({"load": 0.1, "open": 0}, 0) < load_of({"load": 0.1, "open": 1}, 0)
    assert load_of({}, 0) < load_of({}, 1)


@pytest.mark.parametrize("query", ["", "resume=abc", "resume=a.b.c", "resume=a.YWJj.c", "resume=.....", "resume=ä"])
def test_a_query_without_an_owner_goes_by_load(query: str) -> None:
    assert owner_of(query.encode()) == ""
