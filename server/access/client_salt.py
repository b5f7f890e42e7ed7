"""The secret with which clients are hashed: without it a row of the ledger says nothing about who spoke."""

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

from asr.errors import ConfigError

VARIABLE = "STEADYWORD_CLIENT_SALT"
"""Servers that share a ledger need one salt, or a client changes sides with the server that it meets."""
_MIN_CHARACTERS = 32
_log = logging.getLogger("steadyword.server")


def client_salt() -> bytes:
    """That of `$STEADYWORD_CLIENT_SALT`, else of the file, which is made at first.

    Where the file cannot be written, it lasts as long as the process. Raises `ConfigError` for a short one.
    """
    if given := os.environ.get(VARIABLE, ""):
        return _checked(given, VARIABLE)
    file = _file()
    try:
        return _made_or_read(file)
    except OSError as error:
        _log.warning(
            "the salt of clients lasts until this server ends, since %s cannot be used (%s): set %s, or clients may "
            "change sides in a canary",
            file, error.strerror, VARIABLE,
        )  # fmt: skip
        return secrets.token_bytes(32)


def _made_or_read(file: Path) -> bytes:
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as writing:
            writing.write(secrets.token_urlsafe(32))
        with suppress(FileExistsError):  # another server was first: its salt counts
            os.link(fresh, file)
        fresh.unlink()
    return _checked(file.read_text(encoding="utf-8", errors="replace").strip(), str(file))


def _checked(text: str, where: str) -> bytes:
    if len(text) < _MIN_CHARACTERS:
        raise ConfigError(f"{where}: found a salt of {len(text)} characters, wanted {_MIN_CHARACTERS} or more")
    return text.encode()


def _file() -> Path:
    shared = os.environ.get("XDG_CONFIG_HOME")
    return (Path(shared).expanduser() if shared else Path.home() / ".config") / "steadyword" / "client_salt"
