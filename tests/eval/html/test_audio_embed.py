"""Recordings in a page."""

from pathlib import Path

import pytest
import soundfile

from eval.data.types import Clip, Utterance
from eval.html.audio_embed import Players, embed_as_mp3
from eval.metrics.scored_trace import ScoredTrace
from tests.eval.fakes import said
from tests.speech import RATE_HZ, clip


def test_recordings_are_embedded_until_the_budget_is_spent(tmp_path: Path) -> None:
    """In the given order; a missing file is no reason to fail."""
    soundfile.write(tmp_path / "a.wav", clip("counting"), RATE_HZ)
    files = {"a": str(tmp_path / "a.wav"), "b": str(tmp_path / "gone.wav")}
    scored = [ScoredTrace(said("x", reference="a", utterance=name, audio=file)) for name, file in files.items()]
    uris = embed_as_mp3(scored, 10**6)
    assert list(uris) == [("d", "a")]
    assert uris[("d", "a")].startswith("data:audio/mpeg;base64,")
    assert embed_as_mp3(scored, 1000) == {}


def test_only_recordings_that_may_fit_are_encoded_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report of 1220 traces encoded all of them, also for a page without audio: most of its time."""
    encoded: list[str] = []
    monkeypatch.setattr("eval.html.audio_embed._mp3_uri", lambda file: encoded.append(file) or "x" * 5000)
    scored = [ScoredTrace(said("x", utterance=str(i % 100), audio=str(i % 100), duration_s=1.0)) for i in range(300)]
    assert embed_as_mp3(scored, 0) == {}
    assert encoded == []
    assert len(embed_as_mp3(scored, 5000 * 3 + 4000)) == 3
    assert encoded == [str(i) for i in range(3 + 8)]
    long = [ScoredTrace(said("x", utterance="long", audio="long", duration_s=60.0)), *scored]
    assert ("d", "0") in embed_as_mp3(long, 20_000)


def test_files_are_embedded_as_they_are_while_they_fit_and_linked_otherwise(tmp_path: Path) -> None:
    """A part of a file is always linked, with its times; an unknown utterance has nothing to play."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.mp3").write_bytes(b"x" * 300)
    utterances = [Utterance(name, "d", (Clip(tmp_path / f"{name}.mp3", "", 1.0),)) for name in ("a", "b")]
    utterances.append(Utterance("c", "d", (Clip(tmp_path / "a.mp3", "", 1.0, offset_s=2.0),)))
    players = Players(utterances, tmp_path, 500)
    assert [players.key("d", name) for name in ("a", "b", "c", "unknown")] == ["d/a", "d/b", "d/c", ""]
    assert players.sounds["d/a"].startswith("data:audio/mpeg;base64,eHh4")
    assert (players.sounds["d/b"], players.sounds["d/c"]) == ("b.mp3", "a.mp3#t=2,3")
