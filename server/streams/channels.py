"""The channels of one connection, each a stream of its own at the model. As `server.streams.stream.Stream` outside."""

import asyncio
from collections.abc import Sequence

from server.streams.stream import Stream
from server.wires.base import InChannel, Progress, StreamEvent
from server.workers.contract import StreamEngine


class ChannelStreams:
    """At least one stream, each of which decodes all bytes and keeps its own channel; `close` it when it is over."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = streams

    @property
    def engine(self) -> StreamEngine:
        """The model: its name, weights and architecture."""
        return self._streams[0].engine

    @property
    def progress(self) -> Progress:
        """The channel that is the furthest behind."""
        return min((stream.progress for stream in self._streams), key=lambda progress: progress.decoded_s)

    @property
    def ready(self) -> bool:
        """Whether there is something to do for `step`."""
        return any(stream.ready for stream in self._streams)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the client should know about its audio so far, each sentence once."""
        return tuple(dict.fromkeys(notice for stream in self._streams for notice in stream.notices))

    @property
    def ended(self) -> bool:
        """Whether the last event of each channel was emitted."""
        return all(stream.ended for stream in self._streams)

    async def receive_audio(self, data: bytes) -> None:
        """Decodes the bytes for each channel. Raises `AudioError`."""
        for stream in self._streams:
            await stream.receive_audio(data)

    def receive_finalize(self) -> None:
        """Commit everything received so far."""
        for stream in self._streams:
            stream.receive_finalize()

    def receive_end(self) -> None:
        """No audio follows. Raises `AudioError` as `Stream.receive_end`."""
        for stream in self._streams:
            stream.receive_end()

    def cut(self) -> None:
        """As `receive_end`, after an error."""
        for stream in self._streams:
            stream.cut()

    async def step(self) -> None:
        """A model step of each channel that is ready, in one batch where they share a worker. Raises `StepError`."""
        steps = [stream.step() for stream in self._streams if stream.ready]
        for outcome in await asyncio.gather(*steps, return_exceptions=True):
            if outcome is not None:
                raise outcome

    def must_give_way(self) -> bool:
        """Whether one of the channels must: they end together."""
        answers = [stream.must_give_way() for stream in self._streams]  # each takes in how late its channel is
        return any(answers)

    def take_events(self) -> list[StreamEvent]:
        """The events since the last call, in one item for each channel."""
        return [InChannel(i, tuple(s.take_events()), s.progress) for i, s in enumerate(self._streams)]

    def close(self, cause: str = "") -> None:
        """Frees the places in the scheduler. `cause`: see `server.streams.witness`."""
        for stream in self._streams:
            stream.close(cause)


AnyStream = Stream | ChannelStreams
"""What a connection serves."""
