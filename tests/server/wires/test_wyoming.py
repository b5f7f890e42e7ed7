"""Wyoming over a real TCP connection, with a scripted engine: the order of events, bad input, and what is shared."""

import asyncio
import json
import queue
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ConfigError
from server import announce, run
from server.address import bind
from server.announce import SERVICE_TYPE
from server.config import load_settings
from server.limits import FrameBudgets
from server.tcp import WyomingTransport
from server.wires.base import Cause, MessageError, Summary
from server.wires.wyoming import CLOSES, OfferedModel, WyomingWire, event, parse_event
from tests.server.fakes import POISON, ScriptedEngine, words
from tests.server.running import Running, eventually, pcm, running, transcript, until_closed
from tests.server.wires.wyoming_client import FORM, Client

pytestmark = pytest.mark.slow

LIMIT = 200_000


class Served:
    def __init__(self, server: Running, port: int) -> None:
        self.server, self.port = server, port

    @contextmanager
    def client(self) -> Iterator[Client]:
        client = Client(self.port)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def serving(**settings: Any) -> Iterator[Served]:
    listening = bind(load_settings(), 0)
    with running(ScriptedEngine(), wyoming=listening, **settings) as server:
        yield Served(server, listening.getsockname()[1])
    listening.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(max_message_bytes=LIMIT) as served:
        yield served


def test_a_recording_is_transcribed_while_it_comes(served: Served) -> None:
    """Chunks are final; joined they are the transcript, which comes once; then another one over the same connection."""
    with served.client() as client:
        for _ in range(2):
            client.send("transcribe", {"language": "en"})
            client.say(2.7)
            events = client.until("transcript-stop")
            assert [kind for kind, _ in events] == [
                "transcript-start", "transcript-chunk", "transcript-chunk", "transcript", "transcript-stop",
            ]  # fmt: skip
            assert [data.get("text") for _, data in events[1:4]] == [words(4), " w4", words(5)]
            assert events[3][1]["language"] == "en"
        eventually(lambda: served.server.metric("asr_open_streams") == 0)


@pytest.mark.parametrize("asked", ["transcript", "info"])
def test_a_client_that_closes_its_half_gets_its_answer(served: Served, asked: str) -> None:
    """As `nc` does at the end of its input; then the server closes."""
    with served.client() as client:
        if asked == "transcript":
            client.say(2.2)
        else:
            client.send("describe")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.until(asked)[-1][0] == asked
        while client.receive():
            pass
    eventually(lambda: served.server.metric("asr_open_streams") == 0)


def test_the_server_describes_itself(served: Served) -> None:
    """With the models that may be named, and that transcripts are streamed."""
    with served.client() as client:
        client.send("describe")
        [(_, info)] = client.until("info")
        [program] = info["asr"]
        assert (program["supports_transcript_streaming"], program["installed"]) == (True, True)
        [model] = program["models"]
        assert (model["name"], model["languages"], model["version"]) == ("scripted-1", ["en", "ja"], "5" * 12)


def test_ping_unknown_events_and_a_stop_without_audio(served: Served) -> None:
    """Answered, ignored, and an empty transcript."""
    with served.client() as client:
        client.send("run-pipeline", {"start_stage": "asr"})
        client.send("ping", {"text": "here"})
        assert client.receive() == ("pong", {"text": "here"})
        client.send("audio-stop")
        assert ("transcript", {"text": ""}) in client.until("transcript-stop")


def test_settings_reach_the_model(served: Served) -> None:
    """The model's name or an alias, the language, names and terms; each recording has its own."""
    engine = served.server.service.schedulers["scripted-1"].engine
    assert isinstance(engine, ScriptedEngine)
    with served.client() as client:
        request = {"name": "whisper-1", "language": "ja", "transcript_names": ["Ada"], "transcript_terms": ["lamp"]}
        client.send("transcribe", request)
        client.say(0.5)
        client.until("transcript-stop")
        assert (engine.asked[-1], engine.opened[-1].language) == (("", ("Ada", "lamp")), "ja")
        client.say(0.5)
        client.until("transcript-stop")
        assert (engine.asked[-1], engine.opened[-1].language) == (("", ()), "en")


BAD = [
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", "bad-message", "no Wyoming event", id="HTTP"),
    pytest.param(b"[]\n", "bad-message", "no Wyoming event", id="a list"),
    pytest.param(b"\xff\xfe\n", "bad-message", "no Wyoming event", id="no UTF-8"),
    pytest.param(b'{"type": 1}\n', "bad-message", "another form", id="a type that is a number"),
    pytest.param(b'{"type": "ping", "data": [1]}\n', "bad-message", "another form", id="data that is a list"),
    pytest.param(b'{"type": "ping", "data_length": -1}\n', "bad-message", "no number of bytes", id="a negative length"),
    pytest.param(b'{"type": "ping", "data_length": 3}\n{]}', "bad-message", "no Wyoming event", id="data, no JSON"),
    pytest.param(b'{"type": "audio-chunk", "payload_length": 999999999}\n', "message-too-big", "at most", id="payload"),
    pytest.param(b"x" * 200_000, "message-too-big", "a line of more", id="a line without end"),
    pytest.param(event("audio-start", FORM | {"width": 4}), "bad-message", "of width 4, wanted 2", id="width"),
    pytest.param(event("audio-start", FORM | {"rate": 1}), "bad-message", "of rate 1, wanted 8000", id="rate"),
    pytest.param(event("audio-start", FORM | {"channels": 99}), "bad-message", "of 99 channels", id="channels"),
    pytest.param(event("audio-start", {}), "bad-message", "of width None", id="no format"),
    pytest.param(event("transcribe", {"language": [1]}), "bad-message", "whose language is [1]", id="language"),
    pytest.param(event("transcribe", {"transcript_names": "x"}), "bad-message", "wanted a list", id="names"),
    pytest.param(
        event("transcribe", {"name": "gpt-9"}) + event("audio-start", FORM), "bad-message", "unknown model", id="model"
    ),
    pytest.param(
        event("transcribe", {"language": "tlh"}) + event("audio-start", FORM), "bad-message", "'tlh'", id="no language"
    ),
    pytest.param(
        event("audio-start", FORM) + event("audio-chunk", FORM, b"\1") + event("audio-stop", {}),
        "bad-audio", "1 bytes left over", id="odd byte count",
    ),
    pytest.param(
        event("audio-start", FORM) + event("audio-chunk", FORM | {"rate": 8000}, bytes(99)),
        "bad-message", "one form", id="a form that changes",
    ),
    pytest.param(event("audio-chunk", FORM, pcm(0.5, POISON)), "internal", "recognition failed", id="failing model"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "code", "sentence"), BAD)
def test_what_cannot_be_served_is_an_error_and_closes(served: Served, data: bytes, code: str, sentence: str) -> None:
    """With one sentence; a neighbour's recording is not hurt, and no place stays taken."""
    with served.client() as neighbour, served.client() as client:
        neighbour.send("audio-start", FORM)
        neighbour.send("audio-chunk", FORM, pcm(1.3))
        client.socket.sendall(data)
        error = client.until("error")[-1][1]  # after the transcript of what came before it
        assert error["code"] == code
        assert sentence in error["text"]
        assert client.receive() is None
        neighbour.send("audio-chunk", FORM, pcm(1.3))
        neighbour.send("audio-stop")
        assert dict(neighbour.until("transcript"))["transcript"]["text"] == words(5)
    eventually(lambda: served.server.metric("asr_open_streams") == 0)


def test_a_client_that_vanishes_frees_its_place(served: Served) -> None:
    """In the middle of an event."""
    with served.client() as client:
        client.send("audio-start", FORM)
        eventually(lambda: served.server.metric("asr_open_streams") == 1)
        client.socket.sendall(event("audio-chunk", FORM, pcm(1.0))[:999])
    eventually(lambda: served.server.metric("asr_open_streams") == 0)


def test_a_client_that_only_waits_holds_no_place_and_is_closed() -> None:
    """Home Assistant opens a connection for each recording."""
    with serving(max_streams=1, idle_timeout_s=0.5) as served, served.client() as client:
        with served.server.listen():
            assert served.server.metric("asr_open_streams") == 1
        [(_, error)] = client.until("error")
        assert error["code"] == "idle"


def test_a_full_server_says_so() -> None:
    """At the first audio, and a client that goes on sending loses nothing of it: bytes unread would reset it."""
    with serving(max_streams=1) as served, served.server.listen():
        for _ in range(3):
            with served.client() as client:
                client.send("audio-start", FORM)
                eventually(lambda: client.socket.recv(1, socket.MSG_PEEK) != b"")
                for _ in range(20):
                    client.send("audio-chunk", FORM, pcm(0.1))
                [(_, error)] = client.until("error")
                assert error["code"] == "overloaded"
                assert client.receive() is None


def test_a_server_that_stops_sends_what_it_has() -> None:
    """The words received, then the reason."""
    with serving() as served, served.client() as client:
        client.send("audio-start", FORM)
        client.send("audio-chunk", FORM, pcm(2.0))
        client.until("transcript-chunk")
        served.server.stop()
        kinds = [kind for kind, _ in client.until("error")]
        assert kinds == ["transcript", "transcript-stop", "error"]


def test_a_server_that_stops_waits_only_so_long_for_a_client_that_takes_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its task is ended by the server, quietly, and not left to the end of the event loop."""
    served_once, waiting = threading.Event(), []

    async def never(*_: Any) -> None:
        served_once.set()
        try:
            await asyncio.Event().wait()
        finally:
            waiting.append("ended")

    monkeypatch.setattr("server.tcp._serve", never)
    with serving() as served, served.client():
        assert served_once.wait(30)
        served.server.stop()
        assert not served.server.thread.is_alive()
    assert waiting == ["ended"]
    assert not [record for record in caplog.records if record.name == "asyncio"]


# -- found in the network --------------------------------------------------------------------------------------------


def found(timeout_s: float) -> list[tuple[str, list[str], int]]:
    """The Wyoming services on loopback, as Home Assistant's browser finds them: name, addresses, port."""
    zeroconf = pytest.importorskip("zeroconf")
    network = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
    names: queue.Queue[str] = queue.Queue()

    def changed(zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        if state_change.name == "Added":
            names.put(name)

    browser = zeroconf.ServiceBrowser(network, SERVICE_TYPE, handlers=[changed])
    try:
        name = names.get(timeout=timeout_s)
        info = network.get_service_info(SERVICE_TYPE, name)
        return [(name, info.parsed_addresses(), info.port)]
    except queue.Empty:
        return []
    finally:
        browser.cancel()
        network.close()


def test_home_assistant_finds_the_port() -> None:
    """By a real Zeroconf browser, as long as the server runs; a server without the setting is not announced."""
    pytest.importorskip("zeroconf")
    with serving():
        assert found(timeout_s=1.0) == []
    with serving(wyoming_zeroconf=True) as served:
        assert found(timeout_s=20.0) == [(f"steadyword.{SERVICE_TYPE}", ["127.0.0.1"], served.port)]
        with serving(wyoming_zeroconf=True):  # a second one has another name, and does not end the first
            assert served.server.get("/healthz")
    assert found(timeout_s=1.0) == []


def test_zeroconf_without_its_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """At start, with the command that installs it."""
    monkeypatch.setattr(announce, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"run: .* -m pip install '?zeroconf"):
        announce.check_installed()


# -- the wire alone --------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KINDS = ("describe", "ping", "transcribe", "audio-start", "audio-chunk", "audio-stop", "else")
FIELDS = ("rate", "width", "channels", "name", "language", "transcript_names", "text")


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), JSON), st.binary(max_size=9)))
)
def test_no_event_breaks_the_wire(events: list[tuple[str, dict[str, Any], bytes]]) -> None:
    """Each is carried out or refused with a `MessageError`."""
    wire = WyomingWire([OfferedModel("scripted-1", ("en",), "1")])
    for kind, data, payload in events:
        with suppress(MessageError):
            wire.receive(event(kind, data, payload))


@given(st.binary() | st.builds(lambda value: json.dumps(value).encode() + b"\n", JSON))
def test_no_bytes_break_the_parser(frame: bytes) -> None:
    """They are an event, or a `MessageError`."""
    try:
        kind, data, payload = parse_event(frame)
    except MessageError:
        return
    assert isinstance(kind, str)
    assert isinstance(data, dict)
    assert isinstance(payload, bytes)


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_an_ending(cause: Cause) -> None:
    """All but the good end say why, also at shutdown: a client that waits for its transcript must know."""
    ending = WyomingWire([]).end(cause, "it failed", Summary(0.0, 0.0, ""))
    assert (ending.close_code, ending.error) == CLOSES[cause]
    assert bool(ending.frames) == (cause is not Cause.FINISHED)


def test_a_client_that_takes_nothing_is_cut_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last bytes wait for a while only; closing twice, as an error's end does, changes nothing."""
    monkeypatch.setattr("server.tcp._CLOSE_S", 0.1)

    async def run() -> None:
        ends: list[bool] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            transport = WyomingTransport(reader, writer, 100, FrameBudgets().open())
            writer.write(bytes(50_000_000))
            for _ in range(2):
                await transport.close(0, "")
            ends.append(True)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        _, client = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with asyncio.timeout(30):
            while not ends:
                await asyncio.sleep(0.05)
        client.transport.abort()
        server.close()

    asyncio.run(run())


def test_an_announcement_that_cannot_be_taken_back_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that does not answer. The streams' last words come meanwhile, and the server ends in time."""

    @asynccontextmanager
    async def announced(listening: socket.socket) -> AsyncIterator[None]:
        yield
        await asyncio.sleep(3600)

    monkeypatch.setattr(run, "announced", announced)
    with serving(wyoming_zeroconf=True, drain_timeout_s=4.0) as served, served.server.listen() as stream:
        stream.send(pcm(1.2))
        eventually(lambda: served.server.metric("asr_audio_seconds_total") > 1.0)
        served.server.server.should_exit = True
        messages, code = until_closed(stream)
        served.server.thread.join(60)
        assert not served.server.thread.is_alive()
    assert (transcript(messages), code) == (words(2), 1012)
