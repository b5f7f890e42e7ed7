"""`docs/PROTOCOL.md` says what the code does: every code, message, parameter, field and limit."""

import json
import re
from typing import Any

from asr.events import Final, SpeechStarted, Word
from server.config import ServerSettings, load_settings
from server.http import errors, listen, prerecorded
from server.streams.connection import CAUSE_OF
from server.streams.resumption import TAKEN_OVER
from server.wires import openai_transcriptions as openai
from server.wires import wyoming
from server.wires.base import Cause, Progress, Summary
from server.wires.deepgram import CLIENT_MESSAGES, RESUMABLE_MESSAGES, DeepgramWire
from server.wires.deepgram_flux import FLUX_MESSAGES, FLUX_PARAMETERS
from server.wires.deepgram_frames import CLOSES
from server.wires.deepgram_messages import ModelInfo, Sender
from server.wires.deepgram_prerecorded import (
    PRERECORDED_IGNORED,
    PRERECORDED_PARAMETERS,
    PRERECORDED_UNSUPPORTED,
)
from server.wires.deepgram_query import (
    ENCODING_NAMES,
    HINTS,
    HOTWORDS,
    IGNORED,
    PARAMETERS,
    UNSUPPORTED,
    ListenOptions,
    parse_query,
)
from server.wires.openai_realtime import CLIENT_EVENTS, CLOSE_CODES
from server.wires.openai_realtime_session import COMMITTED_MODELS, EAGERNESS_MS, FORMATS, LOGPROBS
from tests.server.docs import DOC, rows


def test_every_close_code_is_written_down_and_no_other() -> None:
    """With its variant."""
    written = {(int(code), variant.strip("`")) for code, variant, _ in rows("Close codes")}
    assert written == {(close.code, close.variant) for close in CLOSES.values()}


def test_every_parameter_is_written_down_and_no_other() -> None:
    """In the table; what is ignored and what is not here by name."""
    written = {name for names, *_ in rows("Parameters") for name in re.findall(r"`(\w+)`", names)}
    assert written == {*PARAMETERS, *HOTWORDS, *HINTS}
    for name in (*IGNORED, *UNSUPPORTED, *ENCODING_NAMES):
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
    assert {name for name in names if f"`{name}`" not in section} <= {*IGNORED, *UNSUPPORTED}
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
    assert named >= {key for key in keys if key.startswith("max_") or key.endswith("_s")} - {"max_batch"}


def test_every_cause_has_a_close_code_and_every_error_a_cause() -> None:
    """The table of causes ends with one that takes all errors."""
    assert set(CLOSES) == set(Cause)
    assert CAUSE_OF[-1] == (BaseException, Cause.INTERNAL)
    assert {cause for _, cause in CAUSE_OF} | {Cause.FINISHED} == set(Cause)
