"""Ledgers of a test's own: in a file, and in a real PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.ledger import Ledger, open_ledger
from tests.asr.ledger.postgresql import PostgreSql, running


@pytest.fixture
def ledger(tmp_path: Path, own_cache: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "ops" / "ledger.db") as opened:
        yield opened


@pytest.fixture(scope="package")
def postgresql() -> Iterator[PostgreSql]:
    with running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def any_ledger(
    request: pytest.FixtureRequest, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    """One in a file, and one in PostgreSQL."""
    monkeypatch.setenv("STEADYWORD_MODELS", str(tmp_path / "models"))
    if request.param == "sqlite":
        where = str(tmp_path / "ops" / "ledger.db")
    else:
        where = request.getfixturevalue("postgresql").new_ledger()
    with open_ledger(where) as opened:
        yield opened
