"""The ledger: releases by number, aliases moved by compare-and-set, and the numbers of watched streams."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from sqlalchemy import Connection, Row, Select, Table, func, select

from asr.aliases import ALIASES, CHAMPION
from asr.collection import uncollected
from asr.errors import LedgerError, MoveConflict, RowRefused
from asr.ledger.database import Database
from asr.ledger.folders import is_whole, store
from asr.ledger.tables import ALARM_CAUSES, ALARMS, GATES, LABELS, MOVES, OUTCOMES, PAIRS, RELEASES, VITALS
from asr.ledger.values import (
    ALARM_KINDS,
    Alarm,
    Gate,
    Label,
    Move,
    Outcome,
    OutcomePart,
    Pair,
    PairPart,
    Release,
    VitalsRow,
)
from asr.model_files.trained import models_dir
from asr.vitals.names import NAMES, VERSION

NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
"""The name of a model with releases."""
REF = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?:@(?P<alias>[a-z]+)|/(?P<number>[0-9]{1,9}))?")

_VITALS = select(*(VITALS.c[field.name] for field in fields(VitalsRow)))  # in the order of the class: its fastest way

_UNKNOWN = np.full(len(NAMES), np.nan, "<f2").tobytes()
"""Rows from before a number existed are shorter."""
AT_ONCE = 500
"""Keys in one question: SQLite bounds the variables of a statement."""

Watched = TypeVar("Watched", Gate, Pair, Outcome, Label, Alarm)


class Ledger:
    """One ledger. It may be used from several threads; other processes may use the same one.

    Every method raises `LedgerError` if the database cannot be used.
    """

    def __init__(self, where: str | Path) -> None:
        if isinstance(where, Path) or "://" not in where:
            _make_folder(Path(where).expanduser().parent)
        self._database = Database(where)
        self.where = self._database.where
        """The file, or the URL without its password: for people."""
        self.place = self._database.place
        """The file, or the whole URL: for a process that opens the same ledger."""
        beside = Path(self.where).parent if self._database.is_sqlite else models_dir()
        self.releases_folder = beside / "releases"

    @property
    def database(self) -> Database:
        """For the rooms of the ledger whose rows are not about releases, such as `asr.ledger.pipelines`."""
        return self._database

    def try_turn(self, what: str) -> Callable[[], None] | None:
        """Takes the turn at `what`, or returns None while another process has it: `Database.try_turn`."""
        return self._database.try_turn(what)

    def close(self) -> None:
        """Closes the connections to the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def add_release(
        self, name: str, folder: str | Path, *, by: str, why: str, check: Callable[[Path], None] | None = None
    ) -> Release:
        """Copies the folder and gives it the model's next number. A folder with the same files is the same release.

        `check` gets the copy and may refuse it by raising. Raises `LedgerError` for a folder that holds only a part of
        a model.
        """
        _check_name(name)
        sha256 = store(Path(folder).expanduser(), self.releases_folder, check)
        with self._database.writing() as connection:
            of_name = select(RELEASES).where(RELEASES.c.name == name)
            row = connection.execute(of_name.where(RELEASES.c.sha256 == sha256)).first()
            if row is None:
                numbers = select(func.max(RELEASES.c.number)).where(RELEASES.c.name == name)
                number = (connection.execute(numbers).scalar() or 0) + 1
                values = {"name": name, "number": number, "sha256": sha256, "by": by, "why": why}
                at_s = self._database.now_s(connection)
                connection.execute(RELEASES.insert().values(added_at_s=at_s, **values))
                row = connection.execute(of_name.where(RELEASES.c.number == number)).one()
            return self._release(row)

    def release(self, name: str, number: int) -> Release:
        """The release `name`/`number`. Raises `LedgerError` if there is none."""
        with self._database.reading() as connection:
            return self._find(connection, name, number)

    def releases(self, name: str) -> list[Release]:
        """All releases of a model, by number."""
        query = select(RELEASES).where(RELEASES.c.name == name).order_by(RELEASES.c.number)
        with self._database.reading() as connection:
            return [self._release(row) for row in connection.execute(query)]

    def names(self) -> list[str]:
        """The models that have releases, sorted."""
        with self._database.reading() as connection:
            return sorted(connection.execute(select(RELEASES.c.name).distinct()).scalars())

    def verified_folder(self, release: Release) -> Path:
        """The release's folder, after its files were compared with its hash. Raises `LedgerError`."""
        if is_whole(release.folder, release.sha256):
            return release.folder
        found = (
            "do not have the hash that they had when they were added" if release.folder.is_dir() else "are not there"
        )
        raise LedgerError(
            f"the files of {release.ref} in {release.folder} {found}; wanted the same files: add their folder again"
        )

    def aliases(self, name: str) -> dict[str, Release]:
        """Alias -> the release it is on. An alias that is on none is missing."""
        with self._database.reading() as connection:
            moves = (_last_move(connection, name, alias) for alias in ALIASES)
            numbers = {row.alias: row.to_number for row in moves if row is not None and row.to_number is not None}
            return {alias: self._find(connection, name, number) for alias, number in numbers.items()}

    def options(self, name: str, alias: str) -> dict[str, Any]:
        """The options of the alias's last move, such as the canary's weight; {} while it is on no release."""
        _check_alias(alias)
        with self._database.reading() as connection:
            row = _last_move(connection, name, alias)
        return dict(row.options) if row is not None and row.to_number is not None else {}

    def move(
        self,
        name: str,
        alias: str,
        *,
        expected: int | None,
        to: int | None,
        by: str,
        why: str,
        evidence: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Move:
        """Moves an alias from the release `expected` to the release `to`, if it is still on `expected`.

        None as `expected`: the alias is on no release; as `to`: take the alias away. The same number twice changes the
        options. Raises `MoveConflict` if the alias is elsewhere, `LedgerError` if there is no such release.
        """
        _check_name(name)
        _check_alias(alias)
        values: dict[str, Any] = {"name": name, "alias": alias, "from_number": expected, "to_number": to}
        values |= {"by": by, "why": why, "evidence": dict(evidence or {}), "options": dict(options or {})}
        with self._database.writing() as connection:
            last = _last_move(connection, name, alias)
            found = None if last is None else last.to_number
            if found != expected:
                raise MoveConflict(
                    f"{name}@{alias} is on {_ref(name, found)} and not on {_ref(name, expected)}: it was moved "
                    f"since; wanted a move from where it is"
                )
            if to is not None:
                self._find(connection, name, to)
            move = Move(id=_last_id(connection) + 1, at_s=self._database.now_s(connection), **values)
            connection.execute(MOVES.insert().values(asdict(move)))
        return move

    def moves(self, name: str | None = None, after_id: int = 0) -> list[Move]:
        """The history in its order: all moves, or those of one model; only those after the move `after_id`."""
        query = select(MOVES).where(MOVES.c.id > after_id).order_by(MOVES.c.id)
        if name is not None:
            query = query.where(MOVES.c.name == name)
        with self._database.reading() as connection:
            return [Move(**row._mapping) for row in connection.execute(query)]

    def version(self) -> int:
        """The id of the last move, 0 before the first. Cheap: a server asks several times a second."""
        with self._database.reading() as connection:
            return _last_id(connection)

    def add_gate(self, name: str, release: int, *, has_passed: bool, by: str, evidence: Mapping[str, Any]) -> Gate:
        """Adds a look of the evaluation's gate, beside today's champion. Raises `LedgerError` for a missing release."""
        _check_name(name)
        with self._database.writing() as connection:
            self._find(connection, name, release)
            last = _last_move(connection, name, CHAMPION)
            champion = None if last is None else last.to_number
            at_s = self._database.now_s(connection)
            gate = Gate(at_s, name, release, champion, has_passed, by, dict(evidence))
            row_id = connection.execute(GATES.insert().values(_values(gate)).returning(GATES.c.id)).scalar_one()
        return replace(gate, id=row_id)

    def gates(self, name: str, after_id: int = 0) -> list[Gate]:
        """The looks of the gate at a model's releases, in the order in which they were added."""
        return self._watched(GATES, Gate, {"name": name}, after_id)

    def add_pairs(self, pairs: Sequence[Pair]) -> None:
        """Adds all of them, or none."""
        self._add(PAIRS, pairs)

    def pairs(self, name: str, champion: int, challenger: int, after_id: int = 0) -> list[Pair]:
        """The pairs of two releases in the order in which they were added, those after the row `after_id`."""
        query = {"name": name, "champion": champion, "challenger": challenger}
        return self._watched(PAIRS, Pair, query, after_id)

    def pair_parts(self, name: str, champion: int, challenger: int, after_id: int = 0) -> list[PairPart]:
        """As `pairs`, in half the time: only the columns that verdicts rest on."""
        where = {"name": name, "champion": champion, "challenger": challenger}
        with uncollected():
            return list(map(PairPart._make, self._newer(PAIRS, PairPart._fields, where, after_id)))

    def add_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Adds all of them, or none."""
        self._add(OUTCOMES, outcomes)

    def outcomes(self, name: str, after_id: int = 0) -> list[Outcome]:
        """The streams of a model that ended, in the order in which they were added."""
        return self._watched(OUTCOMES, Outcome, {"name": name}, after_id)

    def outcome_parts(self, name: str, after_id: int = 0) -> list[OutcomePart]:
        """As `outcomes`, in half the time: only the columns that verdicts rest on."""
        with uncollected():
            return list(map(OutcomePart._make, self._newer(OUTCOMES, OutcomePart._fields, {"name": name}, after_id)))

    def add_labels(self, labels: Sequence[Label]) -> None:
        """Adds all of them, or none."""
        self._add(LABELS, labels)

    def labels(self, name: str, after_id: int = 0) -> list[Label]:
        """The labels of a model's streams, in the order in which they were added."""
        return self._watched(LABELS, Label, {"name": name}, after_id)

    def add_vitals(self, rows: Sequence[VitalsRow]) -> None:
        """Adds all of them, or none."""
        self._add(VITALS, rows)

    def vitals(self, name: str, after_id: int = 0, limit: int | None = None) -> list[VitalsRow]:
        """The utterances of a model in the order in which they were added, ``limit`` of them at most.

        Rows of another order of the numbers (`asr.vitals.names.VERSION`) are left out.
        """
        newer = _VITALS.where(VITALS.c.name == name, VITALS.c.id > after_id, VITALS.c.version == VERSION)
        return self._vitals(newer.order_by(VITALS.c.id).limit(limit))

    def vitals_of(self, ids: Sequence[int]) -> list[VitalsRow]:
        """The utterances with these row numbers, which rise; those that are gone are left out."""
        parts = (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE))
        mine = _VITALS.where(VITALS.c.version == VERSION).order_by(VITALS.c.id)
        return [row for part in parts for row in self._vitals(mine.where(VITALS.c.id.in_(part)))]

    def last_vitals(self, name: str, count: int) -> list[VitalsRow]:
        """The last ``count`` utterances of a model, the oldest first; rows of another order of the numbers left out."""
        mine = _VITALS.where(VITALS.c.name == name, VITALS.c.version == VERSION)
        return self._vitals(mine.order_by(VITALS.c.id.desc()).limit(count))[::-1]

    def _vitals(self, query: Select[Any]) -> list[VitalsRow]:
        with self._database.reading() as connection, uncollected():
            rows = connection.execute(query).all()
            whole = (row.numbers + _UNKNOWN[len(row.numbers) :] for row in rows)
            numbers = np.frombuffer(b"".join(whole), "<f2").astype(np.float32)
            tables = numbers.reshape(len(rows), len(NAMES))
            return [VitalsRow(*[*row[:-2], each, row[-1]]) for row, each in zip(rows, tables, strict=True)]

    def add_alarm(self, alarm: Alarm, cause: str) -> Alarm | None:
        """Adds it, and returns it with its number; None if the model has one with this cause, also by another process.

        Raises `LedgerError` for an unknown kind, and for a row that the database refuses for any other reason.
        """
        if alarm.kind not in ALARM_KINDS:
            raise LedgerError(f"{alarm.kind!r} is no kind of alarm; wanted {', '.join(ALARM_KINDS)}")
        try:
            with self._database.writing() as connection:
                row_id = connection.execute(ALARMS.insert().values(_values(alarm)).returning(ALARMS.c.id)).scalar_one()
                connection.execute(ALARM_CAUSES.insert().values(name=alarm.name, cause=cause, alarm=row_id))
        except RowRefused:
            if self._has_cause(alarm.name, cause):
                return None
            raise
        return replace(alarm, id=row_id)

    def _has_cause(self, name: str, cause: str) -> bool:
        query = select(ALARM_CAUSES.c.alarm).where(ALARM_CAUSES.c.name == name, ALARM_CAUSES.c.cause == cause)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def alarms(self, name: str, after_id: int = 0) -> list[Alarm]:
        """The alarms of a model, in the order in which they were added."""
        return self._watched(ALARMS, Alarm, {"name": name}, after_id)

    def _add(self, table: Table, rows: Sequence[Pair | Outcome | Label | VitalsRow]) -> None:
        if not rows:
            return
        values = [_values(row) for row in rows]
        with self._database.writing() as connection:
            connection.execute(table.insert(), values)

    def _watched(self, table: Table, cls: type[Watched], where: Mapping[str, Any], after_id: int) -> list[Watched]:
        names = [field.name for field in fields(cls)]  # in the order of the class: its fastest way
        with uncollected():
            return [cls(*row) for row in self._newer(table, names, where, after_id)]

    def _newer(self, table: Table, names: Sequence[str], where: Mapping[str, Any], after_id: int) -> Sequence[Any]:
        """These columns of the rows after one, in order."""
        query = select(*(table.c[name] for name in names)).where(table.c.id > after_id)
        with self._database.reading() as connection:
            return connection.execute(query.filter_by(**where).order_by(table.c.id)).all()

    def _find(self, connection: Connection, name: str, number: int) -> Release:
        query = select(RELEASES).where(RELEASES.c.name == name, RELEASES.c.number == number)
        row = connection.execute(query).first()
        if row is None:
            query_numbers = select(RELEASES.c.number).where(RELEASES.c.name == name).order_by(RELEASES.c.number)
            known = [_ref(name, one) for one in connection.execute(query_numbers).scalars()]
            wanted = f"wanted {', '.join(known)}" if known else f"it has no release of {name}; add one first"
            raise LedgerError(f"the ledger {self.where} has no release {name}/{number}; {wanted}")
        return self._release(row)

    def _release(self, row: Row[Any]) -> Release:
        values = {key: value for key, value in row._mapping.items() if key != "id"}
        return Release(folder=self.releases_folder / row.sha256, **values)


def open_ledger(where: str | Path) -> Ledger:
    """The ledger in a file, or at an SQLAlchemy URL; a new one is created.

    Raises `LedgerError` with one sentence: no file of ours, locked, the disk full, a newer format.
    """
    return Ledger(where)


def resolve(ref: str, ledger: Ledger) -> Release | None:
    """The release of ``NAME`` (its champion), ``NAME@champion`` or ``NAME/7``.

    None if the ledger has no release of NAME, or for a bare NAME without a champion: a configured model, a folder or a
    hub may have that name. Raises `LedgerError` if the ledger has releases of NAME and not this one.
    """
    parts = REF.fullmatch(ref)
    if parts is None:
        return None
    name = parts["name"]
    if not ledger.releases(name):
        return None
    if parts["number"] is not None:
        return ledger.release(name, int(parts["number"]))
    alias = parts["alias"] or CHAMPION
    _check_alias(alias)
    aliases = ledger.aliases(name)
    if alias not in aliases and parts["alias"] is None:
        return None
    if alias not in aliases:
        numbers = ", ".join(release.ref for release in ledger.releases(name))
        raise LedgerError(f"{name}@{alias} is on no release; wanted one of {numbers}, or a move of the alias to one")
    return aliases[alias]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"the ledger's folder {folder} cannot be created ({error.strerror}); wanted a folder that may be written"
        ) from None


def _values(row: Gate | Pair | Outcome | Label | VitalsRow | Alarm) -> dict[str, Any]:
    """The row's columns without its id, which the database gives."""
    values = {key: value for key, value in asdict(row).items() if key != "id"}
    if isinstance(row, VitalsRow):
        values |= {"numbers": row.numbers.astype("<f2").tobytes(), "version": VERSION}
    return values


def _last_id(connection: Connection) -> int:
    return connection.execute(select(func.max(MOVES.c.id))).scalar() or 0


def _last_move(connection: Connection, name: str, alias: str) -> Row[Any] | None:
    query = select(MOVES).where(MOVES.c.name == name, MOVES.c.alias == alias).order_by(MOVES.c.id.desc()).limit(1)
    return connection.execute(query).first()


def _ref(name: str, number: int | None) -> str:
    return "no release" if number is None else f"{name}/{number}"


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise LedgerError(
            f"{name!r} is no name of a model with releases; wanted a letter or digit, then letters, digits, _ . or -"
        )


def _check_alias(alias: str) -> None:
    if alias not in ALIASES:
        raise LedgerError(f"{alias!r} is no alias; wanted {', '.join(ALIASES)}")
