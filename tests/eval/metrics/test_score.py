"""Traces -> scores and reports."""

import json
from io import StringIO

from rich.console import Console

from eval.metrics.score import LostEnd, lost_ends, scores, streamed_minus_offline
from eval.metrics.word_errors import Counts
from eval.metrics.word_times import Percentiles
from eval.report.terminal import number, rate, report_of, summary
from eval.runs.signature import Machine, Model, Signature
from tests.eval.fakes import final, partial, said, trace, word

SIGNATURE = Signature({"d": "0" * 64}, "n 1", (Model("m"),), {}, "abc", Machine("cpu", 2, "Linux"), {"python": "3.11"})


def test_errors_are_counted_raw_and_normalised() -> None:
    """'Hello,' is wrong as it is written and right when normalised."""
    (score,) = scores([said("hello world", reference="Hello, world")])
    assert score.accuracy.raw == Counts(hits=1, substitutions=1)
    assert score.accuracy.normalised == Counts(hits=2)
    assert score.accuracy.unit == "word"


def test_counts_are_summed_over_utterances_of_one_model_set_and_mode() -> None:
    """1 error of 1 and 0 of 3 are 1 of 4, not a half."""
    traces = [said("no", reference="yes"), said("cats see dogs", reference="cats see dogs")]
    other = said("no", reference="no", mode="offline")
    first, second = scores([*traces, other])
    assert first.accuracy.normalised.rate == 0.25
    assert (first.mode, first.utterances, second.mode, second.utterances) == ("replay", 2, "offline", 1)


def test_noise_that_gave_words_is_scored() -> None:
    """An empty reference: insertions without a rate, which a table shows as what they are."""
    (score,) = scores([said("thank you", reference="")])
    assert score.accuracy.normalised == Counts(insertions=2)
    assert rate(score.accuracy.normalised) == "2 inserted"


def test_offline_has_no_delays() -> None:
    """Everything came at once."""
    (score,) = scores([said("a", mode="offline")])
    assert score.delays is None
    assert score.stability is None


def test_delays_are_pooled_over_words() -> None:
    """Words at 1.0 and 3.0 s after their ends."""
    one = trace(partial(1.0, "a"), final(2.0, word("a", 0.0, 0.0)), end_wall_s=1.5)
    two = trace(partial(3.0, "b"), final(4.0, word("b", 0.0, 0.0)), end_wall_s=1.5)
    (score,) = scores([one, two])
    assert score.delays is not None
    assert score.delays.stable == Percentiles(2, 2, 2.0, 2.8, 2.9, 2.98)
    assert score.delays.finalisation.p50 == 1.5


def test_a_lost_last_word_is_found() -> None:
    """'mat' is missing; what comes after it may differ a little; an empty offline text has nothing to lose."""
    offline = [said("the cat sat on the mat", utterance=name, mode="offline") for name in ("a", "b", "c")]
    offline.append(said("", utterance="e", mode="offline"))
    streamed = [said("The cat sat on the", utterance="a"), said("a cat sat on the mat.", utterance="b")]
    streamed += [said("the cat sat on the mat you", utterance="c"), said("uh", utterance="e")]
    assert lost_ends(offline, streamed) == (LostEnd("a", "the cat sat on the mat", "the cat sat on the"),)


def test_streaming_is_compared_with_offline_in_points() -> None:
    """One error more of four words is 25 points."""
    offline = said("a b c d", reference="a b c d", mode="offline")
    streamed = said("a b c x", reference="a b c d")
    whole, live = scores([offline, streamed])
    assert streamed_minus_offline(live, whole) == 25.0


def test_the_report_is_plain_json_and_holds_what_was_left_out() -> None:
    """Rates stand beside their counts; broken streams are named."""
    traces = [said("a b", reference="a c", mode="offline"), said("a", reference="a c", error="it broke")]
    report = json.loads(json.dumps(report_of(traces, SIGNATURE, [])))
    assert report["scores"][0]["accuracy"]["normalised"]["rate"] == 0.5
    assert report["streamed"][0]["lost_ends"][0]["utterance"] == "u"
    assert report["failed"] == [{"utterance": "u", "mode": "replay", "error": "it broke"}]
    assert report["signature"]["machine"]["cores"] == 2


def test_the_table_shows_what_is_known() -> None:
    """A dash where nothing is."""
    console = Console(width=200, file=StringIO())
    console.print(summary([said("a b", reference="a b", mode="offline"), said("a b", reference="a b", cpu_s=1.0)]))
    text = console.file.getvalue()
    assert "0.100" in text
    assert "+0.00" in text
    assert "system's own word times" in text
    assert number(None, ".2f") == "-"
