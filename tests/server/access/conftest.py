"""What the tests of access share."""

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.access.logs import start_logs
from server.config import load_settings
from tests.server.access.keys import Made, made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Those of `made`. A module that adds more makes its own fixture."""
    return made(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[tuple[Path, Path, Path]]:
    """The files of the requests, of the audit, and of everything else that the server's side logs."""
    requests, audit, rest = (tmp_path / name for name in ("requests.log", "audit.log", "rest.log"))
    start_logs(dataclasses.replace(load_settings(), request_log=str(requests), audit_log=str(audit)))
    handler = logging.FileHandler(rest)
    names = ("steadyword.server", "uvicorn", "asyncio")
    for name in names:
        logging.getLogger(name).addHandler(handler)
    yield requests, audit, rest
    for name in names:
        logging.getLogger(name).removeHandler(handler)
    handler.close()
    start_logs(dataclasses.replace(load_settings(), request_log="", audit_log=""))
