"""Keys for the tests: made as `asr keys add` makes them, each known by what it may do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.access.keys import SCOPES, Key, add_key, digest, new_key


@dataclass(frozen=True)
class Made:
    """A file of keys, and the keys themselves by their names."""

    file: Path
    secrets: dict[str, str]

    def add(self, name: str, scopes: tuple[str, ...] = tuple(SCOPES), **limits: object) -> str:
        secret = new_key()
        add_key(self.file, Key(name, digest(secret.encode()).hex(), scopes, **limits))  # type: ignore[arg-type]
        self.secrets[name] = secret
        return secret


def made(folder: Path) -> Made:
    """One key for each scope, one with all, one with all but each, and one that has expired."""
    keys = Made(folder / "keys.toml", {})
    keys.add("all")
    keys.add("expired", expires="2020-01-01")
    for scope in SCOPES:
        keys.add(f"only-{scope}", (scope,))
        keys.add(f"not-{scope}", tuple(other for other in SCOPES if other != scope))
    return keys


Shown = dict[str, Any]
SPELLINGS: dict[str, Callable[[str], Shown]] = {
    "Token": lambda key: {"headers": {"Authorization": f"Token {key}"}},
    "Bearer": lambda key: {"headers": {"Authorization": f"Bearer {key}"}},
    "any case": lambda key: {"headers": {"authorization": f"bEARER   {key}"}},
    "api-key": lambda key: {"headers": {"api-key": key}},
    "token,KEY": lambda key: {"subprotocols": ["token", key]},
    "bearer,KEY": lambda key: {"subprotocols": ["bearer", key]},
    "openai": lambda key: {"subprotocols": ["realtime", f"openai-insecure-api-key.{key}"]},
}
