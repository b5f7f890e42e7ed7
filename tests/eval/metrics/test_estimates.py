"""Metrics as numbers: values, intervals, comparisons."""

from dataclasses import replace

import pytest
from scipy import stats

from eval.metrics.catalogue import BY_KEY, CPU, METRICS, WER
from eval.metrics.estimates import (
    compare,
    estimate,
    estimate_of_rounds,
    peak_memory_bytes,
    ratio,
    units_of_traces,
    value_of,
)
from eval.metrics.resampling import Interval
from eval.metrics.rounds import MACHINE_ALPHA
from eval.metrics.scored_trace import ScoredTrace
from eval.trace import Span
from tests.eval.fakes import said
from tests.eval.run_folders import spoken


def test_every_metric_has_an_interval_around_its_value() -> None:
    """On forty utterances of twenty speakers; none where all speakers have the same value."""
    scored = [ScoredTrace(t) for t in spoken("m", every=4, speakers=20)]
    intervals = {metric.key: estimate(metric, scored) for metric in METRICS}
    for metric in METRICS:
        estimated = intervals[metric.key]
        assert estimated.value == value_of(metric, scored)
        people = [[s for s in scored if s.trace.speaker == f"s{i}"] for i in range(20)]
        if len({value_of(metric, mine) for mine in people}) > 1:
            assert estimated.low is not None
            assert estimated.high is not None
            assert estimated.low - 1e-9 <= estimated.value <= estimated.high + 1e-9
    assert intervals["wer"].value is not None
    assert units_of_traces(scored).note == "d: 20 speakers"


def test_words_and_characters_have_no_common_rate() -> None:
    """Whatever asks for it; a figure in seconds or digits has none of the two units."""
    english = said("seven red foxes", reference="seven red dogs", speaker="a")
    chinese = said("你好一", reference="你们一", language="zh", utterance="z", speaker="b")
    scored = [ScoredTrace(english), ScoredTrace(chinese)]
    for key in ("wer", "wer_raw", "made_up_in_speech", "flicker", "changed_aligned", "unstable", "wer_first_final"):
        assert estimate(BY_KEY[key], scored) == Interval(None)
        assert compare(BY_KEY[key], scored, scored).value is None
    assert value_of(BY_KEY["number_wer"], scored) == 0.0
    assert value_of(BY_KEY["wer"], scored[:1]) == pytest.approx(100 / 3)


def test_a_share_is_never_above_all_of_it() -> None:
    """Perfect recordings of eight speakers, one of whom is always wrong; an error rate may be above 100 %."""
    words = ["red dogs"] * 7 + ["big dogs and more dogs"]
    traces = [said(text, reference="red dogs", speaker=f"s{i}", utterance=str(i)) for i, text in enumerate(words)]
    scored = [ScoredTrace(trace) for trace in traces]
    found = estimate(BY_KEY["perfect"], scored)
    assert (found.value, found.high) == (87.5, 100.0)
    assert {metric.key for metric in METRICS if metric.is_share} >= {
        "perfect",
        "loops",
        "cut_turns",
        "reference_coverage",
    }
    assert (estimate(WER, scored).high or 0.0) > 100


def test_costs_are_of_all_repeats_with_the_machines_noise() -> None:
    """Three repeats at 0.09, 0.10 and 0.11: the mean, and Student's interval of it, as all speakers cost the same."""
    rounds = [[ScoredTrace(t) for t in spoken("m", cost=cost)] for cost in (0.9, 1.0, 1.1)]
    whole = estimate_of_rounds(CPU, rounds)
    assert whole.value == pytest.approx(0.1)
    assert whole.high == pytest.approx(0.1 + stats.t.ppf(1 - MACHINE_ALPHA / 2, 2) * 0.01 / 3**0.5)
    assert estimate_of_rounds(CPU, rounds[:2]).value == pytest.approx(0.095)
    assert estimate_of_rounds(WER, rounds) == estimate(WER, rounds[0])


def test_one_recording_has_no_interval() -> None:
    """Its segments are of one voice in one room: they say nothing of other recordings."""
    spans = (Span("red dogs", 0, 1), Span("big green cars", 1, 2))
    chapter = said("red dogs big red cars", reference="red dogs big green cars", reference_segments=spans)
    assert estimate(WER, [ScoredTrace(chapter)]) == Interval(pytest.approx(20.0))


def test_a_label_that_only_one_run_has_is_used_for_both() -> None:
    """The same recordings are the same people, also where one run was made before the labels were known."""
    left = [ScoredTrace(t) for t in spoken("a", every=4)]
    right = [ScoredTrace(replace(t, speaker="")) for t in spoken("b")]
    known = compare(WER, left, [ScoredTrace(t) for t in spoken("b")])
    assert compare(WER, left, right) == known


def test_systems_are_compared_on_the_same_recordings_only() -> None:
    """Ten of 320 words; other utterances would be compared with nothing."""
    left, right = ([ScoredTrace(t) for t in spoken(name, every=e)] for name, e in (("a", 4), ("b", 0)))
    assert compare(WER, left, right).value == pytest.approx(100 * 10 / 320)
    assert ratio(CPU, left, right).value == pytest.approx(1.0)
    with pytest.raises(ValueError, match="same utterances"):
        compare(WER, left, right[:5])


def test_peak_memory_is_the_largest() -> None:
    """A trace that was not measured does not count; without a measurement there is none."""
    scored = [ScoredTrace(said("a", peak_memory_bytes=size)) for size in (1, 3, None)]
    assert peak_memory_bytes(scored) == 3
    assert peak_memory_bytes(scored[2:]) is None
