"""Real, unmodified clients with their default settings and only their address changed; `make clients` installs them."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile

from eval.runs.local_server import free_port
from server.config import load_settings
from server.workers.remote import load_engines
from tests.server.access.keys import Made
from tests.server.running import FOX, ServerProcess, plain, running

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "scripts" / "clients"
CLIENTS = ROOT / ".clients"

pytestmark = [pytest.mark.slow, pytest.mark.model]


@pytest.fixture(scope="module")
def recording(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fox as 16-bit WAV, which every client reads."""
    path = tmp_path_factory.mktemp("clients") / "fox.wav"
    samples, rate = soundfile.read(clip, dtype="float32")
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


@dataclass(frozen=True)
class Keyed:
    """A server that asks for a key, and the key."""

    url: str
    key: str


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """The default model in two worker processes, behind keys: each client shows one in its own way."""
    keys = Made(tmp_path_factory.mktemp("keys") / "keys.toml", {})
    key = keys.add("client", ("listen", "transcribe"))
    engines = load_engines(load_settings(models=["whisper-tiny.en"], workers=2))
    with running(*engines, keys_file=str(keys.file)) as server:
        yield Keyed(server.url, key)
    for engine in engines:
        engine.close()


def check(command: list[str], url: str, recording: Path, cases: int, key: str = "any") -> None:
    """Every case of a script shows the sentence."""
    done = subprocess.run(
        [*command, url, str(recording)],
        capture_output=True, text=True, timeout=280, check=False, env=os.environ | {"ASR_KEY": key},
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    wrong = [line for line in lines if plain(line.get("text", "")) != FOX]
    assert not wrong, f"{wrong}\n{done.stderr[-3000:]}"
    assert len(lines) == cases, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("environment", "script", "cases"),
    [
        ("agents", "livekit_plugins.py", 13),
        ("agents", "pipecat_services.py", 6),
        ("agents", "python_sdks.py", 7),
        ("deepgram3", "deepgram_sdk_3.py", 2),
    ],
)
def test_python_clients(keyed: Keyed, recording: Path, environment: str, script: str, cases: int) -> None:
    """LiveKit's and Pipecat's services, the SDKs of today, and an old one."""
    python = CLIENTS / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no clients in {CLIENTS / environment}: make clients installs them")
    check([str(python), str(SCRIPTS / script)], keyed.url, recording, cases, keyed.key)


def test_home_assistants_client(recording: Path) -> None:
    """Wyoming's own package, event by event as Home Assistant uses it, against `asr serve` as users start it."""
    python = CLIENTS / "agents" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no clients in {CLIENTS / 'agents'}: make clients installs them")
    port = free_port()
    server = ServerProcess(recording.parent, f"wyoming_port = {port}\n").wait_until_ready()
    try:
        check([str(python), str(SCRIPTS / "wyoming_client.py")], f"tcp://127.0.0.1:{port}", recording, 2)
    finally:
        server.stop()


def test_javascript_clients(keyed: Keyed, recording: Path) -> None:
    """The official SDKs; OpenAI's Realtime over TLS."""
    if not (CLIENTS / "node" / "node_modules").exists() or not shutil.which("node"):
        pytest.skip(f"no clients in {CLIENTS / 'node'}: make clients installs them")
    shutil.copy(SCRIPTS / "sdks.mjs", CLIENTS / "node")  # imports are looked up beside the script
    check(["node", str(CLIENTS / "node" / "sdks.mjs")], keyed.url, recording, 11, keyed.key)
