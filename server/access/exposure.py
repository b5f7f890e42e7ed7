"""Without keys the server listens on this machine only."""

import ipaddress
import socket

from asr.errors import ConfigError
from server.access.keyring import Keyring
from server.config import ServerSettings


def check_exposure(settings: ServerSettings, keyring: Keyring, listening: socket.socket) -> None:
    """Raises `ConfigError` for a server that others would reach without a key."""
    if settings.insecure or keyring.asks or is_loopback(listening):
        return
    raise ConfigError(
        f"host: found {settings.host!r}, which lets other machines in, and no keys; make one with `asr keys add NAME`, "
        "or pass --insecure if anybody who reaches this address may use the server"
    )


def wyoming_host(settings: ServerSettings) -> str:
    """Where the Wyoming port listens. The protocol has no keys, so: this machine, unless `insecure` says otherwise."""
    return settings.host if settings.insecure else "127.0.0.1"


def is_loopback(listening: socket.socket) -> bool:
    """Whether only this machine can connect; asked of the socket, since a name may stand for any address."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback
