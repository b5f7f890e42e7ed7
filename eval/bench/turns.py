"""How soon a turn's text is there when the speaker stops: single utterances with silence around them, over the wire.

An utterance is streamed at the pace of speech with `BEFORE_S` of digital silence before it and `AFTER_S` behind it (the
silence of Pipecat's stt-benchmark, whose figures hosted services publish). The end is asked for in one of two ways:

    finalize      a client with its own voice activity detection says `Finalize` 0.2 s after the end of speech
    endpointing   the server ends the utterance after this much silence, and says `speech_final`

The end of speech comes from the recording's energy (`eval.data.speech_bounds`); `eval.metrics.turns` defines what is
measured.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.errors import ConfigError
from eval.data.speech_bounds import speech_bounds
from eval.data.types import Dataset, Problem, Recording, Utterance
from eval.metrics.catalogue import (
    FIRST,
    FIRST_FINAL,
    FIRST_MESSAGE,
    FIRST_WORD,
    SPEECH_FINAL,
    TTFS,
    WER,
    WER_FIRST_FINAL,
    WER_FIRST_MESSAGE,
    Metric,
)
from eval.metrics.estimates import measured, value_of
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.summary import Summary, summarise
from eval.runs.live import Target
from eval.runs.runner import TraceCollector, read_recordings, run_live
from eval.trace import LIVE, Span, Trace

SHORTEST_S, LONGEST_S = 3.0, 15.0
"""The length of an utterance that is taken as a turn."""
BEFORE_S, AFTER_S = 0.5, 2.0

MEASURES: tuple[tuple[str, tuple[Metric, ...], Metric | None], ...] = (
    ("first message", FIRST_MESSAGE, WER_FIRST_MESSAGE),
    ("first final", FIRST_FINAL, WER_FIRST_FINAL),
    ("last final (TTFS)", TTFS, WER),
    ("speech_final", SPEECH_FINAL, None),
    ("first words after the onset of the first", FIRST, None),
    ("first words after the end of the first", FIRST_WORD, None),
)
"""Each measure by its name: its percentiles, and the WER of the text that a client has then."""


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """A way of asking for the end of a turn; None leaves that part to the server."""

    name: str
    endpointing_ms: int | None = None
    finalize_after_s: float | None = None

    def target(self, url: str, model: str, key: str, chunk_s: float) -> Target:
        """The server at `url`, asked in this way, with `chunk_s` of audio in one message."""
        target = Target(url, model, key=key, chunk_s=chunk_s)
        return replace(target, endpointing_ms=self.endpointing_ms, finalize_after_s=self.finalize_after_s)


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure over the turns of a run.

    Attributes:
        name: As in `MEASURES`.
        turns: How many turns have it: those where it came after the end of speech.
        p50_s: Median, in seconds.
        p95_s: 95th percentile.
        p99_s: 99th percentile.
        wer: Per cent, of the text that a client has then.
    """

    name: str
    turns: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    wer: float | None


@dataclass(frozen=True, slots=True)
class TurnRun:
    """All turns in one way, with this many clients at the same time."""

    end: TurnEnd
    streams: int
    measures: tuple[Measure, ...]
    summary: Summary


def turn_ends(finalize_after_s: float | None, endpointing_ms: Sequence[int]) -> tuple[TurnEnd, ...]:
    """The ways that a benchmark compares, each by its name."""
    ends = [TurnEnd(f"endpointing={ms}", endpointing_ms=ms) for ms in endpointing_ms]
    if finalize_after_s is None:
        return tuple(ends)
    return (TurnEnd(f"Finalize after {finalize_after_s:g} s", finalize_after_s=finalize_after_s), *ends)


def turns_among(datasets: Iterable[Dataset], limit: int | None) -> tuple[Dataset, ...]:
    """The utterances with a text that last 3 to 15 s, at most `limit` of a set. Raises `ConfigError` without any."""

    def is_turn(utterance: Utterance) -> bool:
        return bool(utterance.text.strip()) and SHORTEST_S <= utterance.duration_s <= LONGEST_S

    turns = tuple(replace(d, utterances=tuple(filter(is_turn, d.utterances))[:limit]) for d in datasets)
    if not any(dataset.utterances for dataset in turns):
        raise ConfigError(f"found no utterance of {SHORTEST_S:g} to {LONGEST_S:g} s with a text, wanted some as turns")
    return turns


def read_turns(utterances: Iterable[Utterance], collector: TraceCollector) -> Iterator[Recording]:
    """Each with silence around it; one whose energy does not show where speech ends is left out and reported."""
    for recording in read_recordings(utterances, collector):
        padded = with_silence(recording)
        if speech_bounds(padded.samples) is None:
            why = "its energy does not show where speech ends"
            collector.leave_out(Problem(recording.utterance.clips[0].audio, 0, why))
        else:
            yield padded


def with_silence(recording: Recording) -> Recording:
    """The recording with digital silence before and behind; all its times move with it."""
    before, after = (np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32) for seconds in (BEFORE_S, AFTER_S))
    return replace(
        recording,
        samples=np.concatenate([before, recording.samples, after]),
        segments=_later(recording.segments),
        words=_later(recording.words),
    )


def run_turns(
    recordings: Sequence[Recording],
    end: TurnEnd,
    streams: int,
    target: Target,
    pid: int | None,
    collector: TraceCollector,
) -> TurnRun:
    """Streams all recordings, `streams` at a time. Raises `CallerError` if all fail."""
    before = len(collector.traces)
    run_live(recordings, target, pid, streams, collector)
    collector.check()
    return turn_run(end, streams, collector.traces[before:])


def turn_run(end: TurnEnd, streams: int, traces: Sequence[Trace]) -> TurnRun:
    """The measures of these traces."""
    scored = [ScoredTrace(trace) for trace in traces]
    measures = tuple(_measure(name, percentiles, wer, scored) for name, percentiles, wer in MEASURES)
    return TurnRun(end, streams, measures, summarise(scored, traces[0].model, end.name, LIVE))


def _measure(name: str, percentiles: Sequence[Metric], wer: Metric | None, scored: Sequence[ScoredTrace]) -> Measure:
    p50, _, p95, p99 = percentiles
    return Measure(
        name,
        turns=measured(p50, scored) or 0,
        p50_s=value_of(p50, scored),
        p95_s=value_of(p95, scored),
        p99_s=value_of(p99, scored),
        wer=None if wer is None else value_of(wer, scored),
    )


def _later(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(Span(span.text, span.start_s + BEFORE_S, span.end_s + BEFORE_S) for span in spans)
