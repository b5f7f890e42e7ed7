"""Measures how many streams a server carries: clips of a minute by more and more clients at once."""

import math
from collections.abc import Sequence

from asr.errors import ConfigError
from eval.data.dataset import join
from eval.data.types import Recording, Utterance
from eval.defaults import CLIP_S
from eval.progress import Bar, progress
from eval.runs.folder import RunFolder
from eval.runs.live import Target
from eval.runs.local_server import serving
from eval.runs.runner import TraceCollector, read_recordings, run_live
from eval.runs.signature import Model
from eval.trace import Trace, read_traces, write_traces

MIN_CLIPS = 4
"""A level of one client with one clip would rest on one minute of one voice."""


def run_levels(
    models: Sequence[Model], levels: Sequence[int], spoken: Sequence[Utterance], threads: int | None, folder: RunFolder
) -> None:
    """Runs each model's server with each number of clients, one clip per client. Skips levels that the folder has.

    A level is written only when all its clients are done: a part of it would not show that load. Raises `ConfigError`
    if `spoken` has no clips of at most a minute.
    """
    clips = minute_clips(spoken, max(MIN_CLIPS, *levels))
    if not clips:
        raise ConfigError("found no speech that every model takes, wanted some for --capacity")
    done = _done(folder)
    for model in models:
        due = [level for level in sorted(levels) if (model.name, level) not in done]
        if not due:
            continue
        total_s = sum(map(clips_of_level, due)) * sum(clip.duration_s for clip in clips) / len(clips)
        with progress(f"capacity of {model.name}", total_s) as bar, serving(model.name, threads) as server:
            target, recordings = Target(server.url, model.name), read_clips(clips, bar)
            for level in due:
                clips_due = clips_of_level(level)
                write_traces(folder.capacity, run_level(recordings, level, target, server.pid, bar, clips_due))


def minute_clips(spoken: Sequence[Utterance], count: int) -> tuple[Utterance, ...]:
    """The first `count` clips of about a minute, without recordings that are longer."""
    short = [utterance for utterance in spoken if utterance.duration_s <= CLIP_S]
    return join(short, CLIP_S)[:count]


def read_clips(clips: Sequence[Utterance], bar: Bar) -> list[Recording]:
    """The clips that can be read; the others are reported. Raises `CallerError` if there are none."""
    collector = TraceCollector(bar)
    recordings = list(read_recordings(clips, collector))
    if not recordings:
        collector.check()
    return recordings


def clips_of_level(level: int) -> int:
    """Clips that are streamed: at least `MIN_CLIPS`, and as many by each client."""
    return level * math.ceil(MIN_CLIPS / level)


def run_level(
    recordings: Sequence[Recording], level: int, target: Target, pid: int | None, bar: Bar, clips: int | None = None
) -> list[Trace]:
    """Streams recordings, `level` at once, `clips` in all (one for each client); reused if there are too few.

    Raises `CallerError` if all fail.
    """
    collector = TraceCollector(bar)
    chosen = [recordings[i % len(recordings)] for i in range(clips or level)]
    run_live(chosen, target, pid, level, collector)
    collector.check()
    return collector.traces


def _done(folder: RunFolder) -> set[tuple[str, int]]:
    if not folder.capacity.exists():
        return set()
    return {(trace.model, trace.streams) for trace in read_traces(folder.capacity)}
