"""Folders beside faster-whisper's batched pipeline: turns, shares of the cost, and both for real on one clip."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import soundfile

from eval.bench.folders import in_turns, measured
from eval.bench.tables import OURS
from eval.data.types import Recording
from eval.progress import progress
from eval.runs.runner import TraceCollector
from tests.eval.fakes import recording
from tests.eval.output import json_line
from tests.speech import RATE_HZ, clip


def test_halves_are_run_in_turns() -> None:
    """After one unmeasured recording each, who begins changes with the half; every recording is kept once a system."""
    calls: list[str] = []

    def system(name: str):
        def transcribe(recordings: Sequence[Recording]) -> list[str]:
            calls.append(name + "".join(r.utterance.id for r in recordings))
            return ["said"] * len(recordings)

        return transcribe

    with progress("x", 1.0) as bar:
        collector = TraceCollector(bar)
        in_turns([recording(1.0, name=name) for name in "123"], {"a": system("a"), "b": system("b")}, collector)
    assert calls == ["a1", "b1", "a12", "b12", "b3", "a3"]
    assert [t.model + t.utterance for t in collector.traces] == ["a1", "a2", "b1", "b2", "b3", "a3"]


def test_a_halfs_cost_is_shared_out_by_seconds() -> None:
    """A recording three times as long has three times the cost, and nothing is lost."""
    long, short = measured(OURS, lambda _: ["red", ""], [recording(3.0), recording(1.0)])
    assert long.busy_s == pytest.approx(3 * short.busy_s)
    assert long.cpu_s == pytest.approx(3 * short.cpu_s)
    assert (long.text, short.text) == ("red", "")


@pytest.mark.model
@pytest.mark.slow
def test_both_sides_transcribe_a_clip_for_real(asr, tmp_path: Path, capsys) -> None:
    """The same words on the same weights, a table, a ratio and the JSON line."""
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed: pip install faster-whisper")
    (tmp_path / "set").mkdir()
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"set/{name}.wav", clip("quick_brown_fox"), RATE_HZ)
        (tmp_path / f"set/{name}.txt").write_text("the quick brown fox jumps over the lazy dog")
    assert asr("bench", "files", "--data", tmp_path / "set", "--against", "faster-whisper-batched") == 0
    table = json_line(capsys.readouterr().out)
    assert [(s["model"], s["utterances"]) for s in table["scores"]] == [(OURS, 2), ("faster-whisper-batched", 2)]
    assert [s["figures"]["wer"] for s in table["scores"]] == [0.0, 0.0]
    assert table["ratios"][0]["speed"] > 0
