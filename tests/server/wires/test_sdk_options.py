"""Each option of the official Python SDKs, through the SDK, against a server with a scripted engine.

An option gives the same text as none (it is ignored, or its effect is tested elsewhere), or what its row checks, or
a sentence that refuses it. `test_every_option_of_the_sdks_has_a_row` holds the tables to the SDKs' own signatures.
"""

import asyncio
import inspect
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from deepgram import AsyncDeepgramClient, DeepgramClient, DeepgramClientEnvironment
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from websockets.exceptions import InvalidStatus

from tests.server.fakes import ScriptedEngine, words
from tests.server.running import Running, pcm, running, wav

pytestmark = [
    pytest.mark.slow,
    # openai-python 3.54 uses what websockets 17.1 deprecated.
    pytest.mark.filterwarnings(r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"),
    # and marks all of its translations as deprecated
    pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"),
]

TEXT = words(4)
SAME_TEXT = "the same text as without options"


@dataclass(frozen=True)
class Refused:
    """By a sentence with these words."""

    sentence: str


Expected = str | Refused | Callable[[Any], bool]
Case = tuple[dict[str, Any], Expected]


class Engine(ScriptedEngine):
    languages = ("en", "es", "en-US", "ja")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(Engine()) as server:
        yield server


def environment(server: Running) -> DeepgramClientEnvironment:
    ws = server.url.replace("http", "ws")
    return DeepgramClientEnvironment(base=server.url, production=ws, agent=ws, agent_rest=server.url)


@pytest.fixture(scope="module")
def deepgram(server: Running) -> Iterator[DeepgramClient]:
    with httpx.Client(timeout=30) as http:
        yield DeepgramClient(api_key="any", environment=environment(server), httpx_client=http)


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[openai.OpenAI]:
    """With its retries: a connection that was kept may be closed at any moment."""
    with openai.OpenAI(api_key="any", base_url=f"{server.url}/v1") as client:
        yield client


def ids(cases: list[Case]) -> list[str]:
    return [f"{number}-{'-'.join(options)}" for number, (options, _) in enumerate(cases)]


def refusals(*names: str, value: Any = True) -> list[Case]:
    return [({name: value}, Refused(f"{name}={str(value).lower()} is not supported here")) for name in names]


# -- Deepgram -----------------------------------------------------------------------------------------------------

BOTH: list[Case] = [
    ({}, SAME_TEXT),
    ({"keyterm": ["fox", "lazy dog"]}, SAME_TEXT),
    ({"keywords": ["fox:2", "dog:1.5"]}, SAME_TEXT),
    ({"keywords": "fox"}, SAME_TEXT),
    ({"keywords": "dog:-1.5"}, Refused("words cannot be suppressed")),
    ({"language": "en-US"}, SAME_TEXT),
    ({"language": "fr"}, Refused("'fr'")),
    ({"language_hint": ["en", "es"]}, SAME_TEXT),
    ({"model": "nova-2-meeting"}, lambda answer: "scripted-1" in str(answer)),
    ({"model": "nova-9"}, Refused("unknown model 'nova-9'")),
    ({"extra": ["team:a b", "team:c", "x"]}, lambda answer: "extra={'team': 'c', 'x': ''}" in str(answer)),
    ({"tag": ["one", "two"]}, lambda answer: "tags=['one', 'two']" in str(answer)),
    *(({name: True}, SAME_TEXT) for name in ("dictation", "numerals", "profanity_filter", "punctuate", "mip_opt_out")),
    ({"version": "latest"}, SAME_TEXT),
    ({"diarize": False}, SAME_TEXT),
    *refusals("diarize", "detect_entities"),
    *refusals("diarize_model", value="latest"),
    *refusals("redact", "search", value="pci"),
    ({"replace": "fox:dog"}, Refused("replace is not supported here")),  # not the value: it may be a secret
    ({"callback": "https://example.com/done"}, Refused("callback is not supported here")),
    *refusals("callback_method", value="put"),
]
"""Of live streams and recordings."""

FILE: list[Case] = [
    *BOTH,
    ({"language": "multi"}, SAME_TEXT),
    ({"smart_format": True}, lambda answer: answer.results.channels[0].alternatives[0].paragraphs is not None),
    ({"paragraphs": True}, lambda answer: answer.results.channels[0].alternatives[0].paragraphs.transcript == TEXT),
    ({"utterances": True}, lambda answer: [each.transcript for each in answer.results.utterances] == [TEXT]),
    ({"utterances": True, "utt_split": 0.4}, lambda answer: len(answer.results.utterances) >= 1),
    ({"utt_split": 99}, Refused("utt_split: found '99'")),
    ({"multichannel": True}, lambda answer: answer.metadata.channels == 1),
    ({"detect_language": True}, lambda answer: answer.results.channels[0].detected_language == "en"),
    ({"detect_language": ["en", "es"]}, lambda answer: answer.results.channels[0].detected_language == "en"),
    ({"filler_words": True, "measurements": True}, SAME_TEXT),
    ({"encoding": "linear16"}, Refused("give sample_rate")),
    *refusals("sentiment", "topics", "intents"),
    *refusals("summarize", value="v2"),
    *refusals("custom_topic", "custom_intent", value="fox"),
    *refusals("custom_topic_mode", "custom_intent_mode", value="strict"),
]


def more(**parameters: Any) -> dict[str, Any]:
    """Parameters that the SDK has no argument for."""
    return {"request_options": {"additional_query_parameters": parameters}}


RAW = {"encoding": "linear16", "sample_rate": 16_000}

LIVE: list[Case] = [
    *BOTH,
    ({"interim_results": True}, SAME_TEXT),
    ({"vad_events": True}, lambda answer: any(m.type == "SpeechStarted" for m in answer)),
    ({"utterance_end_ms": 1000, "interim_results": True}, SAME_TEXT),
    ({"utterance_end_ms": 100}, Refused("utterance_end_ms: found '100'")),
    *(({"endpointing": value}, SAME_TEXT) for value in (300, 0, False, True)),
    ({"endpointing": 99_999}, Refused("endpointing: found '99999'")),
    ({"smart_format": True}, SAME_TEXT),
    ({"channels": 2}, lambda answer: spoken(answer) == words(2)),
    ({"channels": 2, "multichannel": True}, lambda answer: {m.channel_index[0] for m in finals(answer)} == {0, 1}),
    ({"encoding": "mulaw", "sample_rate": 8_000}, lambda answer: spoken(answer) == words(16)),
    ({"encoding": "mp7"}, Refused("encoding: found 'mp7'")),
    ({"sample_rate": 1}, Refused("sample_rate: found '1'")),
    (more(filler_words="true", no_delay="true", tier="enhanced", measurements="true"), SAME_TEXT),
    (more(utterances="true", utt_split="0.8", paragraphs="true", detect_language="true"), SAME_TEXT),
    (more(alternatives="1", diarize_version="false", summarize="false"), SAME_TEXT),
    (more(alternatives="2"), Refused("alternatives=2 is not supported here")),
    (more(diarize_version="latest"), Refused("diarize_version=latest is not supported here")),
    (more(nonsense="1"), Refused("unknown parameter 'nonsense'")),
]

TURNS: list[Case] = [
    ({}, SAME_TEXT),
    ({"eager_eot_threshold": 0.4}, SAME_TEXT),
    ({"eot_threshold": 0.9, "eot_timeout_ms": 800}, SAME_TEXT),
    ({"eot_threshold": 0.1}, Refused("eot_threshold: found '0.1'")),
    ({"keyterm": ["fox"], "language_hint": ["en"]}, SAME_TEXT),
    ({"mip_opt_out": True, "numerals": True, "profanity_filter": True, "tag": ["one"]}, SAME_TEXT),
    ({"encoding": "opus", "sample_rate": 1}, Refused("sample_rate: found '1'")),
    *refusals("redact", value="pci"),
]

NOT_OPTIONS = {"request", "url", "request_options", "authorization", "file", "timeout"}


def finals(messages: list[Any]) -> list[Any]:
    return [message for message in messages if message.type == "Results" and message.is_final]


def spoken(messages: list[Any]) -> str:
    """The text of a live connection, of either version."""
    turns = [message.transcript for message in messages if getattr(message, "event", "") == "EndOfTurn"]
    return " ".join([m.channel.alternatives[0].transcript for m in finals(messages)] + turns).strip()


def streamed(listen: Any, **options: Any) -> list[Any]:
    messages: list[Any] = []
    with listen.connect(**options) as stream:
        stream.on(EventType.MESSAGE, messages.append)
        listening = threading.Thread(target=stream.start_listening)
        listening.start()
        stream.send_media(pcm(2.0))
        stream.send_close_stream()
        listening.join(60)
    return messages


def checked(expected: Expected, call: Callable[[], Any], text_of: Callable[[Any], str]) -> None:
    """The row of a table. SDKs hide a refusal's sentence in their exceptions; it is there."""
    if isinstance(expected, Refused):
        with pytest.raises((ApiError, InvalidStatus, openai.APIStatusError)) as refused:
            call()
        error = refused.value
        shown = bytes(error.response.body or b"").decode() if isinstance(error, InvalidStatus) else str(error)
        assert expected.sentence in shown
        return
    answer = call()
    if callable(expected):
        assert expected(answer), answer
    else:
        assert text_of(answer) == TEXT


@pytest.mark.parametrize(("options", "expected"), FILE, ids=ids(FILE))
def test_deepgrams_options_of_recordings(deepgram: DeepgramClient, options: dict[str, Any], expected: Expected) -> None:
    """`transcribe_file`."""
    checked(
        expected,
        lambda: deepgram.listen.v1.media.transcribe_file(request=wav(2.0), **options),
        lambda answer: str(answer.results.channels[0].alternatives[0].transcript),
    )


@pytest.mark.parametrize(("options", "expected"), LIVE, ids=ids(LIVE))
def test_deepgrams_options_of_streams(deepgram: DeepgramClient, options: dict[str, Any], expected: Expected) -> None:
    """`listen.v1.connect`."""
    given = {"model": "nova-3", **RAW, **options}
    checked(expected, lambda: streamed(deepgram.listen.v1, **given), spoken)


@pytest.mark.parametrize(("options", "expected"), TURNS, ids=ids(TURNS))
def test_deepgrams_options_of_turns(deepgram: DeepgramClient, options: dict[str, Any], expected: Expected) -> None:
    """`listen.v2.connect`."""
    given = {"model": "flux-general-en", **RAW, **options}
    checked(expected, lambda: streamed(deepgram.listen.v2, **given), spoken)


def test_deepgrams_other_ways_to_call(deepgram: DeepgramClient, server: Running) -> None:
    """Raw responses, an address (refused, unless a setting allows it), and the asynchronous client, live and not."""
    raw = deepgram.listen.v1.media.with_raw_response.transcribe_file(request=wav(2.0), model="nova-3")
    assert raw.headers["dg-request-id"] == raw.data.metadata.request_id  # type: ignore[union-attr]
    with pytest.raises(ApiError, match="fetch_urls"):
        deepgram.listen.v1.media.transcribe_url(url="https://example.com/a.wav")

    async def use() -> tuple[str, str]:
        messages: list[Any] = []
        async with httpx.AsyncClient(timeout=30) as http:
            client = AsyncDeepgramClient(api_key="any", environment=environment(server), httpx_client=http)
            answer: Any = await client.listen.v1.media.transcribe_file(request=wav(2.0), model="nova-3")
        async with client.listen.v1.connect(model="nova-3", **RAW) as stream:  # type: ignore[arg-type]
            stream.on(EventType.MESSAGE, messages.append)
            listening = asyncio.create_task(stream.start_listening())
            await stream.send_media(pcm(2.0))
            await stream.send_finalize()
            await stream.send_keep_alive()
            await stream.send_close_stream()
            await asyncio.wait_for(listening, 60)
        return answer.results.channels[0].alternatives[0].transcript, spoken(messages)

    assert asyncio.run(use()) == (TEXT, TEXT)


# -- OpenAI -------------------------------------------------------------------------------------------------------

WORDS = {"response_format": "verbose_json", "timestamp_granularities": ["word"]}
AS_FILES: list[Case] = [
    ({"file": ("ü.mp3", wav(2.0))}, SAME_TEXT),
    ({"file": ("a.wav", wav(2.0), "audio/wav")}, SAME_TEXT),
    ({"file": ("a.wav", wav(2.0), "audio/wav", {"x-a": "b"})}, SAME_TEXT),
    ({"file": wav(2.0)}, SAME_TEXT),
    ({"file": io.BytesIO(wav(2.0))}, SAME_TEXT),
    ({"file": ("a.wav", b"")}, Refused("the recording empty")),
]

BOTH_KINDS: list[Case] = [
    *AS_FILES,
    *(({"model": name}, SAME_TEXT) for name in ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15")),
    ({"model": "whisper-9"}, Refused("unknown model 'whisper-9'")),
    ({"prompt": "Words:"}, SAME_TEXT),
    ({"temperature": 0.4}, SAME_TEXT),
    ({"response_format": "json"}, SAME_TEXT),
    ({"response_format": "text"}, lambda answer: answer == TEXT + "\n"),
    ({"response_format": "srt"}, lambda answer: answer.startswith("1\n00:00:00,000 -->") and TEXT in answer),
    ({"response_format": "vtt"}, lambda answer: answer.startswith("WEBVTT") and TEXT in answer),
    ({"response_format": "verbose_json"}, lambda answer: answer.segments[0].text.strip() == TEXT),
    ({"response_format": "diarized_json"}, Refused("found 'diarized_json'")),
    ({"extra_headers": {"OpenAI-Organization": "a"}, "extra_query": {"api-version": "1"}}, SAME_TEXT),
    ({"extra_body": {"vad_filter": True}}, Refused("unknown field 'vad_filter'")),
]
"""Of transcriptions and translations."""

TRANSCRIPTIONS: list[Case] = [
    *BOTH_KINDS,
    ({"language": "en"}, SAME_TEXT),
    ({"language": "fr"}, Refused("'fr'")),
    ({"languages": ["en", "fr"]}, SAME_TEXT),
    ({"keywords": ["fox", "dog"]}, SAME_TEXT),
    ({"chunking_strategy": "auto"}, SAME_TEXT),
    ({"chunking_strategy": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 200}}, SAME_TEXT),
    ({"include": ["logprobs"]}, lambda answer: "".join(each.token for each in answer.logprobs) == TEXT),
    (WORDS, lambda answer: " ".join(word.word for word in answer.words) == TEXT and not answer.segments),
    (
        WORDS | {"timestamp_granularities": ["word", "segment"]},
        lambda answer: len(answer.words) == 4 and len(answer.segments) == 1,
    ),
    ({"timestamp_granularities": ["word"]}, Refused("needs response_format=verbose_json")),
    ({"known_speaker_names": ["a"]}, Refused("known_speaker_names")),
    ({"known_speaker_references": ["data:audio/wav;base64,AA=="]}, Refused("known_speaker_references")),
    ({"stream": True}, lambda events: [*events][-1].text == TEXT),
    ({"stream": True, "response_format": "text"}, lambda events: [*events][-1].text == TEXT),
    ({"stream": True, "include": ["logprobs"]}, lambda events: len([*events][-1].logprobs) == 4),
    ({"stream": True, "response_format": "srt"}, Refused("stream=true needs response_format=json or text")),
]


def text_of(answer: Any) -> str:
    return str(answer.text)


@pytest.mark.parametrize(("options", "expected"), TRANSCRIPTIONS, ids=ids(TRANSCRIPTIONS))
def test_openais_options_of_transcriptions(client: openai.OpenAI, options: dict[str, Any], expected: Expected) -> None:
    """`audio.transcriptions.create`."""
    given: Any = {"model": "whisper-1", "file": ("a.wav", wav(2.0)), **options}
    checked(expected, lambda: client.audio.transcriptions.create(**given), text_of)


@pytest.mark.parametrize(("options", "expected"), BOTH_KINDS, ids=ids(BOTH_KINDS))
def test_openais_options_of_translations(client: openai.OpenAI, options: dict[str, Any], expected: Expected) -> None:
    """`audio.translations.create`."""
    given: Any = {"model": "whisper-1", "file": ("a.wav", wav(2.0)), **options}
    checked(expected, lambda: client.audio.translations.create(**given), text_of)


def test_openais_other_ways_to_call(client: openai.OpenAI, server: Running, tmp_path: Path) -> None:
    """A path, raw and streamed responses, the asynchronous client, and the id that its answers and errors have."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav(2.0))
    given: Any = {"model": "whisper-1", "file": path}
    transcriptions = client.audio.transcriptions
    answer = transcriptions.create(**given)
    assert (answer.text, bool(answer._request_id)) == (TEXT, True)
    raw = transcriptions.with_raw_response.create(**given)
    assert (raw.parse().text, raw.request_id) == (TEXT, raw.headers["x-request-id"])
    with transcriptions.with_streaming_response.create(**given, stream=True) as response:
        assert response.headers["x-request-id"]
        assert list(response.iter_lines())[-2:] == ["data: [DONE]", ""]
    with pytest.raises(openai.BadRequestError) as refused:
        transcriptions.create(model="whisper-1", file=("a.wav", b"none"))
    assert refused.value.request_id

    async def use() -> tuple[str, str]:
        async with openai.AsyncOpenAI(api_key="any", base_url=f"{server.url}/v1") as client:
            whole = await client.audio.transcriptions.create(**given)
            events = [event async for event in await client.audio.transcriptions.create(**given, stream=True)]
            return whole.text, events[-1].text  # type: ignore[union-attr]

    assert asyncio.run(use()) == (TEXT, TEXT)


# -- the tables are whole -----------------------------------------------------------------------------------------


def test_every_option_of_the_sdks_has_a_row(deepgram: DeepgramClient, client: openai.OpenAI) -> None:
    """Of the installed versions: a new one that adds an option fails here until somebody decides."""
    for call, cases in (
        (deepgram.listen.v1.media.transcribe_file, FILE),
        (deepgram.listen.v1.connect, LIVE),
        (deepgram.listen.v2.connect, [({"model": "", **RAW}, SAME_TEXT), *TURNS]),
        (client.audio.transcriptions.create, TRANSCRIPTIONS),
        (client.audio.translations.create, BOTH_KINDS),
    ):
        names = set(inspect.signature(call).parameters) - NOT_OPTIONS
        assert names - {name for options, _ in cases for name in options} == set()
