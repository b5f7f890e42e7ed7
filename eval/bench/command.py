"""The commands `asr bench engine`, `asr bench server` and `asr bench files`: cost, delay and speed.

All use the traces and the metrics of the evaluation. Each prints a table for people and one JSON line.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from asr.config import SAMPLE_RATE_HZ, SessionSettings, load_session_settings
from asr.errors import ConfigError
from eval.bench.files import alternate as alternate_files
from eval.bench.files import transcribers
from eval.bench.peer_servers import ROUNDS, System, alternate, peer_levels, warm_up
from eval.bench.peers.load import streamer
from eval.bench.peers.serving import peer_python, peer_serving, peer_version
from eval.bench.peers.transcribers import FASTER_WHISPER_BATCHED, PEERS
from eval.bench.peers.wires import STREAMING_PEERS, wire_of
from eval.bench.tables import (
    OURS,
    file_ratios,
    file_ratios_table,
    files_table,
    level_summary,
    levels_table,
    peer_levels_table,
    print_line,
    stream_ratio,
    stream_ratios_table,
    turns_table,
    turns_title,
)
from eval.bench.turns import AFTER_S, BEFORE_S, TurnRun, read_turns, run_turns, turn_ends, turns_among
from eval.data.types import Dataset, Recording, Utterance
from eval.defaults import CLIP_S
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.summary import Summary, group, streamed_losses, summaries, summarise
from eval.progress import Bar, progress
from eval.report.terminal import print_signature, print_summary
from eval.runs.align_references import align_references
from eval.runs.capacity import read_clips, run_level
from eval.runs.live import Target
from eval.runs.local_server import serving
from eval.runs.process_usage import machine_memory_bytes
from eval.runs.replay import offline
from eval.runs.runner import TraceCollector, read_recordings, run_in_process
from eval.runs.server_load import lanes_of, watched_load
from eval.runs.setup import (
    console,
    engine_model,
    live_model,
    load_datasets,
    load_engine,
    parse_counts,
    server_at,
    service_key,
    sign_run,
    utterances_of,
)
from eval.runs.signature import PACKAGES, Model, Signature
from eval.trace import OFFLINE, REPLAY, Trace

PEER_PACKAGES = (*PACKAGES, "faster-whisper", "ctranslate2")
WARM_UP_S = 5.0


def engine(
    data: Sequence[Path],
    name: str,
    minutes: float | None,
    threads: int | None,
    settings_file: Path | None,
    precision: str,
) -> None:
    """`asr bench engine`: one stream in process, offline and in replay."""
    settings = load_session_settings(settings_file)
    datasets = load_datasets(data, minutes=minutes, join_s=CLIP_S)
    utterances = utterances_of(datasets)
    model = load_engine(name, precision, threads)
    with progress(f"bench engine {name}", 2 * sum(u.duration_s for u in utterances)) as bar:
        collector = TraceCollector(bar)
        first = next(iter(read_recordings(utterances, collector)), None)
        if first is not None:
            offline(_beginning(first), model, settings)
        collector.problems.clear()
        run_in_process(utterances, (OFFLINE, REPLAY), model, settings, collector)
    collector.check()
    signature = sign_run(datasets, engine_model(model, threads), settings, {"minutes": minutes, "join_s": CLIP_S})
    print_summary(collector.traces, signature, "one stream in process, clips of a minute")
    groups = group(ScoredTrace(trace) for trace in collector.traces)
    results = {
        "scores": [asdict(summary) for summary in summaries(groups)],
        "streamed": [asdict(loss) for loss in streamed_losses(groups)],
        "left_out": [str(problem) for problem in collector.problems],
    }
    print_line("engine", signature, results)


def server(
    data: Sequence[Path],
    streams: str,
    url: str | None,
    pid: int | None,
    name: str,
    threads: int | None,
    workers: int | None,
    clip_s: float,
    key_env: str = "",
) -> None:
    """`asr bench server`: each number of clients at the same time, one clip each; clips repeat where needed."""
    counts, key = parse_counts(streams), service_key(key_env)
    datasets = load_datasets(data, minutes=max(counts) * clip_s / 60, join_s=clip_s)
    utterances = utterances_of(datasets)
    total_s = sum(counts) * sum(u.duration_s for u in utterances) / len(utterances)
    with progress(f"bench server {name}", total_s) as bar, server_at(url, pid, name, threads, workers) as target:
        recordings, levels, traces = read_clips(utterances, bar), [], []
        lanes = lanes_of(target, key)
        for count in counts:
            with watched_load(target, key) as load:
                traces = run_level(recordings, count, Target(target.url, name, key=key), target.pid, bar)
            levels.append(level_summary(count, traces, load))
    options = {"streams": counts, "url": url, "workers": workers, "clip_s": clip_s}
    signature = sign_run(datasets, live_model(name, threads, traces), None, options)
    console().print(levels_table(levels))
    print_signature(signature)
    carried = max((level.streams for level in levels if level.carried), default=0)
    results = {"levels": [level.as_dict() for level in levels], "carried_streams": carried}
    print_line("server", signature, results | {"lanes": lanes, "machine_memory_bytes": machine_memory_bytes()})


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
    """`asr bench server --against PEER`: each number of clients twice through each server.

    Delays count from the word ends of the aligned reference for both. Raises `ConfigError` for an unknown peer or one
    that is not installed.
    """
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
        references = align_references(utterances, load_engine(model, "auto", threads), bar.say)
        collector = TraceCollector(bar, references=references)
        recordings = list(read_recordings(utterances, collector))
        systems = (System(OURS, ours, None), System(peer, theirs, streamer(lambda code: wire_of(peer, code, folder))))
        warm_up(systems, recordings[0], TraceCollector(bar))
        for count in counts:
            alternate(systems, recordings, count, collector)
    collector.check()
    signed = {"against": f"{peer} {version}", "clip_s": clip_s}
    signature = sign_run(datasets, live_model(model, threads, collector.traces), None, signed)
    _print_against(collector.traces, counts, peer, signature)


def turns(
    data: Sequence[Path],
    streams: str,
    url: str | None,
    pid: int | None,
    name: str,
    threads: int | None,
    workers: int | None,
    limit: int | None,
    finalize_after_s: float,
    endpointing: str,
    chunk_ms: int,
    key_env: str,
) -> None:
    """`asr bench turns`: single utterances, ended by `Finalize` and by the server. Raises `CallerError`."""
    counts, key = parse_counts(streams), service_key(key_env)
    ends = turn_ends(finalize_after_s or None, parse_counts(endpointing, "--endpointing"))
    datasets = turns_among(load_datasets(data), limit)
    utterances = utterances_of(datasets)
    total_s = len(counts) * len(ends) * sum(u.duration_s + BEFORE_S + AFTER_S for u in utterances)
    with progress(f"bench turns {name}", total_s) as bar:
        recordings, whole = _one_shot_turns(utterances, name, threads, bar)
        with server_at(url, pid, name, threads, workers) as server:
            runs, collector = [], TraceCollector(bar)
            for count in counts:
                for end in ends:
                    target = end.target(server.url, name, key, chunk_ms / 1000)
                    runs.append(run_turns(recordings, end, count, target, server.pid, collector))
    options = {
        "streams": counts,
        "url": url,
        "workers": workers,
        "limit": limit,
        "ends": [end.name for end in ends],
        "chunk_ms": chunk_ms,
    }
    signature = sign_run(datasets, live_model(name, threads, collector.traces), None, options)
    _print_turns(runs, whole, signature)


def _one_shot_turns(
    utterances: Sequence[Utterance], name: str, threads: int | None, bar: Bar
) -> tuple[list[Recording], Summary]:
    """The turns with the word times of their references, and what the model makes of the same audio in one shot."""
    engine = load_engine(name, "auto", threads)
    collector = TraceCollector(bar, references=align_references(utterances, engine, bar.say))
    recordings = list(read_turns(utterances, collector))
    scored = [ScoredTrace(offline(recording, engine)) for recording in recordings]
    if not recordings:
        collector.check()
    return recordings, summarise(scored, engine.name, "one shot", OFFLINE)


def _print_turns(runs: Sequence[TurnRun], whole: Summary, signature: Signature) -> None:
    """The tables, the signature and the JSON line of `turns`."""
    for run in runs:
        console().print(turns_title(run))
        console().print(turns_table(run, whole))
    print_signature(signature)
    print_line("turns", signature, {"turns": [asdict(run) for run in runs], "one_shot": asdict(whole)})


def _print_against(traces: Sequence[Trace], counts: Sequence[int], peer: str, signature: Signature) -> None:
    """The tables, the signature and the JSON line of a comparison with a peer's server."""
    levels = peer_levels(traces)
    ratios = [stream_ratio(levels[count, OURS], levels[count, peer], count) for count in counts]
    console().print(peer_levels_table(levels))
    console().print(stream_ratios_table(ratios, peer))
    print_signature(signature)
    scores = {f"{name} {count}": asdict(summary) for (count, name), summary in levels.items()}
    print_line("server-against", signature, {"scores": scores, "ratios": [asdict(ratio) for ratio in ratios]})


def files(
    data: Sequence[Path], model: str, minutes: float | None, threads: int | None, against: str | None, precision: str
) -> None:
    """`asr bench files`: recordings as files through our engine and, with `against`, a peer. Raises `ConfigError`."""
    if against is not None and against not in PEERS:
        raise ConfigError(f"unknown peer {against!r}; known are {', '.join(PEERS)}")
    if against == FASTER_WHISPER_BATCHED:
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
        alternate_files(read_recordings(utterances, collector), systems, collector)
    _print_files("files", datasets, engine_model(engine, threads), minutes, against, collector)


def folders(data: Sequence[Path], model: str, minutes: float | None, precision: str) -> None:
    """`asr bench files --against faster-whisper-batched`: both systems on all cores."""
    from asr.models.linear import best_precision  # torch and the batch loop: slow to import, needed only here
    from eval.bench.folders import folder_systems, in_turns

    datasets = load_datasets(data, minutes=minutes)
    total_s = 2 * sum(utterance.duration_s for utterance in utterances_of(datasets))
    precision = best_precision() if precision == "auto" else precision
    with (
        folder_systems(model, precision, datasets) as (loaded, systems),
        progress(f"bench folders {model}", total_s) as bar,
    ):
        collector = TraceCollector(bar)
        for dataset in datasets:
            in_turns(list(read_recordings(dataset.utterances, collector)), systems, collector)
    _print_files("folders", datasets, loaded, minutes, FASTER_WHISPER_BATCHED, collector)


def _print_files(
    kind: str,
    datasets: Sequence[Dataset],
    model: Model,
    minutes: float | None,
    against: str | None,
    collector: TraceCollector,
) -> None:
    """The tables, the signature and the JSON line of `files` and `folders`."""
    collector.check()
    options = {"minutes": minutes, "against": against}
    signature = sign_run(datasets, model, SessionSettings(), options, PEER_PACKAGES if against else PACKAGES)
    rows = summaries(group(ScoredTrace(trace) for trace in collector.traces))
    ratios = [] if against is None else file_ratios(rows, against)
    console().print(files_table(rows))
    if against is not None:
        console().print(file_ratios_table(ratios, against))
    print_signature(signature)
    results = {"scores": [asdict(summary) for summary in rows], "ratios": [asdict(ratio) for ratio in ratios]}
    print_line(kind, signature, results)


def _beginning(recording: Recording) -> Recording:
    """The first seconds of a recording, to warm up with."""
    return replace(recording, samples=recording.samples[: round(WARM_UP_S * SAMPLE_RATE_HZ)], words=())
