"""What benchmarks print: levels, and ratios of ours over a peer's."""

import pytest

from eval.bench.tables import (
    OURS,
    LevelSummary,
    file_ratios,
    file_ratios_table,
    files_table,
    level_summary,
    levels_table,
    peer_levels_table,
    stream_ratio,
    stream_ratios_table,
)
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.summary import Summary, group, summaries, summarise
from eval.runs.setup import console
from eval.trace import Trace
from tests.eval.fakes import final, partial, said, trace, word


def summaries_of(*traces: Trace) -> tuple[Summary, ...]:
    return summaries(group(ScoredTrace(trace) for trace in traces))


def level(delay_s: float, **fields: str) -> LevelSummary:
    """One word that is stable this long after its end."""
    return level_summary(1, [trace(final(1.0 + delay_s, word("a", 0.0, 1.0)), mode="live", **fields)])


def test_streams_are_carried_while_no_word_is_late_and_none_fails() -> None:
    """95 % of the words stable within 2.5 s of their ends; a stream without words is not carried."""
    assert level(2.0).carried
    assert not level(3.0).carried
    assert not level(2.0, error="it broke").carried
    assert not level_summary(1, [trace(mode="live")]).carried


def test_file_ratios_are_ours_over_the_peers() -> None:
    """Twice as fast at half the cost, one error of two words more; only on data that both had."""
    ours = said("a x", reference="a b", model=OURS, busy_s=1.0, cpu_s=1.0, mode="offline")
    peer = said("a b", reference="a b", model="peer", busy_s=2.0, cpu_s=2.0, mode="offline")
    alone = said("a", reference="a", model=OURS, dataset="e", mode="offline")
    (ratio,) = file_ratios(summaries_of(ours, peer, alone), "peer")
    assert (ratio.dataset, ratio.speed, ratio.cpu, ratio.points) == ("d", 2.0, 0.5, 50.0)


def test_stream_ratios_are_ours_over_the_peers() -> None:
    """Half the CPU; stable after 1 s instead of 4 s; one word of two wrong."""

    def summary(model: str, delay_s: float, text: str, cpu_s: float) -> Summary:
        entries = (partial(1.0 + delay_s, text, start_s=0.9), final(9.0, word(text, 0.0, 1.0), word("b", 0.0, 9.0)))
        streamed = trace(*entries, reference="a b", model=model, mode="live", cpu_s=cpu_s)
        return summarise([ScoredTrace(streamed)], model, "1", "live")

    ratio = stream_ratio(summary(OURS, 1.0, "x", 1.0), summary("peer", 4.0, "a", 2.0), 1)
    assert (ratio.cpu, ratio.points) == (0.5, 50.0)
    assert ratio.stable_p50 == pytest.approx(0.5 / 2.0)


def test_tables_have_a_row_for_each_level_file_set_and_ratio(capsys) -> None:
    """With a dash where nothing was measured."""
    offline = summaries_of(
        said("a", reference="a", mode="offline"), said("b", reference="a", model=OURS, mode="offline")
    )
    ratios = file_ratios(offline, "m")
    late = level(3.0).summary
    tables = (
        levels_table([level(2.0), level(3.0)]),
        peer_levels_table({(1, "b"): late, (1, "a"): late}),
        stream_ratios_table([stream_ratio(late, late, 1)], "peer"),
        files_table(offline),
        file_ratios_table(ratios, "m"),
    )
    assert [table.row_count for table in tables] == [2, 2, 1, 2, 1]
    for table in tables:
        console().print(table)
    shown = capsys.readouterr().out
    assert "+100.00" in shown
    assert "3.00" in shown
    assert " - " in shown
