"""When a word is final: one table of cases for each rule of `asr.streaming.commit`, then scripted streams of a Session.

Each rule was removed, inverted, and changed in its constants and comparisons, in `asr/streaming/commit.py` and where
`asr/streaming/session.py` carries it out. What was changed -> the test that fails then (often others fail too):

Agreement
    words are committed without it; where hypotheses differ; one word too many; equal words behind a difference;
    spelling, case or outer punctuation must be equal -> test_a_word_is_committed_when_two_successive_hypotheses_agree
    the session gives no prefix, or no draft, to the model; committed words stay in the tail
        -> test_a_stream_shows_a_word_first_and_commits_it_when_the_next_hypothesis_agrees
Holdback of sure words
    none; inverted; `<` for `<=`; the unit; from a word's start; added to the window's end
        -> test_a_sure_word_is_held_back_near_the_end
    the holdbacks count from somewhere else -> test_in_a_stream_the_holdbacks_count_from_the_end_of_the_window
Holdback of unsure words
    as sure ones; the unit; inverted -> test_an_unsure_word_is_held_back_longer
    all words as unsure ones; `>` for `>=` at the limit of `sure` -> test_a_sure_word_is_held_back_near_the_end
    words behind one that is held back are committed -> test_a_word_held_back_holds_back_all_behind_it
Held words
    none; all; `<` for `<=`; from the word's start; words behind one that is too young
        -> test_old_words_of_the_tail_are_held
    the session holds none, or those of another window -> test_in_a_stream_the_old_words_of_the_tail_are_held
Collapsed hypothesis
    never; inverted; `>=` for `>`; the sign; the limit; other ends of words
        -> test_a_hypothesis_that_ends_long_before_the_tail_is_doubted
    one without words ends at zero -> test_a_hypothesis_without_words_ends_where_the_committed_words_end,
        in the session -> test_in_a_stream_an_empty_hypothesis_is_measured_from_the_committed_words
    without a tail too -> test_without_a_tail_nothing_is_doubted
    in the last window too -> test_the_last_window_is_never_doubted
Doubts
    3 becomes 2, 4 or 3000; exchanged with the number for no words
        -> test_after_three_doubts_in_a_row_a_shortened_hypothesis_counts
    1 becomes 0, 2 or 3; `==` for `>=` -> test_after_one_doubt_a_hypothesis_without_words_counts
    the session does not count, counts double, takes or shows the doubted words, decodes the same window again
        -> test_a_doubted_hypothesis_is_not_shown_and_the_fourth_in_a_row_is
    the session never resets the count -> test_an_accepted_hypothesis_resets_the_count_of_doubts
Gaps: see test_unread
Stalled decoder
    never; inverted; the limit -> test_a_decoder_that_writes_nothing_during_speech_is_stalled
    `>=` for `>` -> test_speech_of_exactly_stall_s_is_not_yet_a_stall
    speech before the last window counts -> test_only_speech_after_the_last_decoded_window_counts
    with a tail, with new words, without a prefix
        -> test_only_committed_words_with_nothing_behind_them_can_stall_a_decoder
    not in the last window -> test_a_decoder_can_stall_in_the_last_window_too
    before a cut is decided -> test_all_words_of_a_cut_window_are_final
Restart place
    the first, the last, the middle, the loudest, the earlier of equal places; one frame instead of 160 ms; 5 frames
    become 0, 4 or 6; 33 become 32, 34 or 330; from the word's end; from the first word
        -> test_a_stalled_window_restarts_soon_after_the_last_committed_word_began
    behind what was decoded -> test_a_window_never_restarts_in_audio_that_was_not_decoded_yet
    where it began before -> test_a_window_that_restarts_begins_later_than_before
    the session keeps the prefix or the place, or does not decode again
        -> test_a_stalled_decoder_begins_again_behind_the_last_word
Longest window
    cut at the limit, in the middle of a word; a fifth becomes a quarter or a sixth; half a third, two thirds or all;
    0.25 s becomes 0.2, 0.3 or 2.5; one of the two rules of pauses is missing, or they are exchanged; the shortest
    pause; its start or end -> test_a_window_of_the_longest_length_is_cut_in_a_pause
    the limit, or another part of the window, instead of the quietest place of the second half
        -> test_without_a_pause_it_is_cut_at_the_quietest_place_of_its_second_half
    never; `<` for `<=`; inverted -> test_only_a_window_longer_than_the_longest_is_cut
    a policy does not decide on the cut; `<=` for `<` -> test_all_words_of_a_cut_window_are_final
    the session drops words of the cut window, or its last one, keeps the prefix, or does not decode the rest
        -> test_a_window_of_the_longest_length_is_cut_and_all_its_words_are_final
    not without partials -> test_session: test_without_partials_a_full_window_is_decoded_before_the_utterance_ends
Last window
    a policy waits for agreement; inverted -> test_all_words_of_the_last_window_are_final
    the session commits nothing, all but one word, or the words of the window before
        -> test_the_last_window_commits_what_no_hypothesis_confirmed
    a pause counts as the last window; a window that was decoded at a pause is decoded again
        -> test_what_was_decoded_at_a_pause_is_final_at_the_end_of_the_utterance
    the utterance stays open -> test_a_finished_utterance_is_not_decoded_again
    a finalize request commits what is agreed on only -> test_a_finalize_request_commits_everything_before_it
Shortening
    never; no overlap; `<` for `<=`; no sentences; the first sentence; one word more; the shortest gap; gaps of all
    places, or of the earlier half -> test_a_long_window_drops_its_oldest_words
    other marks -> test_a_sentence_ends_with_a_mark_of_any_script
    always; inverted; `<` for `<=`; from the stream's start
        -> test_only_a_window_longer_than_the_soft_limit_is_shortened
    without the words just committed; with words that are not
        -> test_words_that_are_just_committed_count_for_the_overlap
    the session keeps the prefix, the start, the memory or the language
        -> test_the_window_of_a_long_utterance_begins_at_a_committed_word
    the session always drops the language -> test_a_short_window_keeps_its_words_its_memory_and_its_language
Known times
    none; all; 2 s become 1 or 3; `>=` for `>`; inverted; by the words' starts
        -> test_times_of_committed_words_are_known_but_for_the_last_two_seconds
    the session counts words for tokens, or passes stream time, or nothing
        -> test_the_model_is_not_asked_for_times_of_old_committed_words
Silence
    decoded; inverted; `>` for `>=`; prefix, memory or the window's start ignored
        -> test_a_new_window_without_speech_is_not_decoded
    the session does not ask, or takes another length of speech -> test_silence_behind_a_finalize_request_is_not_decoded
Committed words
    times are not bounded, or wrongly -> test_no_word_begins_before_the_end_of_what_is_committed
    the session forgets the end of what is committed -> test_what_is_committed_never_changes
Written words
    never; always; without the space, the marks or the apostrophe; marks alone are kept, or empty pieces are not
        -> test_a_final_begins_with_a_new_word
    the session does not ask, or forgets what is committed -> test_no_final_continues_the_word_before_it
    it keeps the first word instead of the last, or forgets it at a final without words
        -> test_the_last_committed_word_counts_behind_a_final_without_words_too
    marks alone count as a word: they hide a stall -> test_punctuation_alone_is_no_word_and_hides_no_stall
    dropped pieces stay counted as settled -> test_settled_words_are_counted_without_the_punctuation_before_them
    not in recordings, or forgotten between windows -> test_recording: test_a_window_does_not_continue_a_word
    a tokenizer, or a vocabulary, that makes words of the parts of one: see tests/asr/models/whisper/test_tokenizer.py,
        tests/asr/models/ctc/test_search.py, tests/asr/test_word_boundaries.py
Settled words
    none, all, or one more -> test_settled_words_are_committed_and_no_others
    the session does not pass them, or does not release samples -> test_a_stream_of_settled_words_commits_them_at_once
    an architecture, or the table of policies, names the other policy -> test_each_architecture_names_its_policy
    which words a CTC model reports as settled: see tests/asr/models/ctc/test_settled_words.py
Defaults of `StreamSettings`
    any -> test_the_defaults_are_those_that_were_measured
"""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import pytest

from asr.config import SAMPLE_RATE_HZ, StreamSettings
from asr.events import Ended, Final, Partial, SpeechEnded, SpeechStarted
from asr.models.base import Finality, Piece
from asr.models.ctc.recogniser import CtcRecogniser
from asr.models.whisper.recogniser import WhisperRecogniser
from asr.streaming.buffers import SpeechCurve
from asr.streaming.commit import (
    POLICIES,
    AgreementPolicy,
    Commit,
    CommitPolicy,
    Cut,
    Decision,
    Decoded,
    Finish,
    Restart,
    SettledPolicy,
    Wait,
    beginning_a_word,
    held_words,
    in_stream_time,
    is_worth_decoding,
    window_end,
    words_with_known_times,
)
from asr.streaming.utterance import Utterance
from asr.streaming.vad import FRAME_S, FRAME_SAMPLES
from tests.asr.streaming.scripted import (
    STREAM,
    UPDATE_FRAMES,
    VAD,
    Memory,
    curve,
    hypothesis,
    play,
    sound,
    tokens,
    words,
)

FRAME = FRAME_SAMPLES
TICK_S = 1 / 16
"""A step that floating point holds exactly, to stand just beside a limit."""


def decide(
    utterance: Utterance,
    pieces: Sequence[Piece],
    end_s: float = 20.0,
    *,
    requested_s: float | None = None,
    is_last: bool = False,
    committed_end_s: float = 0.0,
    settled: int = 0,
    speech: SpeechCurve | None = None,
    settings: StreamSettings = STREAM,
    policy: CommitPolicy | None = None,
) -> Decision:
    """The decision about a window that ends at `end_s`; without a curve of speech, in silence."""
    end, requested = round(end_s * SAMPLE_RATE_HZ), round((requested_s or end_s) * SAMPLE_RATE_HZ)
    decoded = Decoded(tuple(pieces), end, requested, is_last, committed_end_s, settled)
    return (policy or AgreementPolicy()).decide(utterance, decoded, speech or SpeechCurve(), settings)


def committed(utterance: Utterance, pieces: Sequence[Piece], end_s: float = 20.0, **more: object) -> int:
    """How many words are committed."""
    decision = decide(utterance, pieces, end_s, **more)
    assert isinstance(decision, Commit)
    return decision.count


# -- agreement ---------------------------------------------------------------------------------------------------------

AGREEMENT = {
    "two equal hypotheses agree on all": ("the cat sat", "the cat sat", 3),
    "words that are new are not agreed on": ("the cat", "the cat sat on", 2),
    "a word that is gone is not agreed on": ("the cat sat", "the cat", 2),
    "they agree up to the first difference": ("the cat sat on", "the cat sad on it", 2),
    "nothing behind a difference counts": ("a cat sat", "the cat sat", 0),
    "the first hypothesis agrees with nothing": ("", "the cat", 0),
    "case may differ": ("Hello world", "hello World", 2),
    "outer punctuation may differ": ('"Hello, world.', "Hello world", 2),
    "outer punctuation of other scripts may differ": ("你好。 ¿qué", "你好 qué?", 2),
    "punctuation inside a word may not": ("its", "it's", 0),
    "a beginning of a word is another word": ("cat", "cats", 0),
}


@pytest.mark.parametrize(("previous", "current", "count"), AGREEMENT.values(), ids=AGREEMENT)
def test_a_word_is_committed_when_two_successive_hypotheses_agree(previous: str, current: str, count: int) -> None:
    """Local agreement, far from the window's end."""
    assert committed(Utterance(0, tail=words(previous)), words(current)) == count


# -- the two holdbacks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end_s", [8.0, 20.0])
@pytest.mark.parametrize("confidence", [0.7, 0.9])
@pytest.mark.parametrize("holdback_ms", [2000, 500])
def test_a_sure_word_is_held_back_near_the_end(end_s: float, confidence: float, holdback_ms: int) -> None:
    """It is committed if it ends `holdback_ms` before the window's end, not if later. Sure is a confidence of 0.7."""
    settings = replace(STREAM, holdback_ms=holdback_ms)
    latest_s = end_s - holdback_ms / 1000
    for word_end_s, count in [(latest_s, 1), (latest_s + TICK_S, 0)]:
        word = words("cat", word_end_s - 1, confidence=confidence)
        assert committed(Utterance(0, tail=word), word, end_s, settings=settings) == count


@pytest.mark.parametrize("end_s", [8.0, 20.0])
@pytest.mark.parametrize("confidence", [0.1, 0.6875])
@pytest.mark.parametrize("unsure_holdback_ms", [6000, 3500])
def test_an_unsure_word_is_held_back_longer(end_s: float, confidence: float, unsure_holdback_ms: int) -> None:
    """It is committed if it ends `unsure_holdback_ms` before the window's end, not if later."""
    settings = replace(STREAM, unsure_holdback_ms=unsure_holdback_ms)
    latest_s = end_s - unsure_holdback_ms / 1000
    for word_end_s, count in [(latest_s, 1), (latest_s + TICK_S, 0)]:
        word = words("cat", word_end_s - 1, confidence=confidence)
        assert committed(Utterance(0, tail=word), word, end_s, settings=settings) == count


@pytest.mark.parametrize(("length_s", "holdbacks_s"), [(8.0, (2.0, 6.0)), (8.0 + TICK_S, (1.3, 1.8))])
def test_a_long_window_has_shorter_holdbacks(length_s: float, holdbacks_s: tuple[float, float]) -> None:
    """Longer than 8 s. It is the window that counts, not its place in the stream."""
    settings = StreamSettings(gap_s=math.inf)
    for confidence, holdback_s in zip((0.9, 0.1), holdbacks_s, strict=True):
        for late_s, count in ((TICK_S, 1), (-TICK_S, 0)):
            word = words("cat", 30.0 - holdback_s - late_s - 0.5, each_s=0.5, confidence=confidence)
            utterance = Utterance(round((30.0 - length_s) * SAMPLE_RATE_HZ), tail=word)
            assert committed(utterance, word, 30.0, settings=settings) == count


def test_a_word_held_back_holds_back_all_behind_it() -> None:
    """Each word has its own holdback, but words are committed in order. The later hypothesis has the confidence."""
    sure, unsure = words("a b c d"), words("a b c d", confidence=0.5)
    assert committed(Utterance(0, tail=unsure), (sure[0], unsure[1], *sure[2:]), 7.5) == 1
    assert committed(Utterance(0, tail=unsure), sure, 7.5) == 4
    assert committed(Utterance(0, tail=sure), unsure, 7.5) == 1


# -- collapsed hypotheses ----------------------------------------------------------------------------------------------

COLLAPSE = {
    "it ends more than 1 s before the tail": (words("a b", each_s=1.5 - TICK_S), Wait()),
    "it ends exactly 1 s before the tail": (words("a b", each_s=1.5), Commit(2)),
    "it ends after the tail": (words("a b c d e"), Commit(3)),
    "other words that end as late": (words("w x y z"), Commit(0)),
}


def test_old_words_of_the_tail_are_held() -> None:
    """Those that ended 1.5 s before the window's end, up to the first that did not."""
    tail = words("one two three", each_s=0.5)  # they end at 0.5, 1.0 and 1.5 s
    for end_s, count in ((1.9, 0), (2.0, 1), (2.6, 2), (3.0, 3)):
        assert len(held_words(tail, round(end_s * SAMPLE_RATE_HZ), STREAM)) == count
    mixed = (tail[0], replace(tail[1], end_s=9.0), tail[2])
    assert len(held_words(mixed, 4 * SAMPLE_RATE_HZ, STREAM)) == 1


def test_in_a_stream_the_old_words_of_the_tail_are_held() -> None:
    """At the update of 2.05 s the first word of the tail, of two tokens, has ended 1.55 s ago.

    The last window and one that is not long hold none.
    """
    samples = sound((0.9, 2 * UPDATE_FRAMES + 1))
    long_holdbacks = {"long_holdback_ms": 9000, "long_unsure_holdback_ms": 9000}
    for long_window_s, held in ((2.0, 2), (2.1, 0)):
        script = [hypothesis(words("one two", each_s=0.5))] * 3
        windows = play(script, samples, replace(STREAM, long_window_s=long_window_s, **long_holdbacks)).windows
        assert [(len(window.draft), window.held) for window in windows] == [(0, 0), (4, held), (4, 0)]


@pytest.mark.parametrize(("pieces", "decision"), COLLAPSE.values(), ids=COLLAPSE)
def test_a_hypothesis_that_ends_long_before_the_tail_is_doubted(pieces: Sequence[Piece], decision: Decision) -> None:
    """The tail ends at 4 s, `collapse_s` is 1."""
    assert decide(Utterance(0, tail=words("a b c d")), pieces, 5.0) == decision


def test_a_hypothesis_without_words_ends_where_the_committed_words_end() -> None:
    """Committed words end at 2, 3 or nearly 3 s, the tail at 4 s."""
    tail = words("c d", 2.0)
    assert decide(Utterance(0, tail=tail), (), 5.0, committed_end_s=2.0) == Wait()
    assert decide(Utterance(0, tail=tail), (), 5.0, committed_end_s=3.0 - TICK_S) == Wait()
    assert decide(Utterance(0, tail=tail), (), 5.0, committed_end_s=3.0) == Commit(0)


def test_without_a_tail_nothing_is_doubted() -> None:
    """There is nothing that a hypothesis could have lost."""
    assert decide(Utterance(0), words("a"), 5.0, committed_end_s=9.0) == Commit(0)
    assert decide(Utterance(0), (), 5.0) == Commit(0)


@pytest.mark.parametrize(("doubts", "decision"), [(0, Wait()), (1, Wait()), (2, Wait()), (3, Commit(1))])
def test_after_three_doubts_in_a_row_a_shortened_hypothesis_counts(doubts: int, decision: Decision) -> None:
    """The model really took its words back."""
    tail = words("a b c d")
    assert decide(Utterance(0, tail=tail, doubts=doubts), tail[:1], 5.0) == decision


@pytest.mark.parametrize(("doubts", "decision"), [(0, Wait()), (1, Commit(0)), (2, Commit(0)), (3, Commit(0))])
def test_after_one_doubt_a_hypothesis_without_words_counts(doubts: int, decision: Decision) -> None:
    """Then the tail is empty, and a stalled decoder can be noticed. Doubts of shortened hypotheses count too."""
    assert decide(Utterance(0, tail=words("a b c d"), doubts=doubts), (), 5.0) == decision


# -- stalled decoder ---------------------------------------------------------------------------------------------------

DECODED_FRAMES = 64
"""The frame up to which a stalled utterance was decoded."""


def stalled(**changes: object) -> Utterance:
    """An utterance whose words are all committed."""
    state: dict[str, object] = {"prefix": words("a b"), "decoded_until": DECODED_FRAMES * FRAME, **changes}
    return Utterance(0, **state)


def after(speech_frames: int, before: float = 0.9) -> tuple[SpeechCurve, float]:
    """A curve with this much speech after the decoded frames, and the end in seconds."""
    return curve((before, DECODED_FRAMES), (0.9, speech_frames), (0.1, 9)), (
        DECODED_FRAMES + speech_frames + 9
    ) * FRAME_S


@pytest.mark.parametrize(("speech_frames", "stalls"), [(0, False), (20, False), (21, True), (60, True)])
def test_a_decoder_that_writes_nothing_during_speech_is_stalled(speech_frames: int, stalls: bool) -> None:
    """`stall_s` is 0.65: 20 frames are 0.64 s, 21 are 0.672 s. Speech that was decoded before does not count."""
    speech, end_s = after(speech_frames)
    assert isinstance(decide(stalled(), (), end_s, speech=speech), Restart if stalls else Commit)


def test_speech_of_exactly_stall_s_is_not_yet_a_stall() -> None:
    """It takes more."""
    speech, end_s = after(20)
    settings = replace(STREAM, stall_s=20 * FRAME_S)
    assert decide(stalled(), (), end_s, speech=speech, settings=settings) == Commit(0)
    assert isinstance(decide(stalled(), (), end_s, speech=speech, settings=replace(settings, stall_s=0.63)), Restart)


def test_only_speech_after_the_last_decoded_window_counts() -> None:
    """Two seconds of speech before it, none after it."""
    speech, end_s = after(0)
    assert decide(stalled(), (), end_s, speech=speech) == Commit(0)


def test_only_committed_words_with_nothing_behind_them_can_stall_a_decoder() -> None:
    """Without a prefix the window begins where it should; with a tail, or a new word, the decoder goes on."""
    speech, end_s = after(60)
    assert decide(stalled(prefix=()), (), end_s, speech=speech) == Commit(0)
    assert decide(stalled(tail=words("c", 2.0)), (), end_s, speech=speech, committed_end_s=2.0) == Commit(0)
    assert decide(stalled(), words("c", 2.0), end_s, speech=speech) == Commit(0)


def test_a_decoder_can_stall_in_the_last_window_too() -> None:
    """The speech would be lost for good."""
    speech, end_s = after(60)
    assert isinstance(decide(stalled(), (), end_s, speech=speech, is_last=True), Restart)


# -- restart place -----------------------------------------------------------------------------------------------------

WORD_FRAME = 32
"""The frame at which the last committed word begins; the window may restart from frame 37 on, up to frame 70."""
RISING = [(0.5 + i / 1000, 1) for i in range(100)]

RESTARTS = {
    "at the quietest 160 ms": ([(0.9, 50), (0.4, 5), (0.9, 45)], 52),
    "at the quieter of two places, the later": ([(0.9, 42), (0.4, 5), (0.9, 8), (0.2, 5), (0.9, 40)], 57),
    "at the quieter of two places, the earlier": ([(0.9, 42), (0.2, 5), (0.9, 8), (0.4, 5), (0.9, 40)], 44),
    "at the later of two equal places": ([(0.9, 42), (0.2, 5), (0.9, 8), (0.2, 5), (0.9, 40)], 57),
    "not less than 0.16 s after the word's start": (RISING, 37),
    "not in a quieter place before": ([(0.0, 36), (0.9, 14), (0.4, 5), (0.9, 45)], 52),
    "not more than 1.06 s after that": ([(0.9, 100)], 69),
    "not in a quieter place behind": ([(0.9, 50), (0.4, 5), (0.9, 17), (0.0, 28)], 52),
}


@pytest.mark.parametrize(("runs", "frame"), RESTARTS.values(), ids=RESTARTS)
def test_a_stalled_window_restarts_soon_after_the_last_committed_word_began(
    runs: list[tuple[float, int]], frame: int
) -> None:
    """The place is the middle of a frame. How long the model believes the word to be does not matter."""
    for word_end_s in (1.5, 2.9):
        last = Piece(" b", (1,), WORD_FRAME * FRAME_S, word_end_s, 0.9)
        utterance = Utterance(0, prefix=(*words("a"), last), decoded_until=96 * FRAME)
        assert restart_place(utterance, runs) == frame * FRAME + FRAME // 2


def restart_place(utterance: Utterance, runs: Sequence[tuple[float, int]]) -> int:
    """Where a window restarts that is followed by 2 s of speech without words."""
    speech = curve(*runs, (0.9, 64))
    decision = decide(utterance, (), (sum(frames for _, frames in runs) + 64) * FRAME_S, speech=speech)
    assert isinstance(decision, Restart)
    return decision.at


def test_a_window_never_restarts_in_audio_that_was_not_decoded_yet() -> None:
    """Decoded up to frame 60: only frames 37 to 59 are searched. Decoded up to frame 37: nothing is searched."""
    last = Piece(" b", (1,), WORD_FRAME * FRAME_S, 1.2, 0.9)
    utterance = Utterance(0, prefix=(last,), decoded_until=60 * FRAME)
    assert restart_place(utterance, [(0.9, 100)]) == 59 * FRAME + FRAME // 2
    assert restart_place(replace(utterance, decoded_until=37 * FRAME), [(0.9, 100)]) == 37 * FRAME


def test_a_window_that_restarts_begins_later_than_before() -> None:
    """By one frame at least, so that restarts come to an end."""
    last = Piece(" b", (1,), WORD_FRAME * FRAME_S, 1.2, 0.9)
    utterance = Utterance(80 * FRAME, prefix=(last,), decoded_until=96 * FRAME)
    assert restart_place(utterance, [(0.9, 100)]) == 81 * FRAME


# -- the longest window ------------------------------------------------------------------------------------------------

LONGEST = replace(STREAM, window_max_s=400 * FRAME_S)
"""Windows of at most 400 frames: the second half begins at frame 200, the last fifth at frame 320."""

CUTS = {
    "a pause of 0.256 s in the last fifth, though one before is longer": ({220: 20, 330: 8}, 334),
    "not a pause of 0.224 s there": ({220: 20, 330: 7}, 230),
    "the longest pause of the last fifth": ({325: 9, 345: 12, 370: 10}, 351),
    "a pause at the beginning of the last fifth": ({220: 20, 321: 10}, 326),
    "not a pause just before the last fifth": ({220: 20, 302: 14}, 230),
    "the longest pause of the second half": ({210: 5, 240: 9, 280: 6}, 244.5),
    "a pause at the beginning of the second half": ({205: 4}, 207),
    "the shortest pause that is one": ({250: 3}, 251.5),
    "not a longer pause of the first half": ({150: 40, 250: 4}, 252),
    "not a longer pause behind the window": ({250: 4, 410: 40}, 252),
}


@pytest.mark.parametrize("start", [0, 50])
@pytest.mark.parametrize(("pauses", "frame"), CUTS.values(), ids=CUTS)
def test_a_window_of_the_longest_length_is_cut_in_a_pause(pauses: dict[int, int], frame: float, start: int) -> None:
    """In its middle: of the last fifth if it lasts 0.25 s, else the longest of the second half."""
    probabilities = [0.9] * (start + 500)
    for first, length in pauses.items():
        probabilities[start + first : start + first + length] = [0.0] * length
    end = window_end(start * FRAME, (start + 460) * FRAME, curve(*((p, 1) for p in probabilities)), LONGEST)
    assert end == (start + frame) * FRAME


@pytest.mark.parametrize(
    ("runs", "frame"),
    [
        ([(0.9, 260), (0.5, 5), (0.9, 200)], 262),
        ([(0.9, 260), (0.5, 5), (0.9, 50), (0.4, 5), (0.9, 200)], 317),
        ([(0.9, 150), (0.4, 5), (0.9, 105), (0.5, 5), (0.9, 200)], 262),
        ([(0.9, 260), (0.5, 5), (0.9, 140), (0.4, 5), (0.9, 60)], 262),
    ],
)
def test_without_a_pause_it_is_cut_at_the_quietest_place_of_its_second_half(
    runs: list[tuple[float, int]], frame: int
) -> None:
    """Never just at its limit, which would be in the middle of a word."""
    assert window_end(0, 460 * FRAME, curve(*runs), LONGEST) == frame * FRAME + FRAME // 2


def test_only_a_window_longer_than_the_longest_is_cut() -> None:
    """One of exactly the longest length is not, one with a sample more is."""
    speech = curve((0.9, 330), (0.0, 10), (0.9, 200))
    assert window_end(0, 100 * FRAME, speech, LONGEST) == 100 * FRAME
    assert window_end(0, 400 * FRAME, speech, LONGEST) == 400 * FRAME
    assert window_end(0, 400 * FRAME + 1, speech, LONGEST) == 335 * FRAME
    assert window_end(20 * FRAME, 420 * FRAME, speech, LONGEST) == 420 * FRAME


@pytest.mark.parametrize("policy", POLICIES.values())
def test_all_words_of_a_cut_window_are_final(policy: CommitPolicy) -> None:
    """Whatever else may be true of its hypothesis: no later window sees its audio."""
    at = 20 * SAMPLE_RATE_HZ
    speech, _ = after(900)
    for utterance in (Utterance(0), Utterance(0, tail=words("a b c d")), stalled()):
        for pieces in ((), words("a")):
            for is_last in (False, True):
                decision = decide(
                    utterance, pieces, 20.0, requested_s=20.5, is_last=is_last, speech=speech, policy=policy
                )
                assert decision == Cut(at)


# -- the last window ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES.values())
def test_all_words_of_the_last_window_are_final(policy: CommitPolicy) -> None:
    """Without agreement, without holdback, without doubt."""
    for tail in ((), words("a b c d")):
        for pieces in ((), words("a"), words("v w x y z")):
            assert decide(Utterance(0, tail=tail), pieces, 5.0, is_last=True, policy=policy) == Finish()


# -- shortening --------------------------------------------------------------------------------------------------------


def spoken(*spans: tuple[str, float, float]) -> tuple[Piece, ...]:
    """Words with their own times."""
    return tuple(Piece(f" {text}", (1,), start_s, end_s, 0.9) for text, start_s, end_s in spans)


GAPS = spoken(
    ("a", 0, 1), ("b", 4, 5), ("c", 5, 6), ("d", 6, 7), ("e", 7, 8), ("f", 8.5, 9), ("g", 9, 10), ("h", 10, 11)
)
"""A gap of 3 s before the second word, one of 0.5 s before the sixth."""

SHORTENING = {
    "at the last end of a sentence": (words("One two. Three four. Five six seven"), 1.5, 4),
    "rather at the end of a sentence than at a gap": (
        spoken(("a", 0, 1), ("b.", 1, 2), ("c", 2, 3), ("d", 6, 7), ("e", 7, 8), ("f", 8, 9)),
        1.5,
        2,
    ),
    "not at an end of a sentence in the last 1.5 s": (words("a b. c d e. f"), 1.5, 2),
    "at one exactly the overlap before the end": (words("a b c d. e f"), 2.0, 4),
    "not at one within the overlap": (words("a b. c d. e f"), 2.0 + TICK_S, 2),
    "without a sentence at the longest gap": (GAPS, 1.5, 5),
    "of the later half of the places only": (GAPS, 4.0, 3),
    "not within the overlap": (words("a b"), 1.5, 0),
    "one word is kept": (words("a."), 0.0, 0),
    "nothing is committed": ((), 1.5, 0),
}


@pytest.mark.parametrize(("prefix", "overlap_s", "dropped"), SHORTENING.values(), ids=SHORTENING)
def test_a_long_window_drops_its_oldest_words(prefix: tuple[Piece, ...], overlap_s: float, dropped: int) -> None:
    """The window is longer than 15 s; at least `overlap_s` of committed speech stays."""
    settings = replace(STREAM, overlap_s=overlap_s)
    assert decide(Utterance(0, prefix=prefix), (), 16.0, settings=settings) == Commit(0, dropped)


@pytest.mark.parametrize("mark", [".", "?", "!", "。", "？", "！"])
def test_a_sentence_ends_with_a_mark_of_any_script(mark: str) -> None:
    """A comma ends none."""
    for text, dropped in ((f"a b{mark} c d e f", 2), ("a b, c d e f", 3)):
        assert decide(Utterance(0, prefix=words(text)), (), 16.0) == Commit(0, dropped)


@pytest.mark.parametrize("start_s", [0.0, 4.0])
def test_only_a_window_longer_than_the_soft_limit_is_shortened(start_s: float) -> None:
    """`window_soft_s` is 15; one more sample and the window is longer."""
    utterance = Utterance(round(start_s * SAMPLE_RATE_HZ), prefix=words("a b. c d e f", start_s))
    assert decide(utterance, (), start_s + 15) == Commit(0, 0)
    assert decide(utterance, (), start_s + 15 + 1 / SAMPLE_RATE_HZ) == Commit(0, 2)


def test_words_that_are_just_committed_count_for_the_overlap() -> None:
    """The prefix ends at 2 s and the committed words at 6 s; words that are only shown do not count."""
    tail = words("c. d e f", 2.0)
    assert decide(Utterance(0, prefix=words("a b."), tail=tail), tail, 16.0) == Commit(4, 3)
    assert decide(Utterance(0, prefix=words("a b."), tail=tail[:2]), tail, 16.0) == Commit(2, 2)
    assert decide(Utterance(0, prefix=words("a b."), tail=()), tail, 16.0) == Commit(0, 0)


# -- silence -----------------------------------------------------------------------------------------------------------

SILENT = {
    "no speech": ([(0.1, 40)], Utterance(0), False),
    "less speech than an utterance needs": ([(0.1, 10), (0.9, 1), (0.1, 29)], Utterance(0), False),
    "as much as it needs": ([(0.1, 10), (0.9, 2), (0.1, 28)], Utterance(0), True),
    "long, and never surely speech": ([(0.69, 40)], Utterance(0), False),
    "long, and surely speech once": ([(0.6, 20), (0.7, 1), (0.6, 19)], Utterance(0), True),
    "surely speech only before and after the window": (
        [(0.9, 10), (0.6, 30), (0.9, 10)],
        Utterance(10 * FRAME),
        False,
    ),
    "speech before the window": ([(0.9, 10), (0.1, 30)], Utterance(10 * FRAME), False),
    "speech after the window": ([(0.1, 40), (0.9, 40)], Utterance(0), False),
    "silence behind committed words": ([(0.1, 40)], Utterance(0, prefix=words("a")), True),
    "silence that goes on in a window that was decoded": ([(0.1, 40)], Utterance(0, memory=Memory(1)), True),
}


@pytest.mark.parametrize(("runs", "utterance", "decoded"), SILENT.values(), ids=SILENT)
def test_a_new_window_without_speech_is_not_decoded(
    runs: list[tuple[float, int]], utterance: Utterance, decoded: bool
) -> None:
    """Silence and noise make a model invent words. An utterance needs two frames of speech, 64 ms, one of them sure."""
    assert is_worth_decoding(utterance, 40 * FRAME, curve(*runs), VAD) is decoded


# -- times -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window_start_s", "committed_end_s", "spans"),
    [
        (0.0, 0.0, [(0.0, 1.0), (1.0, 2.0)]),
        (10.0, 0.0, [(10.0, 11.0), (11.0, 12.0)]),
        (10.0, 10.5, [(10.5, 11.0), (11.0, 12.0)]),
        (10.0, 11.5, [(11.5, 11.5), (11.5, 12.0)]),
        (10.0, 99.0, [(99.0, 99.0), (99.0, 99.0)]),
    ],
)
def test_no_word_begins_before_the_end_of_what_is_committed(
    window_start_s: float, committed_end_s: float, spans: list[tuple[float, float]]
) -> None:
    """The times of committed words can no longer give way."""
    pieces = words("a b")
    moved = in_stream_time(pieces, window_start_s, committed_end_s)
    assert [(piece.start_s, piece.end_s) for piece in moved] == spans
    assert [(piece.text, piece.tokens, piece.confidence) for piece in moved] == [
        (piece.text, piece.tokens, piece.confidence) for piece in pieces
    ]


KNOWN = {
    "none": ((), 0),
    "a word that ends exactly 2 s before the end": (words("a b c d e"), 3),
    "not one that ends later": ((*words("a b c"), *words("d", 3.0, 1 - TICK_S)), 1),
    "not the last word, however long": (words("a b", each_s=9.0), 1),
    "a short prefix": (words("a b", each_s=0.5), 0),
}


@pytest.mark.parametrize(("prefix", "count"), KNOWN.values(), ids=KNOWN)
def test_times_of_committed_words_are_known_but_for_the_last_two_seconds(prefix: tuple[Piece, ...], count: int) -> None:
    """The last ones lead the alignment to the words that follow."""
    assert words_with_known_times(prefix) == prefix[:count]


# -- written words -----------------------------------------------------------------------------------------------------


def written(*texts: str) -> tuple[Piece, ...]:
    """Pieces with these texts as they are, a quarter of a second each."""
    return tuple(
        Piece(text, tokens(text) or (1, 1), i * SHORT_S, (i + 1) * SHORT_S, 0.9) for i, text in enumerate(texts)
    )


BEGINNINGS = {
    "a new word": (" the", (" cat",), (" cat",)),
    "the first word of a stream": ("", ("cat",), ("cat",)),
    "the rest of a number": (" 285", (",950", " pounds"), (" 950", " pounds")),
    "the rest of a compound": (" low", ("-fat", " milk"), (" fat", " milk")),
    "more letters": (" cat", ("s", " sat"), (" s", " sat")),
    "an apostrophe": (" it", ("'s", " fine"), (" 's", " fine")),
    "an opening mark": (" it", ("(so)",), (" (so)",)),
    "a full stop": (" letters", (".", " With"), (" With",)),
    "a mark between spaces": (" Bonjour", (" !", " Salut"), (" Salut",)),
    "several marks": (" so", ('."', " -", " With"), (" With",)),
    "marks alone": (" so", ("...",), ()),
    "what is spoken and no letter": (" 100", ("%", " sure"), (" %", " sure")),
    "nothing": (" so", (), ()),
    "no text": (" so", ("",), ("",)),
    "a character without spaces": ("你", ("好", "吗？"), ("好", "吗？")),
    "a full stop without spaces": ("好", ("。", "你"), ("你",)),
    "a character behind a name": (" iPhone13", ("を",), ("を",)),
    "a name behind a character": ("買", ("iPhone13",), ("iPhone13",)),
    "the rest of a name among characters": ("iPhone", ("13", "を"), (" 13", "を")),
}


@pytest.mark.parametrize(("before", "texts", "begun"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_final_begins_with_a_new_word(before: str, texts: tuple[str, ...], begun: tuple[str, ...]) -> None:
    """Clients join finals with a space, or without: the words must be the same. The tokens stay as the model wrote."""
    pieces = written(*texts)
    after = beginning_a_word(pieces, before)
    assert tuple(piece.text for piece in after) == begun
    assert [replace(piece, text="") for piece in after] == [
        replace(piece, text="") for piece in pieces[len(pieces) - len(after) :]
    ]


# -- settled words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settled", [0, 1, 3])
def test_settled_words_are_committed_and_no_others(settled: int) -> None:
    """Whatever the hypothesis before was, however near to the end, however unsure, and without any doubt."""
    pieces = words("a b c", confidence=0.1)
    for tail in ((), pieces, words("x y z", 9.0)):
        utterance = Utterance(0, prefix=words("p. q"), tail=tail)
        assert decide(utterance, pieces, 3.0, settled=settled, policy=SettledPolicy()) == Commit(settled)


def test_a_model_that_settles_words_neither_stalls_nor_shortens() -> None:
    """It moves the window's start itself."""
    speech, end_s = after(600)
    assert decide(stalled(), (), end_s, speech=speech, policy=SettledPolicy()) == Commit(0)


# -- the contract ------------------------------------------------------------------------------------------------------


def test_each_architecture_names_its_policy() -> None:
    """Whisper cannot know which words may change, CTC models do."""
    assert isinstance(POLICIES[WhisperRecogniser.finality], AgreementPolicy)
    assert isinstance(POLICIES[CtcRecogniser.finality], SettledPolicy)
    assert set(POLICIES) == set(Finality)


def test_a_decision_changes_none_of_its_arguments() -> None:
    """The same question has the same answer, and the utterance is as before."""
    speech, end_s = after(60)
    cases = [(stalled(), ()), (Utterance(0, tail=words("a b c d")), words("a")), (Utterance(0, tail=words("a")),) * 2]
    for utterance, pieces in cases:
        pieces = pieces.tail if isinstance(pieces, Utterance) else pieces
        before = deepcopy(utterance)
        for policy in POLICIES.values():
            first = decide(utterance, pieces, end_s, speech=speech, policy=policy)
            assert first == decide(utterance, pieces, end_s, speech=speech, policy=policy)
        assert utterance == before


def test_the_defaults_are_those_that_were_measured() -> None:
    """The tables are in docs/log/decoding.md: each was chosen against its neighbours on whole data sets."""
    assert StreamSettings() == StreamSettings(
        update_ms=0,
        window_soft_s=15.0,
        window_max_s=28.0,
        file_window_s=16.0,
        overlap_s=1.5,
        stall_s=0.65,
        holdback_ms=2000,
        unsure_holdback_ms=6000,
        long_window_s=8.0,
        long_holdback_ms=1300,
        long_unsure_holdback_ms=1800,
        hold_s=1.5,
        sure=0.7,
        collapse_s=1.0,
        gap_s=1.0,
    )


# -- a Session carries the decisions out -------------------------------------------------------------------------------

EAGER = replace(STREAM, holdback_ms=0, unsure_holdback_ms=0)
"""Agreement alone decides."""
SHORT_S = 0.25
"""The length of a scripted word: four of them are said by the first update, at 1.024 s."""


def say(text: str, start_s: float = 0.0) -> tuple[Piece, ...]:
    """Words of a quarter of a second."""
    return words(text, start_s, SHORT_S)


def test_a_stream_shows_a_word_first_and_commits_it_when_the_next_hypothesis_agrees() -> None:
    """What was committed is given to the model as the prefix, the rest as the draft; the last window commits all."""
    played = play(
        [
            hypothesis(say("the cat sad")),
            hypothesis(say("the cat sat on")),
            hypothesis(say("sat on a", 0.5)),
            hypothesis(say("a mat", 1.0)),
        ],
        sound((0.9, 3 * UPDATE_FRAMES + 5)),
        EAGER,
    )
    assert played.shown == ["the cat sad", "=the cat", "sat on", "=sat on", "a", "=a mat"]
    assert [window.prefix for window in played.windows] == [
        (),
        (),
        tokens("the cat"),
        tokens("the cat sat on"),
    ]
    assert [window.draft for window in played.windows] == [
        (),
        tokens("the cat sad"),
        tokens("sat on"),
        tokens("a"),
    ]


def test_in_a_stream_the_holdbacks_count_from_the_end_of_the_window() -> None:
    """Words of 0.25 s; sure ones wait for 2 s, unsure ones for 3 s. Updates come each 1.024 s."""
    stream = replace(STREAM, unsure_holdback_ms=3000)
    text = say("a b c d")
    unsure = (*text[:2], replace(text[2], confidence=0.6), text[3])
    played = play([hypothesis(unsure)] * 3 + [hypothesis(unsure[2:])] * 2, sound((0.9, 4 * UPDATE_FRAMES + 1)), stream)
    assert played.shown[:4] == ["a b c d", "=a b", "c d", "=c d"]
    assert [window.prefix for window in played.windows[3:]] == [tokens("a b"), tokens("a b c d")]


def test_what_is_committed_never_changes() -> None:
    """The model now writes other words for the same audio. They come behind what is committed, with later times."""
    played = play(
        [hypothesis(say("one two")), hypothesis(say("one two")), hypothesis(say("won too three"))],
        sound((0.9, 2 * UPDATE_FRAMES + 5)),
        EAGER,
    )
    assert played.finals == ["one two", "won too three"]
    spans = [(word.start_s, word.end_s) for event in played.events[-3:-2] for word in event.words]
    assert spans == [(0.5, 0.5), (0.5, 0.5), (0.5, 0.75)]


def test_no_final_continues_the_word_before_it() -> None:
    """The model goes on with a number that is committed, and with a word that a finalize request has cut."""
    played = play(
        [
            hypothesis(say("about 285")),
            hypothesis(say("about 285")),
            hypothesis(written(",950", " pounds")),
            hypothesis(written(" pounds", " a")),
            hypothesis(written("nd", " so")),
        ],
        sound((0.9, 3 * UPDATE_FRAMES + 28)),
        EAGER,
        finalize_frame=3 * UPDATE_FRAMES + 10,
    )
    assert played.shown == ["about 285", "=about 285", "", "950 pounds", "=pounds a", "=nd so"]
    assert [event.text for event in played.final_events] == [" about 285", " pounds a", " nd so"]


def test_the_last_committed_word_counts_behind_a_final_without_words_too() -> None:
    """ "iPhone" and not the character before it; the finalize request brings no word."""
    played = play(
        [*[hypothesis(written("買", "iPhone"))] * 2, hypothesis(), hypothesis(written("13", "を"))],
        sound((0.9, 2 * UPDATE_FRAMES + 28)),
        EAGER,
        finalize_frame=2 * UPDATE_FRAMES + 10,
    )
    assert [event.text for event in played.final_events] == ["買iPhone", "", " 13を"]


def test_punctuation_alone_is_no_word_and_hides_no_stall() -> None:
    """The model writes the full stop that it left out before, and nothing else: the window restarts."""
    played = play(
        [
            hypothesis(words("one two", 0.4, 0.5)),
            hypothesis(words("one two", 0.4, 0.5)),
            hypothesis(written(".")),
            hypothesis(say("three four")),
            hypothesis(say("three four")),
        ],
        sound((0.9, 42), (0.4, 5), (0.9, 3 * UPDATE_FRAMES + 5 - 47)),
        EAGER,
    )
    assert played.finals == ["one two", "three four"]


def test_settled_words_are_counted_without_the_punctuation_before_them() -> None:
    """A model may settle a mark as a word of its own."""
    played = play(
        [hypothesis(written(".", " a", " b"), settled=2), hypothesis(written(" b"))],
        sound((0.9, UPDATE_FRAMES + 5)),
        finality=Finality.SETTLED,
    )
    assert played.finals == ["a", "b"]


LONG = "a b c d e f g h"


def test_a_doubted_hypothesis_is_not_shown_and_the_fourth_in_a_row_is() -> None:
    """Three times nothing changes: the tail stays, also as the draft; then the shortened text is shown."""
    played = play(
        [hypothesis(say(LONG))] * 2 + [hypothesis(say("a"))] * 4 + [hypothesis(say("a b"))],
        sound((0.9, 6 * UPDATE_FRAMES + 5)),
        replace(STREAM, holdback_ms=9000, unsure_holdback_ms=9000),
    )
    assert played.shown == [LONG, "a", "=a b"]
    assert [window.draft for window in played.windows] == [(), *[tokens(LONG)] * 5, tokens("a")]


def test_an_accepted_hypothesis_resets_the_count_of_doubts() -> None:
    """Two doubts, then a whole text, then three doubts again."""
    short, whole = [hypothesis(say("a"))], [hypothesis(say(LONG))]
    played = play(
        whole + 2 * short + whole + 3 * short + whole,
        sound((0.9, 7 * UPDATE_FRAMES + 5)),
        replace(STREAM, holdback_ms=9000, unsure_holdback_ms=9000),
    )
    assert played.shown == [LONG, "=" + LONG]


def test_after_a_doubt_an_empty_hypothesis_takes_the_tail_back() -> None:
    """Twice nothing: the partial is emptied, and a last window without words ends the utterance without any."""
    played = play(
        [hypothesis(say(LONG)), *[hypothesis()] * 3],
        sound((0.9, 3 * UPDATE_FRAMES + 5)),
        replace(STREAM, holdback_ms=9000, unsure_holdback_ms=9000),
    )
    assert played.shown == [LONG, "", "="]


def test_in_a_stream_an_empty_hypothesis_is_measured_from_the_committed_words() -> None:
    """They end at 1 s and the tail at 1.5 s: that is no collapse, and the partial is emptied without a doubt."""
    played = play(
        [hypothesis(say("a b c d")), hypothesis(say("a b c d e f")), hypothesis(), hypothesis()],
        sound((0.9, 3 * UPDATE_FRAMES + 5)),
        EAGER,
    )
    assert played.shown == ["a b c d", "=a b c d", "e f", "", "="]


def test_the_last_window_is_never_doubted() -> None:
    """It is all that there is."""
    played = play([hypothesis(say(LONG)), hypothesis(say("a"))], sound((0.9, UPDATE_FRAMES + 20)))
    assert played.finals == ["a"]


def start_frames(windows: Sequence[object], ends: Sequence[int]) -> list[float]:
    """Where windows begin that end at these frames."""
    return [end - len(window.samples) / FRAME for window, end in zip(windows, ends, strict=True)]


def test_a_stalled_decoder_begins_again_behind_the_last_word() -> None:
    """Two words are committed and speech goes on without a third: the same audio is decoded in a new window.

    It begins at the quietest place, 44.5 frames into the stream, without a prefix and without the model's memory.
    """
    played = play(
        [
            hypothesis(words("one two.", 0.4, 0.5)),
            hypothesis(words("one two.", 0.4, 0.5)),
            hypothesis(),
            hypothesis(say("three four")),
            hypothesis(say("three four")),
        ],
        sound((0.9, 42), (0.4, 5), (0.9, 3 * UPDATE_FRAMES + 5 - 47)),
        EAGER,
    )
    assert played.finals == ["one two.", "three four"]
    assert start_frames(played.windows, [32, 64, 96, 96, 101]) == [0, 0, 0, 44.5, 44.5]
    again = played.windows[3]
    assert (again.prefix, again.draft, again.memory) == ((), (), None)
    assert played.shown == ["one two.", "=one two.", "", "three four", "=three four"]
    assert [word.start_s for word in played.events[-3].words] == [44.5 * FRAME_S, pytest.approx(44.5 * FRAME_S + 0.25)]


def test_a_stall_in_the_last_window_loses_no_speech() -> None:
    """The end of the stream is decoded again too."""
    played = play(
        [
            hypothesis(words("one two.", 0.4, 0.5)),
            hypothesis(words("one two.", 0.4, 0.5)),
            hypothesis(),
            hypothesis(say("three")),
        ],
        sound((0.9, 3 * UPDATE_FRAMES - 4)),
        EAGER,
    )
    assert played.finals == ["one two.", "three"]


MAX = replace(STREAM, window_max_s=100 * FRAME_S)


@pytest.mark.parametrize("partials", [True, False])
def test_a_window_of_the_longest_length_is_cut_and_all_its_words_are_final(partials: bool) -> None:
    """Three updates, then 128 frames would be more than 100: the window ends in the pause at frame 92, the next begins
    there, without a prefix."""
    half = [hypothesis(words(text, start_s, 0.5)) for text, start_s in (("a b c d", 0.0), ("c e", 1.0), ("f", 0.0))]
    script = [half[0]] * 3 + half[1:] if partials else [hypothesis(words("a b c e", 0.0, 0.5))]
    played = play([*script, hypothesis(say("f g"))], sound((0.9, 88), (0.0, 8), (0.9, 32 + 20)), MAX, partials=partials)
    assert played.finals == (["a b", "c e", "f g"] if partials else ["a b c e", "f g"])
    ends = [32, 64, 96, 92, 128, 148] if partials else [92, 148]
    assert start_frames(played.windows, ends) == ([0, 0, 0, 0, 92, 92] if partials else [0, 92])
    after_cut = played.windows[4 if partials else 1]
    assert (after_cut.prefix, after_cut.draft, after_cut.memory) == ((), (), None)


SOFT = replace(EAGER, window_soft_s=80 * FRAME_S, overlap_s=0.5)


def test_the_window_of_a_long_utterance_begins_at_a_committed_word() -> None:
    """At 96 frames it is longer than 80. It then begins at "d", after the last sentence 0.5 s before the end of "g".

    The model starts without memory, and finds the language out again.
    """
    first = hypothesis(say("a b. c. d e f g"))
    played = play(
        [first, first, hypothesis(say("h i", 1.75)), hypothesis(say("h i j", 1.75 - 0.75))],
        sound((0.9, 3 * UPDATE_FRAMES + 5)),
        SOFT,
    )
    assert played.finals == ["a b. c. d e f g", "h i j"]
    assert start_frames(played.windows, [32, 64, 96, 101]) == [0, 0, 0, 23.4375]
    assert [window.prefix for window in played.windows[2:]] == [tokens("a b. c. d e f g"), tokens("d e f g")]
    assert [window.draft for window in played.windows[2:]] == [(), tokens("h i")]
    assert [window.memory for window in played.windows] == [None, Memory(1), Memory(1), None]
    assert [window.language for window in played.windows] == [None, None, "en", None]
    assert [word.start_s for word in played.events[-3].words] == [1.75, 2.0, 2.25]


def test_a_short_window_keeps_its_words_its_memory_and_its_language() -> None:
    """Nothing is dropped up to 15 s."""
    first = hypothesis(say("a b. c. d e f g"))
    played = play(
        [first, first, hypothesis(say("h i", 1.75)), hypothesis(say("h i j", 1.75))],
        sound((0.9, 3 * UPDATE_FRAMES + 5)),
        EAGER,
    )
    assert start_frames(played.windows, [32, 64, 96, 101]) == [0, 0, 0, 0]
    assert [window.prefix for window in played.windows[2:]] == [tokens("a b. c. d e f g")] * 2
    assert [window.memory for window in played.windows] == [None, *[Memory(1)] * 3]
    assert [window.language for window in played.windows] == [None, None, "en", "en"]


def test_the_model_is_not_asked_for_times_of_old_committed_words() -> None:
    """Twelve committed words end 2.8 s after the window's start: the times of three, up to 0.75 s, are known.

    A word has two tokens.
    """
    text = "a b c d e f g h i j k l"
    played = play(
        [hypothesis(say(text)), hypothesis(say(text)), hypothesis(words("i j k l", 2.0, 0.2)), hypothesis()],
        sound((0.1, 10), (0.9, 3 * UPDATE_FRAMES + 5)),
        EAGER,
    )
    assert [window.prefix for window in played.windows[2:]] == [tokens("a b c d e f g h"), tokens(text)]
    assert [window.known_tokens for window in played.windows] == [0, 0, 0, 6]
    assert [window.known_until_s for window in played.windows] == pytest.approx([0.0, 0.0, 0.0, 0.75])


def test_the_last_window_commits_what_no_hypothesis_confirmed() -> None:
    """Both holdbacks are longer than the stream, and there is one hypothesis only."""
    played = play([hypothesis(words("one two", confidence=0.1))], sound((0.9, 20)))
    assert played.finals == ["one two"]


def test_what_was_decoded_at_a_pause_is_final_at_the_end_of_the_utterance() -> None:
    """The same audio is not decoded twice."""
    played = play([hypothesis(say("one")), hypothesis(say("two"))], sound((0.9, 20), (0.0, 30), (0.9, 20)))
    assert played.shown == ["one", "=one", "=two"]


FLUSHING = replace(VAD, speech_final_ms=480)
"""A pause after 10 silent frames, all words final after 15, the utterance ends after 20."""


@pytest.mark.parametrize("partials", [True, False])
def test_words_are_final_in_a_short_pause_and_the_window_goes_on(partials: bool) -> None:
    """The words behind the pause are decoded with those before it, which are the prefix. The end is reported once."""
    script = [hypothesis(say("one"))] * (1 + partials) + [hypothesis(say("two", 1.2))] * (1 + partials)
    played = play(script, sound((0.9, 20), (0.0, 17), (0.9, 20), (0.0, 40)), STREAM, vad=FLUSHING, partials=partials)
    assert [(event.text, event.ends_utterance) for event in played.final_events] == [(" one", True), (" two", True)]
    assert start_frames(played.windows, [30, 33, 67, 70] if partials else [33, 70]) == [0] * len(script)
    assert {window.prefix for window in played.windows} == {(), tokens("one")}
    assert [type(event) for event in played.events if not isinstance(event, Partial)] == [
        SpeechStarted, Final, SpeechEnded, SpeechStarted, Final, SpeechEnded, Ended
    ]  # fmt: skip


def test_a_voice_that_does_not_resume_speech_loses_no_word() -> None:
    """One voiced frame behind the short pause: its word comes when the utterance ends."""
    script = [hypothesis(say("one")), hypothesis(say("one")), hypothesis(say("two", 1.2))]
    played = play(script, sound((0.9, 20), (0.0, 17), (0.9, 1), (0.0, 40)), vad=FLUSHING)
    assert played.finals == ["one", "two"]
    assert start_frames(played.windows, [30, 33, 48]) == [0, 0, 0]


def test_a_decoder_that_stops_at_a_short_pause_begins_again_behind_it() -> None:
    """Five frames of speech without a word are enough, in the last window too: the window restarts in the pause."""
    script = [hypothesis(say("one.")), hypothesis(say("one.")), hypothesis(), *[hypothesis(say("two"))] * 2]
    played = play(script, sound((0.9, 20), (0.0, 17), (0.9, 5), (0.0, 40)), vad=FLUSHING)
    assert played.finals == ["one.", "two"]
    assert start_frames(played.windows, [30, 33, 52, 52, 55]) == [0, 0, 0, 33, 33]
    assert [window.prefix for window in played.windows] == [(), (), tokens("one."), (), ()]


def test_a_model_that_settles_words_begins_again_behind_a_short_pause() -> None:
    """It cannot go on behind words that it did not settle."""
    script = [*[hypothesis(say("one"))] * 2, *[hypothesis(say("two"))] * 2]
    samples = sound((0.9, 20), (0.0, 17), (0.9, 20), (0.0, 40))
    played = play(script, samples, vad=FLUSHING, finality=Finality.SETTLED)
    assert played.finals == ["one", "two"]
    assert start_frames(played.windows, [30, 33, 67, 70]) == [0, 0, 37, 37]


def test_a_finalize_request_commits_everything_before_it() -> None:
    """Unsure words that no second hypothesis confirmed; what is spoken behind them follows."""
    unsure = hypothesis(words("one two", 0.0, 0.25, confidence=0.1))
    played = play([unsure, hypothesis(say("three"))], sound((0.9, 30)), finalize_frame=20)
    assert [(event.text, event.from_finalize, event.ends_utterance) for event in played.final_events] == [
        (" one two", True, False),
        (" three", False, True),
    ]
    assert start_frames(played.windows, [20, 30]) == [0, 20]


@pytest.mark.parametrize("speech_frames", [0, 1])
def test_silence_behind_a_finalize_request_is_not_decoded(speech_frames: int) -> None:
    """The script has one hypothesis: the rest of the utterance is decoded neither at its pause nor at its end."""
    played = play(
        [hypothesis(say("one two"))],
        sound((0.9, 20), (0.9, speech_frames), (0.0, 40)),
        finalize_frame=20,
    )
    assert [(event.text, event.from_finalize, event.ends_utterance) for event in played.final_events] == [
        (" one two", True, False),
        ("", False, True),
    ]


def test_a_finished_utterance_is_not_decoded_again() -> None:
    """A finalize request in the silence behind it is answered without words and without a window."""
    played = play([hypothesis(say("one"))], sound((0.9, 20), (0.0, 40)), finalize_frame=45)
    assert [(event.text, event.from_finalize, event.ends_utterance) for event in played.final_events] == [
        (" one", False, True),
        ("", True, False),
    ]


def test_a_stream_of_settled_words_commits_them_at_once() -> None:
    """One hypothesis is enough, and the window begins behind the samples that the model released."""
    played = play(
        [
            hypothesis(say("a b c"), settled=2, released=8 * FRAME),
            hypothesis(words("c d", 0.5 - 8 * FRAME_S, SHORT_S), settled=0, released=4 * FRAME),
            hypothesis(words("x", 0.5 - 12 * FRAME_S, SHORT_S)),
        ],
        sound((0.9, 2 * UPDATE_FRAMES + 5)),
        finality=Finality.SETTLED,
    )
    assert played.shown == ["=a b", "c", "c d", "=x"]
    assert start_frames(played.windows, [32, 64, 69]) == [0, 8, 12]
    assert [window.prefix for window in played.windows] == [(), tokens("a b"), ()]
    assert [window.memory for window in played.windows] == [None, Memory(1), Memory(1)]
    assert played.final_events[-1].words[0].start_s == 0.5
