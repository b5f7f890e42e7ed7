"""Recordings in a page."""

from pathlib import Path

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
