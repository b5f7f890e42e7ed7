"""Which names the server answers to.

With DNS rebinding the name of a stranger's page points to this server for a moment, and the browser takes the page and
the server for one origin. The request then names that host: a server that answers to its own names only is safe. An IP
address is always its own name: rebinding needs a name to change.
"""

import ipaddress
import socket
from collections.abc import Sequence
from fnmatch import fnmatchcase

from asr.errors import CallerError


class HostError(CallerError):
    """A host name that is not this server's; HTTP 403."""


def check_host(hosts: Sequence[str], allowed: Sequence[str]) -> None:
    """`hosts` are a request's Host headers: none in HTTP/1.0, which no browser speaks. Raises `HostError`."""
    if len(hosts) > 1:
        raise HostError("found two Host headers, wanted one")
    if hosts and not is_own(hosts[0], allowed):
        raise HostError(
            f"this server does not answer to {hosts[0][:100]!r}; list that name in allowed_hosts if it should"
        )


def is_own(host: str, allowed: Sequence[str]) -> bool:
    """Whether it (with or without a port) is an IP address, localhost, this machine's name, or one of `allowed`."""
    name = _name(host)
    if name is None:
        return False
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        machine = socket.gethostname().lower()
        own = ("localhost", "*.localhost", machine, f"{machine}.local", *(entry.lower() for entry in allowed))
        return any(fnmatchcase(name, pattern) for pattern in own)


def _name(host: str) -> str | None:
    """The host without its port, brackets and final dot, in lower case; None for what is no host."""
    name, separator, port = host.strip().lower().rpartition(":")
    if not separator or host.rstrip().endswith("]"):
        name, port = host.strip().lower(), ""
    if port and not (port.isascii() and port.isdigit()):
        return None
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    elif ":" in name:
        return None
    name = name.removesuffix(".")
    is_host = name and all(c.isascii() and (c.isalnum() or c in ".-_:") for c in name)
    return name if is_host else None
