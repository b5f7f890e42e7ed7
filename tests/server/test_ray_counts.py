"""What `asr serve --engine ray` is asked for: how many replicas, where their ledger may be, which proxy."""

from pathlib import Path

import pytest

from asr.errors import ConfigError
from server.config import load_settings
from server.ray_serve import HAPROXY, Replicas, check_ledger, counts_of, serving


def test_a_number_or_two() -> None:
    assert counts_of("3") == Replicas(3, 3)
    assert counts_of("2-8") == Replicas(2, 8)


@pytest.mark.parametrize("text", ["", "0", "-2", "8-2", "0-3", "two", "2-", "²", "2-8-9", "1.5"])
def test_anything_else_is_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="wanted a number, or the fewest and most"):
        counts_of(text)


def test_a_ledger_that_is_not_on_this_node_is_refused(tmp_path: Path) -> None:
    """Opening it would make an empty one, without a champion."""
    with pytest.raises(ConfigError, match="wanted a URL of PostgreSQL"):
        check_ledger(str(tmp_path / "ledger.db"))
    assert not list(tmp_path.iterdir())
    (tmp_path / "ledger.db").touch()
    for where in (str(tmp_path / "ledger.db"), "postgresql+psycopg://ann@host/asr", ""):
        check_ledger(where)


def test_a_proxy_that_cannot_keep_the_rules_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything of Ray is started, which would fail with a traceback."""
    monkeypatch.setenv(HAPROXY, "1")
    with (
        pytest.raises(ConfigError, match="found RAY_SERVE_ENABLE_HA_PROXY=1, wanted Ray's own proxy"),
        serving(load_settings(), None, Replicas(1, 1)),
    ):
        pass
