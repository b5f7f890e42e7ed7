"""The printed table."""

from io import StringIO

from rich.console import Console

from eval.metrics.word_errors import Counts
from eval.report.terminal import rate, signature_lines, summary_table
from eval.runs.signature import Machine, Model, Signature
from eval.trace import Trace
from tests.eval.fakes import said


def printed(*traces: Trace) -> str:
    console = Console(width=200, file=StringIO())
    console.print(summary_table(traces))
    text: str = console.file.getvalue()
    return text


def test_the_table_shows_what_was_measured() -> None:
    """CPU time, the difference to offline, and where the ends of words come from; a dash where nothing is known."""
    text = printed(said("a b", reference="a b", mode="offline"), said("a b", reference="a b", cpu_s=1.0))
    offline, replay = (line.split("│") for line in text.splitlines() if line.startswith("│"))
    assert [cell.strip() for cell in offline[1:7]] == ["m", "d", "offline", "1", "0.2", "0.00 %"]
    assert [cell.strip() for cell in offline[9:-1]] == ["-", "-", "-", "-", "-", "-"]
    assert [cell.strip() for cell in replay[9:-1]] == ["+0.00", "0", "7.50", "7.95", "0.00", "0.100"]
    assert "system's own word times" in text


def test_a_table_without_delays_has_no_caption() -> None:
    """There is nothing to explain."""
    assert "delay:" not in printed(said("a", reference="a", mode="offline"))


def test_broken_streams_are_counted() -> None:
    """Beside the number of utterances."""
    assert "1 (1 failed)" in printed(said("a", reference="a", error="it broke"))


def test_an_empty_reference_has_insertions_instead_of_a_rate() -> None:
    """There is nothing to divide by."""
    assert rate(Counts(insertions=2), "words") == "2 inserted"
    assert rate(Counts(hits=3, substitutions=1), "words") == "25.00 %"


def test_words_and_characters_are_not_added() -> None:
    """A data set of two languages has no rate."""
    assert rate(Counts(hits=3, substitutions=1), "words and characters") == "words and characters: not added"


def test_the_signature_names_everything_that_a_number_depends_on() -> None:
    """Model, data, normaliser, commit, machine, versions."""
    signature = Signature(
        {"d": "0" * 64}, "n 1", (Model("m", threads=1),), {}, "abc", Machine("cpu", 2, "Linux"), {"python": "3.11"}
    )
    assert signature_lines(signature) == [
        "model m 1 threads",
        "data d 000000000000; n 1",
        "commit abc; cpu, 2 cores, Linux",
        "python 3.11",
    ]
