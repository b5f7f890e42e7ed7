"""Runs the labels page until Ctrl-C."""

import secrets
from collections.abc import Callable
from dataclasses import replace

import uvicorn

from asr.ledger import Ledger
from ops.labelling.app import create_app
from server.address import address, bind
from server.clips.store import ClipStore
from server.config import load_settings


def serve(ledger: Ledger, store: ClipStore, by: str, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serves until Ctrl-C, and says the address with its token first. Raises `AddressError` where the port is taken."""
    token = secrets.token_urlsafe(24)
    with bind(replace(load_settings(), host=host), port) as listening:
        say(f"{address(listening)}/#token={token} (Ctrl-C ends it)")
        config = uvicorn.Config(create_app(ledger, store, by, token), log_level="warning", server_header=False)
        uvicorn.Server(config).run(sockets=[listening])
