"""`docs/PROTOCOL.md` says what the code does: every code, message, parameter, field and limit."""

import re
from pathlib import Path

import pytest

from asr.errors import AsrError
from server.config import ServerSettings
from server.http import listen, routes
from server.wires import deepgram
from server.wires import openai_transcriptions as openai
from server.wires.deepgram_query import CONTAINERS, HOTWORDS, IGNORED, NOT_HERE, PARAMETERS, RAW_ENCODINGS

DOC = (Path(__file__).parents[3] / "docs" / "PROTOCOL.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = DOC.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def test_every_close_code_is_written_down_and_no_other() -> None:
    """With its variant."""
    written = {(int(code), variant.strip("`")) for code, variant, _ in rows("Close codes")}
    assert written == {(ending.close_code, ending.variant) for ending in deepgram.ENDINGS}


def test_every_parameter_is_written_down_and_no_other() -> None:
    """In the table; what is ignored and what is not here by name."""
    written = {name for names, *_ in rows("Parameters") for name in re.findall(r"`(\w+)`", names)}
    assert written == {*PARAMETERS, *HOTWORDS}
    for name in (*IGNORED, *NOT_HERE, *RAW_ENCODINGS, *CONTAINERS):
        assert f"`{name}`" in DOC


@pytest.mark.parametrize("name", [*deepgram.SERVER_MESSAGES, *deepgram.CLIENT_MESSAGES])
def test_every_message_is_written_down(name: str) -> None:
    """Client messages as JSON, server messages with a paragraph of their own."""
    assert f"**`{name}`**" in DOC or f'{{"type": "{name}"}}' in DOC


def test_every_field_of_a_result_is_written_down() -> None:
    """The example has all of a message's keys, and no other."""
    from asr.events import Final, Word
    from server.wires.deepgram_query import ListenOptions

    sender = deepgram.Sender(ListenOptions(), deepgram.ModelInfo("whisper-tiny.en", "1a"), "id")
    [message] = sender.results([Final((Word(" The", 0.5, 0.9, 0.98),), 0.5, 0.9, "en")], decoded_s=1.0, lag_s=0.3)
    example = DOC.split("**`Results`**", 1)[1].split("```")[1]
    assert set(re.findall(r'"(\w+)":', str(message).replace("'", '"'))) == set(re.findall(r'"(\w+)":', example))


def test_every_refusal_is_written_down() -> None:
    """By status and code, for both protocols."""
    before_upgrade = {(int(status), code.strip("`")) for status, code, _ in rows("Refusals before the upgrade")}
    assert before_upgrade == {(status, code) for _, status, code in listen.REFUSALS}
    for _, status, code in routes.STATUSES:
        assert f"| {status} | {f'`{code}`' if code else ''}" in DOC


def test_every_form_field_is_written_down() -> None:
    """With its values."""
    for name in (*openai.RESPONSE_FORMATS, *openai.GRANULARITIES, *openai.IGNORED, openai.DEFAULT_MODEL_ALIAS):
        assert f"`{name}`" in DOC
    fields = {"file", "model", "language", "prompt", "hotwords", "response_format", "timestamp_granularities[]"}
    assert {
        name.split()[0].strip("`") for name, *_ in rows("Whole recordings: `POST /v1/audio/transcriptions`")
    } >= fields


def test_the_limits_named_are_settings() -> None:
    """Every key that looks like a limit exists, and every limit that a client can feel is named."""
    keys = set(ServerSettings.__dataclass_fields__)
    named = set(re.findall(r"`((?:max|idle|send|drain|thin)_\w+)`", DOC))
    assert named <= keys
    assert named >= {key for key in keys if key.startswith("max_") or key.endswith("_s")} - {"max_batch"}


def test_every_kind_of_error_has_a_close_code() -> None:
    """The table in `server.streams.connection` ends with one that takes all."""
    from server.streams.connection import ENDING_OF

    assert ENDING_OF[-1] == (BaseException, deepgram.BROKEN)
    assert {ending for _, ending in ENDING_OF} | {deepgram.NORMAL} == set(deepgram.ENDINGS)
    assert issubclass(AsrError, ENDING_OF[-1][0])
