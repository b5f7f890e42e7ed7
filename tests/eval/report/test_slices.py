"""Parts of the data, and confusions."""

from dataclasses import replace

from eval.report.slices import ChangedConfusion, Confusion, by_dataset, changed_confusions, common_confusions, slices
from eval.report.systems import System, systems_of
from eval.trace import Trace
from tests.eval.fakes import said
from tests.eval.run_folders import run_of


def systems(*traces: Trace) -> tuple[System, ...]:
    return systems_of([run_of("r", traces)])


def utterances(count: int, **fields: object) -> list[Trace]:
    return [said("a", reference="a", utterance=f"u{i}", **fields) for i in range(count)]


def test_the_data_is_cut_by_attributes_with_two_values_or_more() -> None:
    """Everybody has the same device; the age is unknown for one; papers of a recording are no attribute."""
    about = [
        *6 * [(("age", "30"), ("device", "telephone"), ("licence", "x"))],
        *6 * [(("age", "9"), ("device", "telephone"), ("licence", "y"))],
        (("device", "telephone"),),
    ]
    traces = [replace(t, attributes=mine) for t, mine in zip(utterances(13), about, strict=True)]
    (cut,) = slices(systems(*traces))
    assert cut.by == "age"
    found = [(row.name, row.utterances, row.has_too_few_speakers) for row in cut.rows]
    assert found == [("under ten", 6, False), ("thirties", 6, False), ("not given", 1, True)]


def test_lengths_and_speeds_are_binned() -> None:
    """A value on an edge belongs to the bin above; silence has no speed."""
    traces = utterances(3)
    traces = [replace(t, duration_s=s) for t, s in zip(traces, (2.0, 3.0, 40.0), strict=True)]
    traces.append(said("", reference="", utterance="silent", duration_s=2.0))
    cuts = {cut.by: [row.name for row in cut.rows] for cut in slices(systems(*traces))}
    assert cuts["length"] == ["0 to 3 s", "3 to 6 s", "30 s and more"]
    assert cuts["speed of speech"] == ["0 to 1.5 a second", "not given"]


def test_rare_values_share_a_row() -> None:
    """Twelve values are shown, the most frequent ones; those of fewer than six recordings are not."""
    traces = [replace(t, attributes=(("accent", str(i % 14)),)) for i, t in enumerate(utterances(14 * 6))]
    (cut,) = slices(systems(*traces))
    assert len(cut.rows) == 13
    assert (cut.rows[-1].name, cut.rows[-1].utterances) == ("other (2 values)", 12)
    few = [replace(t, attributes=(("accent", "abcde"[max(0, i - 6)]),)) for i, t in enumerate(utterances(10))]
    (cut,) = slices(systems(*few))
    assert [(row.name, row.utterances) for row in cut.rows] == [("a", 7), ("other (3 values)", 3)]
    assert cut.rows[1].has_too_few_speakers


def test_a_set_that_one_system_did_not_run_has_no_figure_there() -> None:
    """None, not zero."""
    cut = by_dataset(systems(*utterances(1, model="a"), *utterances(1, model="b", dataset="e")))
    assert [(row.name, [wer is not None for wer in row.wer]) for row in cut.rows] == [
        ("d", [True, False]),
        ("e", [False, True]),
    ]


def test_confusions_are_counted_most_frequent_first() -> None:
    """Among equals a substitution comes before a deletion."""
    left = [said("a x y", reference="a b c d", utterance="u", model="left")]
    left += [said("a x c", reference="a b c", utterance="v", model="left")]
    right = [said("a x c d", reference="a b c d", utterance="u", model="right")]
    right += [said("a b c", reference="a b c", utterance="v", model="right")]
    one, other = systems(*left, *right)
    assert common_confusions(one)[0] == Confusion("b", "x", 2)
    assert common_confusions(other) == (Confusion("b", "x", 1),)
    changed = changed_confusions(one, other)
    assert ChangedConfusion("b", "x", 2, 1) in changed
    assert changed_confusions(other, one) == ()
