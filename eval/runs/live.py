"""Real clients over the real wire: N WebSocket streams at real-time pace -> the same traces as `eval.runs.replay`."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from asr.events import Ended, Event
from eval.data.types import Recording
from eval.runs.replay import CHUNK_S, chunks, trace_of
from eval.runs.wire import CLOSE_STREAM, WireError, listen_url, parse, pcm16
from eval.trace import LIVE, Entry, Trace

PATIENCE_S = 60.0
"""A stream that the server has not closed so long after its end is given up, and its trace says so."""

OnTrace = Callable[[Trace], None]


@dataclass(frozen=True, slots=True)
class Target:
    """Where streams go. ``model`` as the trace names it; ``ask_model`` "" lets the server use its own."""

    url: str
    model: str
    ask_model: str = ""
    chunk_s: float = CHUNK_S


Streamer = Callable[[Target, Recording], Awaitable[Trace]]
"""One recording over one socket."""


def run_load(
    target: Target,
    recordings: Sequence[Recording],
    streams: int,
    on_trace: OnTrace,
    *,
    stagger: bool = True,
    streamer: Streamer | None = None,
) -> None:
    """Streams all recordings, `streams` of them at a time; `on_trace` is told each trace as it is complete.

    The longest go first: one begun last would run on alone. With `stagger` the clients' beginnings are spread evenly
    over a second: people do not start to speak in step. A `streamer` other than `stream` speaks another wire.
    """
    asyncio.run(_run(target, recordings, streams, on_trace, 1.0 / streams if stagger else 0.0, streamer or stream))


async def _run(
    target: Target,
    recordings: Sequence[Recording],
    streams: int,
    on_trace: OnTrace,
    stagger_s: float,
    streamer: Streamer,
) -> None:
    waiting = sorted(recordings, key=lambda recording: recording.duration_s)

    async def client(number: int) -> None:
        await asyncio.sleep(number * stagger_s)
        while waiting:
            on_trace(await streamer(target, waiting.pop()))

    async with asyncio.TaskGroup() as clients:
        for number in range(streams):
            clients.create_task(client(number))


async def stream(target: Target, recording: Recording) -> Trace:
    """One recording over one socket, as a microphone would send it. What goes wrong is the trace's `error`."""
    url = listen_url(target.url, recording.utterance.language, target.ask_model)
    tape = Tape(recording)
    try:
        async with connect(url, max_size=None, compression=None, proxy=None) as socket:
            await _converse(socket, tape, target.chunk_s)
    except (OSError, InvalidHandshake, ConnectionClosed, WireError, TimeoutError) as error:
        tape.error = why(error)
    told = trace_of(recording, LIVE, target.model, tape.entries, tape.end_wall_s)
    return replace(told, weights_sha256=tape.weights_sha256, error=tape.error)


@dataclass(slots=True)
class Tape:
    """What is known of one stream while it runs. Time 0 is when the first sample is spoken."""

    recording: Recording
    began: float = 0.0
    sent_s: float = 0.0
    end_wall_s: float = 0.0
    entries: list[Entry] = field(default_factory=list)
    weights_sha256: str = ""
    error: str = ""

    def now_s(self) -> float:
        return time.monotonic() - self.began

    def note(self, event: Event) -> None:
        self.entries.append(Entry(event, self.sent_s, self.now_s()))

    def begin(self) -> None:
        """The first sample is spoken now."""
        self.began = time.monotonic()


async def _converse(socket: ClientConnection, tape: Tape, chunk_s: float) -> None:
    """Sends and listens until the server closes. Raises what broke the stream."""
    tape.begin()
    sending = asyncio.create_task(_send(socket, tape, chunk_s))
    try:
        async with asyncio.timeout(tape.recording.duration_s + PATIENCE_S):
            await _listen(socket, tape)
    except TimeoutError:
        raise TimeoutError(f"not closed by the server {PATIENCE_S:.0f} s after the end of the stream") from None
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(socket: ClientConnection, tape: Tape, chunk_s: float) -> None:
    """Each chunk in the moment in which its last sample is spoken; a late one at once. Then the end."""
    for chunk, spoken_s in chunks(tape.recording.samples, chunk_s):
        await asyncio.sleep(max(0.0, spoken_s - tape.now_s()))
        await socket.send(pcm16(chunk))
        tape.sent_s = spoken_s
    tape.end_wall_s = tape.now_s()
    await socket.send(CLOSE_STREAM)


async def _listen(socket: ClientConnection, tape: Tape) -> None:
    async for message in socket:  # ends when the server closes as agreed, raises ConnectionClosedError otherwise
        heard = parse(message, tape.recording.utterance.language)
        tape.weights_sha256 = heard.weights_sha256 or tape.weights_sha256
        if heard.event is not None:
            tape.note(heard.event)
    if not any(isinstance(entry.event, Ended) for entry in tape.entries):
        raise WireError("closed by the server without saying how much it heard (Metadata)")


def why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
