"""The examples of docs/CLIENTS.md, run as they stand against the real server where the client is installed."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.server.docs import DOCS
from tests.server.running import Running

pytestmark = [pytest.mark.model, pytest.mark.slow]

CLIENTS = Path(__file__).parents[2] / ".clients"
OWN = Path(__file__).parents[2] / "server" / "static" / "client"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def examples() -> Iterator[tuple[str, str, str]]:
    """Heading, language and code of each."""
    for section in (DOCS / "CLIENTS.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        for language, code in BLOCK.findall(section):
            yield section.splitlines()[0], language, code


EXAMPLES = list(examples())


def test_there_are_examples_of_every_client() -> None:
    """All that the issue of compatibility names."""
    headings = {heading for heading, _, _ in EXAMPLES}
    assert headings == {
        "Deepgram, Python", "Deepgram, JavaScript", "OpenAI, Python", "OpenAI, JavaScript", "LiveKit agents", "Pipecat",
        "steadyword, JavaScript", "A browser's WebSocket", "curl", "ffmpeg",
    }  # fmt: skip


@pytest.fixture
def folder(clip: Path, tmp_path: Path) -> Path:
    """With the recordings that the examples name."""
    samples, rate_hz = soundfile.read(clip, dtype="float32")
    soundfile.write(tmp_path / "talk.wav", samples, rate_hz, subtype="PCM_16")
    (tmp_path / "talk.raw").write_bytes((samples * 32767).astype(np.int16).tobytes())
    return tmp_path


def command(heading: str, language: str, code: str, folder: Path) -> list[str]:
    """How an example is run; skips where its client is not installed."""
    if language == "sh":
        tool = code.split()[0]
        if not shutil.which(tool):
            pytest.skip(f"no {tool} here")
        return ["bash", "-euc", code.replace("asr stream", str(Path(sys.executable).with_name("asr")) + " stream")]
    if language == "python":
        agents = CLIENTS / "agents" / "bin" / "python"
        python = str(agents) if heading in ("LiveKit agents", "Pipecat") else sys.executable
        if not Path(python).exists():
            pytest.skip(f"no {python}: make clients installs it")
        return [python, "-c", code]
    if not shutil.which("node"):
        pytest.skip("no node here")
    if heading == "steadyword, JavaScript":  # as `npm install ./server/static/client` leaves it
        (folder / "node_modules").mkdir()
        (folder / "node_modules" / "steadyword").symlink_to(OWN)
    elif (CLIENTS / "node" / "node_modules").exists():
        (folder / "node_modules").symlink_to((CLIENTS / "node" / "node_modules").resolve())
    else:
        pytest.skip(f"no {CLIENTS / 'node'}: make clients installs it")
    if "browser" in heading:
        code = 'import { readFileSync } from "node:fs";\nconst recording = readFileSync("talk.wav");\n' + code
    (folder / "example.mjs").write_text(code, encoding="utf-8")
    return ["node", "--experimental-websocket", "example.mjs"]


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=[heading for heading, _, _ in EXAMPLES])
def test_an_example_shows_what_is_said(number: int, real: Running, folder: Path) -> None:
    """Only the address is put in its place. Pipecat's services are made, not run: that needs a pipeline."""
    heading, language, code = EXAMPLES[number]
    code = code.replace("127.0.0.1:8000", real.url.removeprefix("http://"))
    done = subprocess.run(
        command(heading, language, code, folder), cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert heading == "Pipecat" or "lazy dog" in done.stdout
