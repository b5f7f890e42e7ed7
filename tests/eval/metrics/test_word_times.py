"""Delays of traces whose delays are known."""

import pytest

from asr.events import SpeechStarted
from eval.metrics.word_times import displays, end_source, finalisation_s, word_ends, word_times
from eval.trace import Entry, Span
from tests.eval.fakes import final, partial, trace, word


def test_a_word_is_stable_since_it_never_changed_again_and_settled_when_none_before_it_does() -> None:
    """'cat' is shown at 1.0 and right all along, but 'the' before it is wrong until 3.0: both are settled only then."""
    streamed = trace(
        partial(1.0, "a", "cat"),
        partial(2.0, "a", "cat", "sat"),
        partial(3.0, "the", "cat", "sat"),
        final(4.0, word("the", 0.0, 0.5), word("cat", 0.5, 0.75), word("sat", 1.0, 1.5)),
    )
    times = word_times(streamed)
    assert [t.shown.wall_s for t in times] == [3.0, 1.0, 2.0]
    assert [t.stable.wall_s for t in times] == [3.0, 1.0, 2.0]
    assert [t.settled.wall_s for t in times] == [3.0, 3.0, 3.0]
    assert [t.committed.wall_s for t in times] == [4.0, 4.0, 4.0]
    assert [t.delay_s("stable") for t in times] == [2.5, 0.25, 0.5]
    assert [t.delay_s("settled") for t in times] == [2.5, 2.25, 1.5]


def test_a_word_that_moves_along_with_its_line_has_not_changed() -> None:
    """'an' before it is taken out at 2.0 and another put there at 3.0: 'apple' and 'pie' only move to and fro."""
    streamed = trace(
        partial(1.0, "an", "apple", "pie"),
        partial(2.0, "apple", "pie", "in"),
        partial(3.0, "big", "apple", "pie"),
        final(4.0, word("big", 0.0, 0.25), word("apple", 0.25, 0.5), word("pie", 0.5, 1.0)),
    )
    assert [t.stable.wall_s for t in word_times(streamed)] == [3.0, 1.0, 1.0]


def test_a_word_said_again_further_on_is_not_taken_for_the_one_that_is_missing() -> None:
    """At 2.0 only the first 'no' is recognised; the second is another word and comes at 3.0."""
    streamed = trace(
        partial(2.0, "no"),
        partial(3.0, "no", "I", "said", "no"),
        final(4.0, word("no"), word("I"), word("said"), word("no")),
    )
    assert [t.shown.wall_s for t in word_times(streamed)] == [2.0, 3.0, 3.0, 3.0]


def test_a_word_that_flickers_is_stable_from_its_last_return() -> None:
    """Shown at 1, gone at 2, back at 3."""
    streamed = trace(partial(1.0, "yes"), partial(2.0, "yet"), partial(3.0, "yes"), final(4.0, word("yes", 0.0, 0.5)))
    (only,) = word_times(streamed)
    assert (only.shown.wall_s, only.stable.wall_s) == (1.0, 3.0)


def test_a_word_guessed_before_its_end_has_a_negative_delay() -> None:
    """It is not cut off at nought: that would hide what guessing wins."""
    (only,) = word_times(trace(partial(1.0, "yes"), final(4.0, word("yes", 0.5, 1.25))))
    assert only.delay_s("shown") == -0.25


def test_a_final_takes_only_what_it_covers_out_of_the_tail() -> None:
    """'b' was in the partial before the final of 'a' and is still seen: its time is not the next partial's."""
    streamed = trace(
        partial(1.0, "a", "b"),
        final(2.0, word("a", 0.0, 0.1)),
        partial(3.0, "b", "c", start_s=0.1),
        final(4.0, word("b", 0.1, 0.2), word("c", 0.2, 0.3), ends=True),
    )
    assert [t.stable.wall_s for t in word_times(streamed)] == [1.0, 1.0, 3.0]


def test_an_utterances_last_final_clears_the_tail() -> None:
    """What a final that ends the utterance did not take is gone."""
    streamed = trace(partial(1.0, "a", "b"), final(2.0, word("a", 0.0, 0.1), ends=True))
    assert displays(streamed)[-1].tail == ()


def test_a_final_and_the_partial_after_it_are_one_display() -> None:
    """Two messages 10 ms apart: nobody sees the tail vanish in between."""
    streamed = trace(
        partial(1.0, "a", "b"),
        final(2.0, word("a", 0.0, 1.0)),
        partial(2.01, "b", start_s=1.0),
        final(3.0, word("b", 1.0, 1.1)),
    )
    assert [t.stable.wall_s for t in word_times(streamed)] == [1.0, 1.0]


def test_a_long_display_that_comes_to_little_has_what_it_comes_to() -> None:
    """Of ten words, most of a loop, one stays."""
    streamed = trace(
        partial(1.0, *["yes", "no", "no", "no", "no", "no", "no", "no", "no", "no"]),
        final(2.0, word("yes", 0.0, 0.5), ends=True),
    )
    assert [t.stable.wall_s for t in word_times(streamed)] == [1.0]


def test_case_and_punctuation_count_as_change_only_when_asked() -> None:
    """'hello' becomes 'Hello,' at 2: the same word to `plain`, another to `str.strip`."""
    streamed = trace(partial(1.0, "hello"), partial(2.0, "Hello,"), final(3.0, word("Hello,", 0.0, 0.5)))
    assert [time.delay_s("stable") for time in word_times(streamed)] == [0.5]
    assert [time.delay_s("stable") for time in word_times(streamed, str.strip)] == [1.5]


def test_the_audio_clock_leaves_computation_out() -> None:
    """The same word, 0.3 s of audio after its end and 0.5 s of wall time."""
    entry = final(0.0, word("yes", 0.0, 1.0))
    streamed = trace(Entry(entry.event, audio_s=1.3, wall_s=1.5))
    (only,) = word_times(streamed)
    assert only.delay_s("stable", "audio") == pytest.approx(0.3)
    assert only.delay_s("stable") == pytest.approx(0.5)


def test_ends_come_from_the_reference_alignment_where_there_is_one() -> None:
    """Equal words in order get the reference's ends, whatever their case; a misheard one that of its reference word."""
    spans = (Span("The", 0.0, 0.3), Span("cat", 0.3, 0.8), Span("sat.", 0.8, 1.2))
    streamed = trace(final(2.0, word("the", 0, 9), word("hat", 0, 9), word("sat", 0, 9)), reference_words=spans)
    assert word_ends(streamed) == (0.3, 0.8, 1.2)
    assert end_source([streamed]) == "reference alignment"
    assert all(time.delay_s("stable") is not None for time in word_times(streamed))


def test_ends_are_the_systems_own_without_one_and_it_is_said() -> None:
    """A report must tell which: a system's own times may flatter it."""
    streamed = trace(final(2.0, word("yes", 0.5, 1.0)))
    assert word_ends(streamed) == (1.0,)
    assert end_source([streamed]) == "system's own word times"


def test_no_word_ends_after_the_segment_that_it_is_spoken_in() -> None:
    """The system's time for 'sat' lies in the pause, and so would hide 0.75 s of its delay; 'uh' is in no segment."""
    segments = (Span("The cat sat.", 0.0, 1.25), Span("It slept.", 3.0, 4.0))
    words = (word("the", 0, 0.5), word("cat", 0.5, 1.0), word("sat", 1, 2), word("uh", 2, 2.5), word("it", 3, 3.5))
    streamed = trace(final(5.0, *words), reference_segments=segments)
    assert word_ends(streamed) == (0.5, 1.0, 1.25, 2.5, 3.5)
    assert end_source([streamed]) == "system's own word times, segment-clipped"


def test_segments_clip_nothing_where_words_are_aligned_or_not_written_apart() -> None:
    """An alignment is better; in Chinese a word of the transcript cannot be assigned to a segment."""
    segments = (Span("yes", 0.0, 0.5), Span("no", 1.0, 1.5))
    aligned = trace(final(5.0, word("yes", 0, 1)), reference_segments=segments, reference_words=(Span("yes", 0, 0.75),))
    assert (word_ends(aligned), end_source([aligned])) == ((0.75,), "reference alignment")
    chinese = trace(final(5.0, word("yes", 0, 1)), reference_segments=segments, language="zh")
    assert (word_ends(chinese), end_source([chinese])) == ((1,), "system's own word times")


def test_finalisation_is_from_the_streams_end_to_the_last_words() -> None:
    """An empty final after it does not count; what was final before the end took no time; no words, no time."""
    late = trace(final(9.0, word("a")), final(10.5, word("b")), final(11.0), end_wall_s=10.0)
    assert finalisation_s(late) == 0.5
    assert finalisation_s(trace(final(9.0, word("a")), end_wall_s=10.0)) == 0.0
    assert finalisation_s(trace(Entry(SpeechStarted(0.0), 1.0, 1.0))) is None


def test_a_trace_without_words_has_no_delays() -> None:
    """Silence is no special case."""
    assert word_times(trace(partial(1.0, "uh"), partial(2.0))) == ()
    assert word_times(trace()) == ()


def ends(reference: tuple[Span, ...], *texts: str) -> list[float | None]:
    """The ends of these words, recognised in order, for an aligned reference."""
    words = tuple(word(text, 20.0 + i, 21.0 + i) for i, text in enumerate(texts))
    return list(word_ends(trace(final(9.0, *words), reference_words=reference)))


THE_CAT_SAT = (Span("the", 0.0, 1.0), Span("cat", 1.0, 2.0), Span("sat", 2.0, 3.0))


def test_a_misheard_word_ends_with_the_reference_word_that_it_stands_for() -> None:
    """Leaving it out would leave out the late words: models change the words that they are not sure of."""
    assert ends(THE_CAT_SAT, "the", "bat", "sat") == [1.0, 2.0, 3.0]
    assert ends(THE_CAT_SAT, "a", "bat", "sad") == [1.0, 2.0, 3.0]


def test_a_made_up_word_ends_nowhere() -> None:
    """Between two right words where the reference has nothing, and at either end."""
    assert ends(THE_CAT_SAT, "the", "big", "cat", "sat") == [1.0, None, 2.0, 3.0]
    assert ends(THE_CAT_SAT, "well", "the", "cat", "sat", "down") == [None, 1.0, 2.0, 3.0, None]


def test_a_missed_word_takes_no_end_from_another() -> None:
    """The words around it keep theirs."""
    assert ends(THE_CAT_SAT, "the", "sat") == [1.0, 3.0]
    assert ends(THE_CAT_SAT, "cat") == [2.0]


def test_words_that_were_split_or_joined_end_where_their_letters_do() -> None:
    """Both parts of a split word have its end, a joined one that of its last part; of "in to a" for "into" all letters
    but the a are in it."""
    into, in_to = (Span("into", 1.0, 2.0),), (Span("in", 1.0, 1.4), Span("to", 1.4, 2.0))
    assert ends(into, "in", "two") == [2.0, 2.0]
    assert ends(in_to, "into") == [2.0]
    assert ends((*in_to, Span("sea", 2.0, 3.0)), "into", "see") == [2.0, 3.0]


def test_of_several_wrong_words_the_similar_ones_stand_for_each_other() -> None:
    """'sitting' was missed, 'cot' misheard: it ends with 'cat', wherever a minimal alignment of words would put it."""
    reference = (Span("the", 0.0, 1.0), Span("sitting", 1.0, 2.0), Span("cat", 2.0, 3.0), Span("ran", 3.0, 4.0))
    assert ends(reference, "the", "cot", "ran") == [1.0, 3.0, 4.0]
