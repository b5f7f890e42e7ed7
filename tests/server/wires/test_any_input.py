"""Any input to any wire's parser gives an answer or a sentence: never an exception of another kind, never silence.

Realtime's, Wyoming's and Flux's own messages are tried beside their other tests.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import CallerError
from server.wires.base import Audio, End, Finalize, KeepAlive, MessageError, Open, Reply
from server.wires.deepgram import CLIENT_MESSAGES, DeepgramWire
from server.wires.deepgram_flux import FLUX_MESSAGES, FLUX_PARAMETERS, FluxOptions, FluxWire, parse_flux
from server.wires.deepgram_messages import ModelInfo
from server.wires.deepgram_prerecorded import (
    PRERECORDED_PARAMETERS,
    PRERECORDED_UNSUPPORTED,
    BodyError,
    address_in,
    parse_prerecorded,
)
from server.wires.deepgram_query import HINTS, HOTWORDS, KNOWN, LABELS, ListenOptions, ParameterError, parse_query
from server.wires.jambonz import MESSAGES, JambonzWire
from server.wires.openai_transcriptions import (
    CHUNKING_FIELDS,
    FIELDS,
    IGNORED,
    TRANSLATION_FIELDS,
    FormError,
    parse_form,
)
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running, wav

MODEL = ModelInfo("scripted-1", "ab" * 32)
VALUES = st.sampled_from(
    ["", " ", "true", "True", "FALSE", "1", "0", "-1", "en", "EN-us", "multi", "a,b", "auto", "json", "word",
     "logprobs",
     "linear16", "8000", "8e3", "nan", "inf", "1e400", "٣", "[]", "[1]", "null", '"x"', "{", '{"type": "server_vad"}',
     '{"type": "server_vad", "silence_duration_ms": 1e999}', "x:2", "x:-2", "\0", "\ud800", "x" * 5000]
) | st.text(max_size=12)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def pairs(*names: str) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Parameters by name, with siblings of the names: as lists, in capitals, given again."""
    written = st.sampled_from(sorted({form for name in names for form in (name, f"{name}[]", name.upper())}))
    return st.lists(st.tuples(written | st.text(max_size=8), VALUES), max_size=5)


QUERIES: list[tuple[Callable[[list[tuple[str, str]]], Any], tuple[str, ...]]] = [
    (parse_query, tuple(KNOWN)),
    (parse_flux, (*FLUX_PARAMETERS, *HINTS, *HOTWORDS)),
    (parse_prerecorded, (*PRERECORDED_PARAMETERS, *PRERECORDED_UNSUPPORTED, *HINTS, *LABELS, "detect_language")),
]


@pytest.mark.parametrize(("parse", "names"), QUERIES, ids=["live", "turns", "recordings"])
def test_any_query_is_read_or_refused(parse: Callable[..., Any], names: tuple[str, ...]) -> None:
    """With one printable sentence."""

    @given(pairs(*names))
    def check(items: list[tuple[str, str]]) -> None:
        try:
            assert parse(items)
        except ParameterError as error:
            assert str(error).encode(errors="strict").decode().isprintable()  # noqa: PT017 - both are right

    check()


FORM_NAMES = (*FIELDS, *IGNORED, *(f"chunking_strategy[{name}]" for name in CHUNKING_FIELDS), "language[]", "model[]")


@pytest.mark.parametrize("translate", [False, True])
def test_any_form_is_read_or_refused(translate: bool) -> None:
    """With one sentence, at the field at fault. A translation takes no field of another kind."""

    @given(pairs(*FORM_NAMES))
    def check(items: list[tuple[str, str]]) -> None:
        try:
            options = parse_form(items, translate=translate)
        except FormError as error:
            assert "\n" not in str(error)  # noqa: PT017 - both are right
            return
        assert options.endpoint_ms is None or 10 <= options.endpoint_ms <= 5000
        assert {name for name, _ in items} <= {*TRANSLATION_FIELDS, *IGNORED} or not translate

    check()


FRAMES = st.binary(max_size=300) | st.text(max_size=40) | st.builds(json.dumps, JSON)


def message(*kinds: str, **fields: Any) -> st.SearchStrategy[str | bytes]:
    """A message of a known kind with fields of any kind, as text or as bytes."""
    texts = st.builds(
        json.dumps, st.fixed_dictionaries({"type": st.sampled_from(kinds)}, optional=dict.fromkeys(fields, JSON))
    )
    return texts | texts.map(str.encode) | FRAMES


WIRES: list[tuple[Callable[[], Any], st.SearchStrategy[str | bytes]]] = [
    (lambda: DeepgramWire(ListenOptions(), MODEL, "id"), message(*CLIENT_MESSAGES, keyterms=1, features=1)),
    (lambda: FluxWire(FluxOptions(), MODEL, "id"), message(*FLUX_MESSAGES, keyterms=1, thresholds=1)),
    (JambonzWire, message(*MESSAGES, language=1, encoding=1, sampleRateHz=1, options=1, interimResults=1)),
]


@pytest.mark.parametrize(("make", "frames"), WIRES, ids=["live", "turns", "jambonz"])
def test_any_frame_is_carried_out_answered_or_refused(make: Callable[[], Any], frames: Any) -> None:
    """Answers are JSON that can be sent; a stream that is asked for can be opened."""

    @given(st.lists(frames, max_size=4))
    def check(sent: list[str | bytes]) -> None:
        wire = make()
        for frame in sent:
            try:
                commands = wire.receive(frame)
            except MessageError as error:
                assert "wanted" in str(error)  # noqa: PT017 - both are right
                continue
            for command in commands:
                assert isinstance(command, Audio | End | Finalize | KeepAlive | Open | Reply)
                if isinstance(command, Reply):
                    assert [json.loads(answer.encode())["type"] for answer in command.frames]
                if isinstance(command, Open):
                    assert 8000 <= (command.request.sample_rate_hz or 8000) <= 48_000
            assert commands or frame in (b"", "")

    check()


@given(st.binary(max_size=60) | st.builds(lambda value: json.dumps(value).encode(), JSON))
def test_any_body_with_an_address_is_read_or_refused(body: bytes) -> None:
    """`{"url": ...}`, or what is wanted."""
    try:
        assert isinstance(address_in(body), str)
    except BodyError as error:
        assert "wanted" in str(error)  # noqa: PT017 - both are right


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ScriptedEngine()) as server:
        yield server


PARTS = st.lists(
    st.tuples(
        st.sampled_from(FORM_NAMES) | st.text("abc[]\"'; =é", min_size=1, max_size=6),
        st.tuples(st.none(), VALUES.map(lambda text: text.encode(errors="replace")))
        | st.tuples(st.sampled_from(["a.wav", "", "ü.mp3"]), st.binary(max_size=40) | st.just(wav(0.5))),
    ),
    max_size=5,
)


@pytest.mark.slow
def test_any_upload_is_answered(server: Running) -> None:
    """Forms with fields as files, files as fields, and bodies that are none: a text, or an error with a sentence."""
    with httpx.Client(base_url=server.url, timeout=30) as client:

        @settings(max_examples=60)
        @given(st.sampled_from(["transcriptions", "translations"]), PARTS, st.binary(max_size=60) | st.none())
        def check(path: str, parts: list[Any], body: bytes | None) -> None:
            form = {"content": body, "headers": {"content-type": "multipart/form-data; boundary=x"}}
            options: dict[str, Any] = {"files": parts} if body is None else form
            answer = client.post(f"/v1/audio/{path}", **options)
            assert answer.status_code in (200, 400, 404, 413)
            if answer.status_code != 200:
                assert answer.json()["error"]["message"]

        check()


def test_sentences_name_what_was_found() -> None:
    """All errors of parsers are those of the caller, so that none is logged as the server's."""
    assert all(issubclass(kind, CallerError) for kind in (ParameterError, FormError, BodyError, MessageError))
