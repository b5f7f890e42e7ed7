"""What the application is made of: the workers of all models, and the follower of the ledger if there is one."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from server.config import ServerSettings
from server.workers.remote import RemoteEngine, load_engines

if TYPE_CHECKING:  # it needs a ledger, which few servers have
    from server.http.service import Service
    from server.roster.follow import Follower


def load(settings: ServerSettings) -> "tuple[list[RemoteEngine], Callable[[Service], Follower] | None]":
    """The workers, their models loaded, and what makes the follower. Raises as `load_engines`, and `LedgerError`."""
    if not settings.ledger:
        return load_engines(settings), None
    from asr.ledger import open_ledger
    from server.roster.releases import follower, load_all

    ledger = open_ledger(settings.ledger)
    return load_all(settings, ledger), functools.partial(follower, settings, ledger)
