"""The events that a session emits. All times are audio time: seconds since the session's first sample."""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the model wrote it; ``confidence`` from 0 to 1.

    ``text`` includes the space before the word, in languages that write spaces (Chinese and Japanese do not). So
    ``"".join(word.text for word in words)`` is the text.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at ``at_s``."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Partial:
    """The words after the last final, as they are now. Replaces the previous partial; may be empty."""

    words: tuple[Word, ...]
    start_s: float
    end_s: float
    language: str

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Final:
    """Newly committed words. They never change; all finals in order are the transcript.

    ``ends_utterance``: the last final of an utterance; without words if all were committed before.
    ``from_finalize``: the answer to `Session.receive_finalize`.
    """

    words: tuple[Word, ...]
    start_s: float
    end_s: float
    language: str
    ends_utterance: bool = False
    from_finalize: bool = False

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Speech ended at ``at_s``. The utterance's last final is the event before."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of the session, after ``duration_s`` of audio. The last event."""

    duration_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The numbers of an utterance, after its last final. Only sessions that were asked for them emit it.

    ``utterance`` counts from 0. ``audio_s``: its length. ``words``: how many were committed in it. ``numbers``: in the
    order of `asr.vitals.NAMES`, NaN where one is unknown.
    """

    utterance: int
    audio_s: float
    language: str
    words: int
    numbers: tuple[float, ...]


Event = SpeechStarted | Partial | Final | SpeechEnded | Ended | Measured


def shifted_words(words: Iterable[Word], by_s: float) -> tuple[Word, ...]:
    """The words in a time that began `by_s` seconds earlier."""
    return tuple(replace(word, start_s=word.start_s + by_s, end_s=word.end_s + by_s) for word in words)


def shifted(event: Event, by_s: float) -> Event:
    """The event in a time that began `by_s` seconds earlier. A length of time, as that of `Ended`, stays."""
    if isinstance(event, SpeechStarted | SpeechEnded):
        return replace(event, at_s=event.at_s + by_s)
    if isinstance(event, Partial | Final):
        words = shifted_words(event.words, by_s)
        return replace(event, words=words, start_s=event.start_s + by_s, end_s=event.end_s + by_s)
    return event


def text_of(events: "list[Event]") -> str:
    """The transcript in a list of events: the words of all finals joined, without outer spaces."""
    return "".join(event.text for event in events if isinstance(event, Final)).strip()
