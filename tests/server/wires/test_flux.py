"""Deepgram's Flux: turns over a real WebSocket with a scripted engine, and the state of a turn event by event."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from asr.events import Ended, Event, Final, Partial, SpeechEnded, SpeechStarted, Word
from server.wires.base import Cause, MessageError, Progress, Summary
from server.wires.deepgram_flux import FLUX_MESSAGES, FluxOptions, FluxWire, parse_flux
from server.wires.deepgram_frames import CLOSES
from server.wires.deepgram_messages import ModelInfo
from server.wires.deepgram_query import ParameterError
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import Running, eventually, pcm, running, until_closed

QUERY = "model=flux-general-en&encoding=linear16&sample_rate=16000"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ScriptedEngine()) as server:
        yield server


def flux(server: Running, query: str = QUERY) -> ClientConnection:
    return connect(f"{server.url.replace('http', 'ws')}/v2/listen?{query}", compression=None)


def sent(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=30))
    return message


def close(socket: ClientConnection) -> tuple[list[dict[str, Any]], int | None]:
    socket.send('{"type": "CloseStream"}')
    return until_closed(socket)


@pytest.mark.slow
def test_a_stream_is_turns(server: Running) -> None:
    """`Connected` first; each turn begins, has its whole text in every message, and ends."""
    with flux(server) as socket:
        assert sent(socket)["type"] == "Connected"
        socket.send(pcm(2.7))
        messages, code = close(socket)
    assert code == 1000
    assert {message["type"] for message in messages} == {"TurnInfo"}
    ends = [message for message in messages if message["event"] == "EndOfTurn"]
    assert [(m["turn_index"], m["transcript"], m["trigger"]) for m in ends] == [
        (0, words(4), "model"), (1, "w4", "model"),
    ]  # fmt: skip
    assert ends[0]["words"][1] == {"word": "w1", "start": 0.5, "end": 1.0, "confidence": 0.9}
    assert (ends[1]["audio_window_start"], ends[1]["audio_window_end"]) == (2.0, 2.7)
    for turn in (0, 1):
        assert next(m["event"] for m in messages if m["turn_index"] == turn) == "StartOfTurn"
    assert [message["sequence_id"] for message in messages] == list(range(1, len(messages) + 1))
    eventually(lambda: server.metric("asr_open_streams") == 0)


@pytest.mark.slow
def test_a_turn_can_be_ended_by_the_client(server: Running) -> None:
    """With its text so far; the words after it are another turn."""
    with flux(server) as socket:
        socket.send(pcm(1.0))
        socket.send('{"type": "ForceEndTurn"}')
        messages = [sent(socket)]
        while messages[-1].get("event") != "EndOfTurn":
            messages.append(sent(socket))
        assert (messages[-1]["transcript"], messages[-1]["trigger"]) == (words(2), "manual")
        socket.send(pcm(1.0))
        rest, _ = close(socket)
    assert (rest[-1]["transcript"], rest[-1]["turn_index"]) == ("w2 w3", 1)


@pytest.mark.slow
def test_settings_change_in_the_middle(server: Running) -> None:
    """Confirmed with all of them; keyterms reach the model, times go on. What is wrong is refused, and nothing ends."""
    engine = server.service.schedulers["scripted-1"].engine
    assert isinstance(engine, ScriptedEngine)
    with flux(server, QUERY + "&keyterm=Ada&eot_threshold=0.8") as socket:
        assert engine.opened[-1].settings.vad.speech_final_ms == 800
        socket.send(pcm(2.0))
        socket.send(json.dumps({"type": "Configure", "thresholds": {"eot_threshold": 2}}))
        socket.send(json.dumps({"type": "Configure", "keyterms": ["Bo"], "thresholds": {"eager_eot_threshold": 0.4}}))
        messages = [sent(socket)]
        while messages[-1]["type"] != "ConfigureSuccess":
            messages.append(sent(socket))
        failure = next(message for message in messages if message["type"] == "ConfigureFailure")
        assert "eot_threshold: found '2', wanted a number from 0.5 to 0.9" in failure["description"]
        assert messages[-1]["thresholds"] == {
            "eager_eot_threshold": 0.4, "eot_threshold": 0.8, "eot_timeout_ms": 5000,
        }  # fmt: skip
        assert messages[-1]["keyterms"] == ["Bo"]
        assert engine.asked[-1] == ("", ("Bo",))
        socket.send(pcm(2.0))
        rest, _ = close(socket)
    assert (rest[-1]["event"], rest[-1]["words"][0]["start"], rest[-1]["turn_index"]) == ("EndOfTurn", 2.0, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("colour=blue", "unknown parameter 'colour'"),
        ("eot_threshold=0.1", "eot_threshold: found '0.1', wanted a number from 0.5 to 0.9"),
        ("eager_eot_threshold=nan", "eager_eot_threshold: found 'nan'"),
        ("eot_timeout_ms=soon", "eot_timeout_ms: found 'soon'"),
        ("encoding=linear16", "give sample_rate"),
        ("model=gpt-9", "unknown model 'gpt-9'"),
        ("redact=pii", "redact=pii is not supported here"),
        ("language_hint=tlh", "found the language 'tlh'"),
    ],
)
def test_queries_that_cannot_be_served_are_refused(server: Running, query: str, sentence: str) -> None:
    """As on `/v1/listen`."""
    with pytest.raises(InvalidStatus) as refused, flux(server, query):
        pass
    assert refused.value.response.status_code == 400
    assert sentence in json.loads(refused.value.response.body or b"")["err_msg"]


@pytest.mark.slow
@pytest.mark.parametrize("message", ["hello", "[]", '{"type": "Sing"}', '{"type": []}'])
def test_unknown_messages_are_an_error(server: Running, message: str) -> None:
    """With the words received before it, and the close code of `/v1/listen`."""
    with flux(server) as socket:
        socket.send(pcm(1.0))
        socket.send(message)
        messages, code = until_closed(socket)
    assert (messages[-1]["type"], messages[-1]["code"], code) == ("Error", "DATA-0001", 1008)
    assert messages[-2]["transcript"] == words(2)


# -- the wire alone --------------------------------------------------------------------------------------------------


def said(*texts: str) -> tuple[Word, ...]:
    return tuple(Word(f" {text}", i / 2, i / 2 + 0.5, 0.9) for i, text in enumerate(texts))


def told(wire: FluxWire, events: Sequence[Event], decoded_s: float, voiced_s: float) -> list[tuple[str, str, float]]:
    progress = Progress(decoded_s, decoded_s, voiced_s)
    messages = [json.loads(str(frame)) for frame in wire.send(events, progress)]
    return [(m["event"], m["transcript"], m["end_of_turn_confidence"]) for m in messages]


def test_an_eager_end_is_taken_back_when_somebody_speaks_on() -> None:
    """The pause is the confidence; each pause is announced once, and the end is the only last word."""
    wire = FluxWire(FluxOptions(eager_eot_threshold=0.4), ModelInfo("m", "1"), "id")
    partial = Partial(said("book", "it"), 0.0, 1.0, "en")
    assert told(wire, [SpeechStarted(0.0), partial], 1.0, 1.0) == [("StartOfTurn", "book it", 0.0)]
    assert told(wire, [], 1.3, 1.0) == []
    assert told(wire, [], 1.4, 1.0) == [("EagerEndOfTurn", "book it", 0.4)]
    assert told(wire, [], 1.5, 1.0) == []
    assert told(wire, [], 1.6, 1.6) == [("TurnResumed", "book it", 0.0)]
    more = Partial(said("book", "it", "now"), 0.0, 1.5, "en")
    assert told(wire, [more], 2.0, 2.0) == [("Update", "book it now", 0.0)]
    assert told(wire, [], 2.5, 2.0) == [("EagerEndOfTurn", "book it now", 0.5)]
    final = Final(said("book", "it", "now."), 0.0, 2.0, "en", ends_utterance=True)
    assert told(wire, [final, SpeechEnded(2.0)], 2.7, 2.0) == [
        ("TurnResumed", "book it now.", 0.7), ("EndOfTurn", "book it now.", 1.0),
    ]  # fmt: skip
    assert told(wire, [Ended(3.0)], 3.0, 2.0) == []


def test_the_text_does_not_shrink_where_words_become_final() -> None:
    """The rest of the tail stays until the next one comes."""
    wire = FluxWire(FluxOptions(), ModelInfo("m", "1"), "id")
    told(wire, [SpeechStarted(0.0), Partial(said("book", "it", "now"), 0.0, 1.5, "en")], 2.0, 2.0)
    assert told(wire, [Final(said("book", "it"), 0.0, 1.0, "en")], 2.5, 2.5) == []


def test_noise_without_words_is_no_turn() -> None:
    """Neither begins nor ends one."""
    wire = FluxWire(FluxOptions(eager_eot_threshold=0.4), ModelInfo("m", "1"), "id")
    assert told(wire, [SpeechStarted(0.0), Final((), 0.0, 1.0, "", ends_utterance=True)], 2.0, 1.0) == []


def test_a_turn_ends_at_the_shorter_of_threshold_and_timeout() -> None:
    """In milliseconds of silence."""
    assert parse_flux([]).endpoint_ms == 700
    assert parse_flux([("eot_threshold", "0.9"), ("eot_timeout_ms", "500")]).endpoint_ms == 500
    assert parse_flux([("model", "flux-general-en")]).languages == ("en",)
    assert parse_flux([("language_hint", "de"), ("language_hint", "fr")]).stream.languages == ("de", "fr")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
THRESHOLD = st.dictionaries(st.sampled_from(["eot_threshold", "eager_eot_threshold", "eot_timeout_ms", "x"]), JSON)


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(FLUX_MESSAGES)},
        optional={"thresholds": JSON | THRESHOLD, "keyterms": JSON, "language_hints": JSON},
    )
    | JSON
)
def test_no_message_breaks_the_wire(message: Any) -> None:
    """Each is carried out, answered, or refused with a `MessageError`."""
    wire = FluxWire(FluxOptions(), ModelInfo("m", "1"), "id")
    try:
        commands = wire.receive(json.dumps(message))
    except MessageError:
        return
    assert commands


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=4))
def test_no_query_breaks_the_parser(items: list[tuple[str, str]]) -> None:
    """Options, or a `ParameterError`."""
    try:
        assert 10 <= parse_flux(items).endpoint_ms <= 5000
    except ParameterError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_an_ending(cause: Cause) -> None:
    """The codes of `/v1/listen`; `Error` but for the good ends."""
    ending = FluxWire(FluxOptions(), ModelInfo("m", "1"), "id").end(cause, "it failed", Summary(0.0, 0.0, ""))
    assert (ending.close_code, ending.error) == (CLOSES[cause].code, CLOSES[cause].variant)
    assert bool(ending.frames) == bool(ending.error)
