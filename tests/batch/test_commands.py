"""`asr transcribe` on single recordings: what is printed where, with which exit code, and what is refused.

The model is a stand-in: `Engine.load` and `recording.transcribe` are replaced, and a recording's text is its name. The
recordings are real files, so the errors of damaged and missing ones are real too. `test_folders` runs the real model.
"""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from asr import cli
from asr.config import load_session_settings
from asr.engine import Engine
from asr.errors import ConfigError, ModelError
from asr.transcripts import recording
from asr.transcripts.formats import Segment, Transcript
from tests.speech import RATE_HZ, silence


class Recogniser:
    """Keeps the models that were loaded and the arguments of each transcription."""

    def __init__(self) -> None:
        self.models: list[str] = []
        self.computing: list[tuple[str, int | None]] = []
        self.compiled: list[bool] = []
        self.calls: list[dict[str, Any]] = []

    def load(self, model: str, *, precision: str, threads: int | None, compiled: bool) -> str:
        self.models.append(model)
        self.compiled.append(compiled)
        self.computing.append((precision, threads))
        if model == "unknown":
            raise ModelError("no model named 'unknown'; wanted another")
        return "engine"

    def transcribe(
        self,
        source: Path,
        engine: str,
        *,
        on_progress: Callable[[float], None],
        on_notice: Callable[[str], None],
        **options: Any,
    ) -> Any:
        """One segment for each word of the file's name; a notice for the name "noted"."""
        if source.stem == "noted":
            on_notice("took audio track 2 of 2")
        self.calls.append({"source": source, **options})
        if options["language"] == "xx":
            raise ConfigError("language 'xx' is not known; wanted en")
        on_progress(1.0)
        words = source.stem.split("-")
        return Transcript(" ".join(words), "en", 1.0, tuple(Segment(word, 0.0, 1.0, ()) for word in words))


@pytest.fixture
def recogniser(monkeypatch: pytest.MonkeyPatch) -> Recogniser:
    recogniser = Recogniser()
    monkeypatch.setattr(Engine, "load", recogniser.load)
    monkeypatch.setattr(recording, "transcribe", recogniser.transcribe)
    return recogniser


@pytest.fixture(autouse=True)
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recordings and a file that is none, in the working folder."""
    for name in ("first.wav", "third-line.wav"):
        soundfile.write(tmp_path / name, silence(1.0), RATE_HZ)
    (tmp_path / "broken.wav").write_text("no audio")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_recording_is_its_text_and_nothing_else(recogniser: Recogniser, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output can be piped: no name, no bar, no greeting."""
    assert cli.run(["transcribe", "third-line.wav"]) == 0
    assert capsys.readouterr() == ("third\nline\n", "")


def test_no_model_is_loaded_where_there_is_no_file(recogniser: Recogniser, capsys: pytest.CaptureFixture[str]) -> None:
    """Loading takes seconds; a name with a slip is reported at once."""
    assert cli.run(["transcribe", "frist.wav", "secnd.wav"]) == 1
    assert capsys.readouterr() == ("", "asr: found no file at frist.wav, secnd.wav\n")
    assert recogniser.models == []


def test_a_url_needs_a_folder_for_its_text(recogniser: Recogniser, capsys: pytest.CaptureFixture[str]) -> None:
    """With both of its slashes, of which a path keeps one."""
    assert cli.run(["transcribe", "s3://bucket/talk.mp3"]) == 2
    assert capsys.readouterr().err == (
        "asr: s3://bucket/talk.mp3 is read for a folder of texts only; wanted --output-dir\n"
    )


def test_options_reach_the_transcription(recogniser: Recogniser) -> None:
    """As given. By default: the default model, greedy search, and the model detects the language."""
    options = ["--model", "m", "--language", "de", "--prompt", "p", "--hotword", "Rees", "--hotword", "Ng"]
    assert cli.run(["transcribe", "first.wav", *options, "--beam-size", "4", "--fallback"]) == 0
    assert cli.run(["transcribe", "first.wav"]) == 0
    assert recogniser.models == ["m", "whisper-tiny.en"]
    assert recogniser.calls == [
        {
            "source": Path("first.wav"),
            "language": "de",
            "prompt": "p",
            "hotwords": ("Rees", "Ng"),
            "settings": recording.offline_settings(beam_size=4, fallback=True),
        },
        {
            "source": Path("first.wav"),
            "language": None,
            "prompt": "",
            "hotwords": (),
            "settings": recording.offline_settings(beam_size=1, fallback=False),
        },
    ]


def test_a_notice_of_a_recording_is_a_sentence_on_standard_error(
    recogniser: Recogniser, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as which track was read. The text stays alone on standard output."""
    (recordings / "first.wav").rename("noted.wav")
    assert cli.run(["transcribe", "noted.wav"]) == 0
    assert capsys.readouterr() == ("noted\n", "asr: noted.wav: took audio track 2 of 2\n")


def test_several_recordings_have_their_names_before_each_line(
    recogniser: Recogniser, capsys: pytest.CaptureFixture[str]
) -> None:
    """As grep does it."""
    assert cli.run(["transcribe", "first.wav", "third-line.wav"]) == 0
    assert capsys.readouterr().out == "first.wav: first\nthird-line.wav: third\nthird-line.wav: line\n"


def test_a_broken_recording_does_not_stop_the_others(
    recogniser: Recogniser, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each failure is one sentence on standard error, and the exit code says that there was one."""
    assert cli.run(["transcribe", "first.wav", "broken.wav", "missing.wav", "third-line.wav"]) == 1
    out, err = capsys.readouterr()
    assert out == "first.wav: first\nthird-line.wav: third\nthird-line.wav: line\n"
    broken, missing = err.splitlines()
    assert broken.startswith("asr: found no sound in broken.wav: it is no recording, or it ends before")
    assert missing.startswith("asr: found no file at missing.wav")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["first.wav", "broken.wav", "--format", "srt"], "2 files in srt cannot share standard output"),
        (["first.wav", "--format", "txt,srt"], "2 formats cannot share standard output; wanted --output-dir"),
        (["."], "folders of recordings and their options need a folder for the texts; wanted --output-dir"),
        (["first.wav", "--watch"], "need a folder for the texts; wanted --output-dir"),
        (["first.wav", "--output-dir", "broken.wav"], "--output-dir broken.wav is a file, wanted a folder"),
        (["*.mp3", "--output-dir", "out"], "no file matches '*.mp3'"),
        (["first.wav", "--format", "pdf"], "unknown --format 'pdf'; wanted txt, json, srt, vtt, tsv, jsonl"),
        (["first.wav", "--engine", "spark", "--output-dir", "out"], "unknown --engine 'spark'; wanted local or ray"),
        ([], "Missing argument 'FILE'; see asr transcribe --help"),
    ],
)
def test_wrong_options_are_refused_before_any_work(
    recogniser: Recogniser, recordings: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """No model is loaded and nothing is written: the user must not learn it after an hour of work."""
    assert cli.run(["transcribe", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert recogniser.models == []
    assert not (recordings / "out").exists()


def test_an_unknown_language_is_wrong_use(recogniser: Recogniser, capsys: pytest.CaptureFixture[str]) -> None:
    """One message for the command, not one per file."""
    assert cli.run(["transcribe", "first.wav", "third-line.wav", "--language", "xx"]) == 2
    assert capsys.readouterr() == ("", "asr: language 'xx' is not known; wanted en\n")
    assert len(recogniser.calls) == 1


def test_an_unknown_model_is_a_failure(recogniser: Recogniser, capsys: pytest.CaptureFixture[str]) -> None:
    """With the sentence of the core, unchanged."""
    assert cli.run(["transcribe", "first.wav", "--model", "unknown"]) == 1
    assert capsys.readouterr() == ("", "asr: no model named 'unknown'; wanted another\n")


def test_a_terminal_shows_what_is_loaded_before_anything_heavy_is_imported() -> None:
    """Until the model is there; then the line is gone."""
    code = (
        "import sys\nfrom asr.console import loading\n"
        "with loading('whisper-[x]') as loaded:\n    loaded()\n    assert 'torch' not in sys.modules\nprint('text')\n"
    )
    done, screen = _on_a_terminal(code)
    assert done == b"text\n"
    assert "loading whisper-[x]" in screen
    assert screen.rstrip().endswith("\x1b[2K")  # the line erased


@pytest.mark.model
def test_the_bar_is_drawn_on_a_terminal_and_goes_to_standard_error() -> None:
    """On a terminal it shows the seconds of audio; standard output stays clean."""
    code = "from batch.printing import progress\nwith progress('a.wav', 20.0) as done:\n    done(5.0)\nprint('text')\n"
    done, screen = _on_a_terminal(code)
    assert done == b"text\n"
    assert "a.wav" in screen
    assert "5 / 20 s" in screen


def _on_a_terminal(code: str) -> tuple[bytes, str]:
    """Runs a program with a terminal as standard error: its standard output, and what the terminal got."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, env=environment, check=True
    )
    os.close(theirs)
    screen = os.read(ours, 65536).decode()
    os.close(ours)
    return done.stdout, screen


def test_settings_precision_and_threads_reach_the_model(recogniser: Recogniser, tmp_path: Path) -> None:
    """The options of the command take precedence over the file's."""
    file = tmp_path / "slow.toml"
    file.write_text("[decode]\nbeam_size = 5\n[vad]\nendpoint_ms = 900\n")
    wanted = load_session_settings(file)
    options = ["--settings", str(file), "--precision", "float32", "--threads", "3"]
    assert cli.run(["transcribe", "first.wav", *options]) == 0
    assert cli.run(["transcribe", "first.wav", *options, "--beam-size", "2"]) == 0
    assert recogniser.computing == [("float32", 3)] * 2
    assert [call["settings"] for call in recogniser.calls] == [
        recording.offline_settings(wanted),
        recording.offline_settings(wanted, beam_size=2),
    ]


@pytest.mark.parametrize(
    ("seconds", "compiled"), [((2.0,), False), ((29.0,), False), ((31.0,), True), ((16.0, 16.0), True)]
)
def test_the_model_is_compiled_for_long_work_alone(
    recogniser: Recogniser, tmp_path: Path, seconds: tuple[float, ...], compiled: bool
) -> None:
    """Compiling takes longer than a short recording saves; a file that is missing adds nothing."""
    files = [tmp_path / f"{i}.wav" for i in range(len(seconds))]
    for file, length_s in zip(files, seconds, strict=True):
        soundfile.write(file, silence(length_s), RATE_HZ)
    cli.run(["transcribe", *map(str, files), str(tmp_path / "missing.wav")])
    assert recogniser.compiled == [compiled]


def test_the_shell_completes_commands_and_options() -> None:
    """As bash asks for it."""
    environment = os.environ | {
        "_ASR_COMPLETE": "complete_bash",
        "COMP_WORDS": "asr transcribe --prec",
        "COMP_CWORD": "2",
    }
    done = subprocess.run([sys.executable, "-m", "asr"], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["--precision"]
