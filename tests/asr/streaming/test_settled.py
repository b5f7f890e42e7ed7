"""The contract for models that know what no future audio can change (CTC): on a model that counts instead of hearing.

Unreal: each 0.2 s of an utterance is the next number, whatever its sound. A number is settled 0.4 s after its end, and
its samples are released with it. Voice activity is the real one.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from asr.config import SAMPLE_RATE_HZ, SessionSettings, StreamSettings
from asr.engine import Engine
from asr.events import Event, Final, Partial, text_of
from asr.models.base import Finality, Hypothesis, ModelMemory, Piece, Window
from tests.speech import clip, silence

WORD_SAMPLES = 3200
RIGHT_WORDS = 2


@dataclass(frozen=True, slots=True)
class Counted(ModelMemory):
    """How many numbers are settled."""

    settled: int


class Counting:
    """A recogniser that counts on from what is settled."""

    name, architecture, weights_sha256, precision = "counting", "counting", "0" * 64, "float32"
    languages: tuple[str, ...] = ()
    update_ms = 320
    finality = Finality.SETTLED

    def __init__(self) -> None:
        self.longest = 0

    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        return [self._count(window) for window in windows]

    def tokens_of(self, text: str) -> tuple[int, ...]:
        return ()

    def _count(self, window: Window) -> Hypothesis:
        self.longest = max(self.longest, len(window.samples))
        before = window.memory.settled if isinstance(window.memory, Counted) else 0
        words = len(window.samples) // WORD_SAMPLES
        settled = max(0, words - RIGHT_WORDS)
        step_s = WORD_SAMPLES / SAMPLE_RATE_HZ
        pieces = [Piece(f" {before + i}", (i,), i * step_s, (i + 1) * step_s, 1.0) for i in range(words)]
        return Hypothesis(
            tuple(pieces), "en", memory=Counted(before + settled), settled=settled, released=settled * WORD_SAMPLES
        )


def run(samples: np.ndarray, chunk: int = 1600) -> tuple[list[Event], Counting, float]:
    """All events of one stream, the recogniser, and the longest audio that the session held."""
    recogniser = Counting()
    engine, events, held_s = Engine(recogniser), [], 0.0
    session = engine.open()
    for start in range(0, len(samples), chunk):
        session.receive_audio(samples[start : start + chunk])
        while session.ready:
            engine.step([session])
        held_s = max(held_s, session.held_s)
        events += session.take_events()
    session.receive_end()
    while not session.ended:
        engine.step([session])
    return events + session.take_events(), recogniser, held_s


def utterances(events: Sequence[Event]) -> list[list[str]]:
    """The words of each utterance's finals."""
    found: list[list[str]] = [[]]
    for event in events:
        if isinstance(event, Final):
            found[-1] += event.text.split()
            if event.ends_utterance:
                found.append([])
    return found[:-1]


def speech() -> np.ndarray:
    return np.concatenate([silence(0.5), clip("quick_brown_fox"), silence(1.0), clip("counting"), silence(0.2)])


def test_settled_words_are_final_at_once_and_said_once() -> None:
    """Each utterance's finals are 0, 1, 2, ... without gap or repetition, most of them before the utterance ends."""
    events, _, _ = run(speech())
    spoken = utterances(events)
    assert len(spoken) == 2
    assert all(words == [str(i) for i in range(len(words))] and len(words) > 8 for words in spoken)
    early = [event for event in events if isinstance(event, Final) and not event.ends_utterance]
    assert sum(len(event.words) for event in early) > sum(map(len, spoken)) / 2


def test_word_times_go_on_where_samples_were_released() -> None:
    """Numbers follow each other by a fifth of a second, though their windows begin at different samples."""
    events, _, _ = run(speech())
    words = [word for event in events if isinstance(event, Final) for word in event.words]
    steps = [b.start_s - a.start_s for a, b in itertools.pairwise(words) if int(b.text) == int(a.text) + 1]
    assert steps == pytest.approx([0.2] * len(steps), abs=0.002)


def test_partials_follow_what_is_settled() -> None:
    """The tail that is shown goes on from the last final."""
    said = 0
    for event in run(speech())[0]:
        if isinstance(event, Final):
            said = 0 if event.ends_utterance else said + len(event.words)
        elif isinstance(event, Partial) and event.words:
            assert [int(word.text) for word in event.words] == list(range(said, said + len(event.words)))


def test_released_samples_are_not_seen_again() -> None:
    """Two minutes without a pause: windows stay as short as the unsettled audio, and so does what is held."""
    events, recogniser, held_s = run(np.concatenate([clip("counting")[1600:-1600]] * 30))
    assert recogniser.longest < 2 * SAMPLE_RATE_HZ
    assert held_s < 10
    assert len(utterances(events)[0]) > 100


@pytest.mark.parametrize("chunk", [160, 8000, 10**9])
def test_fed_in_pieces_equals_fed_at_once(chunk: int) -> None:
    """As for every model."""
    assert run(speech(), chunk)[0] == run(speech())[0]


def test_the_model_says_how_often_it_wants_audio() -> None:
    """Where the settings leave it open; where they do not, they are obeyed."""
    engine = Engine(Counting())
    assert engine.open().settings.stream.update_ms == 320
    assert engine.open(SessionSettings(stream=StreamSettings(update_ms=500))).settings.stream.update_ms == 500


def test_a_model_that_states_no_language_takes_any() -> None:
    """A folder of a CTC model does not say what it was trained on."""
    assert text_of(run(speech())[0])
    assert Engine(Counting()).open(language="de-AT")
