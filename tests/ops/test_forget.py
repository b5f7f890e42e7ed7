"""`asr data forget`: nothing is kept of a consent, and each release trained on it is named."""

from pathlib import Path

import numpy as np
import pytest

from asr.cli import run
from asr.ledger import open_ledger
from eval.data.types import Clip as Part
from eval.data.types import Utterance
from server.clips.store import Clip, ClipStore
from tests.asr.ledger.releases import model_folder
from train.consents import consents_in, consents_of, write_consents


def test_forget_removes_all_and_lists_the_releases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also a release that was trained from one that has it; others are not named."""
    store = ClipStore(tmp_path / "clips")
    consent = store.hash_of("anna-7")
    clip = Clip(consent, 1.0, "m", 1, "s", "", 0, 0, "en", 0.0, 1.0, ())
    store.add(clip, np.zeros(16_000, np.int16))
    with open_ledger(tmp_path / "ledger.db") as ledger:
        for number, consents in enumerate(([], [consent, "0" * 32], ["1" * 32]), 1):
            folder = model_folder(tmp_path / f"model-{number}", number)
            write_consents(folder, consents)
            ledger.add_release("m", folder, by="ann", why="a test")
    place = ["--clips", str(store.folder)]
    assert run(["data", "forget", "anna-7", *place, "--ledger", str(tmp_path / "ledger.db")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2 files removed; nothing of this consent is kept from now on",
        "trained on it: m/2",
    ]
    assert list(store.clips()) == []
    assert run(["data", "forget", "ben", *place, "--ledger", str(tmp_path / "none.db")]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "trained on it: no release"
    assert run(["data", "sweep", "--retain-days", "0", *place]) == 0
    assert capsys.readouterr().out == "0 files removed\n"


def test_a_trained_folder_says_whose_speech_is_in_it(tmp_path: Path) -> None:
    def utterance(*attributes: tuple[str, str]) -> Utterance:
        return Utterance("u", "d", (Part(tmp_path / "a.flac", "x", 1.0),), attributes=attributes)

    write_consents(tmp_path, [])
    assert not list(tmp_path.iterdir())
    found = consents_of([utterance(("consent", "b")), utterance(("consent", "a")), utterance()])
    write_consents(tmp_path, found)
    assert consents_in(tmp_path) == {"a", "b"}
    for broken in ("", "{", '{"a": 1}', "[1]"):
        (tmp_path / "consents.json").write_text(broken)
        assert consents_in(tmp_path) == set()
