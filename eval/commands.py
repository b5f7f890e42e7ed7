"""The subcommands `asr eval ...` and `asr bench ...`: declares options and calls each room's command.

Imports nothing heavy at module level: `asr --help` must stay fast.
"""

from pathlib import Path
from typing import Annotated

import typer

from asr.config import DEFAULT_MODEL
from asr.errors import ConfigError
from asr.options import takes_ledger
from eval.defaults import (
    AUDIO_MB,
    AUDIT_AUDIO_MB,
    BENCH_P95_S,
    CLIP_S,
    ENDPOINTING_MS,
    FINALIZE_AFTER_S,
    PLAN_P95_S,
    PLAN_STREAMS,
    SNR_DB,
)

CONDITIONS_HELP = (
    "Conditions to run under, separated by commas; + chains several: telephone, mulaw, alaw, amr, opus:KBIT, "
    "mp3:KBIT, gain:DB, reverb, noise:SNR (telephone+mulaw,opus:16,reverb+noise:10)."
)

# -- options that several commands share ------------------------------------------------------------------------------

Data = Annotated[list[Path], typer.Option(help="A manifest or a folder of recordings; repeatable.")]
ModelName = Annotated[str, typer.Option(help="A name from `asr models`, or a folder.")]
ModelNames = Annotated[
    list[str] | None,
    typer.Option("--model", help="A name from `asr models`, or a folder; repeat it to compare models."),
]
Precision = Annotated[str, typer.Option(help="Number format the model computes in.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Limit the threads of the model's libraries.")]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="TOML with session settings: [vad], [stream], [decode].")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Use at most this many utterances of each data set.")]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Use at most about this many minutes of audio.")]
JoinS = Annotated[float | None, typer.Option("--join", help="Join clips into clips of about this many seconds.")]
ClipS = Annotated[float, typer.Option("--clip", min=1, help="Join clips into clips of about this many seconds.")]
Url = Annotated[str | None, typer.Option(help="A running server; without it one is started.")]
KeyEnv = Annotated[str, typer.Option(help="Environment variable with the key for the server or service at --url.")]
Pid = Annotated[int | None, typer.Option(help="That server's process id, to measure its CPU time.")]
Workers = Annotated[int | None, typer.Option(min=0, help="Worker processes of the started server.")]
PlanStreams = Annotated[int, typer.Option(min=1, help="Plan the machine for this many streams at once.")]
PlanP95 = Annotated[float, typer.Option(min=0.1, help="... with 95 % of the words stable within this many seconds.")]
AudioMb = Annotated[float, typer.Option(min=0, help="Megabytes of audio to embed in the page.")]
Mlflow = Annotated[
    str,
    typer.Option(help="Log parameters, metrics and report to a server, sqlite:///FILE or a folder (extra mlops)."),
]

Keywords = Annotated[
    Path | None, typer.Option(help="A file of words and phrases, one a line, whose errors the report counts.")
]


def register(app: typer.Typer) -> None:
    """Adds the subcommands to the command `asr`."""
    evaluation = typer.Typer(help="Evaluate: accuracy, delay, stability and cost on labelled recordings.")
    evaluation.command("run")(takes_ledger(eval_run))
    evaluation.command("score")(eval_score)
    evaluation.command("compare")(eval_compare)
    evaluation.command("gate")(eval_gate)
    evaluation.command("plan")(eval_plan)
    evaluation.command("audit")(eval_audit)
    evaluation.command("sweep")(takes_ledger(eval_sweep))
    app.add_typer(evaluation, name="eval")
    bench = typer.Typer(help="Measure speed and delay: a table for people and one JSON line.")
    bench.command("engine")(takes_ledger(bench_engine))
    bench.command("server")(takes_ledger(bench_server))
    bench.command("turns")(takes_ledger(bench_turns))
    bench.command("files")(takes_ledger(bench_files))
    bench.command("verdicts")(bench_verdicts)
    bench.command("coverage")(bench_coverage)
    bench.command("same-code")(bench_same_code)
    bench.command("resume")(takes_ledger(bench_resume))
    app.add_typer(bench, name="bench")


def eval_run(
    data: Data,
    out: Annotated[Path, typer.Option(help="The run's folder; an interrupted run continues there.")],
    model: ModelNames = None,
    mode: Annotated[str, typer.Option(help="offline, replay, live; separate several by commas.")] = "offline,replay",
    limit: Limit = None,
    join_s: JoinS = None,
    settings_file: SettingsFile = None,
    precision: Precision = "auto",
    threads: Threads = None,
    url: Url = None,
    pid: Pid = None,
    streams: Annotated[int, typer.Option(min=1, help="Live: number of clients at once.")] = 1,
    noise: Annotated[Path | None, typer.Option(help="Noise recordings: a data set, a folder or a file.")] = None,
    snr: Annotated[str | None, typer.Option(help=f"Add noise at these levels in dB. [default: {SNR_DB}]")] = None,
    rirs: Annotated[Path | None, typer.Option(help="Room impulse responses, for the condition reverb.")] = None,
    condition: Annotated[list[str] | None, typer.Option(help=CONDITIONS_HELP)] = None,
    clean: Annotated[bool, typer.Option(help="Also run the unchanged recordings.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of the conditions' random choices.")] = 0,
    capacity: Annotated[str, typer.Option(help="Then run 1,4,8 clients at once on clips of a minute.")] = "",
    plan_streams: PlanStreams = PLAN_STREAMS,
    plan_p95: PlanP95 = PLAN_P95_S,
    audio_mb: AudioMb = AUDIO_MB,
    mlflow: Mlflow = "",
    align: Annotated[
        bool, typer.Option("--align", help="Measure delays from the words' true ends, by forced alignment.")
    ] = False,
    aligner: Annotated[str, typer.Option(help="The model that aligns.")] = DEFAULT_MODEL,
    keywords: Keywords = None,
    wire: Annotated[str, typer.Option(help="What --url speaks: deepgram (live) or openai (uploads).")] = "deepgram",
    key_env: KeyEnv = "",
    repeats: Annotated[
        int, typer.Option(min=1, help="Do everything this often: from 3 on, cost and delay are compared too.")
    ] = 1,
) -> None:
    """Run recordings through models, one-shot and streamed, and report errors, delays and cost."""
    from eval.data.apply_conditions import Conditions
    from eval.report.command import ReportOptions
    from eval.runs.command import RunOptions, run

    options = RunOptions(
        data=tuple(data),
        out=out,
        models=tuple(model or [DEFAULT_MODEL]),
        mode=mode,
        limit=limit,
        join_s=join_s,
        settings_file=settings_file,
        precision=precision,
        threads=threads,
        url=url,
        pid=pid,
        streams=streams,
        capacity=capacity,
        conditions=Conditions(noise, snr, rirs, ",".join(condition or ()), seed, clean),
        align=align,
        aligner=aligner,
        wire=wire,
        key_env=key_env,
        repeats=repeats,
    )
    run(options, ReportOptions(plan_streams, plan_p95, audio_mb, mlflow, keywords))


def eval_score(
    transcripts: Annotated[
        list[Path], typer.Argument(help="Text, .trn, .ctm, .stm, .jsonl, .json, or a folder of NAME.txt.")
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="The run's folder, to be compared with others.")],
    name: Annotated[str, typer.Option(help="The system's name in reports. [default: the file's name]")] = "",
    limit: Limit = None,
    missing: Annotated[
        str, typer.Option(help="Recordings without a transcript: empty, or leave-out. [default: an error]")
    ] = "",
    keywords: Keywords = None,
    audio_mb: AudioMb = AUDIO_MB,
) -> None:
    """Make a run of transcripts that another system wrote: its report, and a folder for `asr eval compare`."""
    from eval.report.command import ReportOptions
    from eval.runs.score import ScoreOptions, score

    options = ScoreOptions(tuple(transcripts), tuple(data), out, name, limit, missing)
    score(options, ReportOptions(PLAN_STREAMS, PLAN_P95_S, audio_mb, "", keywords))


def eval_compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders made by `asr eval run`.")],
    out: Annotated[Path, typer.Option(help="The folder of the report.")],
    plan_streams: PlanStreams = PLAN_STREAMS,
    plan_p95: PlanP95 = PLAN_P95_S,
    audio_mb: AudioMb = AUDIO_MB,
    mlflow: Mlflow = "",
    keywords: Keywords = None,
) -> None:
    """Compare the models of one run or several: report.html, report.md and report.json, the verdict first."""
    from eval.report.command import ReportOptions, compare

    compare(runs, out, ReportOptions(plan_streams, plan_p95, audio_mb, mlflow, keywords))


def eval_gate(
    run: Annotated[Path, typer.Argument(help="The folder of the run to check.")],
    baseline: Annotated[Path, typer.Option(help="The folder of the run to compare with.")],
    max_wer_rise: Annotated[float | None, typer.Option(min=0, help="Allowed rise of WER, in points.")] = None,
    max_p95_rise: Annotated[
        float | None, typer.Option(min=0, help="Allowed rise of the delay's p95 with computing left out, in s.")
    ] = None,
    max_wall_p95_rise: Annotated[
        float | None, typer.Option(min=0, help="... with computing included; both runs need --repeats 3, in turns.")
    ] = None,
    max_cost_rise: Annotated[
        float | None, typer.Option(min=0, help="... of CPU time: 0.1 is 10 %; needs --repeats.")
    ] = None,
    non_inferior: Annotated[
        bool,
        typer.Option("--non-inferior", help="Pass only what is shown: the upper end of a rise must be in the limit."),
    ] = False,
    looks: Annotated[
        int | None,
        typer.Option(min=1, help="Looks planned at this data. [default: any number, ever stricter]"),
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Where looks are recorded. [default: looks.jsonl beside the baseline]")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write the checks as JUnit XML.")] = None,
) -> None:
    """Stop a build: exit 1 if the run is worse than the baseline, beyond chance and the limit; 2 if it cannot tell."""
    from eval.report.command import GateFiles, gate
    from eval.report.gate import Limits

    limits = Limits(max_wer_rise, max_p95_rise, max_cost_rise, max_wall_p95_rise, non_inferior)
    gate(GateFiles(run, baseline, ledger, junit), limits, looks)


def eval_plan(
    result: Annotated[Path, typer.Argument(help="The output of `asr bench server`, or a folder of `asr eval run`.")],
    streams: Annotated[str, typer.Option(help="Streams at once; separate several by commas.")] = "10,1000,100000",
    p95: Annotated[
        float, typer.Option("--p95", min=0.1, help="95 % of the words are stable within this many seconds.")
    ] = BENCH_P95_S,
    network_mbit: Annotated[float, typer.Option(min=1, help="Network of a machine, in Mbit/s.")] = 1000.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many machines like the measured one serve a number of streams, and what saturates first."""
    from eval.report.machines import print_plan

    print_plan(result, streams, p95, network_mbit, as_json)


def eval_audit(
    data: Annotated[list[Path], typer.Argument(help="Manifests or folders of recordings, in any known layout.")],
    out: Annotated[Path, typer.Option(help="The folder for audit.html and audit.json.")],
    traces: Annotated[list[Path] | None, typer.Option(help="Runs whose transcripts are compared with labels.")] = None,
    limit: Limit = None,
    embed_mb: Annotated[
        float, typer.Option(min=0, help="Megabytes of audio to embed in the page; the rest is linked.")
    ] = AUDIT_AUDIO_MB,
) -> None:
    """Describe the data: contradictory labels, how recordings sound, what two sets share."""
    from eval.audit.command import run

    run(data, out, traces or (), limit, embed_mb)


def eval_sweep(
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder of the sweep; an interrupted sweep continues there.")],
    grid: Annotated[list[str], typer.Option(help="KEY=VALUE,VALUE, such as stream.update_ms=400,800.")],
    model: ModelName = DEFAULT_MODEL,
    mode: Annotated[str, typer.Option(help="replay or offline.")] = "replay",
    limit: Limit = None,
    join_s: JoinS = None,
    threads: Threads = 1,
) -> None:
    """Try every combination of settings and find the best trade-offs of error, delay and cost."""
    from eval.report.command import SweepOptions, sweep

    sweep(SweepOptions(tuple(data), out, model, tuple(grid), mode, limit, join_s, threads))


def bench_engine(
    data: Data,
    model: ModelName = DEFAULT_MODEL,
    minutes: Minutes = None,
    threads: Threads = 1,
    settings_file: SettingsFile = None,
    precision: Precision = "auto",
) -> None:
    """The engine alone, on clips of a minute: cost, delay, and streamed against one-shot."""
    from eval.bench.command import engine

    engine(tuple(data), model, minutes, threads, settings_file, precision)


def bench_server(
    data: Data,
    streams: Annotated[str, typer.Option(help="Clients at once; separate several by commas.")] = "1,4,8,16",
    url: Url = None,
    pid: Pid = None,
    model: ModelName = DEFAULT_MODEL,
    threads: Threads = None,
    workers: Workers = None,
    against: Annotated[
        str | None, typer.Option(help="A peer to run in turns with ours: whisper-live, whisperlivekit.")
    ] = None,
    peer_python: Annotated[
        Path | None, typer.Option(help="Python of the peer's environment. [default: .peers/NAME/bin/python]")
    ] = None,
    clip_s: ClipS = CLIP_S,
    key_env: KeyEnv = "",
) -> None:
    """A server under real clients at real-time pace: each client streams clips of a minute."""
    if against is not None:
        from eval.bench.command import server_against

        if url is not None:
            raise ConfigError("found --url with --against, wanted one of them: a comparison starts both servers")
        server_against(tuple(data), streams, against, peer_python, model, threads, workers, clip_s)
        return
    from eval.bench.command import server

    server(tuple(data), streams, url, pid, model, threads, workers, clip_s, key_env)


def bench_turns(
    data: Data,
    streams: Annotated[str, typer.Option(help="Turns at once; separate several by commas.")] = "1",
    url: Url = None,
    pid: Pid = None,
    model: ModelName = DEFAULT_MODEL,
    threads: Threads = None,
    workers: Workers = None,
    limit: Limit = None,
    finalize_after_s: Annotated[
        float, typer.Option("--finalize-after", min=0, help="The client says Finalize after this many s; 0: never.")
    ] = FINALIZE_AFTER_S,
    endpointing: Annotated[
        str, typer.Option(help="Silence in ms that ends a turn, asked of the server; separate several by commas.")
    ] = ENDPOINTING_MS,
    chunk_ms: Annotated[int, typer.Option("--chunk", min=1, help="Audio in one message of the client, in ms.")] = 20,
    key_env: KeyEnv = "",
) -> None:
    """The end of a turn: from the end of speech to the first message, the final text and speech_final."""
    from eval.bench.command import turns

    ends = (finalize_after_s, endpointing)
    turns(tuple(data), streams, url, pid, model, threads, workers, limit, *ends, chunk_ms, key_env)


def bench_files(
    data: Data,
    model: ModelName = DEFAULT_MODEL,
    minutes: Minutes = None,
    threads: Threads = 1,
    against: Annotated[
        str | None, typer.Option(help="A peer to compare with: faster-whisper, or faster-whisper-batched.")
    ] = None,
    precision: Precision = "auto",
) -> None:
    """Recordings as files, not streamed: how many times faster than real time, next to a peer."""
    from eval.bench.command import files

    files(tuple(data), model, minutes, threads, against, precision)


def bench_resume(
    data: Data,
    streams: Annotated[int, typer.Option(min=1, help="Streams in all.")] = 1000,
    at_once: Annotated[int, typer.Option(min=1, help="Streams at the same time.")] = 16,
    pace: Annotated[float, typer.Option(min=0.1, help="Seconds of audio sent per second.")] = 4.0,
    seed: Annotated[int, typer.Option(help="Seed of the moments at which connections break.")] = 0,
    url: Url = None,
    model: ModelName = DEFAULT_MODEL,
    workers: Workers = None,
    clip_s: ClipS = 10.0,
    key_env: KeyEnv = "",
) -> None:
    """Streams over a network that breaks, each compared with an undisturbed one; exits 1 if one differs."""
    from eval.bench.resume import run

    if not run(tuple(data), (streams, at_once, pace, seed), url, model, workers, clip_s, key_env):
        raise typer.Exit(1)


def bench_verdicts(
    worlds: Annotated[int, typer.Option(min=1, help="Samples of each kind of world.")] = 200,
    delay_worlds: Annotated[int, typer.Option(min=1, help="Samples of each kind of world with delays.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the worlds.")] = 0,
) -> None:
    """How often verdicts and intervals are right in made-up worlds whose truth is known: tables, and what must hold."""
    from eval.bench.verdicts import run

    run(worlds, delay_worlds, seed)


def bench_coverage(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs, on sets with many speakers.")],
    speakers: Annotated[str, typer.Option(help="Numbers of speakers to draw.")] = "10,20,40",
    samples: Annotated[int, typer.Option(min=1, help="Samples of each number.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
) -> None:
    """How often intervals hold the truth where the speakers of finished runs are the population: tables in Markdown."""
    from eval.bench.coverage import run
    from eval.runs.setup import parse_counts

    run(runs, parse_counts(speakers, "--speakers"), samples, seed)


def bench_same_code(
    run: Annotated[Path, typer.Argument(help="A finished run of one model under two names, with many --repeats.")],
    speakers: Annotated[str, typer.Option(help="Numbers of speakers to draw.")] = "10,20,40",
    samples: Annotated[int, typer.Option(min=1, help="Smaller runs of each number.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
) -> None:
    """How often cost and delay are called different where both models are the same: a table in Markdown."""
    from eval.bench.same_code import run as count
    from eval.runs.setup import parse_counts

    count(run, parse_counts(speakers, "--speakers"), samples, seed)
