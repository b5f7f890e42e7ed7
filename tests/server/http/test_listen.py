"""`GET /v1/listen` with each kind of bad input: a clear error, no effect on another stream, nothing left behind."""

import json
import socket as sockets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from tests.server.fakes import POISON, ScriptedEngine, words
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed, wav

pytestmark = pytest.mark.slow

LIMIT = 200_000


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ScriptedEngine(), max_message_bytes=LIMIT, max_upload_bytes=LIMIT) as server:
        yield server


@contextmanager
def neighbour(server: Running) -> Iterator[None]:
    """A good stream around the bad one: it gets all its words, and at the end its place is the only one taken."""
    with server.listen() as good:
        good.send(pcm(1.3))
        yield
        eventually(lambda: server.metric("asr_open_streams") == 1)
        good.send(pcm(1.3))
        good.send(CLOSE)
        messages, code = until_closed(good)
    assert (transcript(messages), code) == (words(5), 1000)
    eventually(lambda: server.metric("asr_open_streams") == 0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("encoding=linear16&sample_rate=16000&colour=blue", "unknown parameter 'colour'"),
        ("encoding=mp7&sample_rate=16000", "encoding: found 'mp7'"),
        ("encoding=linear16", "give sample_rate"),
        ("encoding=linear16&sample_rate=1", "sample_rate: found '1'"),
        ("model=/etc/passwd", "unknown model '/etc/passwd'; this server has scripted-1"),
        ("model=openai/whisper-small", "unknown model 'openai/whisper-small'"),
        ("language=tlh", "found the language 'tlh'"),
        ("channels=99", "channels: found '99'"),
        ("diarize=true", "diarize=true is not supported here"),
    ],
)
def test_parameters_that_cannot_be_served_are_refused(server: Running, query: str, found: str) -> None:
    """HTTP 400 with one sentence, in Deepgram's form."""
    with neighbour(server):
        with pytest.raises(InvalidStatus) as refused, server.listen(query):
            pass
        body = json.loads(refused.value.response.body or b"")
    assert refused.value.response.status_code == 400
    assert found in body["err_msg"]
    assert body["err_code"] == "INVALID_QUERY_PARAMETER"
    assert body["request_id"]


def test_each_channel_is_a_stream_of_its_own(server: Running) -> None:
    """Interleaved samples: each channel has its own finals and answer to Finalize; there is one summary."""
    with server.listen(
        "encoding=linear16&sample_rate=16000&channels=2&multichannel=true&interim_results=true"
    ) as socket:
        socket.send(pcm(2.6))  # 1.3 s of two channels
        socket.send('{"type": "Finalize"}')
        socket.send(pcm(2.6))
        socket.send(CLOSE)
        messages, code = until_closed(socket)
    assert code == 1000
    for channel in range(2):
        own = [m for m in messages if m.get("channel_index") == [channel, 2]]
        assert transcript(own) == words(5)
        assert sum(m["from_finalize"] for m in own) == 1
    assert [m["sequence"] for m in messages] == list(range(1, len(messages) + 1))
    assert (messages[-1]["type"], messages[-1]["channels"], messages[-1]["duration"]) == ("Metadata", 2, 2.6)
    eventually(lambda: server.metric("asr_open_streams") == 0)


@pytest.mark.parametrize(
    ("left", "right", "code", "variant"), [(0.0, POISON, 1011, "INTERNAL"), (POISON, POISON, 1011, "INTERNAL")]
)
def test_channels_end_together(server: Running, left: float, right: float, code: int, variant: str) -> None:
    """One that fails ends the connection, with one error, and nobody else."""
    frames = np.tile(np.array([left, right]) * 32768, 16_000).astype("<i2")
    with neighbour(server), server.listen("encoding=linear16&sample_rate=16000&channels=2&multichannel=true") as socket:
        socket.send(frames.tobytes())
        messages, closed = until_closed(socket)
        assert (closed, messages[-1]["variant"]) == (code, variant)


def test_a_container_must_have_the_channels_that_were_said(server: Running) -> None:
    """They are opened before it comes."""
    with neighbour(server), server.listen("channels=2&multichannel=true") as socket:
        socket.send(wav(1.0))
        messages, closed = until_closed(socket)
        assert (closed, messages[-1]["variant"]) == (1008, "DATA-0000")
        assert "found audio with 1 channel; wanted 2, as was said" in messages[-1]["description"]


def test_pages_from_elsewhere_are_refused(server: Running) -> None:
    """HTTP 403 for a browser's page that is neither the server's own nor listed."""
    evil = {"origin": "https://evil.example"}
    with neighbour(server), pytest.raises(InvalidStatus) as refused, server.listen(RAW, **evil):
        pass
    assert refused.value.response.status_code == 403


def test_the_address_by_plain_http_says_what_a_websocket_would_hear(server: Running) -> None:
    """Browsers hide a refusal's words from their pages; 426 when there would be none."""
    import httpx

    assert httpx.get(f"{server.url}/v1/listen?sample_rate=x").status_code == 400
    answer = httpx.get(f"{server.url}/v1/listen?{RAW}")
    assert (answer.status_code, answer.json()["err_code"]) == (426, "UPGRADE_REQUIRED")


def send_nan(socket: ClientConnection) -> None:
    socket.send(np.array([0.0, np.nan, np.inf], "<f4").tobytes())


def send_odd_bytes(socket: ClientConnection) -> None:
    socket.send(pcm(0.5) + b"\1")
    socket.send(CLOSE)


def sender(*messages: bytes | str) -> Callable[[ClientConnection], None]:
    def send(socket: ClientConnection) -> None:
        for message in messages:
            socket.send(message)

    return send


OGG_CUT_SHORT = b"OggS\x00\x02" + bytes(8)
FLOATS = "encoding=linear32&sample_rate=16000"


@pytest.mark.parametrize(
    ("query", "send", "variant", "code"),
    [
        pytest.param("", sender(b"This is no container at all. " * 9), "DATA-0000", 1008, id="garbage for a container"),
        pytest.param("encoding=ogg-opus", sender(b"\0" * 999), "DATA-0000", 1008, id="garbage for Ogg"),
        pytest.param("encoding=webm-opus", sender(b"\xff" * 999), "DATA-0000", 1008, id="garbage for WebM"),
        pytest.param("", sender(OGG_CUT_SHORT, CLOSE), "DATA-0000", 1008, id="truncated file"),
        pytest.param("", sender(b"RIFF\x24\0\0\0WAVEfmt ", CLOSE), "DATA-0000", 1008, id="truncated WAV"),
        pytest.param("", sender(b"fLaC\0\0\0\x22" * 9, CLOSE), "DATA-0000", 1008, id="FLAC without audio"),
        pytest.param(RAW, sender(CLOSE), "DATA-0002", 1008, id="zero-length audio"),
        pytest.param(RAW, sender(b""), "DATA-0002", 1008, id="empty message first"),
        pytest.param(FLOATS, send_nan, "DATA-0000", 1008, id="NaN and infinite floats"),
        pytest.param(RAW, send_odd_bytes, "DATA-0000", 1008, id="odd byte count"),
        pytest.param(RAW, sender("hello"), "DATA-0001", 1008, id="text that is no JSON"),
        pytest.param(RAW, sender('{"type": "Sing"}'), "DATA-0001", 1008, id="unknown message"),
        pytest.param(RAW, sender(bytes(LIMIT + 2)), "DATA-0003", 1009, id="message over the limit"),
    ],
)
def test_a_bad_message_has_an_error_and_a_close_code(
    server: Running, query: str, send: Callable[[ClientConnection], None], variant: str, code: int
) -> None:
    """A JSON `Error` as the last message, the documented code, and the variant as the close reason's beginning."""
    with neighbour(server), server.listen(query) as socket:
        send(socket)
        messages, closed = until_closed(socket)
        assert (messages[-1]["type"], messages[-1]["variant"], closed) == ("Error", variant, code)
        assert "wanted" in messages[-1]["description"] or ";" in messages[-1]["description"]
        assert (socket.close_reason or "").startswith(variant)


@pytest.mark.parametrize("close", [CLOSE, CLOSE.encode(), b""], ids=["text", "binary", "empty"])
def test_what_comes_after_close_stream_is_dropped(server: Running, close: str | bytes) -> None:
    """CloseStream may overtake the last audio, and a client's clean-up may send anything: the stream ends well."""
    after = (pcm(0.6), CLOSE, '{"type": "Finalize"}', CLOSE, "no JSON", bytes(LIMIT + 2), '{"type": "KeepAlive"}')
    with neighbour(server), server.listen() as socket:
        for message in (pcm(1.2), close, *after):  # in one packet, or the server is done before the others come
            if isinstance(message, str):
                socket.protocol.send_text(message.encode())
            else:
                socket.protocol.send_binary(message)
        socket.socket.sendall(b"".join(socket.protocol.data_to_send()))
        messages, code = until_closed(socket)
    assert (transcript(messages), messages[-1]["type"], code) == (words(2), "Metadata", 1000)
    assert messages[-1]["duration"] == pytest.approx(1.2)


def test_a_frame_far_over_the_limit_is_closed_without_being_read(server: Running) -> None:
    """Above four times the limit: no JSON, but the close code."""
    with neighbour(server), server.listen() as socket:
        socket.send(bytes(5 * LIMIT))
        messages, code = until_closed(socket)
    assert (messages, code) == ([], 1009)


def test_audio_before_a_bad_message_is_recognised_and_sent(server: Running) -> None:
    """The words come first, then the Error."""
    with server.listen() as socket:
        socket.send(pcm(1.2))
        socket.send("hello")
        messages, _ = until_closed(socket)
    assert transcript(messages) == words(2)
    assert messages[-1]["type"] == "Error"


def test_a_client_that_sends_nothing_is_closed() -> None:
    """1011 NET-0001, as Deepgram has it, after the text of its audio."""
    with running(ScriptedEngine(), idle_timeout_s=0.5) as server, server.listen() as socket:
        socket.send(pcm(1.2))
        messages, code = until_closed(socket)
    assert transcript(messages) == words(2)
    assert (messages[-1]["variant"], code) == ("NET-0001", 1011)


def test_a_connection_without_a_stream_holds_no_place(server: Running) -> None:
    """Bytes that are no HTTP, and half a handshake."""
    host, port = server.url.removeprefix("http://").split(":")
    with neighbour(server):
        for data in (b"\x16\x03\x01 no http", b"GET /v1/listen HTTP/1.1\r\nHost: x\r\n"):
            with sockets.create_connection((host, int(port))) as half:
                half.sendall(data)
        assert server.metric("asr_open_streams") == 1
