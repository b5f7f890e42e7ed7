"""Streams over a real socket to a server with a scripted engine: messages, results, and what a client leaves behind."""

import asyncio
import contextlib
import json
import socket as sockets
import threading
import time
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect as async_connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from asr.config import SAMPLE_RATE_HZ
from server.client.protocol import listen_url
from tests.server.fakes import POISON, ScriptedEngine, words
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed, wav

pytestmark = pytest.mark.slow


def test_everything_spoken_is_final_before_the_socket_closes(scripted: Running) -> None:
    """CloseStream: the tail's words, then Metadata, then 1000."""
    with scripted.listen() as socket:
        for _ in range(27):
            socket.send(pcm(0.1))
        socket.send(CLOSE)
        messages, code = until_closed(socket)
    assert transcript(messages) == words(5)
    assert [message["type"] for message in messages][-2:] == ["Results", "Metadata"]
    assert messages[-1]["duration"] == pytest.approx(2.7, abs=0.01)
    assert code == 1000


def test_a_fast_sender_gets_all_its_text_from_a_bounded_buffer() -> None:
    """A recording sent as fast as possible through a small buffer: nothing is lost, the session never holds much."""
    engine = ScriptedEngine(step_s=0.002)
    with running(engine, max_buffered_audio_s=2.0, max_message_bytes=32_000) as server, server.listen() as socket:
        seen = 0.0
        for _ in range(600):
            socket.send(pcm(0.5))
            seen = max(seen, engine.opened[-1].lag_s)
        socket.send(CLOSE)
        messages, code = until_closed(socket)
    assert transcript(messages) == words(600)
    assert code == 1000
    assert seen <= 2.0 + 1.0  # the bound, and the message that exceeded it


def test_a_fast_sender_with_pings_is_not_cut_off_by_its_own_pings() -> None:
    """Ten minutes at once to a slow engine, from a client that closes when a pong takes longer than a second."""

    async def send_all(url: str) -> tuple[list[dict[str, Any]], int | None]:
        messages = []
        async with async_connect(url, ping_interval=0.3, ping_timeout=1.0, compression=None) as socket:
            for _ in range(600):
                await socket.send(bytes(8000))
            await socket.send(CLOSE)
            async for message in socket:
                messages.append(json.loads(message))
        return messages, socket.close_code

    engine = ScriptedEngine(step_s=0.02)
    with running(engine, max_buffered_audio_s=2.0, max_message_bytes=32_000) as server:
        messages, code = asyncio.run(send_all(f"{server.ws_url}?encoding=mulaw&sample_rate=8000"))
    assert (transcript(messages), code) == (words(1200), 1000)


def test_shutting_down_drops_what_waits_on_disk() -> None:
    """There may be hours of it. The text is final up to the second that Metadata names."""
    engine = ScriptedEngine(step_s=0.1)
    with running(engine, max_buffered_audio_s=2.0, max_message_bytes=32_000) as server, server.listen() as socket:
        for _ in range(600):
            socket.send(pcm(0.5))
        server.server.should_exit = True
        messages, code = until_closed(socket)
    assert code == 1012
    assert 0 < messages[-1]["duration"] < 200
    assert transcript(messages) == words(int(messages[-1]["duration"] / 0.5))


def test_interim_results_come_before_their_final(scripted: Running) -> None:
    """They replace each other; the finals alone are the text."""
    with scripted.listen(RAW + "&interim_results=true") as socket:
        socket.send(pcm(1.0))
        interim = json.loads(socket.recv(timeout=30))
        assert interim["is_final"] is False
        assert interim["channel"]["alternatives"][0]["transcript"] == "w0 w1"
        socket.send(CLOSE)
        messages, _ = until_closed(socket)
    assert transcript(messages) == "w0 w1"


def test_finalize_is_answered_immediately(scripted: Running) -> None:
    """With the words received so far, marked `from_finalize`."""
    with scripted.listen() as socket:
        socket.send(pcm(0.6))
        socket.send('{"type": "Finalize"}')
        answer = json.loads(socket.recv(timeout=30))
        assert answer["from_finalize"] is True
        socket.send('{"type": "Finalize"}')
        assert json.loads(socket.recv(timeout=30))["channel"]["alternatives"][0]["transcript"] == ""


def test_speech_started_and_utterance_end_come_when_asked_for(scripted: Running) -> None:
    """In the order of audio time."""
    with scripted.listen(RAW + "&vad_events=true&utterance_end_ms=1000") as socket:
        socket.send(pcm(2.0))
        socket.send(CLOSE)
        messages, _ = until_closed(socket)
    assert [m["type"] for m in messages] == ["SpeechStarted", "Results", "Metadata"]


def test_endpointing_and_language_reach_the_session(scripted: Running) -> None:
    """Each stream has settings of its own."""
    with scripted.listen(RAW + "&endpointing=1500&language=ja&interim_results=true"):
        session = scripted.service.schedulers["scripted-1"].engine.opened[-1]  # type: ignore[attr-defined]
        assert session.settings.vad.endpoint_ms == 1500
        assert session.language == "ja"
        assert session.partials


def test_hotwords_and_a_prompt_reach_the_session(scripted: Running) -> None:
    """From both APIs, and from the address that `asr stream` builds."""
    engine: ScriptedEngine = scripted.service.schedulers["scripted-1"].engine  # type: ignore[assignment]
    with scripted.listen(RAW + "&keyterm=Ada%20Lovelace&keywords=Babbage:2&prompt=So%2C"):
        assert engine.asked[-1] == ("So,", ("Ada Lovelace", "Babbage"))
    address = listen_url(scripted.ws_url, encoding="linear16", sample_rate=16000, keyterm=["Ada", "Ze"], prompt=None)
    with connect(address):
        assert engine.asked[-1] == ("", ("Ada", "Ze"))
    form = {"hotwords": "Ada, Ze", "hotwords[]": "Babbage", "prompt": "So,"}
    httpx.post(scripted.url + "/v1/audio/transcriptions", data=form, files={"file": wav(1.0)})
    assert engine.asked[-1] == ("So,", ("Ada", "Ze", "Babbage"))


def test_streams_that_speak_together_are_stepped_together() -> None:
    """While one batch is in the model the next one gathers."""
    engine = ScriptedEngine()
    with running(engine) as server, server.listen() as a, server.listen() as b, server.listen() as c:
        engine.gate.clear()
        a.send(pcm(2.0))
        eventually(lambda: engine.opened[-3].received_s >= 2.0)
        time.sleep(0.05)  # the first is being stepped
        b.send(pcm(2.0))
        c.send(pcm(2.0))
        eventually(lambda: all(session.received_s >= 2.0 for session in engine.opened[-3:]))
        time.sleep(0.05)
        engine.gate.set()
        for socket in (a, b, c):
            assert json.loads(socket.recv(timeout=30))["is_final"]
        assert max(engine.batches) >= 2
        assert server.metric("asr_batch_size_sum", model="scripted-1", release="") == sum(engine.batches)


def test_a_step_that_fails_ends_only_its_own_stream(scripted: Running) -> None:
    """1011 without the model's error text; the other stream in the batch goes on."""
    with scripted.listen() as good, scripted.listen() as bad:
        good.send(pcm(1.0))
        bad.send(pcm(1.0, POISON))
        messages, code = until_closed(bad)
        assert code == 1011
        assert messages[-1]["variant"] == "INTERNAL"
        assert "poison" not in messages[-1]["description"]
        good.send(pcm(1.0))
        good.send(CLOSE)
        assert transcript(until_closed(good)[0]) == words(4)


def test_a_socket_that_vanishes_mid_word_leaves_nothing(scripted: Running) -> None:
    """No close frame: its place is free again."""
    with scripted.listen() as socket:
        socket.send(pcm(0.7))
        assert scripted.metric("asr_open_streams") == 1
        socket.socket.shutdown(sockets.SHUT_RDWR)
    eventually(lambda: scripted.metric("asr_open_streams") == 0)


def test_a_socket_that_vanishes_during_its_step_leaves_nothing() -> None:
    """The step ends, its result is dropped, the next stream is served."""
    engine = ScriptedEngine()
    with running(engine) as server:
        engine.gate.clear()
        with server.listen() as socket:
            socket.send(pcm(2.0))
            eventually(lambda: bool(engine.opened) and engine.opened[-1].received_s >= 2.0)
            socket.socket.shutdown(sockets.SHUT_RDWR)
        eventually(lambda: server.metric("asr_open_streams") == 0)
        engine.gate.set()
        with server.listen() as following:
            following.send(pcm(1.0))
            following.send(CLOSE)
            assert transcript(until_closed(following)[0]) == words(2)


def client_that_never_reads(server: Running) -> sockets.socket:
    """A handshake by hand on a socket with a small buffer, from which nothing is read afterwards."""
    host, port = server.url.removeprefix("http://").split(":")
    socket = sockets.socket()
    socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    socket.connect((host, int(port)))
    protocol = ClientProtocol(parse_uri(f"{server.ws_url}?encoding=mulaw&sample_rate=8000&interim_results=true"))
    protocol.send_request(protocol.connect())
    socket.sendall(b"".join(protocol.data_to_send()))
    socket.recv(1)
    return socket


def test_a_client_that_takes_no_results_is_dropped_and_holds_up_nobody() -> None:
    """It sends much and reads nothing: its place becomes free while it is still connected."""
    frame = Frame(Opcode.BINARY, bytes(100_000)).serialize(mask=True)
    with running(ScriptedEngine(), send_timeout_s=0.5) as server, client_that_never_reads(server) as deaf:
        eventually(lambda: server.metric("asr_open_streams") == 1)
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 - however many frames it takes
            while True:
                deaf.sendall(frame)
        with server.listen() as good:
            good.send(pcm(1.0))
            good.send(CLOSE)
            assert transcript(until_closed(good)[0]) == words(2)
        eventually(lambda: server.metric("asr_open_streams") == 0)


def test_a_full_server_refuses_with_the_time_to_wait() -> None:
    """HTTP 503 with Retry-After before the upgrade; when a stream has ended there is a place again."""
    with running(ScriptedEngine(), max_streams=1) as server:
        with server.listen():
            with pytest.raises(InvalidStatus) as refused, server.listen():
                pass
            answer = refused.value.response
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert "all 1 places are taken" in json.loads(answer.body or b"")["err_msg"]
        eventually(lambda: server.metric("asr_open_streams") == 0)
        with server.listen():
            pass
        assert server.metric("asr_refused_total", reason="full") == 1


def test_shutting_down_sends_the_last_words() -> None:
    """1012 after the finals and Metadata."""
    with running(ScriptedEngine()) as server, server.listen() as socket:
        socket.send(pcm(1.2))
        eventually(lambda: server.metric("asr_audio_seconds_total") > 1.0)
        server.server.should_exit = True
        messages, code = until_closed(socket)
    assert transcript(messages) == words(2)
    assert messages[-1]["type"] == "Metadata"
    assert code == 1012


def test_the_words_do_not_depend_on_the_pieces(scripted: Running) -> None:
    """One message, or many of odd sizes that cut samples in two."""
    data = np.random.default_rng(0).integers(-99, 99, 3 * SAMPLE_RATE_HZ).astype("<i2").tobytes()
    texts = []
    for size in (len(data), 333):
        with scripted.listen() as socket:
            for start in range(0, len(data), size):
                socket.send(data[start : start + size])
            socket.send(CLOSE)
            messages, _ = until_closed(socket)
            texts.append((transcript(messages), messages[-1]["duration"], messages[-1]["sha256"]))
    assert texts[0] == texts[1]


def test_keep_alive_keeps_a_silent_stream_open() -> None:
    """Three times as long as the idle timeout."""
    with running(ScriptedEngine(), idle_timeout_s=0.4) as server, server.listen() as socket:
        for _ in range(12):
            time.sleep(0.1)
            socket.send('{"type": "KeepAlive"}')
        socket.send(pcm(0.5))
        socket.send(CLOSE)
        assert until_closed(socket)[1] == 1000


def test_a_subprotocol_that_is_offered_is_accepted(scripted: Running) -> None:
    """Deepgram's browser clients send their key as one, and close if none is accepted."""
    with scripted.listen(subprotocols=["token", "abc"]) as socket:
        assert socket.subprotocol == "token"
        assert socket.response is not None
        assert socket.response.headers["dg-request-id"]


def test_a_server_that_is_busy_refuses_the_next_stream_before_it_opens() -> None:
    """Places are free but the model has no time: HTTP 503 with Retry-After."""
    with running(ScriptedEngine(), max_load=0.9) as server:
        server.service.schedulers["scripted-1"].calibrate(0.5)
        with server.listen():
            with pytest.raises(InvalidStatus) as refused, server.listen():
                pass
            answer = refused.value.response
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert "take all of the model's time" in json.loads(answer.body or b"")["err_msg"]
            assert server.metric("asr_refused_total", reason="busy") == 1
        eventually(lambda: server.metric("asr_open_streams") == 0)
        with server.listen():
            pass


def test_a_stream_that_cannot_keep_up_is_closed_with_its_text_final() -> None:
    """An engine slower than speech: 1013 after the text of all audio received; the message names the second."""
    engine = ScriptedEngine()
    slow = {"max_lag_s": 0.6, "max_lagging_s": 0.5, "max_buffered_audio_s": 3.0, "max_load": 9.0}
    with running(engine, **slow) as server, server.listen() as socket:
        engine.step_s = 2.2  # a step recognises two seconds
        threading.Thread(target=_speak, args=(socket, 100), daemon=True).start()
        messages, code = until_closed(socket)
        assert server.metric("asr_ended_total", code="1013") == 1
        engine.step_s = 0.0
    assert code == 1013
    assert (messages[-1]["type"], messages[-1]["variant"]) == ("Error", "NET-0002")
    received_s = engine.opened[-1].received_s
    assert transcript(messages) == words(int(received_s / 0.5))
    assert f"up to second {received_s:.1f} is final" in messages[-1]["description"]


def _speak(socket: ClientConnection, chunks: int) -> None:
    """Sends silence at the pace of speech until the connection closes."""
    with contextlib.suppress(ConnectionClosed):
        for _ in range(chunks):
            socket.send(pcm(0.2))
            time.sleep(0.2)


def test_a_recording_sent_as_fast_as_possible_is_not_closed_for_its_lag() -> None:
    """It lags, but is recognised faster than it was spoken."""
    engine = ScriptedEngine(step_s=0.01)
    with running(engine, max_lag_s=0.6, max_lagging_s=0.2) as server, server.listen() as socket:
        for _ in range(200):
            socket.send(pcm(1.0))
        socket.send(CLOSE)
        messages, code = until_closed(socket)
    assert (code, transcript(messages)) == (1000, words(400))
