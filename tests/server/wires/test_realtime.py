"""OpenAI's Realtime transcription over a real WebSocket, with a scripted engine: the order of events, and bad input."""

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from asr.errors import ConfigError, ModelError
from asr.events import Final
from server.wires.base import Audio, Cause, Open, Progress, Reply, Summary
from server.wires.openai_realtime import CLIENT_EVENTS, CLOSE_CODES, RealtimeWire
from server.wires.openai_realtime_messages import MAX_KEPT_ITEMS, Mode, RealtimeSender
from server.wires.openai_realtime_session import FORMATS, RealtimeSession
from tests.server.fakes import POISON, ScriptedEngine, words
from tests.server.running import Running, eventually, pcm, running

pytestmark = pytest.mark.slow

TRANSCRIPTION = "conversation.item.input_audio_transcription"
QUERY = "intent=transcription"


class Client:
    """A client that waits for nothing."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def update(self, **audio_input: Any) -> None:
        self.send("session.update", session={"type": "transcription", "audio": {"input": audio_input}})

    def append(self, data: bytes) -> None:
        self.send("input_audio_buffer.append", audio=base64.b64encode(data).decode())

    def events(self, until: str, count: int = 1) -> list[dict[str, Any]]:
        """All events up to the `count`th of this type."""
        seen: list[dict[str, Any]] = []
        while sum(event["type"] == until for event in seen) < count:
            seen.append(json.loads(self.socket.recv(timeout=30)))
        return seen

    def last(self, until: str) -> dict[str, Any]:
        return self.events(until)[-1]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ScriptedEngine()) as server:
        yield server


def client_of(server: Running, query: str = QUERY, **options: Any) -> ClientConnection:
    return connect(f"{server.url.replace('http', 'ws')}/v1/realtime?{query}", compression=None, **options)


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with client_of(server) as socket:
        client = Client(socket)
        assert client.last("session.created")["session"]["object"] == "realtime.transcription_session"
        yield client


PCM = {"type": "audio/pcm", "rate": 16_000}


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("conversation.item.").removeprefix("input_audio_") for event in events]


def test_voice_activity_ends_the_turns(client: Client) -> None:
    """The order that LiveKit, Pipecat and OpenAI's SDK expect; deltas joined are the transcript."""
    client.update(format=PCM, turn_detection={"type": "server_vad"}, transcription={"model": "gpt-4o-transcribe"})
    client.append(pcm(4.0))
    events = client.events(f"{TRANSCRIPTION}.completed", 2)
    turn = [
        "buffer.speech_started",
        "transcription.delta",
        "buffer.speech_stopped",
        "buffer.committed",
        "added",
        "done",
    ]
    assert kinds(events) == ["session.updated", *[*turn, "transcription.completed"] * 2]
    first, second = (event for event in events if event["type"].endswith("completed"))
    assert (first["transcript"], second["transcript"]) == (words(4), "w4 w5 w6 w7")
    assert (first["usage"], first["languages"]) == ({"type": "duration", "seconds": 2.0}, [{"code": "en"}])
    committed = [event for event in events if event["type"].endswith("committed")]
    assert [c["previous_item_id"] for c in committed] == [None, first["item_id"]]
    started, stopped = events[8], events[10]
    assert (started["item_id"], started["audio_start_ms"], stopped["audio_end_ms"]) == (second["item_id"], 2000, 4000)
    assert len({event["event_id"] for event in events}) == len(events)


def test_an_item_is_retrieved_with_its_text_and_deleted(client: Client) -> None:
    """Asked for behind a commit it has its text: the answer comes in its place. An item that there is not is named."""
    client.update(format=PCM, turn_detection=None)
    client.append(pcm(2.0))
    client.send("input_audio_buffer.commit")
    item_id = client.last(f"{TRANSCRIPTION}.completed")["item_id"]
    for kind, answer in (("retrieve", "retrieved"), ("delete", "deleted"), ("retrieve", "")):
        client.send(f"conversation.item.{kind}", item_id=item_id, event_id="mine")
        event = client.last(f"conversation.item.{answer}" if answer else "error")
        if answer == "retrieved":
            assert (event["item"]["id"], event["item"]["content"][0]["transcript"]) == (item_id, words(4))
        elif answer:
            assert event["item_id"] == item_id
        else:
            assert (event["error"]["code"], event["error"]["event_id"]) == ("item_not_found", "mine")


def test_only_the_latest_items_are_kept() -> None:
    """A connection that lasts for hours keeps no more of them."""
    sender = RealtimeSender("id")
    sender.expect_stream(Mode(is_manual=True, with_logprobs=False))
    for number in range(MAX_KEPT_ITEMS + 5):
        sender.expect("commit")
        committed = Final((), number, number + 1.0, "en", from_finalize=True)
        list(sender.results([committed], Progress(number + 1.0, number + 1.0)))
    assert sender.retrieved("item_id_5") is None
    assert sender.retrieved("item_id_6") is not None


@pytest.mark.parametrize("kind", ["response.create", "response.cancel", "conversation.item.create", "x.y"])
def test_events_of_a_conversation_are_refused_as_such(client: Client, kind: str) -> None:
    """And the session goes on."""
    client.send(kind)
    assert ("where nobody answers" in client.last("error")["error"]["message"]) == (kind != "x.y")
    client.update(format=PCM)
    assert client.last("session.updated")


BETA_AUDIO = {"input_audio_format": "g711_ulaw", "input_audio_transcription": {"model": "whisper-1", "language": "ja"}}


@pytest.mark.parametrize(
    "how",
    [{"additional_headers": {"OpenAI-Beta": "realtime=v1"}}, {"subprotocols": ["realtime", "openai-beta.realtime-v1"]}],
)
def test_the_apis_beta_is_answered_in_its_form(server: Running, how: dict[str, Any]) -> None:
    """Its event names, its flat session; then the words."""
    with client_of(server, **how) as socket:
        client = Client(socket)
        created = client.last("transcription_session.created")["session"]
        assert (created["input_audio_format"], created["turn_detection"]["type"]) == ("pcm16", "server_vad")
        wanted = BETA_AUDIO | {"turn_detection": None, "input_audio_noise_reduction": None}
        client.send("transcription_session.update", session=wanted)
        updated = client.last("transcription_session.updated")["session"]
        assert [name for name in wanted if updated[name] != wanted[name]] == []
        client.append(b"\xff" * 9_000)  # more than a second of mu-law
        client.send("input_audio_buffer.commit")
        completed = client.last(f"{TRANSCRIPTION}.completed")
        assert (completed["transcript"], completed["languages"]) == (words(2), [{"code": "ja"}])


def test_flat_settings_are_not_passed_over(client: Client) -> None:
    """A client that mixes both forms gets what it asks for, or an error; never audio that is read as another format."""
    client.send("session.update", session=BETA_AUDIO | {"audio": {"input": {"turn_detection": None}}})
    updated = client.last("session.updated")["session"]["audio"]["input"]
    assert updated["format"] == {"type": "audio/pcmu"}
    assert (updated["transcription"]["language"], updated["turn_detection"]) == ("ja", None)
    client.send("session.update", session={"input_audio_format": "mp3"})
    error = client.last("error")["error"]
    assert (error["param"], "found 'mp3', wanted pcm16" in error["message"]) == ("session.input_audio_format", True)


def test_without_turn_detection_the_client_commits(client: Client) -> None:
    """Each commit is an item, whatever pauses are in it."""
    client.update(format=PCM, turn_detection=None)
    client.append(pcm(3.0))
    client.send("input_audio_buffer.commit")
    events = client.events(f"{TRANSCRIPTION}.completed")
    client.append(pcm(1.0))
    client.send("input_audio_buffer.commit")
    events += client.events(f"{TRANSCRIPTION}.completed")
    assert kinds(events) == [
        "session.updated",
        "transcription.delta", "buffer.committed", "added", "done", "transcription.delta", "transcription.completed",
        "transcription.delta", "buffer.committed", "added", "done", "transcription.completed",
    ]  # fmt: skip
    assert len({event["item_id"] for event in events[1:7] if "item_id" in event}) == 1
    done = [event for event in events if event["type"].endswith("completed")]
    assert [event["transcript"] for event in done] == [words(6), "w6 w7"]
    assert [event["usage"]["seconds"] for event in done] == [3.0, 1.0]


@pytest.mark.parametrize("model", ["gpt-realtime-whisper", "gpt-live-transcribe"])
def test_models_whose_clients_commit_have_no_turn_detection(server: Running, model: str) -> None:
    """LiveKit leaves it out and commits itself; also where the address names the model."""
    with client_of(server, f"model={model}") as socket:
        client = Client(socket)
        created = client.last("session.created")["session"]
        assert (created["audio"]["input"]["turn_detection"], created["model_info"]["name"]) == (None, "scripted-1")
    with client_of(server) as socket:
        client = Client(socket)
        client.update(transcription={"model": model})
        assert client.last("session.updated")["session"]["audio"]["input"]["turn_detection"] is None


def test_cleared_audio_gets_no_transcript(client: Client) -> None:
    """What comes after it does."""
    client.update(format=PCM, turn_detection=None)
    client.append(pcm(1.0))
    client.send("input_audio_buffer.clear")
    client.last("input_audio_buffer.cleared")
    client.append(pcm(1.0))
    client.send("input_audio_buffer.commit")
    events = client.events(f"{TRANSCRIPTION}.completed")
    assert (events[-1]["transcript"], events[-1]["usage"]["seconds"]) == ("w2 w3", 1.0)


def test_settings_are_merged_and_echoed(client: Client) -> None:
    """What an update leaves out stays; what means nothing here comes back as it was."""
    transcription = {"model": "whisper-1", "language": "ja", "prompt": "So,", "keywords": ["Ada"], "delay": "low"}
    client.update(format=PCM, transcription=transcription, noise_reduction={"type": "near_field"})
    client.last("session.updated")
    detection = {"type": "server_vad", "threshold": 0.3, "idle_timeout_ms": None, "create_response": False}
    client.update(turn_detection=detection, transcription={"delay": "high"})
    session = client.last("session.updated")["session"]
    assert session["audio"]["input"] == {
        "format": PCM, "transcription": transcription | {"delay": "high"}, "turn_detection": detection,
        "noise_reduction": {"type": "near_field"},
    }  # fmt: skip


def test_settings_reach_the_model(server: Running, client: Client) -> None:
    """Language, prompt and keywords; silence is what ends a turn; semantic_vad stands for silences."""
    engine = server.service.schedulers["scripted-1"].engine

    def silence_ms() -> int:
        vad = engine.opened[-1].settings.vad
        return vad.speech_final_ms or vad.endpoint_ms

    assert isinstance(engine, ScriptedEngine)
    for detection, endpoint_ms in (
        ({"type": "server_vad", "silence_duration_ms": 700}, 700),
        ({"type": "server_vad", "silence_duration_ms": 1}, server.service.settings.session.vad.speech_final_floor_ms),
        ({"type": "server_vad"}, 500),
        ({"type": "semantic_vad", "eagerness": "low"}, 1800),
        ({"type": "semantic_vad"}, 900),
        (None, server.service.settings.session.vad.endpoint_ms),
    ):
        client.update(transcription={"language": "ja", "prompt": "So,", "keywords": ["Ada"]}, turn_detection=detection)
        client.append(pcm(0.2))
        eventually(lambda ms=endpoint_ms: silence_ms() == ms)  # type: ignore[misc]
        assert engine.asked[-1] == ("So,", ("Ada",))
        assert engine.opened[-1].language == "ja"


def test_new_settings_open_another_stream_whose_times_go_on(server: Running, client: Client) -> None:
    """The words before them are kept; a sample that was cut in two is no error."""
    client.update(format=PCM)
    client.append(pcm(2.0) + b"\1")
    client.update(transcription={"language": "ja"})
    client.append(pcm(2.0))
    events = client.events("input_audio_buffer.speech_stopped", 2)
    assert [event["audio_end_ms"] for event in events if event["type"].endswith("stopped")] == [2000, 4000]
    completed = client.last(f"{TRANSCRIPTION}.completed")
    assert (completed["transcript"], completed["languages"]) == (words(4), [{"code": "ja"}])
    eventually(lambda: server.metric("asr_open_streams") == 1)


@pytest.mark.parametrize(("name", "data"), [("audio/pcmu", b"\xff" * 8800), ("audio/pcma", b"\xd5" * 8800)])
def test_telephone_formats(client: Client, name: str, data: bytes) -> None:
    """At 8 kHz without a rate."""
    client.update(format={"type": name}, turn_detection=None)
    client.append(data)
    client.send("input_audio_buffer.commit")
    assert client.last(f"{TRANSCRIPTION}.completed")["transcript"] == words(2)


def test_logprobs_are_sent_where_they_are_asked_for(client: Client) -> None:
    """In deltas and completed; without them the key is absent."""
    client.send("session.update", session={"include": ["item.input_audio_transcription.logprobs", "else"]})
    assert client.last("session.updated")["session"]["include"] == ["item.input_audio_transcription.logprobs"]
    client.update(format=PCM)
    client.append(pcm(2.0))
    events = client.events(f"{TRANSCRIPTION}.completed")
    logprobs = [token for event in events if event["type"].endswith("delta") for token in event["logprobs"]]
    assert events[-1]["logprobs"] == logprobs
    assert "".join(token["token"] for token in logprobs) == words(4)


BAD = (
    ("hello", "invalid_event", "not JSON"),
    (b"\0\1", "invalid_event", "binary"),
    ("[]", "invalid_event", "unknown type None"),
    ('{"type": "response.create"}', "invalid_event", "'response.create' in a session of transcription"),
    ('{"type": ["session.update"]}', "invalid_event", "unknown type"),
    ('{"type": "session.update"}', "invalid_value", "session: found None, wanted an object"),
    ('{"type": "session.update", "session": {"type": "realtime"}}', "invalid_value", "wanted transcription"),
    ('{"type": "session.update", "session": {"audio": {"input": {"transcription": {"model": "gpt-9"}}}}}',
     "model_not_found", "this server has scripted-1"),
    ('{"type": "session.update", "session": {"audio": {"input": {"transcription": {"language": "tlh"}}}}}',
     "invalid_value", "does not know language 'tlh'"),
    ('{"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/mp3"}}}}}',
     "invalid_value", "found 'audio/mp3', wanted audio/pcm"),
    ('{"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 1e999}}}}}',
     "invalid_value", "wanted a whole number"),
    ('{"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"type": "psychic"}}}}}',
     "invalid_value", "wanted server_vad"),
    ('{"type": "session.update", "session": {"audio": {"input": {"turn_detection": '
     '{"type": "semantic_vad", "eagerness": "very"}}}}}',
     "invalid_value", "eagerness"),
    ('{"type": "session.update", "session": {"audio": {"input": {"transcription": {"prompt": "\\ud800"}}}}}',
     "invalid_value", "surrogate"),
    ('{"type": "session.update", "session": {"audio": {"input": {"transcription": {"keywords": [1]}}}}}',
     "invalid_value", "keywords"),
    ('{"type": "input_audio_buffer.append", "audio": "*"}', "invalid_event", "base64"),
    ('{"type": "input_audio_buffer.append", "audio": NaN}', "invalid_event", "not JSON"),
    ('{"type": "input_audio_buffer.append"}', "invalid_event", "base64"),
    ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty", "wanted 100 ms"),
)  # fmt: skip


@pytest.mark.parametrize(("frame", "code", "sentence"), BAD)
def test_what_cannot_be_read_is_an_error_and_the_session_goes_on(
    client: Client, frame: str | bytes, code: str, sentence: str
) -> None:
    """With OpenAI's form and the sentence; the settings stay as they were, and audio is recognised."""
    client.socket.send(frame)
    error = client.last("error")["error"]
    assert (error["code"], error["type"]) == (code, "invalid_request_error")
    assert sentence in error["message"]
    client.update(format=PCM)
    client.append(pcm(2.0))
    assert client.last(f"{TRANSCRIPTION}.completed")["transcript"] == words(4)


def test_an_error_names_the_event_that_it_is_about(client: Client) -> None:
    """By the id that the client gave it."""
    client.send("input_audio_buffer.commit", event_id="mine")
    assert client.last("error")["error"]["event_id"] == "mine"


def test_a_model_that_fails_ends_its_item_and_the_connection() -> None:
    """`failed` for the item, which Pipecat reads, then 1011; others go on."""
    with running(ScriptedEngine()) as server, client_of(server) as socket, client_of(server) as neighbour:
        client = Client(socket)
        client.update(format=PCM, turn_detection=None)
        client.append(pcm(3.0))
        client.last(f"{TRANSCRIPTION}.delta")
        client.append(pcm(1.0, POISON))
        failed = client.last(f"{TRANSCRIPTION}.failed")
        assert failed["error"]["code"] == "internal"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=30)
        assert socket.close_code == 1011
        other = Client(neighbour)
        other.update(format=PCM)
        other.append(pcm(2.0))
        assert other.last(f"{TRANSCRIPTION}.completed")["transcript"] == words(4)


def test_a_socket_without_a_stream_holds_no_place() -> None:
    """Neither before its first audio nor after a pause, whose words are kept; a commit after it is answered."""
    with running(ScriptedEngine(), max_streams=1, idle_timeout_s=0.5) as server, client_of(server) as socket:
        client = Client(socket)
        with client_of(server), server.listen():
            pass
        eventually(lambda: server.metric("asr_open_streams") == 0)
        client.update(format=PCM, turn_detection=None)
        client.append(pcm(1.0))
        eventually(lambda: server.metric("asr_open_streams") == 1)
        eventually(lambda: server.metric("asr_open_streams") == 0)
        client.send("input_audio_buffer.commit")
        assert client.last(f"{TRANSCRIPTION}.completed")["transcript"] == words(2)


def test_a_full_server_closes_with_a_reason() -> None:
    """Refused before the upgrade, with 503; at the first audio with 1013."""
    with running(ScriptedEngine(), max_streams=1) as server, client_of(server) as socket, server.listen():
        with pytest.raises(InvalidStatus) as refused, client_of(server):
            pass
        assert refused.value.response.status_code == 503
        client = Client(socket)
        client.append(pcm(1.0))
        assert client.last("error")["error"]["type"] == "server_error"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=30)
        assert socket.close_code == 1013


def test_a_server_that_stops_sends_what_it_has() -> None:
    """The turn's text, then 1012; clients reconnect."""
    with running(ScriptedEngine()) as server, client_of(server) as socket:
        client = Client(socket)
        client.update(format=PCM)
        client.append(pcm(2.0))
        client.last(f"{TRANSCRIPTION}.completed")
        server.stop()
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=30)
        assert socket.close_code == 1012


@pytest.mark.parametrize(
    ("query", "headers", "status", "sentence"),
    [
        ("model=gpt-9", {}, 404, "unknown model 'gpt-9'"),
        ("intent=conversation", {}, 400, "wanted transcription"),
        ("", {"Origin": "https://evil.example"}, 403, "may not connect"),
        ("", {}, 426, "speaks WebSocket"),
        ("model=gpt-realtime", {}, 426, "speaks WebSocket"),
    ],
)
def test_refusals_before_the_upgrade(
    server: Running, query: str, headers: dict[str, str], status: int, sentence: str
) -> None:
    """In OpenAI's form; plain HTTP says what a WebSocket would get."""
    answer = httpx.get(f"{server.url}/v1/realtime?{query}", headers=headers)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]["message"]


def test_a_key_as_a_subprotocol_is_never_echoed(server: Running) -> None:
    """Browsers offer `realtime` beside it."""
    with client_of(server, subprotocols=["openai-insecure-api-key.ek_1", "realtime"]) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "realtime"


# -- the wire alone --------------------------------------------------------------------------------------------------


def choose(model: str | None, languages: Sequence[str]) -> tuple[str, str | None]:
    if model and "unknown" in model:
        raise ModelError("unknown model")
    if "xx" in languages:
        raise ConfigError("unknown language")
    return "scripted-1", languages[0] if languages else None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
INPUT = st.fixed_dictionaries(
    {},
    optional={
        "format": JSON | st.fixed_dictionaries({"type": st.sampled_from(sorted(FORMATS)), "rate": JSON}),
        "transcription": JSON
        | st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("model", "language", "languages", "keywords", "prompt"), JSON)
        ),
        "turn_detection": JSON
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["server_vad", "semantic_vad"])},
            optional=dict.fromkeys(("silence_duration_ms", "eagerness", "threshold"), JSON),
        ),
        "noise_reduction": JSON,
    },
)
SESSION = JSON | st.fixed_dictionaries(
    {}, optional={"type": JSON, "include": JSON, "audio": JSON | st.fixed_dictionaries({"input": INPUT})}
)
MESSAGE = JSON | st.fixed_dictionaries(
    {"type": st.sampled_from(CLIENT_EVENTS)},
    optional={"session": SESSION, "audio": JSON, "event_id": JSON, "item_id": JSON},
)


@given(st.lists(MESSAGE, max_size=6))
def test_no_message_breaks_the_wire(messages: list[Any]) -> None:
    """Each is carried out or answered with an `error`; answers are JSON in UTF-8, and a request opens a stream."""
    wire = RealtimeWire(RealtimeSession.of_model("whisper-1"), choose, "id")
    for message in messages:
        for command in wire.receive(json.dumps(message)):
            if isinstance(command, Reply):
                [frame] = command.frames
                answer = json.loads(str(frame).encode(), parse_constant=lambda name: pytest.fail(name))
                assert answer["type"] in ("error", "session.updated", "transcription_session.updated")
            elif isinstance(command, Open):
                assert command.request.encoding in ("linear16", "mulaw", "alaw")
                assert 8000 <= (command.request.sample_rate_hz or 0) <= 48_000
                assert command.request.endpoint_ms is None or 10 <= command.request.endpoint_ms <= 5000
            elif isinstance(command, Audio):
                assert command.data


@given(st.text() | st.binary())
def test_no_frame_breaks_the_wire(frame: str | bytes) -> None:
    """What is no JSON, too."""
    wire = RealtimeWire(RealtimeSession.of_model("whisper-1"), choose, "id")
    [command] = wire.receive(frame)
    assert isinstance(command, Reply)


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_an_ending(cause: Cause) -> None:
    """With a close code, and a name for each error."""
    wire = RealtimeWire(RealtimeSession.of_model("whisper-1"), choose, "id")
    ending = wire.end(cause, "it failed", Summary(0.0, 0.0, ""))
    assert ending.close_code == CLOSE_CODES[cause]
    assert bool(ending.error) == bool(ending.frames) == (cause not in (Cause.FINISHED, Cause.SHUTDOWN))
