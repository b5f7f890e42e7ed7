"""Streams over a peer's wire -> traces like those of `eval.runs.live`.

A peer's text may change until its stream ends. So each message is a partial of the whole text, and the last text
becomes final at the time of its last change. The time at which a word no longer changed is then measured as for our
server, and the peer is not charged for the wait until its stream closes.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHandshake

from asr.events import Ended, Final, Partial, Word
from eval.bench.peers.wires import PeerWire
from eval.data.types import Recording
from eval.runs.live import PATIENCE_S, Streamer, Tape, Target, why
from eval.runs.replay import trace_of
from eval.trace import LIVE, Entry, Trace
from server.client.protocol import StreamError

TICK_S = 0.5
"""How often to check whether a peer has gone silent."""


def streamer(wire: Callable[[str], PeerWire]) -> Streamer:
    """A streamer for `eval.runs.live.run_load`; `wire` makes the wire of one stream in a language."""

    async def stream(target: Target, recording: Recording) -> Trace:
        return await peer_stream(target, recording, wire(recording.utterance.language))

    return stream


async def peer_stream(target: Target, recording: Recording, wire: PeerWire) -> Trace:
    """Streams one recording at the pace of speech. A failure becomes the trace's `error`."""
    tape = Tape(recording)
    try:
        async with connect(target.url + wire.path, max_size=None, compression=None, proxy=None) as socket:
            await _begin(socket, wire)
            await _converse(socket, tape, wire, target.chunk_s)
    except (OSError, InvalidHandshake, ConnectionClosed, StreamError, TimeoutError) as error:
        tape.error = why(error)
    trace = trace_of(recording, LIVE, target.model, finished(tape.entries), tape.end_wall_s)
    return replace(trace, error=tape.error)


async def _begin(socket: ClientConnection, wire: PeerWire) -> None:
    """Waits until the peer is ready for audio: the stream's time starts then. Raises `StreamError` if it refuses."""
    if wire.hello:
        await socket.send(wire.hello)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = await socket.recv()
            if wire.is_ready(message):
                return
            wire.receive(message)  # raises if the peer reports an error


async def _converse(socket: ClientConnection, tape: Tape, wire: PeerWire, chunk_s: float) -> None:
    tape.begin()
    sending = asyncio.create_task(_send(socket, tape, wire, chunk_s))
    try:
        async with asyncio.timeout(tape.recording.duration_s + PATIENCE_S):
            await _listen(socket, tape, wire, sending)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(socket: ClientConnection, tape: Tape, wire: PeerWire, chunk_s: float) -> None:
    async for chunk in tape.speak(chunk_s):
        await socket.send(wire.chunk(chunk))
    if wire.quiet_s is None:
        await socket.send(wire.end)


async def _listen(socket: ClientConnection, tape: Tape, wire: PeerWire, sending: "asyncio.Task[None]") -> None:
    """Notes messages until the peer ends the stream, or has been silent for `quiet_s` after the end of the audio."""
    shown: tuple[str, ...] = ()
    received_s = 0.0
    while True:
        try:
            async with asyncio.timeout(TICK_S):
                message = await socket.recv()
        except TimeoutError:
            if sending.done() and wire.quiet_s is not None and tape.now_s() - received_s > wire.quiet_s:
                return await socket.send(wire.end)
            continue
        except ConnectionClosedOK:
            return
        if wire.is_over(message):
            return
        received_s, text = tape.now_s(), wire.receive(message)
        if text is not None and text != shown:
            shown = text
            tape.note(Partial(tuple(_words(text, tape.sent_s)), 0.0, tape.sent_s, tape.recording.utterance.language))


def finished(entries: list[Entry]) -> list[Entry]:
    """The entries with the last text as a final, at its own time, and the stream's end."""
    if not entries:
        return entries
    last = entries[-1]
    assert isinstance(last.event, Partial)
    text = Final(last.event.words, 0.0, last.event.end_s, last.event.language, ends_utterance=True)
    return [*entries[:-1], replace(last, event=text), replace(last, event=Ended(last.audio_s))]


def _words(text: tuple[str, ...], until_s: float) -> list[Word]:
    """Words without times: metrics take their ends from the aligned reference."""
    return [Word(f" {word}", until_s, until_s, 0.0) for word in text]
