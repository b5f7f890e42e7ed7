"""The two orders of calls of a session: events for its owner, windows for the model. Final words: see test_commit."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from asr.config import SAMPLE_RATE_HZ, DecodeSettings, SessionSettings, StreamSettings
from asr.engine import Engine
from asr.errors import AudioError, InternalError, SessionError
from asr.events import Ended, Event, Final, Partial, SpeechEnded, SpeechStarted
from asr.models.base import Hypothesis, Window
from asr.streaming.session import STEP_FRAMES, TURN_STEP_FRAMES, Session
from asr.streaming.vad import FRAME_S, FRAME_SAMPLES
from tests import properties
from tests.asr.streaming.scripted import (
    STREAM,
    UPDATE_FRAMES,
    VAD,
    Counting,
    Memory,
    SampleVad,
    Scripted,
    hypothesis,
    play,
    sound,
    tokens,
    words,
)
from tests.properties import finish
from tests.speech import clip, silence

FRAME = FRAME_SAMPLES
EAGER = replace(STREAM, holdback_ms=0, unsure_holdback_ms=0)


def scripted(
    script: Sequence[Hypothesis], stream: StreamSettings = STREAM, **options: object
) -> tuple[Engine, Session]:
    """An engine that follows the script, and a session of it."""
    engine = Engine(Scripted(script), SampleVad())
    return engine, engine.open(SessionSettings(VAD, stream), **options)


def step_while_ready(engine: Engine, session: Session) -> list[Event]:
    while session.ready:
        engine.step([session])
    return session.take_events()


# -- the owner's order -------------------------------------------------------------------------------------------------


def test_an_empty_stream_ends() -> None:
    """No audio at all: the end is emitted, and nothing else."""
    engine, session = scripted([])
    assert finish(engine, session) == [Ended(0.0)]


def test_an_utterance_begins_before_its_words_and_ends_after_its_last_final() -> None:
    """Twice; then the stream ends."""
    played = play(
        [hypothesis(words("one", 0.0, 0.2)), hypothesis(words("two", 0.0, 0.2))],
        sound((0.0, 10), (0.9, 20), (0.0, 30), (0.9, 20), (0.0, 30)),
    )
    kinds = [type(event) for event in played.events]
    assert kinds == [SpeechStarted, Partial, Final, SpeechEnded] * 2 + [Ended]
    assert played.events[0] == SpeechStarted(10 * FRAME_S)
    assert played.events[3] == SpeechEnded(30 * FRAME_S)
    assert played.events[-1] == Ended(110 * FRAME_S)
    assert played.session.ended


def test_a_session_says_where_the_last_voice_ends() -> None:
    """Before `decoded_s`, which is at the end of the silence here."""
    engine, session = scripted([hypothesis(words("one", 0.0, 0.2))] * 4)
    assert session.voiced_until_s == 0.0
    session.receive_audio(sound((0.0, 10), (0.9, 20), (0.0, 60)))
    step_while_ready(engine, session)
    assert (session.voiced_until_s, session.decoded_s) == (30 * FRAME_S, 90 * FRAME_S)


def test_events_are_taken_once() -> None:
    """What was taken does not come again."""
    engine, session = scripted([hypothesis(words("one", 0.0, 0.2))])
    session.receive_audio(sound((0.9, UPDATE_FRAMES)))
    assert len(step_while_ready(engine, session)) == 2
    assert session.take_events() == []


def test_a_finalize_request_in_silence_is_answered() -> None:
    """A final without words says that there was nothing to commit."""
    engine, session = scripted([])
    session.receive_audio(silence(1.0))
    session.receive_finalize()
    engine.step([session])
    assert session.take_events() == [Final((), 0.0, 0.0, "", from_finalize=True)]


def test_a_final_without_words_lies_at_the_end_of_the_committed_words() -> None:
    """And has the language of the session when no utterance is open."""
    played = play([hypothesis(words("one", 0.0, 0.25))], sound((0.9, 20), (0.0, 40)), finalize_frame=45, language="en")
    assert played.final_events[-1] == Final((), 0.25, 0.25, "en", from_finalize=True)


def test_audio_after_the_end_is_refused() -> None:
    """A session that was ended takes nothing more; a second end changes nothing."""
    engine, session = scripted([])
    session.receive_end()
    session.receive_end()
    with pytest.raises(SessionError):
        session.receive_audio(silence(0.1))
    with pytest.raises(SessionError):
        session.receive_finalize()
    assert finish(engine, session) == [Ended(0.0)]


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        (np.array([0.0, np.nan], np.float32), "NaN"),
        (np.array([np.inf], np.float32), "infinite"),
        (np.zeros((2, 100), np.float32), "shape"),
        (np.zeros(100, np.float64), "float64"),
        (np.zeros(100, np.int16), "int16"),
        ([0.0, 0.1], "list"),
    ],
)
def test_samples_that_are_no_sound_are_refused_and_hurt_nothing(samples: np.ndarray, found: str) -> None:
    """The error says what was found; the session goes on as if the call had not been."""
    engine = Engine(Counting())
    session = engine.open()
    with pytest.raises(AudioError, match=found):
        session.receive_audio(samples)
    undisturbed = properties.run(engine, clip("hello_world"), engine.open())
    assert any(isinstance(event, Final) and event.words for event in undisturbed)
    assert properties.run(engine, clip("hello_world"), session) == undisturbed


def test_a_session_is_ready_when_a_step_has_work() -> None:
    """Four frames that were not looked at, one before a finalize request, or a window that is due."""
    engine, session = scripted([hypothesis(words("one", 0.0, 0.2))])
    session.receive_audio(sound((0.9, STEP_FRAMES))[:-1])
    assert not session.ready
    session.receive_audio(np.zeros(1, np.float32))
    assert session.ready
    assert session.pending_frames == STEP_FRAMES
    assert step_while_ready(engine, session) == [SpeechStarted(0.0)]
    session.receive_audio(sound((0.9, 1)))
    assert not session.ready
    session.receive_audio(np.zeros(1, np.float32))
    session.receive_finalize()
    assert session.ready
    assert [event.text for event in step_while_ready(engine, session)] == [" one"]
    session.receive_end()
    assert session.ready
    assert step_while_ready(engine, session)[-1] == Ended(session.received_s)
    assert not session.ready


def test_a_session_of_turns_looks_at_frames_sooner() -> None:
    """While words are shown early and the client may finalize: a pause is seen after two frames instead of four."""
    _, session = scripted([hypothesis(words("one", 0.0, 0.2))])
    session.show_every(0.64)
    session.receive_audio(sound((0.9, TURN_STEP_FRAMES))[:-1])
    assert not session.ready
    session.receive_audio(np.zeros(1, np.float32))
    assert session.ready


def test_received_decoded_and_lag_are_seconds_of_audio() -> None:
    """Two updates are due after voice activity: the lag falls with each window that is decoded."""
    engine, session = scripted([hypothesis(words("one", 0.0, 0.2))] * 2)
    session.receive_audio(sound((0.9, 2 * UPDATE_FRAMES + 3)))
    assert (session.received_s, session.decoded_s) == (67 * FRAME_S, 0.0)
    engine.detect_speech([session])
    assert session.lag_s == pytest.approx(35 * FRAME_S)
    engine.step([session])
    assert session.lag_s == pytest.approx(3 * FRAME_S)
    assert session.ready
    engine.step([session])
    assert (session.lag_s, session.ready) == (0.0, False)
    assert session.held_s == session.received_s


def test_audio_that_no_window_needs_is_dropped() -> None:
    """A minute of silence is not kept, nor an utterance that is over."""
    engine, session = scripted([hypothesis(words("one", 0.0, 0.2))])
    session.receive_audio(sound((0.9, 20), (0.0, 30)))
    step_while_ready(engine, session)
    for _ in range(60):
        session.receive_audio(silence(1.0))
        step_while_ready(engine, session)
    assert session.held_s < 2.0


def test_a_long_utterance_holds_no_more_than_twice_its_window() -> None:
    """Committed words leave the window at 3 s, and their audio with them: two minutes hold the audio of seconds."""
    stream = replace(EAGER, window_soft_s=3.0, overlap_s=0.5)
    engine, session = Engine(Timed(), SampleVad()), None
    session, held_s = engine.open(SessionSettings(VAD, stream)), []
    for _ in range(120):
        session.receive_audio(sound((0.9, UPDATE_FRAMES)))
        step_while_ready(engine, session)
        held_s.append(session.held_s)
    assert max(held_s) < 10.0


class Timed(Scripted):
    """Unreal: writes a word for each half second of a window, after the prefix."""

    def __init__(self) -> None:
        super().__init__([])

    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        return [self._words(window) for window in windows]

    def _words(self, window: Window) -> Hypothesis:
        count, done = int(len(window.samples) / SAMPLE_RATE_HZ / 0.5), len(window.prefix) // 2
        return hypothesis(words(" ".join(["word"] * (count - done)), done * 0.5, 0.5))


# -- early windows -----------------------------------------------------------------------------------------------------


def test_early_words_are_shown_and_nothing_becomes_final_by_them() -> None:
    """Two early hypotheses agree: that is no agreement, since they are not of the updates."""
    engine, session = scripted([hypothesis(words("one two three"))] * 4, EAGER)
    session.show_every(0.256)
    session.receive_audio(sound((0.9, 24)))
    events = step_while_ready(engine, session)
    assert [event.text for event in events if isinstance(event, Partial)] == [" one two three"]
    assert not any(isinstance(event, Final) for event in events)


def test_an_update_shows_its_new_words_before_it_commits_the_first_of_them() -> None:
    """A `Final` alone would leave an older text behind its words. Without early windows partials are as they were."""
    one, two = hypothesis(words("one too", 0.0, 0.3)), hypothesis(words("one two three", 0.0, 0.3))
    shown = {}
    for interval_s in (0.0, 10.0):
        engine, session = scripted([one, two], EAGER)
        session.show_every(interval_s)
        session.receive_audio(sound((0.9, 2 * UPDATE_FRAMES)))
        events = [event for event in step_while_ready(engine, session) if isinstance(event, Partial | Final)]
        shown[interval_s] = [(isinstance(event, Final), event.text) for event in events]
    before, final, behind = (False, " one two three"), (True, " one"), (False, " two three")
    assert shown[0.0] == [(False, " one too"), final, behind]
    assert shown[10.0] == [(False, " one too"), before, final, behind]


def test_an_early_hypothesis_that_ends_long_before_the_words_on_screen_is_not_shown() -> None:
    """It is no better than a collapsed update, and nothing waits for it."""
    engine, session = scripted([hypothesis(words("one two three", each_s=0.4)), hypothesis(words("no", each_s=0.1))])
    session.show_every(0.256)
    shown = []
    for _ in range(2):
        session.receive_audio(sound((0.9, 10)))
        shown += step_while_ready(engine, session)
    assert len(engine.recogniser.windows) == 2
    assert [event.text for event in shown if isinstance(event, Partial)] == [" one two three"]


def test_a_finalize_request_in_a_pause_takes_the_window_that_was_decoded_ahead() -> None:
    """The request needs no call of the model."""
    engine, session = scripted([hypothesis(words("one two", each_s=0.1))])
    session.show_every(10.0)
    session.receive_audio(sound((0.9, 10), (0.0, 5)))
    step_while_ready(engine, session)
    assert [len(window.samples) // FRAME for window in engine.recogniser.windows] == [13]
    session.receive_finalize()
    (final,) = [event for event in step_while_ready(engine, session) if isinstance(event, Final)]
    assert (final.text, final.from_finalize) == (" one two", True)
    assert len(engine.recogniser.windows) == 1


def test_a_window_decoded_ahead_is_not_taken_for_a_later_one() -> None:
    """Speech went on after it."""
    engine, session = scripted([hypothesis(words("one", each_s=0.1)), hypothesis(words("one two", each_s=0.1))])
    session.show_every(10.0)
    session.receive_audio(sound((0.9, 10), (0.0, 4)))
    step_while_ready(engine, session)
    session.receive_audio(sound((0.9, 5)))
    session.receive_finalize()
    (final,) = [event for event in step_while_ready(engine, session) if isinstance(event, Final)]
    assert final.text == " one two"


def test_a_window_decoded_ahead_is_taken_once() -> None:
    """It leaves speech out behind a word: that and the rest, a window of the same end, are asked of the model."""
    ahead, rest = hypothesis(words("one two", each_s=0.5)), hypothesis(words("three four", each_s=0.5))
    engine, session = scripted([ahead, rest], replace(STREAM, gap_s=1.0, update_ms=9000))
    session.show_every(10.0)
    session.receive_audio(sound((0.9, 90), (0.0, 4)))
    step_while_ready(engine, session)
    assert len(engine.recogniser.windows) == 1
    session.receive_finalize()
    events = step_while_ready(engine, session)
    assert [event.text for event in events if isinstance(event, Final)] == [" one", " three four"]


def test_windows_that_are_due_go_before_early_ones() -> None:
    """Of two streams one is due: the other's early window waits for the next step, and one is decoded in a step."""
    engine = Engine(Scripted([hypothesis(words("one"))] * 3), SampleVad())
    due, early, later = (engine.open(SessionSettings(VAD, STREAM)) for _ in range(3))
    due.receive_audio(sound((0.9, UPDATE_FRAMES)))
    for session in (early, later):
        session.show_every(0.256)
        session.receive_audio(sound((0.9, 10)))
    assert engine.step([early, due, later]) is False
    assert (due.ready, early.ready, later.ready) == (False, True, True)
    assert engine.step([early, later]) is True
    assert (early.ready, later.ready) == (False, True)


def test_without_partials_only_the_last_window_is_decoded() -> None:
    """Neither updates nor pauses."""
    played = play([hypothesis(words("one two"))], sound((0.9, 80), (0.0, 12), (0.9, 20)), partials=False)
    assert played.shown == ["=one two"]
    assert [len(window.samples) // FRAME for window in played.windows] == [112]


def test_without_partials_a_full_window_is_decoded_before_the_utterance_ends() -> None:
    """Else a recording without a pause would have to be held in memory to its end."""
    engine, session = scripted(
        [hypothesis(words("one two"))], replace(STREAM, window_max_s=100 * FRAME_S), partials=False
    )
    session.receive_audio(sound((0.9, 88), (0.0, 8), (0.9, 32)))
    assert [event.text for event in step_while_ready(engine, session) if isinstance(event, Final)] == [" one two"]


# -- partials ----------------------------------------------------------------------------------------------------------


def test_a_partial_is_emitted_when_its_text_changes() -> None:
    """The second hypothesis has the same text, the third another."""
    same = hypothesis(words("one two", 0.0, 0.3))
    played = play(
        [same, same, hypothesis(words("one too", 0.0, 0.3)), same],
        sound((0.9, 3 * UPDATE_FRAMES + 5)),
        replace(STREAM, holdback_ms=9000),
    )
    assert played.shown == ["one two", "one too", "=one two"]
    partials = [event for event in played.events if isinstance(event, Partial)]
    assert [(partial.start_s, partial.end_s) for partial in partials] == [(0.0, 1.024), (0.0, 3.072)]
    assert partials[0].language == "en"


def test_the_same_partial_is_emitted_again_behind_a_final() -> None:
    """The final has taken the place of the one before."""
    played = play(
        [hypothesis(words("no", 0.0, 0.3)), hypothesis(words("no no", 0.0, 0.3)), hypothesis(words("no", 0.3, 0.3))],
        sound((0.9, 2 * UPDATE_FRAMES + 5)),
        EAGER,
    )
    assert played.shown == ["no", "=no", "no", "=no"]


def test_an_empty_partial_takes_back_what_was_shown() -> None:
    """It lies where the committed words end; nothing is emitted while nothing is shown."""
    played = play(
        [hypothesis(), hypothesis(words("no", 0.0, 0.3)), hypothesis(), hypothesis(), hypothesis()],
        sound((0.9, 4 * UPDATE_FRAMES + 5)),
        EAGER,
    )
    assert played.shown == ["no", "", "="]


# -- the engine's order ------------------------------------------------------------------------------------------------


def test_the_last_frame_of_a_stream_is_filled_with_zeros() -> None:
    """Two whole frames and ten samples: before the end two frames are pending, then three."""
    _, session = scripted([])
    session.receive_audio(np.full(2 * FRAME + 10, 0.25, np.float32))
    assert session.pending_frames == 2
    assert len(session.next_frames(1)) == FRAME
    session.receive_end()
    assert session.pending_frames == 3
    frames = session.next_frames(100)
    np.testing.assert_array_equal(frames, [*[0.25] * (2 * FRAME + 10), *[0.0] * (FRAME - 10)])
    session.receive_probabilities(np.zeros(3, np.float32))
    assert session.pending_frames == 0


def test_a_window_is_the_same_until_it_is_answered() -> None:
    """A step that failed can be repeated."""
    engine, session = scripted([])
    session.receive_audio(sound((0.9, 2 * UPDATE_FRAMES)))
    engine.detect_speech([session])
    first, again = session.next_window(), session.next_window()
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first.samples, again.samples)
    assert replace(first, samples=again.samples) == again
    session.receive_hypothesis(hypothesis(words("one", 0.0, 0.2)))
    following = session.next_window()
    assert following is not None
    assert len(following.samples) == 2 * UPDATE_FRAMES * FRAME


def test_a_step_that_fails_loses_nothing() -> None:
    """Every other model call raises; the events are those of an undisturbed stream."""
    script = [hypothesis(words(text, 0.0, 0.3)) for text in ("one", "one two", "two three", "four")]
    samples = sound((0.9, 3 * UPDATE_FRAMES + 5))
    engine, session = scripted(script, EAGER)
    recognise, failures = engine.recogniser.recognise, iter([True, False] * 100)

    def flaky(windows: Sequence[Window]) -> list[Hypothesis]:
        if next(failures):
            raise RuntimeError("the model call broke (made by the test)")
        return recognise(windows)

    engine.recogniser.recognise = flaky
    session.receive_audio(samples)
    session.receive_end()
    raised = 0
    while not session.ended:
        try:
            engine.step([session])
        except RuntimeError:
            raised += 1
    assert raised == 4
    assert session.take_events() == play(script, samples, EAGER).events


def test_a_hypothesis_without_a_window_is_refused() -> None:
    """Before any window, and a second time for the same."""
    engine, session = scripted([])
    with pytest.raises(InternalError):
        session.receive_hypothesis(hypothesis())
    session.receive_audio(sound((0.9, UPDATE_FRAMES)))
    engine.detect_speech([session])
    assert session.next_window() is not None
    session.receive_hypothesis(hypothesis())
    with pytest.raises(InternalError):
        session.receive_hypothesis(hypothesis())


def test_a_window_says_what_is_known_of_its_audio() -> None:
    """Its samples, its seconds of speech, its silences in seconds from its start, and what the owner asked for."""
    settings = DecodeSettings(beam_size=3)
    samples = sound((0.0, 10), (0.9, 20), (0.1, 5), (0.9, 6))
    engine = Engine(Scripted([hypothesis(words("one"))]), SampleVad())
    session = engine.open(
        SessionSettings(VAD, STREAM, settings), language="en", prompt="some text", hotwords=("Ada", "Bo")
    )
    session.receive_audio(samples)
    finish(engine, session)
    (window,) = engine.recogniser.windows
    np.testing.assert_array_equal(window.samples, samples[10 * FRAME :])
    assert window.speech_s == pytest.approx(26 * FRAME_S)
    assert window.pauses == ((pytest.approx(20 * FRAME_S), pytest.approx(25 * FRAME_S)),)
    assert (window.language, window.context, window.hotwords) == ("en", tokens("some text"), ("Ada", "Bo"))
    assert (window.prefix, window.draft, window.memory, window.known_tokens) == ((), (), None, 0)
    assert window.settings == settings


def test_the_next_window_carries_the_memory_and_the_draft_of_the_last() -> None:
    """The language that the model found is given to it only with words that are committed in it."""
    played = play(
        [
            hypothesis(words("uno", 0.0, 0.3), "es", memory=Memory(1)),
            hypothesis(words("uno dos", 0.0, 0.3), "es", memory=Memory(2)),
            hypothesis(words("dos", 0.3, 0.3), "es", memory=Memory(3)),
        ],
        sound((0.9, 2 * UPDATE_FRAMES + 5)),
        EAGER,
    )
    assert [window.memory for window in played.windows] == [None, Memory(1), Memory(2)]
    assert [window.draft for window in played.windows] == [(), tokens("uno"), tokens("dos")]
    assert [window.language for window in played.windows] == [None, None, "es"]
    assert {event.language for event in played.final_events} == {"es"}


def test_the_usual_language_is_that_of_most_of_the_talk() -> None:
    """By seconds of final words. The model may take it for weak evidence; a language that was chosen needs none."""
    script = [hypothesis(words("uno dos", 0.0, 0.6), "es"), hypothesis(words("x", 0.0, 0.2), "zh"), hypothesis()]
    heard = sound((0.9, 30), (0.0, 40), (0.9, 30), (0.0, 40), (0.9, 30), (0.0, 40))
    played = play(script, heard, partials=False)
    assert [event.language for event in played.final_events if event.words] == ["es", "zh"]
    assert [window.usual_language for window in played.windows] == [None, "es", "es"]
    assert [window.language for window in played.windows] == [None, None, None]


def test_a_cut_utterance_keeps_its_language_in_its_finals() -> None:
    """The window that follows the cut is decoded with the session's language, and its words have their own."""
    played = play(
        [hypothesis(words("uno dos"), "es"), hypothesis(words("three"), "en")],
        sound((0.9, 88), (0.0, 8), (0.9, 52)),
        replace(STREAM, window_max_s=100 * FRAME_S),
        partials=False,
    )
    assert [(event.text, event.language) for event in played.final_events] == [(" uno dos", "es"), (" three", "en")]
    assert [window.language for window in played.windows] == [None, None]


@pytest.mark.parametrize("chunk", [160, 1601, 10**9])
def test_the_same_audio_gives_the_same_events_however_it_is_cut(chunk: int) -> None:
    """The schedule depends on samples alone."""
    script = [hypothesis(words(text, 0.0, 0.3)) for text in ("one", "one two", "two three", "four", "five")]
    samples = sound((0.9, 3 * UPDATE_FRAMES + 5), (0.0, 30), (0.9, 20))
    engine, session = scripted(script, EAGER)
    assert properties.run(engine, samples, session, chunk) == play(script, samples, EAGER).events
