"""The subcommands `asr serve` and `asr stream`.

Nothing heavy is imported here: `asr --help` must answer immediately.
"""

import math
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli import say
from asr.errors import ConfigError
from asr.options import LedgerOption
from server.access.commands import register as register_keys

if TYPE_CHECKING:
    from server.access.keyring import Keyring
    from server.config import ServerSettings
    from server.http.service import Service

URL = "ws://127.0.0.1:8000/v1/listen"
ENGINES = ("local", "ray")


def register(app: typer.Typer) -> None:
    """Adds the subcommands to the command `asr`."""
    app.command()(serve)
    app.command()(stream)
    register_keys(app)


def serve(
    config: Annotated[Path | None, typer.Option(help="Settings that override configs/server.toml.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Serve this model instead; may be given again. The first is the default.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
    advertise: Annotated[
        str | None, typer.Option(help="Where other servers behind the same address reach this one: ws://10.0.0.3:8000.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes for each model; 0: one for each CPU core, at most 4.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where models compute: cpu, or cuda for an NVIDIA GPU (cuda:1: the second one).")
    ] = None,
    tls_cert: Annotated[str | None, typer.Option(help="Certificate with its chain (PEM): https and wss.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="The certificate's key (PEM).")] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Let other machines in without keys, and to the Wyoming port.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Where to run: local, or ray (replicas on a Ray cluster).")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="The Ray cluster, such as auto or ray://host:10001. [default: a new one here]")
    ] = None,
    replicas: Annotated[str, typer.Option(help="How many on Ray: a number, or the fewest and most: 2-8.")] = "1",
    ledger: LedgerOption = None,
) -> None:
    """Serve live streams, uploads and the page; print the address when ready."""
    from asr.released import ledger_place
    from server.access.exposure import check_exposure, wyoming_host
    from server.access.keyring import Keyring
    from server.access.tls import Certificates
    from server.address import bind
    from server.announce import check_installed
    from server.config import load_settings

    options = {
        "host": host,
        "port": port,
        "workers": workers,
        "advertise": advertise,
        "device": device,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
    }
    settings = load_settings(config, models=model or None, insecure=insecure, ledger=ledger, **options)
    if engine not in ENGINES:
        raise ConfigError(f"unknown --engine {engine!r}; wanted {' or '.join(ENGINES)}")
    if not settings.ledger:
        settings = replace(settings, ledger=ledger_place() or "")
    if settings.collect.enabled and not settings.ledger:
        raise ConfigError("collect.enabled: found true without a ledger, wanted ledger = FILE (see asr models add)")
    if engine == "ray":
        return _serve_on_ray(settings, ray_address, replicas)
    if settings.wyoming_zeroconf:
        check_installed()
    with ExitStack() as sockets:  # before the models are loaded: a taken port is reported immediately
        listening = sockets.enter_context(bind(settings))
        keyring = Keyring.of(settings)
        check_exposure(settings, keyring, listening)
        Certificates.of(settings)
        at = replace(settings, host=wyoming_host(settings))
        wyoming = sockets.enter_context(bind(at, settings.wyoming_port)) if settings.wyoming_port else None
        _serve(settings, keyring, listening, wyoming)


def _serve_on_ray(settings: "ServerSettings", address: str | None, replicas: str) -> None:
    from server.access.exposure import check_exposure
    from server.access.keyring import Keyring
    from server.address import bind
    from server.ray_serve import counts_of, serving

    counts = counts_of(replicas)
    for name in ("wyoming_port", "advertise"):
        if getattr(settings, name):
            raise ConfigError(f"{name}: found {getattr(settings, name)!r}, which --engine ray does not have yet")
    with bind(settings) as listening:
        check_exposure(settings, Keyring.of(settings), listening)
    if settings.ledger:
        from asr.ledger import open_ledger

        with open_ledger(settings.ledger) as ledger:  # a file by its whole name, since replicas run in other folders
            settings = replace(settings, ledger=ledger.place)
    signal.signal(signal.SIGTERM, _exit)
    with serving(settings, address, counts) as url:
        typer.echo(f"{', '.join(settings.models)} on {url} (Ctrl-C ends it)")
        while True:
            signal.pause()


def _serve(
    settings: "ServerSettings", keyring: "Keyring", listening: socket.socket, wyoming: socket.socket | None
) -> None:
    from server.access.logs import start_logs
    from server.starting import Starting

    say(f"loading {', '.join(settings.models)}")
    start_logs(settings)
    signal.signal(signal.SIGTERM, _exit)  # while models load, and after Uvicorn has shut down
    with Starting(listening, settings) as starting:  # before the imports below, which take seconds
        _load_and_run(settings, keyring, listening, wyoming, starting.end)


def _load_and_run(
    settings: "ServerSettings",
    keyring: "Keyring",
    listening: socket.socket,
    wyoming: socket.socket | None,
    on_ready: Callable[[], None],
) -> None:
    from server.address import address
    from server.http.app import create_app
    from server.loading import load
    from server.run import Server

    def greet(service: "Service") -> None:
        on_ready()
        typer.echo(f"{', '.join(service.schedulers)} on {address(listening, settings)} (Ctrl-C ends it)")
        if wyoming:
            alone = "" if settings.insecure else " (this machine only: the protocol has no keys)"
            typer.echo("Wyoming on {}:{}{}".format(*wyoming.getsockname()[:2], alone))
        if service.not_ready:
            say(f"not ready: {service.not_ready}")

    engines, follow = load(settings)
    try:
        Server(create_app(settings, engines, keyring, follow), settings, greet, wyoming).run(sockets=[listening])
    finally:
        for engine in engines:
            engine.close()


def _exit(number: int, frame: object) -> None:
    """Ends the program in order: its workers too, whatever they do."""
    raise SystemExit(128 + number)


def stream(
    source: Annotated[str, typer.Argument(help="A file, - for raw PCM16 on standard input, or mic.")],
    url: Annotated[str, typer.Option(help="The server.")] = URL,
    model: Annotated[str | None, typer.Option(help="A model that the server has.")] = None,
    language: Annotated[str | None, typer.Option(help="The spoken language, such as en, eng or English.")] = None,
    hotword: Annotated[list[str] | None, typer.Option(help="A word or name to expect; may be given again.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Text that the recording continues: spellings, style.")] = None,
    pace: Annotated[float, typer.Option(help="Seconds of audio sent per second; 0: as fast as possible.")] = 1.0,
    rate: Annotated[int, typer.Option(help="Sample rate of standard input in hertz.")] = 16_000,
    channels: Annotated[int, typer.Option(help="Channels of standard input.")] = 1,
    resumable: Annotated[
        int,
        typer.Option(help="Seconds for which the server keeps the stream when the connection breaks."),
    ] = 30,
    key_env: Annotated[
        str, typer.Option(help="The environment variable with the server's key, where the server asks for one.")
    ] = "ASR_KEY",
) -> None:
    """Stream a recording or the microphone to a server, and show the words as they arrive."""
    from server.client.protocol import listen_url

    if not 0 <= pace < math.inf:
        raise ConfigError(f"--pace: found {pace:g}, wanted 0 or more")
    import asyncio

    raw = source == "-"
    if not raw:
        rate, channels = 16_000, 1
    address = listen_url(
        url,
        encoding="linear16",
        sample_rate=rate,
        channels=channels,
        interim_results=sys.stdout.isatty(),
        model=model,
        language=language,
        prompt=prompt or None,
        keyterm=hotword,
    )
    key = os.environ.get(key_env, "")  # never as an option: other users see a process's arguments
    live = source == "mic" or pace == 0
    asyncio.run(_stream(source, address, None if live else pace, (rate, channels), key, resumable))


async def _stream(
    source: str, address: str, pace: float | None, form: tuple[int, int], key: str, resumable_s: int
) -> None:
    """Ctrl-C ends the audio, not the program: the last words are still shown. A second Ctrl-C ends the program."""
    import asyncio

    from server.client import sources
    from server.client.display import Display
    from server.client.resuming import ResumingStream
    from server.client.stream import paced

    rate, channels = form
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    if sys.platform != "win32":
        loop.add_signal_handler(signal.SIGINT, interrupt)
    with Display() as display:
        chunks = sources.until(stop, _chunks(source, rate, channels))
        frame_bytes = 2 * channels
        streaming = ResumingStream(
            address,
            display.show,
            bytes_per_s=rate * frame_bytes,
            frame_bytes=frame_bytes,
            key=key,
            on_state=display.show_state,
            resumable_s=resumable_s,
        )
        await streaming.run(chunks if pace is None else paced(chunks, pace))


def _chunks(source: str, rate: int, channels: int) -> AsyncIterator[bytes]:
    from server.client import sources

    if source == "mic":
        return sources.microphone_chunks()
    return sources.stdin_chunks(rate, channels) if source == "-" else sources.file_chunks(Path(source))
