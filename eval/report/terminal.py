"""The table and the signature that commands print."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from rich.table import Table

from eval.html.formatting import minutes, number
from eval.metrics.catalogue import CPU, FINALISATION_P95, STABLE_P50, STABLE_P95, Metric
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.summary import StreamedLoss, Summary, group, streamed_losses, summaries
from eval.metrics.word_errors import Counts
from eval.runs.setup import console
from eval.runs.signature import Signature
from eval.trace import Trace


def summary_table(traces: Sequence[Trace], title: str = "") -> Table:
    """One row for each model, data set and mode."""
    table = Table(title=title or None, title_justify="left")
    for heading in ("model", "data", "mode", "utterances", "minutes"):
        table.add_column(heading, justify="right" if heading in ("utterances", "minutes") else "left", no_wrap=True)
    for heading in (
        "as written",
        "WER",
        "S D I",
        "- offline",
        "lost ends",
        "for good p50",
        "p95",
        "stream end p95",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("CPU-s/audio-s", justify="right", no_wrap=True)
    groups = group(ScoredTrace(trace) for trace in traces)
    losses = {(loss.model, loss.dataset, loss.mode): loss for loss in streamed_losses(groups)}
    rows = summaries(groups)
    for summary in rows:
        table.add_row(*_row(summary, losses.get((summary.model, summary.dataset, summary.mode))))
    table.caption = caption(rows)
    return table


def caption(rows: Iterable[Summary]) -> str | None:
    """What the delays in a table count from; None where it has none."""
    sources = " + ".join(sorted({row.end_source for row in rows} - {""}))
    delay = f"for good: from a word's end ({sources}) until it is shown and never changes again"
    return f"{delay}; stream end: from the client's end of stream to the last final, s" if sources else None


def rate(counts: Counts, unit: str) -> str:
    """An error rate in per cent; the number of insertions where the reference is empty, no figure over two units."""
    if " and " in unit:
        return f"{unit}: not added"
    return f"{counts.insertions} inserted" if counts.rate is None else f"{100 * counts.rate:.2f} %"


def cells(summary: Summary, metrics: Iterable[Metric], digits: int = 2) -> list[str]:
    """The values of these metrics; "-" where one does not apply or was not measured."""
    return [number(summary.value(metric), digits) for metric in metrics]


def print_summary(traces: Sequence[Trace], signature: Signature, title: str = "") -> None:
    """Prints the table and the signature."""
    console().print(summary_table(traces, title))
    print_signature(signature)


def print_signature(signature: Signature) -> None:
    """Prints what the numbers were made with."""
    for line in signature_lines(signature):
        console().print(line, markup=False, highlight=False, soft_wrap=True)


def signature_lines(signature: Signature) -> list[str]:
    """The signature as lines of text."""
    models = "; ".join(_model_text(**asdict(model)) for model in signature.models)
    data = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in signature.data.items())
    versions = ", ".join(f"{name} {number}" for name, number in signature.versions.items())
    return [
        f"model {models}",
        f"data {data}; {signature.normaliser}",
        f"commit {signature.commit or 'unknown'}; {signature.machine}",
        versions,
    ]


def _row(summary: Summary, loss: StreamedLoss | None) -> list[str]:
    counts, failed = summary.counts, f" ({summary.failed} failed)" if summary.failed else ""
    return [
        summary.model,
        summary.dataset,
        summary.mode,
        f"{summary.utterances}{failed}",
        minutes(summary.audio_s),
        rate(summary.raw_counts, summary.unit),
        rate(counts, summary.unit),
        "-" if " and " in summary.unit else f"{counts.substitutions} {counts.deletions} {counts.insertions}",
        "-" if loss is None else number(loss.minus_offline_points, 2, sign=True),
        "-" if loss is None else str(len(loss.lost_ends)),
        *cells(summary, (STABLE_P50, STABLE_P95, FINALISATION_P95)),
        *cells(summary, (CPU,), digits=3),
    ]


def _model_text(name: str, weights_sha256: str, precision: str, threads: int | None) -> str:
    parts = [name, weights_sha256[:12], precision, "" if threads is None else f"{threads} threads"]
    return " ".join(part for part in parts if part)
