"""Slows down addresses that try wrong keys. A right key is never slowed: nobody can lock out others.

Each address may fail `BURST` times at once, then once in `INTERVAL_S`, however many connections it tries on.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from asr.errors import AsrError

BURST = 20
INTERVAL_S = 0.25
MAX_WAIT_S = 2.0
"""A try that would wait longer is refused immediately (429): connections that wait cost memory."""
MAX_ADDRESSES = 10_000
"""The one that failed longest ago is forgotten."""


class TooManyTriesError(AsrError):
    """An address that tries wrong keys too fast; HTTP 429 with Retry-After."""

    retry_after_s = round(MAX_WAIT_S)


class FailedTries:
    """The failures of each address (generic cell rate algorithm, ITU-T I.371)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due_s: OrderedDict[str, float] = OrderedDict()
        """When an address will have no failure left that counts."""

    def wait_s(self, address: str) -> float | None:
        """Counts a failure. Returns how long its answer has to wait; None where that would be too long."""
        network, now_s = network_of(address), self._clock()
        due_s = max(self._due_s.pop(network, now_s), now_s)
        wait_s = max(0.0, due_s - now_s - (BURST - 1) * INTERVAL_S)
        self._due_s[network] = due_s if wait_s > MAX_WAIT_S else due_s + INTERVAL_S
        while len(self._due_s) > MAX_ADDRESSES:
            self._due_s.popitem(last=False)
        return None if wait_s > MAX_WAIT_S else wait_s


def network_of(address: str) -> str:
    """The address; of IPv6 the /64, of which one customer has all."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and not parsed.ipv4_mapped:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
