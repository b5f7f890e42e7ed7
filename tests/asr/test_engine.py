"""The four properties of the core, on the real default model: a stream's words depend on its audio and nothing else."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from asr.config import SessionSettings, StreamSettings
from asr.engine import Engine
from asr.errors import ConfigError
from asr.events import Ended, Event, Final, Partial, SpeechEnded, SpeechStarted, text_of
from asr.models.base import Window
from asr.streaming.session import Session
from asr.transcripts.recording import offline_settings, transcribe, translating
from tests import properties
from tests.properties import finish
from tests.speech import RATE_HZ, SPEECH_WORDS, clip, silence, speech

pytestmark = pytest.mark.model

UPDATES_OFTEN = SessionSettings(stream=StreamSettings(update_ms=400, holdback_ms=400))


@pytest.fixture(scope="module")
def engine(whisper_tiny: Engine) -> Engine:
    return whisper_tiny


@pytest.fixture(scope="module")
def multilingual(whisper_base: Engine) -> Engine:
    return whisper_base


def run(engine: Engine, samples: np.ndarray, chunk: int = 1600, session: Session | None = None) -> list[Event]:
    """All events of one stream, fed in chunks."""
    return properties.run(engine, samples, session or engine.open(UPDATES_OFTEN), chunk)


def bare_words(text: str) -> str:
    """Lower case, digits spelled, no punctuation."""
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    text = re.sub(r"\d+", lambda match: names[int(match[0])], text.casefold())
    return " ".join(re.findall(r"[a-z]+", text))


def test_real_speech_becomes_its_words(engine: Engine) -> None:
    """The recording's own text comes out, and the last words are there."""
    assert bare_words(text_of(run(engine, speech()))) == SPEECH_WORDS


@pytest.mark.parametrize("chunk", [160, 1601, 8000, 10**9])
def test_fed_in_pieces_equals_fed_at_once(engine: Engine, chunk: int) -> None:
    """However the audio was cut."""
    properties.fed_in_pieces_equals_fed_at_once(engine, lambda: engine.open(UPDATES_OFTEN), chunk)


def test_random_pieces_equal_fed_at_once(engine: Engine) -> None:
    """Pieces of every length, empty ones too; steps taken late."""
    rng = np.random.default_rng(7)
    samples, session, events = speech(), engine.open(UPDATES_OFTEN), []
    cuts = sorted(rng.integers(0, len(samples), 60).tolist())
    for start, end in zip([0, *cuts], [*cuts, len(samples)], strict=True):
        session.receive_audio(samples[start:end])
        for _ in range(int(rng.integers(0, 3))):
            engine.step([session])
        events += session.take_events()
    assert events + finish(engine, session) == run(engine, speech())


@pytest.mark.parametrize("intervals_s", [(0.256,), (0.256, 0.256, 0.0, 0.5, 0.0, 0.0)], ids=["idle", "changing"])
def test_the_load_changes_what_is_shown_and_nothing_that_is_final(
    engine: Engine, intervals_s: tuple[float, ...]
) -> None:
    """Early windows, at an interval that changes within the stream, and a finalize request in it: the same finals."""

    def finals(intervals_s: tuple[float, ...]) -> tuple[list[Event], int]:
        session, samples, events = engine.open(), speech(), []
        for i, start in enumerate(range(0, len(samples), 1600)):
            session.show_every(intervals_s[i % len(intervals_s)])
            session.receive_audio(samples[start : start + 1600])
            if i == 40:
                session.receive_finalize()
            while session.ready:
                engine.step([session])
            events += session.take_events()
        events += finish(engine, session)
        partials = sum(isinstance(event, Partial) for event in events)
        return [event for event in events if not isinstance(event, Partial)], partials

    without, few = finals((0.0,))
    early, many = finals(intervals_s)
    assert early == without
    assert many > few


@pytest.mark.slow
def test_batched_equals_alone(engine: Engine) -> None:
    """To the last bit of their text."""
    properties.batched_equals_alone(engine, lambda: engine.open(UPDATES_OFTEN))


def test_committed_text_is_never_taken_back(engine: Engine) -> None:
    """With an update every 0.4 s partials change often."""
    properties.committed_text_is_never_taken_back(run(engine, speech()))


def test_finals_hold_whole_words(engine: Engine) -> None:
    """Also where the owner finalizes in the middle of a word: the rest is another word."""
    properties.finals_hold_whole_words(run(engine, speech()))
    session, samples = engine.open(), speech()
    for start in range(0, len(samples), RATE_HZ // 2):
        session.receive_audio(samples[start : start + RATE_HZ // 2])
        session.receive_finalize()
    properties.finals_hold_whole_words(finish(engine, session))


def test_events_come_in_their_order(engine: Engine) -> None:
    """Started, words, the utterance's last final, ended: for each utterance; then the end of the stream."""
    kinds = [
        type(event) for event in run(engine, speech()) if not (isinstance(event, Final) and not event.ends_utterance)
    ]
    outline = [kind for kind in kinds if kind is not Partial]
    utterances = (len(outline) - 1) // 3
    assert utterances >= 2
    assert outline == [SpeechStarted, Final, SpeechEnded] * utterances + [Ended]


@pytest.mark.parametrize("level", [0.0, 0.01, 0.2])
def test_silence_and_noise_give_no_words(engine: Engine, level: float) -> None:
    """Half a minute without speech: no word, no utterance."""
    rng = np.random.default_rng(1)
    samples = (level * rng.standard_normal(30 * RATE_HZ)).astype(np.float32)
    assert text_of(run(engine, samples, 16000)) == ""


def test_a_step_that_fails_loses_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the model call raises, the sessions are as before it, and stepping on gives the undisturbed events."""
    recognise = engine.recogniser.recognise
    failures = iter([True, False] * 1000)

    def flaky(windows: list[Window]) -> object:
        if next(failures):
            raise RuntimeError("the model call broke (made by the test)")
        return recognise(windows)

    undisturbed = run(engine, speech())
    monkeypatch.setattr(engine.recogniser, "recognise", flaky)
    session, events = engine.open(UPDATES_OFTEN), []
    for _ in _steps(engine, session, speech()):
        events += session.take_events()
    assert events == undisturbed


def _steps(engine: Engine, session: Session, samples: np.ndarray) -> Iterator[None]:
    session.receive_audio(samples)
    session.receive_end()
    while not session.ended:
        try:
            engine.step([session])
        except RuntimeError:
            continue
        yield


def test_finalize_commits_all_words_up_to_now(engine: Engine) -> None:
    """In the middle of speech all words up to now become final immediately, and the others follow."""
    session = engine.open(UPDATES_OFTEN)
    samples = speech()
    session.receive_audio(samples[: 5 * RATE_HZ])
    session.receive_finalize()
    while session.ready:
        engine.step([session])
    events = session.take_events()
    assert [event.from_finalize for event in events if isinstance(event, Final)][-1]
    assert "lazy dog" in text_of(events)
    events += run(engine, samples[5 * RATE_HZ :], session=session)
    assert text_of(events).casefold().rstrip(".!").endswith("hello world")


def test_nothing_is_invented_after_finalize(engine: Engine) -> None:
    """Finalize just behind the last word, then silence, then the end: the words once, and no other."""
    session = engine.open(UPDATES_OFTEN)
    session.receive_audio(np.concatenate([silence(0.3), clip("hello_world")]))
    session.receive_finalize()
    session.receive_audio(silence(0.3))
    assert bare_words(text_of(finish(engine, session))) == "hello world"


@pytest.mark.slow
def test_a_long_utterance_without_pause_keeps_its_memory_flat(engine: Engine) -> None:
    """Two minutes of words without a pause long enough to end an utterance: neither audio nor text piles up."""
    part = np.concatenate([clip("counting")[1600:-1600], clip("quick_brown_fox")[1600:-1600]])
    session, held = engine.open(), []
    for _ in range(22):
        session.receive_audio(part)
        while session.ready:
            engine.step([session])
        session.take_events()
        held.append(session.held_s)
    assert session.received_s > 110
    assert max(held[11:]) < 25


def test_an_unknown_language_is_refused_by_name(engine: Engine) -> None:
    """The error names the language and those that the model knows; regions are accepted."""
    with pytest.raises(ConfigError, match=r"'tlh'.*en"):
        engine.open(language="tlh")
    assert engine.open(language="en-US")


def test_a_translation_is_english_in_a_file_and_in_steps(multilingual: Engine, engine: Engine) -> None:
    """A Spanish count, whose language is reported; a model of English alone refuses."""
    settings = translating(offline_settings())
    samples = clip("conteo", "es")
    transcript = transcribe(samples, multilingual, settings=settings)
    assert bare_words(transcript.text) == "one two three four five six seven eight nine ten"
    assert transcript.language == "es"
    events = properties.run(multilingual, samples, multilingual.open(settings, partials=False))
    assert text_of(events) == transcript.text
    with pytest.raises(ConfigError, match=r"model whisper-tiny\.en does not translate"):
        engine.open(settings)


def test_a_prompt_of_any_length_leaves_room_for_the_text(engine: Engine) -> None:
    """Only the end of a long prompt is used."""
    session = engine.open(prompt="Colourless green ideas sleep furiously, said the linguist. " * 200)
    assert "fox" in text_of(run(engine, clip("quick_brown_fox"), session=session))


@pytest.mark.parametrize(("language", "name"), [("es", "pangrama"), ("ja", "pangrama"), ("en", "quick_brown_fox")])
def test_a_multilingual_model_detects_the_language(multilingual: Engine, language: str, name: str) -> None:
    """Without a given language each final names the spoken one, and the text is in it."""
    session = multilingual.open(UPDATES_OFTEN)
    finals = [event for event in run(multilingual, clip(name, language), session=session) if isinstance(event, Final)]
    assert {final.language for final in finals} == {language}
    assert len(text_of(list(finals))) > 10


def test_text_without_spaces_is_joined_without_spaces(multilingual: Engine) -> None:
    """Japanese words follow each other as they are written."""
    text = text_of(run(multilingual, clip("pangrama", "ja"), session=multilingual.open(UPDATES_OFTEN, language="ja")))
    assert text
    assert " " not in text


def test_in_a_long_stream_the_language_is_detected_again(multilingual: Engine) -> None:
    """English changes to Spanish without a pause that ends the utterance: the later finals are Spanish."""
    english = [clip("quick_brown_fox"), clip("counting")] * 3
    spanish = [clip("pangrama", "es"), clip("conteo", "es")] * 3
    parts = [part for sound in (*english, *spanish) for part in (sound[1600:-1600], silence(0.15))]
    events = run(multilingual, np.concatenate(parts), session=multilingual.open())
    languages = [event.language for event in events if isinstance(event, Final) and event.words]
    assert (languages[0], languages[-1]) == ("en", "es")
    assert sum(isinstance(event, SpeechStarted) for event in events) == 1


def test_a_word_does_not_last_into_the_pause_after_it(engine: Engine) -> None:
    """The words before a pause end where it begins, though an alignment gives them the pause too."""
    sound, pause_s = np.concatenate([clip("quick_brown_fox"), silence(0.7), clip("counting")]), 0.7
    words = [word for event in run(engine, sound) if isinstance(event, Final) for word in event.words]
    begin_s = len(clip("quick_brown_fox")) / RATE_HZ
    before = [word for word in words if word.start_s < begin_s]
    assert before[-1].text.strip(" .,").lower() == "dog"
    assert before[-1].end_s < begin_s + pause_s / 4
