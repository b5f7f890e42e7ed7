"""Folders of recordings on all cores, each system as fast as it goes.

Ours is the loop of `asr transcribe FOLDER` with a worker process per core; the peer is faster-whisper's own
`BatchedInferencePipeline` with a thread per core, on the same files and weights. Each set is cut in halves, and the
system that begins changes with the half. The cost of a single recording is unknown here: a half's cost is divided
among its recordings by seconds of audio.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from asr.events import text_of
from asr.normalisation.normalise import base_language
from asr.transcripts.recording import offline_settings
from batch.backend import Done
from batch.dispatch import Dispatcher
from batch.inputs import Recording as Input
from batch.local import worker_pool
from batch.messages import Pool, Task
from eval.bench.files import text_trace
from eval.bench.peers.transcribers import FASTER_WHISPER_BATCHED, faster_whisper_batched
from eval.bench.tables import OURS
from eval.data.types import Dataset, Recording
from eval.runs.process_usage import process_cpu_s
from eval.runs.runner import TraceCollector
from eval.runs.setup import utterances_of
from eval.runs.signature import Model
from eval.trace import Trace
from server.workers.pool import cores

Folder = Callable[[Sequence[Recording]], list[str]]
"""Recordings -> their texts, in order."""


@contextmanager
def folder_systems(
    model: str, precision: str, datasets: Sequence[Dataset]
) -> Iterator[tuple[Model, dict[str, Folder]]]:
    """Our model as it was loaded, and both systems by name, ours first."""
    task = Task(model, _language(datasets), precision=precision, settings=offline_settings())
    with worker_pool(task, cores()) as pool, faster_whisper_batched(model, cores()) as peer:
        loaded = Model(pool.hello.name, pool.hello.weights_sha256, precision, cores())
        yield loaded, {OURS: _ours(pool), FASTER_WHISPER_BATCHED: _theirs(peer)}


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
    """Files from disk to text with the time of all processes: one trace each, with its share of the cost."""
    cpu_s, began = process_cpu_s(os.getpid()), time.perf_counter()
    texts = transcribe(recordings)
    busy_s, cpu_s = time.perf_counter() - began, process_cpu_s(os.getpid()) - cpu_s
    total_s = sum(recording.duration_s for recording in recordings)
    for recording, text in zip(recordings, texts, strict=True):
        share = recording.duration_s / total_s
        yield text_trace(name, recording, text, busy_s=busy_s * share, cpu_s=cpu_s * share)


def _language(datasets: Sequence[Dataset]) -> str | None:
    """The one language of the sets; None where they have several."""
    languages = {base_language(utterance.language) for utterance in utterances_of(datasets)}
    return languages.pop() or None if len(languages) == 1 else None


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
