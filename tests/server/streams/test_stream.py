"""One stream without socket and wire: slices, counts, the end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from asr.audio.streams import StreamDecoder
from asr.config import SessionSettings
from asr.errors import AudioError
from asr.events import Ended, Event, Final, Partial, Word
from server.config import load_settings
from server.metrics import Metrics
from server.streams.scheduler import Scheduler
from server.streams.stream import SLICE_BYTES, Stream
from server.wires.base import Progress, StreamRequest
from server.wires.deepgram_messages import ModelInfo, Sender
from server.wires.deepgram_query import ListenOptions
from server.workers.messages import StreamOptions
from tests.asr.media import OGG_HEADER, ogg_page
from tests.server.fakes import ScriptedEngine, ScriptedSession
from tests.server.running import PATIENCE, pcm

REQUEST = StreamRequest("linear16", 16_000, partials=True)


class NotingDecoder:
    """A real decoder that also notes the size of each call."""

    def __init__(self, encoding: str = "linear16") -> None:
        self._decoder = StreamDecoder(encoding, 16_000, 1)
        self.sizes: list[int] = []

    def pieces(self, data: bytes) -> Iterator[np.ndarray]:
        self.sizes.append(len(data))
        return self._decoder.pieces(data)

    @property
    def notices(self) -> tuple[str, ...]:
        return self._decoder.notices

    def last_pieces(self) -> Iterator[np.ndarray]:
        return self._decoder.last_pieces()


def streaming(
    work: Callable[[Stream, ScriptedSession], Awaitable[None]], decoder: Any = None, metrics: Metrics | None = None
) -> None:
    """Runs `work` with an open stream and its session."""
    engine, metrics = ScriptedEngine(), metrics or Metrics()

    async def run() -> None:
        scheduler = Scheduler([engine], 8, metrics, patience=PATIENCE)
        scheduler.start()
        session = await scheduler.open(SessionSettings(), StreamOptions(partials=True))
        parts = {"scheduler": scheduler, "limits": load_settings(), "metrics": metrics}
        stream = Stream(session, decoder or NotingDecoder(), REQUEST, **parts)  # type: ignore[arg-type]
        await work(stream, engine.opened[-1])
        stream.close()
        assert [load.streams for load in scheduler.loads] == [0]
        await scheduler.stop()

    asyncio.run(run())


async def stepped(stream: Stream) -> None:
    """All steps that the stream is ready for."""
    while stream.ready:
        await stream.step()


def test_a_stream_runs_from_audio_to_its_last_event() -> None:
    """Audio, the end, steps while it is ready."""

    async def work(stream: Stream, session: ScriptedSession) -> None:
        await stream.receive_audio(pcm(1.2))
        stream.receive_end()
        events: list[Event] = []
        while stream.ready:
            await stream.step()
            events += stream.take_events()
        assert stream.ended
        assert events[-1] == Ended(1.2)
        assert stream.progress == Progress(1.2, 1.2)

    streaming(work)


def test_progress_says_where_the_last_voice_ends() -> None:
    """As the session does."""

    async def work(stream: Stream, session: ScriptedSession) -> None:
        await stream.receive_audio(pcm(1.0, 0.5) + pcm(1.0))
        while stream.ready:
            await stream.step()
        assert stream.progress == Progress(2.0, 2.0, 1.0)

    streaming(work)


def test_a_long_message_is_decoded_in_slices() -> None:
    """Other streams get their turn between them."""
    decoder = NotingDecoder()

    async def work(stream: Stream, session: ScriptedSession) -> None:
        await stream.receive_audio(pcm(2.0))
        assert session.received_s == 2.0

    streaming(work, decoder)
    assert sum(decoder.sizes) == len(pcm(2.0))
    assert max(decoder.sizes) == SLICE_BYTES


def test_hours_in_a_small_message_are_decoded_as_the_model_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bytes of Opus may stand for 120 ms. Memory is bounded, others get their turn, and there is a limit."""
    monkeypatch.setattr("server.streams.stream.MAX_MESSAGE_S", 150.0)
    pages = OGG_HEADER + ogg_page(0, -1, b"\x02" * 255, b"\x1b\x02" * 255) * 6  # 184 s in 5 KB
    lags_s: list[float] = []

    async def others(session: ScriptedSession) -> None:
        while True:
            lags_s.append(session.lag_s)
            await asyncio.sleep(0)

    async def work(stream: Stream, session: ScriptedSession) -> None:
        other = asyncio.create_task(others(session))
        await stream.receive_audio(pages)
        with pytest.raises(AudioError, match="found more than 150 s of audio in one message"):
            await stepped(stream)
        assert max(lags_s) < load_settings().max_buffered_audio_s + 1
        assert session.received_s > 145
        assert len(lags_s) > 20
        other.cancel()

    streaming(work, StreamDecoder("ogg-opus"))


def test_an_end_within_a_sample_is_an_error_but_a_cut_is_not() -> None:
    """After an error what is left in the decoder is dropped, and the rest is still recognised."""

    async def work(stream: Stream, session: ScriptedSession) -> None:
        await stream.receive_audio(pcm(0.5) + b"\1")
        stream.receive_end()
        with pytest.raises(AudioError):
            await stepped(stream)
        stream.cut()
        while stream.ready:
            await stream.step()
        assert stream.ended

    streaming(work)


def test_the_results_counted_are_the_results_sent() -> None:
    """Counted from events, without looking at a wire's messages: as many as the `Results` of Deepgram's wire."""
    word = (Word(" w", 0.0, 0.5, 0.9),)
    events = [
        Partial(word, 0.0, 0.5, "en"),
        Partial((), 0.5, 0.5, "en"),
        Final((), 0.5, 0.5, "en"),
        Final(word, 0.0, 0.5, "en"),
        Final((), 0.5, 0.5, "en", ends_utterance=True),
        Final((), 0.5, 0.5, "en", from_finalize=True),
    ]
    metrics = Metrics()

    async def work(stream: Stream, session: ScriptedSession) -> None:
        session._events = list(events)
        stream.take_events()

    streaming(work, metrics=metrics)
    sender = Sender(ListenOptions(interim_results=True), ModelInfo("m", "0" * 64), "id")
    sent = [m["is_final"] for m in sender.results(events, Progress(1.0, 1.0)) if m["type"] == "Results"]
    counted = [metrics.registry.get_sample_value(name) for name in ("asr_partials_total", "asr_finals_total")]
    assert counted == [sent.count(False), sent.count(True)] == [2, 3]
