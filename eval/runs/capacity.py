"""How many streams a server carries: the same minutes of speech by more and more real clients at once."""

from collections.abc import Sequence

from asr.errors import ConfigError
from eval.data.dataset import join
from eval.data.types import Utterance
from eval.defaults import CLIP_S
from eval.progress import Bar, progress
from eval.runs.folder import RunFolder
from eval.runs.live import Target
from eval.runs.local_server import serving
from eval.runs.runner import TraceCollector, read_recordings, run_live
from eval.runs.signature import Model
from eval.trace import Trace, read_traces, write_traces


def run_levels(
    models: Sequence[Model], levels: Sequence[int], spoken: Sequence[Utterance], threads: int | None, folder: RunFolder
) -> None:
    """Each model's server under each number of clients, a joined minute each; a level that is there is not run again.

    A level is written when it is whole: half of one says nothing. Raises `ConfigError` without speech that all take.
    """
    clips = minutes(spoken, max(levels))
    if not clips:
        raise ConfigError("found no speech that every model takes, wanted some for --capacity")
    done = _done(folder)
    for model in models:
        due = [level for level in sorted(levels) if (model.name, level) not in done]
        if not due:
            continue
        total_s = sum(due) * sum(clip.duration_s for clip in clips) / len(clips)
        with progress(f"capacity of {model.name}", total_s) as bar, serving(model.name, threads) as server:
            for level in due:
                target = Target(server.url, model.name)
                write_traces(folder.capacity, run_level(clips, level, target, server.pid, bar))


def minutes(spoken: Sequence[Utterance], count: int) -> tuple[Utterance, ...]:
    """The first clips of about a minute, at most `count`; a recording that is longer is left out."""
    short = [utterance for utterance in spoken if utterance.duration_s <= CLIP_S]
    return join(short, CLIP_S)[:count]


def run_level(clips: Sequence[Utterance], level: int, target: Target, pid: int | None, bar: Bar) -> list[Trace]:
    """So many clients at once, each with one clip; the clips come round again."""
    collector = TraceCollector(bar)
    recordings = list(read_recordings(clips, collector))
    chosen = [recordings[i % len(recordings)] for i in range(level)] if recordings else []
    run_live(chosen, target, pid, level, collector)
    collector.check()
    return collector.traces


def _done(folder: RunFolder) -> set[tuple[str, int]]:
    if not folder.capacity.exists():
        return set()
    return {(trace.model, trace.streams) for trace in read_traces(folder.capacity)}
