"""Releases by number, aliases by compare-and-set, and a history that is only ever added to."""

import multiprocessing
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.aliases import CANARY, CHAMPION, SHADOW
from asr.ledger import Ledger, LedgerError, MoveConflict, open_ledger, resolve
from asr.ledger.database import Database
from asr.vitals import NAMES
from tests.asr.ledger.releases import ALARM, LABEL, OUTCOME, PAIR, VITALS, add_releases, model_folder, move_up


def test_releases_are_numbered_by_model(ledger: Ledger, tmp_path: Path) -> None:
    """Each model counts from 1."""
    add_releases(ledger, tmp_path, 3, "m")
    add_releases(ledger, tmp_path, 1, "other")
    assert [release.ref for release in ledger.releases("m")] == ["m/1", "m/2", "m/3"]
    assert [release.ref for release in ledger.releases("other")] == ["other/1"]
    assert ledger.names() == ["m", "other"]
    assert ledger.release("m", 2) == ledger.releases("m")[1]


def test_the_same_files_are_the_same_release(ledger: Ledger, tmp_path: Path) -> None:
    """A pipeline that runs twice adds one release; who added it first stays."""
    first = ledger.add_release("m", model_folder(tmp_path / "a"), by="ann", why="first")
    again = ledger.add_release("m", model_folder(tmp_path / "b"), by="bob", why="again")
    assert again == first
    assert ledger.releases("m") == [first]


def test_an_alias_moves_from_where_it_is(ledger: Ledger, tmp_path: Path) -> None:
    """Compare-and-set: who expects another release moves nothing, and learns where the alias is."""
    add_releases(ledger, tmp_path, 3)
    ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
    ledger.move("m", CHAMPION, expected=1, to=2, by="ann", why="better", evidence={"wer": -0.02})
    with pytest.raises(MoveConflict, match=r"m@champion is on m/2 and not on m/1"):
        ledger.move("m", CHAMPION, expected=1, to=3, by="bob", why="late")
    with pytest.raises(MoveConflict, match=r"is on m/2 and not on no release"):
        ledger.move("m", CHAMPION, expected=None, to=3, by="bob", why="late")
    assert ledger.aliases("m")[CHAMPION].number == 2
    assert [(move.from_number, move.to_number) for move in ledger.moves("m")] == [(None, 1), (1, 2)]


def test_an_alias_can_be_taken_away_and_has_options(ledger: Ledger, tmp_path: Path) -> None:
    """The canary's weight changes while it stays on its release."""
    add_releases(ledger, tmp_path, 2)
    ledger.move("m", CANARY, expected=None, to=2, by="ann", why="try", options={"weight": 0.05})
    ledger.move("m", CANARY, expected=2, to=2, by="monitor", why="more", options={"weight": 0.2})
    assert ledger.options("m", CANARY) == {"weight": 0.2}
    ledger.move("m", CANARY, expected=2, to=None, by="ann", why="enough")
    assert ledger.aliases("m") == {}
    assert ledger.options("m", CANARY) == {}


def test_the_history_says_who_what_when_and_why(ledger: Ledger, tmp_path: Path) -> None:
    """In its order, for one model or all, from any point on."""
    add_releases(ledger, tmp_path, 2, "m")
    add_releases(ledger, tmp_path, 1, "other")
    first = ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first", evidence={"streams": 200})
    ledger.move("other", SHADOW, expected=None, to=1, by="bob", why="listen")
    last = ledger.move("m", CHAMPION, expected=1, to=2, by="ann", why="better")
    assert ledger.moves("m") == [first, last]
    assert [move.name for move in ledger.moves()] == ["m", "other", "m"]
    assert ledger.moves(after_id=first.id) == ledger.moves()[1:]
    assert (first.by, first.why, first.evidence) == ("ann", "the first", {"streams": 200})
    assert first.at_s > 1_700_000_000
    assert ledger.version() == last.id == 3


def test_a_move_to_no_release_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    """Nothing is written then."""
    add_releases(ledger, tmp_path, 2)
    with pytest.raises(LedgerError, match=r"has no release m/7; wanted m/1, m/2"):
        ledger.move("m", CHAMPION, expected=None, to=7, by="ann", why="typo")
    with pytest.raises(LedgerError, match=r"has no release of other; add one first"):
        ledger.move("other", CHAMPION, expected=None, to=1, by="ann", why="typo")
    with pytest.raises(LedgerError, match=r"'chief' is no alias; wanted champion, canary, shadow"):
        ledger.move("m", "chief", expected=None, to=1, by="ann", why="typo")
    assert ledger.version() == 0


@pytest.mark.parametrize("name", ["", "a/b", "../up", "a b", "m@champion", ".hidden", "ä"])
def test_a_name_that_cannot_be_one_is_refused(ledger: Ledger, tmp_path: Path, name: str) -> None:
    """`NAME/7` and `NAME@champion` have to be read unambiguously."""
    with pytest.raises(LedgerError, match="is no name of a model with releases"):
        ledger.add_release(name, model_folder(tmp_path / "a"), by="ann", why="typo")


def test_names_resolve_to_releases(ledger: Ledger, tmp_path: Path) -> None:
    """NAME is its champion; what the ledger does not know may be a model of another kind."""
    add_releases(ledger, tmp_path, 2)
    ledger.move("m", CHAMPION, expected=None, to=2, by="ann", why="the first")
    for ref, number in {"m": 2, "m@champion": 2, "m/1": 1, "m/2": 2}.items():
        assert resolve(ref, ledger) == ledger.release("m", number)
    for ref in ("unknown", "unknown@champion", "openai/whisper-small", "/a/folder", "~/m", "m/2/3", ""):
        assert resolve(ref, ledger) is None
    with pytest.raises(LedgerError, match=r"m@canary is on no release; wanted one of m/1, m/2"):
        resolve("m@canary", ledger)
    with pytest.raises(LedgerError, match="has no release m/7"):
        resolve("m/7", ledger)
    with pytest.raises(LedgerError, match="'chief' is no alias"):
        resolve("m@chief", ledger)


def test_watched_streams_are_kept_in_order(ledger: Ledger) -> None:
    """Pairs, outcomes and labels come back as they were added, each with the number of its row."""
    other = replace(PAIR, challenger=3)
    ledger.add_pairs([PAIR, other, replace(PAIR, stream_id="s-2")])
    ledger.add_outcomes([OUTCOME, replace(OUTCOME, delay_p95_s=None, arm="canary")])
    ledger.add_labels([LABEL])
    ledger.add_labels([])
    assert ledger.pairs("m", 1, 2) == [replace(PAIR, id=1), replace(PAIR, stream_id="s-2", id=3)]
    assert ledger.pairs("m", 1, 2, after_id=1) == [replace(PAIR, stream_id="s-2", id=3)]
    assert ledger.pairs("m", 1, 3) == [replace(other, id=2)]
    assert [row.delay_p95_s for row in ledger.outcomes("m")] == [0.8, None]
    assert ledger.labels("m") == [replace(LABEL, id=1)]
    assert ledger.labels("m", after_id=1) == ledger.labels("other") == []


def test_vitals_are_kept_in_order(ledger: Ledger) -> None:
    """Rounded to three digits; what is unknown stays unknown; they are read in pages."""
    unknown = replace(VITALS, utterance=4, numbers=np.full(len(NAMES), np.nan, np.float32))
    ledger.add_vitals([VITALS, unknown])
    ledger.add_vitals([replace(VITALS, name="other")])
    first, second = ledger.vitals("m")
    assert (first.stream_id, first.utterance, first.codec, first.audio_s, first.words) == (
        VITALS.stream_id, 3, "linear16", 12.5, 30,
    )  # fmt: skip
    np.testing.assert_allclose(first.numbers, VITALS.numbers, rtol=1e-3)
    assert np.isnan(second.numbers).all()
    assert [row.id for row in ledger.vitals("m", limit=1)] == [first.id]
    assert [row.id for row in ledger.vitals("m", after_id=first.id)] == [second.id]


def test_vitals_of_another_order_are_left_out(ledger: Ledger) -> None:
    """Their numbers mean something else."""
    ledger.add_vitals([VITALS])
    with sqlite3.connect(ledger.where) as connection:
        connection.execute("UPDATE vitals SET version = version + 1")
    connection.close()
    assert ledger.vitals("m") == []


def test_an_utterance_takes_at_most_500_bytes(ledger: Ledger) -> None:
    """With its indices."""
    rows = [replace(VITALS, stream_id=f"{number:032x}") for number in range(2000)]
    before = Path(ledger.where).stat().st_size
    ledger.add_vitals(rows)
    ledger.close()
    with sqlite3.connect(ledger.where) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert (Path(ledger.where).stat().st_size - before) / len(rows) <= 500


def test_alarms_are_kept_in_order(ledger: Ledger) -> None:
    """Of an unknown kind is none."""
    first = ledger.add_alarm(ALARM)
    second = ledger.add_alarm(replace(ALARM, kind="harm"))
    assert ledger.alarms("m") == [first, second]
    assert ledger.alarms("m", first.id) == [second]
    with pytest.raises(LedgerError, match=r"'odd' is no kind of alarm; wanted shift"):
        ledger.add_alarm(replace(ALARM, kind="odd"))


def test_another_process_sees_a_move(ledger: Ledger, tmp_path: Path) -> None:
    """A server that follows the ledger holds its own connection."""
    add_releases(ledger, tmp_path, 1)
    with open_ledger(ledger.where) as follower:
        assert follower.version() == 0
        ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
        assert follower.version() == 1
        assert follower.aliases("m") == ledger.aliases("m")


def test_of_two_processes_that_move_at_once_one_wins(ledger: Ledger, tmp_path: Path) -> None:
    """Each step is made once: none is lost, none is made twice, and the loser learns that it lost."""
    add_releases(ledger, tmp_path, 30)
    ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        done = list(pool.map(move_up, [ledger.where] * 2, [30] * 2))
    steps = [(number, number + 1) for number in range(1, 30)]
    assert sorted(done[0] + done[1]) == steps
    assert [(move.from_number, move.to_number) for move in ledger.moves()] == [(None, 1), *steps]


def test_the_clock_orders_nothing(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes back a year between two moves; the second is still the last one."""
    add_releases(ledger, tmp_path, 2)
    first = ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
    now_s = Database.now_s
    monkeypatch.setattr(Database, "now_s", lambda *arguments: now_s(*arguments) - 365 * 86_400)
    second = ledger.move("m", CHAMPION, expected=1, to=2, by="ann", why="better")
    assert second.at_s < first.at_s
    assert ledger.aliases("m")[CHAMPION].number == 2
    assert ledger.moves() == [first, second]
    assert ledger.moves(after_id=first.id) == [second]
