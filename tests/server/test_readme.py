"""The README's Python examples, run as they stand against the real server and model."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.server.running import Running

pytestmark = pytest.mark.model

README = Path(__file__).parents[2] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_there_are_examples() -> None:
    """Deepgram's SDK, OpenAI's SDK and the Python API."""
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_prints_what_is_said(number: int, real: Running, clip: Path, tmp_path: Path) -> None:
    """Only the address and the recording are put in their place."""
    samples, rate_hz = soundfile.read(clip, dtype="float32")
    soundfile.write(tmp_path / "talk.mp3", samples, rate_hz)
    (tmp_path / "talk.raw").write_bytes((samples * 32767).astype(np.int16).tobytes())
    code = EXAMPLES[number].replace("127.0.0.1:8000", real.url.removeprefix("http://"))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "lazy dog" in done.stdout
