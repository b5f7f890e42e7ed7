"""The keys of a running server, and tokens: what is accepted, what is not, and how long it takes to say so."""

import base64
import hashlib
import hmac
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from asr.errors import ConfigError
from server.access.keyring import CLIENT_SECRET_PREFIX, SECRET_VARIABLE, TOKEN_PREFIX, Keyring, UnknownKeyError
from server.access.keys import new_key, remove_key
from tests.server.access.keys import Made, made

NOW_S = 1_800_000_000.0


@pytest.fixture
def keys(tmp_path: Path) -> Made:
    return made(tmp_path)


class Clock:
    now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def ring_of(keys: Made) -> tuple[Keyring, Clock]:
    clock = Clock()
    return Keyring(keys.file, clock), clock


def token_of(ring: Keyring, keys: Made, name: str = "all", ttl_s: int = 60, **changes: Any) -> str:
    caller = ring.caller(keys.secrets[name].encode())
    given: dict[str, Any] = {"prefix": TOKEN_PREFIX, "scopes": ("listen", "transcribe")} | changes
    return ring.token(caller, ttl_s, **given)


def refuses(ring: Keyring, shown: str | bytes) -> bool:
    try:
        ring.caller(shown if isinstance(shown, bytes) else shown.encode())
    except UnknownKeyError:
        return True
    return False


def test_a_token_has_no_more_rights_than_its_key_and_grants_none(keys: Made) -> None:
    """Its scopes are those asked for, which the key has too."""
    ring, _ = ring_of(keys)
    asked = ("listen", "transcribe", "grant", "metrics", "operate")
    everything = ring.caller(token_of(ring, keys, scopes=asked).encode())
    assert (everything.key.name, everything.scopes, everything.is_token) == ("all", ("listen", "transcribe"), True)
    assert ring.caller(token_of(ring, keys, "only-grant", scopes=asked).encode()).scopes == ()
    assert ring.caller(token_of(ring, keys, "not-listen", scopes=asked).encode()).scopes == ("transcribe",)
    again = ring.token(everything, 3600, prefix=TOKEN_PREFIX, scopes=asked)
    assert ring.caller(again.encode()).scopes == ("listen", "transcribe")


def test_a_token_ends_at_its_second(keys: Made) -> None:
    """By the server's clock."""
    ring, clock = ring_of(keys)
    token = token_of(ring, keys, ttl_s=30)
    clock.now_s += 29.9
    assert not refuses(ring, token)
    clock.now_s += 0.1
    with pytest.raises(UnknownKeyError, match="has expired; ask for another"):
        ring.caller(token.encode())


def test_a_token_ends_with_its_key(keys: Made) -> None:
    """Removed, replaced under the same name, or with fewer scopes than before."""
    ring, _ = ring_of(keys)
    token = token_of(ring, keys)
    remove_key(keys.file, "all")
    ring.reload()
    assert refuses(ring, token)
    keys.add("all")
    ring.reload()
    assert refuses(ring, token)
    token = token_of(ring, keys)
    text = keys.file.read_text()
    keys.file.write_text(text.replace('"listen", "transcribe", "grant", "metrics", "operate"', '"transcribe"'))
    ring.reload()
    assert ring.caller(token.encode()).scopes == ("transcribe",)


def test_a_broken_or_missing_file_changes_nothing(keys: Made) -> None:
    """An error must not open the door, nor shut out everybody."""
    ring, _ = ring_of(keys)
    text = keys.file.read_text()
    keys.file.write_text(text + "[broken")
    ring.reload()
    assert not refuses(ring, keys.secrets["all"])
    keys.file.unlink()
    ring.reload()
    assert ring.asks
    assert not refuses(ring, keys.secrets["all"])
    keys.file.write_text("")
    ring.reload()
    assert ring.asks
    assert refuses(ring, keys.secrets["all"])


def parts(token: str) -> tuple[str, dict[str, Any], str]:
    prefix, _, rest = token.partition("_")
    payload, _, signature = rest.partition(".")
    return prefix + "_", json.loads(base64.urlsafe_b64decode(payload + "==")), signature


def packed(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_by_others(prefix: str, claims: dict[str, Any], secret: bytes, algorithm: str = "sha256") -> str:
    body = prefix + packed(claims)
    return body + "." + packed(hmac.digest(secret, body.encode(), algorithm))


def forgeries(token: str, sha256: str) -> dict[str, str]:
    prefix, claims, signature = parts(token)
    body = token.rpartition(".")[0]
    jwt = packed({"alg": "none", "typ": "JWT"}) + "." + packed(claims) + "."
    return {
        "later": f"{prefix}{packed(claims | {'exp': claims['exp'] + 9999})}.{signature}",
        "for ever": f"{prefix}{packed(claims | {'exp': 1e300})}.{signature}",
        "no number": f"{prefix}{packed(claims | {'exp': 'never'})}.{signature}",
        "more scopes": f"{prefix}{packed(claims | {'scopes': ['grant', 'operate']})}.{signature}",
        "another key": f"{prefix}{packed(claims | {'key': 'only-operate'})}.{signature}",
        "an unknown key": f"{prefix}{packed(claims | {'key': 'nobody'})}.{signature}",
        "no key": signed_by_others(prefix, claims | {"key": ""}, b""),
        "the other kind": CLIENT_SECRET_PREFIX + token.removeprefix(TOKEN_PREFIX),
        "no signature": body + ".",
        "no dot": body,
        "half a signature": token[:-20],
        "a longer signature": token + "A",
        "padded": token + "=",
        "in standard base64": token.replace("-", "+").replace("_", "/").replace("swt/", "swt_") + "=",
        "a blank": token + " ",
        "two": token + "." + token,
        "signed with nothing": signed_by_others(prefix, claims, b""),
        "signed with the hash": signed_by_others(prefix, claims, sha256.encode()),
        "signed with md5": signed_by_others(prefix, claims, sha256.encode(), "md5"),
        "alg none": jwt,
        "alg none, prefixed": prefix + jwt,
        "hash in place of an HMAC": body + "." + packed(hashlib.sha256(body.encode()).digest()),
        "a list": f"{prefix}{packed([1])}.{signature}",
        "a number": f"{prefix}{packed(5)}.{signature}",
        "deep": f"{prefix}{packed(b'[' * 5000)}.{signature}",
        "no JSON": f"{prefix}{packed(b'xx')}.{signature}",
        "not base64": f"{prefix}ü§$.{signature}",
        "only the prefix": prefix,
        "prefix and dot": prefix + ".",
    }


@pytest.mark.parametrize("case", forgeries(f"swt_{packed({'exp': 1})}.AAAA", "a"))
def test_a_token_that_was_changed_or_made_by_others_is_refused(keys: Made, case: str) -> None:
    """Whatever was altered; there is one algorithm, and no token names it."""
    ring, _ = ring_of(keys)
    token = token_of(ring, keys)
    known = ring.named("all")
    assert known
    assert not refuses(ring, token)
    assert refuses(ring, forgeries(token, known.sha256)[case])


def test_every_flipped_bit_is_noticed(keys: Made) -> None:
    """Of the payload and of the signature."""
    ring, _ = ring_of(keys)
    token = token_of(ring, keys).encode()
    for place in range(len(token)):
        for bit in (1, 4, 32):
            changed = token[:place] + bytes([token[place] ^ bit]) + token[place + 1 :]
            assert refuses(ring, changed), changed


def test_servers_accept_each_others_tokens_only_with_the_same_secret(
    keys: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one a token ends with its process."""
    assert refuses(ring_of(keys)[0], token_of(ring_of(keys)[0], keys))
    monkeypatch.setenv(SECRET_VARIABLE, "s" * 32)
    assert not refuses(ring_of(keys)[0], token_of(ring_of(keys)[0], keys))
    monkeypatch.setenv(SECRET_VARIABLE, "short")
    with pytest.raises(ConfigError, match="found 5 characters, wanted 32 or more"):
        ring_of(keys)


def test_tokens_of_a_server_without_keys_open_no_other(keys: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even with the same secret."""
    monkeypatch.setenv(SECRET_VARIABLE, "s" * 32)
    token = Keyring(None).token(None, 60, prefix=TOKEN_PREFIX, scopes=("listen",))
    assert refuses(ring_of(keys)[0], token)


@pytest.mark.slow
def test_the_time_of_a_wrong_key_says_nothing_about_the_keys(keys: Made) -> None:
    """Wrong keys that share nothing, a beginning, or all but the last character with the first or last key of the file.

    Interleaved, 3000 tries each: the medians differ by less than a tenth, as those of two groups of the same kind do.
    """
    ring, _ = ring_of(keys)
    first, last = keys.secrets["all"], list(keys.secrets.values())[-1]
    groups = {
        "nothing": lambda: new_key(),
        "half of the first": lambda: first[:23] + new_key()[23:],
        "nearly the first": lambda: first[:-1] + "~",
        "nearly the last": lambda: last[:-1] + "~",
    }
    took_s: dict[str, list[float]] = {name: [] for name in groups}
    for _ in range(3000):
        for name in random.sample(list(groups), len(groups)):
            shown = groups[name]().encode()
            began_s = time.perf_counter()
            assert refuses(ring, shown)
            took_s[name].append(time.perf_counter() - began_s)
    medians = [statistics.median(times) for times in took_s.values()]
    assert max(medians) < 1.1 * min(medians)
