"""Fixtures of the evaluation's tests."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.config import SAMPLE_RATE_HZ
from tests.eval.fakes import ScriptedEngine


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def asr(monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine) -> Callable[..., int]:
    """Runs a command line with the scripted engine in place of a model; returns its exit code."""
    from asr.cli import run

    for module in ("eval.runs.command", "eval.report.command", "eval.bench.command"):
        monkeypatch.setattr(f"{module}.load_engine", lambda *_: engine)
    return lambda *arguments: run([str(argument) for argument in arguments])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a manifest of three recordings of 1.5 s, the second of which is broken."""
    folder = tmp_path / "spoken"
    folder.mkdir()
    rows = []
    for name in ("a", "b", "c"):
        soundfile.write(folder / f"{name}.wav", np.zeros(24_000, np.float32), SAMPLE_RATE_HZ)
        rows.append({"audio_filepath": f"{name}.wav", "text": "red green grey", "duration": 1.5, "language": "en"})
    (folder / "b.wav").write_bytes(b"no sound at all")
    (folder / "manifest.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return folder
