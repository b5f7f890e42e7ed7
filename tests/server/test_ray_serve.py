"""The server on Ray Serve: two replicas on a cluster of this machine. Unreal: the engines are scripted."""

import dataclasses
import json
import socket as sockets
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from scripts.scale import free_port
from server.config import ServerSettings, load_settings
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, RAW, pcm, transcript, until_closed

serve = pytest.importorskip(
    "ray.serve", reason="Ray Serve is not installed: pip install 'ray[serve]'", exc_type=ImportError
)

from server.ray_router import OWNER, load_of, owner_of  # noqa: E402 - they import Ray Serve
from server.ray_serve import Replicas, serving  # noqa: E402
from server.streams.owners import Owners  # noqa: E402

pytestmark = pytest.mark.slow


def scripted(settings: ServerSettings) -> Sequence[ScriptedEngine]:
    return [ScriptedEngine()]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server of two replicas."""
    import ray

    settings = dataclasses.replace(load_settings(), port=free_port(), max_load=99.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")  # on a busy machine it starts slowly
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
        try:
            with serving(settings, None, Replicas(2, 2), scripted) as at:
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


def test_a_token_of_no_replica_is_410(url: str) -> None:
    """As on one server."""
    token = Owners(f"{OWNER}nobody", b"s" * 32).new_token()
    with pytest.raises(InvalidStatus) as refused, listen(url, f"resume={token}&sequence=0"):
        pass
    assert refused.value.response.status_code == 410


def test_load_counts_before_requests() -> None:
    """A replica that is behind comes last; without a report, requests since then count."""
    idle, busy, late = {"load": 0.1}, {"load": 0.8}, {"load": 0.1, "lag_s": 3.0}
    assert load_of(idle, 3) < load_of(busy, 0) < load_of(late, 0)
    assert load_of({}, 0) < load_of({}, 1)


@pytest.mark.parametrize("query", ["", "resume=abc", "resume=a.b.c", "resume=a.YWJj.c", "resume=.....", "resume=ä"])
def test_a_query_without_an_owner_goes_by_load(query: str) -> None:
    assert owner_of(query.encode()) == ""
