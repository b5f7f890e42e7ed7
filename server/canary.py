"""Which release a stream gets: a pure function of a salt, the client and the canary's weight, fixed before any audio.

A client is a point between 0 and 1, and the canary serves the points below its weight. So clients keep their side in
both directions when the weight moves: a canary's client at 5 % is one at 20 %, and a champion's client at 20 % was one
at 5 %. The salt is the canary's own name and number, so that each canary meets other clients.
"""

import hashlib
import hmac
import math
from collections.abc import Mapping
from typing import Any

from asr.aliases import CANARY, CHAMPION
from server.access.failed_tries import network_of


def client_of(salt: bytes, *, key: str = "", address: str = "", client_id: str = "") -> str:
    """A client as 32 hexadecimal digits; only who has the salt can find out whether it is a given one.

    It is the key's name together with the id that the client sends, or where it sends none its address: one key often
    stands for a whole company, and one address for a proxy. Of IPv6 the /64 counts, since devices change the rest.
    """
    who = f"id\0{client_id}" if client_id else f"address\0{network_of(address)}"
    return hmac.digest(salt, f"{key}\0{who}".encode(), "sha256").hex()[:32]


def point(*parts: str) -> float:
    """A number in [0, 1), always the same for these texts and evenly spread over texts."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56  # float64 holds 53 bits; the rest only rounds


def arm_of(salt: str, client: str, weight: float) -> str:
    """`CANARY` or `CHAMPION` for this client. 0 sends none to the canary, 1 all."""
    return CANARY if point("arm", salt, client) < weight else CHAMPION


def share(options: Mapping[str, Any], name: str, default: float = 0.0) -> float:
    """The option as a share from 0 to 1. What is no number counts as 0: a stray option must not move traffic."""
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return 0.0
    return min(1.0, max(0.0, float(value)))
