"""Streams that outlive their connection, over real sockets: nothing twice, nothing missing, no place held for ever."""

import json
import re
import socket as sockets
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection
from websockets.uri import parse_uri

from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed, wav

pytestmark = pytest.mark.slow

QUERY = RAW + "&resumable=30"
Messages = list[dict[str, Any]]


def receive(socket: ClientConnection, *kinds: str) -> dict[str, Any]:
    """The next message of one of these types."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=30))
        if message["type"] in kinds:
            return message


def session(socket: ClientConnection) -> dict[str, Any]:
    """The first message."""
    message: dict[str, Any] = json.loads(socket.recv(timeout=30))
    assert message["type"] == "Session"
    return message


def cut(socket: ClientConnection) -> None:
    """As a network that fails: RST, without a farewell."""
    socket.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket.shutdown(sockets.SHUT_RD)
    socket.socket.close()


def numbered(messages: Messages) -> Messages:
    return [message for message in messages if message["type"] not in ("Session", "Received")]


@contextmanager
def resumed(server: Running, opened: dict[str, Any], sequence: int = 0) -> Iterator[ClientConnection]:
    with server.listen(f"resume={opened['resume']}&sequence={sequence}") as socket:
        yield socket


def refused(server: Running, query: str) -> tuple[int, str]:
    """Status and sentence of a refusal before the upgrade."""
    with pytest.raises(InvalidStatus) as refusal, server.listen(query):
        pass
    body = json.loads(refusal.value.response.body or b"")
    return refusal.value.response.status_code, body["err_msg"]


def test_a_stream_goes_on_where_its_connection_was_lost(scripted: Running) -> None:
    """In the middle of a sample. What was not received is sent again, the rest is not, and the audio is whole."""
    audio = pcm(4.2, 0.25)
    with scripted.listen(QUERY) as first:
        opened = session(first)
        assert (opened["received_bytes"], opened["sequence"], opened["closing"], opened["resumable"]) == (
            0,
            0,
            False,
            30,
        )
        first.send(audio[:70_001])
        seen = receive(first, "Results")
        assert seen["received_bytes"] == 70_001
        cut(first)
    eventually(lambda: scripted.metric("asr_detached_streams") == 1)
    assert scripted.metric("asr_open_streams") == 1
    with resumed(scripted, opened, seen["sequence"]) as second:
        opened = session(second)
        assert (opened["received_bytes"], opened["sequence"]) == (70_001, seen["sequence"])
        second.send(audio[70_001:])
        second.send(CLOSE)
        messages, code = until_closed(second)
    assert (transcript([seen, *messages]), code) == (words(8), 1000)
    sequences = [message["sequence"] for message in numbered([seen, *messages])]
    assert sequences == sorted(set(sequences))
    with scripted.listen(RAW) as undisturbed:
        undisturbed.send(audio)
        undisturbed.send(CLOSE)
        assert until_closed(undisturbed)[0][-1]["sha256"] == messages[-1]["sha256"]
    eventually(lambda: scripted.metric("asr_open_streams") == 0)
    assert scripted.metric("asr_resumes_total", outcome="resumed") == 1


def test_other_clients_never_see_these_messages(scripted: Running) -> None:
    """Without `resumable`, or with 0: no Session, no Received, no new field, and Ack is unknown."""
    for query in (RAW, RAW + "&resumable=0", RAW + "&resumable=false"):
        with scripted.listen(query) as socket:
            socket.send(pcm(1.0))
            time.sleep(1.2)
            socket.send('{"type": "Ack", "sequence": 1}')
            messages, code = until_closed(socket)
        assert (code, messages[-1]["variant"]) == (1008, "DATA-0001")
        assert not {"Session", "Received"} & {message["type"] for message in messages}
        assert not {"received_bytes", "settled_s"} & {name for message in messages for name in message}


def test_a_server_that_keeps_nothing_says_nothing() -> None:
    """`max_resume_s` 0: a stream as without `resumable`, so that a client knows from the missing Session."""
    with running(ScriptedEngine(), max_resume_s=0.0) as server, server.listen(QUERY) as socket:
        socket.send(pcm(1.0))
        socket.send(CLOSE)
        assert [message["type"] for message in until_closed(socket)[0]] == ["Results", "Metadata"]


def test_what_was_said_while_nobody_was_there_comes_afterwards(scripted: Running) -> None:
    """Finals and the summary after CloseStream, without the interim results; the place is free at once."""
    with scripted.listen(QUERY + "&interim_results=true") as first:
        opened = session(first)
        first.send(pcm(3.2))
        first.send(CLOSE)
        receive(first, "Results")
        cut(first)
    eventually(lambda: scripted.metric("asr_open_streams") == 0)
    with resumed(scripted, opened) as second:
        opened = session(second)
        messages, code = until_closed(second)
    assert (opened["closing"], opened["received_bytes"], code) == (True, 102_400, 1000)
    assert [m["type"] for m in messages if m.get("is_final", True)] == [m["type"] for m in messages]
    assert (transcript(messages), messages[-1]["type"]) == (words(6), "Metadata")


def test_the_summary_is_kept_although_it_was_delivered(scripted: Running) -> None:
    """Nobody knows whether the last bytes of a connection arrived."""
    with scripted.listen(QUERY) as socket:
        opened = session(socket)
        socket.send(pcm(1.2))
        socket.send(CLOSE)
        first = until_closed(socket)[0]
    for sequence in (0, 1, 2):
        with resumed(scripted, opened, sequence) as again:
            opened = session(again)
            messages, code = until_closed(again)
        assert (numbered(messages), code) == (numbered(first)[sequence:], 1000)


def test_an_error_is_kept_too(scripted: Running) -> None:
    """A client that comes back learns why its stream ended."""
    with scripted.listen(QUERY) as first:
        opened = session(first)
        first.send("no JSON")
        cut(first)
    with resumed(scripted, opened) as second:
        messages, code = until_closed(second)
    assert (code, messages[-1]["variant"]) == (1008, "DATA-0001")


def test_a_newer_connection_takes_over_at_once(scripted: Running) -> None:
    """While the first still sends: it is closed, not waited for, and what was not counted is sent again."""
    with scripted.listen(QUERY) as first:
        opened = session(first)
        for _ in range(20):
            first.send(pcm(0.1))
        with resumed(scripted, opened) as second:
            count = session(second)["received_bytes"]
            with suppress(ConnectionClosed):
                for _ in range(1000):
                    first.send(pcm(0.1))
                    time.sleep(0.001)
            assert until_closed(first)[1] == 4001
            second.send(bytes(96_000 - count))
            second.send(CLOSE)
            messages, _ = until_closed(second)
    assert transcript(messages) == words(6)
    assert messages[-1]["duration"] == 3.0
    assert scripted.metric("asr_resumes_total", outcome="taken_over") == 1


def test_a_token_is_dead_when_its_successor_was_used(scripted: Running) -> None:
    """It stays until then: the message with the new one may be lost, too. A dead or guessed one is 410."""
    with scripted.listen(QUERY) as first:
        old = session(first)
        cut(first)
    with resumed(scripted, old) as second:
        lost = session(second)
        cut(second)
    with resumed(scripted, old) as third:
        new = session(third)
        third.send('{"type": "KeepAlive"}')
        third.send(pcm(0.5))
        eventually(lambda: scripted.metric("asr_audio_seconds_total") > 0)
        answers = {refused(scripted, f"resume={token}") for token in (old["resume"], lost["resume"], "A" * 22, "é" * 9)}
    assert len({old["resume"], lost["resume"], new["resume"]}) == 3
    [(status, sentence), (other, _)] = sorted(answers, reverse=True)
    assert (status, other) == (410, 400)
    assert "kept no more, or never was" in sentence
    assert scripted.metric("asr_resumes_total", outcome="gone") == 3


def test_two_that_resume_at_once_leave_one(scripted: Running) -> None:
    """The later one; the audio is counted once."""
    with scripted.listen(QUERY) as first:
        opened = session(first)
        first.send(pcm(1.0))
        receive(first, "Received")
        cut(first)
    with resumed(scripted, opened) as a, resumed(scripted, opened) as b:
        session(a)
        assert session(b)["received_bytes"] == 32_000
        assert until_closed(a)[1] == 4001
        b.send(pcm(1.0))
        b.send(CLOSE)
        assert until_closed(b)[0][-1]["duration"] == 2.0


@pytest.mark.parametrize(
    ("sequence", "found"),
    [("99", "sequence: found 99, wanted 0 to 0"), ("-1", "sequence: found '-1'"), ("1" * 400, "sequence: found '111")],
)
def test_messages_that_nobody_can_have_are_refused(scripted: Running, sequence: str, found: str) -> None:
    """400; the token is still good."""
    with scripted.listen(QUERY) as first:
        opened = session(first)
        status, sentence = refused(scripted, f"resume={opened['resume']}&sequence={sequence}")
        assert (status, sentence[: len(found)]) == (400, found)
        with resumed(scripted, opened) as second:
            assert session(second)["resume"]


def test_acknowledged_messages_are_forgotten(scripted: Running) -> None:
    """They take no memory, and cannot be asked for again. More than was sent is all of it."""
    with scripted.listen(QUERY) as first:
        opened = session(first)
        first.send(pcm(4.0))
        last = [receive(first, "Results") for _ in range(2)][-1]
        assert scripted.metric("asr_kept_bytes") > 1000
        first.send(f'{{"type": "Ack", "sequence": {last["sequence"]}}}')
        eventually(lambda: scripted.metric("asr_kept_bytes") == 0)
        assert refused(scripted, f"resume={opened['resume']}&sequence=1") == (
            400,
            "sequence: found 1, wanted 2 to 2, the last message received",
        )
        first.send('{"type": "Ack", "sequence": 12345}')
        first.send(pcm(2.0))
        assert receive(first, "Results")["sequence"] == 3


@pytest.mark.parametrize("sequence", ["-1", "true", '"1"', "null", "1.5", "[]"])
def test_an_ack_of_no_number_is_an_error(scripted: Running, sequence: str) -> None:
    """In one sentence, as for any message."""
    with scripted.listen(QUERY) as socket:
        socket.send(f'{{"type": "Ack", "sequence": {sequence}}}')
        messages, code = until_closed(socket)
    assert (code, messages[-1]["variant"]) == (1008, "DATA-0001")
    assert "wanted the number of a message" in messages[-1]["description"]


def test_finalize_is_counted_so_that_it_is_asked_once(scripted: Running) -> None:
    """And Configure: each has one answer."""
    with scripted.listen(QUERY) as first:
        opened = session(first)
        first.send(pcm(0.6))
        first.send('{"type": "Finalize"}')
        first.send('{"type": "Configure"}')
        receive(first, "ConfigureSuccess")
        cut(first)
    with resumed(scripted, opened) as second:
        assert session(second)["received_commands"] == 2
        answers = [receive(second, "Results", "ConfigureSuccess") for _ in range(2)]
    assert {answer["type"] for answer in answers} == {"Results", "ConfigureSuccess"}


def test_a_sign_of_life_comes_every_second(scripted: Running) -> None:
    """With what was received, in silence too: a client may forget that audio."""
    with scripted.listen(QUERY) as socket:
        session(socket)
        socket.send(pcm(0.3))
        message = receive(socket, "Received")
        assert (message["received_bytes"], message["settled_s"]) == (9600, 0.0)
        assert "sequence" not in message
        assert receive(socket, "Received") == message


def test_nobody_comes_back_and_the_place_is_free_in_time() -> None:
    """After `resumable` seconds, bounded by `max_resume_s`; the token is then unknown."""
    with running(ScriptedEngine(), max_resume_s=1.0) as server:
        with server.listen(QUERY) as socket:
            opened = session(socket)
            assert opened["resumable"] == 1.0
            socket.send(pcm(1.2))
            cut(socket)
        eventually(lambda: server.metric("asr_detached_streams") == 1)
        began_s = time.monotonic()
        eventually(lambda: server.metric("asr_open_streams") == 0)
        assert time.monotonic() - began_s > 0.5
        assert refused(server, f"resume={opened['resume']}")[0] == 410
        assert server.metric("asr_resumes_total", outcome="expired") == 1
        assert server.metric("asr_kept_bytes") == 0


def test_a_stream_that_gets_no_place_is_not_kept() -> None:
    """Both were checked while there was one place; the worker took its time to open them, and one came second."""
    both = threading.Barrier(2)

    class Slow(ScriptedEngine):
        def open(self, *given: Any) -> Any:
            time.sleep(0.3)
            return super().open(*given)

    statuses = []

    def client(server: Running) -> None:
        both.wait()
        try:
            with server.listen(QUERY) as socket:
                session(socket)
                both.wait()
                statuses.append(101)
        except InvalidStatus as refusal:
            statuses.append(refusal.response.status_code)
            both.wait()

    with running(Slow(), max_streams=1) as server:
        clients = [threading.Thread(target=client, args=(server,)) for _ in range(2)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        assert sorted(statuses) == [101, 503]
        eventually(lambda: server.metric("asr_open_streams") == server.metric("asr_detached_streams") == 0)


def test_a_client_that_has_gone_before_its_stream_is_open_leaves_its_place_free() -> None:
    """The model takes its time to open a stream, and the client's network breaks meanwhile."""
    opening = threading.Event()

    class Slow(ScriptedEngine):
        def open(self, *given: Any) -> Any:
            opening.set()
            time.sleep(0.5)
            return super().open(*given)

    with running(Slow()) as server:
        for _ in range(3):
            opening.clear()
            handshake = ClientProtocol(parse_uri(f"{server.ws_url}?{QUERY}"))
            handshake.send_request(handshake.connect())
            port = int(server.url.rpartition(":")[2])
            with sockets.create_connection(("127.0.0.1", port)) as socket:
                socket.sendall(b"".join(handshake.data_to_send()))
                assert opening.wait(30)
                socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        with server.listen(QUERY) as last:  # all that came before it have been opened
            session(last)
            assert server.metric("asr_open_streams") == 1
            assert server.metric("asr_detached_streams") == 0


def test_a_client_that_says_goodbye_is_not_waited_for(scripted: Running) -> None:
    """Close code 1000 is a farewell, with or without CloseStream. Any other, such as 1001, may be an accident."""
    for code, stays in ((1000, 0), (1001, 1), (1011, 1)):
        with scripted.listen(QUERY) as socket:
            session(socket)
            socket.send(pcm(0.3))
            socket.close(code)
        eventually(lambda stays=stays: scripted.metric("asr_detached_streams") == stays)  # type: ignore[misc]
        if stays:
            scripted.service.kept_streams._all.popitem()[0]._give_up()
        eventually(lambda: scripted.metric("asr_open_streams") == 0)


def test_a_silent_connection_is_closed_and_its_stream_kept() -> None:
    """A network that swallows everything looks like a client that sends nothing: 1011, and it may come back."""
    with running(ScriptedEngine(), idle_timeout_s=0.5) as server, server.listen(QUERY) as first:
        opened = session(first)
        first.send(pcm(1.2))
        assert until_closed(first)[1] == 1011
        assert server.metric("asr_detached_streams") == 1
        time.sleep(1.2)  # no idle limit meanwhile
        with resumed(server, opened) as second:
            second.send(CLOSE)
            assert transcript(until_closed(second)[0]) == words(2)


def test_a_stream_with_too_much_unacknowledged_text_says_that_it_cannot_be_resumed() -> None:
    """It goes on; its old token is unknown, and when its connection is lost its place is free at once."""
    with running(ScriptedEngine(), max_kept_bytes=3000) as server:
        with server.listen(QUERY) as socket:
            opened = session(socket)
            for _ in range(6):
                socket.send(pcm(2.0))
            texts = []
            while not texts or "resume" not in texts[-1]:
                texts.append(receive(socket, "Results", "Session"))
            assert texts[-1]["resume"] is None
            assert refused(server, f"resume={opened['resume']}")[0] == 410
            texts += [receive(socket, "Results") for _ in range(7 - len(texts))]
            assert transcript(texts) == words(24)
            assert server.metric("asr_resumes_total", outcome="over_memory") == 1
            cut(socket)
        eventually(lambda: server.metric("asr_open_streams") == 0)
        assert server.metric("asr_kept_bytes") == 0


def test_all_streams_together_are_bounded() -> None:
    """Streams that are over make room, the oldest first; then the one that grows stops being resumable."""
    with running(ScriptedEngine(), max_kept_total_bytes=4500) as server:
        tokens = []
        for _ in range(3):
            with server.listen(QUERY) as socket:
                tokens.append(session(socket)["resume"])
                socket.send(pcm(1.2))
                socket.send(CLOSE)
                until_closed(socket)
        assert [refused(server, f"resume={token}&sequence=9")[0] for token in tokens] == [410, 400, 400]
        assert server.metric("asr_kept_bytes") <= 4500


def test_a_shutdown_does_not_wait_for_clients_that_are_away(scripted: Running) -> None:
    """Their streams end; one that is connected is closed with 1012."""
    with scripted.listen(QUERY) as away, scripted.listen(QUERY) as there:
        session(away)
        away.send(pcm(1.2))
        cut(away)
        session(there)
        there.send(pcm(1.2))
        eventually(lambda: scripted.metric("asr_audio_seconds_total") > 2.0)
        eventually(lambda: scripted.metric("asr_detached_streams") == 1)
        began_s = time.monotonic()
        scripted.server.should_exit = True
        assert until_closed(there)[1] == 1012
    scripted.thread.join(30)
    assert time.monotonic() - began_s < scripted.service.settings.drain_timeout_s


def shut_down_after(server: Running, query: str, *sent: str | bytes) -> tuple[Messages, int | None]:
    """What a client that sent this gets from a server that then shuts down, and its close code."""
    with server.listen(query) as socket:
        for message in sent:
            socket.send(message)
        eventually(lambda: server.metric("asr_audio_seconds_total") > 1.0)
        server.server.should_exit = True
        messages, code = until_closed(socket)
    return numbered(messages), code


def test_no_word_is_cut_by_a_shutdown(scripted: Running) -> None:
    """A client that keeps its audio gets no last words, which reach to the last sample, and no summary of them."""
    assert shut_down_after(scripted, QUERY, pcm(1.2)) == ([], 1012)


@pytest.mark.parametrize(
    ("query", "sent"),
    [(RAW, pcm(1.2)), ("resumable=30", wav(1.2))],
    ids=["not resumable", "in a container, which cannot be cut"],
)
def test_streams_that_cannot_move_get_their_last_words_at_a_shutdown(
    scripted: Running, query: str, sent: bytes
) -> None:
    """And the summary."""
    messages, code = shut_down_after(scripted, query, sent)
    assert (transcript(messages), messages[-1]["type"], code) == (words(2), "Metadata", 1012)


@pytest.mark.parametrize("query", [RAW, QUERY])
def test_a_stream_that_its_client_has_ended_is_finished_at_a_shutdown(query: str) -> None:
    """1000, as it would have been: the first step runs when the server gets its signal to stop."""
    with running(ScriptedEngine(step_s=0.5)) as server:
        messages, code = shut_down_after(server, query, pcm(1.2), CLOSE)
    assert (transcript(messages), messages[-1]["type"], code) == (words(2), "Metadata", 1000)


def test_a_stream_that_can_be_resumed_no_more_gets_its_last_words_at_a_shutdown() -> None:
    """Its client was told so, and may keep no audio."""
    with running(ScriptedEngine(), max_kept_bytes=600) as server, server.listen(QUERY) as socket:
        socket.send(pcm(1.2))
        socket.send('{"type": "Finalize"}')
        told = [receive(socket, "Session")["resume"] for _ in range(2)]
        socket.send(pcm(1.2))
        eventually(lambda: server.metric("asr_audio_seconds_total") > 2.0)
        server.server.should_exit = True
        messages, code = until_closed(socket)
    assert (told[1], messages[-1]["type"], code) == (None, "Metadata", 1012)


def test_fifty_breaks_in_one_stream_lose_nothing(scripted: Running) -> None:
    """Each after some audio, some within a WebSocket message, some before the first message arrived."""
    audio, messages = pcm(25.0, 0.25), []
    with scripted.listen(QUERY) as socket:
        opened = session(socket)
        socket.send(audio[:10_000])
        cut(socket)
    for number in range(50):
        sequence = messages[-1]["sequence"] if messages else 0
        with resumed(scripted, opened, sequence) as socket:
            if number % 5 == 4:  # the new token is lost
                cut(socket)
                continue
            opened = session(socket)
            begin = opened["received_bytes"]
            socket.send(audio[begin : begin + 16_001])
            if number % 3 == 0:  # half a message: its bytes do not count
                frame = Frame(Opcode.BINARY, audio[begin + 16_001 : begin + 30_000]).serialize(mask=True)
                socket.socket.sendall(frame[: len(frame) // 2])
            if number % 2:
                deadline = time.monotonic() + 0.1
                while time.monotonic() < deadline:
                    with suppress(TimeoutError):
                        messages += numbered([json.loads(socket.recv(timeout=0.02))])
            cut(socket)
    with resumed(scripted, opened, messages[-1]["sequence"] if messages else 0) as socket:
        socket.send(audio[session(socket)["received_bytes"] :])
        socket.send(CLOSE)
        messages += until_closed(socket)[0]
    assert transcript(messages) == words(50)
    assert [m["sequence"] for m in numbered(messages)] == list(range(1, len(numbered(messages)) + 1))
    assert messages[-1]["duration"] == 25.0


def test_each_channel_goes_on(scripted: Running) -> None:
    """With `multichannel` as without."""
    with scripted.listen(QUERY + "&channels=2&multichannel=true") as first:
        opened = session(first)
        first.send(pcm(3.0)[:-1])
        receive(first, "Received")
        cut(first)
    with resumed(scripted, opened) as second:
        second.send(pcm(3.0)[session(second)["received_bytes"] :])
        second.send(CLOSE)
        messages, _ = until_closed(second)
    for channel in range(2):
        assert transcript([m for m in messages if m.get("channel_index") == [channel, 2]]) == words(3)


def test_a_conversation_cannot_be_resumed(scripted: Running) -> None:
    """Flux: refused with a sentence that has no token in it, not ignored. Nor can a recording."""
    for name, value in (("resumable", "30"), ("resume", "SECRET"), ("offset", "3")):
        answer = httpx.get(f"{scripted.url}/v2/listen?{RAW}&{name}={value}")
        assert answer.status_code == 400
        assert re.search(rf"^{name}\S* is not supported here", answer.json()["err_msg"])
        assert "SECRET" not in answer.text
        assert httpx.post(f"{scripted.url}/v1/listen?{name}={value}", content=b"x").status_code == 400


def test_the_address_by_plain_http_says_whether_a_stream_is_kept(scripted: Running) -> None:
    """For pages, from which a browser hides a refusal. It uses up no token."""
    with scripted.listen(QUERY) as first:
        opened = session(first)
        for _ in range(2):
            assert httpx.get(f"{scripted.ws_url.replace('ws', 'http')}?resume={opened['resume']}").status_code == 426
        assert httpx.get(f"{scripted.url}/v1/listen?resume=unknown").json()["err_code"] == "GONE"


def test_times_go_on_from_an_offset(scripted: Running) -> None:
    """Of words, results and activity: a client whose server died opens another stream for the rest."""
    with scripted.listen(RAW + "&offset=100.25&vad_events=true&utterance_end_ms=1000") as socket:
        socket.send(pcm(2.0, 0.25) + pcm(3.0))
        socket.send(CLOSE)
        messages, _ = until_closed(socket)
    results = [message for message in messages if message["type"] == "Results"]
    assert results[0]["start"] == 100.25
    assert [w["start"] for w in results[0]["channel"]["alternatives"][0]["words"]] == [100.25, 100.75, 101.25, 101.75]
    assert messages[0] == {"type": "SpeechStarted", "sequence": 1, "channel": [0, 1], "timestamp": 100.25}
    assert messages[-1]["duration"] == 5.0
    for wrong in ("-1", "x", "nan", "inf", "1e9"):
        assert refused(scripted, f"{RAW}&offset={wrong}")[0] == 400


def test_everything_before_the_settled_second_is_final(scripted: Running) -> None:
    """An utterance's end, or a second ago in a pause: from there a client may begin again elsewhere."""
    with scripted.listen(QUERY) as socket:
        session(socket)
        socket.send(pcm(2.0, 0.25))
        assert receive(socket, "Results")["settled_s"] == 2.0
        socket.send(pcm(1.0, 0.25))
        eventually(lambda: scripted.metric("asr_audio_seconds_total") > 2.9)
        assert receive(socket, "Received")["settled_s"] == 2.0


def conversation(url: str, *sent: str | bytes) -> tuple[Messages, int | None]:
    """Sends the messages and FIN, then reads until the server closes. By hand: client libraries cannot close a half."""
    protocol = ClientProtocol(parse_uri(url))
    protocol.send_request(protocol.connect())
    with sockets.create_connection(url.split("/")[2].split(":")) as socket:  # type: ignore[arg-type]
        socket.settimeout(30)
        socket.sendall(b"".join(protocol.data_to_send()))
        while not protocol.events_received():
            protocol.receive_data(socket.recv(65_536))
        for message in sent:
            (protocol.send_text if isinstance(message, str) else protocol.send_binary)(
                message.encode() if isinstance(message, str) else message
            )
        socket.sendall(b"".join(protocol.data_to_send()))
        socket.shutdown(sockets.SHUT_WR)
        while data := socket.recv(65_536):
            protocol.receive_data(data)
    frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
    return [
        json.loads(frame.data) for frame in frames if frame.opcode is Opcode.TEXT
    ], protocol.close_rcvd and protocol.close_rcvd.code


@pytest.mark.parametrize("end", [CLOSE, b""])
@pytest.mark.parametrize("query", [RAW, QUERY])
def test_a_client_that_closes_its_half_gets_its_last_words(scripted: Running, query: str, end: str | bytes) -> None:
    """After CloseStream: RFC 6455 knows no half close, but `shutdown(SHUT_WR)` is how many tools end their input."""
    messages, code = conversation(f"{scripted.ws_url}?{query}", pcm(3.2), end)
    assert (transcript(messages), messages[-1]["type"], code) == (words(6), "Metadata", 1000)
    eventually(lambda: scripted.metric("asr_open_streams") == 0)


def test_a_client_that_closes_its_half_without_asking_for_the_rest_is_gone(scripted: Running) -> None:
    """Its place is free at once: nothing tells it from one that has died."""
    with scripted.listen() as socket:
        socket.send(pcm(3.2))
        socket.socket.shutdown(sockets.SHUT_WR)
        eventually(lambda: scripted.metric("asr_open_streams") == 0, patience_s=2.0)


def test_finalize_before_a_half_close_is_answered(scripted: Running) -> None:
    """It asks for everything received so far."""
    messages, _ = conversation(f"{scripted.ws_url}?{RAW}", pcm(0.6), '{"type": "Finalize"}')
    assert [(message["from_finalize"], transcript([message])) for message in messages] == [(True, words(1))]
    eventually(lambda: scripted.metric("asr_open_streams") == 0)
