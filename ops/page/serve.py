"""Runs the page on this machine until Ctrl-C."""

from collections.abc import Callable
from dataclasses import replace

import uvicorn

from asr.ledger import Ledger
from ops.page.actions import Operator
from ops.page.app import create_app
from server.address import address, bind
from server.config import load_settings

HOST = "127.0.0.1"
"""The page has no keys, so it listens nowhere else."""


def serve(ledger: Ledger, port: int, operator: Operator | None, say: Callable[[str], None]) -> None:
    """Serves until Ctrl-C, and says the address first. Raises `AddressError` where the port is taken."""
    with bind(replace(load_settings(), host=HOST), port) as listening:
        secret = f"/#token={operator.token}" if operator else ""
        say(f"{address(listening)}{secret} (Ctrl-C ends it)")
        config = uvicorn.Config(create_app(ledger, operator), log_level="warning", server_header=False)
        uvicorn.Server(config).run(sockets=[listening])
