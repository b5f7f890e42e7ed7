"""The keys of a running server: which one a request has shown, and short-lived tokens that stand for a key.

A token is ``PREFIX PAYLOAD . SIGNATURE``: JSON (the key's name, scopes, expiry), and its HMAC-SHA-256, in base64url.
There is one algorithm, and a token does not name it. The HMAC's secret contains the key's hash, so a token ends with
its key, and with a key that is replaced under the same name.
"""

import base64
import hmac
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr.errors import CallerError, ConfigError
from server.access.keys import Key, default_file, digest, read_keys
from server.access.logs import audit
from server.config import ServerSettings

TOKEN_PREFIX, CLIENT_SECRET_PREFIX = "swt_", "ek_"
"""Deepgram's `access_token`, OpenAI's client secret: clients in browsers accept only one that begins so."""
GRANTED = ("listen", "transcribe")
"""What a token may do at most: never grant others, nor look at the server."""
SECRET_VARIABLE = "STEADYWORD_TOKEN_SECRET"
"""Servers that share it accept each other's tokens. Otherwise tokens end with the process that made them."""
_MIN_SECRET_CHARACTERS = 32
MAX_SHOWN_BYTES = 8_192
"""Of a key or token: a stranger's JSON is not read without a bound."""

_log = logging.getLogger("steadyword.server")


class UnknownKeyError(CallerError):
    """A key or token that this server does not know, or that has expired; HTTP 401."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is: a key with the scopes that hold for this request. A token may have fewer than its key."""

    key: Key
    scopes: tuple[str, ...]
    is_token: bool = False
    session: Any = None
    """The settings of a Realtime session that came with the token."""


class Keyring:
    """The keys of one server. `file` is None for a server that has no keys: it asks for none."""

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._file = file
        self._keys = read_keys(file) if file else None
        self._secret = _secret()
        self._has_shared_secret = bool(os.environ.get(SECRET_VARIABLE))
        self._changing = threading.Lock()

    @classmethod
    def of(cls, settings: ServerSettings) -> "Keyring":
        """That of the settings. Raises `ConfigError`: a file of keys that was named must be there."""
        if settings.keys_file:
            return cls(Path(settings.keys_file).expanduser())
        file = default_file()
        keyring = cls(file if file and file.exists() else None)
        keyring._file = file  # it may be made while the server runs
        return keyring

    def shared_secret(self) -> bytes:
        """What servers behind one address know and nobody else. Raises `ConfigError` without one."""
        if not self._has_shared_secret:
            raise ConfigError(f"advertise: found no {SECRET_VARIABLE}, wanted the same one as on the other servers")
        return self._secret

    @property
    def file(self) -> Path | None:
        """The file to watch."""
        return self._file

    @property
    def asks(self) -> bool:
        """Whether requests need a key. Once they do they always do, even if the last key is removed."""
        return self._keys is not None

    @property
    def keys(self) -> Sequence[Key]:
        """The keys as they are now."""
        return self._keys or ()

    def named(self, name: str) -> Key | None:
        """The key of this name, if there is one."""
        return next((key for key in self.keys if key.name == name), None)

    def reload(self) -> None:
        """Reads the file again. If it is broken or gone the keys stay as they are: an error must not open the door."""
        assert self._file
        with self._changing:
            if not self._file.exists() and self._keys is None:
                return
            try:
                before, now = self.keys, read_keys(self._file)
            except ConfigError as error:
                _log.error("the keys stay as they are: %s", error)
                return
            self._keys = now
        audit("keys_read", **_changes(before, now))

    # -- who it is -------------------------------------------------------------------------------------------------

    def caller(self, shown: bytes) -> Caller:
        """Whose key or token it is. Raises `UnknownKeyError`.

        Every key is compared, each in constant time: how long it takes tells nothing about the keys there are.
        """
        if len(shown) > MAX_SHOWN_BYTES:
            raise UnknownKeyError(f"found a key of {len(shown)} bytes, wanted at most {MAX_SHOWN_BYTES}")
        if shown.startswith((TOKEN_PREFIX.encode(), CLIENT_SECRET_PREFIX.encode())):
            return self._token_caller(shown)
        wanted, found = digest(shown), None
        for key in self.keys:
            if hmac.compare_digest(wanted, bytes.fromhex(key.sha256)):
                found = key
        if found is None:
            raise UnknownKeyError("found a key that this server does not know")
        return self._unless_expired(found, found.scopes)

    def _token_caller(self, shown: bytes) -> Caller:
        key, claims = self._claims(shown)
        if key is None:
            raise UnknownKeyError("found a token of a server without keys, wanted one of this server")
        still = tuple(scope for scope in claims["scopes"] if scope in key.scopes and scope in GRANTED)
        return replace(self._unless_expired(key, still), is_token=True, session=claims.get("session"))

    def session_of(self, shown: bytes) -> Any:
        """The settings in a client secret of a server without keys; None for whatever else clients show to one."""
        try:
            key, claims = self._claims(shown[:MAX_SHOWN_BYTES])
        except UnknownKeyError:
            return None
        return claims.get("session") if key is None else None

    def _claims(self, shown: bytes) -> tuple[Key | None, dict[str, Any]]:
        """What a token says, and its key; None for one of a server without keys. Raises `UnknownKeyError`."""
        signed, _, signature = shown.rpartition(b".")
        _, _, payload = signed.partition(b"_")
        try:
            claims: dict[str, Any] = json.loads(_unpacked(payload))
            name, expires_s = str(claims["key"]), float(claims["exp"])
            claims["scopes"] = tuple(map(str, claims["scopes"]))
            key = self.named(name)
            is_ours = hmac.compare_digest(_packed(self._sign(key, signed)), signature)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            name, key, is_ours = "", None, False
        if not is_ours or (name and key is None):
            raise UnknownKeyError("found a token that this server did not make, or whose key was removed")
        if self._clock() >= expires_s:
            raise UnknownKeyError("the token has expired; ask for another")
        return key, claims

    def _unless_expired(self, key: Key, scopes: tuple[str, ...]) -> Caller:
        if key.is_expired(self._clock()):
            raise UnknownKeyError(f"the key {key.name} has expired")
        return Caller(key, scopes)

    # -- tokens ----------------------------------------------------------------------------------------------------

    def token(
        self, caller: Caller | None, ttl_s: int, *, prefix: str, scopes: Sequence[str], session: Any = None
    ) -> str:
        """A token for `ttl_s` seconds with those of the scopes that the caller has; None: of a server without keys."""
        key = caller.key if caller else None
        granted = [scope for scope in scopes if scope in GRANTED and (caller is None or scope in caller.scopes)]
        claims = {"key": key.name if key else "", "scopes": granted, "exp": self.expiry(ttl_s)}
        if session is not None:
            claims["session"] = session
        signed = prefix.encode() + _packed(json.dumps(claims, separators=(",", ":")).encode())
        return (signed + b"." + _packed(self._sign(key, signed))).decode()

    def expiry(self, ttl_s: int) -> int:
        """Unix time at which a token made now ends."""
        return int(self._clock()) + ttl_s

    def _sign(self, key: Key | None, signed: bytes) -> bytes:
        return hmac.digest(self._secret + (key.sha256 if key else "").encode(), signed, "sha256")


def _secret() -> bytes:
    given = os.environ.get(SECRET_VARIABLE, "")
    if given and len(given) < _MIN_SECRET_CHARACTERS:
        raise ConfigError(f"{SECRET_VARIABLE}: found {len(given)} characters, wanted {_MIN_SECRET_CHARACTERS} or more")
    return digest(given.encode()) if given else secrets.token_bytes(32)


def _packed(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unpacked(data: bytes) -> bytes:
    """Raises `ValueError`. Only what `_packed` writes: otherwise one token would have many spellings."""
    unpacked = base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))
    if _packed(unpacked) != data:
        raise ValueError("not base64url")
    return unpacked


def _changes(before: Sequence[Key], now: Sequence[Key]) -> dict[str, list[str]]:
    old, new = {key.name: key for key in before}, {key.name: key for key in now}
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }
