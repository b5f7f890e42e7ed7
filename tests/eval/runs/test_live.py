"""Real sockets, a scripted server."""

import asyncio
import http

import pytest
from websockets.asyncio.server import ServerConnection, serve

from asr.events import Ended, Final, Partial
from eval.data.types import Recording
from eval.runs.live import Target, listen_address, run_load, stream
from eval.trace import Trace
from tests.eval.fakes import recording
from tests.server.scripted_server import Handler, answer, listening, results


def load(handler: Handler, recordings: list[Recording], streams: int = 1) -> list[Trace]:
    traces: list[Trace] = []
    with listening(handler) as url:
        run_load(Target(url, "m", chunk_s=0.05), recordings, streams, traces.append, stagger=False)
    return traces


def test_a_stream_becomes_a_trace_like_a_replays() -> None:
    """Sent at the pace of speech: the partial comes with the first chunk, the final after the last."""
    (trace,) = load(answer, [recording(0.4, text="red green")])
    partial, final, ended = trace.entries
    assert isinstance(partial.event, Partial)
    assert isinstance(final.event, Final)
    assert ended.event == Ended(0.4)
    assert (trace.mode, trace.model, trace.text, trace.reference, trace.error) == (
        "live",
        "m",
        "red green",
        "red green",
        "",
    )
    assert partial.audio_s < final.audio_s == 0.4


def test_the_address_asks_for_raw_audio_with_partials() -> None:
    """The language goes without its region, the model only when named."""
    wanted = "ws://h:1/v1/listen?encoding=linear16&sample_rate=16000&channels=1&interim_results=true&vad_events=true"
    assert listen_address(Target("http://h:1", "m"), "") == wanted
    assert listen_address(Target("ws://h:1/", "m", "base"), "zh-CN") == wanted + "&language=zh&model=base"


def test_nothing_is_sent_before_it_was_spoken() -> None:
    """Wall time is counted from the first sample: the last chunk leaves at the recording's end, not before."""
    (trace,) = load(answer, [recording(0.4)])
    assert trace.end_wall_s >= 0.4
    assert all(entry.wall_s >= entry.audio_s for entry in trace.entries)


def test_no_more_than_the_given_streams_run_at_a_time() -> None:
    """Two clients, five recordings: all are streamed, never three at a time."""
    now, most = 0, 0

    async def counting(socket: ServerConnection) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await answer(socket)
        now -= 1

    traces = load(counting, [recording(0.1, name=f"u{i}") for i in range(5)], streams=2)
    assert {trace.utterance for trace in traces} == {f"u{i}" for i in range(5)}
    assert most == 2


def test_a_refused_stream_is_a_trace_with_its_error() -> None:
    """A full server: no events, and the stream counts as failed."""

    async def refused() -> Trace:
        async def refuse(connection: ServerConnection, _request: object) -> object:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "full")

        async with serve(answer, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            return await stream(Target(f"ws://127.0.0.1:{port}", "m"), recording(0.1))

    trace = asyncio.run(refused())
    assert trace.entries == ()
    assert "503" in trace.error


def test_a_missing_server_is_a_trace_with_its_error() -> None:
    """The run goes on."""
    (trace,) = run_against_nothing()
    assert "no server at ws://127.0.0.1:9" in trace.error


def run_against_nothing() -> list[Trace]:
    traces: list[Trace] = []
    run_load(Target("ws://127.0.0.1:9", "m"), [recording(0.1)], 1, traces.append)
    return traces


async def vanish(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send(results("one", is_final=True))
    socket.transport.abort()


async def hang_up(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send(results("one", is_final=True))


async def complain(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send(results("one", is_final=True))
    await socket.send('{"type": "Error", "description": "the server failed"}')


@pytest.mark.parametrize(
    ("handler", "why"),
    [(vanish, "broke"), (hang_up, "without its summary"), (complain, "server failed")],
)
def test_a_stream_that_breaks_keeps_its_events(handler: Handler, why: str) -> None:
    """A server that vanishes, closes without its summary, or says it failed: the final before is in the trace."""
    (trace,) = load(handler, [recording(0.3)])
    assert trace.text == "one"
    assert why in trace.error
