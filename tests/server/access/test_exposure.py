"""Who can reach the server at all: without keys this machine only."""

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from asr.errors import ConfigError
from server.access.exposure import check_exposure, is_loopback, wyoming_host
from server.access.hosts import is_own
from server.access.keyring import Keyring
from server.config import ServerSettings, load_settings
from tests.server.access.keys import made

ASR = str(Path(sys.executable).with_name("asr"))


def settings(**changes: object) -> ServerSettings:
    return dataclasses.replace(load_settings(), **changes)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0", ""])
def test_a_public_address_without_keys_is_refused_in_a_sentence(host: str) -> None:
    """Before any model is loaded, with both remedies; every spelling of "all addresses" is one."""
    here = os.environ | {"STEADYWORD_KEYS": ""}
    done = subprocess.run(
        [ASR, "serve", "--port", "0", "--host", host], capture_output=True, text=True, check=False, env=here
    )
    assert done.returncode == 2
    assert "lets other machines in, and no keys; make one with `asr keys add NAME`, or pass --insecure" in done.stderr
    assert done.stderr.count("\n") == 1


def test_keys_or_insecure_open_a_public_address(tmp_path: Path) -> None:
    """And loopback is always open, in all its addresses."""
    with socket.create_server(("0.0.0.0", 0)) as public, socket.create_server(("127.0.0.9", 0)) as loopback:
        assert (is_loopback(public), is_loopback(loopback)) == (False, True)
        nobody = Keyring(None)
        check_exposure(settings(), nobody, loopback)
        check_exposure(settings(insecure=True), nobody, public)
        check_exposure(settings(), Keyring(made(tmp_path).file), public)
        with pytest.raises(ConfigError, match="no keys"):
            check_exposure(settings(host="0.0.0.0"), nobody, public)


def test_wyoming_listens_on_this_machine_unless_insecure() -> None:
    """The protocol has no keys."""
    assert wyoming_host(settings(host="0.0.0.0")) == "127.0.0.1"
    assert wyoming_host(settings(host="0.0.0.0", insecure=True)) == "0.0.0.0"


def test_a_file_of_keys_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt name must not make an open server. The standard file may be missing, and may come later."""
    with pytest.raises(ConfigError, match=r"no settings file at .*missing\.toml"):
        Keyring.of(settings(keys_file=str(tmp_path / "missing.toml")))
    monkeypatch.setenv("STEADYWORD_KEYS", str(tmp_path / "keys.toml"))
    ring = Keyring.of(settings())
    assert not ring.asks
    made(tmp_path)
    ring.reload()
    assert ring.asks
    monkeypatch.setenv("STEADYWORD_KEYS", "")
    assert not Keyring.of(settings()).asks


HOSTS = {
    "127.0.0.1": True, "127.0.0.1:8000": True, "localhost": True, "LOCALHOST:1": True, "localhost.": True,
    "a.localhost:80": True, "[::1]:8000": True, "[::1]": True, "192.168.1.5": True, "asr.example.org:443": True,
    "ASR.example.org": True, "one.pattern.org": True, "evil.example": False, "evil.example:8000": False,
    "localhost.evil.example": False, "evil-localhost": False, "asr.example.org.evil.example": False,
    "pattern.org": False, "user@localhost": False, "localhost:8000@evil.example": False,
    "evil.example/localhost": False, "evil.example#localhost": False, "": False, "localhost:80x": False,
    "127.0.0.1.evil.example": False,
    "lοcalhost": False, "::1": False, "[evil.example]": False, "localhost,evil.example": False, "local host": False,
}  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_only_own_names_are_answered(host: str) -> None:
    """IP addresses, localhost, those that are listed; not what only begins or ends like one (the o of one is Greek)."""
    assert is_own(host, ["asr.example.org", "*.pattern.org"]) == HOSTS[host]
