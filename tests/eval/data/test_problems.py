"""Every error message of the readers has a kind."""

import json
from pathlib import Path

import numpy as np
import soundfile

from eval.data.dataset import load_dataset
from eval.data.problems import kind_of, tally
from eval.data.types import Problem
from eval.progress import progress
from eval.runs.runner import TraceCollector, read_recordings


def test_each_broken_line_and_file_has_its_kind_and_its_line(tmp_path: Path) -> None:
    """One line with each kind of problem; the other lines are used."""
    soundfile.write(tmp_path / "good.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "zero.wav", np.zeros(0), 16_000)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "lies.wav").write_bytes(b"this is a text")
    good = {"audio_filepath": "good.wav", "text": "hello", "duration": 1.0, "language": "en"}
    rows = [
        good,
        good | {"audio_filepath": "/elsewhere/x.wav"},
        good | {"audio_filepath": "gone.wav"},
        good | {"text": 7},
        good | {"duration": 0},
        good | {"text": "привет всем"},
    ]
    lines = [*map(json.dumps, rows), "{broken", "[]"]
    lines += [json.dumps(good | {"audio_filepath": name}) for name in ("zero.wav", "empty.wav", "lies.wav")]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    dataset = load_dataset(tmp_path)
    assert [(p.line, kind_of(p)) for p in dataset.problems] == [
        (2, "absolute path that is not here"),
        (3, "no audio file"),
        (4, "field that is no text"),
        (5, "invalid duration"),
        (6, "text in another script"),
        (7, "no JSON"),
        (8, "no JSON object"),
    ]
    assert [u.id for u in dataset.utterances] == ["good", "zero", "empty", "lies"]
    assert tally(dataset.problems).startswith("1 absolute path that is not here, 1 no audio file")


def test_a_reason_that_nobody_foresaw_is_still_counted() -> None:
    """As another."""
    assert tally([Problem(Path("x"), 0, "something new")]) == "1 other"
    assert tally(["m.jsonl:3: no audio file at x.wav", "m.jsonl:4: no audio file at y.wav"]) == "2 no audio file"
    assert tally([]) == ""


def test_a_recording_that_cannot_be_decoded_is_reported_with_its_line(tmp_path: Path) -> None:
    """Empty, without samples, not audio: the run continues with the others."""
    soundfile.write(tmp_path / "good.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "zero.wav", np.zeros(0), 16_000)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "lies.wav").write_bytes(b"this is a text")
    names = ("zero.wav", "good.wav", "empty.wav", "lies.wav")
    rows = [{"audio_filepath": name, "text": "hello", "duration": 1.0} for name in names]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with progress("x", 4.0) as bar:
        collector = TraceCollector(bar)
        recordings = list(read_recordings(load_dataset(tmp_path).utterances, collector))
    assert [recording.utterance.id for recording in recordings] == ["good"]
    problems = [(problem.file.name, problem.line, kind_of(problem)) for problem in collector.problems]
    assert problems == [
        ("manifest.jsonl", 1, "no sound in the file"),
        ("manifest.jsonl", 3, "empty file"),
        ("manifest.jsonl", 4, "no recording"),
    ]
