"""`asr bench files --against faster-whisper-batched`: folders on all cores, each side as fast as it goes.

Ours is the loop of `asr transcribe FOLDER`, with a worker process a core; the peer is faster-whisper's own
`BatchedInferencePipeline` with a thread a core, on the same files and weights. Each set is halved, and who begins
changes with the half. What one recording cost is not known here: the half's cost is shared out by seconds of audio.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from asr.config import SessionSettings
from asr.events import Final, Word, text_of
from asr.models.linear import best_precision
from asr.transcripts.recording import offline_settings
from batch.backend import Done
from batch.dispatch import Dispatcher
from batch.inputs import Recording as Input
from batch.local import worker_pool
from batch.messages import Pool, Task
from eval.bench.files import OURS, ratios, ratios_table, scores_table
from eval.bench.peers.transcribers import FASTER_WHISPER_BATCHED, faster_whisper_batched
from eval.bench.server import print_line
from eval.data.types import Dataset, Recording
from eval.metrics.score import scores
from eval.normalise import base_language
from eval.progress import progress
from eval.report.terminal import score_table
from eval.runs.process_usage import process_cpu_s
from eval.runs.replay import trace_of
from eval.runs.runner import TraceCollector, read_recordings
from eval.runs.setup import console, load_datasets, print_signature, sign_run, utterances_of
from eval.runs.signature import PACKAGES, Model
from eval.trace import OFFLINE, Entry, Trace
from server.workers.pool import cores

Folder = Callable[[Sequence[Recording]], list[str]]
"""Recordings -> their texts, in order."""


def folders(data: Sequence[Path], model: str, minutes: float | None, precision: str) -> None:
    """Both on every set, then a table, ratios and the JSON line."""
    datasets = load_datasets(data, minutes=minutes)
    utterances = utterances_of(datasets)
    total_s = 2 * sum(utterance.duration_s for utterance in utterances)
    precision = best_precision() if precision == "auto" else precision
    task = Task(model, _language(datasets), precision=precision, settings=offline_settings())
    with (
        worker_pool(task, cores()) as pool,
        faster_whisper_batched(model, cores()) as peer,
        progress(f"bench folders {model}", total_s) as bar,
    ):
        collector = TraceCollector(bar)
        systems: dict[str, Folder] = {OURS: _ours(pool), FASTER_WHISPER_BATCHED: _theirs(peer)}
        for dataset in datasets:
            in_turns(list(read_recordings(dataset.utterances, collector)), systems, collector)
    collector.check()
    own = Model(pool.hello.name, pool.hello.weights_sha256, precision, cores())
    options = {"minutes": minutes, "against": FASTER_WHISPER_BATCHED}
    packages = (*PACKAGES, "faster-whisper", "ctranslate2")
    signature = sign_run(datasets, own, SessionSettings(), options, packages)
    found = scores(collector.traces)
    compared = ratios(found, FASTER_WHISPER_BATCHED)
    console().print(scores_table(found))
    console().print(ratios_table(compared, FASTER_WHISPER_BATCHED))
    print_signature(signature)
    figures = {"scores": [score_table(s) for s in found], "ratios": [asdict(ratio) for ratio in compared]}
    print_line("folders", signature, figures)


def _language(datasets: Sequence[Dataset]) -> str | None:
    """The one language of the sets; None where they have several."""
    languages = {base_language(utterance.language) for utterance in utterances_of(datasets)}
    return languages.pop() or None if len(languages) == 1 else None


def in_turns(recordings: Sequence[Recording], systems: Mapping[str, Folder], collector: TraceCollector) -> None:
    """Halves of the recordings through each system; the first recording goes through each before, unmeasured."""
    names = list(systems)
    for name in names:
        systems[name](recordings[:1])
    middle = (len(recordings) + 1) // 2
    for index, half in enumerate((recordings[:middle], recordings[middle:])):
        for name in names if index % 2 == 0 else reversed(names):
            for trace in measured(name, systems[name], half):
                collector.add(trace)


def measured(name: str, transcribe: Folder, recordings: Sequence[Recording]) -> Iterator[Trace]:
    """Files from the disk to their texts, all processes' time; a trace each, with its share of the cost."""
    cpu_s, began = process_cpu_s(os.getpid()), time.perf_counter()
    texts = transcribe(recordings)
    busy_s, cpu_s = time.perf_counter() - began, process_cpu_s(os.getpid()) - cpu_s
    total_s = sum(recording.duration_s for recording in recordings)
    for recording, text in zip(recordings, texts, strict=True):
        share = recording.duration_s / total_s
        words = (Word(text, 0.0, recording.duration_s, 0.0),) if text else ()
        final = Final(words, 0.0, recording.duration_s, recording.utterance.language, ends_utterance=True)
        trace = trace_of(recording, OFFLINE, name, [Entry(final, recording.duration_s, busy_s * share)], 0.0)
        yield replace(trace, cpu_s=cpu_s * share, busy_s=busy_s * share)


def _ours(pool: Pool) -> Folder:
    def transcribe(recordings: Sequence[Recording]) -> list[str]:
        paths = [recording.utterance.clips[0].audio for recording in recordings]
        largest_first = sorted(set(paths), key=lambda path: -path.stat().st_size)
        inputs = [Input(path, path.stem) for path in largest_first]
        outcomes = Dispatcher(pool, inputs, lambda _seconds: None).run()
        texts = {o.recording.path: text_of(list(o.events)) for o in outcomes if isinstance(o, Done)}
        return [texts.get(path, "") for path in paths]

    return transcribe


def _theirs(peer: Callable[[Path, str, float], str]) -> Folder:
    def transcribe(recordings: Sequence[Recording]) -> list[str]:
        return [peer(r.utterance.clips[0].audio, base_language(r.utterance.language), r.duration_s) for r in recordings]

    return transcribe
