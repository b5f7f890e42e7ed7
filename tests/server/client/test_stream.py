"""The client's runner before a real server with a scripted engine."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator

import pytest
from websockets.asyncio.server import ServerConnection

from asr.events import Ended, Final, Partial
from server.client.protocol import Message, StreamError
from server.client.sources import until
from server.client.stream import paced, stream
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import RAW, Running, pcm, running
from tests.server.scripted_server import Handler, listening


def text_of_event(message: Message) -> str:
    assert isinstance(message.event, Partial | Final)
    return message.event.text.strip()


async def silence(*seconds: float) -> AsyncIterator[bytes]:
    for length in seconds:
        yield pcm(length)


def test_the_client_keeps_the_pace(scripted: Running) -> None:
    """Half a second of audio at double pace takes no less than a quarter; the order of words is kept."""
    messages: list[Message] = []

    async def send() -> float:
        clock = asyncio.get_running_loop().time
        began = clock()
        await stream(f"{scripted.ws_url}?{RAW}", paced(silence(*[0.1] * 5), 2.0), messages.append)
        return clock() - began

    assert asyncio.run(send()) >= 0.25
    assert text_of_event(messages[0]) == words(1)
    assert messages[-1].event == Ended(0.5)


def test_the_client_says_why_it_was_refused() -> None:
    """The server's own sentence, with the status."""
    full = pytest.raises(StreamError, match=r"HTTP 503.*all 1 places are taken")
    with running(ScriptedEngine(), max_streams=1) as server, server.listen(), full:
        asyncio.run(stream(f"{server.ws_url}?{RAW}", silence(0.1), print))


def test_the_client_says_why_the_stream_was_ended(scripted: Running) -> None:
    """The Error message and the close code."""
    with pytest.raises(StreamError, match=r"code 1008: .*Ogg|WebM"):
        asyncio.run(stream(scripted.ws_url, silence(1.0), lambda message: None))


def test_a_source_that_is_stopped_still_has_its_last_words(scripted: Running) -> None:
    """Ctrl-C at the microphone ends the recording, not the program."""
    messages: list[Message] = []

    async def send() -> None:
        stop = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            for count in range(1000):
                yield pcm(0.1)
                await asyncio.sleep(0)
                if count == 11:
                    stop.set()
            pytest.fail("nobody stopped it")

        await stream(f"{scripted.ws_url}?{RAW}", until(stop, endless()), messages.append)

    asyncio.run(send())
    assert text_of_event(messages[0]) == words(2)


def send(url: str, chunks: AsyncIterable[bytes]) -> list[Message]:
    messages: list[Message] = []
    asyncio.run(stream(url, chunks, messages.append))
    return messages


def test_a_source_that_fails_raises_its_error_after_the_answer(scripted: Running) -> None:
    """What was sent before is still recognised."""
    messages: list[Message] = []

    async def failing() -> AsyncIterator[bytes]:
        yield pcm(1.2)
        raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match="the disk is gone"):
        asyncio.run(stream(f"{scripted.ws_url}?{RAW}", failing(), messages.append))
    assert text_of_event(messages[0]) == words(2)


async def babble(socket: ServerConnection) -> None:
    await socket.send("no JSON")


async def vanish(socket: ServerConnection) -> None:
    await socket.recv()
    socket.transport.abort()


@pytest.mark.parametrize(
    ("handler", "sentence"),
    [(babble, "found message 'no JSON', wanted"), (vanish, "the connection to the server broke")],
)
def test_a_server_that_speaks_otherwise_or_vanishes_is_an_error_in_a_sentence(handler: Handler, sentence: str) -> None:
    """Not a traceback of a library."""
    with listening(handler) as url, pytest.raises(StreamError, match=sentence):
        send(url, silence(0.1, 0.1))


def test_a_server_that_is_not_there_is_an_error_in_a_sentence() -> None:
    """It names the address, without the query, and the way out."""
    with pytest.raises(StreamError, match=r"no server at ws://127\.0\.0\.1:9 \(.*start one with `asr serve`"):
        send("ws://127.0.0.1:9?key=secret", silence(0.1))
