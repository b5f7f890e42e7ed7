"""What is due when, for a curve of speech probabilities. Frames are 32 ms, and the settings count in frames too."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from asr.config import SessionSettings, StreamSettings, VadSettings
from asr.events import Ended, SpeechEnded, SpeechStarted
from asr.streaming.schedule import Decode, Emit, Entry, Kind, Open, Schedule
from asr.streaming.vad import FRAME_S, FRAME_SAMPLES

FRAME = FRAME_SAMPLES
SETTINGS = SessionSettings(
    VadSettings(min_speech_ms=64, pad_before_ms=96, pad_after_ms=128, ahead_ms=96, endpoint_ms=256),
    StreamSettings(update_ms=320),
)
"""Speech from 2 frames on, 3 frames before it kept, a pause at 4 silent frames, the end at 8; updates each 10."""


def schedule(*runs: tuple[float, int]) -> Schedule:
    """A schedule that has received runs of a speech probability and its number of frames."""
    made = Schedule(SETTINGS)
    receive(made, *runs)
    return made


def receive(made: Schedule, *runs: tuple[float, int]) -> None:
    for probability, frames in runs:
        for _ in range(frames):
            made.receive(probability)


def entries(made: Schedule) -> list[Entry]:
    """All entries, taken from the front."""
    taken = []
    while (entry := made.head) is not None:
        taken.append(entry)
        made.pop()
    return taken


def at(frames: Iterable[int], kind: Kind = Kind.UPDATE) -> list[Entry]:
    return [Decode(kind, frame * FRAME) for frame in frames]


def test_silence_and_clicks_schedule_nothing() -> None:
    """A single frame of speech is no utterance."""
    made = schedule((0.0, 20), (0.9, 1), (0.0, 20))
    assert not made
    assert entries(made) == []


def test_an_utterance_opens_before_its_speech_and_is_updated_as_it_grows() -> None:
    """Speech from frame 20 on; three frames are kept before it, and an update is due each ten frames."""
    made = schedule((0.0, 20), (0.9, 35))
    assert entries(made) == [Emit(SpeechStarted(20 * FRAME_S)), Open(17 * FRAME), *at([30, 40, 50])]


def test_the_last_voiced_frame_is_that_before_the_next_window() -> None:
    """Voice activity runs ahead: what was voiced after the window's end does not count yet. Clicks never do."""
    made = schedule((0.0, 20), (0.9, 1), (0.0, 20), (0.9, 15), (0.0, 30), (0.9, 15))
    assert (made.done_until, made.voiced_until) == (51 * FRAME, 51 * FRAME)  # an update in speech
    voiced = []
    while made:
        made.pop()
        voiced.append(made.voiced_until // FRAME)
    assert voiced == sorted(voiced)
    assert 56 in voiced  # in the pause
    assert voiced[-1] == 101
    assert schedule((0.0, 20), (0.9, 1), (0.0, 20)).voiced_until == 0


def test_no_utterance_begins_before_the_stream() -> None:
    """Speech from the first frame on."""
    assert entries(schedule((0.9, 3)))[1] == Open(0)


def test_a_pause_is_decoded_once_and_moves_the_next_update() -> None:
    """Four silent frames from frame 15 on: decoded up to frame 19. Speech goes on: the next update is due ten later."""
    made = schedule((0.9, 15), (0.0, 5), (0.9, 20))
    assert entries(made)[2:] == [*at([10]), *at([19], Kind.PAUSE), *at([29, 39])]


def test_an_utterance_ends_where_its_pause_was_decoded() -> None:
    """Eight silent frames from frame 15 on: it is final up to frame 19, so that no audio is decoded twice."""
    made = schedule((0.9, 15), (0.0, 8))
    assert entries(made)[2:] == [
        *at([10]),
        *at([19], Kind.PAUSE),
        Decode(Kind.FINAL, 19 * FRAME, ends_utterance=True),
        Emit(SpeechEnded(15 * FRAME_S)),
    ]


FLUSHING = replace(SETTINGS, vad=replace(SETTINGS.vad, speech_final_ms=192))
"""Words are final at 6 silent frames, the utterance ends at 8."""


def flushed(*runs: tuple[float, int]) -> Schedule:
    made = Schedule(FLUSHING)
    receive(made, *runs)
    return made


FLUSHED = Decode(Kind.FINAL, 19 * FRAME, ends_utterance=True, is_flush=True)
"""After speech up to frame 15: the window of the pause, since two frames before the sixth are the fourth."""


def test_speech_that_resumes_goes_on_in_its_utterance() -> None:
    """Six silent frames from frame 15 on: final up to frame 19. Speech from frame 22 on opens nothing new."""
    made = flushed((0.9, 15), (0.0, 7), (0.9, 12))
    assert entries(made)[2:] == [
        *at([10]),
        *at([19], Kind.PAUSE),
        FLUSHED,
        Emit(SpeechEnded(15 * FRAME_S)),
        Emit(SpeechStarted(22 * FRAME_S)),
        Open(19 * FRAME, resumes=True),
        *at([32]),
    ]


def test_the_end_of_held_speech_is_reported_once() -> None:
    """Eight silent frames: what is left would be words only, and there is no second end of speech."""
    made = flushed((0.9, 15), (0.0, 8), (0.9, 2))
    assert entries(made)[4:] == [
        FLUSHED,
        Emit(SpeechEnded(15 * FRAME_S)),
        Decode(Kind.FINAL, 19 * FRAME, ends_utterance=True, only_words=True),
        Emit(SpeechStarted(23 * FRAME_S)),
        Open(20 * FRAME),
    ]


def test_a_voice_too_short_to_resume_held_speech_is_decoded_at_its_end() -> None:
    """One voiced frame, 22: it is decoded up to frame 27, four behind it, in the same utterance."""
    made = flushed((0.9, 15), (0.0, 7), (0.9, 1), (0.0, 8))
    assert entries(made)[6:] == [Decode(Kind.FINAL, 27 * FRAME, ends_utterance=True, only_words=True)]


def test_the_end_of_a_stream_in_held_speech_ends_the_utterance() -> None:
    """What was voiced since is decoded, as far as there is audio."""
    made = flushed((0.9, 15), (0.0, 7), (0.9, 1))
    made.end(22 * FRAME + 100)
    end = 22 * FRAME + 100
    assert entries(made)[6:] == [
        Decode(Kind.FINAL, end, ends_utterance=True, only_words=True),
        Emit(Ended(end / 16_000)),
    ]


@pytest.mark.parametrize(("pad_before_ms", "frame"), [(96, 20), (640, 19)])
def test_two_utterances_share_no_audio(pad_before_ms: int, frame: int) -> None:
    """The first ends at frame 19, speech begins again at frame 23: three frames before it can be kept, 20 cannot."""
    made = Schedule(replace(SETTINGS, vad=replace(SETTINGS.vad, pad_before_ms=pad_before_ms)))
    receive(made, (0.9, 15), (0.0, 8), (0.9, 2))
    assert [entry for entry in entries(made) if isinstance(entry, Open)] == [Open(0), Open(frame * FRAME)]


def test_a_finalize_request_waits_for_the_frames_before_it() -> None:
    """In speech: all up to the sample becomes final, and a new utterance begins there."""
    made = schedule((0.9, 5))
    made.finalize(7 * FRAME + 100)
    assert made.is_urgent
    receive(made, (0.9, 1))
    assert len(entries(made)) == 2
    receive(made, (0.9, 1))
    assert not made.is_urgent
    assert entries(made) == [Decode(Kind.FINAL, 7 * FRAME + 100, from_finalize=True), Open(7 * FRAME + 100)]


def test_a_finalize_request_at_the_end_of_a_frame_waits_for_that_frame() -> None:
    """Four frames are there, five are before it."""
    made = schedule((0.9, 4))
    made.finalize(5 * FRAME)
    assert made.is_urgent
    receive(made, (0.9, 1))
    assert not made.is_urgent


def test_a_finalize_request_whose_frames_are_there_is_due_immediately() -> None:
    """In silence no utterance follows."""
    made = schedule((0.0, 5))
    made.finalize(5 * FRAME + 511)
    assert entries(made) == [Decode(Kind.FINAL, 5 * FRAME + 511, from_finalize=True)]


def test_a_finalize_request_in_a_pause_ends_where_the_window_was_decoded_ahead() -> None:
    """Speech ends at frame 5: a request at frame 8 or 9 ends 3 frames behind it. In less silence it ends at itself."""
    for silence, ends in ((1, 6), (2, 7), (3, 8), (4, 9), (5, 9), (6, 9)):  # a pause is decoded at frame 9
        made = schedule((0.9, 5), (0.0, silence))
        entries(made)
        made.finalize((5 + silence) * FRAME)
        assert entries(made) == [Decode(Kind.FINAL, ends * FRAME, from_finalize=True), Open(ends * FRAME)]


def test_in_speech_all_of_it_may_be_shown_early() -> None:
    """Once the interval has passed since the last window; never while something is due."""
    made = schedule((0.9, 9))
    assert made.early(0, FRAME) is None
    entries(made)
    assert made.early(0, 9 * FRAME) == Decode(Kind.SHOW, 9 * FRAME)
    assert made.early(0, 10 * FRAME) is None
    assert made.early(9 * FRAME, FRAME) is None


def test_in_a_pause_the_window_of_a_finalize_request_may_be_decoded_ahead() -> None:
    """From the third silent frame on. Before it nothing: it may be the closure of a consonant."""
    made = schedule((0.9, 5))
    entries(made)
    ahead = Decode(Kind.AHEAD, 8 * FRAME)
    for wanted in (None, None, ahead):
        receive(made, (0.0, 1))
        assert made.early(5 * FRAME, FRAME) == wanted
    assert made.early(8 * FRAME, FRAME) is None


LOUD, QUIET = -20.0, -60.0
"""Levels of frames, in dB."""


def of_levels(made: Schedule, *runs: tuple[float, float, int]) -> None:
    for probability, level_db, count in runs:
        for _ in range(count):
            made.receive(probability, level_db)


def test_a_pause_is_noticed_by_its_energy_before_voice_activity_reports_it() -> None:
    """From the third quiet frame on. The window is that of a request, also once voice activity reports the silence."""
    made = Schedule(SETTINGS)
    of_levels(made, (0.9, LOUD, 4), (0.9, QUIET, 1))
    entries(made)
    assert made.early(0, FRAME) is None  # it may be the closure of a consonant
    assert made.is_urgent
    of_levels(made, (0.9, QUIET, 1))
    assert made.early(0, FRAME) == Decode(Kind.SHOW, 6 * FRAME)
    for heard in (0.9, 0.9, 0.0):
        of_levels(made, (heard, QUIET, 1))
        entries(made)
        assert made.early(0, FRAME) == Decode(Kind.AHEAD, 7 * FRAME)
    made.finalize(made.received)
    assert entries(made) == [Decode(Kind.FINAL, 7 * FRAME, from_finalize=True), Open(7 * FRAME)]


def test_the_last_words_are_shown_after_two_quiet_frames() -> None:
    """However little is new, once, and nothing of them becomes final by it."""
    made = Schedule(SETTINGS)
    of_levels(made, (0.9, LOUD, 4), (0.9, QUIET, 2))
    entries(made)
    assert made.early(5 * FRAME, 100 * FRAME) == Decode(Kind.SHOW, 6 * FRAME)
    assert made.early(6 * FRAME, 100 * FRAME) is None
    of_levels(made, (0.9, LOUD, 1))
    assert made.early(6 * FRAME, 100 * FRAME) is None


def test_a_client_that_never_finalizes_is_not_shown_words_at_each_closure() -> None:
    made = Schedule(SETTINGS)
    decoded_ahead(made, 8)
    of_levels(made, (0.9, LOUD, 5), (0.9, QUIET, 2))
    entries(made)
    assert made.early(70 * FRAME, 100 * FRAME) is None


def test_soft_speech_is_no_pause() -> None:
    """Voice activity goes on reporting it: a request gets all of it."""
    made = Schedule(SETTINGS)
    of_levels(made, (0.9, LOUD, 5), (0.9, QUIET, 7))
    entries(made)
    assert made.early(0, FRAME) == Decode(Kind.SHOW, 12 * FRAME)
    made.finalize(made.received)
    assert entries(made) == [Decode(Kind.FINAL, 12 * FRAME, from_finalize=True), Open(12 * FRAME)]


def test_the_level_of_speech_follows_a_speaker_who_becomes_softer() -> None:
    """3 dB a second: after a minute soft speech has closures of its own, and a dip of 20 dB is none of them."""
    made = Schedule(SETTINGS)
    of_levels(made, (0.9, LOUD, 5), (0.9, LOUD - 20, 200), (0.9, LOUD - 40, 3))
    entries(made)
    assert made.early(0, FRAME) == Decode(Kind.SHOW, 208 * FRAME)
    of_levels(made, (0.9, LOUD - 51, 3))
    entries(made)
    assert made.early(0, FRAME) == Decode(Kind.AHEAD, 211 * FRAME)


def test_a_client_that_never_finalizes_is_shown_words_in_quiet_frames_too() -> None:
    made = Schedule(SETTINGS)
    decoded_ahead(made, 8)
    of_levels(made, (0.9, LOUD, 5), (0.9, QUIET, 3))
    entries(made)
    assert made.early(0, FRAME) == Decode(Kind.SHOW, 72 * FRAME)


def decoded_ahead(made: Schedule, pauses: int) -> list[bool]:
    """For each pause of 3 frames after 5 of speech, whether its window may be decoded ahead."""
    allowed = []
    for _ in range(pauses):
        receive(made, (0.9, 5), (0.0, 3))
        entries(made)
        allowed.append(made.early(0, 100 * FRAME) is not None)
    return allowed


def test_a_client_that_never_finalizes_gets_six_windows_decoded_ahead() -> None:
    """Then it pays for no more. One request, however late, and it gets them again."""
    made = Schedule(SETTINGS)
    assert decoded_ahead(made, 8) == [True] * 6 + [False] * 2
    assert not made.awaits_finalize
    made.finalize(made.received)
    entries(made)
    assert decoded_ahead(made, 20) == [True] * 20


def test_a_client_that_finalizes_at_once_keeps_its_windows() -> None:
    made = schedule((0.9, 5), (0.0, 3))
    made.finalize(made.received)
    entries(made)
    assert decoded_ahead(made, 20) == [True] * 20


def test_a_client_that_asks_for_speech_final_keeps_its_windows() -> None:
    """It waits for the end of turns, as one that finalizes."""
    made = Schedule(replace(SETTINGS, vad=replace(SETTINGS.vad, speech_final_ms=192)))
    assert decoded_ahead(made, 20) == [True] * 20


def test_the_window_of_speech_final_is_decoded_two_frames_before_it() -> None:
    """Ten silent frames: it ends at the eighth. Speech that goes on before the tenth leaves it unused."""
    settings = replace(SETTINGS, vad=replace(SETTINGS.vad, speech_final_ms=320, endpoint_ms=640))
    for resumes in (False, True):
        made = Schedule(settings)
        receive(made, (0.9, 15), (0.0, 7))
        entries(made)
        assert made.early(19 * FRAME, FRAME) is None
        for _ in range(2):
            receive(made, (0.0, 1))
            assert made.early(19 * FRAME, FRAME) == Decode(Kind.AHEAD, 23 * FRAME)
        receive(made, (0.9 if resumes else 0.0, 1))
        flushed = Decode(Kind.FINAL, 23 * FRAME, ends_utterance=True, is_flush=True)
        assert entries(made) == ([] if resumes else [flushed, Emit(SpeechEnded(15 * FRAME_S))])


def test_in_silence_nothing_is_decoded_early() -> None:
    """No utterance is open."""
    assert schedule((0.0, 40)).early(0, FRAME) is None


def test_an_utterance_begins_behind_a_finalize_request() -> None:
    """The request came in silence at frame 10, speech begins at frame 11."""
    made = schedule((0.0, 10))
    made.finalize(10 * FRAME)
    receive(made, (0.0, 1), (0.9, 2))
    assert entries(made)[2] == Open(10 * FRAME)


def test_the_end_of_a_stream_in_speech_ends_the_utterance_too() -> None:
    """The last window ends with the audio, which is not a whole frame; speech ended with its last frame, not later."""
    made = schedule((0.9, 5))
    made.end(4 * FRAME + 100)
    end_s = (4 * FRAME + 100) / 16_000
    assert entries(made)[2:] == [
        Decode(Kind.FINAL, 4 * FRAME + 100, ends_utterance=True),
        Emit(SpeechEnded(end_s)),
        Emit(Ended(end_s)),
    ]
    made = schedule((0.9, 5), (0.0, 2))
    made.end(7 * FRAME)
    assert entries(made)[3:] == [Emit(SpeechEnded(5 * FRAME_S)), Emit(Ended(7 * FRAME_S))]


def test_the_end_of_a_stream_in_silence_is_all_that_is_due() -> None:
    """No utterance is open."""
    made = schedule((0.0, 5))
    made.end(5 * FRAME)
    assert entries(made) == [Emit(Ended(5 * FRAME_S))]


def test_audio_is_done_up_to_the_first_window_that_is_due() -> None:
    """With nothing due, up to what was received."""
    made = schedule((0.9, 25))
    assert (made.received, made.done_until) == (25 * FRAME, 10 * FRAME)
    entries(made)
    assert made.done_until == 25 * FRAME


@pytest.mark.parametrize(
    ("runs", "frame"), [([(0.0, 20)], 17), ([(0.0, 20), (0.9, 1)], 17), ([(0.0, 20), (0.9, 9)], 17)]
)
def test_audio_is_kept_for_the_next_utterance(runs: list[tuple[float, int]], frame: int) -> None:
    """Three frames before the first frame of speech, whether it was noticed yet or not."""
    assert schedule(*runs).earliest_start == frame * FRAME
