"""Zeroconf (RFC 6762, 6763): reports the Wyoming port to the local network, so that Home Assistant finds it itself.

Needs the package zeroconf, which the extra of that name installs.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

from asr.errors import ConfigError
from asr.installing import install_extra
from server.wires.wyoming import PROGRAM

SERVICE_TYPE = "_wyoming._tcp.local."
"""What Home Assistant's integration looks for (`homeassistant/components/wyoming/manifest.json`)."""
EVERYWHERE = ("0.0.0.0", "::")


def check_installed() -> None:
    """Raises `ConfigError` without the package."""
    if find_spec("zeroconf") is None:
        raise ConfigError(f"wyoming_zeroconf needs the package zeroconf; {install_extra('zeroconf')}")


@asynccontextmanager
async def announced(listening: socket.socket) -> AsyncIterator[None]:
    """While this is open a listening socket is announced, on the interface that it listens on, or on all.

    Another server of the same name in the network gives this one a number behind it. Raises `OSError`.
    """
    from zeroconf import InterfaceChoice
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    host, port = listening.getsockname()[:2]
    is_everywhere = host in EVERYWHERE
    addresses = _addresses() if is_everywhere else [host]
    info = AsyncServiceInfo(SERVICE_TYPE, f"{PROGRAM}.{SERVICE_TYPE}", parsed_addresses=addresses, port=port)
    zeroconf = AsyncZeroconf(interfaces=InterfaceChoice.All if is_everywhere else [host])
    try:
        await (await zeroconf.async_register_service(info, allow_name_change=True))
        yield
    finally:
        await zeroconf.async_unregister_all_services()
        await zeroconf.async_close()


def _addresses() -> list[str]:
    """This machine's, as others reach it."""
    import ifaddr  # comes with zeroconf

    ips = [ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    return [str(ip.ip) for ip in ips if not str(ip.ip).startswith("127.")]
