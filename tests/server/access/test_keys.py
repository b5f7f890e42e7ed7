"""The file of keys: written by `asr keys`, read by the server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr.errors import ConfigError
from server.access.keys import Key, add_key, digest, new_key, read_keys, remove_key

ASR = str(Path(sys.executable).with_name("asr"))
HASH = "a" * 64


def asr_keys(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    here = os.environ | {"STEADYWORD_KEYS": str(folder / "of" / "keys.toml")}
    return subprocess.run([ASR, "keys", *arguments], capture_output=True, text=True, check=False, env=here)


def test_a_key_is_printed_once_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    """Added, listed, removed; only the owner may read the file."""
    limits = ["--scopes", "listen,grant", "--max-streams", "2", "--audio-s-per-day", "3600", "--expires", "2099-01-31"]
    added = asr_keys(tmp_path, "add", "my.laptop", *limits)
    secret = added.stdout.strip()
    file = tmp_path / "of" / "keys.toml"
    assert added.stdout.count("\n") == 1
    assert len(secret) == len("sw_") + 43
    assert secret not in file.read_text() + added.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    [key] = read_keys(file)
    assert key == Key("my.laptop", digest(secret.encode()).hex(), ("listen", "grant"), 2, 3600.0, "2099-01-31")
    listed = asr_keys(tmp_path, "list").stdout
    assert listed == "my.laptop\tlisten,grant\tmax_streams=2\taudio_s_per_day=3600\texpires=2099-01-31\n"
    assert "already" in asr_keys(tmp_path, "add", "my.laptop").stderr
    removed = asr_keys(tmp_path, "remove", "my.laptop")
    assert "the server refuses everybody" in removed.stderr
    assert read_keys(file) == ()
    assert "there is no key 'my.laptop'" in asr_keys(tmp_path, "remove", "my.laptop").stderr


def test_an_operators_comments_survive(tmp_path: Path) -> None:
    """And keys that were written by hand."""
    file = tmp_path / "keys.toml"
    file.write_text(f'# ours\n[one]  # the first\nsha256 = "{HASH}"\n')
    add_key(file, Key("two", "b" * 64))
    remove_key(file, "two")
    add_key(file, Key("three", "c" * 64))
    assert file.read_text().startswith(f'# ours\n[one]  # the first\nsha256 = "{HASH}"\n')
    assert [key.name for key in read_keys(file)] == ["one", "three"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[one]\n", "missing key sha256"),
        ("[one]\nsha256 = 5\n", "found 5, wanted str"),
        (f'[one]\nsha256 = "{HASH.upper()}"\n', "64 hexadecimal digits"),
        (f'[one]\nsha256 = "{HASH}"\nscopes = ["all"]\n', "found the scopes ['all'], wanted some of listen"),
        (f'[one]\nsha256 = "{HASH}"\nscopes = []\n', "found the scopes []"),
        (f'[one]\nsha256 = "{HASH}"\nmax_streams = -1\n', "0 or more"),
        (f'[one]\nsha256 = "{HASH}"\naudio_s_per_day = nan\n', "0 or more"),
        (f'[one]\nsha256 = "{HASH}"\nexpires = "soon"\n', "found expires = 'soon'"),
        (f'[one]\nsha256 = "{HASH}"\nscope = ["listen"]\n', "unknown key 'scope'"),
        (f'[one]\nsha256 = "{HASH}"\n[two]\nsha256 = "{HASH}"\n', "one sha256 under two names"),
        (f'["one\\n"]\nsha256 = "{HASH}"\n', "wanted a name"),
        ('sha256 = "a"\n', "wanted tables"),
        ("[one\n", "not valid TOML"),
        ("\ufeff\0", "not valid TOML"),
    ],
)
def test_a_file_with_a_mistake_is_refused_whole(tmp_path: Path, text: str, sentence: str) -> None:
    """Nobody guesses what a key may do."""
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_keys(file)
    assert sentence in str(caught.value)


def test_a_file_that_anybody_may_change_is_refused(tmp_path: Path) -> None:
    """Whoever writes a hash there has a key."""
    file = tmp_path / "keys.toml"
    add_key(file, Key("one", HASH))
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_keys(file)


def test_keys_differ_and_fit_in_a_header_and_a_subprotocol() -> None:
    """RFC 9110's token, which a subprotocol has to be."""
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(c.isascii() and (c.isalnum() or c in "-_") for key in keys for c in key)


@pytest.mark.parametrize("expires", ["2027-01-31", "2027-01-31T00:00:00Z", "2027-01-31T01:00:00+01:00"])
def test_an_expiry_is_a_moment(expires: str) -> None:
    """UTC where no zone is named; 2027-01-31 00:00 UTC is 1801353600 (date -d)."""
    key = Key("one", HASH, expires=expires)
    assert not key.is_expired(1801353599)
    assert key.is_expired(1801353600)
