"""Summaries of groups of traces."""

import pytest

from eval.metrics.catalogue import CPU, METRICS, WER
from eval.metrics.estimates import unit_of, value_of
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.summary import LostEnd, StreamedLoss, group, lost_ends, streamed_losses, summaries
from eval.metrics.word_errors import Counts
from eval.trace import Trace
from tests.eval.fakes import said
from tests.eval.run_folders import spoken


def scored(*traces: Trace) -> list[ScoredTrace]:
    return [ScoredTrace(trace) for trace in traces]


def test_one_summary_for_each_model_set_and_mode() -> None:
    """In the order of their first traces; broken streams are counted and scored."""
    traces = [said("no", reference="yes"), said("a b", reference="a b", error="it broke")]
    first, second = summaries(group(scored(*traces, said("no", reference="no", mode="offline"))))
    assert (first.mode, first.utterances, first.failed) == ("replay", 2, 1)
    assert (second.mode, second.utterances, second.failed) == ("offline", 1, 0)
    assert first.counts == Counts(hits=2, substitutions=1)
    assert first.end_source == "system's own word times"
    assert second.end_source == ""


def test_a_summary_has_the_catalogues_value_of_every_metric() -> None:
    """There is one answer to each metric."""
    traces = scored(*spoken("m", every=4))
    (summary,) = summaries(group(traces))
    assert {metric.key: summary.value(metric) for metric in METRICS} == {m.key: value_of(m, traces) for m in METRICS}
    assert summary.value(WER) == pytest.approx(100 * summary.counts.errors / summary.counts.reference_length)
    assert summary.value(CPU) == pytest.approx(0.1)


def test_noise_that_gave_words_has_counts_but_no_rate() -> None:
    """An empty reference: insertions only."""
    (summary,) = summaries(group(scored(said("thank you", reference=""))))
    assert summary.counts == Counts(insertions=2)
    assert summary.value(WER) is None


def test_a_lost_last_word_is_found() -> None:
    """'mat' is missing; what comes after it may differ a little; an empty offline text has nothing to lose."""
    offline = [said("the cat sat on the mat", utterance=name, mode="offline") for name in ("a", "b", "c")]
    offline.append(said("", utterance="e", mode="offline"))
    streamed = [said("The cat sat on the", utterance="a"), said("a cat sat on the mat.", utterance="b")]
    streamed += [said("the cat sat on the mat you", utterance="c"), said("uh", utterance="e")]
    lost = lost_ends(scored(*offline), scored(*streamed))
    assert lost == (LostEnd("a", "the cat sat on the mat", "the cat sat on the"),)


def test_streaming_is_compared_with_offline_in_points() -> None:
    """One error more of four words is 25 points; a set that was only streamed is not compared."""
    offline = said("a b c d", reference="a b c d", mode="offline")
    streamed = said("a b c x", reference="a b c d")
    alone = said("a", reference="a", dataset="e")
    lost = (LostEnd("u", "a b c d", "a b c x"),)
    assert streamed_losses(group(scored(offline, streamed, alone))) == (StreamedLoss("m", "d", "replay", 25.0, lost),)


def test_the_unit_is_named() -> None:
    """Characters where no spaces are written; both where languages are mixed."""
    english, chinese = said("a"), said("他", language="zh")
    assert [unit_of(scored(*some)) for some in ((english,), (chinese,), (english, chinese))] == [
        "words",
        "characters",
        "words and characters",
    ]
