"""Which release a client gets: the same one while the weight moves in steps, and a fair share of all clients."""

import math
import stat
from itertools import pairwise
from pathlib import Path

import pytest

from asr.aliases import CANARY, CHAMPION
from asr.errors import ConfigError
from server.access.client_salt import VARIABLE, client_salt
from server.canary import arm_of, client_of, point, share

CLIENTS = [f"{number:032x}" for number in range(4000)]
STEPS = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)


def canaries(weight: float, salt: str = "tiny/7") -> set[str]:
    return {client for client in CLIENTS if arm_of(salt, client, weight) == CANARY}


def test_clients_keep_their_side_while_the_weight_moves() -> None:
    """Up: who was on the canary stays there. Down: who was on the champion stays there."""
    sides = [canaries(weight) for weight in STEPS]
    assert all(fewer < more for fewer, more in pairwise(sides))
    assert sides[0] == set()
    assert sides[-1] == set(CLIENTS)


@pytest.mark.parametrize("weight", STEPS)
def test_the_canary_gets_its_share_of_the_clients(weight: float) -> None:
    """Within five standard deviations of a binomial."""
    spread = 5 * math.sqrt(len(CLIENTS) * weight * (1 - weight))
    assert abs(len(canaries(weight)) - weight * len(CLIENTS)) <= spread


def test_each_canary_meets_other_clients() -> None:
    """A quarter of a quarter in both, within five standard deviations: the two draws are independent."""
    both = len(canaries(0.25) & canaries(0.25, "tiny/8"))
    assert abs(both - len(CLIENTS) / 16) <= 5 * math.sqrt(len(CLIENTS) / 16 * 15 / 16)


def test_points_lie_in_the_unit_interval() -> None:
    """0 sends nobody to the canary and 1 everybody, so 1 itself is no point."""
    assert all(0.0 <= point(client) < 1.0 for client in CLIENTS)
    assert arm_of("tiny/7", CLIENTS[0], 0.0) == CHAMPION
    assert arm_of("tiny/7", CLIENTS[0], 1.0) == CANARY


def test_a_client_is_its_key_and_its_own_id_or_else_its_address() -> None:
    """The id counts wherever the client comes from; what one key's client calls itself is nothing to another key."""
    salt = b"s" * 32
    at_home = client_of(salt, key="shop", address="10.0.0.1", client_id="anna")
    assert client_of(salt, key="shop", address="192.168.0.9", client_id="anna") == at_home
    assert client_of(salt, key="bank", address="10.0.0.1", client_id="anna") != at_home
    assert client_of(salt, key="shop", address="10.0.0.1") != client_of(salt, key="shop", address="10.0.0.2")
    assert client_of(salt, address="10.0.0.1") != client_of(salt, client_id="10.0.0.1")
    assert client_of(b"t" * 32, key="shop", client_id="anna") != client_of(salt, key="shop", client_id="anna")


def test_the_addresses_of_one_ipv6_device_are_one_client() -> None:
    """Privacy extensions (RFC 8981) change the lower 64 bits every day."""
    salt = b"s" * 32
    assert client_of(salt, address="2001:db8:1:2::a") == client_of(salt, address="2001:db8:1:2:ffff:1:2:3")
    assert client_of(salt, address="2001:db8:1:2::a") != client_of(salt, address="2001:db8:1:3::a")


def test_a_client_is_not_readable() -> None:
    """The name of the key, the id and the address do not stand in the hash."""
    assert set(client_of(b"s" * 32, key="shop", client_id="anna")) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (0.2, 0.2),
        (1, 1.0),
        (7, 1.0),
        (-1, 0.0),
        (math.nan, 0.0),
        (math.inf, 1.0),
        ("0.5", 0.0),
        (True, 0.0),
        (None, 0.0),
    ],
)
def test_an_option_that_is_no_share_moves_nobody(given: object, wanted: float) -> None:
    assert share({"weight": given}, "weight") == wanted
    assert share({}, "weight") == 0.0


def test_the_salt_is_made_once_and_nobody_else_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    first = client_salt()
    assert client_salt() == first
    [file] = (tmp_path / "steadyword").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setenv(VARIABLE, "x" * 32)
    assert client_salt() == b"x" * 32


def test_a_short_salt_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All addresses are guessed in a minute where the salt is known."""
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(ConfigError, match=r"found a salt of 5 characters, wanted 32"):
        client_salt()


def test_without_a_place_for_it_the_salt_lasts_as_long_as_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    assert len(client_salt()) >= 32
    assert VARIABLE in caplog.text
