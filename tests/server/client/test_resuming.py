"""The client that survives breaks: what it keeps, and streams through a network that breaks at seeded moments."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import InternalError
from asr.events import Ended, Final, Word
from eval.bench.resume import compare, places_free_s
from server.client import resuming
from server.client.outbox import Outbox
from server.client.overlap import Overlap
from server.client.protocol import FINALIZE, Message, StreamError
from server.client.recovery import Recovery
from server.client.resuming import ResumingStream
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import RAW, Running, pcm, running
from tests.server.scripted_server import listening


def word(text: str, start_s: float, end_s: float) -> Word:
    return Word(text, start_s, end_s, 0.9)


def texts(messages: list[Message]) -> str:
    return "".join(m.event.text for m in messages if isinstance(m.event, Final)).strip()


# --- what is kept


@given(
    items=st.lists(st.one_of(st.binary(min_size=1, max_size=9), st.just("Finalize")), max_size=12),
    breaks=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=6),
)
def test_whatever_was_received_the_rest_is_sent_once(items: list[bytes | str], breaks: list[tuple[int, int]]) -> None:
    """A server that takes a part of what is sent, and says how much, has everything in the end, in order."""
    outbox, received, commands = Outbox(), bytearray(), []
    for item in items:
        outbox.add(item)
    for taken, kept in [*breaks, (999, 999)]:
        outbox.go_back(len(received), len(commands))
        for _ in range(taken):
            piece = outbox.take()
            if piece is None or (kept := kept - 1) < 0:
                break
            if isinstance(piece, str):
                commands.append(len(received))
            else:
                received += piece
        outbox.forget(len(received))
    assert bytes(received) == b"".join(item for item in items if isinstance(item, bytes))
    at, wanted = 0, []
    for item in items:
        at += len(item) if isinstance(item, bytes) else 0
        wanted += [at] if isinstance(item, str) else []
    assert commands == wanted
    assert outbox.kept_bytes < 9


def test_words_that_were_final_are_dropped_when_they_are_heard_again() -> None:
    """By text and time; what lies before the last final word stays as it was; a new word at the seam is not lost."""
    known = [word(" The", 10.0, 10.4), word(" quick", 10.4, 10.9), word(" brown", 10.9, 11.4)]
    overlap = Overlap(known)
    again = [
        word(" the", 10.1, 10.5),
        word(" quack", 10.5, 10.8),
        word(" brown,", 11.2, 11.7),
        word(" fox", 11.5, 12.0),
    ]
    assert overlap.later(again) == (again[2], again[3])
    assert overlap.new(again[:2]) == ()
    assert overlap.new(again[2:]) == (again[3],)
    assert overlap.new([word(" brown", 11.3, 11.4)])  # only once
    assert Overlap(()).new(again) == tuple(again)


def test_audio_is_forgotten_when_it_was_received_and_is_final() -> None:
    """Not before both; and a server that is gone is asked from the settled second on."""
    state = Recovery(bytes_per_s=100, frame_bytes=2)
    for _ in range(10):
        state.outbox.add(bytes(100))

    def take(**table: Any) -> Message | None:
        return state.take(table, Message(None))

    assert take(type="Session", resume="t", closing=False, received_bytes=0, received_commands=0, sequence=0) is None
    take(type="Received", received_bytes=700, settled_s=0.0)
    assert state.outbox.start == 0
    take(type="Received", received_bytes=700, settled_s=5.25)
    assert state.outbox.start == 500
    assert state.parameters == {"resume": "t", "sequence": 0}
    assert state.begin_again() == 0.0
    assert state.parameters == {"offset": 5.24}
    state.forget_received(100)
    state.outbox.forget(900)
    assert state.begin_again() == pytest.approx(9.0 - 5.25)
    assert state.parameters == {"offset": 9.0}


def test_messages_that_came_before_the_break_are_dropped() -> None:
    """By their number."""
    state = Recovery(bytes_per_s=100, frame_bytes=2)
    session = {"type": "Session", "resume": "t", "closing": False, "received_bytes": 0, "received_commands": 0}
    state.take(session | {"sequence": 0}, Message(None))
    results = {"type": "Results", "received_bytes": 0, "settled_s": 0.0}
    final = Message(Final((word(" a", 0.0, 0.5),), 0.0, 0.5, "en"))
    seen = [state.take(results | {"sequence": number}, final) for number in (1, 2, 2, 1, 4, 3)]
    assert [bool(message) for message in seen] == [True, True, False, False, True, False]


# --- real streams


async def spoken(seconds: float, wait_s: float = 0.002) -> AsyncIterator[bytes]:
    audio = pcm(seconds, 0.25)
    for start in range(0, len(audio), 3201):
        yield audio[start : start + 3201]
        await asyncio.sleep(wait_s)


def resumed(url: str, chunks: AsyncIterator[bytes | str], states: list[str] | None = None) -> list[Message]:
    messages: list[Message] = []
    on_state = (lambda sentence: None) if states is None else states.append
    streaming = ResumingStream(url, messages.append, bytes_per_s=32_000, frame_bytes=2, on_state=on_state)
    asyncio.run(streaming.run(chunks))
    return messages


@pytest.mark.slow
def test_streams_over_a_network_that_breaks_are_as_undisturbed_ones() -> None:
    """Reset, closed or silent, in the handshake, in the middle of a message, late or not: finals once, audio once."""
    noise = np.random.default_rng(7)
    recordings = [noise.integers(-3000, 3000, round(s * 16_000)).astype("<i2").tobytes() for s in (4.3, 6.1)]
    with running(ScriptedEngine(), max_streams=200, max_resume_s=8.0) as server:
        run = compare(
            server.ws_url,
            recordings,
            streams=8,
            seed=18,
            at_once=8,
            pace=4.0,
            breaks=3,
            silence_s=2.5,
            vad_events=False,
        )
        outcome = asyncio.run(run)
        assert outcome.different == []
        assert (outcome.streams, outcome.breaks > 12) == (8, True)
        assert server.metric("asr_resumes_total", outcome="resumed") > 4
        assert places_free_s(server.ws_url) is not None


@pytest.mark.slow
def test_a_server_that_keeps_nothing_any_more_recognises_the_rest_again(scripted: Running) -> None:
    """410: as after a restart. Words that were final are not repeated, and the times go on."""

    async def forgetful() -> AsyncIterator[bytes]:
        async for number, chunk in _numbered(spoken(12.0, 0.01)):
            yield chunk
            if number in (40, 80):
                streams = scripted.service.kept_streams
                loop = scripted.server.servers[0].get_loop()
                for stream in list(streams._all):
                    loop.call_soon_threadsafe(stream._give_up)
                await asyncio.sleep(0.3)

    states: list[str] = []
    messages = resumed(f"{scripted.ws_url}?{RAW}", forgetful(), states)
    # Each stream of the scripted engine counts its words from zero: the times say which half seconds were recognised.
    finals = [m.event for m in messages if isinstance(m.event, Final)]
    times = [w.start_s for final in finals for w in final.words]
    assert times == [i / 2 for i in range(24)]
    assert messages[-1].event == Ended(12.0)
    assert (
        scripted.metric("asr_resumes_total", outcome="gone") >= 1
    )  # the second may come before the stream is there again
    assert states[-1] == ""
    assert not any("lost" in state for state in states)


async def _numbered(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    number = 0
    async for chunk in chunks:
        yield number, chunk
        number += 1


@pytest.mark.slow
def test_a_server_that_is_restarted_gets_the_rest() -> None:
    """1012 while the client speaks: the next server gets all that is not final, and no word is cut in two."""
    messages: list[Message] = []

    async def speak(url: str, first: Running) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            async for number, chunk in _numbered(spoken(6.0, 0.02)):
                yield chunk
                if number == 25:
                    first.server.should_exit = True

        streaming = ResumingStream(url, messages.append, bytes_per_s=32_000, frame_bytes=2)
        await streaming.run(chunks())

    with running(ScriptedEngine()) as first:
        port = int(first.url.rsplit(":", 1)[1])
        speaking = asyncio.run

        async def both() -> None:
            task = asyncio.create_task(speak(f"{first.ws_url}?{RAW}", first))
            await asyncio.to_thread(first.thread.join, 30)
            with running(ScriptedEngine(), port=port):
                await task
                await asyncio.sleep(0)

        speaking(both())
    finals = [m.event for m in messages if isinstance(m.event, Final)]
    assert [word.start_s for final in finals for word in final.words] == [i / 2 for i in range(12)]
    ended = [m.event for m in messages if isinstance(m.event, Ended)]
    assert ended == [Ended(pytest.approx(6.0, abs=0.01))]  # type: ignore[list-item]


def test_finalize_is_sent_again_only_if_it_was_lost(scripted: Running) -> None:
    """Two of them, with a break in between: two answers."""

    async def chunks() -> AsyncIterator[bytes | str]:
        yield pcm(0.6)
        yield FINALIZE
        await asyncio.sleep(0.3)
        for connection in list(scripted.server.server_state.connections):
            loop = scripted.server.servers[0].get_loop()
            loop.call_soon_threadsafe(connection.transport.abort)  # type: ignore[union-attr]
        yield pcm(0.6)
        yield FINALIZE

    messages = resumed(f"{scripted.ws_url}?{RAW}", chunks())
    assert sum(isinstance(m.event, Final) and m.event.from_finalize for m in messages) == 2
    assert texts(messages) == words(2)


def test_a_server_that_fails_at_one_try_is_asked_again(scripted: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """500, as from one that shuts down while it takes a stream; the address has worked before."""
    engine: ScriptedEngine = scripted.service.schedulers["scripted-1"].engine  # type: ignore[assignment]
    opened, open_session = [0], engine.open

    def open_or_fail(*request: Any) -> Any:
        opened[0] += 1
        if opened[0] == 2:
            raise InternalError("out of order")
        return open_session(*request)

    monkeypatch.setattr(engine, "open", open_or_fail)

    async def chunks() -> AsyncIterator[bytes]:
        yield pcm(0.6)
        await asyncio.sleep(0.3)
        loop = scripted.server.servers[0].get_loop()
        for stream in list(scripted.service.kept_streams._all):
            loop.call_soon_threadsafe(stream._give_up)
        await asyncio.sleep(0.3)
        yield pcm(0.6)

    assert texts(resumed(f"{scripted.ws_url}?{RAW}", chunks())) == words(2)
    assert opened == [3]


def test_a_server_of_others_is_used_as_before() -> None:
    """It sends no Session: a break is an error in one sentence, once something was received."""

    async def vanish(socket: Any) -> None:
        await socket.recv()
        await socket.send(json.dumps({"type": "Metadata", "duration": 1.0}))
        await asyncio.sleep(0.1)
        socket.transport.abort()

    with listening(vanish) as url, pytest.raises(StreamError, match="the connection to the server broke"):
        resumed(url, spoken(0.5))


def test_the_client_gives_up_with_a_sentence(scripted: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says up to which second the text is final."""
    monkeypatch.setattr(resuming, "GIVE_UP_S", 0.5)

    async def chunks() -> AsyncIterator[bytes]:
        yield pcm(2.0, 0.25)
        await asyncio.sleep(0.5)
        scripted.server.servers[0].close()
        for connection in list(scripted.server.server_state.connections):
            loop = scripted.server.servers[0].get_loop()
            loop.call_soon_threadsafe(connection.transport.abort)  # type: ignore[union-attr]
        await asyncio.sleep(30)

    with pytest.raises(StreamError, match=r"could not be made again .* the text up to second 2\.0 is final"):
        resumed(f"{scripted.ws_url}?{RAW}", chunks())


def test_memory_is_bounded_while_nobody_takes_the_audio(scripted: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source waits; afterwards all of it is recognised."""
    monkeypatch.setattr(resuming, "MAX_KEPT_BYTES", 64_000)
    engine: ScriptedEngine = scripted.service.schedulers["scripted-1"].engine  # type: ignore[assignment]
    engine.step_s = 0.01
    assert texts(resumed(f"{scripted.ws_url}?{RAW}", spoken(20.0, 0.0))) == words(40)
