"""`import asr; asr.transcribe(...)`: three lines, and nothing loaded before they are run."""

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

import asr
from asr.engine import Engine
from asr.errors import AudioError, ConfigError, ModelError
from asr.transcripts.recording import transcribe as transcribe_recording
from tests.speech import RATE_HZ, clip

pytestmark = pytest.mark.model


def test_a_path_an_open_file_and_samples_give_the_transcript(tmp_path: Path) -> None:
    """The transcript of the command line: the same code."""
    samples = clip("quick_brown_fox")
    path = tmp_path / "fox.wav"
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    transcript = asr.transcribe(path)
    assert "brown fox" in transcript.text
    assert transcript == asr.transcribe(str(path), model="whisper-tiny.en") == asr.transcribe(samples, language="en")
    with path.open("rb") as file:
        assert asr.transcribe(file) == transcript
    engine = Engine.load()
    assert asr.transcribe(samples, engine) == transcribe_recording(samples, engine)


def test_errors_are_sentences(tmp_path: Path) -> None:
    """The error classes are those of the rest of the package."""
    with pytest.raises(AudioError, match="found no file"):
        asr.transcribe(tmp_path / "none.wav")
    with pytest.raises(ModelError, match="no model named"):
        asr.transcribe(clip("quick_brown_fox"), model="whisper-enormous")
    with pytest.raises(ConfigError, match="does not know language 'de'"):
        asr.transcribe(clip("quick_brown_fox"), language="de")
    with pytest.raises(ConfigError, match="found language 'xx', wanted a code"):
        asr.transcribe(clip("quick_brown_fox"), language="xx")


def test_the_function_stays_whatever_else_is_imported() -> None:
    """No module of its name may take its place, and importing the package loads nothing heavy."""
    program = (
        "import sys, asr; assert 'torch' not in sys.modules; "
        "import asr.cli, asr.transcripts.recording, batch.job, asr.commands; assert callable(asr.transcribe); "
        "from asr import transcribe; assert transcribe is asr.transcribe"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
