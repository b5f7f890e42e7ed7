"""The server's settings. Their defaults are in `configs/server.toml`, and only there; a user's file overrides them."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr.config import SessionSettings, build, config_dir, read_toml
from asr.errors import ConfigError

_ADVERTISED = re.compile(r"wss?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?")
OFF_AT_ZERO = ("max_resume_s", "keep_warm_s")
"""Limits of what 0 switches off."""


@dataclass(frozen=True, slots=True)
class CollectSettings:
    """What is kept of streams that name a consent. Raises `ConfigError` for values that make no sense."""

    enabled: bool = False
    folder: str = ""
    retain_days: float = 30.0
    max_bytes: int = 10_737_418_240

    def __post_init__(self) -> None:
        for name in ("retain_days", "max_bytes"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"collect.{name}: found {getattr(self, name)}, wanted more than 0")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`configs/server.toml` explains each key. Raises `ConfigError` for values that make no sense."""

    host: str
    port: int
    wyoming_port: int
    wyoming_zeroconf: bool
    models: tuple[str, ...]
    model_aliases: tuple[str, ...]
    workers: int
    device: str
    ledger: str
    keep_warm_s: float
    allowed_hosts: tuple[str, ...]
    advertise: str
    allowed_origins: tuple[str, ...]
    keys_file: str
    insecure: bool
    tls_cert: str
    tls_key: str
    request_log: str
    audit_log: str
    max_batch: int
    max_streams: int
    max_connections: int
    max_connections_per_address: int
    max_load: float
    max_lag_s: float
    max_lagging_s: float
    max_message_bytes: int
    max_upload_bytes: int
    fetch_urls: bool
    max_buffered_audio_s: float
    max_spooled_bytes: int
    head_timeout_s: float
    idle_timeout_s: float
    send_timeout_s: float
    max_resume_s: float
    max_kept_bytes: int
    max_kept_total_bytes: int
    max_shadow_bytes: int
    max_shadow_lag_s: float
    drain_timeout_s: float
    step_timeout_s: float
    start_timeout_s: float
    session: SessionSettings = field(default_factory=SessionSettings)
    collect: CollectSettings = field(default_factory=CollectSettings)

    def __post_init__(self) -> None:
        for name in ("port", "wyoming_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise ConfigError(f"{name}: found {getattr(self, name)}, wanted 0 to 65535")
        if not self.models:
            raise ConfigError("models: found an empty list, wanted at least one model's name (see `asr models`)")
        if self.advertise and not (_ADVERTISED.fullmatch(self.advertise) and len(self.advertise) <= 200):
            raise ConfigError(
                f"advertise: found {self.advertise[:250]!r}, wanted an address such as ws://10.0.0.3:8000"
            )
        if self.workers < 0:
            raise ConfigError(f"workers: found {self.workers}, wanted a number of processes, or 0")
        for name in (f.name for f in dataclasses.fields(self) if f.name.startswith("max_") or f.name.endswith("_s")):
            if getattr(self, name) < 0 or (getattr(self, name) == 0 and name not in OFF_AT_ZERO):
                raise ConfigError(f"{name}: found {getattr(self, name)}, wanted more than 0")


def load_settings(path: Path | None = None, **changes: Any) -> ServerSettings:
    """`configs/server.toml`, overridden by the file at `path`, overridden by the `changes` that are not None.

    Raises `ConfigError` for a file that is missing or broken, for unknown keys and for values that make no sense.
    """
    table = read_toml(config_dir() / "server.toml")
    if path is not None:
        table = _overridden(table, read_toml(path))
    table |= {key: value for key, value in changes.items() if value is not None}
    return build(ServerSettings, table, str(path or "server.toml"))


def _overridden(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        both_tables = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _overridden(below, value) if both_tables else value  # type: ignore[arg-type]
    return merged
