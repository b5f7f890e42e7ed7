"""Tokens that name the server that keeps a stream. Nobody else can name one."""

from base64 import urlsafe_b64encode

import pytest

from server.streams.owners import Owners

SECRET = b"s" * 32
HERE, THERE = "ws://10.0.0.3:8000", "ws://asr-1.asr.default.svc.cluster.local:8000"


def test_a_token_names_its_server() -> None:
    """To all others that share the secret; to its own server it is a token like any other."""
    here, there = Owners(HERE, SECRET), Owners(THERE, SECRET)
    token = there.new_token()
    assert here.elsewhere(token) == THERE
    assert there.elsewhere(token) == ""
    assert token != there.new_token()
    assert len(token) < 200
    assert token.isascii()


def test_a_server_without_others_names_nobody() -> None:
    """Its tokens are random, and it connects nowhere."""
    alone = Owners()
    assert "." not in alone.new_token()
    assert alone.elsewhere(Owners(THERE, SECRET).new_token()) == ""
    assert Owners(HERE, SECRET).elsewhere(alone.new_token()) == ""


FORGED = urlsafe_b64encode(b"ws://169.254.169.254:80").decode().rstrip("=")


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token.replace(token.split(".")[1], FORGED),  # an address of the attacker's choice
        lambda token: f"x{token}",
        lambda token: token[:-1],
        lambda token: token.rpartition(".")[0],
        lambda token: f"{token}.{token}",
        lambda token: f"{token.split('.')[0]}..",
        lambda token: "..",
        lambda token: "ä.ö.ü",
        lambda token: "",
    ],
)
def test_a_token_that_was_changed_names_nobody(change) -> None:  # type: ignore[no-untyped-def]
    """No server connects to an address that a client made up."""
    assert Owners(HERE, SECRET).elsewhere(change(Owners(THERE, SECRET).new_token())) == ""


def test_servers_of_another_secret_name_nobody() -> None:
    """Their clients get 410, as before."""
    assert Owners(HERE, b"t" * 32).elsewhere(Owners(THERE, SECRET).new_token()) == ""
