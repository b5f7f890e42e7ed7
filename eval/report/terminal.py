"""Scores -> what is written and read: a table of plain values for JSON, tables for people."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from eval.data.types import Problem
from eval.metrics.score import Delays, LostEnd, Score, lost_ends, scores, streamed_minus_offline
from eval.metrics.word_errors import Counts
from eval.metrics.word_times import Percentiles
from eval.runs.signature import Signature
from eval.trace import LIVE, OFFLINE, REPLAY, Trace

STREAMED = (REPLAY, LIVE)


def report_of(traces: Sequence[Trace], signature: Signature, problems: Sequence[Problem]) -> dict[str, Any]:
    """Everything in one table of plain values, as `report.json` has it."""
    return {
        "signature": asdict(signature),
        "scores": [score_table(score) for score in scores(traces)],
        "streamed": [
            {
                "model": score.model,
                "dataset": score.dataset,
                "mode": score.mode,
                "minus_offline_points": streamed_minus_offline(score, whole),
                "lost_ends": [asdict(lost) for lost in lost_of(traces, score)],
            }
            for score, whole in pairs(scores(traces))
        ],
        "failed": [{"utterance": t.utterance, "mode": t.mode, "error": t.error} for t in traces if t.error],
        "left_out": [str(problem) for problem in problems],
    }


def pairs(all_scores: Sequence[Score]) -> list[tuple[Score, Score]]:
    """Each streamed score with the offline score of the same model and data."""
    whole = {(score.model, score.dataset): score for score in all_scores if score.mode == OFFLINE}
    streamed = [score for score in all_scores if score.mode in STREAMED]
    return [(score, whole[score.model, score.dataset]) for score in streamed if (score.model, score.dataset) in whole]


def lost_of(traces: Sequence[Trace], score: Score) -> tuple[LostEnd, ...]:
    """The utterances of a streamed score that lost their last word against offline."""
    mine = [trace for trace in traces if (trace.model, trace.dataset) == (score.model, score.dataset)]
    return lost_ends((t for t in mine if t.mode == OFFLINE), (t for t in mine if t.mode == score.mode))


def score_table(score: Score) -> dict[str, Any]:
    """A score as plain values, with the rates that its counts make."""
    table = asdict(score)
    for name, counts in (("raw", score.accuracy.raw), ("normalised", score.accuracy.normalised)):
        table["accuracy"][name]["rate"] = counts.rate
    if score.stability is not None:
        table["stability"]["share_changed"] = score.stability.share_changed
        table["stability"]["unstable_word_ratio"] = score.stability.unstable_word_ratio
    return table


def summary(traces: Sequence[Trace], title: str = "") -> Table:
    """The table for people: one row for each data set and mode."""
    table = Table(title=title or None, title_justify="left")
    for heading in ("data", "mode", "utterances", "minutes"):
        table.add_column(heading, justify="left" if heading in ("data", "mode") else "right", no_wrap=True)
    for heading in ("error rate", "normalised", "S D I", "- offline", "lost ends", "delay p50", "p95", "end p95"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("CPU-s/audio-s", justify="right", no_wrap=True)
    all_scores = scores(traces)
    whole = {id(score): offline for score, offline in pairs(all_scores)}
    for score in all_scores:
        table.add_row(*_row(score, whole.get(id(score)), traces))
    table.caption = caption([score.delays for score in all_scores if score.delays])
    return table


def caption(delays: Sequence[Delays]) -> str | None:
    """What the delays in a table are counted from; None where it has none."""
    sources = " + ".join(sorted({delay.end_source for delay in delays}))
    return f"delay: from a word's end ({sources}) until it is shown and never changes again, s" if sources else None


def _row(score: Score, whole: Score | None, traces: Sequence[Trace]) -> list[str]:
    counts, failed = score.accuracy.normalised, f" ({score.failed} failed)" if score.failed else ""
    return [
        score.dataset,
        score.mode,
        f"{score.utterances}{failed}",
        f"{score.audio_s / 60:.1f}",
        rate(score.accuracy.raw),
        rate(counts),
        f"{counts.substitutions} {counts.deletions} {counts.insertions}",
        "-" if whole is None else number(streamed_minus_offline(score, whole), "+.2f"),
        "-" if whole is None else str(len(lost_of(traces, score))),
        *(_delay_cells(score.delays.stable, score.delays.finalisation) if score.delays else ("-", "-", "-")),
        number(score.cpu_per_audio, ".3f"),
    ]


def _delay_cells(stable: Percentiles, finalisation: Percentiles) -> tuple[str, str, str]:
    return number(stable.p50, ".2f"), number(stable.p95, ".2f"), number(finalisation.p95, ".2f")


def rate(counts: Counts) -> str:
    """A rate for people: per cent, or the insertions where there was nothing to say."""
    return f"{counts.insertions} inserted" if counts.rate is None else f"{100 * counts.rate:.2f} %"


def number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def signature_lines(signature: Signature) -> list[str]:
    """The signature for people."""
    models = "; ".join(_model_text(**asdict(model)) for model in signature.models)
    data = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in signature.data.items())
    versions = ", ".join(f"{name} {number}" for name, number in signature.versions.items())
    return [
        f"model {models}",
        f"data {data}; {signature.normaliser}",
        f"commit {signature.commit or 'unknown'}; {signature.machine}",
        versions,
    ]


def _model_text(name: str, weights_sha256: str, precision: str, threads: int | None) -> str:
    parts = [name, weights_sha256[:12], precision, "" if threads is None else f"{threads} threads"]
    return " ".join(part for part in parts if part)
