"""A ledger in a folder of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.ledger import Ledger, open_ledger


@pytest.fixture
def ledger(tmp_path: Path, own_cache: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "ops" / "ledger.db") as opened:
        yield opened
