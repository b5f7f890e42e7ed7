"""Deepgram's `POST /v1/listen` for a whole recording, without I/O: query -> options, transcripts -> response body.

Specification: https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from asr.audio.streams import AUTO, ENCODINGS
from asr.errors import CallerError
from asr.events import Word
from asr.languages import language_code
from asr.transcripts.formats import Transcript, ends_sentence
from server.wires.deepgram_messages import ModelInfo, mean_confidence, rounded, timestamp, word_fields
from server.wires.deepgram_query import (
    HINTS,
    IGNORED,
    LABELS,
    PARAMETERS,
    RESUMING,
    UNSUPPORTED,
    ParameterError,
    Parameters,
    check_together,
    label_fields,
    parse_flag,
    parse_name,
)
from server.wires.numbers import decimal_number

UTTERANCE_SPLIT_S = 0.8
"""Deepgram's default of `utt_split`."""
PARAGRAPH_PAUSE_S = 1.5
PARAGRAPH_SENTENCES = 5
"""A paragraph ends with a pause this long, or with its fifth sentence."""


class BodyError(CallerError):
    """A request's body that is no recording and no address of one; HTTP 400."""


@dataclass(frozen=True, slots=True)
class PrerecordedOptions:
    """What a client asks for. None means the server's default."""

    encoding: str = AUTO
    """`AUTO`: any recording. Otherwise raw samples, with `sample_rate` and `channels`."""
    sample_rate: int | None = None
    channels: int = 1
    model: str | None = None
    language: str | None = None
    detect_language: tuple[str, ...] = ()
    """Languages it may be in; "multi" is any, "" none."""
    language_hint: tuple[str, ...] = ()
    """As `detect_language`, but the answer does not name the language."""
    prompt: str = ""
    hotwords: tuple[str, ...] = ()
    multichannel: bool = False
    """Whether each channel is recognised alone; otherwise they are mixed down."""
    utterances: bool = False
    utt_split: float = UTTERANCE_SPLIT_S
    """Seconds without a word between two utterances."""
    paragraphs: bool = False
    smart_format: bool = False
    extra: tuple[tuple[str, str], ...] = ()
    """Keys and values for the answer's ``metadata``."""
    tag: tuple[str, ...] = ()
    """Labels for its ``tags``."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Those the recording may be in; any, if none is given."""
        candidates = tuple(name for name in self.detect_language if name) or self.language_hint
        return (self.language,) if self.language else candidates

    @property
    def names_language(self) -> bool:
        """Whether the answer names the language that was detected."""
        return any(self.detect_language)


def _split(name: str, value: str) -> float:
    seconds = decimal_number(value, 0, 60)
    if not seconds:
        raise ParameterError(f"{name}: found {value[:100]!r}, wanted seconds above 0, up to 60")
    return seconds


PRERECORDED_PARAMETERS = {
    name: PARAMETERS[name]
    for name in ("encoding", "sample_rate", "channels", "model", "language", "prompt", "multichannel")
} | {"utterances": parse_flag, "utt_split": _split, "paragraphs": parse_flag, "smart_format": parse_flag}

LIVE_ONLY = ("interim_results", "endpointing", "utterance_end_ms", "vad_events")
PRERECORDED_IGNORED = tuple(name for name in IGNORED if name != "smart_format") + LIVE_ONLY
PRERECORDED_UNSUPPORTED = (*UNSUPPORTED, *RESUMING)


def _candidate(name: str, value: str) -> str:
    """Of `detect_language`: a switch, or a language that it may be."""
    if value.lower() in ("true", "1"):
        return "multi"
    return "" if value.lower() in ("false", "0") else parse_name(name, value)


_PARAMETERS = Parameters(
    PRERECORDED_PARAMETERS,
    PRERECORDED_IGNORED,
    PRERECORDED_UNSUPPORTED,
    repeated=HINTS | LABELS | {"detect_language": _candidate},
)


def parse_prerecorded(items: Iterable[tuple[str, str]]) -> PrerecordedOptions:
    """The options of a query's decoded pairs. Raises `ParameterError` for the first that is wrong."""
    options = PrerecordedOptions(**_PARAMETERS.parse(items))
    if ENCODINGS[options.encoding].is_packets:
        raise ParameterError(f"encoding={options.encoding} is single packets; send a recording, such as Ogg with Opus")
    check_together(options)
    return options


def address_in(body: bytes) -> str:
    """The address of the recording in a JSON body. Raises `BodyError`."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise BodyError('found a body that is no JSON, wanted {"url": ...}, or a recording\'s bytes') from None
    url = message.get("url") if isinstance(message, dict) else None
    if not isinstance(url, str):
        raise BodyError('found JSON without "url", wanted {"url": ...}, or a recording\'s bytes as audio/*')
    return url


# -- the response ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recognised recording: a transcript for each channel, or one of all of them mixed down."""

    channels: Sequence[Transcript]
    audio_sha256: str
    model: ModelInfo
    request_id: str


def response_body(recorded: Recorded, options: PrerecordedOptions) -> dict[str, Any]:
    """The response in the form of `deepgram/types/listen_v1response.py` of Deepgram's SDK."""
    results: dict[str, Any] = {"channels": [_channel(transcript, options) for transcript in recorded.channels]}
    if options.utterances:
        results["utterances"] = _utterances(recorded.channels, options.utt_split)
    model = recorded.model
    metadata = {
        "transaction_key": "deprecated",
        "request_id": recorded.request_id,
        "sha256": recorded.audio_sha256,
        "created": timestamp(),
        "duration": rounded(max(transcript.duration_s for transcript in recorded.channels)),
        "channels": len(recorded.channels),
        "models": [model.uuid],
        "model_info": {model.uuid: model.fields},
        **model.identity,
        **label_fields(options),
    }
    return {"metadata": metadata, "results": results}


def _channel(transcript: Transcript, options: PrerecordedOptions) -> dict[str, Any]:
    words = _words(transcript)
    alternative: dict[str, Any] = {
        "transcript": transcript.text,
        "confidence": mean_confidence(words),
        "words": [word_fields(word) for word in words],
        **({"languages": [transcript.language]} if transcript.language else {}),
    }
    if options.paragraphs or options.smart_format:
        alternative["paragraphs"] = _paragraphs(words)
    channel: dict[str, Any] = {"alternatives": [alternative]}
    if options.names_language and transcript.language:
        channel |= {"detected_language": language_code(transcript.language)}
    return channel


def _words(transcript: Transcript) -> list[Word]:
    return [word for segment in transcript.segments for word in segment.words]


def _utterances(channels: Sequence[Transcript], split_s: float) -> list[dict[str, Any]]:
    """Words without a pause of `split_s` between them, of all channels, by their start."""
    utterances = [
        {
            **_span(words),
            "confidence": mean_confidence(words),
            "channel": index,
            "transcript": _text(words),
            "words": [word_fields(word) for word in words],
            "id": str(uuid.uuid4()),
        }
        for index, transcript in enumerate(channels)
        for words in _split_at_pauses(_words(transcript), split_s)
    ]
    return sorted(utterances, key=lambda utterance: (utterance["start"], utterance["channel"]))


def _split_at_pauses(words: Sequence[Word], pause_s: float) -> Iterator[list[Word]]:
    part: list[Word] = []
    for spoken in words:
        if part and spoken.start_s - part[-1].end_s >= pause_s:
            yield part
            part = []
        part.append(spoken)
    if part:
        yield part


def _paragraphs(words: Sequence[Word]) -> dict[str, Any]:
    paragraphs, texts = [], []
    for between_pauses in _split_at_pauses(words, PARAGRAPH_PAUSE_S):
        sentences = list(_sentences(between_pauses))
        for start in range(0, len(sentences), PARAGRAPH_SENTENCES):
            part = sentences[start : start + PARAGRAPH_SENTENCES]
            within = [word for sentence in part for word in sentence]
            written = [{"text": _text(sentence), **_span(sentence)} for sentence in part]
            paragraphs.append({"sentences": written, "num_words": len(within), **_span(within)})
            texts.append(_text(within))
    return {"transcript": "\n\n".join(texts), "paragraphs": paragraphs}


def _sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for spoken in words:
        sentence.append(spoken)
        if ends_sentence(spoken.text):
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _span(words: Sequence[Word]) -> dict[str, Any]:
    return {"start": rounded(words[0].start_s), "end": rounded(words[-1].end_s)}


def _text(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words).strip()
