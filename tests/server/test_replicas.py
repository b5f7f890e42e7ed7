"""Several servers behind the real nginx, with the file of `deploy/`. Unreal: the engines are scripted; no TLS."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from asr.events import Final
from eval.runs.local_server import free_port
from scripts.scale import PATHS, proxy
from server.access.keyring import SECRET_VARIABLE
from server.client.protocol import Message
from server.client.resuming import ResumingStream
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed

pytestmark = pytest.mark.slow


@contextmanager
def replicas(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Iterator[tuple[list[Running], int]]:
    """Two servers that know each other, and nginx's port."""
    if shutil.which("nginx", path=PATHS) is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx)")
    monkeypatch.setenv(SECRET_VARIABLE, "s" * 32)
    with ExitStack() as stack:
        ports = [free_port(), free_port()]
        servers = [
            stack.enter_context(running(ScriptedEngine(), port=port, advertise=f"ws://127.0.0.1:{port}", **settings))
            for port in ports
        ]
        port, _ = stack.enter_context(proxy(folder, ports))
        yield servers, port


def listen(port: int) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port}/v1/listen?{RAW}", compression=None)


def test_a_stream_that_one_server_refuses_is_taken_by_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has room for one: two find it, whichever nginx asks first; a third gets the server's own refusal."""
    with (
        replicas(tmp_path, monkeypatch, max_streams=1) as (servers, port),
        listen(port) as first,
        listen(port) as second,
    ):
        assert [server.metric("asr_open_streams") for server in servers] == [1, 1]
        with pytest.raises(InvalidStatus) as refused, listen(port):
            pass
        assert refused.value.response.status_code == 503
        assert "Retry-After" in refused.value.response.headers
        for stream in (first, second):
            stream.send(pcm(1.0))
            stream.send(CLOSE)
            messages, code = until_closed(stream)
            assert (transcript(messages), code) == (words(2), 1000)


def test_streams_outlive_a_server_that_shuts_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four clients that resume: each word once, whichever server they were on."""
    with replicas(tmp_path, monkeypatch) as (servers, port):

        async def client(messages: list[Message]) -> None:
            stream = ResumingStream(
                f"ws://127.0.0.1:{port}/v1/listen?{RAW}", messages.append, bytes_per_s=32_000, frame_bytes=2
            )
            await stream.run(spoken())

        async def all_of_them() -> list[list[Message]]:
            heard: list[list[Message]] = [[] for _ in range(4)]
            tasks = [asyncio.create_task(client(messages)) for messages in heard]
            await asyncio.to_thread(eventually, lambda: all(s.metric("asr_open_streams") > 0 for s in servers))
            await asyncio.to_thread(servers[0].stop)
            await asyncio.gather(*tasks)
            return heard

        for messages in asyncio.run(all_of_them()):
            finals = [message.event for message in messages if isinstance(message.event, Final)]
            times = [word.start_s for final in finals for word in final.words]
            assert times == [i / 2 for i in range(12)]


async def spoken() -> AsyncIterator[bytes]:
    for _ in range(60):
        yield pcm(0.1)
        await asyncio.sleep(0.05)
