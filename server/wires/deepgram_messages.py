"""What Deepgram's live wire sends: a session's events -> messages as dictionaries, numbered. Pure but for a timestamp.

    sender.results(events, progress)        after every step
    sender.error(...) or sender.metadata(...)   once, last

Forms are those of the models in Deepgram's SDK (`deepgram/listen/v1/types`); our own fields are added. In words:
docs/PROTOCOL.md.
"""

import string
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Protocol

from asr.events import Event, Final, Partial, SpeechEnded, SpeechStarted, Word, shifted
from server.wires.base import Progress, Summary, says_something
from server.wires.deepgram_query import ListenOptions, extra_fields, label_fields

WORDS_END_EARLY_S = 0.3
"""A voice that goes on for longer after a word belongs to another word: times of words are not exact."""

SPEECH_IS_NOTICED_S = 1.0
"""Speech is noticed at most so long after it began, its lead included (`asr.config.VadSettings`)."""


class ServedModel(Protocol):
    """What is reported of an engine."""

    @property
    def name(self) -> str: ...
    @property
    def weights_sha256(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def release(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that serves the stream."""

    name: str
    weights_sha256: str
    architecture: str = "whisper"
    release: str = ""
    """`NAME/7`; "" for a model that is no release of a ledger."""

    @classmethod
    def of(cls, engine: ServedModel) -> "ModelInfo":
        """The model of an engine."""
        return cls(engine.name, engine.weights_sha256, engine.architecture, engine.release)

    @property
    def identity(self) -> dict[str, str]:
        """Our own fields of a message: which weights gave these words."""
        return {"weights_sha256": self.weights_sha256, **({"release": self.release} if self.release else {})}

    @property
    def uuid(self) -> str:
        """Deepgram's clients expect one; it is derived from the weights."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.weights_sha256))

    @property
    def fields(self) -> dict[str, str]:
        """The ``model_info`` of a message."""
        return {"name": self.name, "version": self.weights_sha256[:12], "arch": self.architecture}


class Sender:
    """Makes the messages of one connection, or of one of its channels.

    `channel` is its index and their number. Senders of one connection share the `sequence`, which numbers messages.
    """

    def __init__(
        self,
        options: ListenOptions,
        model: ModelInfo,
        request_id: str,
        *,
        channel: tuple[int, int] = (0, 1),
        sequence: "count[int] | None" = None,
    ) -> None:
        self._options = options
        self._model = model
        self._request_id = request_id
        self._channel = list(channel)
        self._sequence = sequence or count(1)
        self._created = timestamp()
        self._last_word_end_s: float | None = None
        self._voiced_until_s = 0.0
        self._utterance_ended_s = 0.0
        self._in_utterance = False
        self._language = ""
        self._settled_s = options.offset

    @property
    def settled_s(self) -> float:
        """Up to here nothing follows: every utterance that began before is final."""
        return self._settled_s

    def results(self, events: Iterable[Event], progress: Progress) -> Iterator[dict[str, Any]]:
        """The messages for a session's events."""
        offset_s = self._options.offset
        for event in (shifted(event, offset_s) for event in events):
            if isinstance(event, SpeechStarted):
                yield from self._speech_started(event.at_s)
            elif isinstance(event, SpeechEnded):
                self._in_utterance, self._voiced_until_s = False, max(event.at_s, self._voiced_until_s)
            elif isinstance(event, Partial | Final):
                yield from self._text(event, progress.lag_s)
        decoded_s = offset_s + progress.decoded_s
        self._voiced_until_s = max(offset_s + progress.voiced_until_s, self._voiced_until_s)
        if not self._in_utterance:
            self._settled_s = max(self._settled_s, decoded_s - SPEECH_IS_NOTICED_S)
        if not self._awaits_words():
            yield from self._utterance_end(decoded_s)

    def metadata(self, summary: Summary) -> dict[str, Any]:
        """The summary: the last message of a stream that ends well."""
        return self._message(
            "Metadata",
            transaction_key="deprecated",
            request_id=self._request_id,
            sha256=summary.audio_sha256,
            created=self._created,
            duration=rounded(summary.received_s),
            channels=self._channel[1],
            models=[self._model.uuid],
            model_info={self._model.uuid: self._model.fields},
            **self._model.identity,
            lag_s=rounded(summary.lag_s),
            **label_fields(self._options),
            **({"notices": list(summary.notices)} if summary.notices else {}),
        )

    def configured(self, message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The answer to `Configure`: what formats the text is ignored as in the query, and words cannot be changed."""
        if message.get("keyterms") is None:
            yield self._message("ConfigureSuccess", request_id=self._request_id)
            return
        description = "keyterms cannot change within a stream; give them as keyterm when another one is opened"
        code = "CONFIGURE_KEYTERMS_NOT_SUPPORTED"
        yield self._message("ConfigureFailure", request_id=self._request_id, code=code, description=description)

    def error(self, variant: str, description: str) -> dict[str, Any]:
        """Why the stream ends early: the last message."""
        return self._message(
            "Error", variant=variant, description=description, message=description, request_id=self._request_id
        )

    def _awaits_words(self) -> bool:
        """Whether speech after the last word is still to be reported: without interim results it comes as a final."""
        if self._options.interim_results or not self._in_utterance:
            return False
        return self._voiced_until_s > (self._last_word_end_s or 0.0) + WORDS_END_EARLY_S

    def _speech_started(self, at_s: float) -> Iterator[dict[str, Any]]:
        yield from self._utterance_end(at_s)
        self._in_utterance, self._voiced_until_s = True, max(at_s, self._voiced_until_s)
        if self._options.vad_events:
            yield self._message("SpeechStarted", channel=self._channel, timestamp=at_s)

    def _text(self, event: Partial | Final, lag_s: float) -> Iterator[dict[str, Any]]:
        wanted = self._options.interim_results if isinstance(event, Partial) else says_something(event)
        if not wanted:
            return
        if event.words:
            yield from self._utterance_end(event.words[0].start_s)
            if event.words[-1].end_s > self._utterance_ended_s:  # not the final of words that were reported before
                self._last_word_end_s = event.words[-1].end_s
        self._language = event.language or self._language
        if isinstance(event, Final) and event.ends_utterance:
            self._settled_s = max(self._settled_s, event.end_s)
        yield self._results(event, lag_s)

    def _results(self, event: Partial | Final, lag_s: float) -> dict[str, Any]:
        final = event if isinstance(event, Final) else None
        return self._message(
            "Results",
            channel_index=self._channel,
            start=rounded(event.start_s),
            duration=rounded(event.end_s - event.start_s),
            is_final=final is not None,
            speech_final=final is not None and final.ends_utterance,
            from_finalize=final is not None and final.from_finalize,
            channel={"alternatives": [_alternative(event, self._language)]},
            metadata={
                "request_id": self._request_id,
                "model_info": self._model.fields,
                "model_uuid": self._model.uuid,
                **self._model.identity,
                **extra_fields(self._options),
            },
            lag_s=rounded(lag_s),
        )

    def _utterance_end(self, now_s: float) -> Iterator[dict[str, Any]]:
        """Once after each run of words, when neither word nor voice has followed for `utterance_end_ms` of audio.

        Words alone do not say that speech goes on: they come later than their sound, and some sounds have none.
        """
        last, gap_ms = self._last_word_end_s, self._options.utterance_end_ms
        if last is None or gap_ms is None:
            return
        if now_s - max(last, self._voiced_until_s) >= gap_ms / 1000:
            self._last_word_end_s, self._utterance_ended_s = None, now_s
            yield self._message("UtteranceEnd", channel=self._channel, last_word_end=rounded(last))

    def _message(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "sequence": next(self._sequence), **fields}


def timestamp() -> str:
    """Now, as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def mean_confidence(words: Sequence[Word]) -> float:
    """0 without words."""
    return round(sum(word.confidence for word in words) / len(words), 4) if words else 0.0


def _alternative(event: Partial | Final, language: str) -> dict[str, Any]:
    """``languages`` is never empty, since clients take its first. It is left out until a language is known."""
    return {
        "transcript": event.text.strip(),
        "confidence": mean_confidence(event.words),
        "words": [word_fields(word) for word in event.words],
        **({"languages": [language]} if language else {}),
        "text": event.text,
    }


def word_fields(word: Word) -> dict[str, Any]:
    """One word in Deepgram's form."""
    written = word.text.strip()
    return {
        "word": written.strip(string.punctuation).lower() or written,
        "start": rounded(word.start_s),
        "end": rounded(word.end_s),
        "confidence": round(word.confidence, 4),
        "punctuated_word": written,
    }


def rounded(seconds: float) -> float:
    """Seconds to the millisecond."""
    return round(seconds, 3)
