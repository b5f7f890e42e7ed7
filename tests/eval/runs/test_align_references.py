"""`asr eval run --align`: the words' true ends, found once a recording, and named in the traces."""

import json
from pathlib import Path

import pytest
import soundfile

from asr.engine import Engine
from eval.data.dataset import load_dataset, read
from eval.metrics.word_times import end_source
from eval.runs.align_references import align_references
from eval.trace import read_traces
from tests.speech import RATE_HZ, clip

FOX = "the quick brown fox jumps over the lazy dog"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One clip with its text, another with a text too long for it."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = []
    for name, text in (("quick_brown_fox", FOX), ("hello_world", " ".join([FOX] * 20))):
        soundfile.write(folder / f"{name}.wav", clip(name), RATE_HZ)
        rows.append(json.dumps({"audio_filepath": f"{name}.wav", "text": text, "language": "en"}))
    (folder / "manifest.jsonl").write_text("\n".join(rows))
    return folder


def test_references_get_their_words_times(data: Path, whisper_tiny: Engine) -> None:
    """A text that does not fit gets none, and a message says so."""
    messages: list[str] = []
    utterances = load_dataset(data).utterances
    references = align_references(utterances, whisper_tiny, messages.append)
    right, wrong = map(read, utterances)
    aligned = references.with_word_times(right)
    assert [span.text for span in aligned.words] == FOX.split()
    assert aligned.aligner == "whisper-tiny.en, alignment heads on the reference text"
    assert references.with_word_times(wrong) is wrong
    assert len(messages) == 1
    assert "hello_world has no word times" in messages[0]


@pytest.mark.model
@pytest.mark.slow
def test_a_run_measures_delays_from_them(data: Path, tmp_path: Path) -> None:
    """The trace holds them and says what found them, and so does the source of the words' ends."""
    from asr.cli import run

    options = ["--data", data, "--out", tmp_path / "out", "--mode", "replay", "--limit", "1", "--align"]
    assert run(["eval", "run", *map(str, options)]) == 0
    (trace,) = read_traces(tmp_path / "out" / "traces.jsonl")
    assert len(trace.reference_words) == 9
    assert "alignment heads" in end_source([trace])
