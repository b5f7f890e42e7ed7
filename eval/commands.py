"""Subcommands of the evaluation: `asr eval run` and `asr bench engine|server|files`.

Nothing heavy is imported here: `asr --help` must answer at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from asr.config import DEFAULT_MODEL
from asr.errors import ConfigError

Data = Annotated[list[Path], typer.Option(help="A manifest or a folder of recordings; may be given again.")]
ModelName = Annotated[str, typer.Option(help="A name from `asr models`, or a folder.")]
ModelNames = Annotated[
    list[str] | None, typer.Option("--model", help="A name from `asr models`, or a folder; several are compared.")
]
PlanStreams = Annotated[int, typer.Option(min=1, help="Plan the machine for so many streams at once.")]
PlanP95 = Annotated[float, typer.Option(min=0.1, help="... and 95 % of the words standing within so many seconds.")]
Mlflow = Annotated[
    str, typer.Option(help="Log parameters, figures and report: a server, sqlite:///FILE or a folder (extra mlops).")
]
AudioMb = Annotated[float, typer.Option(min=0, help="Megabytes of recordings that the page may hold.")]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="TOML with the session's settings: [vad], [stream], [decode].")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Bound the threads of the model's libraries.")]
NoiseSet = Annotated[Path | None, typer.Option(help="Recordings of noise: a data set, a folder or a file.")]
RoomSet = Annotated[Path | None, typer.Option(help="Impulse responses of rooms, for the condition reverb.")]
SNR_DB = "20,10,5,0"
CONDITIONS_HELP = (
    "Conditions to run under, several with commas, those of one joined by +: telephone, mulaw, alaw, amr, opus:KBIT, "
    "mp3:KBIT, gain:DB, reverb, noise:SNR (telephone+mulaw,opus:16,reverb+noise:10)."
)
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Use no more audio than about this.")]


def register(app: typer.Typer) -> None:
    """Adds the subcommands to the command `asr`."""
    evaluation = typer.Typer(help="Evaluate: accuracy, delay, stability and cost on labelled recordings.")
    evaluation.command("run")(eval_run)
    evaluation.command("compare")(eval_compare)
    evaluation.command("gate")(eval_gate)
    evaluation.command("audit")(eval_audit)
    evaluation.command("sweep")(eval_sweep)
    app.add_typer(evaluation, name="eval")
    bench = typer.Typer(help="Measure speed and delay: a table for people and one JSON line.")
    bench.command("engine")(bench_engine)
    bench.command("server")(bench_server)
    bench.command("files")(bench_files)
    app.add_typer(bench, name="bench")


def eval_run(
    data: Data,
    out: Annotated[Path, typer.Option(help="The run's folder; one that was stopped is gone on with.")],
    model: ModelNames = None,
    mode: Annotated[str, typer.Option(help="offline, replay, live, or several with commas.")] = "offline,replay",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many utterances of each data set.")] = None,
    join_s: Annotated[float | None, typer.Option("--join", help="Join clips to about so many seconds.")] = None,
    settings_file: SettingsFile = None,
    precision: Annotated[str, typer.Option(help="What the model calculates in.")] = "auto",
    threads: Threads = None,
    url: Annotated[str | None, typer.Option(help="Live: a running server; else one is started.")] = None,
    pid: Annotated[int | None, typer.Option(help="That server's process, for its CPU time.")] = None,
    streams: Annotated[int, typer.Option(min=1, help="Live: so many clients at a time.")] = 1,
    noise: NoiseSet = None,
    snr: Annotated[str | None, typer.Option(help=f"Noise at these levels in dB. [default: {SNR_DB}]")] = None,
    rirs: RoomSet = None,
    condition: Annotated[list[str] | None, typer.Option(help=CONDITIONS_HELP)] = None,
    clean: Annotated[bool, typer.Option(help="Run the recordings as they are as well.")] = True,
    seed: Annotated[int, typer.Option(help="Of what the conditions leave to chance.")] = 0,
    capacity: Annotated[str, typer.Option(help="Then so many clients at once on minutes of speech: 1,4,8.")] = "",
    plan_streams: PlanStreams = 100,
    plan_p95: PlanP95 = 2.0,
    audio_mb: AudioMb = 4.0,
    mlflow: Mlflow = "",
    align: Annotated[
        bool, typer.Option("--align", help="Delays from the words' true ends, by forced alignment.")
    ] = False,
    aligner: Annotated[str, typer.Option(help="The model that aligns.")] = DEFAULT_MODEL,
) -> None:
    """Run recordings through models, one-shot and streamed, and report errors, delays and cost."""
    from eval.data.apply_conditions import Conditions
    from eval.report.command import ReportOptions
    from eval.runs.command import RunOptions, run

    conditions = Conditions(noise, snr, rirs, ",".join(condition or ()), seed, clean)
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
        conditions=conditions,
        align=align,
        aligner=aligner,
    )
    run(options, ReportOptions(plan_streams, plan_p95, audio_mb, mlflow))


def eval_compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `asr eval run` made.")],
    out: Annotated[Path, typer.Option(help="The folder of the report.")],
    plan_streams: PlanStreams = 100,
    plan_p95: PlanP95 = 2.0,
    audio_mb: AudioMb = 4.0,
    mlflow: Mlflow = "",
) -> None:
    """Compare the models of one run or several: report.html, report.md and report.json, the verdict first."""
    from eval.report.command import ReportOptions, report

    report(runs, out, ReportOptions(plan_streams, plan_p95, audio_mb, mlflow))


def eval_gate(
    run: Annotated[Path, typer.Argument(help="The folder of the run that is judged.")],
    baseline: Annotated[Path, typer.Option(help="The folder of the run that it must not fall behind.")],
    max_wer_rise: Annotated[float | None, typer.Option(min=0, help="Points of WER that are let pass.")] = None,
    max_p95_rise: Annotated[float | None, typer.Option(min=0, help="Seconds of the delay's p95 let pass.")] = None,
    max_cost_rise: Annotated[float | None, typer.Option(min=0, help="Share of CPU time let pass: 0.1 is 10 %.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the checks as JUnit XML as well.")] = None,
) -> None:
    """Stop a build: exits 1 with one sentence where the run is worse than the baseline, beyond chance and the limit."""
    from eval.report.gate import Limits, gate

    gate(run, baseline, Limits(max_wer_rise, max_p95_rise, max_cost_rise), junit)


def eval_audit(
    data: Annotated[list[Path], typer.Argument(help="Manifests or folders of recordings, in any layout known.")],
    out: Annotated[Path, typer.Option(help="The folder for audit.html and audit.json.")],
    traces: Annotated[list[Path] | None, typer.Option(help="Runs whose models' words judge the labels.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many utterances of each data set.")] = None,
    embed_mb: Annotated[float, typer.Option(min=0, help="Recordings inside the page, at most; others linked.")] = 8.0,
) -> None:
    """Define the data: labels that contradict each other, how recordings sound, what two sets share."""
    from eval.audit.command import run

    run(data, out, traces or (), limit, embed_mb)


def eval_sweep(
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder of the sweep; one that was stopped is gone on with.")],
    grid: Annotated[list[str], typer.Option(help="KEY=VALUE,VALUE, such as stream.update_ms=400,800.")],
    model: ModelName = DEFAULT_MODEL,
    mode: Annotated[str, typer.Option(help="replay or offline.")] = "replay",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many utterances of each data set.")] = None,
    join_s: Annotated[float | None, typer.Option("--join", help="Join clips to about so many seconds.")] = None,
    threads: Threads = 1,
) -> None:
    """Try every combination of settings: which give the best of error, delay and cost."""
    from eval.report.sweep import SweepOptions, sweep

    sweep(SweepOptions(tuple(data), out, model, tuple(grid), mode, limit, join_s, threads))


def bench_engine(
    data: Data,
    model: ModelName = DEFAULT_MODEL,
    minutes: Minutes = None,
    threads: Threads = 1,
    settings_file: SettingsFile = None,
    precision: Annotated[str, typer.Option(help="What the model calculates in.")] = "auto",
) -> None:
    """The engine alone, on recordings joined into clips of a minute: cost, delay, and streamed against one-shot."""
    from eval.bench.server import engine

    engine(tuple(data), model, minutes, threads, settings_file, precision)


def bench_server(
    data: Data,
    streams: Annotated[str, typer.Option(help="How many clients at once; several with commas.")] = "1,4,8,16",
    url: Annotated[str | None, typer.Option(help="A running server; else one is started.")] = None,
    pid: Annotated[int | None, typer.Option(help="That server's process, for its CPU time.")] = None,
    model: ModelName = DEFAULT_MODEL,
    threads: Threads = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes of the server that is started.")] = None,
    against: Annotated[
        str | None, typer.Option(help="A peer to run in turns with ours: whisper-live, whisperlivekit.")
    ] = None,
    peer_python: Annotated[
        Path | None, typer.Option(help="The Python of the peer's environment; else .peers/NAME/bin/python.")
    ] = None,
    clip_s: Annotated[float, typer.Option("--clip", min=1, help="Join clips to about so many seconds.")] = 60.0,
) -> None:
    """A server under real clients at real-time pace: each client streams clips joined to a minute."""
    if against is not None:
        from eval.bench.peer_servers import server_against

        if url is not None:
            raise ConfigError("found --url with --against, wanted one of them: a comparison starts both servers")
        server_against(tuple(data), streams, against, peer_python, model, threads, workers, clip_s)
        return
    from eval.bench.server import server

    server(tuple(data), streams, url, pid, model, threads, workers, clip_s)


def bench_files(
    data: Data,
    model: ModelName = DEFAULT_MODEL,
    minutes: Minutes = None,
    threads: Threads = 1,
    against: Annotated[
        str | None, typer.Option(help="A peer to run beside: faster-whisper, or faster-whisper-batched.")
    ] = None,
    precision: Annotated[str, typer.Option(help="What the model calculates in.")] = "auto",
) -> None:
    """Recordings as files, not streamed: how many times faster than real time, beside a peer."""
    from eval.bench.files import files

    files(tuple(data), model, minutes, threads, against, precision)
