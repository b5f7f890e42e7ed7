"""The file of keys: what each key may do, and its SHA-256. The keys themselves are stored nowhere.

    [laptop]
    sha256 = "9f86d0..."
    scopes = ["listen", "transcribe"]

SHA-256 without salt or stretching is enough here, unlike for passwords: a key has 256 random bits, so nobody can guess
it from its hash.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from asr.config import build, read_toml
from asr.errors import ConfigError

SCOPES: Mapping[str, str] = {
    "listen": "live streams",
    "transcribe": "recordings",
    "grant": "short-lived tokens for others",
    "metrics": "GET /metrics",
    "operate": "everything under /v1/operate/",
}
DEFAULT_SCOPES = ("listen", "transcribe")
PREFIX = "sw_"
"""Keys begin with it, so that scanners for leaked secrets can find them."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEAD = """\
# The keys of the server, made by `asr keys add`. A running server reads this file again when it changes.
# Of a key only its SHA-256 is here. max_streams and audio_s_per_day: 0 is no limit. expires: such as "2027-01-31".
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file. Raises `ConfigError` for values that make no sense."""

    name: str
    sha256: str
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    max_streams: int = 0
    """Streams and uploads at the same time; 0: no limit."""
    audio_s_per_day: float = 0.0
    """Seconds of audio in a day (UTC); 0: no limit."""
    expires: str = ""
    """An ISO 8601 date or time, UTC where it names no zone; "": never."""

    def __post_init__(self) -> None:
        where = f"key {self.name[:64]!r}"
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"{where}: wanted a name of up to 64 letters, digits and .-_ that begins with no sign")
        if not _SHA256.fullmatch(self.sha256):
            raise ConfigError(f"{where}: wanted sha256 to be 64 hexadecimal digits in lower case")
        unknown = [scope for scope in self.scopes if scope not in SCOPES]
        if unknown or not self.scopes:
            raise ConfigError(f"{where}: found the scopes {list(self.scopes)}, wanted some of {', '.join(SCOPES)}")
        if self.max_streams < 0 or not 0 <= self.audio_s_per_day < float("inf"):
            raise ConfigError(f"{where}: wanted max_streams and audio_s_per_day to be 0 or more")
        if self.expires:
            self._expiry()

    def is_expired(self, now_s: float) -> bool:
        """Whether its time is over; `now_s` is Unix time."""
        return bool(self.expires) and now_s >= self._expiry().timestamp()

    def _expiry(self) -> datetime:
        try:
            time = datetime.fromisoformat(self.expires)
        except ValueError:
            found = f"key {self.name!r}: found expires = {self.expires[:40]!r}"
            raise ConfigError(f'{found}, wanted a date or time such as "2027-01-31T12:00:00Z"') from None
        return time if time.tzinfo else time.replace(tzinfo=UTC)


def new_key() -> str:
    """A key of 256 random bits. Its characters may stand in a header and in a WebSocket's subprotocol."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: bytes) -> bytes:
    """What is stored and compared in place of a key."""
    return hashlib.sha256(secret).digest()


def default_file() -> Path | None:
    """`$STEADYWORD_KEYS`, else `$XDG_CONFIG_HOME/steadyword/keys.toml`, else `~/.config/steadyword/keys.toml`.

    None where the variable is empty: servers that are started with it ask for no keys.
    """
    if (own := os.environ.get("STEADYWORD_KEYS")) is not None:
        return Path(own).expanduser() if own else None
    shared = os.environ.get("XDG_CONFIG_HOME")
    return (Path(shared).expanduser() if shared else Path.home() / ".config") / "steadyword" / "keys.toml"


def read_keys(file: Path) -> tuple[Key, ...]:
    """The keys of a file. Raises `ConfigError` for a file that is missing or broken, or that anybody may change."""
    try:
        table, mode = read_toml(file), file.stat().st_mode
    except OSError as error:
        raise ConfigError(f"cannot read {file} ({error.strerror or error})") from None
    if os.name == "posix" and mode & 0o002:
        raise ConfigError(f"{file}: any user of this machine may change the keys; wanted it private (chmod 600)")
    keys = []
    for name, entry in table.items():
        if not isinstance(entry, dict) or "name" in entry:
            raise ConfigError(f"{file}: found {name!r}, wanted tables such as [laptop] with sha256 and scopes")
        keys.append(build(Key, {"name": name, **entry}, f"{file}: {name}"))
    if len({key.sha256 for key in keys}) < len(keys):
        raise ConfigError(f"{file}: found one sha256 under two names, wanted each key once")
    return tuple(keys)


def add_key(file: Path, key: Key) -> None:
    """Adds the key to the file, which is made if it is missing. Raises `ConfigError` for a name that is taken."""
    document = _document(file)
    if key.name in document:
        raise ConfigError(f"there is a key {key.name!r} already; remove it first, or choose another name")
    entry = tomlkit.table()
    entry.add("sha256", key.sha256)
    entry.add("scopes", list(key.scopes))
    for name, value in (
        ("max_streams", key.max_streams),
        ("audio_s_per_day", key.audio_s_per_day),
        ("expires", key.expires),
    ):
        if value:
            entry.add(name, value)
    document.add(tomlkit.key(key.name), entry)
    _write(file, document)


def remove_key(file: Path, name: str) -> None:
    """Takes the key out of the file. Raises `ConfigError` for an unknown name."""
    document = _document(file)
    if name not in document:
        raise ConfigError(f"there is no key {name[:64]!r} in {file}; see `asr keys list`")
    document.remove(name)
    _write(file, document)


def _document(file: Path) -> tomlkit.TOMLDocument:
    """The file as it is written, with its comments."""
    if not file.exists():
        return tomlkit.parse(_HEAD)
    read_keys(file)  # a broken file is refused, not repaired
    try:
        return tomlkit.parse(file.read_text(encoding="utf-8"))
    except TOMLKitError as error:
        raise ConfigError(f"{file}: {error}") from None


def _write(file: Path, document: tomlkit.TOMLDocument) -> None:
    """In one step: a server that reads meanwhile sees the old file or the new one. Only the owner may read it."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as writing:
            writing.write(tomlkit.dumps(document))
        os.replace(fresh, file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ConfigError(f"cannot write {file} ({error.strerror or error})") from None
