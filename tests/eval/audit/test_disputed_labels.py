"""Labels that models dispute."""

import pytest

from eval.audit.disputed_labels import disputes
from eval.trace import MODES
from tests.eval.fakes import said


def test_a_label_that_the_models_contradict_alike_comes_before_one_they_contradict_each_in_its_way() -> None:
    """Both are wrong in all words by each model; where the models agree it is the label that is doubted."""
    traces = [
        said("red green blue", reference="dog sun moon", utterance="wrong label", model="a"),
        said("red green blue", reference="dog sun moon", utterance="wrong label", model="b"),
        said("red green blue", reference="dog sun moon", utterance="hard audio", model="a"),
        said("cat pig cow", reference="dog sun moon", utterance="hard audio", model="b"),
        said("dog sun moon", reference="dog sun moon", utterance="right", model="a"),
        said("dog sun moon", reference="Dog, sun, moon!", utterance="right", model="b"),
    ]
    (first,) = disputes(traces)
    assert (first.utterance, first.against, first.between) == ("wrong label", 1.0, 0.0)
    assert [d.utterance for d in disputes(traces, min_score=0.0)] == ["wrong label", "hard audio", "right"]


def test_errors_are_counted_over_all_models() -> None:
    """One of four words by one model, two of four by another; against each other one of four."""
    traces = [
        said("dog sun moon hat", reference="dog sun moon tree", model="m1"),
        said("dog sun sea hat", reference="dog sun moon tree", model="m2"),
    ]
    (dispute,) = disputes(traces, min_score=0.0)
    assert dispute.against == pytest.approx(3 / 8)
    assert dispute.between == pytest.approx(1 / 4)
    assert [hearing.error_rate for hearing in dispute.hearings] == [0.25, 0.5]


def test_a_model_counts_once_in_its_best_mode() -> None:
    """Two modes of one model are not two witnesses."""
    traces = [said("x", reference="y", mode=mode, model="m") for mode in ("replay", "offline")]
    (dispute,) = disputes([*traces, said("x", reference="y", mode="replay", model="n")])
    assert [(h.model, h.mode) for h in dispute.hearings] == [("m", "offline"), ("n", "replay")]


def test_one_model_makes_no_dispute() -> None:
    """A weak one contradicts every label: 26 of 28 good Vietnamese labels were disputed."""
    traces = [said("x", reference="y", utterance=f"u{i}", mode=mode, model="m") for i in range(5) for mode in MODES]
    assert disputes(traces) == ()


def test_empty_labels_and_broken_streams_are_no_disputes() -> None:
    """A model may invent text in silence; a failed stream is incomplete."""
    assert disputes([said("hello", reference=""), said("", reference="hello", utterance="v", error="closed")]) == ()


def test_models_that_all_hear_nothing_agree_with_each_other() -> None:
    """The label may be of another recording."""
    traces = [said("", reference="hello there", model=model) for model in "ab"]
    (dispute,) = disputes(traces)
    assert (dispute.against, dispute.between) == (1.0, 0.0)


def test_a_model_that_loops_does_not_make_a_label_doubtful() -> None:
    """The other one hears what the label says, but for a word."""
    label = "gasoline was a third option"
    traces = [
        said("gasoline was a third choice", reference=label, model="a"),
        said(" ".join([label] * 10), reference=label, model="b"),
    ]
    assert disputes(traces) == ()
