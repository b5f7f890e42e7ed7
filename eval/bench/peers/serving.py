"""Runs a peer's server for a measurement, in its own virtual environment: its dependencies clash with ours."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asr.errors import ConfigError
from eval.bench.peers.transcribers import ctranslate2_folder
from eval.bench.peers.wires import WHISPER_LIVE
from eval.runs.local_server import RunningServer, free_port, start_process

ENVIRONMENTS = Path(".peers")
"""Where `make peer-NAME` creates them."""

_WHISPER_LIVE = """
import sys
from whisper_live.server import TranscriptionServer
TranscriptionServer().run("127.0.0.1", port=int(sys.argv[1]), backend="faster_whisper", single_model=True,
    faster_whisper_custom_model_path=sys.argv[2], max_clients=int(sys.argv[3]), max_connection_time=3600)
"""
"""What WhisperLive's ``run_server.py -fw`` does; that script is not in its package."""


def peer_python(peer: str, python: Path | None) -> Path:
    """The interpreter of the peer's environment. Raises `ConfigError` with the command that creates it."""
    found = python or ENVIRONMENTS / peer / "bin" / "python"
    if not found.is_file():
        raise ConfigError(f"no Python at {found} for the peer {peer}; run `make peer-{peer}`, or name one's own")
    return found.absolute()


def peer_version(peer: str, python: Path) -> str:
    """The version installed in the peer's environment. Raises `ConfigError` if there is none."""
    command = [str(python), "-c", f"import importlib.metadata as m; print(m.version({peer!r}))"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"{python} has no package {peer}; run `make peer-{peer}`, or name the Python that has it")
    return done.stdout.strip()


@contextmanager
def peer_serving(
    peer: str, python: Path, model: str, threads: int | None, clients: int
) -> Iterator[tuple[RunningServer, str]]:
    """The peer's server with the same weights, for this many clients, and the weights' folder. Raises `ServerError`."""
    port = free_port()
    with ctranslate2_folder(model) as folder:
        command = _command(peer, python, folder, port, clients)
        with start_process(command, lambda: _listens(port), f"{peer} on port {port}", threads) as pid:
            yield RunningServer(f"ws://127.0.0.1:{port}", pid), str(folder)


def _command(peer: str, python: Path, folder: Path, port: int, clients: int) -> list[str]:
    if peer == WHISPER_LIVE:
        return [str(python), "-c", _WHISPER_LIVE, str(port), str(folder), str(clients)]
    return [
        *(str(python), "-m", "whisperlivekit.basic_server", "--host", "127.0.0.1", "--port", str(port)),
        *("--model_dir", str(folder), "--backend", "faster-whisper", "--backend-policy", "localagreement"),
        *("--lan", "en", "--pcm-input"),
    ]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
