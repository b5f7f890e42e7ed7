"""Releases by number, aliases by compare-and-set, and a history that is only ever added to."""

import math
import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from asr.aliases import CANARY, CHAMPION, SHADOW
from asr.ledger import Alarm, Choice, Draw, Draws, Ledger, LedgerError, MoveConflict, Pipelines, open_ledger, resolve
from asr.ledger.database import Database
from asr.ledger.pipelines import Run, StepRow, Trigger
from asr.ledger.tables import METADATA
from asr.ledger.tables import VITALS as VITALS_TABLE
from asr.ledger.values import OutcomePart, PairPart
from asr.vitals import NAMES
from tests.asr.ledger.releases import ALARM, LABEL, OUTCOME, PAIR, VITALS, add_releases, model_folder, move_up


def test_releases_are_numbered_by_model(any_ledger: Ledger, tmp_path: Path) -> None:
    """Each model counts from 1."""
    add_releases(any_ledger, tmp_path, 3, "m")
    add_releases(any_ledger, tmp_path, 1, "other")
    assert [release.ref for release in any_ledger.releases("m")] == ["m/1", "m/2", "m/3"]
    assert [release.ref for release in any_ledger.releases("other")] == ["other/1"]
    assert any_ledger.names() == ["m", "other"]
    assert any_ledger.release("m", 2) == any_ledger.releases("m")[1]


def test_the_same_files_are_the_same_release(any_ledger: Ledger, tmp_path: Path) -> None:
    """A pipeline that runs twice adds one release; who added it first stays."""
    first = any_ledger.add_release("m", model_folder(tmp_path / "a"), by="ann", why="first")
    again = any_ledger.add_release("m", model_folder(tmp_path / "b"), by="bob", why="again")
    assert again == first
    assert any_ledger.releases("m") == [first]


def test_an_alias_moves_from_where_it_is(any_ledger: Ledger, tmp_path: Path) -> None:
    """Compare-and-set: who expects another release moves nothing, and learns where the alias is."""
    add_releases(any_ledger, tmp_path, 3)
    any_ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
    any_ledger.move("m", CHAMPION, expected=1, to=2, by="ann", why="better", evidence={"wer": -0.02})
    with pytest.raises(MoveConflict, match=r"m@champion is on m/2 and not on m/1"):
        any_ledger.move("m", CHAMPION, expected=1, to=3, by="bob", why="late")
    with pytest.raises(MoveConflict, match=r"is on m/2 and not on no release"):
        any_ledger.move("m", CHAMPION, expected=None, to=3, by="bob", why="late")
    assert any_ledger.aliases("m")[CHAMPION].number == 2
    assert [(move.from_number, move.to_number) for move in any_ledger.moves("m")] == [(None, 1), (1, 2)]


def test_an_alias_can_be_taken_away_and_has_options(any_ledger: Ledger, tmp_path: Path) -> None:
    """The canary's weight changes while it stays on its release."""
    add_releases(any_ledger, tmp_path, 2)
    any_ledger.move("m", CANARY, expected=None, to=2, by="ann", why="try", options={"weight": 0.05})
    any_ledger.move("m", CANARY, expected=2, to=2, by="monitor", why="more", options={"weight": 0.2})
    assert any_ledger.options("m", CANARY) == {"weight": 0.2}
    any_ledger.move("m", CANARY, expected=2, to=None, by="ann", why="enough")
    assert any_ledger.aliases("m") == {}
    assert any_ledger.options("m", CANARY) == {}


def test_the_history_says_who_what_when_and_why(any_ledger: Ledger, tmp_path: Path) -> None:
    """In its order, for one model or all, from any point on."""
    add_releases(any_ledger, tmp_path, 2, "m")
    add_releases(any_ledger, tmp_path, 1, "other")
    first = any_ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first", evidence={"streams": 200})
    any_ledger.move("other", SHADOW, expected=None, to=1, by="bob", why="listen")
    last = any_ledger.move("m", CHAMPION, expected=1, to=2, by="ann", why="better")
    assert any_ledger.moves("m") == [first, last]
    assert [move.name for move in any_ledger.moves()] == ["m", "other", "m"]
    assert any_ledger.moves(after_id=first.id) == any_ledger.moves()[1:]
    assert (first.by, first.why, first.evidence) == ("ann", "the first", {"streams": 200})
    assert first.at_s > 1_700_000_000
    assert any_ledger.version() == last.id == 3


def test_a_move_to_no_release_is_refused(any_ledger: Ledger, tmp_path: Path) -> None:
    """Nothing is written then."""
    add_releases(any_ledger, tmp_path, 2)
    with pytest.raises(LedgerError, match=r"has no release m/7; wanted m/1, m/2"):
        any_ledger.move("m", CHAMPION, expected=None, to=7, by="ann", why="typo")
    with pytest.raises(LedgerError, match=r"has no release of other; add one first"):
        any_ledger.move("other", CHAMPION, expected=None, to=1, by="ann", why="typo")
    with pytest.raises(LedgerError, match=r"'chief' is no alias; wanted champion, canary, shadow"):
        any_ledger.move("m", "chief", expected=None, to=1, by="ann", why="typo")
    assert any_ledger.version() == 0


@pytest.mark.parametrize("name", ["", "a/b", "../up", "a b", "m@champion", ".hidden", "ä"])
def test_a_name_that_cannot_be_one_is_refused(any_ledger: Ledger, tmp_path: Path, name: str) -> None:
    """`NAME/7` and `NAME@champion` have to be read unambiguously."""
    with pytest.raises(LedgerError, match="is no name of a model with releases"):
        any_ledger.add_release(name, model_folder(tmp_path / "a"), by="ann", why="typo")


def test_names_resolve_to_releases(any_ledger: Ledger, tmp_path: Path) -> None:
    """NAME is its champion; what the ledger does not know may be a model of another kind."""
    add_releases(any_ledger, tmp_path, 2)
    any_ledger.move("m", CHAMPION, expected=None, to=2, by="ann", why="the first")
    for ref, number in {"m": 2, "m@champion": 2, "m/1": 1, "m/2": 2}.items():
        assert resolve(ref, any_ledger) == any_ledger.release("m", number)
    for ref in ("unknown", "unknown@champion", "openai/whisper-small", "/a/folder", "~/m", "m/2/3", ""):
        assert resolve(ref, any_ledger) is None
    with pytest.raises(LedgerError, match=r"m@canary is on no release; wanted one of m/1, m/2"):
        resolve("m@canary", any_ledger)
    with pytest.raises(LedgerError, match="has no release m/7"):
        resolve("m/7", any_ledger)
    with pytest.raises(LedgerError, match="'chief' is no alias"):
        resolve("m@chief", any_ledger)


def test_watched_streams_are_kept_in_order(any_ledger: Ledger) -> None:
    """Pairs, outcomes and labels come back as they were added, each with the number of its row."""
    other = replace(PAIR, challenger=3)
    any_ledger.add_pairs([PAIR, other, replace(PAIR, stream_id="s-2")])
    any_ledger.add_outcomes([OUTCOME, replace(OUTCOME, delay_p95_s=None, arm="canary")])
    any_ledger.add_labels([LABEL])
    any_ledger.add_labels([])
    assert any_ledger.pairs("m", 1, 2) == [replace(PAIR, id=1), replace(PAIR, stream_id="s-2", id=3)]
    assert any_ledger.pairs("m", 1, 2, after_id=1) == [replace(PAIR, stream_id="s-2", id=3)]
    assert any_ledger.pairs("m", 1, 3) == [replace(other, id=2)]
    assert [row.delay_p95_s for row in any_ledger.outcomes("m")] == [0.8, None]
    assert any_ledger.labels("m") == [replace(LABEL, id=1)]
    assert any_ledger.labels("m", after_id=1) == any_ledger.labels("other") == []


def test_parts_have_the_columns_of_whole_rows(any_ledger: Ledger) -> None:
    """The same rows in the same order, also after one."""
    any_ledger.add_pairs([PAIR, replace(PAIR, challenger=3), replace(PAIR, stream_id="s-2", is_drawn=False)])
    any_ledger.add_outcomes([OUTCOME, replace(OUTCOME, name="other"), replace(OUTCOME, delay_p95_s=None)])
    for after in (0, 1):
        pairs, outcomes = any_ledger.pairs("m", 1, 2, after), any_ledger.outcomes("m", after)
        assert any_ledger.pair_parts("m", 1, 2, after) == [part_of(PairPart, row) for row in pairs]
        assert any_ledger.outcome_parts("m", after) == [part_of(OutcomePart, row) for row in outcomes]
        assert len(pairs) == len(outcomes) == 2 - after


def part_of(cls: Any, row: Any) -> Any:
    return cls(*(getattr(row, name) for name in cls._fields))


DRAW = Draw(1.5, "m", 1, "s-1", 0, "c0ffee", "en", "", 9, 1.5, 4.0, 0.5, True, 8.0, 1)
ADDERS: list[tuple[Any, Callable[[Ledger, Any], object]]] = [
    (PAIR, lambda ledger, row: ledger.add_pairs([PAIR, row])),
    (OUTCOME, lambda ledger, row: ledger.add_outcomes([OUTCOME, row])),
    (LABEL, lambda ledger, row: ledger.add_labels([LABEL, row])),
    (VITALS, lambda ledger, row: ledger.add_vitals([VITALS, row])),
    (DRAW, lambda ledger, row: Draws(ledger).add([DRAW, row])),
    (Choice(1.5, "m", "s-1", 0, 1, 2, "both", "ann"), lambda ledger, row: Draws(ledger).add_choice(row)),
    (Alarm(1.5, "m", "shift", "snr_db", "lower"), lambda ledger, row: ledger.add_alarm(row, "1")),
    (Trigger(1.5, "m", "harm", "alarm 1", True, "", "a test"), lambda ledger, row: Pipelines(ledger).add_trigger(row)),
    (Run(1.5, "m", "hash", 1, "test"), lambda ledger, row: Pipelines(ledger).add_run(row)),
    (StepRow(1.5, "m", 1, "audit", "hash", "done", "a test"), lambda ledger, row: Pipelines(ledger).add_step(row)),
]


def spoilt(row: Any) -> Iterator[tuple[Any, str]]:
    """The row with one value that no column holds, for each column and kind of value; what the sentence says."""
    for name, value in ((each.name, getattr(row, each.name)) for each in fields(row)):
        if isinstance(value, float):
            for bad in (math.nan, math.inf, -math.inf):
                yield replace(row, **{name: bad}), f"refused a value: {name} is {bad}; wanted a finite number"
        elif type(value) is int and name != "id":
            yield replace(row, **{name: 2**70}), "the ledger .* (refused a value|failed): "
        elif isinstance(value, str | bool):
            for nothing in [None, *["\ud800"] * isinstance(value, str)]:
                yield replace(row, **{name: nothing}), "the ledger .* refused a|is no kind of alarm|is no choice"


@pytest.mark.parametrize(("row", "add"), ADDERS, ids=[type(row).__name__ for row, _ in ADDERS])
def test_a_row_that_the_tables_do_not_take_gives_one_sentence(
    any_ledger: Ledger, row: Any, add: Callable[[Ledger, Any], object]
) -> None:
    """A number that is not finite, one of 70 bits, no value, half of a character: for every column of every row that
    is added, and nothing of the call is kept."""
    for bad, sentence in spoilt(row):
        with pytest.raises(LedgerError, match=sentence):
            add(any_ledger, bad)
    for table in METADATA.sorted_tables:
        with any_ledger.database.reading() as connection:
            count = connection.execute(select(func.count()).select_from(table)).scalar_one()
        assert count == (table.name == "ledger_format"), table.name


def test_vitals_are_kept_in_order(any_ledger: Ledger) -> None:
    """Rounded to three digits; what is unknown stays unknown; they are read in pages."""
    unknown = replace(VITALS, utterance=4, numbers=np.full(len(NAMES), np.nan, np.float32))
    any_ledger.add_vitals([VITALS, unknown])
    any_ledger.add_vitals([replace(VITALS, name="other")])
    first, second = any_ledger.vitals("m")
    assert (first.stream_id, first.utterance, first.codec, first.audio_s, first.words) == (
        VITALS.stream_id, 3, "linear16", 12.5, 30,
    )  # fmt: skip
    np.testing.assert_allclose(first.numbers, VITALS.numbers, rtol=1e-3)
    assert np.isnan(second.numbers).all()
    assert [row.id for row in any_ledger.vitals("m", limit=1)] == [first.id]
    assert [row.id for row in any_ledger.vitals("m", after_id=first.id)] == [second.id]


def test_vitals_of_another_order_are_left_out(any_ledger: Ledger) -> None:
    """Their numbers mean something else."""
    any_ledger.add_vitals([VITALS])
    with any_ledger.database.writing() as connection:
        connection.execute(VITALS_TABLE.update().values(version=VITALS_TABLE.c.version + 1))
    assert any_ledger.vitals("m") == []


def test_rows_from_before_a_number_existed_do_not_know_it(any_ledger: Ledger) -> None:
    """They are shorter; what they hold is read as before."""
    any_ledger.add_vitals([VITALS])
    short = VITALS.numbers[:-1].astype("<f2").tobytes()
    with any_ledger.database.writing() as connection:
        connection.execute(VITALS_TABLE.update().values(numbers=short))
    [row] = any_ledger.vitals("m")
    np.testing.assert_allclose(row.numbers[:-1], VITALS.numbers[:-1], rtol=1e-3)
    assert np.isnan(row.numbers[-1])


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


def test_alarms_are_kept_in_order(any_ledger: Ledger) -> None:
    """Of an unknown kind is none."""
    first = any_ledger.add_alarm(ALARM, "1")
    second = any_ledger.add_alarm(replace(ALARM, kind="harm"), "2")
    assert first is not None
    assert any_ledger.alarms("m") == [first, second]
    assert any_ledger.alarms("m", first.id) == [second]
    with pytest.raises(LedgerError, match=r"'odd' is no kind of alarm; wanted shift"):
        any_ledger.add_alarm(replace(ALARM, kind="odd"), "3")


def test_a_cause_has_one_alarm(any_ledger: Ledger) -> None:
    """Of each model, however many monitors raise it at once; a refused one leaves no row."""
    with open_ledger(any_ledger.place) as other, ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda each: each.add_alarm(ALARM, "reference 7 snr_db"), [any_ledger, other] * 20))
        assert [alarm for alarm in added if alarm] == any_ledger.alarms("m")
        assert len(any_ledger.alarms("m")) == 1
        assert other.add_alarm(replace(ALARM, name="n"), "reference 7 snr_db")
        assert other.add_alarm(ALARM, "reference 9 snr_db")


def test_a_row_that_the_database_refuses_is_no_known_cause(ledger: Ledger) -> None:
    """The alarm is lost, and must not look like one that is there."""
    nothing: Any = None
    for _ in range(2):
        with pytest.raises(LedgerError, match="refused a row"):
            ledger.add_alarm(replace(ALARM, sentence=nothing), "reference 7 snr_db")
        with pytest.raises(LedgerError, match="refused a row"):
            Pipelines(ledger).add_trigger(Trigger(1.0, "m", "harm", "alarm 1", True, "", nothing))
    assert ledger.add_alarm(ALARM, "reference 7 snr_db")
    trigger = Trigger(1.0, "m", "harm", "alarm 1", True, "", "worse")
    assert Pipelines(ledger).add_trigger(trigger)
    assert Pipelines(ledger).add_trigger(trigger) is None


def test_another_process_sees_a_move(any_ledger: Ledger, tmp_path: Path) -> None:
    """A server that follows the ledger holds its own connection."""
    add_releases(any_ledger, tmp_path, 1)
    with open_ledger(any_ledger.place) as follower:
        assert follower.version() == 0
        any_ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
        assert follower.version() == 1
        assert follower.aliases("m") == any_ledger.aliases("m")


def test_of_two_processes_that_move_at_once_one_wins(ledger: Ledger, tmp_path: Path) -> None:
    """Each step is made once: none is lost, none is made twice, and the loser learns that it lost."""
    add_releases(ledger, tmp_path, 30)
    ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        done = list(pool.map(move_up, [ledger.place] * 2, [30] * 2))
    steps = [(number, number + 1) for number in range(1, 30)]
    assert sorted(done[0] + done[1]) == steps
    assert [(move.from_number, move.to_number) for move in ledger.moves()] == [(None, 1), *steps]


def test_the_clock_orders_nothing(any_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes back a year between two moves; the second is still the last one."""
    add_releases(any_ledger, tmp_path, 2)
    first = any_ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
    now_s = Database.now_s
    monkeypatch.setattr(Database, "now_s", lambda *arguments: now_s(*arguments) - 365 * 86_400)
    second = any_ledger.move("m", CHAMPION, expected=1, to=2, by="ann", why="better")
    assert second.at_s < first.at_s
    assert any_ledger.aliases("m")[CHAMPION].number == 2
    assert any_ledger.moves() == [first, second]
    assert any_ledger.moves(after_id=first.id) == [second]
