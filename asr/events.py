"""What a session says, as frozen values. All times are audio time in seconds since the session's first sample."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One word as written by the model.

    ``text`` keeps what joins it to its left neighbour (a leading space in languages that write spaces, none in
    Chinese or Japanese), so ``"".join(word.text for word in words)`` is the text.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Voice activity began at ``at_s``."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Partial:
    """The changing tail after the last final: replaces the previous partial, may be empty."""

    words: tuple[Word, ...]
    start_s: float
    end_s: float
    language: str

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Final:
    """Newly committed words. Never taken back; together, in order, all finals are the transcript.

    ``ends_utterance`` marks the last final of an utterance (it may hold no words when all were committed before);
    ``from_finalize`` one that `Session.receive_finalize` asked for.
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
    """Voice activity ended at ``at_s``; the utterance's last final came just before."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over after ``duration_s`` of audio; nothing follows."""

    duration_s: float


Event = SpeechStarted | Partial | Final | SpeechEnded | Ended


def text_of(events: "list[Event]") -> str:
    """The committed transcript of a list of events: the finals' words joined, without outer spaces."""
    return "".join(event.text for event in events if isinstance(event, Final)).strip()
