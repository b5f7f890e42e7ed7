"""Our server and another streaming server in turns: the same clips on the same weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asr.config import SAMPLE_RATE_HZ
from eval.data.types import Recording
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.summary import Summary, summarise
from eval.runs.live import Streamer, Target
from eval.runs.local_server import RunningServer
from eval.runs.runner import TraceCollector, run_live
from eval.trace import LIVE, Trace

ROUNDS = 2
"""Rounds at each number of streams. The order of the two servers changes from round to round."""
WARM_UP_S = 4.0


@dataclass(frozen=True, slots=True)
class System:
    """One of the two servers; ``streamer`` speaks its wire, None for ours."""

    name: str
    server: RunningServer
    streamer: Streamer | None

    def run(self, recordings: Sequence[Recording], streams: int, collector: TraceCollector) -> None:
        """Streams all recordings, this many at a time."""
        run_live(recordings, Target(self.server.url, self.name), self.server.pid, streams, collector, self.streamer)


def warm_up(systems: Sequence[System], recording: Recording, collector: TraceCollector) -> None:
    """A few seconds through each, unmeasured: one of the peers loads its model for the first stream."""
    beginning = replace(recording, samples=recording.samples[: round(WARM_UP_S * SAMPLE_RATE_HZ)], words=())
    for system in systems:
        system.run([beginning], 1, collector)


def alternate(
    systems: Sequence[System], recordings: Sequence[Recording], count: int, collector: TraceCollector
) -> None:
    """`count` streams at the same time through one server, then the other; the next round in reverse order."""
    for turn in range(ROUNDS):
        clips = [recordings[(turn * count + i) % len(recordings)] for i in range(count)]
        for system in systems if turn % 2 == 0 else tuple(reversed(systems)):
            system.run(clips, count, collector)


def peer_levels(traces: Sequence[Trace]) -> dict[tuple[int, str], Summary]:
    """The metrics by number of streams and system."""
    groups: dict[tuple[int, str], list[ScoredTrace]] = {}
    for trace in traces:
        groups.setdefault((trace.streams, trace.model), []).append(ScoredTrace(trace))
    return {key: summarise(scored, key[1], str(key[0]), LIVE) for key, scored in groups.items()}
