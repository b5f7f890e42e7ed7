"""Every command takes a folder with a CTC model, tested on a model trained on two clips."""

import json
from pathlib import Path

import pytest
import soundfile

from asr.cli import run as asr
from eval.runs.local_server import serving
from eval.trace import read_traces
from tests.speech import RATE_HZ, clip, silence

TEXT = "the quick brown fox jumps over the lazy dog"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of one recording."""
    import numpy as np

    folder = tmp_path_factory.mktemp("set")
    samples = np.concatenate([silence(0.3), clip("quick_brown_fox"), silence(0.6)])
    soundfile.write(folder / "fox.wav", samples, RATE_HZ)
    (folder / "fox.txt").write_text(TEXT)
    return folder


def is_recognised(text: str) -> bool:
    """True if most words are there: in chunks the model sees less right context than in training."""
    return len({*text.split()} & {*TEXT.split()}) >= 5


def figures(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The JSON line of a bench."""
    table: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return table


def test_transcribe(learned: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file becomes its text."""
    assert asr(["transcribe", str(data / "fox.wav"), "--model", str(learned)]) == 0
    assert is_recognised(capsys.readouterr().out)


def test_align(learned: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line per word."""
    assert asr(["align", str(data / "fox.wav"), "the quick brown fox", "--model", str(learned)]) == 0
    assert [line.split()[3] for line in capsys.readouterr().out.splitlines()] == ["the", "quick", "brown", "fox"]


@pytest.mark.slow
def test_stream(learned: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Through a server that runs this model."""
    with serving(str(learned)) as server:
        assert asr(["stream", str(data / "fox.wav"), "--url", server.url, "--pace", "0"]) == 0
        assert is_recognised(capsys.readouterr().out)


@pytest.mark.slow
def test_eval_run(learned: Path, data: Path, tmp_path: Path) -> None:
    """One-shot, in process and through a server: a trace each, with words."""
    run = ["eval", "run", "--data", str(data), "--model", str(learned), "--threads", "1", "--out", str(tmp_path)]
    assert asr([*run, "--mode", "offline,replay,live"]) == 0
    traces = {trace.mode: trace for trace in read_traces(tmp_path / "traces.jsonl")}
    assert {*traces} == {"offline", "replay", "live"}
    assert all(is_recognised(trace.text) and not trace.error for trace in traces.values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["engine", "files", "server"])
def test_bench(kind: str, learned: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same commands as for Whisper, with cost and accuracy."""
    streams = ["--streams", "1"] if kind == "server" else []
    assert asr(["bench", kind, "--data", str(data), "--model", str(learned), "--threads", "1", *streams]) == 0
    line = json.dumps(figures(capsys))
    assert '"failed": 0' in line
    assert str(learned) in line
