"""Differences on parts of the data."""

from dataclasses import replace

import pytest

from eval.report.build import report_of
from eval.report.capacity_plan import Wanted
from eval.report.parts import set_comparisons, slice_comparisons
from eval.report.systems import System, comparisons, systems_of
from eval.report.verdict import Verdict, verdict
from eval.trace import Trace
from tests.eval.fakes import said
from tests.eval.run_folders import run_of, spoken


def in_set(name: str, traces: list[Trace]) -> list[Trace]:
    return [replace(trace, dataset=name) for trace in traces]


OPPOSITE = [
    *in_set("easy", spoken("a", every=2)),
    *in_set("easy", spoken("b")),
    *in_set("hard", spoken("a")),
    *in_set("hard", spoken("b", every=2)),
]
"""Each model is better on one set by 6.25 points; together they are equal."""


def systems(*traces: Trace) -> tuple[System, ...]:
    return systems_of([run_of("r", traces)])


def verdict_on(*traces: Trace) -> Verdict:
    mine = systems(*traces)
    return verdict([run_of("r", [])], mine, comparisons(mine), set_comparisons(mine))


def test_sets_are_compared_each_by_itself_with_one_correction_for_all() -> None:
    """Two sets: Holm over two comparisons."""
    easy, hard = set_comparisons(systems(*OPPOSITE))
    assert (easy.part, easy.wer.value) == ("easy", pytest.approx(6.25))
    assert (hard.part, hard.wer.value) == ("hard", pytest.approx(-6.25))
    assert easy.is_significant
    assert hard.is_significant
    assert easy.p_holm == pytest.approx(2 * (easy.wer.p or 0))


def test_opposite_results_are_not_averaged_away() -> None:
    """They stand in the first sentence, before the average."""
    headline = verdict_on(*OPPOSITE).headline
    assert headline.startswith("It depends on the data: on easy b is better than a by 6.2 points (")
    assert "; on hard a is better than b by 6.2 points (" in headline
    assert verdict_on(*OPPOSITE).reasons[0].startswith("All together: No difference in WER is shown")


def test_one_sets_result_leads_where_the_average_hides_it() -> None:
    """The other set is larger and shows nothing, and so does the average."""
    large = [in_set("large", spoken(model, every=8, utterances=400, seed=seed)) for model, seed in (("a", 1), ("b", 1))]
    noise = [replace(trace, entries=spoken("a", utterances=1)[0].entries) for trace in large[1][:30]]
    headline = verdict_on(*OPPOSITE[:80], *large[0], *noise, *large[1][30:]).headline
    assert headline.startswith("It depends on the data: on easy b is better than a")
    assert "on large no difference is shown" in headline


def test_sets_that_disagree_lead_for_three_models_too() -> None:
    """Before the lowest average."""
    third = [*in_set("easy", spoken("c")), *in_set("hard", spoken("c"))]
    headline = verdict_on(*OPPOSITE, *third).headline
    assert headline.startswith("Data sets disagree on a and b, replay: on easy b is better than a")


def test_the_average_is_the_headline_where_sets_agree() -> None:
    """Both sets find b better."""
    same = [*in_set("x", spoken("a", every=2)), *in_set("x", spoken("b"))]
    same += [*in_set("y", spoken("a", every=2)), *in_set("y", spoken("b"))]
    assert verdict_on(*same).headline.startswith("Choose b: 6.2 points less WER than a")


def test_few_speakers_of_a_set_are_named() -> None:
    """Nothing can be beyond chance there."""
    few = [*in_set("few", spoken("a", every=1, speakers=3)), *in_set("few", spoken("b", speakers=3))]
    assert "on few there are too few speakers to tell (3)" in verdict_on(*OPPOSITE, *few).headline


def test_slices_are_compared_with_a_correction_for_all_of_them() -> None:
    """By device: all of the difference is on the telephone."""

    def on_devices(traces: list[Trace]) -> list[Trace]:
        names = ["telephone"] * 20 + ["headset"] * 20
        return [replace(t, attributes=(("device", name),)) for t, name in zip(traces, names, strict=True)]

    left = on_devices([*spoken("a", every=1, speakers=20)[:20], *spoken("a", speakers=20)[20:]])
    rows = {c.part: c for c in slice_comparisons(systems(*left, *on_devices(spoken("b", speakers=20))), "replay")}
    assert rows["telephone"].is_significant
    assert rows["headset"].wer.value == 0
    assert rows["telephone"].comparisons >= 2


def words_and_characters(model: str, first: str) -> list[Trace]:
    """Ten words and twenty characters by each of twelve speakers; the first word is wrong unless it is "ant"."""
    traces = []
    words = "bee cat dog elk fox gnu hen ibis jay"
    for i in range(12):
        about = {"model": model, "speaker": f"s{i}"}
        traces.append(said(f"{first} {words}", reference=f"ant {words}", utterance=f"e{i}", **about))
        about |= {"dataset": "zh", "language": "zh"}
        traces.append(said("你好" * 10, reference="你好" * 10, utterance=f"z{i}", **about))
    return traces


def test_words_and_characters_are_not_added() -> None:
    """A pair has two comparisons, one in each unit; no rate of both is shown anywhere."""
    traces = [*words_and_characters("a", "owl"), *words_and_characters("b", "ant")]
    rates = {pair.unit: pair.wer.value for pair in comparisons(systems(*traces))}
    assert rates == {"words": pytest.approx(10.0), "characters": 0.0}
    report = report_of([run_of("r", traces)], Wanted())
    assert report.verdict.headline == (
        "In words: Choose b: 10.0 points less WER than a. "
        "In characters: Neither a nor b is shown to be better. Both have the same CER here."
    )
    assert any("No difference in CER is shown" in reason for reason in report.verdict.reasons)
    assert all(system.figures["wer"].value is None for system in report.systems)
    assert all(system.counts is None for system in report.systems)
    by_length = next(cut for cut in report.slices if cut.by == "language")
    assert [row.name for row in by_length.rows if row.words is None] == []
    assert [title for title, _ in report.matrices] == ["replay, errors in words", "replay, errors in characters"]
