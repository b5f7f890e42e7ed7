"""Traces, recordings of silence and a scripted engine, for the evaluation's tests."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.events import Ended, Event, Final, Partial, Word
from eval.data.types import Clip, Recording, Utterance
from eval.trace import Entry, Span, Trace


def word(text: str, start_s: float = 0.0, end_s: float = 0.0) -> Word:
    """A word with a leading space, as models write it."""
    return Word(" " + text, start_s, end_s, 0.9)


def partial(wall_s: float, *words: str, start_s: float = 0.0) -> Entry:
    """A partial at this time; its words last 0.1 s each, from `start_s` on."""
    placed = tuple(word(text, start_s + i / 10, start_s + (i + 1) / 10) for i, text in enumerate(words))
    return Entry(Partial(placed, start_s, start_s + len(words) / 10, "en"), wall_s, wall_s)


def final(wall_s: float, *words: Word, ends: bool = False) -> Entry:
    """A final at this time; with ``ends`` the last one of its utterance."""
    end_s = words[-1].end_s if words else 0.0
    return Entry(Final(words, words[0].start_s if words else 0.0, end_s, "en", ends), wall_s, wall_s)


def final_at(word: Word, audio_s: float, wall_s: float) -> Entry:
    """One word that is final at these times of the two clocks."""
    return Entry(Final((word,), word.start_s, word.end_s, "en"), audio_s, wall_s)


def trace(*entries: Entry, reference: str = "", mode: str = "replay", utterance: str = "u", **fields: object) -> Trace:
    """A trace of these entries; 10 s of English unless the fields say otherwise."""
    defaults = {"dataset": "d", "model": "m", "language": "en", "duration_s": 10.0, "end_wall_s": 10.0} | fields
    return Trace(utterance=utterance, mode=mode, reference=reference, entries=entries, **defaults)  # type: ignore[arg-type]


def said(text: str, **fields: object) -> Trace:
    """A trace that committed this text."""
    words = tuple(word(part, i, i + 1) for i, part in enumerate(text.split()))
    return trace(final(9.0, *words), **fields)  # type: ignore[arg-type]


def recording(seconds: float, text: str = "red green blue", language: str = "en", name: str = "u") -> Recording:
    """A recording of silence with this label."""
    clip = Clip(Path(f"{name}.wav"), text, seconds)
    samples = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    return Recording(Utterance(name, "d", (clip,), language), samples, (Span(text, 0.0, seconds),), ())


def spoken_noise(seconds: float, level_db: float = -15.0) -> np.ndarray:
    """Noise that is loud and soft in turns, as syllables are: 80 ms loud, 40 ms 25 dB softer; loud at both ends."""
    count = round(seconds * SAMPLE_RATE_HZ)
    phase = np.arange(count) % 1920
    loud = (phase < 1280) | (np.arange(count) >= count - 1280)
    noise = np.random.default_rng(1).standard_normal(count)
    samples: np.ndarray = noise * 10 ** ((level_db - np.where(loud, 0.0, 25.0)) / 20)
    return samples.astype(np.float32)


def spoken(before_s: float, speech_s: float, after_s: float, name: str = "u", text: str = "red green") -> Recording:
    """A recording of noise that only its energy calls speech, with digital silence around it."""
    silences = [np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32) for seconds in (before_s, after_s)]
    samples = np.concatenate([silences[0], spoken_noise(speech_s), silences[1]])
    return replace(recording(len(samples) / SAMPLE_RATE_HZ, text, name=name), samples=samples)


@dataclass
class ScriptedSession:
    """Keeps the contract of `asr.streaming.session.Session`.

    Unreal: it knows its words beforehand and ignores the audio. Every half second it shows
    the words that have ended, and commits those that ended a second ago.
    """

    script: tuple[Word, ...]
    partials: bool
    samples: int = 0
    stepped: int = 0
    committed: int = 0
    ending: bool = False
    ended: bool = False
    events: list[Event] = field(default_factory=list)

    UPDATE = SAMPLE_RATE_HZ // 2

    @property
    def received_s(self) -> float:
        return self.samples / SAMPLE_RATE_HZ

    @property
    def ready(self) -> bool:
        return self.samples - self.stepped >= self.UPDATE or (self.ending and not self.ended)

    def receive_audio(self, samples: np.ndarray) -> None:
        self.samples += len(samples)

    def receive_end(self) -> None:
        self.ending = True

    def take_events(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def step(self) -> None:
        if self.samples - self.stepped >= self.UPDATE:
            self.stepped += self.UPDATE
            self._update(self.stepped / SAMPLE_RATE_HZ)
            return
        self._commit(len(self.script), ends=True)
        self.events.append(Ended(self.received_s))
        self.ended = True

    def _update(self, now_s: float) -> None:
        self._commit(sum(w.end_s <= now_s - 1 for w in self.script))
        tail = tuple(w for w in self.script[self.committed :] if w.end_s <= now_s)
        if self.partials:
            self.events.append(Partial(tail, now_s, now_s, "en"))

    def _commit(self, count: int, ends: bool = False) -> None:
        words = self.script[self.committed : count]
        if words or ends:
            self.committed = count
            self.events.append(Final(words, 0.0, words[-1].end_s if words else 0.0, "en", ends))


@dataclass
class ScriptedEngine:
    """Keeps the contract of `asr.engine.Engine` for one session; a step takes `step_s` on its own clock.

    Unreal: there is no model, and its clock moves only with steps.
    """

    script: tuple[Word, ...] = (word("red", 0.1, 0.4), word("green", 0.6, 0.9), word("blue", 1.1, 1.4))
    step_s: float = 0.25
    clock_s: float = 0.0
    opened: list[dict[str, object]] = field(default_factory=list)
    name: str = "scripted"
    weights_sha256: str = "0" * 64
    precision: str = "none"
    languages: tuple[str, ...] = ()

    def open(
        self, settings: object = None, *, language: str | None = None, prompt: str = "", partials: bool = True
    ) -> ScriptedSession:
        self.opened.append({"settings": settings, "language": language, "partials": partials})
        return ScriptedSession(self.script, partials)

    def step(self, sessions: list[ScriptedSession]) -> None:
        self.clock_s += self.step_s
        for session in sessions:
            session.step()

    def timer(self) -> float:
        return self.clock_s
