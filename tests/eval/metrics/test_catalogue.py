"""Each figure on traces small enough to be done by hand."""

from dataclasses import replace

import jiwer
import pytest

from asr.events import Partial, SpeechEnded, SpeechStarted
from eval.metrics.catalogue import BY_KEY, MEASURES, WER, compare, estimate, note, peak_memory_bytes, ratio
from eval.metrics.scored_trace import Judged
from eval.trace import Entry, Span
from tests.eval.fakes import final, partial, said, trace, word
from tests.eval.run_folders import spoken


def value(key: str, *traces) -> float | None:
    return estimate(BY_KEY[key], [Judged(t) for t in traces]).value


def test_wer_is_jiwers_on_the_same_texts() -> None:
    """Of all utterances together, by jiwer itself."""
    traces = spoken("m", every=4)
    by_hand = jiwer.wer([t.reference for t in traces], [t.text for t in traces])
    assert value("wer", *traces) == pytest.approx(100 * by_hand)


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


def test_an_end_of_speech_is_timed_where_the_stream_went_on() -> None:
    """Word ends at 1.0, said at 1.6; the second end comes with the stream's own and tells nothing."""
    entries = [final(1.5, word("a", 0.5, 1.0), ends=True), Entry(SpeechEnded(1.2), 1.6, 1.6)]
    entries += [final(10.1, word("b", 9.0, 9.5), ends=True), Entry(SpeechEnded(9.7), 10.0, 10.1)]
    assert value("endpoint_p99", trace(*entries)) == pytest.approx(0.6)


def test_lag_is_audio_spoken_and_not_yet_heard() -> None:
    """At wall time 3.0, 2.5 s received, the update had heard 2.0 s."""
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
    """Two of three shown words changed in ten seconds."""
    flickering = trace(partial(1.0, "a", "x"), partial(2.0, "a", "y"), final(3.0, word("a"), word("b"), ends=True))
    assert value("flicker", flickering) == pytest.approx(0.2)
    assert value("changed", flickering) == pytest.approx(100 * 2 / 4)


def test_costs_are_summed_before_they_are_divided() -> None:
    """1 + 3 CPU seconds of 10 + 10 seconds; what was not measured counts in neither; memory is the largest."""
    one, two = (said("a", cpu_s=cost, busy_s=cost, peak_memory_bytes=int(cost)) for cost in (1.0, 3.0))
    assert value("cpu", one, two, said("a")) == pytest.approx(0.2)
    assert value("rtfx", one, two) == pytest.approx(5.0)
    assert peak_memory_bytes([Judged(one), Judged(two), Judged(said("a"))]) == 3


def test_coverage_says_how_many_words_had_a_time() -> None:
    """ "b" is not in the reference."""
    half = trace(final(3.0, word("a"), word("b")), reference="a", reference_words=(Span("a", 0.0, 0.5),))
    assert value("coverage", half) == 50.0


def test_offline_has_no_delays() -> None:
    """All came at once."""
    whole = said("a", reference="a", mode="offline")
    for measure in MEASURES:
        if measure.unit == "s" or measure.key in ("coverage", "changed", "flicker", "unstable"):
            assert value(measure.key, whole) is None


def test_every_figure_has_an_interval_around_it() -> None:
    """On forty utterances of twenty speakers."""
    judged = [Judged(t) for t in spoken("m", every=4)]
    for measure in MEASURES:
        found = estimate(measure, judged)
        if found.value is not None:
            assert found.low is not None
            assert found.high is not None
            assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    assert note(judged) == "d: 20 speakers"


def test_a_chapter_is_resampled_by_its_segments() -> None:
    """One recording, two segments: its WER has an interval."""
    spans = (Span("red dogs", 0, 1), Span("big green cars", 1, 2))
    chapter = said("red dogs big red cars", reference="red dogs big green cars", reference_segments=spans)
    found = estimate(WER, [Judged(chapter)])
    assert (found.low, found.high) == (0.0, pytest.approx(100 / 3))


def test_systems_are_compared_on_the_same_recordings_only() -> None:
    """Other utterances would be compared with nothing."""
    left, right = ([Judged(t) for t in spoken(name, every=e)] for name, e in (("a", 4), ("b", 0)))
    assert compare(WER, left, right).value == pytest.approx(100 * 10 / 320)
    assert ratio(BY_KEY["cpu"], left, right).value == pytest.approx(1.0)
    with pytest.raises(ValueError, match="same utterances"):
        compare(WER, left, right[:5])


def test_each_figure_has_a_key_and_a_definition_of_its_own() -> None:
    """Tables and thresholds name them."""
    assert len(BY_KEY) == len(MEASURES)
    assert all(measure.what.endswith(".") for measure in MEASURES)
