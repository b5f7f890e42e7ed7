"""The contract for models that know which words can no longer change (CTC), on a model that only counts (`Counting`).

Voice activity is the real one.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from asr.config import SAMPLE_RATE_HZ, SessionSettings, StreamSettings
from asr.engine import Engine
from asr.errors import ConfigError
from asr.events import Event, Final, Partial, text_of
from tests.asr.streaming.scripted import Counting
from tests.speech import clip, silence


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
    spoken: list[list[str]] = [[]]
    for event in events:
        if isinstance(event, Final):
            spoken[-1] += event.text.split()
            if event.ends_utterance:
                spoken.append([])
    return spoken[:-1]


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
    assert len(steps) == len(words) - 2, "every number but the first of each of two utterances follows another"
    assert len(steps) > 16
    assert steps == pytest.approx([0.2] * len(steps), abs=0.002)


def test_partials_follow_what_is_settled() -> None:
    """The tail that is shown goes on from the last final."""
    committed, tails, expected = 0, [], []
    for event in run(speech())[0]:
        if isinstance(event, Final):
            committed = 0 if event.ends_utterance else committed + len(event.words)
        elif isinstance(event, Partial) and event.words:
            tails.append([int(word.text) for word in event.words])
            expected.append(list(range(committed, committed + len(event.words))))
    assert tails == expected
    assert len(tails) > 8
    assert max(tail[0] for tail in tails) > 4


@pytest.mark.slow
def test_released_samples_are_not_seen_again() -> None:
    """Two minutes without a pause: windows stay as short as the unsettled audio, and so does what is held."""
    events, recogniser, held_s = run(np.concatenate([clip("counting")[1600:-1600]] * 30))
    assert recogniser.longest < 2 * SAMPLE_RATE_HZ
    assert held_s < 10
    assert len(utterances(events)[0]) > 100


@pytest.mark.slow
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


def test_a_model_takes_a_language_by_any_of_its_names() -> None:
    """It sees its own code: live, uploads, files, folders and training all ask the engine."""
    model = Counting()
    model.languages = ("en", "jw")
    engine = Engine(model)
    assert [engine.language_code(name) for name in ("English", "eng", "en_GB", "jv", "auto")] == [
        "en", "en", "en", "jw", None,
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="counting does not know language 'German'; it knows en, jw"):
        engine.open(language="German")
    with pytest.raises(ConfigError, match="found language 'klingon', wanted a code"):
        engine.open(language="klingon")
