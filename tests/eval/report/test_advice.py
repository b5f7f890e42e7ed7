"""The first sentence: which system to choose, why, and what data is missing."""

import re
from dataclasses import replace

import numpy as np
import pytest

from eval.bench.verdicts import ratios
from eval.bench.worlds import Errors, World, draw_errors
from eval.metrics.resampling import ALPHA, p_values
from eval.metrics.significance import Sample, fewest_units, too_few_units, units_needed
from eval.report.advice import advice, advice_of_many, more_data_text
from eval.report.systems import Comparison, comparisons, systems_of
from eval.trace import Trace
from tests.eval.run_folders import repeated, run_of, spoken


def pair_of(*traces: list[Trace]) -> Comparison:
    (pair,) = comparisons(systems_of([run_of("r", [t for some in traces for t in some])]))
    return pair


@pytest.fixture(scope="module")
def open_pair() -> Comparison:
    """One error more in forty recordings."""
    return pair_of(spoken("a", every=40), spoken("b"))


def test_what_is_better_in_everything_is_chosen() -> None:
    """Each with its size."""
    pair = pair_of(repeated(spoken("a", every=4, late_s=0.5, cost=2.0)), repeated(spoken("b")))
    assert advice(pair) == "Choose b: 3.1 points less WER than a, half the CPU, words 0.50 s earlier."


def test_a_price_of_accuracy_is_said() -> None:
    """The reader weighs it."""
    pair = pair_of(repeated(spoken("a", every=4)), repeated(spoken("b", late_s=0.5, cost=2.0)))
    assert advice(pair) == (
        "Choose b if accuracy counts most: 3.1 points less WER than a, but twice the CPU and words 0.50 s later; "
        "a otherwise."
    )


def test_cost_and_delay_decide_where_accuracy_is_open() -> None:
    """With the direction of the errors, and the data that would settle it."""
    pair = pair_of(repeated(spoken("a", every=40)), repeated(spoken("b", late_s=0.5, cost=3.0)))
    sentence = advice(pair)
    assert sentence.startswith(
        "Choose a: a third of the CPU of b, words 0.50 s earlier. The WER of a is 0.3 points higher, which may be "
        "chance: about "
    )
    assert re.search(r"about [\d ]+ more recordings of [\d ]+ more speakers would settle it\.$", sentence)


def test_advantages_of_both_leave_the_choice_open() -> None:
    """One costs less, the other is earlier."""
    pair = pair_of(repeated(spoken("a", late_s=0.5)), repeated(spoken("b", cost=2.0)))
    assert advice(pair).startswith("Choose a for cost (half the CPU) or b for delay (words 0.50 s earlier). ")


def test_one_run_counts_only_where_it_is_obvious(open_pair: Comparison) -> None:
    """A factor of two is not the machine's noise, one of 1.3 may be."""
    double = pair_of(spoken("a", every=40, cost=2.0), spoken("b"))
    assert advice(double).startswith("Choose b: half the CPU of a in one run. The WER of b is 0.3 points lower")
    near = pair_of(spoken("a", every=40, cost=1.3), spoken("b"))
    assert advice(near).startswith("Neither a nor b is shown to be better. The WER of a is 0.3 points higher")


def test_a_question_that_the_data_has_answered_needs_no_more(open_pair: Comparison) -> None:
    """A difference worth showing would have been seen."""
    more = open_pair.more
    assert more is not None
    enough = replace(open_pair, more=replace(more, points=2.0, recordings=0, speakers=0))
    assert "about" not in advice(enough)
    assert advice(enough).endswith("may be chance; this data would have shown 2 points.")
    assert more_data_text(replace(open_pair, more=None)) == ""


def test_recordings_of_unknown_speakers_have_no_number_of_speakers(open_pair: Comparison) -> None:
    """Each counts as another speaker's."""
    assert "speakers" not in more_data_text(replace(open_pair, unknown=3))


def test_of_three_the_cheapest_of_those_not_worse_is_chosen() -> None:
    """b has the lowest rate by chance, c costs a third, a is worse beyond chance."""
    traces = [*repeated(spoken("a", every=2)), *repeated(spoken("b", cost=3.0)), *repeated(spoken("c", every=40))]
    pairs = comparisons(systems_of([run_of("r", traces)]))
    sentence = advice_of_many({"a": 10.6, "b": 4.4, "c": 4.7}, pairs, "WER")
    assert sentence == (
        "Choose c: a third of the CPU beside b, which has the lowest WER, 4.4 %, but is not shown to be better than c; "
        "a is worse beyond chance."
    )


def test_of_three_equal_ones_none_is_better() -> None:
    """The lowest figure is named as such."""
    traces = [*spoken("a", every=40), *spoken("b"), *spoken("c")]
    pairs = comparisons(systems_of([run_of("r", traces)]))
    sentence = advice_of_many({"a": 4.7, "b": 4.4, "c": 4.4}, pairs, "WER")
    assert sentence.startswith("None of a, b and c is shown to be better: b has the lowest WER, 4.4 %.")


@pytest.mark.parametrize("kind", [{"recordings": 10}, {"recordings": 10, "unequal": 1.0}, {"recordings": 1}])
def test_the_recordings_named_are_enough(kind: dict[str, float]) -> None:
    """As many speakers as the median sample of thirty names find the true difference in about four of five samples."""

    def drawn(speakers: int, samples: int) -> Errors:
        return draw_errors(World("", speakers, **kind, advantage=0.3), samples, 7)  # type: ignore[arg-type]

    population, small = drawn(3_000, 5), drawn(30, 60)
    truth = float((population.errors[0].sum() - population.errors[1].sum()) / population.words.sum())
    errors = [change.flip_error for one, other in ratios(small, 60) if (change := one.minus(other)) is not None]
    named = [
        units_needed(truth, Sample(30, error, int(words.sum()))) or 0
        for error, words in zip(errors, small.words, strict=True)
    ]
    large = drawn(int(np.median(named)), 200)
    assert 0.65 <= (p_values(large.change, 1_999) <= ALPHA).mean() <= 0.97


def test_more_units_show_smaller_differences() -> None:
    """Half the difference takes about four times the speakers; what no number shows has none."""
    now = Sample(20, 0.01, 2_000)
    large, small = units_needed(0.02, now), units_needed(0.005, now)
    assert large is not None
    assert small is not None
    assert 8 <= small / large <= 20
    assert units_needed(1e-6, now) is None


def test_the_fewest_units_are_those_that_can_pass() -> None:
    """Six for one comparison, more for many."""
    assert fewest_units() == 6
    for comparisons_ in (1, 3, 28):
        fewest = fewest_units(comparisons_)
        assert not too_few_units(fewest, comparisons_)
        assert too_few_units(fewest - 1, comparisons_)
