"""A scripted engine and its sessions: the contract of `server.workers.contract` in this process, without a model.

Unreal: there is no worker process, and the text depends on the length of the audio alone. Each half second, silence
too, is the next number word, and four words are an utterance. A sample of exactly `POISON` makes its step fail.
"""

import threading
import time
from collections.abc import Sequence

import numpy as np

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.errors import AudioError, ConfigError, SessionError
from asr.events import Ended, Event, Final, Partial, SpeechEnded, SpeechStarted, Word
from server.workers.messages import StreamOptions

WORD_S = 0.5
UTTERANCE_WORDS = 4
POISON = 0.125
"""Exact as float32 and as linear16."""


def words(count: int) -> str:
    """The text of the first `count` words."""
    return " ".join(f"w{i}" for i in range(count))


class ScriptedSession:
    def __init__(self, settings: SessionSettings, language: str, partials: bool) -> None:
        self.settings, self.language, self.partials = settings, language, partials
        self.received = self.settled = 0
        self.has_memory = False
        self.is_urgent = False
        self.show_s = 0.0
        self.poisoned = False
        self.ended = False
        self._said = self._shown = self._voiced = 0
        self._marks: list[int] = []
        self._ending = False
        self._events: list[Event] = []

    @property
    def received_s(self) -> float:
        return self.received / SAMPLE_RATE_HZ

    @property
    def decoded_s(self) -> float:
        return self.settled / SAMPLE_RATE_HZ

    @property
    def reached_s(self) -> float:
        return self.decoded_s

    @property
    def voiced_until_s(self) -> float:
        """Samples that are not 0 are voiced."""
        return min(self._voiced / SAMPLE_RATE_HZ, self.decoded_s)

    @property
    def lag_s(self) -> float:
        return self.received_s - self.decoded_s

    @property
    def ready_at_samples(self) -> int:
        return self.settled + round(WORD_S * SAMPLE_RATE_HZ)

    @property
    def ready(self) -> bool:
        due = self.received_s >= self.decoded_s + WORD_S or bool(self._marks) or self._ending
        return due and not self.ended

    def receive_audio(self, samples: np.ndarray) -> None:
        if self._ending:
            raise SessionError("audio after the end; wanted none")
        if not np.isfinite(samples).all():
            raise AudioError("found NaN or infinite samples; wanted finite numbers")
        self.poisoned = self.poisoned or bool((samples == POISON).any())
        if samples.any():
            self._voiced = self.received + int(samples.nonzero()[0][-1]) + 1
        self.received += len(samples)

    def receive_finalize(self) -> None:
        self._marks.append(self.received)
        self.is_urgent = True

    def receive_end(self) -> None:
        self._ending = self.is_urgent = True

    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def show_every(self, seconds: float) -> None:
        self.show_s = seconds

    def advance(self) -> None:
        """One step: at most one utterance, and no audio behind a finalize request that was not answered yet."""
        heard_s = self._marks[0] / SAMPLE_RATE_HZ if self._marks else self.received_s
        target = min(int(heard_s / WORD_S), self._said + UTTERANCE_WORDS - self._said % UTTERANCE_WORDS)
        self.settled = min(self.received, round(target * WORD_S * SAMPLE_RATE_HZ))
        if self._said % UTTERANCE_WORDS == 0 and self._shown == self._said < target:
            self._events.append(SpeechStarted(self._said * WORD_S))
        if target and target % UTTERANCE_WORDS == 0 and target > self._said:
            self._final(target, ends_utterance=True)
            self._events.append(SpeechEnded(target * WORD_S))
        elif self.partials and target > max(self._shown, self._said):
            self._events.append(Partial(self._words(self._said, target), self._said * WORD_S, target * WORD_S, "en"))
            self._shown = target
        elif self._marks:
            self._marks.pop(0)
            self._final(target, from_finalize=True)
        elif self._ending and target >= int(self.received_s / WORD_S):
            if target > self._said:
                self._final(target, ends_utterance=True)
            self.settled = self.received
            self._events.append(Ended(self.received_s))
            self.ended = True

    def _final(self, until: int, **flags: bool) -> None:
        said, self._said, self._shown = self._said, until, until
        self._events.append(Final(self._words(said, until), said * WORD_S, until * WORD_S, self.language, **flags))

    def _words(self, start: int, end: int) -> tuple[Word, ...]:
        return tuple(Word(f" w{i}", i * WORD_S, (i + 1) * WORD_S, 0.9) for i in range(start, end))


class ScriptedEngine:
    """A step takes `step_s`, and waits while `gate` is cleared."""

    name = "scripted-1"
    release = ""
    weights_sha256 = "5" * 64
    precision = "none"
    architecture = "scripted"
    languages = ("en", "ja")
    translates = True

    def __init__(self, step_s: float = 0.0) -> None:
        self.step_s = step_s
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.opened: list[ScriptedSession] = []
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        """The prompt and hotwords of each stream opened."""

    def open(self, settings: SessionSettings, options: StreamOptions) -> ScriptedSession:
        language = options.language
        if language not in (None, *self.languages):
            raise ConfigError(f"found the language {language!r}, wanted one of en, ja")
        if settings.decode.translate and not self.translates:
            raise ConfigError("model scripted-1 does not translate")
        self.asked.append((options.prompt, options.hotwords))
        self.opened.append(ScriptedSession(settings, language or "en", options.partials))
        return self.opened[-1]

    is_alive = True

    def adopt(self, session: ScriptedSession) -> None:
        """Unreal: the sessions live in this process, so none is ever lost."""

    def restart(self) -> None:
        """There is no process to replace."""

    def kill(self) -> None:
        """A step that waits at the gate ends."""
        self.gate.set()

    def close(self) -> None:
        """There is no process to end."""

    def step(self, sessions: Sequence[ScriptedSession]) -> bool:
        self.gate.wait(30)
        time.sleep(self.step_s)
        self.batches.append(len(sessions))
        if any(session.poisoned for session in sessions):
            raise RuntimeError("the scripted model met the poison")
        for session in sessions:
            session.advance()
        return False
