"""Which models of the settings are followed in the ledger."""

from pathlib import Path

import pytest

from asr.aliases import CHAMPION
from asr.ledger import open_ledger
from server.config import load_settings
from server.roster.releases import followed_names, pinned_releases
from tests.asr.ledger.releases import model_folder

INSTALLED = "whisper-tiny.en"


@pytest.mark.parametrize(
    ("served", "has_champion", "followed"),
    [
        (INSTALLED, False, []),
        (INSTALLED, True, [INSTALLED]),
        (f"{INSTALLED}@{CHAMPION}", False, [INSTALLED]),
        ("m", False, ["m"]),
        ("m", True, ["m"]),
        ("m/1", True, []),
    ],
)
def test_releases_without_a_champion_do_not_take_the_place_of_an_installed_model(
    tmp_path: Path, served: str, has_champion: bool, followed: list[str]
) -> None:
    """A name that is nothing but the ledger's waits for its first champion."""
    name = served.partition("/")[0].removesuffix(f"@{CHAMPION}")
    with open_ledger(tmp_path / "ledger.db") as ledger:
        ledger.add_release(name, model_folder(tmp_path / "model"), by="ann", why="a test")
        if has_champion:
            ledger.move(name, CHAMPION, expected=None, to=1, by="ann", why="a test")
        settings = load_settings(models=[served])
        assert followed_names(settings, ledger) == followed
        assert list(pinned_releases(settings, ledger)) == ([served] if "/" in served else [])


def test_a_ledger_of_other_work_does_not_say_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger of the settings counts, not the one that `$ASR_LEDGER` names."""
    with open_ledger(tmp_path / "other.db") as other:
        other.add_release("m", model_folder(tmp_path / "model"), by="ann", why="a test")
        other.move("m", CHAMPION, expected=None, to=1, by="ann", why="a test")
        monkeypatch.setenv("ASR_LEDGER", other.where)
    with open_ledger(tmp_path / "ledger.db") as ledger:
        ledger.add_release("m", model_folder(tmp_path / "model"), by="ann", why="a test")
        assert followed_names(load_settings(models=["m"]), ledger) == ["m"]
