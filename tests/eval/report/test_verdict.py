"""The verdict: what it claims and what it does not."""

from dataclasses import replace

import pytest

from eval.report.systems import comparisons, systems_of
from eval.report.verdict import Verdict, verdict
from eval.runs.folder import Run
from eval.runs.signature import Machine
from eval.trace import Trace
from tests.eval.fakes import said
from tests.eval.run_folders import repeated, run_of, spoken


def verdict_on(*traces: list[Trace]) -> Verdict:
    systems = systems_of([run_of("r", [t for some in traces for t in some])])
    return verdict([run_of("r", [])], systems, comparisons(systems))


def test_the_verdict_says_who_is_better_by_how_much_and_at_what_cost() -> None:
    """Ten words of 320: 3.1 points; half of the CPU; 0.5 s earlier."""
    worse = repeated(spoken("worse", every=4, late_s=0.5, cost=2.0))
    sentence = verdict_on(worse, repeated(spoken("better"))).reasons[0]
    assert sentence.startswith("better is better than worse by 3.1 points of WER, replay, 95 % interval ")
    assert sentence.endswith("better costs 0.50 times the CPU; its words are stable 0.50 s earlier (p95).")


def test_one_run_is_no_judgement_of_cost() -> None:
    """The machine's noise is unknown: the figure is given, not the claim. Delays are those without computing."""
    worse, better = spoken("worse", every=4, late_s=0.5, cost=2.0), spoken("better")
    sentence = verdict_on(worse, better).reasons[0]
    assert "CPU of better: 0.50 times, not judged (one run does not show the machine's noise" in sentence
    assert sentence.endswith("the words of better are stable 0.50 s earlier (p95, computing left out).")


def test_the_same_code_twice_costs_the_same() -> None:
    """Repeats that differ by 5 % make 1 % no difference."""
    first = repeated(spoken("a"), noise=(1.0, 1.05, 0.97))
    second = repeated(spoken("b"), noise=(1.04, 1.0, 1.02))
    sentence = verdict_on(first, second).reasons[0]
    assert "no difference in CPU is shown (0.99 times)" in sentence
    assert "no difference in delay is shown (p95)" in sentence


def test_too_few_speakers_stand_in_the_sentence() -> None:
    """However far apart: with five speakers nothing can be beyond chance."""
    found = verdict_on(spoken("a", every=1, speakers=5), spoken("b", speakers=5))
    assert found.reasons[0].startswith(
        "Too few speakers to tell a and b, replay apart (5 speakers): 12.5 points of WER"
    )
    assert found.headline.startswith("Neither a nor b is shown to be better. Too few speakers to tell which")
    assert found.headline.endswith("5, wanted 6 or more.")


def test_unknown_speakers_are_an_assumption_of_the_sentence() -> None:
    """Each recording counts as another person's; only then is it right."""
    known = spoken("a", every=2)
    left, right = ([replace(t, speaker="") for t in traces] for traces in (known, spoken("b")))
    assert "if each recording is of another speaker" in verdict_on(left, right).reasons[0]
    one = [replace(left[0], speaker=""), *known[1:]]
    assert "if each recording" not in verdict_on(one, [replace(right[0], speaker=""), *spoken("b")[1:]]).reasons[0]


def test_an_interval_beside_no_difference_holds_zero() -> None:
    """Three pairs: p is 0.03 before Holm's correction and more than 0.05 after it; the interval says the same."""
    systems = (spoken("a", every=8, speakers=6), spoken("b", speakers=6), spoken("c", speakers=6))
    worse = [replace(t, speaker=f"s{i % 6}") for i, t in enumerate(spoken("d", every=1, speakers=6))]
    for pair in comparisons(systems_of([run_of("r", [*worse, *[t for some in systems for t in some]])])):
        assert pair.wer.excludes_zero == pair.is_significant


def test_the_verdict_does_not_claim_what_may_be_chance() -> None:
    """It says how large a difference would have been seen."""
    sentence = verdict_on(spoken("a", every=40), spoken("b")).reasons[0]
    assert sentence.startswith("No difference in WER is shown between a and b, replay: 0.3 points in favour of b")
    assert "this data could show" in sentence
    assert "no difference in delay is shown" in sentence


def test_a_tie_does_not_show_how_little_would_have_been_seen() -> None:
    """The same texts: "0.0 points, this data could show 0.0" would be a claim."""
    found = verdict_on(spoken("a"), spoken("b"))
    sentence = found.reasons[0]
    assert found.headline == "Neither a nor b is shown to be better. Both have the same WER here."
    assert "as many errors from each of 12 speakers; how small a difference this data could show is unknown" in sentence
    assert "0.0 points" not in sentence


def test_one_speaker_who_differs_may_be_one_of_many_kinds() -> None:
    """One more error by one of twelve speakers: three more of them may be such."""
    sentence = verdict_on(spoken("a", every=40), spoken("b")).reasons[0]
    assert "interval −0.8 to 1.4; this data could show 1.39 points" in sentence


def test_the_best_of_three_is_named_with_whom_it_beats() -> None:
    """Beyond chance only."""
    sentence = verdict_on(spoken("a"), spoken("b", every=2), spoken("c", every=40)).headline
    assert sentence.startswith("Choose a: the lowest WER, 4.4 %, better than b beyond chance; against c no difference ")


def test_one_model_is_described() -> None:
    """With its interval; nothing is compared."""
    assert verdict_on(spoken("a")).headline.startswith("a, replay: WER 4.4 % (95 % interval ")


def test_streaming_is_compared_with_one_shot() -> None:
    """For each model that ran both, with its interval."""
    reasons = verdict_on(spoken("a", every=4), spoken("a", "offline")).reasons
    assert any(reason.startswith("Streaming (replay) against one-shot, a: +3.1 points (") for reason in reasons)


@pytest.mark.parametrize("every", [2, None])
def test_streaming_of_few_speakers_has_no_interval(every: int | None) -> None:
    """The sentence says why: too few speakers, or no speaker for whom streaming differs."""
    streamed = spoken("a", every=every)[:3] if every else spoken("a")
    offline = spoken("a", "offline")[: len(streamed)]
    reasons = verdict_on(streamed, offline).reasons
    assert any(
        reason.endswith(" points (which may be chance: too few speakers or differences for an interval).")
        for reason in reasons
    )


def test_words_made_up_are_a_reason() -> None:
    """Per minute of recordings without speech."""
    noise = [said("thank you", reference="", model="a", utterance="n", duration_s=30.0)]
    assert "Words made up per minute of non-speech, replay: a 4.0." in verdict_on([*spoken("a"), *noise]).reasons


def test_broken_streams_and_different_machines_are_caveats() -> None:
    """The figures hold, with what they leave out."""
    broken = [replace(trace, error="closed") for trace in spoken("a")[:2]]
    assert verdict_on([*broken, *spoken("a")[2:]]).caveats == (
        "2 streams of a, replay broke; the text recognised by then is scored.",
    )
    one, other = run_of("r1", []), run_of("r2", [])
    other = replace(other, signature=replace(other.signature, machine=Machine("another", 4, "Linux")))
    (caveat,) = verdict([one, other], (), ()).caveats
    assert caveat.startswith("The runs were made on 2 machines")


def test_a_run_without_traces_has_nothing_to_compare() -> None:
    """It says so."""
    empty: list[Run] = [run_of("r", [])]
    assert verdict(empty, (), ()).headline == "There is nothing to compare: the run has no traces."
