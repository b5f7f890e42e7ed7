"""Streams of real weights whose server shuts down in the middle of a word, and comes back: the text is that of an
undisturbed stream."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asr.config import SAMPLE_RATE_HZ
from asr.events import Final, Word
from server.client.protocol import Message, pcm16
from server.client.resuming import ResumingStream
from server.workers.remote import RemoteEngine
from server.workers.worker import RecognitionWorker
from tests.server.running import RAW, Running, eventually, running
from tests.server.workers.helpers import InProcess
from tests.speech import clip, silence

if TYPE_CHECKING:
    from asr.engine import Engine

CHUNK_S = 0.1
MOVES = 4


class Server:
    """One that is shut down and started again on its port."""

    def __init__(self, engine: "Engine") -> None:
        self._engine, self._port = engine, 0
        self._start()

    def _start(self) -> None:
        remote = RemoteEngine(InProcess(lambda: RecognitionWorker(self._engine)))
        remote.await_ready()
        self._context = running(remote, port=self._port)
        self.now: Running = self._context.__enter__()
        self._port = int(self.now.url.rsplit(":", 1)[1])

    def restart(self, heard_s: float) -> None:
        """When it has received this much audio."""
        eventually(lambda: self.now.metric("asr_audio_seconds_total") >= heard_s - 0.05)
        self.stop()
        self._start()

    def stop(self) -> None:
        self._context.__exit__(None, None, None)


def words_of(server: Server, samples: np.ndarray, moments_s: tuple[float, ...] = ()) -> list[Word]:
    """The final words of a stream whose server is restarted at these seconds of its audio."""
    messages: list[Message] = []

    async def chunks() -> AsyncIterator[bytes]:
        sent_s = 0.0
        for moment_s in (*moments_s, len(samples) / SAMPLE_RATE_HZ):
            part = samples[round(sent_s * SAMPLE_RATE_HZ) : round(moment_s * SAMPLE_RATE_HZ)]
            for start in range(0, len(part), round(CHUNK_S * SAMPLE_RATE_HZ)):
                yield pcm16(part[start : start + round(CHUNK_S * SAMPLE_RATE_HZ)])
            if moment_s in moments_s:
                await asyncio.to_thread(server.restart, moment_s - sent_s)
            sent_s = moment_s

    url = f"{server.now.ws_url}?{RAW}"
    stream = ResumingStream(url, messages.append, bytes_per_s=2 * SAMPLE_RATE_HZ, frame_bytes=2)
    asyncio.run(stream.run(chunks()))
    finals = [message.event for message in messages if isinstance(message.event, Final)]
    return [word for final in finals for word in final.words]


@pytest.mark.slow
def test_a_server_that_is_restarted_within_a_word_changes_no_word(whisper_tiny: "Engine") -> None:
    """Restarted four times in one stream, each time in the middle of a word."""
    pause = silence(1.6)
    samples = np.concatenate([clip("counting"), pause, clip("quick_brown_fox"), pause, clip("counting"), silence(0.3)])
    server = Server(whisper_tiny)
    try:
        undisturbed = words_of(server, samples)
        middles_s = [(word.start_s + word.end_s) / 2 for word in undisturbed]
        moments_s = tuple(middles_s[len(middles_s) * (number + 1) // (MOVES + 1)] for number in range(MOVES))
        moved = words_of(server, samples, moments_s)
    finally:
        server.stop()
    assert [word.text for word in moved] == [word.text for word in undisturbed]
