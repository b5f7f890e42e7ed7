"""`docs/PROTOCOL.md` says what the code does: every code, message, parameter, field and limit."""

import json
import re
from typing import Any

import pytest

from asr.events import Final, SpeechStarted, Word
from server.config import ServerSettings, load_settings
from server.http import errors, listen, prerecorded
from server.streams.connection import CAUSE_OF
from server.streams.resumption import TAKEN_OVER
from server.wires import openai_transcriptions as openai
from server.wires import wyoming
from server.wires.base import Cause, Progress, Summary
from server.wires.deepgram import CLIENT_MESSAGES, RESUMABLE_MESSAGES, DeepgramWire
from server.wires.deepgram_flux import FLUX_IGNORED, FLUX_MESSAGES, FLUX_PARAMETERS, parse_flux
from server.wires.deepgram_frames import CLOSES
from server.wires.deepgram_messages import ModelInfo, Sender
from server.wires.deepgram_prerecorded import (
    PRERECORDED_IGNORED,
    PRERECORDED_PARAMETERS,
    PRERECORDED_UNSUPPORTED,
    parse_prerecorded,
)
from server.wires.deepgram_query import (
    ENCODING_NAMES,
    HINTS,
    HOTWORDS,
    LABELS,
    LIVE_IGNORED,
    PARAMETERS,
    UNSUPPORTED,
    ListenOptions,
    ParameterError,
    parse_query,
)
from server.wires.openai_realtime import CLIENT_EVENTS, CLOSE_CODES
from server.wires.openai_realtime_session import (
    COMMITTED_MODELS,
    EAGERNESS_MS,
    FORMATS,
    LOGPROBS,
    RealtimeSession,
    SessionError,
)
from tests.server.docs import CLIENTS, DOC, rows


def test_every_close_code_is_written_down_and_no_other() -> None:
    """With its variant."""
    written = {(int(code), variant.strip("`")) for code, variant, _ in rows("Close codes")}
    assert written == {(close.code, close.variant) for close in CLOSES.values()}


def test_every_parameter_is_written_down_and_no_other() -> None:
    """In the table; what is ignored and what is not here by name."""
    written = {name for names, *_ in rows("Parameters") for name in re.findall(r"`(\w+)`", names)}
    assert written == {*PARAMETERS, *HOTWORDS, *HINTS, *LABELS}
    for name in (*LIVE_IGNORED, *UNSUPPORTED, *ENCODING_NAMES):
        assert f"`{name}`" in DOC


def server_messages() -> dict[str, dict[str, Any]]:
    """One message of each type that the server sends, by type."""
    sender = Sender(ListenOptions(vad_events=True, utterance_end_ms=1000), ModelInfo("whisper-tiny.en", "1a"), "id")
    events = [SpeechStarted(0.4), Final((Word(" The", 0.5, 0.9, 0.98),), 0.5, 0.9, "en")]
    messages = list(sender.results(events, Progress(2.3, 2.0)))
    messages += [sender.error("INTERNAL", "it failed"), sender.metadata(Summary(2.3, 0.3, "0" * 64))]
    return {message["type"]: message for message in messages}


def test_every_message_is_written_down_and_no_other() -> None:
    """Client messages as JSON, server messages with a paragraph of their own."""
    for name in CLIENT_MESSAGES:
        assert f'{{"type": "{name}"}}' in DOC
    assert set(re.findall(r"^\*\*`(\w+)`\*\*", DOC, re.MULTILINE)) == set(server_messages())


def test_streams_that_outlive_their_connection_are_written_down() -> None:
    """Each message and field that only they have."""
    wire = DeepgramWire(parse_query([(name, "30") for name in ("resumable", "offset")]), ModelInfo("m", "1a"), "id")
    section = DOC.split("# Streams that outlive their connection\n", 1)[1].split("\n## ", 1)[0]
    for message in (json.loads(wire.session("TOKEN", 30, 0)), json.loads(wire.received())):
        assert f"`{message['type']}`" in section
        for name in message.keys() - {"type"}:
            assert f"`{name}`" in section
    for name in RESUMABLE_MESSAGES:
        assert f'{{"type": "{name}", ' in section
    assert str(TAKEN_OVER[0]) in section


def test_every_field_of_a_result_is_written_down() -> None:
    """The example has all of a message's keys, and no other."""
    message = server_messages()["Results"]
    example = DOC.split("**`Results`**", 1)[1].split("```")[1]
    assert set(re.findall(r'"(\w+)":', str(message).replace("'", '"'))) == set(re.findall(r'"(\w+)":', example))


def test_every_refusal_is_written_down() -> None:
    """By status and code, for both protocols."""
    before_upgrade = {(int(status), code.strip("`")) for status, code, _ in rows("Refusals before the upgrade")}
    keys = {(int(status), code.strip("`")) for status, code, _, _ in rows("Keys")[-6:]}
    assert keys == {(status, code) for _, status, code in listen.ACCESS_REFUSALS}
    assert before_upgrade == {(status, code) for _, status, code in listen.REFUSALS} - keys
    for _, status, code in errors.STATUSES:
        assert re.search(rf"^\| {status} \|.*{f'`{code}`' if code else ''}", DOC, re.MULTILINE)


def test_every_parameter_of_a_recording_is_written_down() -> None:
    """Those that a live stream has, too, by name; the others in the table."""
    names = {*PRERECORDED_PARAMETERS, "detect_language", *PRERECORDED_IGNORED, *PRERECORDED_UNSUPPORTED}
    section = DOC.split("# Whole recordings: `POST /v1/listen`\n", 1)[1].split("\n## ", 1)[0]
    assert {name for name in names if f"`{name}`" not in section} <= {*LIVE_IGNORED, *UNSUPPORTED}
    written = {(int(status), code.strip("`")) for status, code, _ in rows("Refusals of `POST /v1/listen`")}
    keys = {(status, code) for _, status, code in listen.ACCESS_REFUSALS}
    assert written == {(status, code) for _, status, code in prerecorded.REFUSALS} - keys


def test_every_form_field_is_written_down() -> None:
    """With its values."""
    for name in (*openai.RESPONSE_FORMATS, *openai.GRANULARITIES, *openai.IGNORED):
        assert f"`{name}`" in DOC
    table = rows("Whole recordings: `POST /v1/audio/transcriptions`")
    assert {name for names, *_ in table for name in re.findall(r"`([\w\[\]]+)`", names)} >= set(openai.FIELDS)


def test_every_alias_is_written_down() -> None:
    """The defaults of the setting."""
    for pattern in load_settings().model_aliases:
        assert f"`{pattern}`" in DOC


def test_realtime_is_written_down() -> None:
    """What a client may send, what it may set, and how a connection closes."""
    section = DOC.split("# Realtime transcription: `GET /v1/realtime` (WebSocket)\n", 1)[1].split("\n## ", 1)[0]
    for name in (*CLIENT_EVENTS, *FORMATS, *EAGERNESS_MS, LOGPROBS, *COMMITTED_MODELS):
        assert f"`{name}`" in section
    codes = {int(code) for code in re.findall(r"^\| (\d{4}) \|", section, re.MULTILINE)}
    assert codes == set(CLOSE_CODES.values()) - {1000}


def test_every_error_of_wyoming_is_written_down() -> None:
    """But the one of streams that end without audio: there an empty transcript is the answer."""
    section = DOC.split("# Home Assistant: Wyoming (TCP)\n", 1)[1].split("\n## ", 1)[0]
    written = set(re.findall(r"^\| `([a-z-]+)` \|", section.split("| `code` of", 1)[1], re.MULTILINE))
    assert written == {error for _, error in wyoming.CLOSES.values() if error} - {"no-audio"}


def test_the_turns_are_written_down() -> None:
    """Parameters, messages, and the events that the code names."""
    section = DOC.split("# Turns of a conversation: `GET /v2/listen` (WebSocket)\n", 1)[1].split("\n## ", 1)[0]
    for name in FLUX_PARAMETERS:
        assert f"`{name}`" in section
    for name in FLUX_MESSAGES:
        assert f'{{"type": "{name}"}}' in section
    written = set(re.findall(r"^\| `(\w+)` \|", section.split("| `event` |", 1)[1], re.MULTILINE))
    assert written == {"StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"}


def test_the_limits_named_are_settings() -> None:
    """Every key that looks like a limit exists, and every limit that a client can feel is named."""
    keys = set(ServerSettings.__dataclass_fields__)
    named = set(re.findall(r"`((?:max|head|idle|send|drain|thin)_\w+)`", DOC))
    assert named <= keys
    own = {"max_batch", "start_timeout_s", "step_timeout_s", "keep_warm_s"}  # the workers': clients feel a delay
    own |= {"max_shadow_bytes", "max_shadow_lag_s"}  # a shadow's: no client feels them
    assert named >= {key for key in keys if key.startswith("max_") or key.endswith("_s")} - own


def test_every_cause_has_a_close_code_and_every_error_a_cause() -> None:
    """The table of causes ends with one that takes all errors."""
    assert set(CLOSES) == set(Cause)
    assert CAUSE_OF[-1] == (BaseException, Cause.INTERNAL)
    assert {cause for _, cause in CAUSE_OF} | {Cause.FINISHED} == set(Cause)


def features(client: str) -> list[set[str]]:
    """The names in a row of docs/CLIENTS.md: honoured, ignored, refused; only those before the first semicolon."""
    [row] = [cells for cells in rows("What is honoured, ignored, refused", CLIENTS) if cells[0] == client]
    return [set(re.findall(r"`([a-z_]+)(?:\[\])?`", cell.split(";")[0])) for cell in row[1:]]


APIS = {
    "Deepgram live, v1": (parse_query, {*PARAMETERS, *HOTWORDS, *HINTS, *LABELS}, set(LIVE_IGNORED), set(UNSUPPORTED)),
    "Deepgram live, v2": (parse_flux, {*FLUX_PARAMETERS, *HOTWORDS, *HINTS}, set(FLUX_IGNORED), set(UNSUPPORTED)),
    "Deepgram recordings": (
        parse_prerecorded,
        {*PRERECORDED_PARAMETERS, *HOTWORDS, *HINTS, *LABELS, "detect_language"},
        set(PRERECORDED_IGNORED),
        set(PRERECORDED_UNSUPPORTED),
    ),
}
OUR_OWN = {"client_id", "consent", "resumable", "resume", "sequence", "offset"}
"""In no client of others."""


@pytest.mark.parametrize("client", APIS)
def test_the_table_of_features_is_what_deepgrams_parsers_do(client: str) -> None:
    """Each name of the code stands in its column, and does what the column says."""
    parse, *expected = APIS[client]
    known = [names - OUR_OWN for names in expected]
    written = features(client)
    if client != "Deepgram live, v1":  # "as v1, and"
        first = features("Deepgram live, v1")
        written = [
            written[0],
            *((column | more) - written[0] for column, more in zip(first[1:], written[1:], strict=True)),
        ]
    assert written == known
    for name in known[1]:
        assert parse([(name, "true")]) == parse([])
    for name in known[2]:
        with pytest.raises(ParameterError, match=f"{name}=true is not supported here"):
            parse([(name, "true")])


def test_the_table_of_features_is_what_openais_forms_do() -> None:
    """By the same rule."""
    honoured, ignored, refused = features("OpenAI recordings")
    assert honoured == {name.removesuffix("[]") for name in openai.FIELDS}
    assert ignored == set(openai.IGNORED)
    assert openai.parse_form([(name, "1") for name in ignored]) == openai.parse_form([])
    for name in refused:
        with pytest.raises(openai.FormError, match="unknown field"):
            openai.parse_form([(f"{name}[]", "x")])
    with pytest.raises(openai.FormError, match="found 'diarized_json'"):
        openai.parse_form([("response_format", "diarized_json")])


def test_the_table_of_features_is_what_realtime_does() -> None:
    """What has no effect is echoed and opens the same stream."""
    _, ignored, _ = features("OpenAI Realtime")
    plain = RealtimeSession()
    for name in ignored:
        value = {"type": "near_field"} if name == "noise_reduction" else 0.3
        where = {
            "noise_reduction": {name: value},
            "delay": {"transcription": {name: value}},
        }.get(name, {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500, name: value}})
        session = plain.updated({"audio": {"input": where}})
        assert f"'{name}': {value}" in str(session.fields())
        assert session.stream(None) == plain.stream(None)
    with pytest.raises(SessionError, match="nobody answers"):
        plain.updated({"type": "realtime"})
