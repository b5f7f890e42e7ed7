"""Each metric on traces small enough to be computed by hand."""

from dataclasses import replace

import jiwer
import pytest

from asr.events import Partial, SpeechEnded, SpeechStarted
from eval.metrics.catalogue import BY_KEY, METRICS
from eval.metrics.estimates import value_of
from eval.metrics.scored_trace import ScoredTrace
from eval.trace import Entry, Span, Trace
from tests.eval.fakes import final, partial, said, trace, word
from tests.eval.run_folders import spoken


def value(key: str, *traces: Trace) -> float | None:
    """One metric of these traces."""
    return value_of(BY_KEY[key], [ScoredTrace(t) for t in traces])


def test_wer_is_jiwers_on_the_same_texts() -> None:
    """Of all utterances together, by jiwer itself."""
    traces = spoken("m", every=4)
    by_hand = jiwer.wer([t.reference for t in traces], [t.text for t in traces])
    assert value("wer", *traces) == pytest.approx(100 * by_hand)


def test_errors_are_counted_as_written_and_normalised() -> None:
    """'Hello,' is wrong as written and right when normalised."""
    hello = said("hello world", reference="Hello, world")
    assert value("wer_raw", hello) == 50.0
    assert value("wer", hello) == 0.0


def test_counts_are_summed_before_they_are_divided() -> None:
    """1 error of 1 word and 0 of 3 are 1 of 4, not a half."""
    assert value("wer", said("no", reference="yes"), said("cats see dogs", reference="cats see dogs")) == 25.0


def test_words_where_nothing_is_said_are_errors_and_counted_by_the_minute() -> None:
    """Two words in half a minute of noise are four a minute; of two such recordings one has words; the reference has
    four words, so they are half of it."""
    noise = [said("thank you", reference="", duration_s=20.0), said("", reference="", duration_s=10.0, utterance="v")]
    speech = said("a b c d", reference="a b c d", utterance="w")
    assert value("made_up", *noise, speech) == 4.0
    assert value("made_up_share", *noise, speech) == 50.0
    assert value("wer", *noise, speech) == 50.0
    assert value("made_up", speech) is None


def test_the_first_words_are_timed_from_the_onset() -> None:
    """The alignment's onset where there is one, else the system's own."""
    shown = trace(Entry(SpeechStarted(0.7), 1.0, 1.0), partial(2.0, "a"), final(3.0, word("a")), reference="a")
    assert value("first_p50", shown) == pytest.approx(1.3)
    assert value("first_p50", replace(shown, reference_words=(Span("a", 0.5, 0.9),))) == pytest.approx(1.5)


def test_delays_are_pooled_over_words() -> None:
    """Two words, 1.0 and 3.0 s after their ends; linear interpolation between them."""
    one = trace(partial(1.0, "a"), final(2.0, word("a", 0.0, 0.0)), end_wall_s=1.5)
    two = trace(partial(3.0, "b"), final(4.0, word("b", 0.0, 0.0)), end_wall_s=1.5)
    assert [value(f"stable_p{p}", one, two) for p in (50, 90, 95, 99)] == pytest.approx([2.0, 2.8, 2.9, 2.98])
    assert value("finalisation_p50", one, two) == 1.5


def test_case_and_punctuation_count_as_a_change_only_where_the_metric_says_so() -> None:
    """'hello' becomes 'Hello,' at 2 s: the same word to `stable`, another to `stable_exact`."""
    streamed = trace(partial(1.0, "hello"), partial(2.0, "Hello,"), final(3.0, word("Hello,", 0.0, 0.5)))
    assert (value("stable_p50", streamed), value("stable_exact_p50", streamed)) == (0.5, 1.5)


def test_an_end_of_speech_is_timed_where_the_stream_went_on() -> None:
    """Word ends at 1.0, reported at 1.6; the second end comes with the stream's own and is no decision."""
    entries = [final(1.6, word("a", 0.5, 1.0), ends=True), Entry(SpeechEnded(1.2), 1.6, 1.6)]
    entries += [final(10.1, word("b", 9.0, 9.5), ends=True), Entry(SpeechEnded(9.7), 10.0, 10.1)]
    assert value("endpoint_p99", trace(*entries)) == pytest.approx(0.6)
    assert value("premature_ends", trace(*entries)) is None  # not known without the times of the reference


def test_ends_reported_within_a_word_are_counted_apart() -> None:
    """Of two ends one comes 0.5 s before its word is over."""
    words = (Span("a", 0.5, 1.0), Span("b", 1.5, 3.0))
    entries = [final(1.4, word("a", 0.5, 1.0), ends=True), final(2.5, word("b", 1.5, 2.0), ends=True)]
    cut = trace(*entries, reference="a b", reference_words=words)
    assert value("endpoint_p99", cut) == pytest.approx(0.4)
    assert value("premature_ends", cut) == 50.0


def test_reference_words_that_were_never_recognised_have_no_delay() -> None:
    """Of four words one is missing; a misheard one has a delay."""
    heard = trace(final(3.0, word("a"), word("x"), word("d")), reference="a b c d")
    assert value("reference_coverage", heard) == 75.0
    assert value("reference_coverage", said("a", reference="", mode="live")) is None


def test_lag_is_audio_spoken_and_not_yet_processed() -> None:
    """At wall time 3.0, 2.5 s received, the update covered 2.0 s."""
    update = trace(Entry(Partial((), 0.0, 2.0, "en"), 2.5, 3.0))
    assert value("lag_p50", update) == pytest.approx(1.0)
    assert value("lag_audio_p50", update) == pytest.approx(0.5)


def test_laal_on_the_papers_definition() -> None:
    """Source 4 s, reference 4 words, transcript 2: X / max(2, 4) = 1 s a word. Words final at 2 and 5 s: delays 2 - 0
    and 5 - 1, the second is the first beyond the source's end: mean 3. Over-generation is not rewarded: six words make
    the step 4 / 6."""
    late = trace(final(2.0, word("a")), final(5.0, word("b")), reference="a b c d", duration_s=4.0)
    assert value("laal", late) == pytest.approx(3.0)
    more = trace(final(2.0, word("a")), final(5.0, *(word(w) for w in "bcdef")), reference="a b c d", duration_s=4.0)
    assert value("laal", more) == pytest.approx(((2 - 0) + (5 - 4 / 6)) / 2)


def test_flicker_is_changes_per_second() -> None:
    """Two of four shown words changed in ten seconds; the final text has two."""
    flickering = trace(partial(1.0, "a", "x"), partial(2.0, "a", "y"), final(3.0, word("a"), word("b"), ends=True))
    assert value("flicker", flickering) == pytest.approx(0.2)
    assert value("changed", flickering) == pytest.approx(100 * 2 / 4)
    assert value("unstable", flickering) == 1.0


def test_flicker_by_alignment_leaves_out_words_that_only_moved() -> None:
    """A word put in front of two: both places show another word, neither word changed."""
    moved = trace(partial(1.0, "b", "c"), final(3.0, word("a"), word("b"), word("c"), ends=True))
    assert value("flicker", moved) == pytest.approx(0.2)
    assert value("flicker_aligned", moved) == 0.0
    assert value("changed_aligned", moved) == 0.0


def test_stream_laal_is_the_mean_over_segments() -> None:
    """Two segments of 2 s with two words each, all words final 1 s and 3 s after the start of theirs: (1 + (3 - 1)) / 2
    each. LAAL over the whole would measure against words that come evenly over both."""
    segments = (Span("a b", 0.0, 2.0), Span("c d", 2.0, 4.0))
    words = [final(at, word(text)) for at, text in ((1.0, "a"), (3.0, "b"), (3.0, "c"), (5.0, "d"))]
    streamed = trace(*words, reference="a b c d", reference_segments=segments, duration_s=4.0)
    assert value("stream_laal", streamed) == pytest.approx(1.5)
    assert value("stream_laal_audio", streamed) == pytest.approx(1.5)


def test_stability_is_summed_over_traces_before_it_is_divided() -> None:
    """One trace with a change of two showings, one without of one: a third."""
    changing = trace(partial(1, "a"), final(2, word("b", 0, 0.1)))
    assert value("changed", changing, trace(final(2, word("b", 0, 0.1)))) == pytest.approx(100 / 3)
    assert value("changed", trace()) is None


def test_costs_are_summed_before_they_are_divided() -> None:
    """10 s at 0.1 and 90 s at 0.2: 19 CPU seconds over 100 s; what was not measured counts in neither sum."""
    short, long = said("a", duration_s=10.0, cpu_s=1.0, busy_s=1.0), said("a", duration_s=90.0, cpu_s=18.0, busy_s=4.0)
    assert value("cpu", short, long, said("a")) == pytest.approx(0.19)
    assert value("rtfx", short, long, said("a")) == pytest.approx(20.0)
    assert value("cpu", said("a")) is None


def test_coverage_says_how_many_words_had_a_time() -> None:
    """ "b" is not in the reference."""
    half = trace(final(3.0, word("a"), word("b")), reference="a", reference_words=(Span("a", 0.0, 0.5),))
    assert value("coverage", half) == 50.0


def test_offline_has_no_delays() -> None:
    """All words came in one event."""
    whole = said("a", reference="a", mode="offline")
    for metric in METRICS:
        if metric.unit == "s" or metric.key in ("coverage", "changed", "flicker", "unstable"):
            assert value(metric.key, whole) is None


def test_each_metric_has_its_own_key_and_a_definition() -> None:
    """Tables and thresholds name them by key."""
    assert len(BY_KEY) == len(METRICS)
    assert all(metric.what.endswith(".") for metric in METRICS)
    assert all((metric.sums is None) != (metric.values is None) for metric in METRICS)
