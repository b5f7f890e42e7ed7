"""A session continued in another worker: the events are those of a session whose worker never died."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.config import SessionSettings
from asr.engine import Engine
from asr.events import Ended, Event, Final, Partial, SpeechStarted, Word
from server.workers.lost_sessions import Past
from server.workers.messages import Audio, End, Open, State, StreamOptions
from server.workers.process import WorkerDied
from server.workers.remote import RemoteEngine, RemoteSession
from server.workers.worker import LATEST_CHECKPOINT_S, RecognitionWorker
from tests.server.workers.helpers import InProcess, scripted_worker
from tests.speech import RATE_HZ, clip, silence, speech

REQUEST = Open(1, SessionSettings(), StreamOptions())
MakeWorker = Callable[[], RecognitionWorker]


def final(text: str, end_s: float) -> Final:
    return Final((Word(text, end_s - 1.0, end_s, 0.9),), end_s - 1.0, end_s, "en")


def partial(text: str, end_s: float) -> Partial:
    return Partial((Word(text, end_s - 1.0, end_s, 0.9),), end_s - 1.0, end_s, "en")


def state(*events: Event, checkpoint: bytes = b"") -> State:
    return State(events, 0.0, 0.0, False, 0, False, checkpoint=checkpoint)


def test_events_that_come_again_are_dropped() -> None:
    """Those since the checkpoint, however the steps of the second worker cut them."""
    past = Past(REQUEST)
    assert past.new_events(state(SpeechStarted(0.0), final(" a", 1.0), checkpoint=b"1"))
    assert past.new_events(state(final(" b", 2.0))) == [final(" b", 2.0)]
    assert past.new_events(state(final(" c", 3.0))) == [final(" c", 3.0)]
    past.repeat()
    assert past.new_events(state(final(" b", 2.0), final(" c", 3.0), final(" d", 4.0))) == [final(" d", 4.0)]
    assert past.new_events(state(Ended(5.0))) == [Ended(5.0)]


def test_a_second_death_amid_the_repetition_drops_no_event_and_gives_none_twice() -> None:
    """Also when a checkpoint came between the deaths, before all was repeated."""
    past = Past(REQUEST)
    past.new_events(state(final(" a", 1.0), final(" b", 2.0), final(" c", 3.0)))
    past.repeat()
    assert past.new_events(state(final(" a", 1.0))) == []
    past.repeat()
    assert past.new_events(state(final(" a", 1.0), final(" b", 2.0), checkpoint=b"2")) == []
    past.repeat()
    assert past.request.checkpoint == b"2"
    assert past.new_events(state(final(" c", 3.0), final(" d", 4.0))) == [final(" d", 4.0)]


def test_partials_do_not_go_back_to_what_was_on_the_screen_before() -> None:
    """While the steps are repeated. Then they come as ever, shorter ones too."""
    past = Past(REQUEST)
    past.new_events(state(final(" a", 1.0), partial(" b c d", 4.0)))
    past.repeat()
    assert past.new_events(state(partial(" a", 1.0), final(" a", 1.0), partial(" b", 2.0))) == []
    assert past.new_events(state(partial(" b c d", 4.0))) == [partial(" b c d", 4.0)]
    assert past.new_events(state(partial(" b c", 3.0))) == [partial(" b c", 3.0)]


def test_calls_are_kept_until_a_checkpoint_holds_them() -> None:
    """And are made again in their order."""
    past = Past(REQUEST)
    first, second = Audio(silence(1.0)), Audio(silence(2.0))
    past.calls.append(first)
    past.new_events(state(checkpoint=b"1"))
    past.calls += [second, End()]
    assert past.repeat() == [second, End()]
    assert past.calls == []


def test_other_events_than_before_are_a_line_in_the_log_without_the_text(caplog: pytest.LogCaptureFixture) -> None:
    """It would be a fault of ours: the same samples give the same events."""
    past = Past(REQUEST)
    past.new_events(state(final(" secret", 1.0)))
    past.repeat()
    with caplog.at_level(logging.ERROR):
        assert past.new_events(state(final(" other", 1.0))) == []
    assert "gave other events" in caplog.text
    assert "secret" not in caplog.text
    assert "other\n" not in caplog.text


# -- whole streams -----------------------------------------------------------------------------------------------------


def finals(events: list[Event]) -> list[tuple[object, ...]]:
    """All events but partials, without confidences, whose last digits depend on the batch."""
    return [
        (event.text, event.start_s, event.end_s, event.ends_utterance) if isinstance(event, Final) else (event,)
        for event in events
        if not isinstance(event, Partial)
    ]


def events_with_deaths(make: MakeWorker, samples: np.ndarray, deaths: np.random.Generator | None) -> list[Event]:
    """A stream in pieces of 0.2 s whose worker dies before or after one of 25 steps, and is restarted.

    "After" loses the step's answer: the worker has made it, the server has not got it.
    """
    process = InProcess(make)
    engine = RemoteEngine(process)
    engine.await_ready()
    session = engine.open(SessionSettings(), StreamOptions())
    events: list[Event] = []

    def step() -> None:
        session.show_every(0.4 if deaths is None or deaths.random() < 0.5 else 0.0)
        try:
            if deaths is not None and deaths.random() < 0.04:
                if deaths.random() < 0.5:
                    process.handler.answer(_step_of(session))
                process.kill()
            engine.step([session])
        except WorkerDied:
            engine.restart()
            engine.adopt(session)

    for start in range(0, len(samples), RATE_HZ // 5):
        session.receive_audio(samples[start : start + RATE_HZ // 5])
        while session.ready:
            step()
        events += session.take_events()
    session.receive_end()
    while not session.ended:
        step()
    return events + session.take_events()


def _step_of(session: RemoteSession) -> Any:
    from server.workers.messages import Step

    return Step((), (session.take_input(),))


def assert_equal_with_deaths(make: MakeWorker, samples: np.ndarray, seeds: int) -> None:
    expected = finals(events_with_deaths(make, samples, None))
    assert len(expected) > 3
    for seed in range(seeds):
        assert finals(events_with_deaths(make, samples, np.random.default_rng(seed))) == expected


def test_deaths_at_random_steps_change_no_event() -> None:
    """On the scripted engine, 40 streams of a minute."""
    assert_equal_with_deaths(scripted_worker, np.zeros(60 * RATE_HZ, np.float32), 40)


def talk() -> np.ndarray:
    """About 12 s of speech: two sentences close together, a pause, a third, and a pause."""
    return np.concatenate([speech(), silence(1.0)])


@pytest.mark.slow
def test_deaths_at_random_steps_change_no_word_of_whisper(whisper_tiny: Engine) -> None:
    """The model's memory of a window is lost, and computed again from the audio since the checkpoint."""
    assert_equal_with_deaths(lambda: RecognitionWorker(whisper_tiny), talk(), 2)


@pytest.mark.slow
def test_deaths_at_random_steps_change_no_word_of_a_ctc_model(learned: Path) -> None:
    """Its memory lasts as long as the speech: it is part of the late checkpoints."""
    engine = Engine.load(str(learned))
    assert_equal_with_deaths(lambda: RecognitionWorker(engine), talk(), 4)


@pytest.mark.slow
def test_what_is_kept_of_endless_speech_is_bounded(whisper_tiny: Engine) -> None:
    """No pause, so no moment without the model's memory but where windows are cut."""
    engine = RemoteEngine(InProcess(lambda: RecognitionWorker(whisper_tiny)))
    engine.await_ready()
    session = engine.open(SessionSettings(), StreamOptions(partials=False))
    spoken, longest = clip("quick_brown_fox")[RATE_HZ // 4 : -RATE_HZ // 2], 0
    for _ in range(25):
        session.receive_audio(spoken)
        while session.ready:
            engine.step([session])
        longest = max(longest, sum(len(call.samples) for call in session._past.calls if isinstance(call, Audio)))
    assert longest < (LATEST_CHECKPOINT_S + 5.0) * RATE_HZ


def test_a_flood_of_calls_without_audio_is_not_kept() -> None:
    """Each of them is small, but there may be millions."""
    engine = RemoteEngine(InProcess(scripted_worker))
    engine.await_ready()
    session = engine.open(SessionSettings(), StreamOptions())
    for _ in range(1000):
        session.receive_finalize()
        engine.step([session])
    assert len(session._past.calls) < 100
