"""`asr bench files`: recordings as files, one after the other, ours and a peer's in turns on the same weights."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from asr.config import SessionSettings
from asr.errors import ConfigError
from asr.events import Final, Word
from eval.bench.peers.transcribers import FASTER_WHISPER, FASTER_WHISPER_BATCHED, PEERS, Transcriber, faster_whisper
from eval.bench.server import print_line
from eval.data.types import Recording
from eval.metrics.score import Score, scores
from eval.normalise import base_language
from eval.progress import progress
from eval.report.terminal import number, rate, score_table
from eval.runs.process_usage import own_cpu_s
from eval.runs.replay import trace_of
from eval.runs.runner import TraceCollector, read_recordings
from eval.runs.setup import (
    console,
    engine_model,
    load_datasets,
    load_engine,
    print_signature,
    sign_run,
    utterances_of,
)
from eval.runs.signature import PACKAGES
from eval.trace import OFFLINE, Entry, Trace

if TYPE_CHECKING:
    from asr.engine import Engine

OURS = "steadyword"


def files(
    data: Sequence[Path], model: str, minutes: float | None, threads: int | None, against: str | None, precision: str
) -> None:
    """Every file through each implementation, who begins changing from file to file; then ratios."""
    if against is not None and against not in PEERS:
        raise ConfigError(f"unknown peer {against!r}; known are {', '.join(PEERS)}")
    if against == FASTER_WHISPER_BATCHED:
        from eval.bench.folders import folders

        return folders(data, model, minutes, precision)
    datasets = load_datasets(data, minutes=minutes)
    utterances = utterances_of(datasets)
    engine = load_engine(model, precision, threads)
    count = 1 if against is None else 2
    with (
        transcribers(engine, model, against, threads) as systems,
        progress(f"bench files {model}", count * sum(u.duration_s for u in utterances)) as bar,
    ):
        collector = TraceCollector(bar)
        alternate(read_recordings(utterances, collector), systems, collector)
    collector.check()
    packages = (*PACKAGES, "faster-whisper", "ctranslate2") if against else PACKAGES
    options = {"minutes": minutes, "against": against}
    signature = sign_run(datasets, engine_model(engine, threads), SessionSettings(), options, packages)
    found = scores(collector.traces)
    compared = [] if against is None else ratios(found, against)
    for table in (scores_table(found), *([ratios_table(compared, against)] if against else [])):
        console().print(table)
    print_signature(signature)
    figures = {"scores": [score_table(s) for s in found], "ratios": [asdict(ratio) for ratio in compared]}
    print_line("files", signature, figures)


@contextmanager
def transcribers(
    engine: "Engine", model: str, against: str | None, threads: int | None
) -> Iterator[dict[str, Transcriber]]:
    """What is run, by name: ours first."""
    from asr.transcripts.recording import transcribe

    def ours(file: Path, language: str, _seconds: float) -> str:
        text: str = transcribe(file, engine, language=language or None).text
        return text

    if against is None:
        yield {OURS: ours}
        return
    with faster_whisper(model, threads) as peer:
        yield {OURS: ours, FASTER_WHISPER: peer}


def alternate(recordings: Iterator[Recording], systems: Mapping[str, Transcriber], collector: TraceCollector) -> None:
    """Each recording through each system, in turned order every other time: a machine that slows down or warms up then
    treats them alike. The first goes through each once before, unmeasured."""
    names = list(systems)
    for index, recording in enumerate(recordings):
        if index == 0:
            for name in names:
                measured(name, systems[name], recording)
        for name in names if index % 2 == 0 else reversed(names):
            collector.add(measured(name, systems[name], recording))


def measured(name: str, transcribe: Transcriber, recording: Recording) -> Trace:
    """One file from the disk to its text, as a trace whose model is the system and whose only final is the text."""
    utterance, duration_s = recording.utterance, recording.duration_s
    cpu_s, began = own_cpu_s(), time.perf_counter()
    text = transcribe(utterance.clips[0].audio, base_language(utterance.language), duration_s)
    busy_s, cpu_s = time.perf_counter() - began, own_cpu_s() - cpu_s
    words = (Word(text, 0.0, duration_s, 0.0),) if text else ()
    said = Entry(Final(words, 0.0, duration_s, utterance.language, ends_utterance=True), duration_s, busy_s)
    return replace(trace_of(recording, OFFLINE, name, [said], 0.0), cpu_s=cpu_s, busy_s=busy_s)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours beside the peer on one data set: above 1 in ``speed`` is faster, below 1 in ``cpu`` cheaper.

    ``points``: our normalised error rate minus the peer's, in points.
    """

    dataset: str
    speed: float | None
    cpu: float | None
    points: float | None


def ratios(found: Sequence[Score], against: str) -> list[Ratio]:
    """One for each data set, of summed figures."""
    ours = {score.dataset: score for score in found if score.model == OURS}
    theirs = {score.dataset: score for score in found if score.model == against}
    return [_ratio(ours[name], theirs[name]) for name in ours if name in theirs]


def scores_table(found: Sequence[Score]) -> Table:
    headings = ("system", "data", "files", "minutes", "error rate", "normalised", "times real time", "CPU-s/audio-s")
    table = Table(*headings, title="recordings as files", title_justify="left")
    for score in found:
        table.add_row(
            score.model,
            score.dataset,
            str(score.utterances),
            f"{score.audio_s / 60:.1f}",
            rate(score.accuracy.raw),
            rate(score.accuracy.normalised),
            number(score.rtfx, ".1f"),
            number(score.cpu_per_audio, ".4f"),
        )
    return table


def ratios_table(compared: Sequence[Ratio], against: str) -> Table:
    table = Table("data", "speed", "CPU", "error points", title=f"{OURS} / {against}", title_justify="left")
    for ratio in compared:
        cells = (number(ratio.speed, ".2f"), number(ratio.cpu, ".2f"), number(ratio.points, "+.2f"))
        table.add_row(ratio.dataset, *cells)
    return table


def _ratio(ours: Score, theirs: Score) -> Ratio:
    rates = (ours.accuracy.normalised.rate, theirs.accuracy.normalised.rate)
    return Ratio(
        ours.dataset,
        _quotient(ours.rtfx, theirs.rtfx),
        _quotient(ours.cpu_per_audio, theirs.cpu_per_audio),
        None if rates[0] is None or rates[1] is None else 100 * (rates[0] - rates[1]),
    )


def _quotient(left: float | None, right: float | None) -> float | None:
    return None if left is None or not right else left / right
