"""A ledger is copied whole: rows, numbers, files, and the next number after them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from asr.aliases import CHAMPION
from asr.cli import run
from asr.ledger import Draw, Draws, Ledger, LedgerError, copying, open_ledger
from asr.ledger.copying import copy_ledger
from tests.asr.ledger.postgresql import PostgreSql
from tests.asr.ledger.releases import ALARM, LABEL, OUTCOME, PAIR, VITALS, add_releases

DRAW = Draw(1.5, "m", 1, "s-1", 0, "c", "en", "", 9, 1.0, 4.0, 0.5, True, 8.0, 5_000_000_000)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Makes the name of a ledger that is not there yet."""
    monkeypatch.setenv("STEADYWORD_MODELS", str(tmp_path / "models"))
    if request.param == "sqlite":
        return lambda: str(tmp_path / "new" / "ledger.db")
    server: PostgreSql = request.getfixturevalue("postgresql")
    return server.new_ledger


def fill(ledger: Ledger, folder: Path) -> None:
    add_releases(ledger, folder, 2)
    ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
    ledger.move("m", CHAMPION, expected=1, to=2, by="ann", why="better", evidence={"low": float("nan")})
    ledger.add_gate("m", 2, has_passed=True, by="ann", evidence={"p": float("inf")})
    ledger.add_pairs([replace(PAIR, stream_id=f"s-{number}") for number in range(7)])
    ledger.add_outcomes([OUTCOME])
    ledger.add_labels([LABEL])
    ledger.add_vitals([VITALS])
    ledger.add_alarm(ALARM, "a cause")
    Draws(ledger).add([DRAW])


def everything(ledger: Ledger) -> list[str]:
    """As text: NaN is not equal to itself, and releases know their folder."""
    rows = [*ledger.moves(), *ledger.gates("m"), *ledger.pairs("m", 1, 2), *ledger.outcomes("m"), *ledger.labels("m")]
    rows += [*ledger.alarms("m"), *Draws(ledger).of_model("m")]
    rows += [(row.id, row.stream_id, row.numbers.tobytes()) for row in ledger.vitals("m")]
    return [repr(row) for row in rows] + [f"{r.ref} {r.sha256} {r.by} {r.why}" for r in ledger.releases("m")]


def test_the_copy_has_everything_and_goes_on(
    ledger: Ledger, tmp_path: Path, new_place: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in several batches; the files of the releases are whole there, and the next row gets a number of its own."""
    monkeypatch.setattr(copying, "BATCH_ROWS", 3)
    fill(ledger, tmp_path)
    with open_ledger(new_place()) as new:
        copied = copy_ledger(ledger, new)
        assert (copied["pairs"], copied["releases"], copied["moves"]) == (7, 2, 2)
        assert everything(new) == everything(ledger)
        champion = new.aliases("m")[CHAMPION]
        assert new.verified_folder(champion).is_relative_to(new.releases_folder)
        new.add_pairs([replace(PAIR, stream_id="later")])
        assert [row.stream_id for row in new.pairs("m", 1, 2, after_id=ledger.pairs("m", 1, 2)[-1].id)] == ["later"]
        new.move("m", CHAMPION, expected=2, to=1, by="ann", why="back")
        add_releases(new, tmp_path / "more", 3)
        assert [release.number for release in new.releases("m")] == [1, 2, 3]


def test_a_ledger_with_rows_is_not_written_over(ledger: Ledger, tmp_path: Path, new_place: Callable[[], str]) -> None:
    """A copy that is made twice says so, and changes nothing."""
    fill(ledger, tmp_path)
    with open_ledger(new_place()) as new:
        copy_ledger(ledger, new)
        before = everything(new)
        with pytest.raises(LedgerError, match="wanted one without rows"):
            copy_ledger(ledger, new)
        assert everything(new) == before


def test_a_release_whose_files_are_gone_is_said(ledger: Ledger, tmp_path: Path, new_place: Callable[[], str]) -> None:
    """An old one: its moves and evidence are still history."""
    fill(ledger, tmp_path)
    folder = ledger.releases("m")[0].folder
    folder.rename(folder.with_name("elsewhere"))
    missing: list[str] = []
    with open_ledger(new_place()) as new:
        copy_ledger(ledger, new, missing.append)
        assert len(new.releases("m")) == 2
    [sentence] = missing
    assert "m/1" in sentence
    assert "are not there" in sentence


def test_the_command_copies(
    ledger: Ledger, tmp_path: Path, new_place: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And refuses a ledger that is not there, without making one."""
    fill(ledger, tmp_path)
    place = new_place()
    assert run(["ledger", "copy", ledger.place, place]) == 0
    assert "pairs: 7" in capsys.readouterr().out
    with open_ledger(place) as new:
        assert everything(new) == everything(ledger)
    nowhere = tmp_path / "nowhere.db"
    assert run(["ledger", "copy", str(nowhere), str(tmp_path / "other.db")]) == 1
    assert "found no ledger" in capsys.readouterr().err
    assert not nowhere.exists()
