"""`asr bench server --against PEER`: ours and another streaming server in turns, the same clips on the same weights."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.table import Table

from asr.errors import ConfigError
from eval.bench.peers.load import streamer
from eval.bench.peers.serving import peer_python, peer_serving, peer_version
from eval.bench.peers.wires import STREAMING_PEERS, wire_of
from eval.bench.server import delays_of, print_line
from eval.data.types import Recording
from eval.metrics.score import Score, scores
from eval.progress import progress
from eval.report.terminal import caption, number, rate, score_table
from eval.runs.align_references import align_references
from eval.runs.live import Streamer, Target
from eval.runs.local_server import RunningServer, serving
from eval.runs.runner import TraceCollector, read_recordings, run_live
from eval.runs.setup import (
    console,
    live_model,
    load_datasets,
    load_engine,
    parse_counts,
    print_signature,
    sign_run,
    utterances_of,
)

OURS = "steadyword"
ROUNDS = 2
"""Who begins changes from one to the next."""


@dataclass(frozen=True, slots=True)
class System:
    """One of the two servers."""

    name: str
    server: RunningServer
    streamer: Streamer | None

    def run(self, recordings: Sequence[Recording], streams: int, collector: TraceCollector) -> None:
        run_live(recordings, Target(self.server.url, self.name), self.server.pid, streams, collector, self.streamer)


def server_against(
    data: Sequence[Path],
    streams: str,
    peer: str,
    python: Path | None,
    model: str,
    threads: int | None,
    workers: int | None,
    clip_s: float,
) -> None:
    """Each number of streams twice through each server; delays are from the aligned reference's word ends for both."""
    if peer not in STREAMING_PEERS:
        raise ConfigError(f"unknown peer {peer!r}; known are {', '.join(STREAMING_PEERS)}")
    counts, environment = parse_counts(streams), peer_python(peer, python)
    version = peer_version(peer, environment)
    datasets = load_datasets(data, minutes=ROUNDS * max(counts) * clip_s / 60, join_s=clip_s)
    utterances = utterances_of(datasets)
    options = () if workers is None else ("--workers", str(workers))
    total_s = 2 * ROUNDS * sum(counts) * sum(u.duration_s for u in utterances) / len(utterances)
    with (
        progress(f"bench server {model} against {peer}", total_s) as bar,
        serving(model, threads, options) as ours,
        peer_serving(peer, environment, model, threads, max(counts) + 1) as (theirs, folder),
    ):
        collector = TraceCollector(
            bar, references=align_references(utterances, load_engine(model, "auto", threads), bar.say)
        )
        recordings = [collector.references.placed(recording) for recording in read_recordings(utterances, collector)]
        systems = (System(OURS, ours, None), System(peer, theirs, streamer(lambda code: wire_of(peer, code, folder))))
        warm_up(systems, recordings[0], TraceCollector(bar))
        for count in counts:
            alternate(systems, recordings, count, collector)
    collector.check()
    signature = sign_run(
        datasets, live_model(model, threads, collector.traces), None, {"against": f"{peer} {version}", "clip_s": clip_s}
    )
    found = levels(collector)
    console().print(levels_table(found))
    compared = [ratio(found[count, OURS], found[count, peer], count) for count in counts]
    console().print(ratios_table(compared, peer))
    print_signature(signature)
    figures = {f"{name} {count}": score_table(score) for (count, name), score in found.items()}
    print_line("server-against", signature, {"scores": figures, "ratios": [asdict(r) for r in compared]})


def warm_up(systems: Sequence[System], recording: Recording, collector: TraceCollector, seconds: float = 4.0) -> None:
    """Each hears a little, unmeasured: one of them loads its model for the first stream."""
    beginning = replace(recording, samples=recording.samples[: round(seconds * 16_000)], words=())
    for system in systems:
        system.run([beginning], 1, collector)


def alternate(
    systems: Sequence[System], recordings: Sequence[Recording], count: int, collector: TraceCollector
) -> None:
    """So many streams at once through one server, then through the other; a second time the other way round."""
    for turn in range(ROUNDS):
        clips = [recordings[(turn * count + i) % len(recordings)] for i in range(count)]
        for system in systems if turn % 2 == 0 else tuple(reversed(systems)):
            system.run(clips, count, collector)


def levels(collector: TraceCollector) -> dict[tuple[int, str], Score]:
    """The scores by number of streams and system."""
    pooled = [replace(trace, dataset=str(trace.streams)) for trace in collector.traces]
    return {(int(score.dataset), score.model): score for score in scores(pooled)}


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over the peer's: below 1 is less CPU, a shorter delay. ``points``: our error rate minus the peer's."""

    streams: int
    cpu: float | None
    stable_p50: float | None
    stable_p95: float | None
    points: float | None


def ratio(ours: Score, theirs: Score, streams: int) -> Ratio:
    def over(figure: Callable[[Score], float | None]) -> float | None:
        left, right = figure(ours), figure(theirs)
        return None if left is None or not right else left / right

    rates = (ours.accuracy.normalised.rate, theirs.accuracy.normalised.rate)
    return Ratio(
        streams,
        over(lambda score: score.cpu_per_audio),
        over(lambda score: delays_of(score).stable.p50),
        over(lambda score: delays_of(score).stable.p95),
        None if rates[0] is None or rates[1] is None else 100 * (rates[0] - rates[1]),
    )


def levels_table(found: dict[tuple[int, str], Score]) -> Table:
    headings = ("streams", "system", "failed", "normalised", "stable p50", "p95", "end p50", "end p95", "CPU-s/audio-s")
    table = Table(*headings, title="real clients at real-time pace, in turns", title_justify="left")
    table.caption = caption([delays_of(score) for score in found.values()])
    for (count, name), score in sorted(found.items()):
        delays = delays_of(score)
        times = (delays.stable.p50, delays.stable.p95, delays.finalisation.p50, delays.finalisation.p95)
        cells = (
            rate(score.accuracy.normalised),
            *(number(t, ".2f") for t in times),
            number(score.cpu_per_audio, ".3f"),
        )
        table.add_row(str(count), name, str(score.failed), *cells)
    return table


def ratios_table(compared: Sequence[Ratio], peer: str) -> Table:
    table = Table("streams", "CPU", "stable p50", "p95", "error points", title=f"{OURS} / {peer}", title_justify="left")
    for found in compared:
        figures = (found.cpu, found.stable_p50, found.stable_p95)
        table.add_row(str(found.streams), *(number(f, ".3f") for f in figures), number(found.points, "+.2f"))
    return table
